"""The minibatches of K owners at one local step as a rule sees them, and the step that needs no rule."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from fedlab_nb.learn.engine.job import Job, Pull
from fedlab_nb.learn.engine.losses import slopes
from fedlab_nb.learn.engine.programs import Network, Slope, Views
from fedlab_nb.learn.engine.stacked.minibatches import Minibatch
from fedlab_nb.learn.engine.stacked.weights import Like, Weights
from fedlab_nb.records.schema import Task

if TYPE_CHECKING:
    from torch import Tensor


class Owners:
    """K owners at one local step: the ``Batch`` of a rule. Before each step ``at`` says which one."""

    def __init__(self, network: Network, task: Task, jobs: Sequence[Job], weights: Weights, like: Like) -> None:
        self._network, self._task, self._jobs, self._weights, self._like = network, task, jobs, weights, like
        self._now: Minibatch

    def at(self, minibatch: Minibatch) -> None:
        """Go to this step."""
        self._now = minibatch

    @property
    def number(self) -> int:
        """The step's number, from 0 on."""
        return self._now.seen.number

    @property
    def offset(self) -> Tensor | None:
        """What is added to the gradient (K, p), if anything."""
        return None if self._offsets is None else self._offsets[: self._now.owners]

    @property
    def anchor(self) -> Tensor:
        """What a proximal term pulls to (K, p)."""
        return self._anchors[: self._now.owners]

    def gradient(self, w: Tensor, pull: Pull | None = None) -> Tensor:
        """The gradient (K, p) of each owner's mean loss at the parameters ``w`` (K, p)."""
        import torch

        found = self._slopes(self._views(w), self._pulled(pull) if pull is not None else None)
        parts = [g.flatten(1) for slope in found for g in slope.program.gradients(slope.d, slope.kept)]
        return torch.cat(parts, 1)[: self._now.owners]

    def representation(self, w: Tensor) -> Tensor:
        """What the last linear layer gets (K, B, h) at ``w``; lines of padding among them."""
        now = self._now
        tape = self._network.forward(now.x, self._views(w), now.seen.still())
        return tape.representation[: now.owners]

    def descend(self, lr: float) -> None:
        """One step, straight into the layers' weights: w <- w - lr * gradient."""
        for slope in self._slopes(self._weights.views(self._now.x.shape[0])):
            slope.program.descend(slope.d, slope.kept, slope.w, lr)

    def _slopes(self, views: list[Views], pull: Callable[[Tensor], Tensor] | None = None) -> list[Slope]:
        now = self._now
        tape = self._network.forward(now.x, views, now.seen)
        d = slopes(self._task, tape.outputs, now.y).mul_(now.seen.share)
        return self._network.backward(tape, d, views, pull)

    def _views(self, w: Tensor) -> list[Views]:
        """``w`` layer by layer, for as many owners as there are minibatches."""
        flat, wanted = self._weights.flat, self._now.x.shape[0]
        if flat is not None and w.data_ptr() == flat.data_ptr():
            return self._weights.views(wanted)
        return self._weights.at(w if len(w) == wanted else w.expand(wanted, -1))

    def _pulled(self, pull: Pull) -> Callable[[Tensor], Tensor]:
        """Each row's additional gradient, for the mean over its owner's true rows; padding gets none."""
        owners, share = self._now.owners, self._now.seen.share

        def pulled(z: Tensor) -> Tensor:
            d = z.new_zeros(z.shape)
            d[:owners] = pull(z[:owners])
            # Not a product with 0: what a rule makes of a line of padding may be no number at all.
            return d.mul_(share).masked_fill_(share == 0, 0.0)

        return pulled

    @cached_property
    def _offsets(self) -> Tensor | None:
        given = [job.offset for job in self._jobs if job.offset is not None]
        return self._like.rows(given)[:, : self._weights.p].expand(len(self._jobs), -1) if given else None

    @cached_property
    def _anchors(self) -> Tensor:
        given = [job.start if job.anchor is None else job.anchor for job in self._jobs]
        return self._like.rows(given)[:, : self._weights.p].expand(len(self._jobs), -1)
