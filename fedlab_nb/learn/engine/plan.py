"""Which rows an owner's local steps see, in which order: a function of (seed, round, owner, epoch, row) and no more.

So no executor, chunk or order of owners changes what anybody trains on.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.learn.engine.job import Key

GOLDEN = 0x9E3779B97F4A7C15
_FACTORS = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))
_MASK = 2**64 - 1
_STEP = np.uint64(GOLDEN)
_WORDS, _LAST = tuple((np.uint64(shift), np.uint64(factor)) for shift, factor in _FACTORS), np.uint64(31)

Words = NDArray[np.uint64]


def mixed(words: Words) -> Words:
    """64 bits that look unrelated for neighbouring inputs; one number for each.

    Source: Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators", the finalizer of SplitMix64.
    """
    for shift, factor in _WORDS:
        words = (words ^ (words >> shift)) * factor
    return words ^ (words >> _LAST)


def seed_of(*parts: int) -> int:
    """One 64-bit seed from several whole numbers, in order."""
    seed = 0
    for part in parts:
        word = (seed + int(part) + GOLDEN) & _MASK
        for shift, factor in _FACTORS:
            word = ((word ^ (word >> shift)) * factor) & _MASK
        seed = word ^ (word >> 31)
    return seed


def orders(keys: Sequence[Key], epoch: int, lengths: Sequence[int]) -> NDArray[np.intp]:
    """For each owner (one line) its rows in the order of ``epoch``; a line is as long as the longest.

    Behind an owner's own rows follow places that are none of its rows.

    >>> orders([(0, 1, 0), (0, 1, 1)], 0, [3, 2])[:, :2].max() < 3
    np.True_
    """
    longest = max(lengths, default=0)
    known: dict[tuple[int, ...], int] = {}
    heads = np.array([known.get(k[:-1]) or known.setdefault(k[:-1], seed_of(*k[:-1])) for k in keys], dtype=np.uint64)
    with np.errstate(over="ignore"):
        for part in (np.array([int(k[-1]) & _MASK for k in keys], dtype=np.uint64), np.uint64(epoch)):
            heads = mixed(heads + part + _STEP)  # as in seed_of, for all owners at once
        words = mixed(heads[:, None] + np.arange(longest, dtype=np.uint64) * _STEP)
    words[np.arange(longest) >= np.asarray(lengths)[:, None]] = _MASK
    return np.argsort(words, axis=1)


def batches(rows: int, size: int | None, fewest: int = 1) -> list[tuple[int, int]]:
    """Where the minibatches of one epoch begin and end: of ``size`` rows (None: all at once), the last may be smaller.

    A batch of less than ``fewest`` rows is left out: no variance can be told from one row.
    """
    size = size or max(rows, 1)
    cuts = ((start, min(start + size, rows)) for start in range(0, rows, size))
    return [(start, stop) for start, stop in cuts if stop - start >= fewest]
