"""Fully connected layers of K owners at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fedlab_nb.learn.engine.programs.program import Kept, Seen, Views, Weighted

if TYPE_CHECKING:
    from torch import Tensor, nn


class Linear(Weighted):
    """y = x W^T + b, with weights W (K, outputs, inputs), b (K, outputs) and rows x (K, B, inputs).

    A row's gradient is d x^T and d; its squared norm |d|^2 (|x|^2 + 1) is known without writing it out.

    Source: Goodfellow 2015, "Efficient per-example gradient computations", for the norm.
    """

    def __init__(self, layer: nn.Linear) -> None:
        wide: tuple[int, ...] = (layer.out_features, layer.in_features)
        self.biased = layer.bias is not None
        self.shapes = (wide, wide[:1]) if self.biased else (wide,)

    @property
    def orders(self) -> tuple[tuple[int, ...], ...]:
        """A product with W^T is quickest where W^T lies in one piece."""
        return ((1, 0), (0,))[: len(self.shapes)]

    def forward(self, x: Tensor, w: Views, seen: Seen) -> tuple[Tensor, Kept]:
        """The outputs (K, B, outputs)."""
        del seen
        across = w[0].transpose(1, 2)
        return (w[1].unsqueeze(1).baddbmm(x, across) if self.biased else x.bmm(across)), (x,)

    def backward(self, d: Tensor, kept: Kept, w: Views) -> Tensor:
        """The product d W."""
        del kept
        return d.bmm(w[0])

    def gradients(self, d: Tensor, kept: Kept) -> list[Tensor]:
        """d^T x, and the sum of d."""
        product = d.transpose(1, 2).bmm(kept[0])
        return [product, d.sum(1)] if self.biased else [product]

    def squares(self, d: Tensor, kept: Kept) -> Tensor:
        """|d|^2 (|x|^2 + 1)."""
        (x,) = kept
        return d.square().sum(2) * (x.square().sum(2) + (1.0 if self.biased else 0.0))

    def descend(self, d: Tensor, kept: Kept, w: Views, lr: float) -> None:
        """The step without a gradient of its own: one product that adds into W."""
        w[0].transpose(1, 2).baddbmm_(kept[0].transpose(1, 2), d, alpha=-lr)
        if self.biased:
            w[1].sub_(d.sum(1), alpha=lr)
