"""Fully connected layers of K owners at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fedlab_nb.learn.engine.programs.program import Kept, OfRows, Seen, Views, Weighted

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

    def of_rows(self, d: Tensor, kept: Kept) -> OfRows:
        """Known by ``d`` and the inputs, never written out."""
        return _Outer(d.double(), kept[0].double(), biased=self.biased)

    def descend(self, d: Tensor, kept: Kept, w: Views, lr: float) -> None:
        """The step without a gradient of its own: one product that adds into W."""
        w[0].baddbmm_(d.transpose(1, 2), kept[0], alpha=-lr)
        if self.biased:
            w[1].sub_(d.sum(1), alpha=lr)


class _Outer(OfRows):
    """Rows' gradients d x^T and, with a bias, d."""

    def __init__(self, d: Tensor, x: Tensor, *, biased: bool) -> None:
        self._d, self._x, self._biased = d, x, biased

    def squares(self) -> Tensor:
        """|d|^2 (|x|^2 + 1)."""
        return self._d.square().sum(2).mul_(self._x.square().sum(2).add_(1.0 if self._biased else 0.0))

    def only(self, fine: Tensor) -> OfRows:
        """Where a row is not fine, zeros."""
        return _Outer(*(t.where(fine.unsqueeze(2), 0.0) for t in (self._d, self._x)), biased=self._biased)

    def total(self, scale: Tensor) -> list[Tensor]:
        """One product, and the sum of d."""
        scaled = self._d * scale.unsqueeze(2)
        product = scaled.transpose(1, 2).bmm(self._x).flatten(1)
        return [product, scaled.sum(1)] if self._biased else [product]
