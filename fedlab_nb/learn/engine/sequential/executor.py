"""One owner after another, with torch's own gradients: for any module, and what every other executor has to equal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.learn.engine import plan
from fedlab_nb.learn.engine.flat import in_64_bits
from fedlab_nb.learn.engine.job import SGD, Floats, Job, Pull, Rule, Trained
from fedlab_nb.learn.engine.losses import mean_loss
from fedlab_nb.learn.engine.sequential import single
from fedlab_nb.learn.engine.sequential.bound import Bound, drawn_from, only_torch
from fedlab_nb.records.schema import Task

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

Order = NDArray[np.intp]

# Of so many owners the orders of rows are made in one go, if they have no more than so many rows in all their epochs.
_OWNERS, _ROWS = 64, 1_000_000


class Sequential:
    """Trains the owners of a round one by one.

    One copy of the module serves all owners, their weights loaded in place; a module with code of its own gets a fresh
    copy for every owner, so that nothing it keeps goes from one to the next, and random numbers of its own key.
    """

    name = "sequential"

    def __init__(
        self, module: nn.Module, task: Task, dtype: torch.dtype | None = None, device: torch.device | None = None
    ) -> None:
        import torch

        self._untouched, self.task, self._dtype = module, task, dtype
        self._device = device or torch.device("cpu")
        self._own = not only_torch(module)
        self._fewest = 2 if norms_batches(module) else 1
        self._shared = None if self._own else self._bound()

    def run(self, jobs: Sequence[Job], rule: Rule, *, epochs: int, batch_size: int | None) -> Iterator[Trained]:
        """What becomes of each job's weights, in order, after ``epochs`` passes in minibatches of ``batch_size`` rows.

        ``batch_size`` None takes all rows of an owner at once.
        """
        self._begin()
        for job, orders in _ordered(jobs, epochs):
            with drawn_from(job, needed=self._own):
                trained = self._one(job, orders, rule, plan.batches(len(job), batch_size, self._fewest))
            yield trained

    def clipped(self, jobs: Sequence[Job], clip: float) -> Iterator[Floats]:
        """For each job the sum (d,) over its rows of loss gradients, each scaled down to an L2 norm of ``clip``.

        Dropout leaves out the same of every row of an owner: a row more must not change what another one gives.

        Raises:
            SettingError: if the model normalises batches.
        """
        if self._fewest > 1:
            raise single.rows_are_mixed()
        self._begin()
        for job in jobs:
            yield single.clipped(self._ready, job, self.task, clip, own=self._own)

    def losses_of(self, jobs: Sequence[Job]) -> Floats:
        """The mean loss (n,) of each job's rows at its starting weights, in evaluation; without rows not a number."""
        self._begin()
        return np.array([single.mean_loss(self._ready(), job, self.task, draws=self._own) for job in jobs])

    def _bound(self) -> Bound:
        return Bound(self._untouched, self._dtype, self._device)

    def _ready(self) -> Bound:
        """The shared copy of the module; or a fresh one, if it has code of its own."""
        return self._shared or self._bound()

    def _begin(self) -> None:
        if self._shared is not None:
            self._shared.given = None

    def _one(self, job: Job, orders: Sequence[Order], rule: Rule, cuts: list[tuple[int, int]]) -> Trained:
        import torch

        bound = self._ready()
        bound.load(job.start)
        seen, step = _Owner(bound, job, self.task), 0
        with torch.no_grad():
            kept = rule.begin(bound.flat[None])
        plain = type(rule) is SGD and rule.plain and job.offset is None
        for order in orders if cuts else ():
            for start, stop in cuts:
                seen.at(step, order[start:stop])
                if plain:
                    torch._foreach_add_(bound.parts, seen.gradients(), alpha=-rule.lr)  # type: ignore[attr-defined]
                else:
                    with torch.no_grad():
                        rule.step(bound.flat[None], seen, kept)
                step += 1
        left = {name: tensor[0].double().cpu().numpy().copy() for name, tensor in kept.items()}
        return Trained(partial(in_64_bits, bound.read()), step, left)


