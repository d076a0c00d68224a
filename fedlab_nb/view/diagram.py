"""The picture of a federation: who holds which rows, columns and keys, and what passes between them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby

from fedlab_nb.records import Holding
from fedlab_nb.units import counted
from fedlab_nb.view.draw.letters import clean, fit, text, width_of
from fedlab_nb.view.icons import ICONS, padlock, secret_key
from fedlab_nb.view.style import BLUE, MIDDLE

WIDTH, MOST_OWNERS = 420, 6
LANE, GAP = 30, 5
# Dark enough for white letters (5:1), light enough to stand on dark paper (3:1).
OWNER, TARGET, SERVER, KEEPER = BLUE, "#b84e00", "#66707d", "#a6447d"
TARGET_WIDTH, BOX_WIDTH, BOX_HEIGHT = 84, 172, 70
PAPER = "#fff"


def federation_words(holdings: Sequence[Holding]) -> str:
    """The picture in one sentence or two: for screen readers, and where there is no picture."""
    owners = [h for h in holdings if h.role == "owner"]
    rest = ". ".join(f"The {h.party} {_does(h)} ({h.material})" for h in holdings if h.role != "owner")
    keys = _shared(h.material for h in owners) or "different keys"
    sends = _shared(h.sends for h in owners) or "different things"
    return (
        f"{counted(len(owners), 'data owner')}: {_columns_words(owners)}. Each holds "
        f"{_shared(h.rows for h in owners) or 'rows of its own'} ({keys}), and sends {sends}. {rest}."
    )


def _does(holding: Holding) -> str:
    """What a party without rows does, in words: with updates, where there are any, and what it sends."""
    if not holding.powers:
        return f"sends {holding.sends}"
    return f"{holding.powers}, and sends the {holding.sends.removeprefix('the ')}"


def federation_svg(holdings: Sequence[Holding]) -> str:
    """The parties of a federation as one SVG of plain shapes and text, readable on light and on dark paper.

    Where the server neither adds nor reads (owners of different columns), owners are drawn to exchange with each other.
    Each owner is a bar as wide as the columns that it holds, so that equal columns stand above each other; below it are
    the server and the key holder with what they can do. Classes (``fl-d-owner``, ...) let a page choose other colours.
    """
    owners = [h for h in holdings if h.role == "owner"]
    lanes, bottom = _lanes(owners)
    boxes, height = _boxes(owners, [h for h in holdings if h.role != "owner"], bottom)
    said = escape(clean(federation_words(holdings)), quote=True)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:g}" width="100%" role="img" '
        f'aria-label="{said}" font-family="system-ui,-apple-system,Segoe UI,sans-serif" fill="{MIDDLE}" '
        f'class="fl-d-ink">{lanes}{boxes}</svg>'
    )


@dataclass(frozen=True)
class Axis:
    """Where columns lie from left to right: features on the left, the target at the right end."""

    columns: tuple[str, ...]
    target: bool

    @property
    def right(self) -> float:
        """The right end of the features."""
        return WIDTH - (TARGET_WIDTH + 3) * self.target

    def runs(self, held: Sequence[str]) -> list[tuple[float, float]]:
        """The stretches (left, right) of neighbouring columns among those ``held``."""
        have, step = set(held), self.right / max(len(self.columns), 1)
        runs = []
        for present, group in groupby(enumerate(self.columns), key=lambda pair: pair[1] in have):
            places = [place for place, _ in group]
            if present:
                runs.append((places[0] * step, (places[-1] + 1) * step - 1.5 * (places[-1] + 1 < len(self.columns))))
        return runs


def _lanes(owners: Sequence[Holding]) -> tuple[str, float]:
    """The owners' bars, one below the other, and where they end."""
    axis = Axis(
        tuple(dict.fromkeys(column for h in owners for column in h.columns)),
        any(h.target is not None for h in owners),
    )
    parts = [text(0, 12, _columns_words(owners), size=12, weight=600), _brace(axis)]
    y = 40.0
    drawn = owners if len(owners) <= MOST_OWNERS else owners[: MOST_OWNERS - 1]
    for owner in drawn:
        parts.append(_lane(owner, axis, y))
        y += LANE + GAP
    if len(drawn) < len(owners):
        rest = owners[len(drawn) :]
        words = f"and {len(rest)} more, each with {_shared(h.rows for h in rest) or 'rows of its own'}"
        parts.append(
            f'<rect x="1" y="{y + 1:g}" width="{WIDTH - 2}" height="{LANE - 2}" rx="5" fill="none" stroke="{OWNER}" '
            f'stroke-width="1.5" stroke-dasharray="4 3" class="fl-d-line"/>'
            + text(WIDTH / 2, y + 19.5, words, size=12, anchor="middle", room=WIDTH - 20)
        )
        y += LANE + GAP
    return "".join(parts), y - GAP


