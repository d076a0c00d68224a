"""What a division looks like in numbers: rows of each label at each owner, and how far owners are from the whole."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.data.partitioners.rules import Labels


def tally(labels: Labels, parts: Sequence[NDArray[np.intp]]) -> NDArray[np.int64]:
    """Rows of each label at each owner (owners, labels)."""
    return np.array([np.bincount(labels.codes[part], minlength=len(labels.names)) for part in parts], dtype=np.int64)


def out_of_place(counts: NDArray[np.int64]) -> float:
    """The share of rows that would have to change owner for every owner to have the mix of labels of all rows.

    sum_i n_i / n · TV(p_i, p), with p_i the labels' shares at owner i, p those of all rows, and TV half of the sum of
    absolute differences: 0 where all owners are alike, towards 1 where each of many labels lies at one owner alone.

    >>> out_of_place(np.array([[10, 0], [0, 10]]))
    0.5
    """
    rows = counts.sum(axis=1, keepdims=True)
    even = rows * counts.sum(axis=0) / counts.sum()
    return float(np.abs(counts - even).sum() / 2 / counts.sum())
