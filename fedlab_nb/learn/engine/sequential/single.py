"""What is asked of single rows, owner by owner, with torch's own gradients: clipped sums, and mean losses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from fedlab_nb.errors import SettingError
from fedlab_nb.learn.engine.job import Floats, Job
from fedlab_nb.learn.engine.losses import losses
from fedlab_nb.learn.engine.sequential.bound import Bound, drawn_from
from fedlab_nb.records.schema import Task

if TYPE_CHECKING:
    from torch import Tensor, nn

# Rows that go through in one piece: what a pass keeps of them is all the memory that it takes.
_ROWS_AT_ONCE = 4096


def mean_loss(bound: Bound, job: Job, task: Task, *, draws: bool) -> float:
    """The mean loss of the job's rows at its starting weights, in evaluation; without rows not a number."""
    import torch

    bound.load(job.start)
    bound.module.eval()
    bound.dropout.on, total = False, 0.0
    try:
        with torch.no_grad(), drawn_from(job, needed=draws):
            for first in range(0, len(job), _ROWS_AT_ONCE):
                x, y = _block(bound, job, first, _ROWS_AT_ONCE)
                total += float(losses(task, bound.module(x).double(), y).sum())
    finally:
        bound.module.train()
        bound.dropout.quiet()
        bound.dropout.on = True
    return total / len(job) if len(job) else float("nan")


def rows_are_mixed() -> SettingError:
    """What is raised where each row's own gradient is asked of a model that has none."""
    return SettingError(
        "Each row's own gradient was asked of a model with batch normalisation.",
        "It mixes the rows of a batch, so that no part of the gradient belongs to one row alone.",
        "Use torch.nn.LayerNorm or torch.nn.GroupNorm instead.",
    )


def clipped(fresh: Callable[[], Bound], job: Job, task: Task, clip: float, *, own: bool) -> Floats:
    """The sum (d,) over the job's rows of loss gradients, each scaled down to an L2 norm of at most ``clip``.

    For models whose parameters all sit in linear layers, the norm of a row's gradient is read off the layers' inputs x
    and output gradients d, |grad|^2 = sum over layers of |d|^2 (|x|^2 + 1), so that no row's gradient is ever written
    out. Any other model takes one backward pass a row, on a copy of its own (``fresh``) where the module could keep
    something of the row before (``own``): a row could otherwise change more than its own gradient.

    Source: Goodfellow 2015, "Efficient per-example gradient computations".
    """
    bound = fresh()
    bound.load(job.start)
    bound.dropout.key, bound.dropout.step = job.key, 0
    linear = linear_layers(bound.module)
    if linear is None:
        return _row_by_row(bound, fresh, job, task, clip, own=own)
    total = np.zeros(len(job.start))
    for first in range(0, len(job), _ROWS_AT_ONCE):
        total += _clipped_block(bound.module, linear, *_block(bound, job, first, _ROWS_AT_ONCE), task, clip)
    return total


def _clipped_block(module: nn.Module, linear: list[nn.Linear], x: Tensor, y: Tensor, task: Task, clip: float) -> Floats:
    """The sum (d,) of these rows' clipped gradients, from one forward and one backward pass over all of them.

    Added in 64 bits: in 32, rounding could let one row move the sum of many by more than the clip.
    """
    import torch

    inputs: list[Tensor] = []
    outputs: list[Tensor] = []
    with torch.enable_grad(), _watch(linear, inputs, outputs):
        loss = losses(task, module(x), y).sum()
    backward = torch.autograd.grad(loss, outputs)
    pairs = [(a.double(), d.double()) for a, d in zip(inputs, backward, strict=True)]
    squares = torch.zeros(len(x), dtype=torch.float64, device=x.device)
    for layer, (a, d) in zip(linear, pairs, strict=True):
        squares += (d * d).sum(1) * ((a * a).sum(1) + (0.0 if layer.bias is None else 1.0))
    # A row whose gradient is no number counts as zero: it would move the sum by all that its owner's other rows give.
    fine = squares.isfinite()[:, None]
    pairs = [(a.where(fine, 0.0), d.where(fine, 0.0)) for a, d in pairs]
    scale = (clip / squares.sqrt().clamp(min=1e-12)).clamp(max=1.0)[:, None].where(fine, 0.0)
    parts: list[Tensor] = []
    for layer, (a, d) in zip(linear, pairs, strict=True):
        parts.append(((d * scale).T @ a).ravel())
        if layer.bias is not None:
            parts.append((d * scale).sum(0))
    return np.asarray(torch.cat(parts).cpu().numpy())


def _row_by_row(bound: Bound, fresh: Callable[[], Bound], job: Job, task: Task, clip: float, *, own: bool) -> Floats:
    import torch

    total, p = np.zeros(len(job.start)), bound.flat.numel()
    for i in range(len(job)):
        if own and i:
            bound = fresh()
            bound.dropout.key, bound.dropout.step = job.key, 0
        if i and (own or bound.running):
            bound.load(job.start)
        with torch.enable_grad(), drawn_from(job, needed=own):
            x, y = _block(bound, job, i, 1)
            loss = losses(task, bound.module(x), y).sum()
        gradient = torch.cat([g.reshape(-1) for g in torch.autograd.grad(loss, bound.tensors)]).double().cpu().numpy()
        length = float(np.linalg.norm(gradient))
        if np.isfinite(length):  # a row whose gradient is no number counts as zero
            total[:p] += gradient * min(1.0, clip / max(length, 1e-12))
    return total


def linear_layers(module: nn.Module) -> list[nn.Linear] | None:
    """The linear layers in order, if they hold every parameter and are simply chained; else None."""
    from torch import nn

    # Exact types: a subclass may compute something else. An activation in place would overwrite what is watched.
    if type(module) is not nn.Sequential:
        return None
    simple = (nn.Linear, nn.ReLU, nn.Tanh, nn.Sigmoid, nn.GELU, nn.SiLU, nn.LeakyReLU)
    if any(type(m) not in simple or getattr(m, "inplace", False) for m in module):
        return None
    layers = [m for m in module if isinstance(m, nn.Linear)]
    # A parameter used in two places has one gradient, the sum of both: its norm is not that of two layers.
    used = [id(p) for layer in layers for p in layer.parameters()]
    return layers if used == [id(p) for p in module.parameters()] else None


@contextmanager
def _watch(layers: list[nn.Linear], inputs: list[Tensor], outputs: list[Tensor]) -> Iterator[None]:
    def keep(_layer: nn.Module, received: tuple[Tensor, ...], produced: Tensor) -> None:
        inputs.append(received[0].detach())
        outputs.append(produced)

    handles = [layer.register_forward_hook(keep) for layer in layers]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _block(bound: Bound, job: Job, first: int, rows: int) -> tuple[Tensor, Tensor]:
    """Rows and targets from ``first`` on, as copies: no module can alter an owner's own."""
    block = slice(first, first + rows)
    return bound.tensor(job.X[block].copy()), bound.tensor(job.y[block].copy())
