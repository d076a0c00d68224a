"""Who holds which rows: stacked bars of labels at each owner, for one division of a table or several beside another."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.view.draw.letters import clean, fit, text, width_of
from fedlab_nb.view.draw.sketches import WIDE, Plane, ticks
from fedlab_nb.view.style import BLUE, GREEN, MIDDLE, ORANGE, PURPLE, SKY, VERMILLION, template

if TYPE_CHECKING:
    import plotly.graph_objects as go

# Few labels have colours of no order; many have a ramp that grows lighter, told apart with any colour vision.
COLOURS = (BLUE, ORANGE, GREEN, PURPLE, VERMILLION, SKY)
RAMP = ((15, 70, 145), (70, 105, 150), (130, 130, 125), (190, 170, 90), (250, 220, 60))
SIDE, HEAD, PANEL, LEGEND_LINE = 2, 46, 190, 18
# More bars than this cannot be told apart, and make the picture heavy.
MOST_OWNERS = 40
LEAST_NAMED = 11.0
FLAT = 5.0


@dataclass(frozen=True)
class Division:
    """One way to divide the rows, ``how`` in words: rows by owner and label (owners, labels)."""

    how: str
    owners: tuple[str, ...]
    counts: NDArray[np.int64]

    @property
    def shown(self) -> tuple[tuple[str, ...], NDArray[np.int64]]:
        """The owners that are drawn, spread evenly over all of them, and their rows."""
        count = len(self.owners)
        places = np.linspace(0, count - 1, min(count, MOST_OWNERS)).round().astype(int)
        return tuple(self.owners[place] for place in places), self.counts[places]

    @property
    def axis(self) -> str:
        """What the axis of owners is called, and how many of them are drawn."""
        count = len(self.owners)
        return f"owner ({MOST_OWNERS} of {count} are shown)" if count > MOST_OWNERS else "owner"

    @property
    def most(self) -> float:
        """The largest number of rows at an owner that is drawn."""
        return float(self.shown[1].sum(axis=1).max())


@dataclass(frozen=True)
class Divisions:
    """What is drawn: divisions of the same rows, coloured by ``labels`` of the column ``column``."""

    column: str
    labels: tuple[str, ...]
    each: tuple[Division, ...]

    @property
    def title(self) -> str:
        """What is seen, in a sentence."""
        several = f", in {len(self.each)} ways" if len(self.each) > 1 else ""
        rows, owners = int(self.each[0].counts.sum()), sorted({len(one.owners) for one in self.each})
        among = f"{owners[0]}" if len(owners) == 1 else f"{owners[0]} to {owners[-1]}"
        return f"{rows:,} rows among {among} owners, by {self.column}{several}"

    @property
    def colours(self) -> list[str]:
        """A colour for each label."""
        count = len(self.labels)
        return list(COLOURS[:count]) if count <= len(COLOURS) else [_ramp(i / (count - 1)) for i in range(count)]

    @property
    def one_scale(self) -> bool:
        """Whether all panels share a scale of rows: not where one would press the others flat."""
        return max(one.most for one in self.each) <= FLAT * min(one.most for one in self.each)

    def most(self, one: Division) -> float:
        """Where the scale of a panel ends."""
        return max(other.most for other in self.each) if self.one_scale else one.most


def _ramp(share: float) -> str:
    at = share * (len(RAMP) - 1)
    low = min(int(at), len(RAMP) - 2)
    mixed = (round(a + (b - a) * (at - low)) for a, b in zip(RAMP[low], RAMP[low + 1], strict=True))
    return "#" + "".join(f"{value:02x}" for value in mixed)


def partitions_figure(drawn: Divisions) -> go.Figure:
    """Rows at each owner as stacked bars, one panel for each division, on one scale where none is pressed flat."""
    import plotly.graph_objects as go

    class PartitionsFigure(go.Figure):  # type: ignore[misc]
        # Plotly's own ways of showing bring a script that needs the network.
        _ipython_display_ = _repr_html_ = None

        def _repr_mimebundle_(self, *_: object, **__: object) -> dict[str, object]:
            return {
                "application/vnd.plotly.v1+json": json.loads(self.to_json()),
                "image/svg+xml": partitions_svg(drawn),
                "text/plain": drawn.title,
            }

    grid, lines = _grid(drawn)
    figure = PartitionsFigure(grid)
    figure.update_layout(
        template=template(),
        title={"text": escape(drawn.title, quote=False), "x": 0.02, "font": {"size": 15}},
        barmode="stack",
        height=110 + 290 * lines,
        margin={"l": 64, "r": 12, "t": 76, "b": 40},
        legend={"title": {"text": escape(drawn.column, quote=False)}, "traceorder": "normal"},
    )
    figure.update_yaxes(title_text="rows", col=1)
    return figure


def _grid(drawn: Divisions) -> tuple[go.Figure, int]:
    """The panels, and in how many lines they stand."""
    from plotly.subplots import make_subplots

    columns = min(SIDE, len(drawn.each))
    lines = math.ceil(len(drawn.each) / columns)
    grid = make_subplots(
        lines,
        columns,
        subplot_titles=[escape(one.how, quote=False) for one in drawn.each],
        shared_yaxes="all" if drawn.one_scale else False,
        vertical_spacing=0.36 / lines,
    )
    for number, one in enumerate(drawn.each):
        place = {"row": number // columns + 1, "col": number % columns + 1}
        for trace in _bars(drawn, one, first=number == 0):
            grid.add_trace(trace, **place)
        grid.update_xaxes(title_text=one.axis, type="category", **place)
    return grid, lines


def _bars(drawn: Divisions, one: Division, *, first: bool) -> list[dict[str, Any]]:
    owners, counts = one.shown
    return [
        {
            "type": "bar",
            "x": [escape(_short(name)) for name in owners],
            "y": counts[:, number].tolist(),
            "name": escape(label),
            "legendgroup": str(number),
            "showlegend": first,
            "marker": {"color": colour, "line": {"width": 0.5, "color": "#fff"}},
            "hovertemplate": "owner %{x}: <b>%{y:,}</b> rows<extra>%{fullData.name}</extra>",
        }
        for number, (label, colour) in enumerate(zip(drawn.labels, drawn.colours, strict=True))
    ]


def partitions_svg(drawn: Divisions) -> str:
    """``partitions_figure`` as one SVG of plain shapes and text, readable on white and on dark paper.

    Where a bar is wide enough its parts bear the names of their labels, so that they are not told by colour alone.
    """
    columns = min(SIDE, len(drawn.each))
    lines = math.ceil(len(drawn.each) / columns)
    legend, legend_lines = _legend(drawn, HEAD + lines * PANEL)
    high = HEAD + lines * PANEL + LEGEND_LINE * legend_lines + 8
    wide = WIDE / columns
    panels = (
        _panel(drawn, one, (number % columns) * wide, HEAD + (number // columns) * PANEL, wide)
        for number, one in enumerate(drawn.each)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDE} {high}" width="100%" '
        f'style="max-width:{WIDE}px" role="img" aria-label="{escape(clean(drawn.title), quote=True)}" '
        f'font-family="system-ui,-apple-system,Segoe UI,sans-serif" fill="{MIDDLE}">'
        + text(8, 20, drawn.title, size=15, weight=600, room=WIDE - 16)
        + "".join([*panels, *legend])
        + "</svg>"
    )


def _panel(drawn: Divisions, one: Division, left: float, top: float, wide: float) -> str:
    """One division: a title, a scale of rows, a bar for each owner."""
    owners, counts = one.shown
    plane = Plane(
        (0.0, len(owners)), (0.0, drawn.most(one) * 1.02), left + 52, left + wide - 10, top + 30, top + PANEL - 40
    )
    parts = [
        text(left + 8, top + 8, one.how, size=12, weight=600, room=wide - 20),
        text(left + 8, top + 23, "rows", size=10),
        text((plane.left + plane.right) / 2, top + PANEL - 14, one.axis, size=10, anchor="middle"),
    ]
    for value in ticks(*plane.y_range, most=4):
        at = plane.y(value)
        across = f"M{plane.left:.1f} {at:.1f}H{plane.right:.1f}"
        parts.append(f'<path d="{across}" stroke="{MIDDLE}" stroke-opacity=".3" fill="none"/>')
        parts.append(text(plane.left - 5, at + 4, f"{value:,.0f}", size=10, anchor="end"))
    floors = np.concatenate([np.zeros((len(owners), 1)), np.cumsum(counts, axis=1)], axis=1)
    for label, colour in enumerate(drawn.colours):
        parts.append(_stack(plane, floors[:, label], floors[:, label + 1], colour))
    return "".join([*parts, *_written(drawn, plane, floors), *_owner_names(owners, plane)])


def _slot(plane: Plane) -> tuple[float, float]:
    """How far apart bars stand, and how wide they are."""
    step = (plane.right - plane.left) / plane.x_range[1]
    return step, 0.8 * step


def _stack(plane: Plane, low: NDArray[np.float64], high: NDArray[np.float64], colour: str) -> str:
    """All parts of one label as one shape."""
    step, wide = _slot(plane)
    path = "".join(
        f"M{plane.left + (i + 0.1) * step:.1f} {plane.y(b):.1f}h{wide:.1f}V{plane.y(a):.1f}h-{wide:.1f}z"
        for i, (a, b) in enumerate(zip(low, high, strict=True))
        if b > a
    )
    return f'<path d="{path}" fill="{colour}" stroke="#fff" stroke-width=".4"/>' if path else ""


def _written(drawn: Divisions, plane: Plane, floors: NDArray[np.float64]) -> list[str]:
    """The names of labels in those parts of bars that have room for all of the name."""
    step, wide = _slot(plane)
    parts = []
    for label, name in enumerate(drawn.labels):
        if width_of(clean(name), 9) > wide - 2:
            continue
        for i, (low, high) in enumerate(zip(floors[:, label], floors[:, label + 1], strict=True)):
            if plane.y(low) - plane.y(high) >= LEAST_NAMED:
                at = plane.left + (i + 0.5) * step, (plane.y(low) + plane.y(high)) / 2 + 3
                parts.append(text(*at, name, size=9, anchor="middle", fill=_ink(drawn.colours[label])))
    return parts


def _ink(colour: str) -> str:
    """Black or white, whichever is read better on a colour."""
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return "#000" if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else "#fff"


def _short(name: str) -> str:
    """An owner's name under an axis that says "owner" already."""
    return name.removeprefix("Owner ")


