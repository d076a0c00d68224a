"""The pieces of a network that is cut between parties: forward to the cut, and back from what comes over it.

Everything is in 64 bits, so that a network in pieces equals the same network in one piece up to rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.learn.engine.losses import mean_loss
from fedlab_nb.learn.models import Layers, initial_weights
from fedlab_nb.records.schema import Task

if TYPE_CHECKING:
    from torch import Tensor

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Piece:
    """Fully connected layers of these ``sizes`` with ReLU between them; tanh after the last one if it is ``bounded``.

    >>> Piece((5, 16, 2), bounded=True).size
    130
    """

    sizes: tuple[int, ...]
    bounded: bool = False

    @property
    def size(self) -> int:
        """How many weights it has: each layer's matrix (outputs, inputs) row by row, then its intercepts."""
        return sum((inputs + 1) * outputs for inputs, outputs in pairwise(self.sizes))

    def start(self, seed: int) -> Floats:
        """The flat starting weights (size,), the same for the same seed."""
        inputs, *hidden, outputs = self.sizes
        return initial_weights(Layers(tuple(hidden)), inputs, outputs, seed)

    def forward(self, weights: Floats, X: Floats) -> Floats:
        """What comes out (n, outputs) for rows ``X`` (n, inputs)."""
        import torch

        with torch.no_grad():
            return np.asarray(self.through(torch.from_numpy(weights), _tensor(X)).numpy())

    def through(self, weights: Tensor, x: Tensor) -> Tensor:
        """The same for tensors."""
        from torch.nn import functional

        start = 0
        for place, (inputs, outputs) in enumerate(pairwise(self.sizes)):
            cut, stop = start + inputs * outputs, start + (inputs + 1) * outputs
            x = functional.relu(x) if place else x
            x = functional.linear(x, weights[start:cut].view(outputs, inputs), weights[cut:stop])
            start = stop
        return x.tanh() if self.bounded else x


class Step(NamedTuple):
    """What one batch gives at the owner of the labels.

    ``loss`` is the batch's mean loss, ``weights`` its gradient (d,) at this owner's weights, ``activations`` that at
    what came from each other owner, (n, cut) each.
    """

    loss: float
    weights: Floats
    activations: tuple[Floats, ...]


def descend(piece: Piece, weights: Floats, X: Floats, gradient: Floats) -> Floats:
    """The gradient (d,) of the loss at a piece's weights, from the ``gradient`` (n, outputs) at what came out of it."""
    import torch

    w = torch.from_numpy(weights).requires_grad_()
    with torch.enable_grad():
        # A single number, with the same gradient: torch loads much more code, for seconds, where it gets several.
        out = (piece.through(w, _tensor(X)) * _tensor(gradient)).sum()
    (found,) = torch.autograd.grad(out, w)
    return np.asarray(found.numpy())


def lead(
    bottom: Piece, top: Piece, weights: Floats, X: Floats, others: Sequence[Floats], y: Floats, task: Task
) -> Step:
    """Loss and gradients of the owner of the labels, whose ``weights`` are its bottom's, then those of the top.

    The top reads its own bottom's activations, then those of the ``others`` in their order. The loss is cross-entropy
    in nats, or the squared error of a standardised number.
    """
    import torch

    w = torch.from_numpy(weights).requires_grad_()
    came = [_tensor(each).clone().requires_grad_() for each in others]
    target = torch.from_numpy(y.astype(np.int64) if task == "multiclass" else y)
    with torch.enable_grad():
        own = bottom.through(w[: bottom.size], _tensor(X))
        loss = mean_loss(task, top.through(w[bottom.size :], torch.cat([own, *came], 1)), target)
    at_weights, *at_others = torch.autograd.grad(loss, [w, *came])
    back = tuple(np.asarray(each.numpy()) for each in at_others)
    return Step(float(loss.detach()), np.asarray(at_weights.numpy()), back)


def _tensor(values: Floats) -> Tensor:
    import torch

    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float64))
