"""Normalisation: numbers brought to mean 0 and variance 1, over a batch, over a row, or over groups of channels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fedlab_nb.learn.engine.programs.program import Kept, OfRows, Seen, Shape, Views, Weighted, Written

if TYPE_CHECKING:
    from torch import Tensor, nn

Axes = tuple[int, ...]


class _Norm(Weighted):
    """Gives z = (x - mean) / sqrt(variance + eps), then times a weight plus a bias, if there are any.

    Back through it, with v = d * weight: (v - mean(v) - z * mean(v z)) / sqrt(variance + eps).
    Source: Ioffe and Szegedy 2015, "Batch normalization", section 3.
    """

    def __init__(self, eps: float, shape: Shape, weight: Tensor | None, bias: Tensor | None) -> None:
        self.eps, self._weighted, self._biased = eps, weight is not None, bias is not None
        self.shapes = (shape,) * (self._weighted + self._biased)

    def _scaled(self, z: Tensor, w: Views) -> Tensor:
        z = z * self._beside(w[0], z) if self._weighted else z
        return z + self._beside(w[int(self._weighted)], z) if self._biased else z

    def _beside(self, v: Tensor, z: Tensor) -> Tensor:
        """A parameter (K, ...) in a shape that stands beside ``z`` (K, B, ...): channels on the third axis."""
        return v.view(len(v), 1, -1, *(1,) * (z.ndim - 3))

    def _through(self, d: Tensor, w: Views) -> Tensor:
        return d * self._beside(w[0], d) if self._weighted else d

    def _rows(self, d: Tensor, kept: Kept) -> list[Tensor]:
        """Each row's own gradients (K, B, shape)."""
        over = tuple(range(3, d.ndim))
        both = [d * kept[0]] * self._weighted + [d] * self._biased
        return [t.sum(over) if over else t for t in both]

    def gradients(self, d: Tensor, kept: Kept) -> list[Tensor]:
        """The sums of d z and of d."""
        return [t.sum(1) for t in self._rows(d, kept)]

    def of_rows(self, d: Tensor, kept: Kept) -> OfRows:
        """Written out: they are as small as the layer."""
        return Written(self._rows(d, kept))


class LayerNorm(_Norm):
    """Over a row's last axes, which ``layer.normalized_shape`` gives."""

    def __init__(self, layer: nn.LayerNorm) -> None:
        super().__init__(layer.eps, tuple(layer.normalized_shape), layer.weight, layer.bias)
        self._over: Axes = tuple(range(-len(layer.normalized_shape), 0))

    def forward(self, x: Tensor, w: Views, seen: Seen) -> tuple[Tensor, Kept]:
        """Also kept: the normalised numbers and what they were divided by."""
        del seen
        z, narrow = _normal(x, self._over, self.eps)
        return self._scaled(z, w), (z, narrow)

    def backward(self, d: Tensor, kept: Kept, w: Views) -> Tensor:
        """Row by row."""
        return _back(self._through(d, w), kept[0], kept[1], self._over)

    def _beside(self, v: Tensor, z: Tensor) -> Tensor:
        return v.view(len(v), *(1,) * (z.ndim - v.ndim), *v.shape[1:])

    def _rows(self, d: Tensor, kept: Kept) -> list[Tensor]:
        over = tuple(range(2, d.ndim - len(self._over)))
        both = [d * kept[0]] * self._weighted + [d] * self._biased
        return [t.sum(over) if over else t for t in both]


class GroupNorm(_Norm):
    """Over groups of a row's channels, all their places together."""

    def __init__(self, layer: nn.GroupNorm) -> None:
        super().__init__(layer.eps, (layer.num_channels,), layer.weight, layer.bias)
        self._groups = layer.num_groups

    def forward(self, x: Tensor, w: Views, seen: Seen) -> tuple[Tensor, Kept]:
        """Also kept: the normalised numbers and what they were divided by."""
        del seen
        z, narrow = _normal(self._grouped(x), (3,), self.eps)
        z = z.reshape(x.shape)
        return self._scaled(z, w), (z, narrow)

    def backward(self, d: Tensor, kept: Kept, w: Views) -> Tensor:
        """Group by group."""
        v = self._grouped(self._through(d, w))
        return _back(v, self._grouped(kept[0]), kept[1], (3,)).reshape(d.shape)

    def _grouped(self, x: Tensor) -> Tensor:
        return x.reshape(*x.shape[:2], self._groups, -1)


class BatchNorm(_Norm):
    """Over the true rows of an owner's own minibatch; evaluated with the owner's own running mean and variance.

    The running variance is the unbiased one, as in torch.
    """

    def __init__(self, layer: nn.BatchNorm1d | nn.BatchNorm2d) -> None:
        super().__init__(layer.eps, (layer.num_features,), layer.weight, layer.bias)
        self.buffers = ((layer.num_features,),) * 2
        self._momentum = float(layer.momentum or 0.0)

    def forward(self, x: Tensor, w: Views, seen: Seen) -> tuple[Tensor, Kept]:
        """Also kept: the normalised numbers, what they were divided by, which rows are true, how many numbers."""
        running_mean, running_variance = w[-2], w[-1]
        if not seen.training:
            narrow = (self._beside(running_variance, x) + self.eps).rsqrt()
            return self._scaled((x - self._beside(running_mean, x)) * narrow, w), ()
        over = (1, *range(3, x.ndim))
        real = (seen.share > 0).to(x.dtype).view(*x.shape[:2], *(1,) * (x.ndim - 2))
        number = real.sum((1, 2), keepdim=True).mul_(x[0, 0, 0].numel()).clamp_(min=1.0)
        mean = (x * real).sum(over, keepdim=True) / number
        centred = (x - mean) * real
        variance = centred.square().sum(over, keepdim=True) / number
        narrow = (variance + self.eps).rsqrt()
        if seen.settles:
            rate = self._momentum * (seen.share.amax((1, 2)) > 0).to(x.dtype)[:, None]
            unbiased = variance * (number / (number - 1.0).clamp_(min=1.0))
            running_mean.mul_(1.0 - rate).add_(rate * mean.flatten(1))
            running_variance.mul_(1.0 - rate).add_(rate * unbiased.flatten(1))
        z = centred * narrow
        return self._scaled(z, w), (z, narrow, real, number)

    def backward(self, d: Tensor, kept: Kept, w: Views) -> Tensor:
        """Over the true rows; the padding gets nothing."""
        z, narrow, real, number = kept
        v, over = self._through(d, w), (1, *range(3, d.ndim))
        mean, along = v.sum(over, keepdim=True) / number, (v * z).sum(over, keepdim=True) / number
        return (v - mean - z * along) * narrow * real


def _normal(x: Tensor, over: Axes, eps: float) -> tuple[Tensor, Tensor]:
    """The numbers with mean 0 and variance 1 over these axes, and what they were multiplied by."""
    centred = x - x.mean(over, keepdim=True)
    narrow = (centred.square().mean(over, keepdim=True) + eps).rsqrt()
    return centred * narrow, narrow


def _back(v: Tensor, z: Tensor, narrow: Tensor, over: Axes) -> Tensor:
    return (v - v.mean(over, keepdim=True) - z * (v * z).mean(over, keepdim=True)) * narrow
