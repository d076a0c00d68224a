"""The figures of answers: a table that came of a question, as one interactive picture."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from fedlab_nb.view.draw.sketches import sketch_svg
from fedlab_nb.view.style import BLUE, GREEN, MIDDLE, MIDDLE_BLUE, ORANGE, PURPLE, SKY, VERMILLION, template

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

Trace = dict[str, Any]
Layout = dict[str, Any]
Drawing = tuple[list[Trace], Layout]

NOISE = "noise se"
LINES = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY)
# From vermillion over paper to blue: told apart with any colour vision, the middle standing for none.
DIVERGING = [[0.0, VERMILLION], [0.5, "#f4f4f4"], [1.0, BLUE]]
RISING = [[0.0, "#f4f4f4"], [1.0, BLUE]]
MOST_BARS = 40
# What stands in the place of a bar whose count is not shown.
HIDDEN = "<5"
# From 0.1 on, a population stability index is usually read as a change, from 0.25 on as a large one.
LARGE_DRIFT = 0.25


def answer_figure(kind: str, table: pd.DataFrame) -> go.Figure:
    """The figure of an answer of this kind; its title is the question.

    Raises:
        KeyError: if the kind is unknown, or the table lacks what the figure shows.
    """
    import plotly.graph_objects as go

    class AnswerFigure(go.Figure):  # type: ignore[misc]
        # Plotly's own ways of showing bring a script that needs the network.
        _ipython_display_ = _repr_html_ = None

        def _repr_mimebundle_(self, *_: object, **__: object) -> dict[str, object]:
            return {
                "application/vnd.plotly.v1+json": json.loads(self.to_json()),
                "image/svg+xml": sketch_svg(said, traces, names),
                "text/plain": said,
            }

    said = str(table.attrs.get("question", "An answer"))
    traces, layout = _DRAWN[kind](table)
    names = layout["xaxis"]["title"]["text"], layout["yaxis"]["title"]["text"]
    figure = AnswerFigure(data=traces)
    figure.update_layout(
        template=template(),
        title={"text": escape(said, quote=False), "x": 0.02, "font": {"size": 15}},
        height=420,
        margin={"l": 64, "r": 12, "t": 48, "b": 40},
        legend={"orientation": "h", "y": -0.2},
        **layout,
    )
    return figure


def _label(value: object) -> str:
    return escape(", ".join(map(str, value)) if isinstance(value, tuple) else str(value))


def _labels(values: Sequence[object] | pd.Index) -> list[str]:
    return [_label(value) for value in values]


def _axes(x: str, y: str) -> Layout:
    return {"xaxis": {"title": {"text": escape(x)}}, "yaxis": {"title": {"text": escape(y)}}}


def _error(errors: Sequence[float] | pd.Series | None) -> Layout:
    """Bars of plus and minus one standard error of the noise."""
    if errors is None:
        return {}
    return {"error_y": {"type": "data", "array": list(errors), "color": MIDDLE, "thickness": 1.2, "width": 3}}


def _with_noise(name: str, table: pd.DataFrame) -> str:
    return f"{name} (bars: ±1 noise se)" if NOISE in table else name


def _marked(table: pd.DataFrame, bar: Trace, layout: Layout, places: Sequence[object]) -> Drawing:
    """Bars, with a mark where one is missing because its number is not shown: no bar would look like no rows."""
    if not table.attrs.get("hidden cells"):
        return [bar], layout
    if len(places) > MOST_BARS:
        layout["yaxis"]["title"]["text"] += escape(f" (no bar: not shown, {HIDDEN})")
        return [bar], layout
    mark = {
        "y": 0,
        "text": escape(HIDDEN),
        "showarrow": False,
        "yanchor": "bottom",
        "font": {"color": MIDDLE, "size": 11},
    }
    marks = [{**mark, "x": place} for place, height in zip(places, bar["y"], strict=True) if math.isnan(height)]
    return [{**bar, "meta": HIDDEN}], {**layout, "annotations": marks}


def _bars(table: pd.DataFrame) -> Drawing:
    """The first column as bars, with the noise's error."""
    shown = table.iloc[:MOST_BARS]
    name = str(table.columns[0])
    errors = shown.get(NOISE)
    bar = {"type": "bar", "x": _labels(shown.index), "y": list(shown.iloc[:, 0]), "marker": {"color": BLUE}}
    by = ", ".join(str(n) for n in table.index.names if n)
    # Bars of categories stand at 0, 1, 2, ... along their axis; labels that look like numbers would be taken for some.
    layout = _axes(by, _with_noise(name, table))
    layout["xaxis"]["type"] = "category"
    return _marked(table, {**bar, **_error(errors)}, layout, range(len(shown)))


