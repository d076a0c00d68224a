"""What a layer program is: one layer of K owners at once, with its own way forward and backward."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from fedlab_nb.learn.engine.job import Key

if TYPE_CHECKING:
    from torch import Tensor

Kept = tuple["Tensor", ...]
"""What a program keeps of its way forward for its way back."""

Views = Sequence["Tensor"]
"""A layer's parameters, then its running mean and variance if it has them, each (K, ...)."""

Shape = tuple[int, ...]


class Seen(NamedTuple):
    """The minibatches of K owners beside their features: ``counts`` (K,) true rows, the others are padding.

    ``share`` (K, B, 1) is what a row counts for in its owner's loss: 0 for padding. ``alike``: dropout leaves out the
    same of every row. ``settles``: the running statistics of BatchNorm move.
    """

    keys: Sequence[Key]
    number: int
    counts: Sequence[int]
    share: Tensor
    training: bool = True
    alike: bool = False
    settles: bool = True

    def still(self) -> Seen:
        """The same, for a look that leaves running statistics as they are."""
        return self._replace(settles=False)


class Program:
    """A layer without parameters: the identity."""

    def forward(self, x: Tensor, w: Views, seen: Seen) -> tuple[Tensor, Kept]:
        """The layer's output for ``x`` (K, B, ...), and what ``backward`` needs."""
        del w, seen
        return x, ()

    def backward(self, d: Tensor, kept: Kept, w: Views) -> Tensor:
        """The loss's gradient at the layer's input, from the one at its output ``d`` (K, B, ...)."""
        del kept, w
        return d


class Weighted(Program, ABC):
    """A layer with parameters of these ``shapes``; ``buffers`` are those of a running mean and a running variance.

    ``orders`` are the axes of each parameter in the order in which the layer is quickest with them in memory.
    """

    shapes: tuple[Shape, ...] = ()
    buffers: tuple[Shape, ...] = ()

    @property
    def orders(self) -> tuple[Shape, ...]:
        """As they are: the first axis outermost."""
        return tuple(tuple(range(len(shape))) for shape in self.shapes)

    @abstractmethod
    def gradients(self, d: Tensor, kept: Kept) -> list[Tensor]:
        """The loss's gradient at each parameter (K, ...): linear in ``d``, and summed over the rows."""

    @abstractmethod
    def squares(self, d: Tensor, kept: Kept) -> Tensor:
        """The squared L2 norm (K, B) of each row's own part of ``gradients``."""

    def descend(self, d: Tensor, kept: Kept, w: Views, lr: float) -> None:
        """One step, in place: w <- w - lr * gradient."""
        for tensor, gradient in zip(w, self.gradients(d, kept), strict=False):
            tensor.sub_(gradient, alpha=lr)