def _owner_names(owners: tuple[str, ...], plane: Plane) -> list[str]:
    step, _ = _slot(plane)
    widest = max(width_of(_short(name), 9) for name in owners)
    every = max(1, math.ceil(min(widest, 60.0) / step))
    return [
        text(
            plane.left + (i + 0.5) * step,
            plane.bottom + 12,
            fit(_short(name), 9, max(step * every, 8)),
            size=9,
            anchor="middle",
        )
        for i, name in enumerate(owners)
        if i % every == 0
    ]


def _legend(drawn: Divisions, top: float) -> tuple[list[str], int]:
    """A square and a name for each label, in lines as wide as the picture; and how many lines that makes."""
    names = [fit(name, 11, 150) for name in drawn.labels]
    title = fit(f"{drawn.column}:", 11, 150)
    widths = [width_of(title, 11) + 10, *(width_of(name, 11) + 26 for name in names)]
    line, at, places = 0, 8.0, []
    for wide in widths:
        if at + wide > WIDE and at > 8:
            line, at = line + 1, 8.0
        places.append((at, top + LEGEND_LINE * (line + 0.7)))
        at += wide
    parts = [text(*places[0], title, size=11)]
    for (x, y), name, colour in zip(places[1:], names, drawn.colours, strict=True):
        parts.append(f'<path d="M{x:.1f} {y - 9:.1f}h10v10h-10z" fill="{colour}"/>')
        parts.append(text(x + 14, y, name, size=11))
    return parts, line + 1
