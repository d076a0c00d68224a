"""The weights of K owners side by side, and each layer's part of them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.learn.engine.job import Floats
from fedlab_nb.learn.engine.programs import Network, Views

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class Weights:
    """Weights (K, d) of K owners; ``flat`` (K, p) are the parameters as one tensor, where a rule needs them so.

    Without a rule each layer's parameters (K, ...) lie together, as the layer has them best: a step can then go
    straight into them.
    """

    def __init__(self, network: Network, starts: Sequence[Floats], like: Like, *, together: bool) -> None:
        import torch

        self._network, self._owners = network, len(starts)
        self.p = sum(prod(shape) for shape in network.shapes)
        rows = like.rows(starts)
        self.flat: Tensor | None = None
        if together:
            self.flat = torch.empty(self._owners, self.p, dtype=like.dtype, device=like.device)
            self._parameters = self.parts(self.flat.copy_(rows[:, : self.p]))
        else:
            orders = zip(self.parts(rows[:, : self.p]), network.orders, strict=True)
            self._parameters = [self._spread(part, order) for part, order in orders]
        self._buffers = [self._spread(part, range(part.ndim - 1)) for part in _running(rows[:, self.p :], network)]
        self._views: tuple[int, list[Views]] | None = None

    def views(self, owners: int) -> list[Views]:
        """The first owners' weights, layer by layer."""
        if self._views is None or self._views[0] != owners:
            self._views = owners, self._network.layered(*self._first(owners))
        return self._views[1]

    def at(self, parameters: Tensor) -> list[Views]:
        """Other parameters (K, p) with the buffers that are in force, layer by layer."""
        return self._network.layered(self.parts(parameters), self._first(len(parameters))[1])

    def parts(self, flat: Tensor) -> list[Tensor]:
        """The parameters (K, p), each in its own shape."""
        return split(flat, self._network.shapes)

    def read(self, first: int, last: int, dtype: type[np.floating]) -> NDArray[np.floating]:
        """The weights of these owners (n, d) as numbers of 32 or 64 bits."""
        end, read = 0, np.empty((last - first, sum(part[0].size for part in self._arrays)), dtype)
        for part in self._arrays:
            start, end = end, end + part[0].size
            read[:, start:end].reshape(last - first, *part.shape[1:])[:] = part[first:last]
        return read

    @cached_property
    def _arrays(self) -> list[NDArray[np.floating]]:
        """Parameters and buffers as they are when one is first read, outside torch."""
        import torch

        known = (torch.float32, torch.float64)
        tensors = [t.cpu() if t.dtype in known else t.double().cpu() for t in (*self._parameters, *self._buffers)]
        return [t.numpy() for t in tensors]

    def _spread(self, part: Tensor, order: Sequence[int]) -> Tensor:
        """A copy (K, ...) of its own for every owner, its axes in this order in memory."""
        import torch

        laid = _laid(part, order)
        own = laid.expand(self._owners, *laid.shape[1:]).clone(memory_format=torch.contiguous_format)
        return _back(own, order)

    def _first(self, owners: int) -> tuple[list[Tensor], list[Tensor]]:
        return [t[:owners] for t in self._parameters], [t[:owners] for t in self._buffers]


class Like:
    """Numbers of one kind in one place; of weights that many owners start from, one copy is made and kept."""

    def __init__(self, dtype: torch.dtype, device: torch.device) -> None:
        self.dtype, self.device = dtype, device
        self._last: tuple[Floats, Tensor] | None = None

    def tensor(self, array: NDArray[Any]) -> Tensor:
        """An array as a tensor; whole numbers stay whole."""
        import torch

        tensor = torch.from_numpy(array)
        return tensor.to(self.device, self.dtype if tensor.is_floating_point() else tensor.dtype)

    def rows(self, vectors: Sequence[Floats]) -> Tensor:
        """Vectors as the lines of a tensor (K, d), or as its only line (1, d) if they are all the same object."""
        import torch

        first = vectors[0]
        if any(v is not first for v in vectors):
            return torch.from_numpy(np.stack(vectors)).to(self.device, self.dtype)
        if self._last is None or self._last[0] is not first:
            self._last = first, torch.tensor(first, dtype=self.dtype, device=self.device)[None]
        return self._last[1]


def still(network: Network, rows: Tensor, owners: int) -> list[Views]:
    """Weights (K, d), or (1, d) for all owners alike, layer by layer; they are only looked at."""
    p = sum(prod(shape) for shape in network.shapes)
    orders = zip(split(rows[:, :p], network.shapes), network.orders, strict=True)
    parameters = [_back(_laid(part, order), order) for part, order in orders]
    buffers = _running(rows[:, p:], network)
    return network.layered(*([t.expand(owners, *t.shape[1:]) for t in of] for of in (parameters, buffers)))


def _running(rows: Tensor, network: Network) -> list[Tensor]:
    """Running means and variances in turn; noise may have moved a variance below what variances can be."""
    return [part.clamp(min=0.0) if i % 2 else part for i, part in enumerate(split(rows, network.buffers))]


def _laid(part: Tensor, order: Sequence[int]) -> Tensor:
    """(K, ...) with the axes in this order, in one piece."""
    if _natural(order):
        return part
    return part.permute(0, *(axis + 1 for axis in order)).contiguous()


def _back(laid: Tensor, order: Sequence[int]) -> Tensor:
    """The same numbers, seen with the axes in their own order."""
    if _natural(order):
        return laid
    return laid.permute(0, *(order.index(axis) + 1 for axis in range(len(order))))


def _natural(order: Sequence[int]) -> bool:
    return all(place == axis for place, axis in enumerate(order))


def split(flat: Tensor, shapes: Sequence[tuple[int, ...]]) -> list[Tensor]:
    """The lines (K, n) of ``flat`` cut into tensors (K, *shape)."""
    if not shapes:
        return []
    lines, parts = len(flat), flat.split_with_sizes([prod(shape) for shape in shapes], 1)
    return [part.view(lines, *shape) for part, shape in zip(parts, shapes, strict=True)]
