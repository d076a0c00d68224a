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
    """The quantiles (c, q) of the columns, interpolated as pandas does, from sums of counts that ``ask`` brings.

    First every column's values are counted in a few sections (its limits cut in 16, or the octaves). Then, in eight
    rounds, the section that holds the value wanted is cut again, for all columns and quantiles at once. Nine digits
    are kept. NaN where fewer than five rows lie on one side of a quantile: it would be nearly one row's own value.
    """
    first = {column: _first_edges(limits[column]) for column in columns}
    counts = _by_column(ask(count_below(first, limits)), first)
    ranks = np.array([_ranks(counts[column][0], levels) for column in columns])
    low = np.empty(ranks.shape)
    high = np.empty(ranks.shape)
    for row, column in enumerate(columns):
        low[row], high[row] = _narrowed(first[column], counts[column][1:], ranks[row])
    for _ in range(ROUNDS):
        cuts = np.linspace(low, high, SECTIONS + 1, axis=-1)
        edges = {column: cuts[row].ravel() for row, column in enumerate(columns)}
        counts = _by_column(ask(count_below(edges, limits)), edges)
        for row, column in enumerate(columns):
            found = counts[column][1:].reshape(cuts[row].shape)
            sections = [_narrowed(*facts) for facts in zip(cuts[row], found, ranks[row], strict=True)]
            low[row], high[row] = np.array(sections).T
    return _interpolated(_rounded((low + high) / 2), [counts[column][0] for column in columns], levels)


def _first_edges(limits: Range | None) -> Floats:
    return OCTAVES.copy() if limits is None else np.linspace(*limits, SECTIONS + 1)


def _by_column(values: Floats, edges: Mapping[str, Floats]) -> dict[str, Floats]:
    sizes = [1 + points.size for points in edges.values()]
    return dict(zip(edges, np.split(values, np.cumsum(sizes)[:-1]), strict=True))


def _ranks(count: float, levels: Sequence[float]) -> Floats:
    """The two order statistics, counted from 0, between which each quantile lies (2q,)."""
    places = np.asarray(levels) * (max(round(count), 1) - 1)
    return np.column_stack([np.floor(places), np.ceil(places)]).ravel()


def _narrowed(edges: Floats, below: Floats, ranks: ArrayLike) -> tuple[Floats, Floats]:
    """The sections that hold the order statistics: from the last edge with at most ``rank`` values below it."""
    section = np.clip(np.searchsorted(below, np.asarray(ranks) + 0.5, side="left") - 1, 0, edges.size - 2)
    return edges[section], edges[section + 1]


def _rounded(values: Floats) -> Floats:
    """Nine significant digits, which is about what the last section leaves; what is no further from zero is zero."""
    return np.array([[float(f"{v:.{_DIGITS}g}") if abs(v) > _ZERO else 0.0 for v in row] for row in values])


def _interpolated(found: Floats, counts: Sequence[float], levels: Sequence[float]) -> Floats:
    n = np.round(np.asarray(counts))[:, None]
    places = np.asarray(levels)[None, :] * np.maximum(n - 1, 0)
    low, high = found[:, ::2], found[:, 1::2]
    values = low + (places - np.floor(places)) * (high - low)
    return np.where(_enough(n, np.asarray(levels)[None, :]), values, np.nan)


def _enough(count: Floats, levels: Floats) -> NDArray[np.bool_]:
    """Where at least five rows lie on each side."""
    enough: NDArray[np.bool_] = count * np.minimum(levels, 1.0 - levels) >= MIN_COUNT - 1e-9
    return enough


def own_quantiles(columns: Sequence[str], levels: Sequence[float], limits: Mapping[str, Range | None]) -> Question:
    """One owner's quantiles (c * q,), computed beside its rows; those with fewer than five rows on a side are NaN."""

    def vector(table: pd.DataFrame) -> Floats:
        found = []
        for column in columns:
            values = as_numbers(table[column])
            values = values[~np.isnan(values)]
            bounds = limits[column]
            if bounds is not None:
                values = np.clip(values, *bounds)
            shown = _enough(np.array(float(values.size)), np.asarray(levels))
            found += list(np.where(shown, np.quantile(values, levels) if values.size else np.nan, np.nan))
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