def _brace(axis: Axis) -> str:
    """The head of the bars: how many columns, and which is to be predicted."""

    def bracket(left: float, right: float, words: str) -> str:
        middle, half = (left + right) / 2, width_of(words, 12) / 2 + 6
        line = f"M{left + 0.5:g} 36v-6H{middle - half:g}M{middle + half:g} 30H{right - 0.5:g}v6"
        path = f'<path d="{line}" fill="none" stroke="{MIDDLE}" stroke-opacity=".6"/>'
        return path + text(middle, 34, words, size=12, anchor="middle")

    features = bracket(0, axis.right, counted(len(axis.columns), "column"))
    return features + (bracket(axis.right + 3, WIDTH, "target") if axis.target else "")


def _lane(owner: Holding, axis: Axis, y: float) -> str:
    """One owner: its name, its rows in words, its key, over the columns that it holds."""
    runs = axis.runs(owner.columns) or [(0.0, 0.0)]
    parts = [_empty(0, y, axis.right)] if len(set(owner.columns)) < len(axis.columns) else []
    parts += [_sheet(left, y, right - left, OWNER, "owner") for left, right in runs if right > left]
    left, right = max(runs, key=lambda run: run[1] - run[0])
    start = left + 9
    if owner.key in ICONS:
        icon, width = ICONS[owner.key]
        parts.append(icon(start, y + 8, PAPER))
        start += width + 6
    name = fit(owner.party, 13, right - start - 8, 650)
    parts.append(text(start, y + 19.5, name, size=13, weight=650, fill=PAPER))
    rest = right - start - width_of(name, 13, 650) - 16
    if width_of(owner.rows, 12) <= rest:
        parts.append(text(right - 9, y + 19, owner.rows, size=12, anchor="end", fill=PAPER))
    if owner.target is not None:
        parts.append(_sheet(axis.right + 3, y, TARGET_WIDTH, TARGET, "target"))
        x = axis.right + 3 + TARGET_WIDTH / 2
        parts.append(
            text(x, y + 19, owner.target, size=12, anchor="middle", fill=PAPER, room=TARGET_WIDTH - 10, weight=600)
        )
    elif axis.target:
        parts.append(_empty(axis.right + 3, y, TARGET_WIDTH))
    return f"<g>{''.join(parts)}</g>"


def _empty(x: float, y: float, width: float) -> str:
    """Where others hold columns and this owner does not."""
    return (
        f'<rect x="{x + 0.5:g}" y="{y + 0.5:g}" width="{width - 1:g}" height="{LANE - 1}" rx="5" fill="none" '
        f'stroke="{MIDDLE}" stroke-opacity=".45" stroke-dasharray="2 4"/>'
    )


def _sheet(x: float, y: float, width: float, colour: str, kind: str) -> str:
    """A bar with the fine lines of a table."""
    lines = "".join(f"M{x:.1f} {y + LANE * share:.1f}h{width:.1f}" for share in (1 / 3, 2 / 3))
    columns = max(2, round(width / 22))
    lines += "".join(f"M{x + width * i / columns:.1f} {y:g}v{LANE}" for i in range(1, columns))
    return (
        f'<rect x="{x:.1f}" y="{y:g}" width="{width:.1f}" height="{LANE}" rx="5" fill="{colour}" class="fl-d-{kind}"/>'
        f'<path d="{lines}" stroke="{PAPER}" stroke-opacity=".13" fill="none"/>'
    )


def _boxes(owners: Sequence[Holding], others: Sequence[Holding], top: float) -> tuple[str, float]:
    """The arrows below the owners, the server, the key holder, and where they end."""
    server = next(h for h in others if h.role == "server")
    keeper = next((h for h in others if h.role == "key holder"), None)
    if not server.may:
        return _beside(owners, server, keeper, top)
    floor = top + 50
    width = WIDTH if keeper is None else BOX_WIDTH
    sends = _shared(h.sends for h in owners) or "updates"
    back = 144 if keeper else 190
    parts = [
        _arrow(22, top + 5, 22, floor - 5),
        *_lines(32, top + 24, sends, back - 36),
        _arrow(back, floor - 5, back, top + 5),
        *_lines(back + 10, top + 24, server.sends, 100),
        _box(server, 0, floor, width, SERVER),
    ]
    if keeper is not None:
        left = WIDTH - BOX_WIDTH
        public = any(h.key == "public key" for h in owners)
        parts += [
            _arrow(left + 34, floor - 5, left + 34, top + 5, dash="" if public else "4 3"),
            padlock(left + 46, top + 15, MIDDLE),
            *_lines(left + 63, top + 24, "public key" if public else "public key, in round 1", 100),
            _arrow(BOX_WIDTH + 6, floor + 22, left - 6, floor + 22),
            text(WIDTH / 2, floor + 15, "sealed sum", size=11, anchor="middle"),
            _arrow(left - 6, floor + 47, BOX_WIDTH + 6, floor + 47),
            text(WIDTH / 2, floor + 62, keeper.sends, size=11, anchor="middle", room=left - BOX_WIDTH - 4),
            _box(keeper, left, floor, BOX_WIDTH, KEEPER),
        ]
    return "".join(parts), floor + BOX_HEIGHT + 1


