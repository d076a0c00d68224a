"""Charts: pure functions from a snapshot to a plotly figure, and to the few numbers that an update must send."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from fedlab_nb.records import Snapshot
from fedlab_nb.view.draw.curves import Bars, Curve, bars, better, curve, round_range, value_range
from fedlab_nb.view.draw.picture import snapshot_svg
from fedlab_nb.view.style import (
    GREEN,
    MIDDLE,
    MIDDLE_BLUE,
    PURPLE,
    VERMILLION,
    epsilon_text,
    metric_name,
    number,
    template,
)
from fedlab_nb.view.words import sentence

if TYPE_CHECKING:
    import plotly.graph_objects as go

Numbers = dict[str, Any]
# Loading plotly takes three seconds of a core, and training feels it: only a run with this many seconds left pays them.
WORTH_PLOTLY = 20.0
BAND, NOISE, RELEASES, GLOBAL, FAILED, PLAIN, SENT = range(7)


def chart_title(snapshot: Snapshot) -> str:
    """What is seen, in words: "Accuracy rises from 0.73 to 0.96 in 14 rounds"."""
    line = curve(snapshot)
    name = metric_name(line.metric)
    name = name[0].upper() + name[1:]
    if not line.rounds:
        return f"{name} by round: none has been released yet"
    first, last = line.level[0], line.level[-1]
    if len(line.rounds) == 1:
        return f"{name} {number(last)} after the first round"
    moves = "stays near" if abs(last - first) < 0.005 * max(abs(first), 1e-12) else ""
    if moves:
        return f"{name} stays near {number(last)} over {line.rounds[-1]} rounds"
    verb = "rises" if last > first else "falls"
    close = "" if better(line.metric, first, last) else " (worse)"
    return f"{name} {verb} from {number(first)} to {number(last)} in {line.rounds[-1]} rounds{close}"


def progress_numbers(snapshot: Snapshot) -> tuple[list[Numbers], Numbers]:
    """What changes from round to round: the arrays of the seven traces, and the ranges of the axes."""
    line, data = curve(snapshot), bars(snapshot)
    name = metric_name(line.metric)
    low, high = value_range(line)
    last = round_range(snapshot)
    floor, ceiling = _log_range(data)
    traces: list[Numbers] = [
        _owners_band(line),
        _noise_band(line),
        {"x": list(line.rounds) if line.noisy else [], "y": list(line.values) if line.noisy else []},
        {
            "x": list(line.rounds),
            "y": list(line.level),
            "text": _hover(line),
            "mode": "lines" if line.noisy or len(line.rounds) > 60 else "lines+markers",
            "name": f"{name}, best estimate" if line.noisy else f"{name}, all owners",
        },
        {
            "x": [n for n, _ in line.failed],
            "y": [low + 0.04 * (high - low)] * len(line.failed),
            "text": [_wrapped(why) for _, why in line.failed],
        },
        {"x": list(data.rounds), "y": list(data.plain)},
        {"x": list(data.rounds) if data.sealed else [], "y": list(data.sent) if data.sealed else []},
    ]
    for trace in traces:
        # Plotly's widget forgets the looks of a trace that starts empty; one missing point keeps them.
        trace.update({} if trace["x"] else {"x": [None], "y": [None]})
    ranges = {"x": [0.4, last + 0.6], "y": [low, high], "bytes": [floor, ceiling]}
    return traces, ranges


def _owners_band(line: Curve) -> Numbers:
    rows = [
        (n, a, b)
        for n, a, b in zip(line.rounds, line.lowest, line.highest, strict=True)
        if a is not None and b is not None
    ]
    return {
        "x": [n for n, _, _ in rows] + [n for n, _, _ in reversed(rows)],
        "y": [b for _, _, b in rows] + [a for _, a, _ in reversed(rows)],
    }


def _noise_band(line: Curve) -> Numbers:
    if not line.noisy:
        return {"x": [], "y": []}
    upper = [v + s for v, s in zip(line.level, line.noise, strict=True)]
    lower = [v - s for v, s in zip(line.level, line.noise, strict=True)]
    return {"x": [*line.rounds, *reversed(line.rounds)], "y": [*upper, *reversed(lower)]}


def _hover(line: Curve) -> list[str]:
    spread = zip(line.level_sd, line.lowest, line.highest, strict=True)
    return [
        (f" ± {number(sd)}" if sd else "") + (f" (owners {number(a)} to {number(b)})" if a is not None else "")
        for sd, a, b in spread
    ]


def _wrapped(words: str, width: int = 60) -> str:
    """Escaped text in short lines, as plotly's hover box does not wrap."""
    import textwrap

    return "<br>".join(escape(part) for part in textwrap.wrap(words, width)[:8])


