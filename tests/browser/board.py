"""One dashboard in a page: what it says, its points and its buttons, whatever it is drawn with."""

from __future__ import annotations

import re
import time

from playwright.sync_api import Locator

CLICKABLE = 30_000
# Corners of the longest line in the chart, or the number of its dots where dots are all there is. A line is a shape
# that is not filled; rules and ticks have two corners only, and so has nothing that grows.
POINTS = """(root) => {
    const shapes = [...root.querySelectorAll("svg path, svg polyline")];
    const drawn = shapes.filter((shape) => {
        const style = getComputedStyle(shape);
        return style.fill === "none" && style.stroke !== "none" && style.visibility !== "hidden";
    });
    const corners = drawn.map((shape) => shape.points ? shape.points.length
        : (shape.getAttribute("d") ?? "").replace(/[^MLHVCSQTA]/gi, "").length);
    return Math.max(0, ...corners.filter((count) => count > 2), root.querySelectorAll("svg circle, .point").length);
}"""


class Board:
    """A dashboard: the element with the class ``fl-root``, live or as it was left in the saved file."""

    def __init__(self, root: Locator) -> None:
        self.root = root

    @property
    def there(self) -> bool:
        """Whether the page shows it."""
        return self.root.count() > 0 and self.root.is_visible()

    def part(self, name: str) -> Locator:
        """The element with this data-testid, such as ``"chart"``."""
        return self.root.locator(f'[data-testid="{name}"]').first

    def text(self, name: str) -> str:
        """The text of the element with this data-testid; empty where it is not there."""
        found = self.part(name)
        return found.inner_text() if found.count() else ""

    @property
    def round(self) -> int:
        """The round that the header names; 0 where there is no header yet."""
        return int(self.text("header-round") or 0)

    @property
    def state(self) -> str:
        """The state that the header names, such as ``"running"``; empty where there is no header yet."""
        return self.text("header-state")

    def points(self) -> int:
        """How many points the longest line of the live chart has; 0 where there is no chart yet.

        A long run is drawn with fewer points than rounds: wait for a few points, not for hundreds.
        """
        return int(self.root.evaluate(POINTS)) if self.root.count() else 0

    def button(self, name: str) -> Locator:
        """The button with this name; where its icon is a letter of an icon font, the letter stands before the name."""
        return self.root.get_by_role("button", name=re.compile(rf"(^|\\W){re.escape(name)}$")).first

    def has_button(self, name: str) -> bool:
        """Whether there is a button with this name."""
        return self.button(name).count() > 0

    def press(self, name: str) -> None:
        """Click the button with this name, once it can be clicked."""
        self.button(name).click(timeout=CLICKABLE)

    def slider(self, name: str) -> Locator:
        """The slider with this name."""
        return self.root.get_by_role("slider", name=name).first

    def slide(self, name: str, share: float) -> None:
        """Drag the slider with this name to a share of its way, 0 for its left end and 1 for its right, and let go."""
        slider = self.slider(name)
        low, high = (float(slider.get_attribute(end) or 0) for end in ("min", "max"))
        slider.fill(f"{low + share * (high - low):g}", timeout=CLICKABLE)

    def settled_round(self, seconds: float = 1.0) -> int:
        """The round at which a paused run stands: the one being computed may still end, after that nothing moves."""
        last, since = self.round, time.monotonic()
        while time.monotonic() - since < seconds:
            if self.round != last:
                last, since = self.round, time.monotonic()
            time.sleep(0.1)
        return last
