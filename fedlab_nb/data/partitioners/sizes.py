"""Rows dealt out at random, to owners of equal or of very different sizes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.data.partitioners.rules import FEWEST, Described, Parts, check_owners, fill_up

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, repr=False)
class IID(Described):
    """Rows dealt out evenly at random: every owner's rows are a fair sample of all, and sizes differ by one at most.

    Called ``IidPartitioner`` in Flower Datasets.

    >>> import pandas as pd
    >>> [len(part) for part in IID()(pd.DataFrame({"y": range(103)}), 4, np.random.default_rng(0))]
    [26, 26, 26, 25]
    """

    def __call__(self, frame: pd.DataFrame, owners: int, rng: np.random.Generator) -> Parts:
        """For each of ``owners`` the sorted positions of its rows."""
        owners = check_owners(owners, len(frame))
        return [np.sort(part) for part in np.array_split(rng.permutation(len(frame)), owners)]


def _dealt(weights: NDArray[np.float64], rows: int, rng: np.random.Generator) -> Parts:
    """Rows at random in parts of n w / sum(w), rounded down; the last part takes what is left over."""
    sizes = np.floor(rows * weights / weights.sum()).astype(int)
    return fill_up(np.split(rng.permutation(rows), np.cumsum(sizes)[:-1]), FEWEST)


@dataclass(frozen=True, repr=False)
class Linear(Described):
    """Sizes that grow evenly from owner to owner: owner i holds about i times as many rows as the first.

    Rows are dealt out at random, so that owners differ in size and not in kind (quantity skew). Sizes are
    n i / (1 + 2 + ... + N) rounded down, the last owner takes the remainder, and nobody gets fewer than 2 rows where
    there are enough. Called ``LinearPartitioner`` in Flower Datasets.
    """

    def __call__(self, frame: pd.DataFrame, owners: int, rng: np.random.Generator) -> Parts:
        """For each of ``owners`` the sorted positions of its rows."""
        owners = check_owners(owners, len(frame))
        return _dealt(np.arange(1.0, owners + 1), len(frame), rng)


@dataclass(frozen=True, repr=False)
class Square(Described):
    """Sizes that grow with the square: owner i holds about i² times as many rows as the first.

    Otherwise as ``Linear``. Called ``SquarePartitioner`` in Flower Datasets.
    """

    def __call__(self, frame: pd.DataFrame, owners: int, rng: np.random.Generator) -> Parts:
        """For each of ``owners`` the sorted positions of its rows."""
        owners = check_owners(owners, len(frame))
        return _dealt(np.arange(1.0, owners + 1) ** 2, len(frame), rng)


@dataclass(frozen=True, repr=False)
class Exponential(Described):
    """Sizes that grow e-fold: each owner holds about 2.7 times as many rows as the one before, the last 63 % of all.

    Otherwise as ``Linear``. Called ``ExponentialPartitioner`` in Flower Datasets.
    """

    def __call__(self, frame: pd.DataFrame, owners: int, rng: np.random.Generator) -> Parts:
        """For each of ``owners`` the sorted positions of its rows."""
        owners = check_owners(owners, len(frame))
        # Counted from the last owner, so that no power overflows however many there are.
        return _dealt(np.exp(np.arange(1.0 - owners, 1.0)), len(frame), rng)
