"""Convolutions of K owners at once, each as one product of matrices.

Once each place's surroundings lie in a line of a table, the convolution of an owner's rows with its own kernel is one
product: the same numbers as torch's, the same bits for an owner whoever trains beside it, and at these sizes faster
than torch's own grouped convolution. A series of length L is an image of height 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING

from fedlab_nb.learn.engine.programs.program import Kept, OfRows, Seen, Shape, Views, Weighted, Written

if TYPE_CHECKING:
    from torch import Tensor, nn

Pair = tuple[int, int]

# Of so few channels the numbers are picked one by one, of more a place's channels together: which of both is faster.
_FEW = 8


class Convolution(Weighted):
    """y[o] = b[o] + sum over channels c and kernel places (i, j) of W[o, c, i, j] x[c, stride * place + (i, j)].

    Rows are (K, B, C, H, W), or (K, B, C, L) for a series; weights (K, O, C, kernel), (K, O).
    """

    def __init__(self, layer: nn.Conv1d | nn.Conv2d) -> None:
        self._series = len(layer.kernel_size) == 1
        kernel: Shape = layer.kernel_size
        self._kernel, self._stride = _pair(kernel, 1), _pair(layer.stride, 1)
        self._padding = _pair(layer.padding, 0)
        self._biased = layer.bias is not None
        self._out, self._in = layer.out_channels, layer.in_channels
        wide: Shape = (self._out, self._in, *kernel)
        self.shapes = (wide, wide[:1]) if self._biased else (wide,)
        self._tables: dict[tuple[object, ...], Tensor] = {}

    @property
    def orders(self) -> tuple[Shape, ...]:
        """Kernel places, channels, outputs: so the product needs no copy of them."""
        places = tuple(range(2, len(self.shapes[0])))
        return ((*places, 1, 0), (0,))[: len(self.shapes)]

    def forward(self, x: Tensor, w: Views, seen: Seen) -> tuple[Tensor, Kept]:
        """The outputs (K, B, O, ...), in memory with the channels last."""
        del seen
        x = x.unsqueeze(3) if self._series else x
        owners, rows, _, *size = x.shape
        after = [(n + 2 * p - k) // s + 1 for n, p, k, s in self._axes(size)]
        inner = x.new_zeros(owners * rows, *(n + 2 * p for n, p, _, _ in self._axes(size)), self._in)
        inner.narrow(1, self._padding[0], size[0]).narrow(2, self._padding[1], size[1]).copy_(_last(x).flatten(0, 1))
        lines = self._lines(inner, after, self._stride, back=False).view(owners, -1, self._per_place(self._in))
        kernel = self._kernels(w[0]).permute(0, 3, 4, 2, 1).reshape(owners, -1, self._out)
        y = w[1].unsqueeze(1).baddbmm(lines, kernel) if self._biased else lines.bmm(kernel)
        y = y.view(owners, rows, *after, self._out).permute(0, 1, 4, 2, 3)
        return (y.squeeze(3) if self._series else y), (lines, x)

    def backward(self, d: Tensor, kept: Kept, w: Views) -> Tensor:
        """A convolution again: of ``d``, with zeros between and around, and the kernel turned round.

        In padded places u of the input, with Z zero but for Z[stride * o + kernel - 1] = d[o]:
        gradient[u] = sum over i of Z[u + kernel - 1 - i] W[i].
        """
        d = d.unsqueeze(3) if self._series else d
        owners, rows, _, *size = kept[1].shape
        wide = places = d.new_zeros(owners * rows, *(n + 2 * p + k - 1 for n, p, k, _ in self._axes(size)), self._out)
        for axis, k, s, n in zip((1, 2), self._kernel, self._stride, d.shape[3:], strict=True):
            places = _spread(places, axis, k - 1, s, n)
        places.copy_(_last(d).flatten(0, 1))
        lines = self._lines(wide, size, (1, 1), back=True).view(owners, -1, self._per_place(self._out))
        kernel = self._kernels(w[0]).permute(0, 3, 4, 1, 2).reshape(owners, -1, self._in)
        y = lines.bmm(kernel).view(owners, rows, *size, self._in).permute(0, 1, 4, 2, 3)
        return y.squeeze(3) if self._series else y

    def gradients(self, d: Tensor, kept: Kept) -> list[Tensor]:
        """The products with the lines of surroundings, and the sum of ``d``."""
        at = self._at_places(d)
        flat = at.transpose(1, 2).bmm(kept[0])
        return [self._as_kernel(flat, len(d)), *([at.sum(1)] if self._biased else [])]

    def descend(self, d: Tensor, kept: Kept, w: Views, lr: float) -> None:
        """The step without a gradient of its own, where the kernel lies as the product has it."""
        kernel = self._kernels(w[0]).permute(0, 3, 4, 2, 1)
        if not kernel.is_contiguous():
            super().descend(d, kept, w, lr)
            return
        at = self._at_places(d)
        kernel.view(len(d), -1, self._out).baddbmm_(kept[0].transpose(1, 2), at, alpha=-lr)
        if self._biased:
            w[1].sub_(at.sum(1), alpha=lr)

    def of_rows(self, d: Tensor, kept: Kept) -> OfRows:
        """Written out: kernels are small."""
        owners, rows = d.shape[:2]
        at = self._at_places(d).reshape(owners * rows, -1, self._out)
        flat = at.transpose(1, 2).bmm(kept[0].reshape(owners * rows, -1, kept[0].shape[2]))
        own = [flat, *([at.sum(1)] if self._biased else [])]
        each = [g.view(owners, rows, *g.shape[1:]) for g in own]
        return Written(each, lambda total: self._as_kernel(total, owners).flatten(1))

    def _axes(self, size: list[int]) -> list[tuple[int, int, int, int]]:
        return list(zip(size, self._padding, self._kernel, self._stride, strict=True))

    def _per_place(self, channels: int) -> int:
        return self._kernel[0] * self._kernel[1] * channels

    def _kernels(self, w: Tensor) -> Tensor:
        return w.unsqueeze(3) if self._series else w

    def _as_kernel(self, flat: Tensor, owners: int) -> Tensor:
        """(K, O, kernel, C) as torch has them, (K, O, C, kernel)."""
        moved = flat.view(owners, self._out, *self._kernel, self._in).permute(0, 1, 4, 2, 3)
        return moved.squeeze(3) if self._series else moved

    def _at_places(self, d: Tensor) -> Tensor:
        d = d.unsqueeze(3) if self._series else d
        return _last(d).reshape(len(d), -1, self._out)

    def _lines(self, wide: Tensor, places: Sequence[int], stride: Pair, *, back: bool) -> Tensor:
        """The surroundings of each of the ``places``, from rows (N, height, width, channels): one line for each."""
        table = self._table(wide, places, stride, back=back)
        if wide.shape[3] < _FEW:
            return wide.view(len(wide), -1).index_select(1, table)
        return wide.view(-1, wide.shape[3]).index_select(0, table)

    def _table(self, wide: Tensor, places: Sequence[int], stride: Pair, *, back: bool) -> Tensor:
        """Where in a row of ``wide`` the lines' numbers stand, or in all of its rows all channels of a place."""
        import torch

        rows, height, width, channels = wide.shape
        single, named = channels < _FEW, (back, height, width, *places, wide.device)
        length = prod(places) * self._per_place(channels if single else rows)
        if len(self._tables.get(named, ())) < length:
            axes = zip(places, self._kernel, stride, self._padding, strict=True)
            down, along = (_steps(n, k, s, p, back=back) for n, k, s, p in axes)
            table = down[:, None, :, None] * width + along[None, :, None, :]
            if single:
                table = table[..., None] * channels + torch.arange(channels)
            else:
                table = torch.arange(rows).view(-1, 1, 1, 1, 1) * (height * width) + table
            self._tables[named] = table.reshape(-1).to(wide.device)
        return self._tables[named][:length]


def _pair(numbers: Shape | str, filler: int) -> Pair:
    """Of a series (n,) -> (filler, n): it is one line high."""
    assert not isinstance(numbers, str)
    return (numbers[0], numbers[1]) if len(numbers) == 2 else (filler, numbers[0])


def _last(x: Tensor) -> Tensor:
    """(K, B, C, H, W) with the channels last."""
    return x.permute(0, 1, 3, 4, 2)


def _spread(wide: Tensor, axis: int, first: int, stride: int, number: int) -> Tensor:
    """Every ``stride``-th place of an axis from ``first`` on."""
    return wide[(slice(None),) * axis + (slice(first, first + (number - 1) * stride + 1, stride),)]


def _steps(places: int, kernel: int, stride: int, padding: int, *, back: bool) -> Tensor:
    """Positions (places, kernel) along one axis: forward from 0 on; back from the first that is not padding."""
    import torch

    at, inner = torch.arange(places)[:, None], torch.arange(kernel)
    return at + padding + kernel - 1 - inner if back else at * stride + inner
