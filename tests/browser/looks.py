"""How a page looks, roughly and by content: pictures by their colours, the page by its boxes, texts and contrast."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageColor
from playwright.sync_api import Locator, Page

# Of two colours, the largest difference in red, green or blue that still counts as the same.
NEAR = 24
# Texts whose contrast with what is behind them is below ``least`` (WCAG 2, section 1.4.3), worst first. Colours are
# painted into a canvas and read back, so that every way of writing one is understood; backgrounds are laid over each
# other down to the first that covers. Large text (24 px, or bold from 18.66 px) may be fainter: 3 instead of 4.5.
FAINT = """(root, least) => {
    const pixel = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    const painted = (colours) => {
        pixel.clearRect(0, 0, 1, 1);
        for (const colour of colours) { pixel.fillStyle = colour; pixel.fillRect(0, 0, 1, 1); }
        return [...pixel.getImageData(0, 0, 1, 1).data];
    };
    const light = (rgb) => rgb.slice(0, 3).map((part) => part / 255)
        .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
        .reduce((sum, part, index) => sum + part * [0.2126, 0.7152, 0.0722][index], 0);
    const behind = (element) => {
        const layers = [];
        for (let at = element; at; at = at.parentElement) {
            const colour = getComputedStyle(at).backgroundColor;
            layers.unshift(colour);
            if (painted([colour])[3] === 255) return layers;
        }
        return ["white", ...layers];
    };
    const found = [];
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const element = walker.currentNode.parentElement, words = walker.currentNode.textContent.trim();
        const shown = element.checkVisibility({ opacityProperty: true, visibilityProperty: true });
        if (!words || !shown || element.closest("style, script, title, desc, :disabled")) continue;
        if (element.closest(".fl-hidden, [aria-hidden='true']")) continue;
        const style = getComputedStyle(element), back = behind(element);
        const colour = element instanceof SVGElement ? style.fill : style.color;
        const [one, other] = [light(painted([...back, colour])), light(painted(back))];
        const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
        const size = parseFloat(style.fontSize), bold = parseInt(style.fontWeight) >= 700;
        const large = size >= 24 || (bold && size >= 18.66);
        if (ratio < (large ? Math.min(3, least) : least) - 0.005) found.push([ratio, words.slice(0, 60)]);
    }
    return found.sort((one, other) => one[0] - other[0]);
}"""
# What sticks out sideways: the element itself, or a part of it that can be scrolled sideways without being meant to.
SIDEWAYS = """(root) => {
    const meant = (element) => ["auto", "scroll"].includes(getComputedStyle(element).overflowX);
    const wide = (element) => element.scrollWidth > element.clientWidth + 1 && element.clientWidth > 0;
    const above = [];
    for (let at = root.parentElement; at; at = at.parentElement) if (meant(at)) above.push(at);
    const page = document.scrollingElement;
    return [root, ...above, page].filter(wide).map((element) => element.className || element.tagName);
}"""


@dataclass(frozen=True)
class Look:
    """A picture of a page: ``path`` is where it was kept, ``image`` its pixels."""

    path: Path
    image: Image.Image

    def counts(self) -> Counter[tuple[int, int, int]]:
        """How often each colour occurs, red, green and blue of 0 to 255."""
        found = self.image.getcolors(self.image.width * self.image.height) or []
        return Counter({colour: count for count, colour in found})  # type: ignore[misc]

    @property
    def background(self) -> tuple[int, int, int]:
        """The colour that covers most."""
        return self.counts().most_common(1)[0][0]

    @property
    def is_dark(self) -> bool:
        """Whether the background is nearer to black than to white."""
        return sum(self.background) < 3 * 128

    @property
    def is_blank(self) -> bool:
        """Whether next to nothing is drawn: less than one pixel in two hundred differs from the background."""
        return 1 - self.share_of([self.background]) < 0.005

    def share_of(self, colours: Iterable[str | tuple[int, int, int]]) -> float:
        """The share of pixels, 0 to 1, in one of these colours or one close to it; names and #RRGGBB work too."""
        wanted = [ImageColor.getrgb(one)[:3] if isinstance(one, str) else one for one in colours]
        counts = self.counts()
        near = sum(n for have, n in counts.items() if any(_near(have, one) for one in wanted))
        return near / counts.total()

    def colourful(self) -> float:
        """The share of pixels, 0 to 1, that are clearly not grey: lines, bars and marks in accent colours."""
        counts = self.counts()
        return sum(n for colour, n in counts.items() if max(colour) - min(colour) > 60) / counts.total()


def _near(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    return all(abs(a - b) <= NEAR for a, b in zip(one, other, strict=True))


def look_at(what: Page | Locator, path: Path) -> Look:
    """Take a picture of a page's window or of one element, keep it, and give it back to be looked at."""
    path.parent.mkdir(parents=True, exist_ok=True)
    taken = what.screenshot(path=str(path), animations="disabled")
    return Look(path, Image.open(io.BytesIO(taken)).convert("RGB"))


def in_window(element: Locator) -> bool:
    """Whether the element, scrolled into view, lies between the left and the right edge of the window."""
    element.scroll_into_view_if_needed()
    box, size = element.bounding_box(), element.page.viewport_size
    assert box is not None, "the element has no box"
    assert size is not None
    return box["x"] >= 0 and box["x"] + box["width"] <= size["width"] + 1 and box["width"] > 0


def scrolls_sideways(element: Locator) -> list[str]:
    """What around the element has a horizontal scroll bar or content that sticks out: empty where all fits."""
    return [str(one) for one in element.evaluate(SIDEWAYS)]


def faint_texts(element: Locator, least: float = 4.5) -> list[tuple[float, str]]:
    """Texts in the element that are hard to read on what is behind them, with their contrast, worst first."""
    return [(float(ratio), str(words)) for ratio, words in element.evaluate(FAINT, least)]
