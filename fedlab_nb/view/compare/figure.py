"""A comparison as an interactive figure: hover for a round's mean and interval, click a name to hide its line."""

from __future__ import annotations

import json
import math
from html import escape
from typing import TYPE_CHECKING, Any

from fedlab_nb.units import number
from fedlab_nb.view.compare.chart import COLOURS, DASHES, LEVEL_DASHES, SYMBOLS, Chart, Level, Line, colour_of
from fedlab_nb.view.compare.picture import chart_svg
from fedlab_nb.view.style import MIDDLE, template

if TYPE_CHECKING:
    import plotly.graph_objects as go

Trace = dict[str, Any]
# With more rounds than this, markers would hide the lines.
MOST_MARKERS = 60


def chart_figure(chart: Chart) -> go.Figure:
    """Curves with their bands, levels and the target, which also show where plotly cannot run: as a picture."""
    import plotly.graph_objects as go

    class ComparisonFigure(go.Figure):  # type: ignore[misc]
        # Plotly's own ways of showing bring a script that needs the network.
        _ipython_display_ = _repr_html_ = None

        def _repr_mimebundle_(self, *_: object, **__: object) -> dict[str, object]:
            return {
                "application/vnd.plotly.v1+json": json.loads(self.to_json()),
                "image/svg+xml": chart_svg(chart),
                "text/plain": chart.title,
            }

    traces = [trace for n, line in enumerate(chart.lines) for trace in _traces(n, line)]
    traces += [_level(n, level, chart) for n, level in enumerate(chart.levels) if math.isfinite(level.value)]
    figure = ComparisonFigure(data=traces, layout=_layout(chart))
    if chart.target is not None:
        words = f"target {chart.target:g}"
        figure.add_hline(
            y=chart.target, line={"color": MIDDLE, "dash": "dash", "width": 1.2}, annotation={"text": words}
        )
    return figure


def _traces(n: int, line: Line) -> list[Trace]:
    """The band and the curve of one line."""
    colour, name = colour_of(n), escape(line.name)
    known = [spot for spot in line.spots if spot.low is not None]
    band: Trace = {
        "type": "scatter",
        "mode": "lines",
        "x": [spot.round for spot in known] + [spot.round for spot in reversed(known)],
        "y": [spot.high for spot in known] + [spot.low for spot in reversed(known)],
        "line": {"width": 0},
        "fill": "toself",
        "fillcolor": _faint(colour),
        "hoverinfo": "skip",
        "legendgroup": f"line {n}",
        "showlegend": False,
        "name": f"{name}, interval",
    }
    curve: Trace = {
        "type": "scatter",
        "mode": "lines+markers" if len(line.spots) <= MOST_MARKERS else "lines",
        "x": [spot.round for spot in line.spots],
        "y": [spot.value for spot in line.spots],
        "text": [f" ({number(s.low)} to {number(s.high)})" if s.low is not None else "" for s in line.spots],
        "line": {"color": colour, "width": 2.5, "dash": DASHES[n // len(COLOURS) % len(DASHES)][0]},
        "marker": {"size": 6, "symbol": SYMBOLS[n % len(SYMBOLS)]},
        "legendgroup": f"line {n}",
        "name": name,
        "hovertemplate": "<b>%{y:.4g}</b>%{text}<extra>%{fullData.name}</extra>",
    }
    return [band, curve] if known else [curve]


def _level(n: int, level: Level, chart: Chart) -> Trace:
    rounds = [1, chart.num_rounds]
    return {
        "type": "scatter",
        "mode": "lines" if chart.num_rounds > 1 else "markers",
        "x": rounds,
        "y": [level.value, level.value],
        "line": {"color": MIDDLE, "width": 2, "dash": LEVEL_DASHES[n % len(LEVEL_DASHES)][0]},
        "name": escape(level.name),
        "hovertemplate": "%{y:.4g}<extra>%{fullData.name}</extra>",
    }


def _layout(chart: Chart) -> dict[str, Any]:
    x, y = chart.names
    return {
        "template": template(),
        "title": {"text": escape(chart.title, quote=False), "x": 0.02, "font": {"size": 15}},
        "height": 440,
        "margin": {"l": 64, "r": 12, "t": 48, "b": 40},
        "hovermode": "x unified",
        "legend": {"orientation": "h", "y": -0.18},
        "xaxis": {"title": {"text": x}, "tickformat": "d", "range": [0.5, chart.num_rounds + 0.5]},
        "yaxis": {"title": {"text": escape(y).replace(", ", "<br>", 1)}, "range": list(chart.heights)},
    }


def _faint(colour: str) -> str:
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},.14)"
