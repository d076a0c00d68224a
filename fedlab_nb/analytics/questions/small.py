"""Small cells: what a table without noise may not show."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MIN_COUNT = 5
"""Exact counts from 1 to 4 are not shown, nor statistics of so few rows; next to one, neither is a 0."""

# Exact counts come back whole up to the rounding of an encrypted sum.
_ALMOST = 1e-3


def is_small(counts: Floats) -> NDArray[np.bool_]:
    """Where a count is above 0 and below the minimum."""
    small: NDArray[np.bool_] = (counts > _ALMOST) & (counts < MIN_COUNT - _ALMOST)
    return small


def hide(counts: Floats) -> Floats:
    """Counts of a table with any number of axes, whose small cells are NaN, with as many others as keep them secret.

    Where a table has a small cell, its empty ones are hidden too: "<5" then means 0 to 4, and does not tell where the
    rows are. A single hidden cell of a line is the line's sum, which is easily asked for, minus the others. So along
    every axis the smallest other cells are hidden too, until of each line at least two are and together they hold the
    minimum. Counts that have NaN already stay as they are.

    >>> hide(np.array([40.0, 3.0, 9.0, 0.0]))
    array([40., nan, nan, nan])
    >>> hide(np.array([40.0, 0.0, 9.0]))
    array([40.,  0.,  9.])
    >>> hide(np.array([[20.0, 3.0], [30.0, 40.0]]))
    array([[nan, nan],
           [nan, nan]])
    """
    counts = np.asarray(counts, dtype=np.float64)
    small = is_small(counts)
    if np.isnan(counts).any():
        return np.where(small, np.nan, counts)
    hidden = small | (counts <= _ALMOST) if small.any() else small
    before = -1
    while before != hidden.sum():
        before = int(hidden.sum())
        for axis in range(counts.ndim):
            lines, held = np.moveaxis(counts, axis, -1), np.moveaxis(hidden, axis, -1)
            for place in np.ndindex(lines.shape[:-1]):
                _complete(lines[place], held[place])
    return np.where(hidden, np.nan, counts)


def levelled(counts: Floats) -> Floats:
    """Counts (k,) whose hidden cells all show their own mean: their sum stays, and it is the minimum or more.

    >>> levelled(np.array([40.0, 3.0, 9.0, 0.0]))
    array([40.,  4.,  4.,  4.])
    """
    hidden = np.isnan(hide(counts))
    if not hidden.any():
        return counts
    whole = counts[hidden].sum()
    return np.where(hidden, whole / hidden.sum() if whole >= MIN_COUNT - _ALMOST else 0.0, counts)


def _complete(line: Floats, hidden: NDArray[np.bool_]) -> None:
    """Hide more of one line, in place, until what is hidden of it cannot be worked out from the line's sum."""
    while hidden.any() and (hidden.sum() < 2 or line[hidden].sum() < MIN_COUNT - _ALMOST):
        left = np.where(hidden | (line <= _ALMOST), np.inf, line)
        if not np.isfinite(left).any():
            break
        hidden[np.argmin(left)] = True


def merged(counts: Floats) -> Floats:
    """Neighbouring bins of (g, b, 2) put together until no group has a small cell; all but the last are NaN.

    For statistics that show their counts, so that hiding these would hide nothing: the bins get coarser instead. A rest
    that stays small goes to the bin before it. Bins that are NaN count with the next that is not.
    """
    out = np.full_like(counts, np.nan)
    waiting = np.zeros((counts.shape[0], 2))
    closed: list[int] = []
    for b in range(counts.shape[1]):
        waiting += np.nan_to_num(counts[:, b])
        if not np.isnan(counts[:, b]).any() and not is_small(waiting).any():
            out[:, b] = waiting
            closed.append(b)
            waiting = np.zeros_like(waiting)
    if waiting.any() and closed:
        out[:, -1] = waiting + out[:, closed[-1]]
        if closed[-1] != counts.shape[1] - 1:
            out[:, closed[-1]] = np.nan
    if is_small(np.nan_to_num(out)).any():
        return merged(out) if len(closed) > 1 else np.full_like(counts, np.nan)
    return out


def shown_bins(counts: Floats) -> NDArray[np.intp]:
    """Which bins of (g, b, 2) are shown: those that are not NaN."""
    return np.flatnonzero(~np.isnan(counts).any(axis=(0, 2)))
