"""What owners may be asked before training, always as sums over owners: ranges, moments, category counts.

Each function is one owner's side. The vectors are made to be added: the sum over owners equals the same function of
all rows together, so nobody needs a pooled table. How far one row can move each vector is stated beside it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.data.columns import as_numbers, as_values
from fedlab_nb.data.table import as_block, pieces
from fedlab_nb.records import Column, Schema

if TYPE_CHECKING:
    import pandas as pd

SMALLEST, LARGEST = -20, 40
OCTAVES = np.concatenate([-(2.0 ** np.arange(LARGEST, SMALLEST - 1, -1)), 2.0 ** np.arange(SMALLEST, LARGEST + 1)])
"""Edges of the signed octaves (122,), the same for all data: under 2^-20 counts as zero, over 2^40 as 2^40."""
NUM_BINS = OCTAVES.size - 1
FALSE_ALARM = 0.01
# Exact counts are whole numbers up to the rounding of an encrypted sum.
HALF_A_ROW = 0.5

Range = tuple[float, float]


def octave_columns(schema: Schema) -> tuple[Column, ...]:
    """The numeric columns without declared bounds, a regression target last: those that octave_counts counts."""
    return tuple(column for column in moment_columns(schema) if column.bounds is None)


def moment_columns(schema: Schema) -> tuple[Column, ...]:
    """All numeric columns, a regression target last: those that moments sums."""
    return schema.numeric + ((schema.target,) if schema.target.kind == "numeric" else ())


def octave_counts(features: pd.DataFrame, target: pd.Series, schema: Schema) -> NDArray[np.float64]:
    """Rows per octave for each of c columns (c * (NUM_BINS + 1),); the last bin of a column counts missing values.

    A row adds exactly one count per column, so its L1 sensitivity is c and its L2 sensitivity octave_sensitivity.
    """
    columns, bins = octave_columns(schema), NUM_BINS + 1
    counts = np.zeros(len(columns) * bins)
    for place, values in Numbers(schema, columns).blocks(features, target):
        found = np.clip(np.searchsorted(OCTAVES, values, side="right") - 1, 0, NUM_BINS - 1)
        found[np.isnan(values)] = NUM_BINS
        found += bins * np.arange(len(values))[:, None]
        counts[place.start * bins : place.stop * bins] = np.bincount(found.ravel(), minlength=len(values) * bins)
    return counts


def octave_sensitivity(schema: Schema) -> float:
    """How far (L2) adding or removing one row can move octave_counts: sqrt(c)."""
    return math.sqrt(len(octave_columns(schema)))


def ranges_from_counts(
    total: NDArray[np.float64], schema: Schema, *, noise_sd: float
) -> tuple[dict[str, Range], dict[str, bool]]:
    """For each counted column the smallest run of octaves that holds its values, and whether some are missing.

    Without noise (``noise_sd`` 0) every count matters. With Gaussian noise of standard deviation ``noise_sd`` on each
    number, only counts above a threshold do: at that threshold there is a 1 % chance that noise alone invents any
    octave in any column. A column with no such count gets its heaviest octave. Values outside are clipped later.
    """
    columns = octave_columns(schema)
    threshold = HALF_A_ROW
    if noise_sd > 0 and total.size:
        threshold = noise_sd * NormalDist().inv_cdf(1 - FALSE_ALARM / total.size)
    ranges, missing = {}, {}
    for column, counts in zip(columns, total.reshape(len(columns), NUM_BINS + 1), strict=True):
        bins = counts[:-1]
        seen = np.flatnonzero(bins > threshold)
        if seen.size == 0:
            # An exact count of nothing (all values missing) leaves only a neutral range around zero.
            heaviest = int(np.argmax(bins)) if noise_sd > 0 else NUM_BINS // 2
            seen = np.array([heaviest])
        ranges[column.name] = (float(OCTAVES[seen[0]]), float(OCTAVES[seen[-1] + 1]))
        missing[column.name] = bool(counts[-1] > threshold)
    return ranges, missing


def all_ranges(schema: Schema, ranges: Mapping[str, Range]) -> dict[str, Range]:
    """The range of every numeric column: declared bounds where there are any, else the learned ``ranges``."""
    return {c.name: c.bounds if c.bounds is not None else ranges[c.name] for c in moment_columns(schema)}


def moments(
    features: pd.DataFrame, target: pd.Series, schema: Schema, ranges: Mapping[str, Range]
) -> NDArray[np.float64]:
    """Per numeric column the sums of x, x^2 and 1 over present values, then the number of rows (3c + 1,).

    Here x in [-1, 1] is the value scaled by its range (declared or in ``ranges``) and clipped. A row moves each
    number by at most 1: see moments_sensitivity.
    """
    return Moments(schema, ranges)(features, target)


class Moments:
    """What ``moments`` gives, with all that is the same for every owner worked out once."""

    def __init__(self, schema: Schema, ranges: Mapping[str, Range]) -> None:
        known, columns = all_ranges(schema, ranges), moment_columns(schema)
        limits = np.array([known[column.name] for column in columns]).reshape(-1, 2)
        self._middle, self._half = (limits[:, :1] + limits[:, 1:]) / 2, (limits[:, 1:] - limits[:, :1]) / 2
        self._columns = Numbers(schema, columns)

    def __call__(self, features: pd.DataFrame, target: pd.Series) -> NDArray[np.float64]:
        """The moments of one owner's rows (3c + 1,)."""
        sums = np.empty((len(self._middle), 3))
        for place, values in self._columns.blocks(features, target):
            x = np.clip((values - self._middle[place]) / self._half[place], -1.0, 1.0)
            x_sum, square_sum = x.sum(axis=1), (x * x).sum(axis=1)
            sums[place, 0], sums[place, 1], sums[place, 2] = x_sum, square_sum, x.shape[1]
            for row in np.flatnonzero(np.isnan(x_sum)):
                # The last bits of a sum hang on how its terms are grouped: what is missing must not stand between them.
                present = x[row][~np.isnan(x[row])]
                sums[place.start + row] = present.sum(), (present * present).sum(), present.size
        return np.append(sums, float(len(target)))


