"""A comparison as one SVG of plain shapes and text: what a saved notebook shows, without script."""

from __future__ import annotations

import math
from collections.abc import Iterable
from html import escape

from fedlab_nb.view.compare.chart import COLOURS, DASHES, LEVEL_DASHES, Chart, Line, Spot, colour_of, ends
from fedlab_nb.view.draw.curves import thinned
from fedlab_nb.view.draw.letters import clean, text
from fedlab_nb.view.draw.sketches import HIGH, WIDE, Plane, ticks
from fedlab_nb.view.style import MIDDLE

NAMES_WIDTH, NAME_HEIGHT = 150, 14
MOST_POINTS = 120

Point = tuple[float, float]


def chart_svg(chart: Chart) -> str:
    """Curves with their bands, levels, target; colours midway between white and dark paper.

    Each line bears its name and sign at its right end, so that nothing is told by colour alone.
    """
    plane = _plane(chart)
    x, y = chart.names
    body = [
        text(8, 20, chart.title, size=15, weight=600, room=WIDE - 16),
        text(8, 38, y, size=11, room=WIDE - 16),
        *_grid(chart, plane),
        *_bands(chart, plane),
        *_levels(chart, plane),
        *_target(chart, plane),
        *(part for n, line in enumerate(chart.lines) for part in _line(n, line, plane)),
        *_names(chart, plane),
        text((plane.left + plane.right) / 2, HIGH - 6, x, size=11, anchor="middle", room=WIDE - 80),
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDE} {HIGH}" width="100%" '
        f'style="max-width:{WIDE}px" role="img" aria-label="{escape(clean(chart.title), quote=True)}" '
        f'font-family="system-ui,-apple-system,Segoe UI,sans-serif" fill="{MIDDLE}">{"".join(body)}</svg>'
    )


def _plane(chart: Chart) -> Plane:
    last = max(chart.num_rounds, 1)
    return Plane((1.0 if last > 1 else 0.5, last if last > 1 else 1.5), chart.heights, right=WIDE - float(NAMES_WIDTH))


def _grid(chart: Chart, plane: Plane) -> list[str]:
    parts = []
    for value in ticks(*plane.y_range):
        line = _path([(plane.left, plane.y(value)), (plane.right, plane.y(value))], MIDDLE, width=1)
        parts.append(f'<g stroke-opacity=".3">{line}</g>')
        parts.append(text(plane.left - 6, plane.y(value) + 4, f"{value:.4g}", size=11, anchor="end"))
    return [
        *parts,
        *(
            text(plane.x(value), plane.bottom + 15, f"{value:.0f}", size=10, anchor="middle")
            for value in ([1.0] if chart.num_rounds < 2 else ticks(*plane.x_range, most=8))
            if value == int(value)
        ),
    ]


def _bands(chart: Chart, plane: Plane) -> list[str]:
    parts = []
    for n, line in enumerate(chart.lines):
        known = [spot for spot in _thin(line) if spot.low is not None and spot.high is not None]
        if len(known) > 1:
            edge = [(spot.round, spot.high) for spot in known] + [(s.round, s.low) for s in reversed(known)]
            places = _places((plane.x(x), _within(plane, y or 0.0)) for x, y in edge)
            parts.append(f'<path d="M{places}Z" fill="{colour_of(n)}" fill-opacity=".14"/>')
    return parts


def _levels(chart: Chart, plane: Plane) -> list[str]:
    return [
        _across(plane, level.value, LEVEL_DASHES[n % len(LEVEL_DASHES)][1])
        for n, level in enumerate(chart.levels)
        if math.isfinite(level.value)
    ]


def _target(chart: Chart, plane: Plane) -> list[str]:
    if chart.target is None:
        return []
    words = f"target {chart.target:g}"
    return [
        _across(plane, chart.target, "5 3", 1.2),
        text(plane.left + 4, plane.y(chart.target) + 12, words, size=11, room=200),
    ]


def _line(n: int, line: Line, plane: Plane) -> list[str]:
    points = [(plane.x(spot.round), plane.y(spot.value)) for spot in _thin(line) if math.isfinite(spot.value)]
    if not points:
        return []
    colour, (x, y) = colour_of(n), points[-1]
    end = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>'
    return [_path(points, colour, DASHES[n // len(COLOURS) % len(DASHES)][1]), end]


def _thin(line: Line) -> list[Spot]:
    places = thinned(((float(i), 0.0) for i in range(len(line.spots))), MOST_POINTS)
    return [line.spots[int(i)] for i, _ in places]


def _names(chart: Chart, plane: Plane) -> list[str]:
    """The names at the right ends, moved apart where two would lie on each other."""
    placed, above = [], -math.inf
    for y, name, colour in sorted((plane.y(value), name, colour) for value, name, colour in ends(chart)):
        above = max(y, above + NAME_HEIGHT)
        placed.append((above, name, colour))
    excess = max(placed[-1][0] - plane.bottom, 0.0) if placed else 0.0
    return [
        text(plane.right + 8, y - excess + 4, name, size=11, fill=colour, room=NAMES_WIDTH - 10)
        for y, name, colour in placed
    ]


def _within(plane: Plane, value: float) -> float:
    return min(max(plane.y(value), plane.top), plane.bottom)


def _across(plane: Plane, value: float, dash: str, width: float = 2.0) -> str:
    return _path([(plane.left, plane.y(value)), (plane.right, plane.y(value))], MIDDLE, dash, width)


def _path(points: Iterable[Point], colour: str, dash: str = "", width: float = 2.0) -> str:
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    return f'<path d="M{_places(points)}" fill="none" stroke="{colour}" stroke-width="{width:g}"{dashed}/>'


def _places(points: Iterable[Point]) -> str:
    return "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
