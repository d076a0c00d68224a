"""The picture of a run: a few kilobytes of plain shapes that every viewer shows, live or saved."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from fedlab_nb.records import History, Snapshot
from fedlab_nb.units import bytes_text, metric_name, number, setting_words
from fedlab_nb.view.draw.curves import Bars, Curve, bars, course, curve, round_range, thinned, value_range
from fedlab_nb.view.style import GREEN, MIDDLE, MIDDLE_BLUE, MIDDLE_ORANGE, MIDDLE_RED, PURPLE, UNIT_METRICS
from fedlab_nb.view.words import OWN_MODELS, line_words, sentence

WIDE, NARROW = 720, 360
METRIC_HEIGHT, GAP, BARS_HEIGHT, FOOT = 216, 40, 70, 34
MOST_LABELS, LABEL_WIDTH = 4, 150


@dataclass(frozen=True)
class Plane:
    """Where a round and a value lie in the picture: pixels from the upper left corner."""

    width: int
    top: int
    last: int
    low: float
    high: float
    left: int = 50
    margin: int = 12

    @property
    def right(self) -> int:
        """The right end of the axes."""
        return self.width - self.margin

    @property
    def floor(self) -> int:
        """The lower end of the metric's part."""
        return self.top + METRIC_HEIGHT

    @property
    def bottom(self) -> int:
        """The lower end of the bars' part."""
        return self.floor + GAP + BARS_HEIGHT

    @property
    def height(self) -> int:
        """The height of the whole picture."""
        return self.bottom + FOOT

    def x(self, round_number: float) -> float:
        """The place of a round."""
        return self.left + (self.right - self.left) * (round_number - 0.5) / self.last

    def y(self, value: float) -> float:
        """The place of a value of the metric."""
        share = (value - self.low) / (self.high - self.low)
        return self.floor - METRIC_HEIGHT * min(max(share, 0.0), 1.0)


def snapshot_svg(snapshot: Snapshot, *, width: int = WIDE, headline: bool = True, key: bool = True) -> str:
    """The run as one inline SVG: the metric by round with its band, other courses faintly, bytes by round.

    Plain shapes and text only (viewers drop style sheets and clip paths), colours midway between white and dark
    paper, at most eighty points a line: a few kilobytes whatever the length of the run. ``width`` is in pixels, so
    that letters keep their size on a narrow page. ``data-scale`` tells a page where rounds and values lie.
    """
    line, said = curve(snapshot), escape(sentence(snapshot), quote=True)
    low, high = value_range(line)
    top = 22 + (26 if headline else 0) + (20 if key else 0)
    plane = Plane(width, top, round_range(snapshot), low, high)
    body = [
        _text(8, 20, said, size=min(15, int(1.74 * width / len(said))), anchor="start", weight="600") * headline,
        _text(8, top - 26, _legend(snapshot, line), size=11, anchor="start") * key,
        _grid(line, plane),
        *(_branch(branch.history, snapshot.metric, plane) for branch in snapshot.branches),
        _changes(snapshot, plane),
        _metric(line, plane),
        _personal(line, plane),
        _bytes(bars(snapshot), plane),
        _text((plane.left + plane.right) / 2, plane.height - 4, "round", size=11),
    ]
    scale = ",".join(f"{v:g}" for v in (plane.left, plane.right, plane.last, plane.top, plane.floor, low, high))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {plane.height}" width="100%" '
        f'style="max-width:{width}px" role="img" aria-label="{said}" data-scale="{scale}" '
        f'font-family="system-ui,-apple-system,Segoe UI,sans-serif" fill="{MIDDLE}">{"".join(body)}</svg>'
    )


def _text(
    x: float, y: float, words: str, *, size: int = 11, anchor: str = "middle", weight: str = "400", fill: str = ""
) -> str:
    colour = f' fill="{fill}"' if fill else ""
    return (
        f'<text x="{x:.0f}" y="{y:.0f}" font-size="{size}" text-anchor="{anchor}" font-weight="{weight}"'
        f"{colour}>{words}</text>"
    )


def _rule(
    x1: float, y1: float, x2: float, y2: float, *, opacity: float = 0.3, colour: str = MIDDLE, dash: str = ""
) -> str:
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    return (
        f'<path d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}" stroke="{colour}" stroke-opacity="{opacity}" '
        f'stroke-width="1" fill="none"{dashed}/>'
    )


