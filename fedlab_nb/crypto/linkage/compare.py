"""Which filters of two lists are most alike: what a party does that has both lists and no key.

How alike two filters are is their Dice coefficient: twice the bits that both have set, of all that each has set.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]

MARGIN = 0.05
"""So close to the threshold a pair is worth a look."""
_ROWS_AT_ONCE = 512


@dataclass(frozen=True)
class Links:
    """``places`` (m, 2) of linked filters in the two lists, in the order of the first one; and what was doubtful.

    ``near`` of them are less than ``MARGIN`` above the threshold, ``missed`` best pairs less than that below it;
    ``tied`` filters, of both lists, are as much like several of the other list, and are linked to none.
    """

    places: NDArray[np.int64]
    near: int
    missed: int
    tied: int


def best_pairs(first: Bytes, second: Bytes, threshold: float, progress: Callable[[float], None] | None = None) -> Links:
    """The pairs of which each is the other's only best, and which are alike by ``threshold`` or more.

    Law: it does not depend on the order of either list, and each filter is in one pair at most. ``progress`` is called
    with the share of the first list that has been looked at.
    """
    if not len(first) or not len(second):
        return Links(np.empty((0, 2), dtype=np.int64), 0, 0, 0)
    mine, theirs = _Best(len(first)), _Best(len(second))
    bits = _bits(second).T
    counts = bits.sum(axis=0)
    for start in range(0, len(first), _ROWS_AT_ONCE):
        time.sleep(0)
        part = _bits(first[start : start + _ROWS_AT_ONCE])
        alike = 2 * (part @ bits) / np.maximum(part.sum(axis=1)[:, None] + counts, 1)
        mine.take(slice(start, start + len(part)), alike, 0)
        theirs.take(slice(None), alike.T, start)
        if progress is not None:
            progress((start + len(part)) / len(first))
    rows = np.arange(len(first))
    mutual = theirs.place[mine.place] == rows
    sure = mutual & ~mine.tied & ~theirs.tied[mine.place]
    low, high = np.float32(threshold - MARGIN), np.float32(threshold + MARGIN)
    linked = sure & (mine.alike >= np.float32(threshold))
    places = np.stack([rows[linked], mine.place[linked]], axis=1)
    near = int((linked & (mine.alike < high)).sum())
    missed = int((sure & ~linked & (mine.alike >= low)).sum())
    tied = sum(int((side.tied & (side.alike >= np.float32(threshold))).sum()) for side in (mine, theirs))
    return Links(places, near, missed, tied)


class _Best:
    """For each filter of one list the place of the one that is most like it, how alike, and whether another one is."""

    def __init__(self, count: int) -> None:
        self.alike: Floats = np.full(count, -1.0, dtype=np.float32)
        self.place = np.zeros(count, dtype=np.int64)
        self.tied = np.zeros(count, dtype=np.bool_)

    def take(self, part: slice, alike: Floats, offset: int) -> None:
        """Look at more of the other list: ``alike`` (these filters, those from ``offset`` on)."""
        best = alike.max(axis=1)
        several = (alike == best[:, None]).sum(axis=1) > 1
        better, equal = best > self.alike[part], best == self.alike[part]
        self.tied[part] = np.where(better, several, self.tied[part] | equal)
        self.place[part] = np.where(better, alike.argmax(axis=1) + offset, self.place[part])
        self.alike[part] = np.maximum(best, self.alike[part])


def _bits(filters: Bytes) -> Floats:
    """Each bit as 0 or 1: sums of their products are whole numbers, which 32 bits hold exactly."""
    return np.unpackbits(filters, axis=1).astype(np.float32)
