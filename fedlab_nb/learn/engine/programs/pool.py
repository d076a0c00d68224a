"""Pooling: a window's largest number or its mean. It has no parameters, so that all owners' rows go through at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fedlab_nb.learn.engine.programs.program import Kept, Program, Seen, Views

if TYPE_CHECKING:
    from torch import Tensor, nn

Pair = tuple[int, int]


def pair(numbers: int | tuple[int, ...], filler: int, axes: int) -> Pair:
    """A layer's setting for two axes; that of a series is ``filler`` for the first."""
    given = (numbers,) * axes if isinstance(numbers, int) else tuple(numbers)
    return (filler, given[0]) if axes == 1 else (given[0], given[1])


class _Pool(Program):
    """Rows (K, B, C, H, W), or (K, B, C, L) for a series, as images of one list (K * B, C, H, W) and back."""

    def __init__(self, axes: int) -> None:
        self._axes = axes

    def _images(self, x: Tensor) -> Tensor:
        return (x.unsqueeze(3) if self._axes == 1 else x).flatten(0, 1)

    def _rows(self, y: Tensor, like: Tensor) -> Tensor:
        rows = y.view(*like.shape[:2], *y.shape[1:])
        return rows.squeeze(3) if self._axes == 1 else rows


class MaxPool(_Pool):
    """The largest number of each window; of equal ones the first has the gradient, as in torch."""

    def __init__(self, layer: nn.MaxPool1d | nn.MaxPool2d, axes: int) -> None:
        super().__init__(axes)
        self._settings = (
            pair(layer.kernel_size, 1, axes),
            pair(layer.stride, 1, axes),
            pair(layer.padding, 0, axes),
            pair(layer.dilation, 1, axes),
            layer.ceil_mode,
        )

    def forward(self, x: Tensor, w: Views, seen: Seen) -> tuple[Tensor, Kept]:
        """Also kept: where in its window the largest was."""
        import torch

        del w, seen
        images = self._images(x)
        y, at = torch.ops.aten.max_pool2d_with_indices.default(images, *self._settings)
        return self._rows(y, x), (x, images, at)

    def backward(self, d: Tensor, kept: Kept, w: Views) -> Tensor:
        """``d`` where the largest was."""
        import torch

        del w
        x, images, at = kept
        way = torch.ops.aten.max_pool2d_with_indices_backward.default
        return self._rows(way(self._images(d), images, *self._settings, at), x)


class AvgPool(_Pool):
    """The mean of each window."""

    def __init__(self, layer: nn.AvgPool1d | nn.AvgPool2d, axes: int) -> None:
        super().__init__(axes)
        self._settings = (
            pair(layer.kernel_size, 1, axes),
            pair(layer.stride, 1, axes),
            pair(layer.padding, 0, axes),
            layer.ceil_mode,
            layer.count_include_pad,
            getattr(layer, "divisor_override", None),
        )

    def forward(self, x: Tensor, w: Views, seen: Seen) -> tuple[Tensor, Kept]:
        """The means."""
        import torch

        del w, seen
        images = self._images(x)
        return self._rows(torch.ops.aten.avg_pool2d.default(images, *self._settings), x), (x, images)

    def backward(self, d: Tensor, kept: Kept, w: Views) -> Tensor:
        """``d`` in equal parts."""
        import torch

        del w
        x, images = kept
        return self._rows(torch.ops.aten.avg_pool2d_backward.default(self._images(d), images, *self._settings), x)


class MeanPool(_Pool):
    """The mean of each channel: torch's AdaptiveAvgPool to one place."""

    def forward(self, x: Tensor, w: Views, seen: Seen) -> tuple[Tensor, Kept]:
        """(K, B, C, 1, 1), or (K, B, C, 1)."""
        del w, seen
        return x.mean(tuple(range(3, x.ndim)), keepdim=True), (x,)

    def backward(self, d: Tensor, kept: Kept, w: Views) -> Tensor:
        """``d`` in equal parts."""
        del w
        (x,) = kept
        return (d / x[0, 0, 0].numel()).expand_as(x)
