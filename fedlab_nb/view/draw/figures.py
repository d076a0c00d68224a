"""Interactive figures: pure functions from a snapshot to a plotly figure, to explore a run that is there."""

from __future__ import annotations

import json
import math
import textwrap
from html import escape
from typing import TYPE_CHECKING, Any

from fedlab_nb.records import Branch, Snapshot
from fedlab_nb.units import metric_name, number
from fedlab_nb.view.draw.curves import Bars, Curve, bars, course, curve, round_range, value_range
from fedlab_nb.view.draw.picture import change_words, snapshot_svg
from fedlab_nb.view.style import GREEN, MIDDLE, MIDDLE_BLUE, MIDDLE_ORANGE, PURPLE, VERMILLION, template
from fedlab_nb.view.words import OWN_MODELS, chart_title, line_words, sentence

if TYPE_CHECKING:
    import plotly.graph_objects as go

Trace = dict[str, Any]
# More owners than this would make a legend that hides the figure; the band and the hover still tell of them.
MOST_OWNERS = 12
MOST_MARKS = 40


def progress_figure(snapshot: Snapshot) -> go.Figure:
    """The run as an interactive figure: metric with band or noise, single owners, other courses, bytes of each round.

    Each owner's own line is in the legend, to be switched on.
    """
    import plotly.graph_objects as go

    line, data = curve(snapshot), bars(snapshot)
    traces = [
        *_bands(line),
        *(_course(branch, snapshot.metric) for branch in snapshot.branches),
        *_main(line),
        *_personal(line),
        *_owners(snapshot),
        *_failures(line),
    ]
    figure = go.Figure(data=[*traces, *_bytes(data)], layout=_layout(snapshot, line, data))
    for at, words in list(change_words(snapshot).items())[-MOST_MARKS:]:
        figure.add_vline(
            x=at - 0.5,
            line={"color": MIDDLE, "dash": "dot", "width": 1},
            annotation={"text": "◆", "hovertext": escape(words), "font": {"color": MIDDLE}},
        )
    return figure


def _bands(line: Curve) -> list[Trace]:
    faint = {"type": "scatter", "mode": "lines", "line": {"width": 0}, "fill": "toself", "hoverinfo": "skip"}
    rows = [
        (n, a, b)
        for n, a, b in zip(line.rounds, line.lowest, line.highest, strict=True)
        if a is not None and b is not None
    ]
    made: list[Trace] = []
    if rows:
        x = [n for n, _, _ in rows] + [n for n, _, _ in reversed(rows)]
        y = [b for _, _, b in rows] + [a for _, a, _ in reversed(rows)]
        made.append({**faint, "x": x, "y": y, "name": "owners, lowest to highest", "fillcolor": "rgba(86,180,233,.32)"})
    if line.noisy:
        upper = [v + s for v, s in zip(line.level, line.noise, strict=True)]
        lower = [v - s for v, s in zip(line.level, line.noise, strict=True)]
        x, y = [*line.rounds, *reversed(line.rounds)], [*upper, *reversed(lower)]
        made.append({**faint, "x": x, "y": y, "name": "±1 sd of the noise", "fillcolor": "rgba(86,180,233,.24)"})
    return made


def _course(branch: Branch, metric: str) -> Trace:
    points = course(branch.history, metric)
    return {
        "type": "scatter",
        "mode": "lines",
        "x": [n for n, _ in points],
        "y": [v for _, v in points],
        "name": escape(branch.label),
        "line": {"color": MIDDLE, "width": 2, "dash": "dash"},
        "hovertemplate": "%{y:.3f}<extra>%{fullData.name}</extra>",
    }


def _main(line: Curve) -> list[Trace]:
    name = metric_name(line.metric)
    shown: Trace = {
        "type": "scatter",
        "x": list(line.rounds),
        "y": list(line.level),
        "text": _hover(line),
        "mode": "lines" if line.noisy or len(line.rounds) > 60 else "lines+markers",
        "name": f"{name}, {line_words(line)}",
        "line": {"color": MIDDLE_BLUE, "width": 3},
        "marker": {"size": 6},
        "hovertemplate": "<b>%{y:.3f}</b>%{text}<extra>%{fullData.name}</extra>",
    }
    if not line.noisy:
        return [shown]
    releases = {
        "type": "scatter",
        "mode": "markers",
        "x": list(line.rounds),
        "y": list(line.values),
        "name": "release with noise",
        "marker": {"color": MIDDLE_BLUE, "size": 6, "opacity": 0.55},
        "hovertemplate": "%{y:.3f}<extra>%{fullData.name}</extra>",
    }
    return [releases, shown]


def _personal(line: Curve) -> list[Trace]:
    """The owners' own models together, where there are such."""
    if not line.personal:
        return []
    return [
        {
            "type": "scatter",
            "mode": "lines+markers" if len(line.personal) <= 60 else "lines",
            "x": [n for n, _ in line.personal],
            "y": [v for _, v in line.personal],
            "name": f"{metric_name(line.metric)}, {OWN_MODELS}",
            "line": {"color": MIDDLE_ORANGE, "width": 2.5, "dash": "dashdot"},
            "marker": {"size": 6, "symbol": "square"},
            "hovertemplate": "<b>%{y:.3f}</b><extra>%{fullData.name}</extra>",
        }
    ]


