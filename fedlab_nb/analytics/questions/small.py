"""Small cells: what a table without noise may not show."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MIN_COUNT = 5
"""Exact counts from 1 to 4 are not shown, nor statistics of so few rows."""

# Exact counts come back whole up to the rounding of an encrypted sum.
_ALMOST = 1e-3


def is_small(counts: Floats) -> NDArray[np.bool_]:
    """Where a count is above 0 and below the minimum."""
    small: NDArray[np.bool_] = (counts > _ALMOST) & (counts < MIN_COUNT - _ALMOST)
    return small


def hide(counts: Floats) -> Floats:
    """Counts (k,) whose small cells are NaN, together with as many others as it takes to keep them secret.

    A single hidden cell is the total, which is easily asked for, minus the others. So the smallest other cells are
    hidden too, until at least two are and together they hold the minimum. Cells that are NaN already stay so.

    >>> hide(np.array([40.0, 3.0, 9.0, 0.0]))
    array([40., nan, nan,  0.])
    """
    counts = np.asarray(counts, dtype=np.float64)
    if np.isnan(counts).any():
        return np.where(is_small(counts), np.nan, counts)
    hidden = is_small(counts)
    _complete(counts, hidden)
    return np.where(hidden, np.nan, counts)


def levelled(counts: Floats) -> Floats:
    """Counts (k,) whose hidden cells all show their own mean: their sum stays, and it is the minimum or more.

    >>> levelled(np.array([40.0, 3.0, 9.0, 0.0]))
    array([40.,  6.,  6.,  0.])
    """
    hidden = np.isnan(hide(counts))
    if not hidden.any():
        return counts
    whole = counts[hidden].sum()
    return np.where(hidden, whole / hidden.sum() if whole >= MIN_COUNT - _ALMOST else 0.0, counts)


def hide_table(counts: Floats) -> Floats:
    """A table of counts (r, c) hidden like ``hide``, along every row and every column, as sums of both can be asked.

    >>> hide_table(np.array([[20.0, 3.0], [30.0, 40.0]]))
    array([[nan, nan],
           [nan, nan]])
    """
    counts = np.asarray(counts, dtype=np.float64)
    if np.isnan(counts).any():
        return np.where(is_small(counts), np.nan, counts)
    hidden = is_small(counts)
    before = -1
    while before != hidden.sum():
        before = int(hidden.sum())
        for line, held in [*zip(counts, hidden, strict=True), *zip(counts.T, hidden.T, strict=True)]:
            _complete(line, held)
    return np.where(hidden, np.nan, counts)


def _complete(line: Floats, hidden: NDArray[np.bool_]) -> None:
    """Hide more of one line, in place, until what is hidden of it cannot be worked out from the line's sum."""
    while hidden.any() and (hidden.sum() < 2 or line[hidden].sum() < MIN_COUNT - _ALMOST):
        left = np.where(hidden | (line <= _ALMOST), np.inf, line)
        if not np.isfinite(left).any():
            break
        hidden[np.argmin(left)] = True
