"""A model as a list of layer programs, which K owners' models go through forward and backward at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, NamedTuple

from fedlab_nb.learn.engine.programs.linear import Linear
from fedlab_nb.learn.engine.programs.program import Kept, Program, Seen, Shape, Views, Weighted

if TYPE_CHECKING:
    from torch import Tensor


class Tape(NamedTuple):
    """What a way forward leaves for the way back: the outputs (K, B, outputs), and what each program kept."""

    outputs: Tensor
    kept: Sequence[Kept]
    representation: Tensor


class Slope(NamedTuple):
    """A layer with parameters, and the loss's gradient ``d`` at its output: all that its own gradient needs."""

    program: Weighted
    d: Tensor
    kept: Kept
    w: Views


@dataclass(frozen=True, eq=False)
class Network:
    """Layer programs in their order; parameters and buffers are given to every call, layer by layer."""

    programs: tuple[Program, ...]

    @cached_property
    def weighted(self) -> tuple[Weighted, ...]:
        """The layers with parameters or buffers."""
        return tuple(p for p in self.programs if isinstance(p, Weighted))

    @cached_property
    def shapes(self) -> tuple[Shape, ...]:
        """Of all parameters in the model's order."""
        return tuple(shape for p in self.weighted for shape in p.shapes)

    @cached_property
    def orders(self) -> tuple[Shape, ...]:
        """The axes of all parameters in the order in which they had best lie in memory."""
        return tuple(order for p in self.weighted for order in p.orders)

    @cached_property
    def buffers(self) -> tuple[Shape, ...]:
        """Of all running means and variances in the model's order."""
        return tuple(shape for p in self.weighted for shape in p.buffers)

    def layered(self, parameters: Views, buffers: Views) -> list[Views]:
        """For each program its own of ``parameters`` and ``buffers``."""
        return [[*parameters[own], *buffers[kept]] for own, kept in self._places]

    @cached_property
    def _places(self) -> list[tuple[slice, slice]]:
        """Where among all parameters and all buffers those of each program are."""
        places, own, kept = [], 0, 0
        for p in self.programs:
            first, then = (len(p.shapes), len(p.buffers)) if isinstance(p, Weighted) else (0, 0)
            places.append((slice(own, own + first), slice(kept, kept + then)))
            own, kept = own + first, kept + then
        return places

    def passing(self, inputs: int) -> int:
        """How many numbers of one row, of so many ``inputs``, are in memory at once, about, where most are."""
        if inputs not in self._passing:
            import torch

            one = torch.zeros(1, 1, inputs)
            w = self.layered(*([torch.zeros(1, *shape) for shape in of] for of in (self.shapes, self.buffers)))
            with torch.no_grad():
                tape = self.forward(one, w, Seen([(0, 0, 0)], 0, [1], one[:, :, :1], training=False))
            kept = (sum(t.numel() for t in own) for own in tape.kept)
            self._passing[inputs] = 2 * max(kept)  # a way back needs about as much again
        return self._passing[inputs]

    @cached_property
    def written(self) -> int:
        """How many numbers of a row's own gradient are written out: those of all but linear layers."""
        return sum(prod(shape) for p in self.weighted if not isinstance(p, Linear) for shape in p.shapes)

    @cached_property
    def _passing(self) -> dict[int, int]:
        return {}

    def forward(self, x: Tensor, views: Sequence[Views], seen: Seen) -> Tape:
        """The outputs for the rows ``x`` (K, B, inputs)."""
        kept, representation, last = [], x, self._last_linear
        for i, (program, w) in enumerate(zip(self.programs, views, strict=True)):
            if i == last:
                representation = x
            x, own = program.forward(x, w, seen)
            kept.append(own)
        return Tape(x, kept, representation)

    def backward(
        self, tape: Tape, d: Tensor, views: Sequence[Views], pull: Callable[[Tensor], Tensor] | None = None
    ) -> list[Slope]:
        """For each layer with parameters the gradient at its output, from the one at the outputs ``d``.

        ``pull`` adds to the gradient at the representation. Nothing is computed below the first parameters.
        """
        slopes: list[Slope] = []
        first, last = min(self._sloped), self._last_linear
        for i in range(len(self.programs) - 1, first - 1, -1):
            if i in self._sloped:
                slopes.append(Slope(self._sloped[i], d, tape.kept[i], views[i]))
            if i > first:
                d = self.programs[i].backward(d, tape.kept[i], views[i])
                if pull is not None and i == last:
                    d = d + pull(tape.representation)
        return slopes[::-1]

    @cached_property
    def _sloped(self) -> dict[int, Weighted]:
        """The layers with parameters, by their place."""
        return {i: p for i, p in enumerate(self.programs) if isinstance(p, Weighted) and p.shapes}

    @cached_property
    def _last_linear(self) -> int:
        return max((i for i, p in enumerate(self.programs) if isinstance(p, Linear)), default=-1)
