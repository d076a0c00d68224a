"""Means, spreads and correlations from sums of powers and products."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from fedlab_nb.analytics.questions.cells import Axis, hide_cells, joint_codes, shape
from fedlab_nb.analytics.questions.question import Floats, Question, Range, parts
from fedlab_nb.analytics.questions.small import MIN_COUNT
from fedlab_nb.data.columns import as_numbers

if TYPE_CHECKING:
    import pandas as pd

# A noisy count below so many standard deviations of its noise says that there may be no rows at all.
NOISY_ZERO = 4.0
_ALMOST = 1e-3
# Of a noisy correlation matrix: eigenvalues below this are noise, and would blow up an inverse.
_SMALLEST = 1e-3


def scaled(values: Floats, limits: Range) -> Floats:
    """Values clipped to their range and scaled to [-1, 1]; missing ones stay NaN."""
    low, high = limits
    x: Floats = np.clip((values - (low + high) / 2) / ((high - low) / 2), -1.0, 1.0)
    return x


def sum_powers(ranges: Mapping[str, Range], power: int = 2, groups: Sequence[Axis] = ()) -> Question:
    """For each column and group the sums of 1, x, ..., x^power over present values ((c * g * (power + 1)),).

    Here x in [-1, 1] is the value scaled by its range and clipped. A row is in one group, and moves each of the
    ``power + 1`` sums of a column by at most 1: the L2 sensitivity of a column is sqrt(power + 1).
    """
    number = math.prod(shape(groups))
    size = number * (power + 1)

    def vector(table: pd.DataFrame) -> Floats:
        codes = joint_codes(groups, table)
        sums = np.zeros((len(ranges), number, power + 1))
        for row, (column, limits) in enumerate(ranges.items()):
            x = scaled(as_numbers(table[column]), limits)
            present = ~np.isnan(x) & (codes >= 0)
            for p in range(power + 1):
                sums[row, :, p] = np.bincount(codes[present], x[present] ** p, minlength=number)
        return sums.ravel()

    def guard(values: Floats) -> Floats:
        sums = values.reshape(len(ranges), number, power + 1).copy()
        for column in sums:
            column[np.isnan(hide_cells(column[:, 0], shape(groups))).ravel()] = np.nan
        return sums.ravel()

    within = "".join(f", by {axis.text}" for axis in groups)
    columns = "; ".join(f"{c!r} from {low!r} to {high!r}" for c, (low, high) in ranges.items())
    text = f"sums of powers 0 to {power} of {columns}{within}"
    scale = parts(*((size, math.sqrt(power + 1)) for _ in ranges))
    return Question("column sum", text, vector, scale, guard, whole=power == 0)


def read_powers(values: Floats, ranges: Mapping[str, Range], power: int, noise_sd: float = 0.0) -> dict[str, Floats]:
    """From the sums: "count", "mean" and, with squares, "var" and "std", each (c, g) and in the columns' own units.

    Variances divide by n - 1. Where too few rows stand behind a statistic (fewer than a noisy count can tell from none,
    ``noise_sd`` being the noise in it) it is NaN; so is a spread that the noise has made negative.
    """
    sums: Floats = values.reshape(len(ranges), -1, power + 1)
    limits = np.array(list(ranges.values()))
    middle, half = limits.mean(axis=1)[:, None], (limits[:, 1] - limits[:, 0])[:, None] / 2
    count = sums[:, :, 0]
    some = count > max(NOISY_ZERO * noise_sd, 0.5)
    n = np.where(some, count, np.nan)
    read = {"count": count, "mean": middle + half * np.clip(sums[:, :, 1] / n, -1.0, 1.0)}
    if power == 2:
        spread = sums[:, :, 2] - sums[:, :, 1] ** 2 / n
        spread = np.where(spread < 0, np.nan if noise_sd > 0 else 0.0, spread)
        read["var"] = half**2 * spread / np.where(n > 1.5, n - 1.0, np.nan)
        read["std"] = np.sqrt(read["var"])
    return read


def sum_products(ranges: Mapping[str, Range]) -> Question:
    """The number of rows complete in all c columns, their sums of x, and of products x y ((1 + c + c(c + 1) / 2),).

    Each value is scaled to [-1, 1]; a row moves each number by at most 1, so the L2 sensitivity is the root of how
    many numbers there are.
    """
    c = len(ranges)
    upper = np.triu_indices(c)
    size = 1 + c + c * (c + 1) // 2

    def vector(table: pd.DataFrame) -> Floats:
        x = np.column_stack([scaled(as_numbers(table[column]), limits) for column, limits in ranges.items()])
        x = x[~np.isnan(x).any(axis=1)]
        return np.concatenate([[float(len(x))], x.sum(axis=0), (x.T @ x)[upper]])

    def guard(values: Floats) -> Floats:
        return values if values[0] >= MIN_COUNT - _ALMOST else np.full_like(values, np.nan)

    columns = "; ".join(f"{column!r} from {low!r} to {high!r}" for column, (low, high) in ranges.items())
    text = f"sums of products over rows complete in {columns}"
    return Question("product sum", text, vector, parts((size, math.sqrt(size))), guard, whole=False)


def read_covariance(values: Floats, ranges: Mapping[str, Range], noise_sd: float = 0.0) -> Floats:
    """The covariance matrix (c, c) in the columns' own units, dividing by n - 1; NaN where there are too few rows."""
    c, n = len(ranges), float(values[0])
    if not n > max(NOISY_ZERO * noise_sd, 1.5):
        return np.full((c, c), np.nan)
    products = np.zeros((c, c))
    products[np.triu_indices(c)] = values[1 + c :]
    products = products + np.triu(products, 1).T
    half = np.array([(high - low) / 2 for low, high in ranges.values()])
    spread: Floats = (products - np.outer(values[1 : 1 + c], values[1 : 1 + c]) / n) / (n - 1.0)
    return spread * np.outer(half, half)


def read_correlation(values: Floats, ranges: Mapping[str, Range], noise_sd: float = 0.0) -> Floats:
    """The matrix of Pearson correlations (c, c); NaN for a column that does not vary, or varies less than the noise."""
    covariance = read_covariance(values, ranges, noise_sd)
    variance = np.diag(covariance)
    spread = np.sqrt(np.where(variance > 0, variance, np.nan))
    correlation: Floats = np.clip(covariance / np.outer(spread, spread), -1.0, 1.0)
    return correlation


def read_inflation(values: Floats, ranges: Mapping[str, Range], noise_sd: float = 0.0) -> Floats:
    """The variance inflation factor (c,) of each column: 1 / (1 - R^2) of it on all others, the diagonal of inv(corr).

    Under noise the matrix may have lost its positive eigenvalues: they are lifted to 0.001 first.
    """
    correlation = read_correlation(values, ranges, noise_sd)
    if np.isnan(correlation).any():
        return np.full(len(ranges), np.nan)
    if noise_sd > 0:
        eigenvalues, vectors = np.linalg.eigh(correlation)
        lifted: Floats = (vectors * np.maximum(eigenvalues, _SMALLEST)) @ vectors.T
        spread = np.sqrt(np.diag(lifted))
        correlation = lifted / np.outer(spread, spread)
    try:
        return np.diag(np.linalg.inv(correlation)).astype(np.float64)
    except np.linalg.LinAlgError:
        return np.full(len(ranges), np.inf)


def whole_range(limits: Range) -> Range:
    """The smallest range around zero that holds ``limits``: what a sum, rather than a mean, is scaled by."""
    most = max(abs(limits[0]), abs(limits[1]))
    return -most, most
