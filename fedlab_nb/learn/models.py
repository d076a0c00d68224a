"""Model architectures by name; the sizes of input and output come from the federation's encoding."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.cards import card
from fedlab_nb.errors import SettingError
from fedlab_nb.learn.engine.flat import flat_weights
from fedlab_nb.learn.zoo import cnn, is_width, series, text

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

    from fedlab_nb.learn.trained import TrainedModel

__all__ = ["Architecture", "Layers", "build", "cnn", "initial_weights", "load", "logistic", "mlp", "series", "text"]

Architecture = Callable[[int, int], "nn.Module"]
"""Anything that builds a torch module from (number of inputs, number of outputs): ours below, or your own function."""


@dataclass(frozen=True)
class Layers:
    """Fully connected layers with ReLU between them; no hidden layer is logistic (or linear) regression."""

    hidden: tuple[int, ...] = ()

    def __call__(self, inputs: int, outputs: int) -> nn.Module:
        """A torch module from ``inputs`` features to ``outputs`` scores (one for two classes or a number)."""
        from torch import nn

        sizes = (inputs, *self.hidden, outputs)
        layers: list[nn.Module] = []
        for size, following in pairwise(sizes):
            layers += [nn.Linear(size, following), nn.ReLU()]
        return nn.Sequential(*layers[:-1])

    def __repr__(self) -> str:
        return f"mlp(hidden={self.hidden})" if self.hidden else "logistic()"

    def size(self, inputs: int, outputs: int) -> int:
        """How many weights it has with ``inputs`` features and ``outputs`` scores.

        >>> mlp(16).size(30, 1)
        513
        """
        return sum((size + 1) * following for size, following in pairwise((inputs, *self.hidden, outputs)))

    def _repr_html_(self) -> str:
        kind = "Neural network, fully connected" if self.hidden else "Logistic regression (linear for a number)"
        layers = " → ".join(["inputs", *(f"{width} ReLU" for width in self.hidden), "scores"])
        rows = [
            ("Layers", layers),
            ("Hidden layers", f"{len(self.hidden)}"),
            ("Weights, for 30 inputs and one score", f"{self.size(30, 1):,}"),
            ("Scores", "one for two classes or a number, else one a class"),
        ]
        return card(kind, rows, "A plan of a model: the federation's columns give the number of inputs and scores.")


def mlp(hidden: tuple[int, ...] | int = (16,)) -> Layers:
    """A small neural network; ``hidden`` are the widths of its hidden layers, or the width of its only one.

    >>> mlp()
    mlp(hidden=(16,))
    >>> mlp(32)
    mlp(hidden=(32,))

    Raises:
        SettingError: for anything but whole numbers of 1 or more, or none of them.
    """
    widths = hidden if isinstance(hidden, tuple | list) else (hidden,)
    if not widths or not all(is_width(width) for width in widths):
        raise SettingError(
            f"mlp() was given hidden={hidden!r}.",
            "Each hidden layer needs a width of at least 1.",
            "Use for instance mlp(hidden=(32, 16)), or fl.models.logistic() for a model without hidden layers.",
        )
    return Layers(tuple(int(width) for width in widths))


def logistic() -> Layers:
    """Logistic regression for a class target (softmax for several classes), linear regression for a number."""
    return Layers()


def load(path: str | Path, architecture: Architecture | None = None) -> TrainedModel:
    """The model that ``run.model.save(path)`` wrote: it predicts the same, and needs nobody's rows.

    A model of your own was written without its code: pass the function that builds it as ``architecture``.

    Raises:
        SettingError: if it is no such file, or ``architecture`` is missing or builds another model.
    """
    from fedlab_nb.learn.export import read

    return read(path, architecture)


def initial_weights(architecture: Architecture, inputs: int, outputs: int, seed: int) -> NDArray[np.float64]:
    """The flat starting weights (d,) of the architecture, the same for the same seed."""
    return flat_weights(build(architecture, inputs, outputs, seed))


def build(architecture: Architecture, inputs: int, outputs: int, seed: int = 0) -> nn.Module:
    """The module itself, shared with nobody; torch's global generator is left as it was.

    Raises:
        SettingError: if it is not a torch module, has no parameters or frozen ones, or cannot be copied.
    """
    import torch

    with own_generator(seed):
        module = architecture(inputs, outputs)
    if not isinstance(module, torch.nn.Module) or not list(module.parameters()):
        raise SettingError(
            f"The model function returned {type(module).__name__}, not a torch module with parameters.",
            "The owners train its parameters, so there must be some.",
            "Pass fl.models.mlp(), fl.models.logistic(), or a function (inputs, outputs) -> torch.nn.Module.",
        )
    if not all(p.requires_grad for p in module.parameters()):
        raise SettingError(
            "The model has frozen parameters (requires_grad=False).",
            "All parameters travel, are averaged, and get noise; frozen ones would be changed by it too.",
            "Register what must not change as a buffer (module.register_buffer), or leave it trainable.",
        )
    return _copied(module)


# Torch has one random generator and one number of threads for the whole process: runs in one notebook take turns.
_TORCH = threading.RLock()


@contextmanager
def own_generator(seed: int) -> Iterator[None]:
    """Torch's global generator begins at ``seed`` inside, and is left as it was; one at a time in the whole process."""
    import torch

    with _TORCH, torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed: that also tells every accelerator, which takes longer than a small model's round.
        torch.default_generator.manual_seed(int(seed))
        yield


def _copied(module: nn.Module) -> nn.Module:
    try:
        return copy.deepcopy(module)
    except Exception as error:
        raise SettingError(
            f"The model cannot be copied ({type(error).__name__}: {error}).",
            "Every owner starts from a fresh copy, so that nothing a model keeps goes from one owner to the next.",
            "Keep only parameters, buffers and plain values in the module, and try copy.deepcopy(module) by itself.",
        ) from error