def _log_range(data: Bars) -> tuple[float, float]:
    import math

    shown = [v for v in (*data.plain, *data.sent) if v > 0]
    if not shown:
        return 3.0, 6.0
    low = math.floor(math.log10(min(shown)) - 0.2)
    return low, max(math.ceil(math.log10(max(shown)) + 0.05), low + 1)


def progress_traces(snapshot: Snapshot) -> list[Numbers]:
    """The seven traces, always the same seven in the same order, so that an update only sends numbers."""
    traces, _ = progress_numbers(snapshot)
    faint = {"type": "scatter", "mode": "lines", "line": {"width": 0}, "fill": "toself", "hoverinfo": "skip"}
    bar = {"type": "bar", "yaxis": "y2", "hovertemplate": "%{y:.3s}B<extra>%{fullData.name}</extra>"}
    looks: list[Numbers] = [
        {**faint, "name": "single owners, lowest to highest", "fillcolor": "rgba(86,180,233,.32)"},
        {**faint, "name": "±1 sd of the noise", "fillcolor": "rgba(86,180,233,.24)"},
        {
            "type": "scatter",
            "mode": "markers",
            "name": "release with noise",
            "marker": {"color": MIDDLE_BLUE, "size": 6, "opacity": 0.55},
            "hovertemplate": "%{y:.3f}<extra>%{fullData.name}</extra>",
        },
        {
            "type": "scatter",
            "line": {"color": MIDDLE_BLUE, "width": 3},
            "marker": {"size": 6},
            "hovertemplate": "<b>%{y:.3f}</b>%{text}<extra>%{fullData.name}</extra>",
        },
        {
            "type": "scatter",
            "mode": "markers",
            "name": "failed round",
            "marker": {"symbol": "x", "size": 10, "color": VERMILLION},
            "hovertemplate": "%{text}<extra>failed</extra>",
        },
        {**bar, "name": "in the clear", "marker": {"color": GREEN, "line": {"width": 0}}},
        {
            **bar,
            "name": "as sent, encrypted",
            "marker": {
                "color": PURPLE,
                "line": {"width": 0},
                "pattern": {"shape": "/", "size": 5, "solidity": 0.25, "fillmode": "overlay", "fgcolor": "#6b2f52"},
            },
        },
    ]
    return [{**look, **numbers, "showlegend": False} for look, numbers in zip(looks, traces, strict=True)]


def progress_layout(snapshot: Snapshot, *, title: bool = True) -> Numbers:
    """The layout of the progress chart: metric above, bytes below, one axis of rounds, ranges that stand still."""
    _, ranges = progress_numbers(snapshot)
    each = bars(snapshot).each
    mean = f"<br>(mean of {each})" if each > 1 else ""
    powers = list(range(0, 13))
    units = ["B", "kB", "MB", "GB", "TB"]
    return {
        "template": template(),
        "title": {"text": chart_title(snapshot), "x": 0.02, "font": {"size": 15}} if title else None,
        "height": 440 if title else 400,
        "margin": {"l": 64, "r": 12, "t": 48 if title else 8, "b": 40},
        "uirevision": "keep",
        "hovermode": "x unified",
        "hoversubplots": "axis",
        "barmode": "group",
        "xaxis": {"title": {"text": "round"}, "range": ranges["x"], "anchor": "y2", "tickformat": "d"},
        "yaxis": {
            "title": {"text": f"{metric_name(snapshot.metric)} on held-out rows"},
            "range": ranges["y"],
            "domain": [0.34, 1.0],
        },
        "yaxis2": {
            "title": {"text": f"bytes a round{mean}"},
            "type": "log",
            "range": ranges["bytes"],
            "domain": [0.0, 0.24],
            "tickvals": [10**p for p in powers],
            "ticktext": [f"{10 ** (p % 3)} {units[p // 3]}" for p in powers],
        },
    }


