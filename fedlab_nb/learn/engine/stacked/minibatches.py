"""Which rows K owners see at each of their local steps, gathered for many steps at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
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

# Owners whose rows take less are laid end to end first, so that one call gathers for all of them.
_POOLED = 16_000_000

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
        pooled = sum(job.X.nbytes for job in jobs) <= _POOLED
        self._pool = tuple(_end_to_end([_part(job, i) for job in jobs]) for i in (0, 1)) if pooled else None

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
        x, y = self._taken(rows, real, 0), self._taken(rows, real, 1)
        share = self._like.tensor((real / np.maximum(counts, 1)[..., None])[..., None])
        keys, active, fewest = [job.key for job in self.jobs], (counts > 0).sum(1).tolist(), least(self._width)
        for s, number in enumerate(range(first, last)):
            k = max(active[s], fewest)
            yield Minibatch(active[s], x[s, :k], y[s, :k], Seen(keys[:k], number, counts[s, :k].tolist(), share[s, :k]))

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
        if self._pool is not None:
            pool = self._pool[part]
            at = np.where(real, rows + self._first[:, None], len(pool) - 1)
            return self._like.tensor(pool.take(at.ravel(), axis=0).reshape(*at.shape, *pool.shape[1:]))
        arrays = [_part(job, part) for job in self.jobs]
        taken = np.zeros((*rows.shape, *arrays[0].shape[1:]), dtype=arrays[0].dtype)
        for s, k in np.argwhere(real.any(2)):
            inside = real[s, k]
            taken[s, k, inside] = arrays[k][rows[s, k, inside]]
        return self._like.tensor(taken)


@lru_cache(maxsize=4096)
def _batches(rows: int, size: int | None, fewest: int) -> int:
    return len(plan.batches(rows, size, fewest))


def _part(job: Job, part: int) -> Array:
    return job.y if part else job.X


def _end_to_end(arrays: Sequence[Array]) -> Array:
    """All arrays' lines, and a line of zeros behind them."""
    out = np.zeros((sum(map(len, arrays)) + 1, *arrays[0].shape[1:]), dtype=arrays[0].dtype)
    np.concatenate(arrays, out=out[:-1])
    return out