def _legend(snapshot: Snapshot, line: Curve) -> str:
    name = escape(f"{metric_name(line.metric)} on held-out rows, {line_words(line)}")
    key = [f'<tspan fill="{MIDDLE_BLUE}">━ {name}</tspan>']
    if line.personal:
        key.append(f'<tspan fill="{MIDDLE_ORANGE}">-·- {escape(OWN_MODELS)}</tspan>')
    if line.noisy:
        key = [
            f'<tspan fill="{MIDDLE_BLUE}">━ {escape(metric_name(line.metric))}, best estimate</tspan>',
            f'<tspan fill="{MIDDLE_BLUE}" fill-opacity=".8">● releases with privacy noise</tspan>',
            f'<tspan fill="{MIDDLE_BLUE}" fill-opacity=".8">▒ ±1 sd of that noise</tspan>',
        ]
    if line.banded:
        key.append(f'<tspan fill="{MIDDLE_BLUE}" fill-opacity=".8">▒ single owners, lowest to highest</tspan>')
    key += [f"- - {escape(branch.label)}" for branch in snapshot.branches[-1:]]
    if line.failed:
        key.append(f'<tspan fill="{MIDDLE_RED}">✕ failed round</tspan>')
    return "   ".join(key)


def _grid(line: Curve, plane: Plane) -> str:
    parts = []
    high = min(plane.high, 1.0) if line.metric in UNIT_METRICS else plane.high
    for i in range(5):
        value = plane.low + (high - plane.low) * i / 4
        parts.append(_rule(plane.left, plane.y(value), plane.right, plane.y(value), opacity=0.5 if i == 0 else 0.22))
        parts.append(_text(plane.left - 7, plane.y(value) + 4, f"{value:.3g}", anchor="end"))
    step = _step(plane.last, max(4, int((plane.right - plane.left) / 60)))
    parts += [_text(plane.x(n), plane.bottom + 15, str(n)) for n in range(step, plane.last + 1, step)]
    parts.append(_text(8, plane.top - 9, f"{escape(metric_name(line.metric))} on held-out rows", anchor="start"))
    if not line.rounds:
        words = f"no {escape(metric_name(line.metric))} has been released yet"
        parts.append(_text((plane.left + plane.right) / 2, (plane.top + plane.floor) / 2, words, size=13))
    return "".join(parts)


def _step(last: int, most: int) -> int:
    """The distance of the axis's labels: at most ``most`` of them, at round numbers."""
    return next((s for m in range(6) for s in (10**m, 2 * 10**m, 5 * 10**m) if last / s <= most), last)


def _branch(history: History, metric: str, plane: Plane) -> str:
    """Another course of the run, faintly."""
    points = course(history, metric)
    if not points:
        return ""
    path = " ".join(f"{plane.x(n):.1f},{plane.y(v):.1f}" for n, v in thinned(points))
    x, y = plane.x(points[-1][0]), plane.y(points[-1][1])
    return (
        f'<polyline points="{path}" fill="none" stroke="{MIDDLE}" stroke-width="1.8" stroke-dasharray="5 3"/>'
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.6" fill="{MIDDLE}"/>'
    )


def _changes(snapshot: Snapshot, plane: Plane) -> str:
    """A mark from each round on at which a setting changed; the newest ones with their words."""
    changed: dict[int, list[str]] = {}
    for number_, name, _, after in snapshot.changes:
        changed.setdefault(number_, []).append(setting_words(name, after))
    shown = list(changed.items())
    parts, free = [], plane.right + 1.0
    for at, words in reversed(shown[-40:]):
        x = plane.x(at - 0.5)
        parts.append(_rule(x, plane.top - 4, x, plane.bottom, opacity=0.75, dash="3 3"))
        parts.append(f'<path d="M{x:.1f} {plane.top - 10}l4.5 5l-4.5 5l-4.5 -5z" fill="{MIDDLE}"/>')
        label = words[0] if len(words) == 1 else f"{words[0]}, …"
        if x - plane.left > LABEL_WIDTH and free - x > 6.4 * len(label) + 14 and len(parts) <= 3 * MOST_LABELS:
            parts.append(_text(x + 8, plane.top - 2, escape(label), size=10, anchor="start"))
            free = x
    return "".join(parts)


def _area(points: Sequence[tuple[float, float, float]], plane: Plane, opacity: float) -> str:
    """A filled band through (round, lowest, highest)."""
    upper = thinned([(n, high) for n, _, high in points])
    lower = thinned([(n, low) for n, low, _ in points])
    if len(upper) == 1:
        upper = [(upper[0][0] - 0.2, upper[0][1]), (upper[0][0] + 0.2, upper[0][1])]
        lower = [(lower[0][0] - 0.2, lower[0][1]), (lower[0][0] + 0.2, lower[0][1])]
    corners = " ".join(f"{plane.x(n):.1f},{plane.y(v):.1f}" for n, v in [*upper, *reversed(lower)])
    return f'<polygon points="{corners}" fill="{MIDDLE_BLUE}" fill-opacity="{opacity}"/>' if corners else ""


