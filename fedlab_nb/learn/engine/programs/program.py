"""What a layer program is: one layer of K owners at once, with its own way forward and backward."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import reduce
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


class OfRows(ABC):
    """What each of K owners' rows has for a gradient in one layer. All that is added up is added in 64 bits."""

    @abstractmethod
    def squares(self) -> Tensor:
        """The squared L2 norm (K, B) of each row's gradient."""

    @abstractmethod
    def only(self, fine: Tensor) -> OfRows:
        """The same with zeros for all rows but the ``fine`` ones (K, B)."""

    @abstractmethod
    def total(self, scale: Tensor) -> list[Tensor]:
        """For each parameter the sum (K, n) over the rows of ``scale`` (K, B) times the row's gradient."""


class Written(OfRows):
    """Gradients (K, B, ...) of the rows themselves, one tensor for each parameter.

    They may be of 32 bits: a row's norm is then that of the very numbers that are added up, and of no others.
    ``placed`` puts the first parameter's total (K, n) in order, if its rows' numbers are in another one.
    """

    def __init__(self, gradients: Sequence[Tensor], placed: Callable[[Tensor], Tensor] | None = None) -> None:
        self._each, self._placed = [g.flatten(2) for g in gradients], placed

    def squares(self) -> Tensor:
        """Of all parameters together."""
        import torch

        norms = [torch.linalg.vector_norm(g, dim=2, dtype=torch.float64).square() for g in self._each]
        total: Tensor = reduce(torch.add, norms)
        return total

    def only(self, fine: Tensor) -> OfRows:
        """Where a row is not fine, zeros."""
        return Written([g.where(fine.unsqueeze(2), 0.0) for g in self._each], self._placed)

    def total(self, scale: Tensor) -> list[Tensor]:
        """One product for each parameter."""
        totals = [scale.unsqueeze(1).bmm(g.double()).squeeze(1) for g in self._each]
        return totals if self._placed is None else [self._placed(totals[0]), *totals[1:]]


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
    def of_rows(self, d: Tensor, kept: Kept) -> OfRows:
        """Each row's own part of ``gradients``."""

    def descend(self, d: Tensor, kept: Kept, w: Views, lr: float) -> None:
        """One step, in place: w <- w - lr * gradient."""
        for tensor, gradient in zip(w, self.gradients(d, kept), strict=False):
            tensor.sub_(gradient, alpha=lr)
