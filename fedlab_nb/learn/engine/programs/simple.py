"""Layers without parameters that change numbers one by one, or only how they lie: activations, dropout, flattening.

Of torch's activations those are used that give a number the same bits wherever it stands in a tensor. Sigmoid, GELU and
SiLU do not (the last few numbers take another road), so that they are put together from exp, erf and tanh, which do.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from fedlab_nb.learn.engine import dropout
from fedlab_nb.learn.engine.programs.program import Kept, Program, Seen, Shape, Views

if TYPE_CHECKING:
    from torch import Tensor


def sigmoid(x: Tensor) -> Tensor:
    """1 / (1 + exp(-x))."""
    return x.neg().exp_().add_(1.0).reciprocal_()


class ReLU(Program):
    """max(x, 0)."""

    def forward(self, x: Tensor, w: Views, seen: Seen) -> tuple[Tensor, Kept]:
        """Also kept: the output, which is above 0 where the gradient passes."""
        del w, seen
        y = x.clamp_min(0.0)
        return y, (y,)

    def backward(self, d: Tensor, kept: Kept, w: Views) -> Tensor:
        """``d`` where the output is above 0."""
        import torch

        del w
        passed: Tensor = torch.ops.aten.threshold_backward.default(d, kept[0], 0)
        return passed


class LeakyReLU(Program):
    """x where it is above 0, else ``slope`` * x."""

    def __init__(self, slope: float) -> None:
        self.slope = slope

    def forward(self, x: Tensor, w: Views, seen: Seen) -> tuple[Tensor, Kept]:
        """Also kept: x."""
        import torch

        del w, seen
        return torch.ops.aten.leaky_relu.default(x, self.slope), (x,)

    def backward(self, d: Tensor, kept: Kept, w: Views) -> Tensor:
        """``d`` times the slope."""
        import torch

        del w
        passed: Tensor = torch.ops.aten.leaky_relu_backward.default(d, kept[0], self.slope, False)
        return passed


class Tanh(Program):
    """tanh(x), whose slope is 1 - y^2."""

    def forward(self, x: Tensor, w: Views, seen: Seen) -> tuple[Tensor, Kept]:
        """Also kept: the output."""
        del w, seen
        y = x.tanh()
        return y, (y,)

    def backward(self, d: Tensor, kept: Kept, w: Views) -> Tensor:
        """Times the slope: d (1 - y^2)."""
        del w
        return d * (1.0 - kept[0].square())


class Sigmoid(Program):
    """1 / (1 + exp(-x)), whose slope is y (1 - y)."""

    def forward(self, x: Tensor, w: Views, seen: Seen) -> tuple[Tensor, Kept]:
        """Also kept: the output."""
        del w, seen
        y = sigmoid(x)
        return y, (y,)

    def backward(self, d: Tensor, kept: Kept, w: Views) -> Tensor:
        """Times the slope: d y (1 - y)."""
        del w
        (y,) = kept
        return d * (1.0 - y) * y


class SiLU(Program):
    """x s(x) with the sigmoid s, whose slope is s (1 + x (1 - s))."""

    def forward(self, x: Tensor, w: Views, seen: Seen) -> tuple[Tensor, Kept]:
        """Also kept: x and s."""
        del w, seen
        s = sigmoid(x)
        return x * s, (x, s)

    def backward(self, d: Tensor, kept: Kept, w: Views) -> Tensor:
        """Times the slope: d s (1 + x (1 - s))."""
        del w
        x, s = kept
        return d * s * (1.0 + x * (1.0 - s))


class GELU(Program):
    """x F(x) with the normal distribution function F(x) = (1 + erf(x / sqrt 2)) / 2.

    Source: Hendrycks and Gimpel 2016, "Gaussian error linear units", section 2.
    """

    def forward(self, x: Tensor, w: Views, seen: Seen) -> tuple[Tensor, Kept]:
        """Also kept: x and F(x)."""
        del w, seen
        below = (x * math.sqrt(0.5)).erf_().add_(1.0).mul_(0.5)
        return x * below, (x, below)

    def backward(self, d: Tensor, kept: Kept, w: Views) -> Tensor:
        """Times the slope: d (F + x F')."""
        del w
        x, below = kept
        density = (x.square() * -0.5).exp_().mul_(1.0 / math.sqrt(2.0 * math.pi))
        return d * (below + x * density)


class TanhGELU(Program):
    """x (1 + t) / 2 with t = tanh(sqrt(2 / pi) (x + 0.044715 x^3)): torch's GELU with ``approximate="tanh"``.

    Source: Hendrycks and Gimpel 2016, "Gaussian error linear units", section 2.
    """

    scale, cube = math.sqrt(2.0 / math.pi), 0.044715

    def forward(self, x: Tensor, w: Views, seen: Seen) -> tuple[Tensor, Kept]:
        """Also kept: x and t."""
        del w, seen
        t = (x + self.cube * x * x * x).mul_(self.scale).tanh_()
        return 0.5 * x * (1.0 + t), (x, t)

    def backward(self, d: Tensor, kept: Kept, w: Views) -> Tensor:
        """Times the slope: d (1 + t + x t') / 2."""
        del w
        x, t = kept
        inner = self.scale * (1.0 + 3.0 * self.cube * x.square())
        return 0.5 * d * (1.0 + t + x * (1.0 - t.square()) * inner)


class Dropout(Program):
    """The ``layer``-th dropout of a model: each owner's mask follows from its key and the step."""

    def __init__(self, p: float, layer: int) -> None:
        self.p, self.layer = p, layer

    def forward(self, x: Tensor, w: Views, seen: Seen) -> tuple[Tensor, Kept]:
        """Also kept: the masks (K, B, ...), 0 for padding."""
        del w
        if not seen.training:
            return x, ()
        masks = x.new_zeros(x.shape)
        for i, (key, rows) in enumerate(zip(seen.keys, seen.counts, strict=True)):
            if rows:
                shape = (1 if seen.alike else rows, *x.shape[2:])
                masks[i, :rows] = dropout.mask(key, seen.number, self.layer, shape, self.p, x.dtype)
        return x * masks, (masks,)

    def backward(self, d: Tensor, kept: Kept, w: Views) -> Tensor:
        """``d`` where the mask lets through."""
        del w
        return d * kept[0] if kept else d


class Shaped(Program):
    """A row's numbers as another shape: torch's Flatten (``shape`` is ``(-1,)``) and Unflatten."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape

    def forward(self, x: Tensor, w: Views, seen: Seen) -> tuple[Tensor, Kept]:
        """The same numbers."""
        del w, seen
        return x.reshape(*x.shape[:2], *self.shape), (x,)

    def backward(self, d: Tensor, kept: Kept, w: Views) -> Tensor:
        """The gradient in the shape of before."""
        del w
        return d.reshape(kept[0].shape)
