"""An answer's figure as plain shapes: what a saved notebook shows wherever plotly cannot run."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from fedlab_nb.view.draw.letters import clean, fit, text
from fedlab_nb.view.style import BLUE, MIDDLE, MIDDLE_BLUE

Trace = dict[str, Any]

WIDE, HIGH = 720, 320
MOST_LINES, MOST_CELLS = 6, 150


@dataclass(frozen=True)
class Plane:
    """Where values lie in the picture: pixels from the upper left corner; x and y run over the values' ranges."""

    x_range: tuple[float, float]
    y_range: tuple[float, float]
    left: float = 66.0
    right: float = WIDE - 12.0
    top: float = 46.0
    bottom: float = HIGH - 46.0

    def x(self, value: float) -> float:
        """The place of a value along the picture."""
        low, high = self.x_range
        return self.left + (self.right - self.left) * (value - low) / (high - low)

    def y(self, value: float) -> float:
        """The place of a value up the picture."""
        low, high = self.y_range
        return self.bottom - (self.bottom - self.top) * (value - low) / (high - low)


def sketch_svg(title: str, traces: Sequence[Trace], names: tuple[str, str]) -> str:
    """The figure of these plotly traces as one inline SVG; ``names`` are those of its axes.

    Plain shapes and text only, colours midway between white and dark paper.
    """
    kind = traces[0]["type"]
    drawn = {"heatmap": _heat_map, "bar": _bars, "box": _boxes, "scatter": _scatter}[kind](traces)
    said = clean(title)
    body = [
        text(8, 20, title, size=15, weight=600, room=WIDE - 16),
        text(8, 38, names[1], size=11, room=WIDE - 16),
        *drawn,
        text((66 + WIDE) / 2, HIGH - 6, names[0], size=11, anchor="middle", room=WIDE - 80),
    ]
    label = said.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDE} {HIGH}" width="100%" '
        f'style="max-width:{WIDE}px" role="img" aria-label="{label}" '
        f'font-family="system-ui,-apple-system,Segoe UI,sans-serif" fill="{MIDDLE}">{"".join(body)}</svg>'
    )


def _finite(values: Iterable[float]) -> list[float]:
    return [float(value) for value in values if math.isfinite(value)]


