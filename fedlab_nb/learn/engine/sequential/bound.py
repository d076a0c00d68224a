"""One torch module whose parameters are parts of one vector, so that an owner's weights go in and out in one copy."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.learn.engine.dropout import Keyed
from fedlab_nb.learn.engine.flat import parts
from fedlab_nb.learn.engine.job import Array, Floats, Job
from fedlab_nb.learn.engine.plan import seed_of
from fedlab_nb.learn.engine.programs.compiled import attached

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn


class Bound:
    """A copy of a module for training; ``flat`` (p,) holds its ``tensors``, the parameters in their order.

    ``given`` are the weights that were last loaded, and what was made of them: good as long as nobody changes them.
    """

    def __init__(self, untouched: nn.Module, dtype: torch.dtype | None, device: torch.device) -> None:
        import torch

        self.module = copy.deepcopy(untouched).train().to(device)
        self.module = self.module if dtype is None else self.module.to(dtype)
        self.dropout = Keyed(self.module)
        self.tensors: list[Tensor] = list(self.module.parameters())
        self.flat = torch.cat([t.detach().reshape(-1) for t in self.tensors])
        ends = accumulate(t.numel() for t in self.tensors)
        self.parts = [self.flat[end - t.numel() : end].view_as(t) for end, t in zip(ends, self.tensors, strict=True)]
        for t, part in zip(self.tensors, self.parts, strict=True):
            t.data = part
        running = dict(parts(self.module)[len(self.tensors) :])
        self.running = list(running.values())
        self._variances = [t for name, t in running.items() if name.endswith("running_var")]
        travelling = {id(t) for t in self.running}
        self.given: tuple[Floats, Tensor] | None = None
        self._constants = [(b, b.clone()) for b in self.module.buffers() if id(b) not in travelling]

    def load(self, weights: Floats) -> None:
        """Take these weights (d,): parameters, then running statistics; all other buffers are as at first."""
        import torch

        if self.given is None or self.given[0] is not weights:  # most owners of a round begin with the same
            self.given = weights, torch.tensor(weights, dtype=self.flat.dtype, device=self.flat.device)
        given, start = self.given[1], self.flat.numel()
        self.flat.copy_(given[:start])
        for statistic in self.running:
            statistic.copy_(given[start : start + statistic.numel()].view_as(statistic))
            start += statistic.numel()
        for variance in self._variances:
            variance.clamp_(min=0.0)  # noise may have moved it below what variances can be
        for buffer, first in self._constants:
            buffer.copy_(first)

    def read(self) -> NDArray[np.floating]:
        """A copy of the weights (d,), as numbers of 32 or 64 bits."""
        import torch

        whole = torch.cat([self.flat, *(t.reshape(-1) for t in self.running)]).cpu()
        return np.asarray((whole if whole.dtype == torch.float32 else whole.double()).numpy())

    def tensor(self, array: Array) -> Tensor:
        """An array of its own as a tensor beside the weights; whole numbers stay whole."""
        import torch

        tensor = torch.from_numpy(array)
        return tensor.to(self.flat.device, self.flat.dtype if tensor.is_floating_point() else tensor.dtype)


def only_torch(module: nn.Module) -> bool:
    """True if all layers are torch's own, which keep nothing but parameters and buffers, and draw no random numbers."""
    return all(
        type(m).__module__.startswith("torch.nn.modules.") and not attached(m) and not _draws(m)
        for m in module.modules()
    )


def _draws(layer: nn.Module) -> bool:
    """True for layers that draw random numbers from torch's global generator in training."""
    from torch import nn

    return isinstance(layer, nn.modules.dropout._DropoutNd | nn.RReLU) and type(layer) is not nn.Dropout  # noqa: SLF001


@contextmanager
def drawn_from(job: Job, *, needed: bool) -> Iterator[None]:
    """Inside, torch's global generator follows from the job's key, where that is ``needed``; then it is as before."""
    if not needed:
        yield
        return
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed_of(*job.key) >> 1)
        yield
