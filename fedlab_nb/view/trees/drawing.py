"""A tree whose nodes belong to several owners, as one inline SVG: who asks what, and what each leaf adds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from fedlab_nb.view.draw.letters import clean, fit, text, width_of
from fedlab_nb.view.style import BLUE, GREEN, MIDDLE, ORANGE, PURPLE, SKY, VERMILLION

COLOURS = (BLUE, ORANGE, GREEN, PURPLE, VERMILLION, SKY)
# Pixels: what a leaf takes at least, from level to level, and around all.
LEAF_WIDTH, LEVEL, BOX, MARGIN, HEAD = 100.0, 78.0, 34.0, 10.0, 54.0
LEAST, WIDEST = 420.0, 1400.0


@dataclass(frozen=True)
class Leaf:
    """Where rows end: ``words`` say what it adds to their score."""

    words: str


@dataclass(frozen=True)
class Split:
    """A question of one owner, ``owner`` its place among all; yes is left, no is right."""

    owner: int
    words: str
    note: str
    left: Split | Leaf
    right: Split | Leaf


@dataclass(frozen=True)
class Placed:
    """A node with its place in the picture, and those of its children."""

    node: Split | Leaf
    x: float
    y: float
    children: tuple[Placed, ...] = ()

    def each(self) -> Iterator[Placed]:
        """This node and all below it."""
        yield self
        for child in self.children:
            yield from child.each()


def tree_svg(title: str, root: Split | Leaf, owners: Sequence[str]) -> str:
    """The picture: boxes of the owners' colours with their names in words too, edges that say yes or no, leaves below.

    Plain shapes and text only, colours midway between white and dark paper.
    """
    leaves = sum(isinstance(placed.node, Leaf) for placed in _placed(root, 0.0, 1.0, 0).each())
    width = min(max(LEAST, LEAF_WIDTH * leaves + 2 * MARGIN), WIDEST)
    whole = _placed(root, MARGIN, width - MARGIN, 0)
    height = max(placed.y for placed in whole.each()) + BOX / 2 + MARGIN
    room = (width - 2 * MARGIN) / max(leaves, 1)
    body = [text(MARGIN, 20, title, size=15, weight=600, room=width - 2 * MARGIN), _legend(owners, width)]
    body += [_edges(placed) for placed in whole.each()]
    body += [_box(placed, owners, room, width) for placed in whole.each()]
    label = escape(f"{clean(title)}. {said(root, owners)}", quote=True)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="100%" '
        f'style="max-width:{width:.0f}px" role="img" aria-label="{label}" '
        f'font-family="system-ui,-apple-system,Segoe UI,sans-serif" fill="{MIDDLE}">{"".join(body)}</svg>'
    )


def said(node: Split | Leaf, owners: Sequence[str]) -> str:
    """The tree in words, for who cannot see it.

    >>> said(Split(0, "age <= 40", "", Leaf("+1"), Leaf("-1")), ["bank"])
    'bank asks: age <= 40? If so: +1; if not: -1'
    """
    if isinstance(node, Leaf):
        return clean(node.words)
    left, right = (f"({words})" if " asks: " in words else words
                   for words in (said(node.left, owners), said(node.right, owners)))  # fmt: skip
    return f"{clean(owners[node.owner])} asks: {clean(node.words)}? If so: {left}; if not: {right}"


def _placed(node: Split | Leaf, left: float, right: float, level: int) -> Placed:
    """Leaves side by side in equal parts of the width, questions above the middle of theirs."""
    y = HEAD + BOX / 2 + level * LEVEL
    if isinstance(node, Leaf):
        return Placed(node, (left + right) / 2, y)
    share = _leaves(node.left) / (_leaves(node.left) + _leaves(node.right))
    middle = left + (right - left) * share
    children = _placed(node.left, left, middle, level + 1), _placed(node.right, middle, right, level + 1)
    return Placed(node, (children[0].x + children[1].x) / 2, y, children)


def _leaves(node: Split | Leaf) -> int:
    return 1 if isinstance(node, Leaf) else _leaves(node.left) + _leaves(node.right)


def _edges(placed: Placed) -> str:
    parts = []
    for child, word in zip(placed.children, ("yes", "no"), strict=False):
        start, end = placed.y + BOX / 2, child.y - BOX / 2
        parts.append(
            f'<path d="M{placed.x:.1f} {start:.1f}C{placed.x:.1f} {end:.1f} {child.x:.1f} {start:.1f} {child.x:.1f} '
            f'{end:.1f}" fill="none" stroke="{MIDDLE}" stroke-opacity=".6"/>'
        )
        anchor, aside = ("end", -5) if word == "yes" else ("start", 5)
        parts.append(text(round(child.x + aside, 1), round(end - 6, 1), word, size=10, anchor=anchor))
    return "".join(parts)


def _box(placed: Placed, owners: Sequence[str], room: float, width: float) -> str:
    node = placed.node
    if isinstance(node, Leaf):
        return text(round(placed.x, 1), round(placed.y + 4, 1), node.words, size=12, anchor="middle", weight=600,
                    room=room - 6)  # fmt: skip
    beneath = _leaves(node) * room - 10
    lines = (f"{owners[node.owner]}: {node.words}", node.note)
    wide = min(max(width_of(lines[0], 12), width_of(lines[1], 10)) + 16, beneath)
    left = min(max(placed.x - wide / 2, 2.0), width - wide - 2.0)
    colour = COLOURS[node.owner % len(COLOURS)]
    middle = round(left + wide / 2, 1)
    return (
        f'<rect x="{left:.1f}" y="{placed.y - BOX / 2:.1f}" width="{wide:.1f}" height="{BOX:g}" rx="6" fill="{colour}" '
        f'fill-opacity=".14" stroke="{colour}" stroke-width="1.6"><title>{escape(clean(lines[0]))}</title></rect>'
        + text(middle, round(placed.y - 2, 1), lines[0], size=12, anchor="middle", room=wide - 8)
        + text(middle, round(placed.y + 12, 1), lines[1], size=10, anchor="middle", room=wide - 8)
    )


def _legend(owners: Sequence[str], width: float) -> str:
    """Each owner's colour; as many as there is room for."""
    parts, x = [], MARGIN
    for number, name in enumerate(owners):
        shown = fit(name, 11, 160)
        if x + width_of(shown, 11) + 30 > width:
            break
        colour = COLOURS[number % len(COLOURS)]
        parts.append(f'<rect x="{x:.1f}" y="31" width="10" height="10" rx="2" fill="{colour}"/>')
        parts.append(text(round(x + 15, 1), 40, shown, size=11))
        x += width_of(shown, 11) + 30
    return "".join(parts)