def _range(values: Iterable[float]) -> tuple[float, float]:
    """A range that holds the values, with a little room; from 0 to 1 where there are none."""
    known = _finite(values)
    if not known:
        return 0.0, 1.0
    low, high = min(known), max(known)
    room = (high - low) * 0.05 or 0.5
    return (low if low == 0.0 else low - room), high + room


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers within a range, at most ``most`` of them.

    >>> ticks(0.0, 1.05)
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    """
    power = 10.0 ** math.floor(math.log10((high - low) / most))
    step = next((m * power for m in (1, 2, 5, 10, 20) if (high - low) / (m * power) < most), high - low)
    first, last = math.ceil(low / step), math.floor(high / step)
    return [float(f"{i * step:.12g}") for i in range(first, last + 1)]


def _path(points: Iterable[tuple[float, float]], colour: str, width: float = 2.0) -> str:
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="{width:g}"/>'


def _box(x: float, y: float, width: float, height: float, colour: str, opacity: float = 1.0) -> str:
    faint = f' fill-opacity="{opacity:.2f}"' if opacity < 1 else ""
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{colour}"{faint}/>'


def _grid(plane: Plane) -> list[str]:
    parts = []
    for value in ticks(*plane.y_range):
        ends = ((plane.left, plane.y(value)), (plane.right, plane.y(value)))
        parts.append(f'<g stroke-opacity=".3">{_path(ends, MIDDLE, 1)}</g>')
        parts.append(text(plane.left - 6, plane.y(value) + 4, f"{value:.3g}", size=11, anchor="end"))
    return parts


def _slots(labels: Sequence[object], plane: Plane) -> list[str]:
    """The labels under equal slots, as many as there is room for."""
    slot = (plane.right - plane.left) / max(len(labels), 1)
    every = max(1, math.ceil(34 / slot))
    return [
        text(plane.left + (i + 0.5) * slot, plane.bottom + 15, str(label), size=10, anchor="middle", room=slot * every)
        for i, label in enumerate(labels)
        if i % every == 0
    ]


def _error(x: float, value: float, error: float, plane: Plane) -> str:
    if not math.isfinite(error) or not error > 0:
        return ""
    low, high = plane.y_range
    ends = [(x, plane.y(min(max(value + side * error, low), high))) for side in (-1, 1)]
    return _path(ends, MIDDLE, 1.4)


def _errors(trace: Trace) -> list[float]:
    found = trace.get("error_y", {}).get("array")
    return list(found) if found is not None else [0.0] * len(trace["y"])


def _bars(traces: Sequence[Trace]) -> list[str]:
    (trace,) = traces
    heights, errors = list(trace["y"]), _errors(trace)
    ends = [
        h + side * (e if math.isfinite(e) else 0.0) for h, e in zip(heights, errors, strict=True) for side in (-1, 1)
    ]
    plane = Plane((0.0, max(len(heights), 1)), _range([0.0, *ends]))
    parts = _grid(plane)
    slot = (plane.right - plane.left) / max(len(heights), 1)
    for i, (height, error) in enumerate(zip(heights, errors, strict=True)):
        if math.isfinite(height):
            top, floor = sorted((plane.y(height), plane.y(0.0)))
            parts.append(_box(plane.left + (i + 0.15) * slot, top, 0.7 * slot, floor - top, BLUE))
            parts.append(_error(plane.left + (i + 0.5) * slot, height, error, plane))
        elif "meta" in trace:
            at = plane.left + (i + 0.5) * slot, plane.y(0.0) - 4
            parts.append(text(*at, trace["meta"], size=10, anchor="middle"))
    return [*parts, *_slots(trace["text"] if "text" in trace else trace["x"], plane)]


def _boxes(traces: Sequence[Trace]) -> list[str]:
    (trace,) = traces
    names = list(trace["x"])
    plane = Plane((0.0, len(names)), _range([*trace["q1"], *trace["q3"], *trace["mean"]]))
    parts = _grid(plane)
    slot = (plane.right - plane.left) / max(len(names), 1)
    for i, facts in enumerate(zip(trace["q1"], trace["median"], trace["q3"], trace["mean"], strict=True)):
        if all(map(math.isfinite, facts)):
            low, middle, high, mean = map(plane.y, facts)
            left, right, centre = (plane.left + (i + part) * slot for part in (0.2, 0.8, 0.5))
            parts.append(_box(left, high, right - left, low - high, MIDDLE_BLUE, 0.35))
            parts.append(_path([(left, middle), (right, middle)], MIDDLE_BLUE))
            parts.append(f'<circle cx="{centre:.1f}" cy="{mean:.1f}" r="3" fill="{MIDDLE_BLUE}"/>')
    return [*parts, *_slots(names, plane)]


def _scatter(traces: Sequence[Trace]) -> list[str]:
    lines = [trace for trace in traces if trace.get("hoverinfo") != "skip"]
    if lines[0]["mode"] == "markers":
        return _points(lines[0])
    xs, ys = ([v for line in lines for v in line[axis]] for axis in ("x", "y"))
    plane = Plane(_range(xs), _range([0.0, *ys]))
    parts = _grid(plane)
    for value in ticks(*plane.x_range):
        parts.append(text(plane.x(value), plane.bottom + 15, f"{value:.3g}", size=10, anchor="middle"))
    for i, line in enumerate(lines[:MOST_LINES]):
        colour, points = line["line"]["color"], list(zip(line["x"], line["y"], strict=True))
        if line["line"].get("shape") == "hv":
            points = [p for a, b in pairwise(points) for p in (a, (b[0], a[1]))] + points[-1:]
        known = [(plane.x(x), plane.y(y)) for x, y in points if math.isfinite(x) and math.isfinite(y)]
        parts.append(_path(known, colour))
        parts.append(text(plane.right - 4, plane.top + 14 * i + 8, line["name"], size=11, anchor="end", fill=colour))
    return parts


def _points(trace: Trace) -> list[str]:
    errors = _errors(trace)
    ends = [y + side * e for y, e in zip(trace["y"], errors, strict=True) for side in (-1, 1)]
    plane = Plane((0.0, max(len(ends) / 2, 1.0)), _range([0.0, *ends]))
    parts = _grid(plane)
    for i, (value, error) in enumerate(zip(trace["y"], errors, strict=True)):
        if math.isfinite(value):
            parts.append(_error(plane.x(i + 0.5), value, error, plane))
            parts.append(f'<circle cx="{plane.x(i + 0.5):.1f}" cy="{plane.y(value):.1f}" r="4" fill="{BLUE}"/>')
    return [*parts, *_slots(trace["x"], plane)]


def _heat_map(traces: Sequence[Trace]) -> list[str]:
    (trace,) = traces
    rows, names, labels = trace["z"], list(trace["x"]), list(trace["y"])
    plane = Plane((0.0, len(names)), (0.0, len(rows)), left=150.0)
    known = _finite(value for row in rows for value in row)
    low = trace["zmin"] if trace["zmin"] is not None else min(known, default=0.0)
    high = trace["zmax"] if trace["zmax"] is not None else max(known, default=1.0)
    width, height = (plane.right - plane.left) / len(names), (plane.bottom - plane.top) / len(rows)
    written = len(names) * len(rows) <= MOST_CELLS
    parts = []
    for i, row in enumerate(rows):
        y = plane.top + i * height
        parts.append(text(plane.left - 6, y + height / 2 + 4, fit(labels[i], 10, 130), size=10, anchor="end"))
        for j, value in enumerate(row):
            if math.isfinite(value):
                colour, opacity = _shade(value, low, high, trace["colorscale"])
                parts.append(_box(plane.left + j * width, y, width - 1, height - 1, colour, opacity))
            if written:
                words = f"{value:.3g}" if math.isfinite(value) else "–"
                at = plane.left + (j + 0.5) * width, y + height / 2 + 4
                parts.append(text(*at, words, size=10, anchor="middle", room=width))
    return [*parts, *_slots(names, plane)]


def _shade(value: float, low: float, high: float, scale: Sequence[tuple[float, str]]) -> tuple[str, float]:
    """The colour of a cell and how strong it is: the ends of the scale over any paper."""
    share = min(max((value - low) / ((high - low) or 1.0), 0.0), 1.0)
    if len(scale) == 2:
        return scale[1][1], 0.06 + 0.4 * share
    return (scale[2][1] if share >= 0.5 else scale[0][1]), 0.06 + 0.8 * abs(share - 0.5)
