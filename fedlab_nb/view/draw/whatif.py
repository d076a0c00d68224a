"""How good a model may be expected to be at each epsilon: an interactive figure, and the same as plain shapes."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from fedlab_nb.units import counted, metric_name
from fedlab_nb.view.draw.letters import clean, text
from fedlab_nb.view.draw.sketches import HIGH, WIDE, Plane, ticks
from fedlab_nb.view.style import BLUE, GREEN, MIDDLE, ORANGE, PURPLE, SKY, VERMILLION, template

if TYPE_CHECKING:
    import plotly.graph_objects as go

COLOURS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY)
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "star")
NAMES_WIDTH, NAME_HEIGHT = 104, 14


@dataclass(frozen=True)
class Point:
    """What rehearsals with one epsilon came to: the median of their scores, the lowest and the highest."""

    epsilon: float
    middle: float
    lowest: float
    highest: float


@dataclass(frozen=True)
class Sweep:
    """What is drawn: ``lines`` by number of rounds, points by epsilon; ``without`` is the score without privacy.

    ``repeats`` is how many rehearsals each point stands for.
    """

    title: str
    metric: str
    repeats: int
    lines: tuple[tuple[int, tuple[Point, ...]], ...]
    without: float

    @property
    def names(self) -> tuple[str, str]:
        """What the axes are called."""
        of = f", median of {self.repeats} rehearsals" if self.repeats > 1 else ""
        return "epsilon (logarithmic; smaller is more private)", f"{metric_name(self.metric)} on rows held apart{of}"

    @property
    def epsilons(self) -> list[float]:
        """Every epsilon of a point, in order."""
        return sorted({point.epsilon for _, points in self.lines for point in points})


def sweep_figure(sweep: Sweep) -> go.Figure:
    """Scores against epsilon, one line for each number of rounds with the range of its rehearsals as a band."""
    import plotly.graph_objects as go

    class SweepFigure(go.Figure):  # type: ignore[misc]
        # Plotly's own ways of showing bring a script that needs the network.
        _ipython_display_ = _repr_html_ = None

        def _repr_mimebundle_(self, *_: object, **__: object) -> dict[str, object]:
            return {
                "application/vnd.plotly.v1+json": json.loads(self.to_json()),
                "image/svg+xml": sweep_svg(sweep),
                "text/plain": sweep.title,
            }

    x, y = sweep.names
    traces = [
        trace for number, (rounds, points) in enumerate(sweep.lines) for trace in _traces(number, rounds, points, sweep)
    ]
    figure = SweepFigure(data=[*traces, _without(sweep)])
    figure.update_layout(
        template=template(),
        title={"text": escape(sweep.title, quote=False), "x": 0.02, "font": {"size": 15}},
        height=420,
        margin={"l": 64, "r": 12, "t": 48, "b": 40},
        legend={"orientation": "h", "y": -0.2},
        xaxis={
            "title": {"text": x},
            "type": "log",
            "tickvals": sweep.epsilons,
            "ticktext": [f"{epsilon:g}" for epsilon in sweep.epsilons],
        },
        yaxis={"title": {"text": escape(y).replace(", ", "<br>")}},
    )
    return figure


def _traces(number: int, rounds: int, points: Sequence[Point], sweep: Sweep) -> list[dict[str, Any]]:
    """The band and the line of one number of rounds."""
    colour, name = COLOURS[number % len(COLOURS)], counted(rounds, "round")
    epsilons = [point.epsilon for point in points]
    band = {
        "type": "scatter",
        "mode": "lines",
        "x": [*epsilons, *reversed(epsilons)],
        "y": [*(point.highest for point in points), *(point.lowest for point in reversed(points))],
        "line": {"width": 0},
        "fill": "toself",
        "fillcolor": _faint(colour),
        "hoverinfo": "skip",
        "legendgroup": name,
        "showlegend": False,
        "name": f"{name}, lowest to highest",
    }
    line = {
        "type": "scatter",
        "mode": "lines+markers",
        "x": epsilons,
        "y": [point.middle for point in points],
        "customdata": [[point.lowest, point.highest] for point in points],
        "line": {"color": colour, "width": 2.5},
        "marker": {"size": 8, "symbol": SYMBOLS[number % len(SYMBOLS)]},
        "legendgroup": name,
        "name": name,
        "hovertemplate": "epsilon %{x:.3g}: <b>%{y:.3f}</b> (%{customdata[0]:.3f} to %{customdata[1]:.3f})"
        "<extra>%{fullData.name}</extra>",
    }
    return [band, line] if sweep.repeats > 1 else [line]


def _without(sweep: Sweep) -> dict[str, Any]:
    ends = [sweep.epsilons[0], sweep.epsilons[-1]]
    return {
        "type": "scatter",
        "mode": "lines" if ends[0] < ends[1] else "markers",
        "x": ends,
        "y": [sweep.without, sweep.without],
        "line": {"color": MIDDLE, "width": 2, "dash": "dash"},
        "name": "no privacy",
        "hovertemplate": "%{y:.3f}<extra>no privacy</extra>",
    }


def _faint(colour: str) -> str:
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},.16)"


def sweep_svg(sweep: Sweep) -> str:
    """``sweep_figure`` as one SVG of plain shapes and text, colours midway between white and dark paper.

    Each line bears its name at its right end, so that nothing is told by colour alone.
    """
    plane = _plane(sweep)
    x, y = sweep.names
    body = [
        text(8, 20, sweep.title, size=15, weight=600, room=WIDE - 16),
        text(8, 38, y, size=11, room=WIDE - 16),
        *_grid(sweep, plane),
        *(
            part
            for number, (_, points) in enumerate(sweep.lines)
            for part in _line(points, COLOURS[number % len(COLOURS)], plane)
        ),
        _path([(plane.left, plane.y(sweep.without)), (plane.right, plane.y(sweep.without))], MIDDLE, "6 4"),
        *_names(sweep, plane),
        text((plane.left + plane.right) / 2, HIGH - 6, x, size=11, anchor="middle", room=WIDE - 80),
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDE} {HIGH}" width="100%" '
        f'style="max-width:{WIDE}px" role="img" aria-label="{escape(clean(sweep.title), quote=True)}" '
        f'font-family="system-ui,-apple-system,Segoe UI,sans-serif" fill="{MIDDLE}">{"".join(body)}</svg>'
    )


def _plane(sweep: Sweep) -> Plane:
    """Where the logarithm of epsilon and a score lie; a single epsilon or score gets some room around it."""
    known = [
        value
        for value in (sweep.without, *(v for _, points in sweep.lines for p in points for v in (p.lowest, p.highest)))
        if math.isfinite(value)
    ]
    low, high = min(known, default=0.0), max(known, default=1.0)
    room = 0.06 * (high - low) or 0.5
    first, last = math.log10(sweep.epsilons[0]), math.log10(sweep.epsilons[-1])
    beside = 0.02 * (last - first) or 0.5
    return Plane((first - beside, last + beside), (low - room, high + room), right=WIDE - float(NAMES_WIDTH))


def _grid(sweep: Sweep, plane: Plane) -> list[str]:
    parts = []
    for value in ticks(*plane.y_range):
        ends = ((plane.left, plane.y(value)), (plane.right, plane.y(value)))
        parts.append(f'<g stroke-opacity=".3">{_path(ends, MIDDLE, width=1)}</g>')
        parts.append(text(plane.left - 6, plane.y(value) + 4, f"{value:.3g}", size=11, anchor="end"))
    for epsilon in sweep.epsilons:
        at = plane.x(math.log10(epsilon))
        parts.append(text(at, plane.bottom + 15, f"{epsilon:g}", size=10, anchor="middle"))
    return parts


def _line(points: Sequence[Point], colour: str, plane: Plane) -> list[str]:
    """The band of one number of rounds, its line, and a dot for each epsilon."""
    known = [(plane.x(math.log10(p.epsilon)), p) for p in points if math.isfinite(p.highest - p.lowest)]
    if not known:
        return []
    edge = [(x, plane.y(p.highest)) for x, p in known] + [(x, plane.y(p.lowest)) for x, p in reversed(known)]
    middle = [(x, plane.y(p.middle)) for x, p in known]
    band = f'<path d="M{_places(edge)}Z" fill="{colour}" fill-opacity=".16"/>'
    dots = (f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in middle)
    return [band, _path(middle, colour), *dots]


def _names(sweep: Sweep, plane: Plane) -> list[str]:
    """The names of the lines at their ends, moved apart where two would lie on each other."""
    named = [
        (points[-1].middle, counted(rounds, "round"), number) for number, (rounds, points) in enumerate(sweep.lines)
    ]
    wanted = [(plane.y(at), name, COLOURS[n % len(COLOURS)]) for at, name, n in named if math.isfinite(at)]
    placed, above = [], -math.inf
    for at, name, colour in sorted([*wanted, (plane.y(sweep.without), "no privacy", MIDDLE)]):
        above = max(at, above + NAME_HEIGHT)
        placed.append((above, name, colour))
    excess = max(placed[-1][0] - plane.bottom, 0.0)
    return [
        text(plane.right + 8, y - excess + 4, name, size=11, fill=colour, room=NAMES_WIDTH - 10)
        for y, name, colour in placed
    ]


def _path(points: Iterable[tuple[float, float]], colour: str, dash: str = "", width: float = 2.0) -> str:
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    return f'<path d="M{_places(points)}" fill="none" stroke="{colour}" stroke-width="{width:g}"{dashed}/>'


def _places(points: Iterable[tuple[float, float]]) -> str:
    return "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
