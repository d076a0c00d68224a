"""What is asked of single rows, for many owners at once: sums of clipped gradients, and mean losses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING

import numpy as np

from fedlab_nb.learn.engine.job import Floats, Job
from fedlab_nb.learn.engine.losses import losses_alike, slopes
from fedlab_nb.learn.engine.programs import Network, Seen, Views
from fedlab_nb.learn.engine.stacked.minibatches import least, width
from fedlab_nb.learn.engine.stacked.weights import Like, still
from fedlab_nb.records.schema import Task

if TYPE_CHECKING:
    from torch import Tensor

# Of an owner's rows so many go through in one piece, whose results are added up.
_ROWS_AT_ONCE = 4096

# Of all owners' rows so many numbers are in memory at once, and so many are held back until it is their turn.
_AT_ONCE, _HELD = 1_000_000, 4_000_000


@dataclass(frozen=True, eq=False)
class _Piece:
    """The rows of the ``owner``-th job from ``first`` up to ``last``."""

    owner: int
    job: Job
    first: int
    last: int


class Rows:
    """Passes over owners' rows that leave all weights as they are."""

    def __init__(self, network: Network, task: Task, like: Like) -> None:
        self._network, self._task, self._like = network, task, like

    def clipped(self, jobs: Sequence[Job], clip: float) -> Iterator[Floats]:
        """For each job the sum (d,) over its rows of loss gradients, each scaled down to an L2 norm of ``clip``."""
        held = max(1, _HELD // max(len(job.start) for job in jobs)) if jobs else 1
        for first in range(0, len(jobs), held):
            window = jobs[first : first + held]
            totals: dict[int, Floats] = {}
            left = [-(-len(job) // _ROWS_AT_ONCE) for job in window]
            ready = 0
            for pieces in (*self._together(window, self._network.written), []):
                for piece, total in zip(pieces, self._clipped(pieces, clip) if pieces else (), strict=True):
                    totals[piece.owner] = totals[piece.owner] + total if piece.owner in totals else total
                    left[piece.owner] -= 1
                while ready < len(window) and not left[ready]:
                    yield totals.pop(ready) if len(window[ready]) else np.zeros(len(window[ready].start))
                    ready += 1

    def losses(self, jobs: Sequence[Job]) -> Floats:
        """The mean loss (n,) of each job's rows at its starting weights; not a number where there are no rows."""
        totals = np.zeros(len(jobs))
        for pieces in self._together(jobs, 0):
            for piece, total in zip(pieces, self._losses(pieces), strict=True):
                totals[piece.owner] += total
        return np.array([total / len(job) if len(job) else np.nan for total, job in zip(totals, jobs, strict=True)])

    def _together(self, jobs: Sequence[Job], written: int) -> Iterator[list[_Piece]]:
        """Pieces of one width, as many as fit in memory; ``written`` numbers for every row beside what passes."""
        alike: dict[int, list[_Piece]] = {}
        for i, job in enumerate(jobs):
            for first in range(0, len(job), _ROWS_AT_ONCE):
                last = min(first + _ROWS_AT_ONCE, len(job))
                alike.setdefault(width(last - first, None), []).append(_Piece(i, job, first, last))
        for wide, pieces in sorted(alike.items(), reverse=True):  # an owner's pieces always in the same order
            each = wide * (self._network.passing(jobs[0].X.shape[1]) + written) + len(jobs[0].start)
            fitting = max(1, _AT_ONCE // each) if least(wide) > 1 else 1
            for first in range(0, len(pieces), fitting):
                yield pieces[first : first + fitting]

    def _clipped(self, pieces: Sequence[_Piece], clip: float) -> Floats:
        """Each piece's sum (K, d), from one way forward and back over all rows.

        Added in 64 bits: in 32, rounding could let one row move the sum of many by more than the clip.
        """
        import torch

        with torch.inference_mode():
            x, y, seen = self._gathered(pieces, training=True)
            views = self._weights(pieces, len(x))
            tape = self._network.forward(x, views, seen)
            d = slopes(self._task, tape.outputs, y).mul_(seen.share)
            found = [slope.program.of_rows(slope.d, slope.kept) for slope in self._network.backward(tape, d, views)]
            # One after the other: a sum over a first axis adds up in another order at another owner's place.
            squares = reduce(torch.add, [of_rows.squares() for of_rows in found])
            fine = squares.isfinite()
            if not bool(fine.all()):
                # A row whose gradient is none counts as zero: it would move the sum by all that others' rows give.
                found, squares = [of_rows.only(fine) for of_rows in found], squares.where(fine, 0.0)
            scale = (clip / squares.sqrt_().clamp_(min=1e-12)).clamp_(max=1.0)
            totals = torch.cat([part for of_rows in found for part in of_rows.total(scale)], 1)
            return np.asarray(totals[: len(pieces)].cpu().numpy())

    def _losses(self, pieces: Sequence[_Piece]) -> Floats:
        """The sum of each piece's losses (K,)."""
        import torch

        with torch.inference_mode():
            x, y, seen = self._gathered(pieces, training=False)
            tape = self._network.forward(x, self._weights(pieces, len(x)), seen)
            each = losses_alike(self._task, tape.outputs.double(), y)
            total = each.where(seen.share[..., 0] > 0, 0.0).sum(1)
            return np.asarray(total[: len(pieces)].cpu().numpy())

    def _weights(self, pieces: Sequence[_Piece], owners: int) -> list[Views]:
        return still(self._network, self._like.rows([piece.job.start for piece in pieces]), owners)

    def _gathered(self, pieces: Sequence[_Piece], *, training: bool) -> tuple[Tensor, Tensor, Seen]:
        """The pieces' rows (K, B, inputs) and targets (K, B), with zeros behind them; K is at least 2."""
        job, counts = pieces[0].job, [piece.last - piece.first for piece in pieces]
        wide = width(counts[0], None)
        owners = max(len(pieces), least(wide))
        x = np.zeros((owners, wide, *job.X.shape[1:]), dtype=job.X.dtype)
        y = np.zeros((owners, wide), dtype=job.y.dtype)
        share = np.zeros((owners, wide, 1))
        for k, (piece, rows) in enumerate(zip(pieces, counts, strict=True)):
            x[k, :rows] = piece.job.X[piece.first : piece.last]
            y[k, :rows] = piece.job.y[piece.first : piece.last]
            share[k, :rows] = 1.0
        tensor = self._like.tensor
        keys = [piece.job.key for piece in pieces]
        lone = owners - len(pieces)
        seen = Seen([*keys, *keys[:lone]], 0, [*counts, *(0,) * lone], tensor(share), training=training, alike=True)
        return tensor(x), tensor(y), seen
