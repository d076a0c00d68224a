"""What is drawn of a comparison: a curve with its band for each line, levels to measure against, a target."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from fedlab_nb.units import metric_name
from fedlab_nb.view.style import BLUE, GREEN, MIDDLE, ORANGE, PURPLE, SKY, UNIT_METRICS, VERMILLION

COLOURS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY)
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "star")
GLYPHS = ("●", "■", "◆", "▲", "✚", "★")
# Lines beyond the colours, and levels, are told apart by their dashes: for plotly, and for SVG.
DASHES = (("solid", ""), ("dash", "7 4"))
LEVEL_DASHES = (("dot", "2 4"), ("dashdot", "8 4 2 4"))


class Spot(NamedTuple):
    """One round of a line: the mean over its runs, and its interval where there is one."""

    round: int
    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Line:
    """The mean of a line's runs, round by round."""

    name: str
    spots: tuple[Spot, ...]


@dataclass(frozen=True)
class Level:
    """A score that does not go by rounds: owners alone, or pooled rows."""

    name: str
    value: float


@dataclass(frozen=True)
class Chart:
    """A whole comparison as it is drawn; ``runs`` says of how many runs a curve is the mean, ``""`` of one."""

    title: str
    metric: str
    lines: tuple[Line, ...]
    levels: tuple[Level, ...]
    target: float | None
    num_rounds: int
    runs: str

    @property
    def names(self) -> tuple[str, str]:
        """What the axes are called."""
        of = f", {self.runs}" if self.runs else ""
        return "round", f"{metric_name(self.metric)} on held-out rows{of}"

    @property
    def heights(self) -> tuple[float, float]:
        """The range of the metric: all means, levels and the target; bands are cut off where they leave it far."""
        fixed = [level.value for level in self.levels] + ([] if self.target is None else [self.target])
        means = [spot.value for line in self.lines for spot in line.spots]
        known = [value for value in (*means, *fixed) if math.isfinite(value)]
        if not known:
            return 0.0, 1.0
        low, high = min(known), max(known)
        room = 0.08 * (high - low) or 0.05 * abs(high) or 0.5
        top = high + room
        if self.metric in UNIT_METRICS and high <= 1.0:
            top = min(top, 1.0 + room / 4)
        return low - room, top

    @property
    def banded(self) -> bool:
        """Whether any line has an interval."""
        return any(spot.low is not None for line in self.lines for spot in line.spots)


def colour_of(number: int) -> str:
    """The colour of the line with this number."""
    return COLOURS[number % len(COLOURS)]


def glyph_of(number: int) -> str:
    """A sign for the line with this number, so that nothing is told by colour alone."""
    return GLYPHS[number % len(GLYPHS)]


def ends(chart: Chart) -> Iterator[tuple[float, str, str]]:
    """Where each line and level ends, with its name and colour."""
    for number, line in enumerate(chart.lines):
        if line.spots and math.isfinite(line.spots[-1].value):
            yield line.spots[-1].value, f"{glyph_of(number)} {line.name}", colour_of(number)
    for level in chart.levels:
        if math.isfinite(level.value):
            yield level.value, level.name, MIDDLE
