"""A module's weights as one vector: its parameters in their order, then the running statistics of BatchNorm."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor, nn

Floats = NDArray[np.float64]


def parts(module: nn.Module) -> list[tuple[str, Tensor]]:
    """Names and tensors of the vector's parts, in order. Other buffers are constants: they do not travel."""
    from torch import nn

    norms = [(n, m) for n, m in module.named_modules() if isinstance(m, nn.modules.batchnorm._NormBase)]  # noqa: SLF001
    running = [(f"{n}.{which}", getattr(m, which)) for n, m in norms for which in ("running_mean", "running_var")]
    return [*module.named_parameters(), *((name, tensor) for name, tensor in running if tensor is not None)]


def flat_weights(module: nn.Module) -> Floats:
    """The vector (d,)."""
    return np.concatenate([tensor.detach().cpu().numpy().ravel() for _, tensor in parts(module)]).astype(np.float64)


def load_weights(module: nn.Module, weights: Floats) -> None:
    """Copy the vector ``weights`` (d,) into ``module``."""
    import torch

    start = 0
    with torch.no_grad():
        for name, tensor in parts(module):
            part = torch.from_numpy(weights[start : start + tensor.numel()])
            tensor.copy_(part.view_as(tensor))
            if name.endswith("running_var"):
                tensor.clamp_(min=0.0)  # noise may have moved a variance below what variances can be
            start += tensor.numel()


def in_64_bits(numbers: NDArray[np.floating]) -> Floats:
    """A copy of these numbers in 64 bits, which its reader may write over."""
    return numbers.astype(np.float64)


def trainable(module: nn.Module) -> int:
    """How many of the vector's numbers are parameters: the first ones."""
    return sum(p.numel() for p in module.parameters())
