"""Quantiles: exact ones by counting in ever narrower sections, noisy ones from one histogram."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fedlab_nb.analytics.questions.cells import Bins
from fedlab_nb.analytics.questions.moments import NOISY_ZERO
from fedlab_nb.analytics.questions.question import Floats, Question, Range, parts
from fedlab_nb.analytics.questions.small import MIN_COUNT
from fedlab_nb.data.columns import as_numbers
from fedlab_nb.data.sums import OCTAVES

if TYPE_CHECKING:
    import pandas as pd

# Each round of counting cuts every section into 16; after eight it is 2^-32 of what it was.
SECTIONS, ROUNDS = 16, 8
# Bins of the histogram that noisy quantiles are read from.
FINE = 64
_DIGITS, _ZERO = 9, 2.0**-40


def octave_bins(column: str) -> Bins:
    """The signed octaves as bins, for a column of which no bounds are known."""
    return Bins(column, tuple(float(edge) for edge in OCTAVES), open_ended=True)


def fine_bins(column: str, limits: Range | None, number: int = FINE) -> Bins:
    """Bins of equal width over ``limits``, what lies beyond being counted in the outer ones; octaves without limits."""
    if limits is None:
        return octave_bins(column)
    return Bins(column, tuple(float(edge) for edge in np.linspace(*limits, number + 1)), open_ended=True)


def count_below(edges: Mapping[str, Floats], limits: Mapping[str, Range | None]) -> Question:
    """For each column, first how many values it has, then how many lie below each of its edges.

    It is asked without noise only: a row moves every number by at most 1.
    """
    size = sum(1 + points.size for points in edges.values())

    def vector(table: pd.DataFrame) -> Floats:
        counts = []
        for column, points in edges.items():
            values = as_numbers(table[column])
            values = np.sort(values[~np.isnan(values)])
            bounds = limits[column]
            if bounds is not None:
                values = np.clip(values, *bounds)
            counts += [float(values.size), *np.searchsorted(values, points, side="left").astype(float)]
        return np.array(counts)

    # Thousands of edges are named by their digest; the columns and the way of counting stay readable.
    digest = hashlib.sha256(b"".join(points.tobytes() for points in edges.values())).hexdigest()
    text = f"values of {list(edges)!r} below edges with SHA-256 {digest}, clipped to {dict(limits)!r}"
    return Question("quantile count", text, vector, parts((size, math.sqrt(size))), lambda values: values)


def exact_quantiles(
    columns: Sequence[str],
    levels: Sequence[float],
    limits: Mapping[str, Range | None],
    ask: Callable[[Question], Floats],
) -> Floats:
    """The quantiles (c, q) of the columns, as ``averaged`` reads them, from sums of counts that ``ask`` brings.

    First every column's values are counted in a few sections (its limits cut in 16, or the octaves). Then, in eight
    rounds, the sections that hold the order statistics wanted are cut again, for all columns and quantiles at once.
    Nine digits of each are kept, and only means of five or more of them are given back.
    """
    first = {column: _first_edges(limits[column]) for column in columns}
    below = _by_column(ask(count_below(first, limits)), first)
    size = {column: round(counts[0]) for column, counts in below.items()}
    ranks = {column: _members(size[column], levels) for column in columns}
    found = {column: _narrowed(first[column], below[column][1:], ranks[column]) for column in columns}
    for _ in range(ROUNDS):
        cuts = {column: np.linspace(found[column][0], found[column][1], SECTIONS + 1, axis=-1) for column in columns}
        edges = {column: cut.ravel() for column, cut in cuts.items()}
        below = _by_column(ask(count_below(edges, limits)), edges)
        for column, cut in cuts.items():
            lines = zip(cut, below[column][1:].reshape(cut.shape), ranks[column], strict=True)
            found[column] = np.array([_narrowed(*facts) for facts in lines]).reshape(-1, 2).T
    return np.array([averaged(_ordered(size[c], ranks[c], found[c].mean(axis=0)), levels) for c in columns])


def averaged(ordered: Floats, levels: Sequence[float]) -> Floats:
    """Quantiles (q,) of ordered values (n,) that are no single row's: read between means of neighbouring values.

    The values are dealt out in their order to n // 5 blocks of as equal a size as can be, five or six from 25 values
    on. The place (n - 1) q of a quantile lies between the middles of two blocks, and the quantile is read linearly
    between their means. So however many quantiles are asked for, they tell no more than one mean for each block. It
    differs from pandas' quantile by no more than the nearest two blocks spread; where values lie evenly, by nothing.
    NaN where fewer than five rows lie on one side.

    >>> averaged(np.arange(41.0), [0.25, 0.5, 0.75, 0.9])
    array([10., 20., 30., nan])
    """
    count, found = len(ordered), np.full(len(levels), np.nan)
    starts = _starts(count)
    for number, level in enumerate(levels):
        if _enough(count, level):
            block, share = _place(starts, level * (count - 1))
            low, high = (ordered[starts[b] : starts[b + 1]].mean() for b in (block, block + 1))
            found[number] = low + share * (high - low)
    return found


def _starts(count: int) -> NDArray[np.int64]:
    """Where each block of neighbouring values begins, and the end of the last."""
    blocks = max(count // MIN_COUNT, 1)
    return np.arange(blocks + 1) * count // blocks


def _place(starts: NDArray[np.int64], place: float) -> tuple[int, float]:
    """The block whose middle lies at or before a place, and which share of the way to the next one's it is."""
    middles = (starts[:-1] + starts[1:] - 1) / 2
    block = int(np.clip(np.searchsorted(middles, place, side="right") - 1, 0, len(middles) - 2))
    return block, float(np.clip((place - middles[block]) / (middles[block + 1] - middles[block]), 0.0, 1.0))