def _histogram(table: pd.DataFrame) -> Drawing:
    """Counts between their edges, bars touching."""
    middle = (table["left"] + table["right"]) / 2
    errors = table.get(NOISE)
    bar = {
        "type": "bar",
        "x": list(middle),
        "width": list(table["right"] - table["left"]),
        "y": list(table["count"]),
        "marker": {"color": BLUE, "line": {"width": 0.5, "color": SKY}},
        "text": _labels(table.index),
        "textposition": "none",
        "hovertemplate": "%{text}: %{y:.5g}<extra></extra>",
    }
    layout = _axes(str(table.index.name), _with_noise("rows", table))
    return _marked(table, {**bar, **_error(errors)}, layout, list(middle))


def _heat_map(values: pd.DataFrame, scale: list[list[object]], low: float | None, high: float | None) -> Trace:
    return {
        "type": "heatmap",
        "x": _labels(values.columns),
        "y": _labels(values.index),
        "z": values.astype(float).to_numpy().tolist(),
        "colorscale": scale,
        "zmin": low,
        "zmax": high,
        "texttemplate": "%{z:.2g}" if values.size <= 150 else "",
        "hovertemplate": "%{y}, %{x}: %{z:.4g}<extra></extra>",
    }


def _upside_down(x: object, y: object) -> Layout:
    layout = _axes(str(x or ""), str(y or ""))
    return {**layout, "yaxis": {**layout["yaxis"], "autorange": "reversed"}}


def _matrix(table: pd.DataFrame) -> Drawing:
    """Correlations from -1 to 1; covariances to both sides of zero."""
    most = max(float(table.abs().max().max()), 1e-12)
    most = max(1.0, most)
    return [_heat_map(table, DIVERGING, -most, most)], _upside_down("", "")


def _heat(table: pd.DataFrame) -> Drawing:
    """Counts of pairs."""
    heat = _heat_map(table, RISING, 0.0, None)
    return [{**heat, "texttemplate": "%{z:.5g}"}], _upside_down(table.columns.name, table.index.name)


def _missing(table: pd.DataFrame) -> Drawing:
    """The share of missing values by owner and column."""
    share = table.drop(columns="rows").div(table["rows"], axis=0).clip(0.0, 1.0)
    heat = {**_heat_map(share, RISING, 0.0, 1.0), "colorbar": {"title": {"text": "share missing"}}}
    return [heat], _upside_down("column", "owner")


def _drift(table: pd.DataFrame) -> Drawing:
    """The population stability index by owner and column."""
    owners = list(dict.fromkeys(table.index.get_level_values("owner")))
    psi = table.reset_index().pivot_table("psi", "owner", "column", sort=False).reindex(owners)
    most = max(LARGE_DRIFT, float(psi.max().max()))
    heat = {**_heat_map(psi, RISING, 0.0, most), "colorbar": {"title": {"text": "PSI"}}}
    return [heat], _upside_down("column", "owner")


