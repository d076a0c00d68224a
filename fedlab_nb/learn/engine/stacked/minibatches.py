"""Which rows K owners see at each of their local steps, gathered for many steps at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

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


@dataclass(frozen=True, eq=False)
class Minibatch:
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
        self.jobs, self._like, self._width, self._size = jobs, like, width, size or width
        self._rows = np.array([len(job) for job in jobs])
        self._batches = np.array([_batches(len(job), size, fewest) for job in jobs])
        self._steps = self._batches * epochs
        self._first = np.cumsum(self._rows) - self._rows
        self._orders: dict[int, Ints] = {}
        pooled = sum(job.X.nbytes for job in jobs) <= _POOLED
        self._pool = tuple(_end_to_end([_part(job, i) for job in jobs]) for i in (0, 1)) if pooled else None

    @property
    def steps(self) -> list[int]:
        """How many each owner takes."""
        return [int(n) for n in self._steps]

    def __iter__(self) -> Iterator[Minibatch]:
        most = int(self._steps.max(initial=0))
        at_once = max(1, _GATHERED // max(1, len(self.jobs) * self._width * self.jobs[0].X.shape[1] * 4))
        for first in range(0, most, at_once):
            yield from self._gathered(first, min(first + at_once, most))

    def _gathered(self, first: int, last: int) -> Iterator[Minibatch]:
        """The steps from ``first`` up to ``last``."""
        rows, real = self._places(first, last)
        counts = real.sum(2)
        x, y = self._taken(rows, real, 0), self._taken(rows, real, 1)
        share = self._like.tensor((real / np.maximum(counts, 1)[..., None])[..., None])
        keys, active = [job.key for job in self.jobs], (counts > 0).sum(1).tolist()
        for s in range(last - first):
            k = max(active[s], least(self._width))
            yield Minibatch(
                active[s], x[s, :k], y[s, :k], Seen(keys[:k], first + s, counts[s, :k].tolist(), share[s, :k])
            )

    def _places(self, first: int, last: int) -> tuple[Ints, NDArray[np.bool_]]:
        """For each step, owner and place in the minibatch (S, K, B) a row of the owner, and whether it is one."""
        step = np.arange(first, last)[:, None]
        live = step < self._steps
        epoch, batch = np.divmod(step, np.maximum(self._batches, 1))
        place = batch[..., None] * self._size + np.arange(self._width)
        real = live[..., None] & (place < self._rows[:, None])
        lowest, highest = int(epoch[live].min()), int(epoch[live].max())
        orders = self._order(lowest, highest)
        epoch = np.clip(epoch, lowest, highest) - lowest
        owner = np.arange(len(self.jobs))[:, None]
        return orders[epoch[..., None], owner, np.minimum(place, orders.shape[2] - 1)], real

    def _order(self, lowest: int, highest: int) -> Ints:
        """The owners' rows (E, K, longest) in the order of these epochs; those of earlier ones are not kept."""
        keys, lengths = [job.key for job in self.jobs], self._rows.tolist()
        known = self._orders
        self._orders = {
            epoch: known[epoch] if epoch in known else plan.orders(keys, epoch, lengths)
            for epoch in range(lowest, highest + 1)
        }
        return np.stack(list(self._orders.values()))

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