def _beside(owners: Sequence[Holding], server: Holding, keeper: Holding | None, top: float) -> tuple[str, float]:
    """The same where owners exchange among themselves, and the server only finds rows and passes identities on."""
    exchange, floor = top + 18, top + 76
    sends = _shared(h.sends for h in owners) or "numbers, each in its way"
    parts = [
        _arrow(WIDTH / 2, exchange, 0, exchange),
        _arrow(WIDTH / 2, exchange, WIDTH, exchange),
        text(WIDTH / 2, exchange + 16, f"between owners: {sends}", size=12, anchor="middle", room=WIDTH),
        _arrow(22, top + 42, 22, floor - 5),
        *_lines(32, top + 58, "ids masked, or pseudonyms; scores", 150),
        _box(server, 0, floor, WIDTH if keeper is None else BOX_WIDTH, SERVER),
    ]
    if keeper is not None:
        left = WIDTH - BOX_WIDTH
        if keeper.key == "secret key":
            parts += [
                _arrow(left + 22, top + 42, left + 22, floor - 5),
                *_lines(left + 32, top + 58, "sealed numbers", 130),
            ]
        parts.append(_box(keeper, left, floor, BOX_WIDTH, KEEPER))
    return "".join(parts), floor + BOX_HEIGHT + 1


def _box(holding: Holding, x: float, y: float, width: float, colour: str) -> str:
    """A party without rows: its name, what it can do, and its key."""
    kind = "keeper" if holding.role == "key holder" else "server"
    start = x + 11
    icon = secret_key(start, y + 48, PAPER) if holding.key == "secret key" else ""
    return (
        f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{BOX_HEIGHT}" rx="7" fill="{colour}" '
        f'class="fl-d-{kind}"/>'
        + text(start, y + 20, holding.party[:1].upper() + holding.party[1:], size=13, weight=650, fill=PAPER)
        + text(start, y + 39, holding.powers or f"sends {holding.sends}", size=12, fill=PAPER, room=width - 18)
        + icon
        + text(
            start + 21 * bool(icon), y + 58, holding.material, size=12, fill=PAPER, room=width - 18 - 21 * bool(icon)
        )
    )


def _arrow(x1: float, y1: float, x2: float, y2: float, dash: str = "") -> str:
    """A line with a head at its second end, straight up, down, left or right."""
    head = {(0, 1): "l-4 -7h8z", (0, -1): "l-4 7h8z", (1, 0): "l-7 -4v8z", (-1, 0): "l7 -4v8z"}
    way = ((x2 > x1) - (x2 < x1), (y2 > y1) - (y2 < y1))
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    return (
        f'<path d="M{x1:g} {y1:g}L{x2 - 4 * way[0]:g} {y2 - 4 * way[1]:g}" stroke="{MIDDLE}" stroke-width="1.8" '
        f'fill="none" class="fl-d-line"{dashed}/><path d="M{x2:g} {y2:g}{head[way]}"/>'
    )


def _lines(x: float, y: float, words: str, room: float) -> Iterable[str]:
    """Words on two lines at most, around the height ``y``."""
    first, rest = "", words.split()
    while rest and width_of(f"{first} {rest[0]}", 12) <= room:
        first = f"{first} {rest.pop(0)}".strip()
    lines = [line for line in (first, " ".join(rest)) if line]
    start = y + 4 - 6.5 * (len(lines) - 1)
    return [text(x, start + 13 * i, line, size=12, room=room) for i, line in enumerate(lines)]


def _shared(values: Iterable[str]) -> str | None:
    """What all have in common, if they do."""
    different = set(values)
    return different.pop() if len(different) == 1 else None


def _columns_words(owners: Sequence[Holding]) -> str:
    alike = len({h.columns for h in owners}) <= 1
    rows = _shared(h.rows for h in owners)
    return "the same columns, different rows" if alike else "different columns" + (f" of {rows}" if rows else "")