def _hover(line: Curve) -> list[str]:
    spread = zip(line.level_sd, line.lowest, line.highest, strict=True)
    return [
        (f" ± {number(sd)}" if sd else "") + (f" (owners {number(a)} to {number(b)})" if a is not None else "")
        for sd, a, b in spread
    ]


def _owners(snapshot: Snapshot) -> list[Trace]:
    """Each owner's own line, as far as it was released, hidden until it is asked for."""
    made: list[Trace] = []
    for name in snapshot.owners[:MOST_OWNERS]:
        own = [
            (r.number, r.owner_metrics[name].get(snapshot.metric)) for r in snapshot.history if name in r.owner_metrics
        ]
        points = [(n, v) for n, v in own if v is not None and math.isfinite(v)]
        if len(points) > 1:
            made.append(
                {
                    "type": "scatter",
                    "mode": "lines",
                    "x": [n for n, _ in points],
                    "y": [v for _, v in points],
                    "name": escape(name),
                    "visible": "legendonly",
                    "line": {"width": 1.5},
                    "hovertemplate": "%{y:.3f}<extra>%{fullData.name}</extra>",
                }
            )
    return made


def _failures(line: Curve) -> list[Trace]:
    if not line.failed:
        return []
    low, high = value_range(line)
    return [
        {
            "type": "scatter",
            "mode": "markers",
            "x": [n for n, _ in line.failed],
            "y": [low + 0.04 * (high - low)] * len(line.failed),
            "text": [_wrapped(why) for _, why in line.failed],
            "name": "failed round",
            "marker": {"symbol": "x", "size": 10, "color": VERMILLION},
            "hovertemplate": "%{text}<extra>failed</extra>",
        }
    ]


def _wrapped(words: str, width: int = 60) -> str:
    """Escaped text in short lines, as plotly's hover box does not wrap."""
    return "<br>".join(escape(part) for part in textwrap.wrap(words, width)[:8])


def _bytes(data: Bars) -> list[Trace]:
    bar = {
        "type": "bar",
        "yaxis": "y2",
        "x": list(data.rounds),
        "hovertemplate": "%{y:.3s}B<extra>%{fullData.name}</extra>",
    }
    plain = {
        **bar,
        "y": list(data.plain),
        "name": "bytes in the clear",
        "marker": {"color": GREEN, "line": {"width": 0}},
    }
    if not data.hidden:
        return [plain]
    pattern = {"shape": "/", "size": 5, "solidity": 0.25, "fillmode": "overlay", "fgcolor": "#6b2f52"}
    marker = {"color": PURPLE, "line": {"width": 0}, "pattern": pattern}
    return [plain, {**bar, "y": list(data.sent), "name": f"bytes as sent, {data.hidden}", "marker": marker}]


def _layout(snapshot: Snapshot, line: Curve, data: Bars) -> dict[str, Any]:
    """Metric above, bytes below, one axis of rounds, ranges that stand still while a run grows."""
    mean = f"<br>(mean of {data.each})" if data.each > 1 else ""
    units, powers = ["B", "kB", "MB", "GB", "TB"], range(13)
    return {
        "template": template(),
        "title": {"text": chart_title(snapshot), "x": 0.02, "font": {"size": 15}},
        "height": 460,
        "margin": {"l": 64, "r": 12, "t": 48, "b": 40},
        "hovermode": "x unified",
        "hoversubplots": "axis",
        "barmode": "group",
        "legend": {"orientation": "h", "y": -0.16},
        "xaxis": {
            "title": {"text": "round"},
            "range": [0.4, round_range(snapshot) + 0.6],
            "anchor": "y2",
            "tickformat": "d",
        },
        "yaxis": {
            "title": {"text": f"{metric_name(snapshot.metric)} on held-out rows"},
            "range": list(value_range(line)),
            "domain": [0.34, 1.0],
        },
        "yaxis2": {
            "title": {"text": f"bytes a round{mean}"},
            "type": "log",
            "range": list(_log_range(data)),
            "domain": [0.0, 0.24],
            "tickvals": [10**p for p in powers],
            "ticktext": [f"{10 ** (p % 3)} {units[p // 3]}" for p in powers],
        },
    }


def _log_range(data: Bars) -> tuple[float, float]:
    shown = [v for v in (*data.plain, *data.sent) if v > 0]
    if not shown:
        return 3.0, 6.0
    low = math.floor(math.log10(min(shown)) - 0.2)
    return low, max(math.ceil(math.log10(max(shown)) + 0.05), low + 1)


def shown_figure(snapshot: Snapshot) -> go.Figure:
    """``progress_figure``, which also shows where plotly cannot run: as a picture, and as a sentence."""
    import plotly.graph_objects as go

    class RunFigure(go.Figure):  # type: ignore[misc]
        # Plotly's own ways of showing leave no picture in the saved notebook, and a script that needs the network.
        _ipython_display_ = _repr_html_ = None

        def _repr_mimebundle_(self, *_: object, **__: object) -> dict[str, object]:
            return {
                "application/vnd.plotly.v1+json": json.loads(self.to_json()),
                "image/svg+xml": snapshot_svg(snapshot),
                "text/plain": sentence(snapshot),
            }

    return RunFigure(progress_figure(snapshot))
