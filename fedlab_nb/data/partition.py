"""Dividing one table among owners, evenly or with skewed labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fedlab_nb.errors import SettingError

BINS = 10
MOST_LABELS = 20
SMALLEST_ALPHA, LARGEST_ALPHA = 1e-3, 1e6
FEWEST = 2


def partition(labels: ArrayLike, owners: int, skew: float, rng: np.random.Generator) -> list[NDArray[np.intp]]:
    """For each owner the sorted positions of its rows in ``labels`` (n,); every row goes to exactly one owner.

    ``skew`` 0 deals rows out evenly at random. Between 0 and 1, each label's rows are divided by shares drawn from a
    Dirichlet distribution with concentration (1 - skew) / skew: the closer to 1, the fewer owners share a label, and
    the more the owners differ in size. At 1, rows sorted by label are cut into equal runs, so that an owner sees as
    few labels as possible. Where there are more than 20 different
    numbers, rows in the same tenth of the distribution count as having the same label.

    Where there are at least 2 * owners rows, each owner gets at least 2: owners with fewer are filled up, one row at
    a time, from whoever has most. With fewer rows than that, each gets at least n // owners.

    Raises:
        SettingError: if there are fewer than one owner, or ``skew`` is outside [0, 1].

    Source: Li et al. 2022, "Federated learning on non-IID data silos" (NIID-Bench), section IV-A, label distribution.

    >>> [len(rows) for rows in partition(["a", "b"] * 50, 4, 0.0, np.random.default_rng(0))]
    [25, 25, 25, 25]
    """
    if not isinstance(owners, int | np.integer) or owners < 1:
        raise SettingError(
            f"The rows were to be divided among owners={owners!r}.", "Rows need someone to hold them.", "Use 1 or more."
        )
    if not 0.0 <= skew <= 1.0:
        raise SettingError(
            f"skew={skew!r} was asked for.",
            "It says how unequally labels are spread: 0 is evenly at random, 1 is sorted by label.",
            "Choose a number from 0 to 1, such as 0.5.",
        )
    codes = _codes(np.asarray(labels))
    order = rng.permutation(codes.size)
    if skew == 0.0:
        parts = np.array_split(order, owners)
    elif skew == 1.0:
        parts = np.array_split(order[np.argsort(codes[order], kind="stable")], owners)
    else:
        parts = _dirichlet(codes, order, owners, _alpha(skew), rng)
    return [np.sort(part) for part in _fill_up(parts, min(FEWEST, codes.size // owners))]


def _alpha(skew: float) -> float:
    # Beyond these ends the shares no longer change visibly, and drawing them is no longer exact.
    return min(max((1 - skew) / skew, SMALLEST_ALPHA), LARGEST_ALPHA)


def _codes(labels: NDArray[np.generic]) -> NDArray[np.int64]:
    """Label numbers (n,), -1 where missing; many different numbers are cut into tenths of their distribution."""
    import pandas as pd

    if labels.dtype.kind in "iuf" and np.unique(labels).size > MOST_LABELS:
        binned = pd.qcut(pd.Series(labels), BINS, labels=False, duplicates="drop")
        return binned.fillna(-1).to_numpy(dtype=np.int64)
    return pd.factorize(pd.Series(labels), sort=False)[0].astype(np.int64)


def _dirichlet(
    codes: NDArray[np.int64], order: NDArray[np.intp], owners: int, alpha: float, rng: np.random.Generator
) -> list[NDArray[np.intp]]:
    parts: list[list[NDArray[np.intp]]] = [[] for _ in range(owners)]
    for code in np.unique(codes):
        rows = order[codes[order] == code]
        cuts = (np.cumsum(rng.dirichlet(np.full(owners, alpha)))[:-1] * rows.size).round().astype(int)
        for part, piece in zip(parts, np.split(rows, cuts), strict=True):
            part.append(piece)
    return [rng.permutation(np.concatenate([order[:0], *part])) for part in parts]


def _fill_up(parts: list[NDArray[np.intp]], fewest: int) -> list[NDArray[np.intp]]:
    lists = [list(part) for part in parts]
    for needy in lists:
        while len(needy) < fewest:
            needy.append(max(lists, key=len).pop())
    return [np.array(rows, dtype=np.intp) for rows in lists]
