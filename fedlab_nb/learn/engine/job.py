"""What the executors work on: one owner's part of a round, and the rule by which its weights move."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

Floats = NDArray[np.float64]
Array = NDArray[np.float32] | NDArray[np.int64]
Key = tuple[int, int, int]
"""(seed of the run, round, number of the owner): all randomness of a job is derived from it."""

Pull = Callable[["Tensor"], "Tensor"]
"""For each row's representation (K, B, h): the gradient (K, B, h) that an additional loss of that row has there."""


@dataclass(frozen=True, eq=False)
class Job:
    """One owner's local training in one round.

    ``X`` is (n, inputs) float32 and ``y`` (n,): 0.0/1.0 for two classes, class numbers for several, standardised
    numbers for regression. ``start`` (d,) are the weights it begins with: all parameters in the module's order, then
    the running statistics of BatchNorm. ``offset`` (d,) is added to every gradient, and
    ``anchor`` (d,) is what a proximal term pulls to (left out: ``start``); of both only the parameters' part is used.
    """

    key: Key
    X: Array
    y: Array
    start: Floats
    offset: Floats | None = None
    anchor: Floats | None = None

    def __len__(self) -> int:
        return len(self.X)


class Trained:
    """What came out of a job: ``weights`` (d,), how many ``steps`` it took, and what its rule kept (p,) by name.

    It holds the numbers of the run itself, which are mostly of 32 bits.
    """

    __slots__ = ("_read", "kept", "steps")

    def __init__(self, read: Callable[[], Floats], steps: int, kept: Mapping[str, Floats]) -> None:
        self._read, self.steps, self.kept = read, steps, kept

    @property
    def weights(self) -> Floats:
        """The weights in 64 bits, read anew each time, for the reader to keep: all owners' would fill the memory."""
        return self._read()

    def __repr__(self) -> str:
        return f"Trained({self.steps} steps)"


class Batch(Protocol):
    """The minibatches of K owners at one local step, as a rule sees them. All tensors have the owners as first axis."""

    @property
    def number(self) -> int:
        """Which local step it is, from 0 on."""

    @property
    def offset(self) -> Tensor | None:
        """What is added to every gradient (K, p), if anything."""

    @property
    def anchor(self) -> Tensor:
        """What a proximal term pulls to (K, p)."""

    def gradient(self, w: Tensor, pull: Pull | None = None) -> Tensor:
        """The gradient (K, p) of each owner's mean loss over its own minibatch at the parameters ``w`` (K, p).

        With ``pull``, that of the mean additional loss as well, whose gradient at a row's representation it gives.
        """

    def representation(self, w: Tensor) -> Tensor:
        """What the last linear layer gets (K, B, h) for each row of the minibatch at ``w``, without a gradient.

        Where owners' minibatches differ in length, lines of padding stand behind the true rows.
        """


class Rule(Protocol):
    """How K owners' parameters move in one local step. Written once, for both executors: owners are the first axis."""

    def begin(self, w: Tensor) -> dict[str, Tensor]:
        """What the rule keeps from step to step: tensors (K, ...), which ``step`` changes in place."""

    def step(self, w: Tensor, batch: Batch, kept: Mapping[str, Tensor]) -> None:
        """Move the parameters ``w`` (K, p) in place."""


@dataclass(frozen=True)
class SGD:
    """w <- w - lr * m,  m <- momentum * m + g,  g = gradient + offset + weight_decay * w + prox * (w - anchor).

    ``only`` (p,) of zeros and ones: which parameters move (left out: all). Source: torch.optim.SGD's convention for
    momentum and weight decay; Li et al. 2020, "Federated optimization in heterogeneous networks", equation 2, for the
    proximal term; Karimireddy et al. 2020, "SCAFFOLD", equation 3, for the offset.
    """

    lr: float
    momentum: float = 0.0
    weight_decay: float = 0.0
    prox: float = 0.0
    only: NDArray[np.float32] | None = field(default=None, compare=False)

    @property
    def plain(self) -> bool:
        """True if a step is w - lr * gradient and nothing else, unless a job has an offset."""
        return not (self.momentum or self.weight_decay or self.prox) and self.only is None

    def begin(self, w: Tensor) -> dict[str, Tensor]:
        """The momentum (K, p), if there is any."""
        return {"momentum": w * 0.0} if self.momentum else {}

    def step(self, w: Tensor, batch: Batch, kept: Mapping[str, Tensor]) -> None:
        """One step of K owners at once."""
        self.move(w, batch.gradient(w), batch, kept)

    def move(self, w: Tensor, gradient: Tensor, batch: Batch, kept: Mapping[str, Tensor]) -> None:
        """The step for a ``gradient`` (K, p) that is there already; it may be changed."""
        if batch.offset is not None:
            gradient = gradient.add_(batch.offset)
        if self.weight_decay:
            gradient = gradient.add_(w, alpha=self.weight_decay)
        if self.prox:
            gradient = gradient.add_(w - batch.anchor, alpha=self.prox)
        if self.momentum:
            gradient = kept["momentum"].mul_(self.momentum).add_(gradient)
        w.sub_(gradient if self.only is None else gradient * w.new_tensor(self.only), alpha=self.lr)