def _members(count: int, levels: Sequence[float]) -> NDArray[np.int64]:
    """The ranks, from 0, of the values in the blocks that the quantiles are read from."""
    starts, found = _starts(count), {0} if count else set()
    for level in levels:
        if _enough(count, level):
            block, _ = _place(starts, level * (count - 1))
            found |= set(range(starts[block], starts[block + 2]))
    return np.array(sorted(found), dtype=np.int64)


def _ordered(count: int, ranks: NDArray[np.int64], values: Floats) -> Floats:
    """The ordered values (n,), as far as they are known: NaN elsewhere."""
    ordered = np.full(count, np.nan)
    ordered[ranks] = [float(f"{v:.{_DIGITS}g}") if abs(v) > _ZERO else 0.0 for v in values]
    return ordered


def _first_edges(limits: Range | None) -> Floats:
    return OCTAVES.copy() if limits is None else np.linspace(*limits, SECTIONS + 1)


def _by_column(values: Floats, edges: Mapping[str, Floats]) -> dict[str, Floats]:
    sizes = [1 + points.size for points in edges.values()]
    return dict(zip(edges, np.split(values, np.cumsum(sizes)[:-1]), strict=True))


def _narrowed(edges: Floats, below: Floats, ranks: ArrayLike) -> Floats:
    """The ends (2,) or (2, r) of the sections that hold the order statistics.

    A section begins at the last edge with at most ``rank`` values below it.
    """
    section = np.clip(np.searchsorted(below, np.asarray(ranks) + 0.5, side="left") - 1, 0, edges.size - 2)
    return np.array([edges[section], edges[section + 1]])


def _enough(count: int, level: float) -> bool:
    """Whether at least five rows lie on each side."""
    return count * min(level, 1.0 - level) >= MIN_COUNT - 1e-9


def own_quantiles(columns: Sequence[str], levels: Sequence[float], limits: Mapping[str, Range | None]) -> Question:
    """One owner's quantiles (c * q,), computed beside its rows as ``averaged`` does."""

    def vector(table: pd.DataFrame) -> Floats:
        found = []
        for column in columns:
            values = as_numbers(table[column])
            values = values[~np.isnan(values)]
            bounds = limits[column]
            if bounds is not None:
                values = np.clip(values, *bounds)
            found += list(averaged(np.sort(values), levels))
        return np.array(found)

    text = f"quantiles {list(levels)!r} of {list(columns)!r}, clipped to {dict(limits)!r}"
    size = len(columns) * len(levels)
    return Question("own quantile", text, vector, np.ones(size), lambda values: values, whole=False)


def read_quantiles(counts: Floats, edges: Sequence[float], levels: Sequence[float], noise_sd: float) -> Floats:
    """Quantiles (q,) from a noisy histogram (b,): its sums made to rise, then linear within a bin.

    NaN where the histogram's total cannot be told from the noise in it, of deviation ``noise_sd`` in each bin.

    Source: Barlow, Bartholomew, Bremner and Brunk 1972 (pooling adjacent violators: the nearest rising curve).
    """
    rising = np.concatenate([[0.0], isotonic(np.cumsum(counts))])
    rising = np.clip(rising, 0.0, None)
    if rising[-1] <= NOISY_ZERO * noise_sd * math.sqrt(counts.size):
        return np.full(len(levels), np.nan)
    # A flat stretch has no inverse: a step too small to be seen gives it one.
    slope = np.arange(rising.size) * 1e-9 * rising[-1]
    curve = rising + slope
    found: Floats = np.interp(np.asarray(levels) * curve[-1], curve, np.asarray(edges, dtype=np.float64))
    return found


def isotonic(values: Floats) -> Floats:
    """The rising sequence nearest to ``values`` (n,) in least squares.

    >>> isotonic(np.array([1.0, 3.0, 2.0, 4.0]))
    array([1. , 2.5, 2.5, 4. ])
    """
    means: list[float] = []
    weights: list[int] = []
    for value in values:
        means.append(float(value))
        weights.append(1)
        while len(means) > 1 and means[-2] > means[-1]:
            weight = weights[-2] + weights[-1]
            mean = (means[-2] * weights[-2] + means[-1] * weights[-1]) / weight
            means[-2:], weights[-2:] = [mean], [weight]
    rising: Floats = np.repeat(np.array(means), weights)
    return rising
