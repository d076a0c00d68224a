"""Dropout whose masks follow from who trains, in which round and at which step, so that every executor draws alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fedlab_nb.learn.engine.job import Key
from fedlab_nb.learn.engine.plan import seed_of

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

DROPOUT = 4  # sets these numbers apart from others that are drawn from the same key


def mask(key: Key, step: int, layer: int, shape: tuple[int, ...], p: float, dtype: torch.dtype) -> Tensor:
    """What one owner's inputs (B, ...) of the ``layer``-th dropout are multiplied by: 0, or 1 / (1 - p)."""
    import torch

    source = torch.Generator().manual_seed(seed_of(*key, DROPOUT, step, layer) >> 1)
    kept = torch.rand(shape, generator=source) >= p
    return kept.to(dtype).div_(1.0 - p) if p < 1.0 else kept.to(dtype)


class Keyed:
    """The dropout layers of one module, whose masks follow from the key and the step that are set here.

    ``on`` False: they let everything through, as in evaluation. The module is changed: give it a copy.
    """

    def __init__(self, module: nn.Module) -> None:
        from torch import nn

        self.key: Key = (0, 0, 0)
        self.step, self.on = 0, True
        self.layers = [m for m in module.modules() if type(m) is nn.Dropout]
        for layer, found in enumerate(self.layers):
            found.register_forward_hook(_Thinned(self, layer))
        self.quiet()

    def quiet(self) -> None:
        """Let torch's own dropout do nothing, after the module was set to training."""
        for layer in self.layers:
            layer.training = False


class _Thinned:
    """What comes out of a dropout layer that does nothing by itself, times the mask."""

    def __init__(self, keyed: Keyed, layer: int) -> None:
        self._keyed, self._layer = keyed, layer

    def __call__(self, module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        keyed, p = self._keyed, float(module.p)  # type: ignore[arg-type]
        if not keyed.on:
            return output
        drawn = mask(keyed.key, keyed.step, self._layer, tuple(output.shape), p, output.dtype)
        return output * drawn.to(output.device)
