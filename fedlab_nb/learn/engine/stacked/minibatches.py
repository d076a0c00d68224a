"""Which rows K owners see at each of their local steps, gathered for many steps at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from math import prod
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.learn.engine import plan
from fedlab_nb.learn.engine.job import Array, Job
from fedlab_nb.learn.engine.programs import Seen
from fedlab_nb.learn.engine.stacked.weights import Like

if TYPE_CHECKING:
    from torch import Tensor

Ints = NDArray[np.intp]

# Bytes of features gathered in one go: as many steps as fit, but at least one.
_GATHERED = 4_000_000

# Rows that take less, of all owners and in a minibatch of one, are laid end to end first, so that one call gathers
# for all of them. What takes more is copied once, owner by owner: the calls cost less than copying twice.
_POOLED, _APART = 16_000_000, 16_000

_SMALLEST, _WIDEST = 8, 256


def width(rows: int, size: int | None) -> int:
    """How many places an owner's minibatches have, some of them padding: a matter of its own rows and nobody else's.

    A product's last bits depend on how many lines it has. So this must not depend on who trains beside the owner.

    >>> width(50, 16), width(11, 16), width(50, None), width(1000, None)
    (16, 16, 64, 1000)
    """
    longest = rows if size is None else min(rows, size)
    if not longest or longest > _WIDEST:
        return longest
    wide = max(_SMALLEST, 1 << (longest - 1).bit_length())
    return wide if size is None else min(wide, size)


def least(wide: int) -> int:
    """How many owners are computed together at least, if need be with one that has no rows: two.

    A product for a lone owner takes another road than one for many, and can have other last bits. Owners whose
    minibatches are so wide that company gains nothing are always alone, without padding.
    """
    return 1 if wide > _WIDEST else 2


class Minibatch(NamedTuple):
    """One local step of ``owners`` owners: features (K, B, inputs), targets (K, B), and what else is known of them.

    K is at least ``least(B)``: behind the owners there may be one that has no rows at this step.
    """

    owners: int
    x: Tensor
    y: Tensor
    seen: Seen


class Minibatches:
    """The local steps of owners of one width, who are sorted by their number of steps, most first."""

    def __init__(
        self, jobs: Sequence[Job], like: Like, *, epochs: int, size: int | None, width: int, fewest: int
    ) -> None:
        self.jobs, self._like, self._width, self._size, self._epochs = jobs, like, width, size or width, epochs
        lengths = [len(job.X) for job in jobs]
        self._rows = np.array(lengths)
        self._batches = np.array([_batches(rows, size, fewest) for rows in lengths])
        self.steps: list[int] = (self._batches * epochs).tolist()
        self._first = np.cumsum(self._rows) - self._rows
        self._tables: dict[int, Ints] = {}
        self._pools = tuple(_pooled([_part(job, i) for job in jobs], width) for i in (0, 1))

    def __iter__(self) -> Iterator[Minibatch]:
        most = self.steps[0]
        at_once = max(1, _GATHERED // max(1, len(self.jobs) * self._width * self.jobs[0].X.shape[1] * 4))
        for first in range(0, most, at_once):
            yield from self._gathered(first, min(first + at_once, most))

    def _gathered(self, first: int, last: int) -> Iterator[Minibatch]:
        """The steps from ``first`` up to ``last``."""
        rows = self._places(first, last)
        real = rows >= 0
        counts = real.sum(2)
        share = self._like.tensor((real * (1.0 / np.maximum(counts, 1))[..., None])[..., None])
        steps = [t.unbind() for t in (self._taken(rows, real, 0), self._taken(rows, real, 1), share)]
        keys, fewest, numbers = [job.key for job in self.jobs], least(self._width), counts.tolist()
        for s, active in enumerate(np.count_nonzero(counts, 1).tolist()):
            k = max(active, fewest)
            x, y, each = (of[s] if k == len(keys) else of[s][:k] for of in steps)
            yield Minibatch(active, x, y, Seen(keys[:k], first + s, numbers[s][:k], each))

    def _places(self, first: int, last: int) -> Ints:
        """For each step, owner and place in the minibatch (S, K, B) a row of the owner, or -1 for padding."""
        if self._epochs == 1:
            return self._table(0)[:, first:last].swapaxes(0, 1)
        step = np.arange(first, last)[:, None]
        live = step < self.steps
        epoch, batch = np.divmod(step, np.maximum(self._batches, 1))
        lowest, highest = int(epoch[0, 0]), int(epoch[live].max())  # the first owner has the longest epochs
        self._tables = {e: table for e, table in self._tables.items() if e >= lowest}
        tables = np.stack([self._table(e) for e in range(lowest, highest + 1)])
        rows: Ints = tables[np.clip(epoch - lowest, 0, highest - lowest), np.arange(len(self.jobs)), batch]
        rows[~live] = -1
        return rows

    def _table(self, epoch: int) -> Ints:
        """The owners' minibatches of one epoch (K, batches, B), -1 for padding."""
        if epoch not in self._tables:
            lengths = np.minimum(self._rows, self._batches * self._size)
            order = plan.orders([job.key for job in self.jobs], epoch, self._rows.tolist())
            places = order.shape[1]
            order[np.arange(places) >= lengths[:, None]] = -1
            table = np.full((len(self.jobs), int(self._batches[0]) * self._width), -1)
            table[:, :places] = order[:, : table.shape[1]]
            self._tables[epoch] = table.reshape(len(self.jobs), -1, self._width)
        return self._tables[epoch]

    def _taken(self, rows: Ints, real: NDArray[np.bool_], part: int) -> Tensor:
        """The features (part 0) or targets (1) of these rows, zeros for padding."""
        pool = self._pools[part]
        if pool is not None:
            at = np.where(real, rows + self._first[:, None], len(pool) - 1)
            return self._like.tensor(pool.take(at.ravel(), axis=0).reshape(*at.shape, *pool.shape[1:]))
        arrays = [_part(job, part) for job in self.jobs]
        taken = np.empty((*rows.shape, *arrays[0].shape[1:]), dtype=arrays[0].dtype)
        for s, numbers in enumerate(real.sum(2).tolist()):
            for k, n in enumerate(numbers):  # padding is always behind the true rows
                if n:
                    arrays[k].take(rows[s, k, :n], axis=0, out=taken[s, k, :n], mode="clip")
                taken[s, k, n:] = 0
        return self._like.tensor(taken)


@lru_cache(maxsize=4096)
def _batches(rows: int, size: int | None, fewest: int) -> int:
    return len(plan.batches(rows, size, fewest))


def _part(job: Job, part: int) -> Array:
    return job.y if part else job.X


def _pooled(arrays: Sequence[Array], width: int) -> Array | None:
    """All arrays' lines end to end, and a line of zeros behind them; none if they had better be left where they are."""
    lines, line = sum(map(len, arrays)), prod(arrays[0].shape[1:]) * arrays[0].itemsize
    if width * line > _APART or lines * line > _POOLED:
        return None
    pool = np.empty((lines + 1, *arrays[0].shape[1:]), dtype=arrays[0].dtype)
    np.concatenate(arrays, out=pool[:-1])
    pool[-1] = 0
    return pool