class _Owner:
    """One owner's minibatch as a rule sees it."""

    def __init__(self, bound: Bound, job: Job, task: Task) -> None:
        self._bound, self._job, self._task = bound, job, task
        self._x = self._y = bound.flat
        bound.dropout.key = job.key

    def at(self, number: int, rows: Order) -> None:
        """Go to this step, whose minibatch these rows are; they are copied, so that no module can alter an owner's."""
        self._bound.dropout.step = number
        self._x, self._y = self._bound.tensor(self._job.X[rows]), self._bound.tensor(self._job.y[rows])

    @property
    def number(self) -> int:
        """The step's number, from 0 on."""
        return self._bound.dropout.step

    @cached_property
    def offset(self) -> Tensor | None:
        """What is added to the gradient (1, p), if anything."""
        return None if self._job.offset is None else self._vector(self._job.offset)

    @cached_property
    def anchor(self) -> Tensor:
        """What a proximal term pulls to (1, p)."""
        return self._vector(self._job.start if self._job.anchor is None else self._job.anchor)

    def gradients(self, pull: Pull | None = None) -> tuple[Tensor, ...]:
        """The mean loss's gradients at the parameters in force, one for each tensor."""
        import torch

        bound = self._bound
        with torch.enable_grad():
            if pull is None:
                loss = mean_loss(self._task, bound.module(self._x), self._y)
                return torch.autograd.grad(loss, bound.tensors)
            outputs, z = self._watched()
            loss = mean_loss(self._task, outputs, self._y)
            if not z.requires_grad:  # the rows themselves: no parameter can move them
                return torch.autograd.grad(loss, bound.tensors)
            at_z = pull(z.detach()[None])[0] / len(self._x)
            return torch.autograd.grad([loss, z], bound.tensors, [torch.ones_like(loss), at_z])

    def gradient(self, w: Tensor, pull: Pull | None = None) -> Tensor:
        """The gradient (1, p) of the mean loss at the parameters ``w`` (1, p)."""
        import torch

        return self._elsewhere(w, lambda: torch.cat([g.reshape(-1) for g in self.gradients(pull)])[None])

    def representation(self, w: Tensor) -> Tensor:
        """What the last linear layer gets (1, B, h) at ``w``; running statistics stay as they are."""
        import torch

        def look() -> Tensor:
            before = [b.clone() for b in self._bound.running]
            with torch.no_grad():
                found = self._watched()[1][None]
                for buffer, was in zip(self._bound.running, before, strict=True):
                    buffer.copy_(was)
            return found

        return self._elsewhere(w, look)

    def _elsewhere(self, w: Tensor, work: Callable[[], Tensor]) -> Tensor:
        """``work`` done at the parameters ``w`` (1, p), those in force put back afterwards."""
        flat = self._bound.flat
        if w.data_ptr() == flat.data_ptr():
            return work()
        here = flat.clone()
        flat.copy_(w[0])
        try:
            return work()
        finally:
            flat.copy_(here)

    def _watched(self) -> tuple[Tensor, Tensor]:
        """The outputs of the minibatch, and what the last linear layer got."""
        from torch import nn

        got: list[Tensor] = []
        last = [m for m in self._bound.module.modules() if isinstance(m, nn.Linear)][-1]
        handle = last.register_forward_pre_hook(lambda _module, inputs: got.append(inputs[0]))
        try:
            outputs = self._bound.module(self._x)
        finally:
            handle.remove()
        return outputs, got[0]

    def _vector(self, given: Floats) -> Tensor:
        import torch

        flat = self._bound.flat
        return torch.tensor(given[: flat.numel()], dtype=flat.dtype, device=flat.device)[None]


def norms_batches(module: nn.Module) -> bool:
    """True if rows of a batch are normalised with each other's mean and variance."""
    from torch import nn

    return any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in module.modules())  # noqa: SLF001


def _ordered(jobs: Sequence[Job], epochs: int) -> Iterator[tuple[Job, list[Order]]]:
    """Each job with the order of its rows in every epoch."""
    for first in range(0, len(jobs), _OWNERS):
        some = jobs[first : first + _OWNERS]
        few = max(map(len, some)) * len(some) * epochs <= _ROWS
        for together in [some] if few else [[job] for job in some]:
            lengths, keys = [len(job) for job in together], [job.key for job in together]
            made = [plan.orders(keys, epoch, lengths) for epoch in range(epochs)]
            yield from ((job, [order[i] for order in made]) for i, job in enumerate(together))
