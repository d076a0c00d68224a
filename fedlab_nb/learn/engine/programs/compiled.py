"""From a torch module to layer programs, or why there are none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from fedlab_nb.learn.engine.programs import simple
from fedlab_nb.learn.engine.programs.conv import Convolution
from fedlab_nb.learn.engine.programs.linear import Linear
from fedlab_nb.learn.engine.programs.network import Network
from fedlab_nb.learn.engine.programs.norm import BatchNorm, GroupNorm, LayerNorm
from fedlab_nb.learn.engine.programs.pool import AvgPool, MaxPool, MeanPool
from fedlab_nb.learn.engine.programs.program import Program

if TYPE_CHECKING:
    from torch import nn

_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")

Made = tuple[Program, int]
"""A program, and how many axes a row has behind it."""


def compiled(module: nn.Module) -> Network | str:
    """The layer programs that do what ``module`` does, or in words why there are none.

    There are for torch's own layers of the usual kinds, one after the other in (nested) ``nn.Sequential``.
    """
    leaves, programs, axes = list(_leaves(module)), list[Program](), 1
    for name, layer in leaves:
        called = f"{type(layer).__name__} {name!r}" if name else type(layer).__name__
        if attached(layer):
            return f"{called} has code attached to it (a hook, or a forward of its own)"
        made = _made(layer, axes, sum(isinstance(p, simple.Dropout) for p in programs))
        if made is None:
            return f"{called} is a layer, or is set or placed in a way, that has no such form"
        programs.append(made[0])
        axes = made[1]
    if axes != 1:
        return "it ends in something else than a list of scores"
    return _odd(module, leaves) or Network(tuple(programs))


def _leaves(module: nn.Module, name: str = "") -> Iterator[tuple[str, nn.Module]]:
    """The layers in the order in which rows go through them."""
    from torch import nn

    if type(module) is nn.Sequential and not attached(module):
        for part, child in module._modules.items():  # noqa: SLF001 - the public list names a layer only once
            if child is not None:
                yield from _leaves(child, f"{name}.{part}" if name else part)
    else:
        yield name, module


def attached(layer: nn.Module) -> bool:
    """True if calling the layer does more, or something else, than its class says."""
    return any(getattr(layer, hooks, None) for hooks in _HOOKS) or "forward" in vars(layer)


def _odd(module: nn.Module, leaves: list[tuple[str, nn.Module]]) -> str:
    """What no list of programs could stand for although each layer has one, in words; or nothing."""
    parameters = list(module.parameters())
    used = [id(p) for _, layer in leaves for p in layer.parameters(recurse=False)]
    if used != [id(p) for p in parameters]:
        return f"parameters of {type(module).__name__} are shared, or lie outside torch's own layers"
    if not parameters or len({p.dtype for p in parameters}) > 1 or not parameters[0].is_floating_point():
        return "its parameters are of several kinds"
    stateful = [id(layer) for _, layer in leaves if type(layer).__name__.startswith(("Dropout", "BatchNorm"))]
    return "a dropout or batch normalisation is used twice" if len(set(stateful)) < len(stateful) else ""


def _made(layer: nn.Module, axes: int, dropouts: int) -> Made | None:
    from torch import nn

    make: dict[type[nn.Module], Callable[[Any], Made | None]] = {
        nn.Identity: lambda _: (Program(), axes),
        nn.ReLU: lambda _: (simple.ReLU(), axes),
        nn.Tanh: lambda _: (simple.Tanh(), axes),
        nn.Sigmoid: lambda _: (simple.Sigmoid(), axes),
        nn.SiLU: lambda _: (simple.SiLU(), axes),
        nn.GELU: lambda m: (simple.GELU() if m.approximate == "none" else simple.TanhGELU(), axes),
        nn.LeakyReLU: lambda m: (simple.LeakyReLU(float(m.negative_slope)), axes),
        nn.Dropout: lambda m: (simple.Dropout(float(m.p), dropouts), axes),
        nn.Flatten: lambda m: (simple.Shaped((-1,)), 1) if (m.start_dim, m.end_dim) == (1, -1) else None,
        nn.Unflatten: lambda m: _unflattened(m, axes),
        nn.Linear: lambda m: (Linear(m), 1) if axes == 1 else None,
        nn.Conv1d: lambda m: (Convolution(m), 2) if axes == 2 and _plain(m) else None,
        nn.Conv2d: lambda m: (Convolution(m), 3) if axes == 3 and _plain(m) else None,
        nn.LayerNorm: lambda m: (LayerNorm(m), axes) if len(m.normalized_shape) <= axes else None,
        nn.GroupNorm: lambda m: (GroupNorm(m), axes),
        nn.BatchNorm1d: lambda m: (BatchNorm(m), axes) if axes < 3 and _settles(m) else None,
        nn.BatchNorm2d: lambda m: (BatchNorm(m), axes) if axes == 3 and _settles(m) else None,
    }
    pools: dict[type[nn.Module], Callable[[Any], Made | None]] = {
        nn.MaxPool1d: lambda m: (MaxPool(m, 1), 2) if axes == 2 and not m.return_indices else None,
        nn.MaxPool2d: lambda m: (MaxPool(m, 2), 3) if axes == 3 and not m.return_indices else None,
        nn.AvgPool1d: lambda m: (AvgPool(m, 1), 2) if axes == 2 else None,
        nn.AvgPool2d: lambda m: (AvgPool(m, 2), 3) if axes == 3 else None,
        nn.AdaptiveAvgPool1d: lambda m: (MeanPool(1), 2) if axes == 2 and m.output_size in (1, (1,)) else None,
        nn.AdaptiveAvgPool2d: lambda m: (MeanPool(2), 3) if axes == 3 and m.output_size in (1, (1, 1)) else None,
    }
    maker = (make | pools).get(type(layer))
    return maker(layer) if maker else None


def _unflattened(layer: nn.Unflatten, axes: int) -> Made | None:
    size = layer.unflattened_size
    if axes != 1 or layer.dim not in (1, -1) or not all(isinstance(n, int) for n in size):
        return None
    return simple.Shaped(tuple(int(n) for n in size)), len(size)


def _plain(layer: nn.Conv1d | nn.Conv2d) -> bool:
    """True for a convolution of all channels with each other, without gaps, with zeros around."""
    simple_padding = layer.padding_mode == "zeros" and not isinstance(layer.padding, str)
    return set(layer.dilation) == {1} and layer.groups == 1 and simple_padding


def _settles(layer: nn.BatchNorm1d | nn.BatchNorm2d) -> bool:
    """True if the running mean and variance are kept, each batch with the same weight."""
    return layer.track_running_stats and layer.momentum is not None