def _metric(line: Curve, plane: Plane) -> str:
    owners = [
        (float(n), low, high)
        for n, low, high in zip(line.rounds, line.lowest, line.highest, strict=True)
        if low is not None and high is not None
    ]
    parts = [_area(owners, plane, 0.26)]
    if line.noisy:
        noise = zip(line.rounds, line.level, line.noise, strict=True)
        parts.append(_area([(float(n), v - s, v + s) for n, v, s in noise], plane, 0.22))
        dots = thinned(zip(line.rounds, line.values, strict=True))
        parts += [_dot(plane.x(n), plane.y(v), 2.4, ' fill-opacity=".5"') for n, v in dots]
    points = thinned(zip(line.rounds, line.level, strict=True))
    path = " ".join(f"{plane.x(n):.1f},{plane.y(v):.1f}" for n, v in points)
    parts.append(
        f'<polyline points="{path}" fill="none" stroke="{MIDDLE_BLUE}" stroke-width="2.6" stroke-linejoin="round"/>'
    )
    if not line.noisy and len(points) <= 30:
        parts += [_dot(plane.x(n), plane.y(v), 2.6) for n, v in points[:-1]]
    if points:
        parts.append(_dot(plane.x(points[-1][0]), plane.y(points[-1][1]), 4.5))
    for n, _ in thinned((float(n), 0.0) for n, _ in line.failed):
        parts.append(_rule(plane.x(n), plane.top, plane.x(n), plane.floor, opacity=0.5, colour=MIDDLE_RED))
        parts.append(_text(plane.x(n), plane.floor - 4, "✕", size=13, weight="700", fill=MIDDLE_RED))
    return "".join(parts)


def _personal(line: Curve, plane: Plane) -> str:
    """The owners' own models: a line of dashes and dots that ends in a square."""
    points = [(plane.x(n), plane.y(v)) for n, v in thinned((float(n), v) for n, v in line.personal)]
    if not points:
        return ""
    path, (x, y) = " ".join(f"{x:.1f},{y:.1f}" for x, y in points), points[-1]
    dashes = 'stroke-width="2.4" stroke-dasharray="8 3 2 3"'
    return (
        f'<polyline points="{path}" fill="none" stroke="{MIDDLE_ORANGE}" {dashes}/>'
        f'<path d="M{x - 4:.1f} {y - 4:.1f}h8v8h-8z" fill="{MIDDLE_ORANGE}"/>'
    )


def _dot(x: float, y: float, r: float, more: str = "") -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r}" fill="{MIDDLE_BLUE}"{more}/>'


def _bytes(data: Bars, plane: Plane) -> str:
    shown = [v for v in (*data.plain, *data.sent) if v > 0]
    if not shown:
        return ""
    low, high = math.floor(math.log10(min(shown)) - 0.2), math.ceil(math.log10(max(shown)))
    high = max(high, low + 1)

    def height(value: float) -> float:
        return BARS_HEIGHT * (math.log10(value) - low) / (high - low) if value > 0 else 0.0

    width = (plane.right - plane.left) / plane.last * data.each * 0.36
    parts = [_rule(plane.left, plane.bottom, plane.right, plane.bottom, opacity=0.5)]
    for power in range(low, high + 1, max(1, (high - low) // 2)):
        level = plane.bottom - height(10.0**power)
        parts += [
            _rule(plane.left, level, plane.right, level, opacity=0.22),
            _text(plane.left - 7, level + 4, bytes_text(10.0**power), size=10, anchor="end"),
        ]
    columns = [(data.plain, GREEN, -1.0), (data.sent, PURPLE, 0.0)] if data.hidden else [(data.sent, GREEN, -0.5)]
    for values, colour, shift in columns:
        boxes = "".join(
            f"M{plane.x(n) + shift * width:.1f} {plane.bottom}v{-height(v):.1f}h{width:.1f}v{height(v):.1f}z"
            for n, v in zip(data.rounds, values, strict=True)
            if v > 0
        )
        parts.append(f'<path d="{boxes}" fill="{colour}"/>')
    mean = f" (mean of {data.each})" if data.each > 1 else ""
    words = f'bytes a round{mean}: <tspan fill="{GREEN}">■</tspan> in the clear'
    if data.hidden:
        sent = f"as sent, {data.hidden}" if plane.width >= NARROW else data.hidden
        words += f'  <tspan fill="{PURPLE}">■</tspan> {sent}'
    return "".join(parts) + _text(8, plane.floor + GAP - 12, words, anchor="start")


def change_words(snapshot: Snapshot) -> dict[int, str]:
    """What changed from which round on, in words."""
    told: dict[int, list[str]] = {}
    for at, name, before, after in snapshot.changes:
        told.setdefault(at, []).append(f"{setting_words(name, after)} (before: {number(before)})")
    return {at: ", ".join(words) for at, words in told.items()}