def progress_figure(snapshot: Snapshot) -> go.Figure:
    """The run as an interactive figure: the metric with its band or noise, failed rounds, bytes of each round."""
    import plotly.graph_objects as go

    figure = go.Figure(data=progress_traces(snapshot), layout=progress_layout(snapshot))
    for position in (BAND, NOISE, RELEASES, GLOBAL, FAILED, PLAIN, SENT):
        trace = figure.data[position]
        trace.showlegend = any(v is not None for v in trace.x)
    figure.update_layout(legend={"orientation": "h", "y": -0.16})
    return figure


def shown_figure(snapshot: Snapshot) -> go.Figure:
    """``progress_figure``, which also shows where plotly cannot run: as a picture, and as a sentence."""
    import json

    import plotly.graph_objects as go

    class RunFigure(go.Figure):  # type: ignore[misc]
        _ipython_display_ = None  # plotly's own way of showing leaves no picture in the saved notebook

        def _repr_mimebundle_(self, *_: object, **__: object) -> dict[str, object]:
            return {
                "application/vnd.plotly.v1+json": json.loads(self.to_json()),
                "image/svg+xml": snapshot_svg(snapshot),
                "text/plain": sentence(snapshot),
            }

    return RunFigure(progress_figure(snapshot))


def budget_figure(snapshot: Snapshot) -> go.Figure:
    """Epsilon spent by round, against what was agreed; without a guarantee an empty chart that says so."""
    import plotly.graph_objects as go

    spending = snapshot.spending
    points = [(r.number, r.epsilon) for r in snapshot.history if r.epsilon is not None] if spending.private else []
    top = max([e for _, e in points] + ([spending.agreed] if spending.agreed else []), default=1.0) * 1.12
    told = f"Epsilon spent: {epsilon_text(spending.spent)}" if spending.private else "No privacy guarantee"
    if spending.private and spending.agreed is not None:
        told += f" of {epsilon_text(spending.agreed)} agreed"
    figure = go.Figure(
        go.Scatter(
            x=[n for n, _ in points],
            y=[e for _, e in points],
            mode="lines+markers",
            line={"color": VERMILLION, "width": 3},
            name="spent",
            hovertemplate="epsilon %{y:.2f}<extra>round %{x}</extra>",
        )
    )
    figure.update_layout(
        template=template(),
        title={"text": told, "x": 0.02, "font": {"size": 15}},
        height=300,
        showlegend=False,
        xaxis={"title": {"text": "round"}, "range": [0.4, round_range(snapshot) + 0.6], "tickformat": "d"},
        yaxis={"title": {"text": "epsilon spent so far"}, "range": [0, top]},
    )
    if spending.private and spending.agreed is not None:
        figure.add_hline(y=spending.agreed, line={"color": MIDDLE, "dash": "dash"}, annotation_text="agreed")
    return figure


def worth_plotly(snapshot: Snapshot) -> bool:
    """Whether to load plotly now: not before two rounds told how long a round takes; always while nothing trains."""
    busy = snapshot.state in ("preparing", "running")
    return not busy or (len(snapshot.history) > 1 and (snapshot.left or 0.0) > WORTH_PLOTLY)


def load_plotly() -> None:
    """Import what a figure widget needs: seconds the first time, nothing after."""
    import plotly.graph_objects as go

    go.FigureWidget  # noqa: B018  plotly imports its classes when they are first named