def moments_sensitivity(schema: Schema) -> float:
    """How far (L2) adding or removing one row can move moments: sqrt(3c + 1)."""
    return math.sqrt(3 * len(moment_columns(schema)) + 1)


def open_lists(schema: Schema) -> tuple[Column, ...]:
    """The category columns whose values are not declared, a class target last: those that category_counts counts."""
    columns = schema.categorical + ((schema.target,) if schema.target.kind == "category" else ())
    return tuple(column for column in columns if column.categories is None)


def category_counts(features: pd.DataFrame, target: pd.Series, schema: Schema) -> dict[str, dict[object, int]]:
    """For each column with an undeclared list of categories, how many rows have each value; missing is not counted.

    A row adds at most one count per column. The values themselves come from rows: publish only those that pass a
    noisy threshold, or declare the categories.
    """
    counts: dict[str, dict[object, int]] = {}
    for column in open_lists(schema):
        tally = counts.setdefault(column.name, {})
        for value in as_values(_series(features, target, schema, column)):
            if value is not None:
                tally[value] = tally.get(value, 0) + 1
    return counts


def _series(features: pd.DataFrame, target: pd.Series, schema: Schema, column: Column) -> pd.Series:
    return target if column is schema.target else features[column.name]


class Numbers:
    """The numeric columns among an owner's features, and its target if that is one of them: it is the last then."""

    def __init__(self, schema: Schema, columns: Sequence[Column]) -> None:
        self._names = [column.name for column in columns if column is not schema.target]
        self._and_target = len(self._names) < len(columns)

    def blocks(self, features: pd.DataFrame, target: pd.Series) -> Iterator[tuple[slice, NDArray[np.float64]]]:
        """Blocks (c, n) of a few columns at a time, each with its place among all."""
        for place in pieces(self._names, len(target)):
            yield place, as_block(features, self._names[place])
        if self._and_target:
            yield slice(len(self._names), len(self._names) + 1), as_numbers(target)[None]