def _boxes(table: pd.DataFrame) -> Drawing:
    """Quartiles and mean of each column; of several, as distances from the mean in standard deviations."""
    single = table.shape[1] == 1
    rows = {name: table.loc[name].to_numpy(dtype=float) for name in ("mean", "std", "25%", "50%", "75%")}
    centre = [0.0 if single else mean for mean in rows["mean"]]
    scale = [1.0 if single or not spread > 0 else spread for spread in rows["std"]]
    named = {"q1": "25%", "median": "50%", "q3": "75%", "mean": "mean"}
    lines = {
        key: [(value - c) / s for value, c, s in zip(rows[row], centre, scale, strict=True)]
        for key, row in named.items()
    }
    box = {
        "type": "box",
        "x": _labels(table.columns),
        **lines,
        "boxmean": True,
        "marker": {"color": MIDDLE_BLUE},
    }
    return [box], _axes("", "value" if single else "distance from the mean, in standard deviations")


def _lines(table: pd.DataFrame) -> Drawing:
    """Quantiles of each column."""
    traces = [
        {
            "type": "scatter",
            "mode": "lines+markers",
            "x": list(table[name]),
            "y": list(table.index),
            "name": _label(name),
            "line": {"color": LINES[i % len(LINES)]},
        }
        for i, name in enumerate(table.columns)
    ]
    return traces, _axes("value", "share of rows below")


def _survival(table: pd.DataFrame) -> Drawing:
    """Kaplan-Meier steps, each with a band of 1.96 Greenwood errors."""
    several = table.index.nlevels > 1
    groups = list(dict.fromkeys(table.index.get_level_values(0))) if several else [""]
    traces: list[Trace] = []
    for i, group in enumerate(groups):
        part = table.xs(group, level=0) if several else table
        times, level = [0.0, *map(float, part.index)], [1.0, *part["survival"]]
        wide = [0.0, *(1.96 * part["greenwood se"])]
        high = [min(s + w, 1.0) for s, w in zip(level, wide, strict=True)]
        low = [max(s - w, 0.0) for s, w in zip(level, wide, strict=True)]
        colour, name = LINES[i % len(LINES)], _label(group) or "all rows"
        step = {"type": "scatter", "mode": "lines", "legendgroup": name}
        faint = {**step, "line": {"width": 0, "shape": "hv", "color": colour}, "showlegend": False, "hoverinfo": "skip"}
        traces.append({**faint, "x": times, "y": high})
        traces.append({**faint, "x": times, "y": low, "fill": "tonexty", "opacity": 0.2})
        traces.append({**step, "x": times, "y": level, "name": name, "line": {"shape": "hv", "color": colour}})
    layout = _axes("time", "survival (band: ±1.96 Greenwood se)")
    return traces, {**layout, "yaxis": {**layout["yaxis"], "range": [0, 1.02]}}


def _evidence(table: pd.DataFrame) -> Drawing:
    """The information value of each column, the highest first."""
    iv = table["iv"].groupby(level=0, sort=False).first().sort_values(ascending=False)[:MOST_BARS]
    errors = None
    if "noise se of iv" in table:
        errors = table["noise se of iv"].groupby(level=0, sort=False).first().reindex(iv.index)
    bar = {"type": "bar", "x": _labels(iv.index), "y": list(iv), "marker": {"color": BLUE}}
    return [{**bar, **_error(errors)}], _axes("column", "information value")


def _test(table: pd.DataFrame) -> Drawing:
    """The difference of two means with 1.96 standard errors."""
    bar = {
        "type": "scatter",
        "mode": "markers",
        "x": _labels(table.index),
        "y": list(table["difference"]),
        "marker": {"color": BLUE, "size": 10},
        **_error(1.96 * table["standard error"]),
    }
    layout = _axes("", "difference of means (bars: ±1.96 standard errors)")
    return [bar], {**layout, "shapes": [{"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": 0, "y1": 0,
                                         "line": {"color": MIDDLE, "dash": "dot"}}]}  # fmt: skip


_DRAWN: dict[str, Callable[[pd.DataFrame], Drawing]] = {
    "bars": _bars,
    "histogram": _histogram,
    "matrix": _matrix,
    "heat": _heat,
    "missing": _missing,
    "drift": _drift,
    "boxes": _boxes,
    "lines": _lines,
    "survival": _survival,
    "evidence": _evidence,
    "test": _test,
}
