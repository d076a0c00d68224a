"""What an owner computes beside its rows: local training, clipped row gradients, scores. The only torch in the loop."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.learn.models import Architecture, build, load_weights, own_generator
from fedlab_nb.records.schema import Task

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

Floats = NDArray[np.float64]
Array = NDArray[np.float32] | NDArray[np.int64]

# Rows whose gradients are clipped in one go: what a pass keeps of them is all the memory that it takes.
_ROWS_AT_ONCE = 4096


class Learner:
    """A model without weights of its own: every call is given the weights (d,) and leaves nothing behind.

    Arrays are copied on the way in, so that a module which works in place cannot alter an owner's rows. Every call has
    its own copy of the module, so that nothing a module keeps (buffers, attributes) goes from one owner to the next.

    ``X`` is (n, inputs) float32; ``y`` (n,): 0.0/1.0 for two classes, class numbers for several, standardised numbers
    for regression.
    """

    def __init__(self, architecture: Architecture, inputs: int, outputs: int, task: Task) -> None:
        self._untouched = build(architecture, inputs, outputs)
        self.task: Task = task

    @property
    def tensors(self) -> tuple[tuple[str, int], ...]:
        """Names and sizes of the parts of the flat weights, in order."""
        return tuple((name, tensor.numel()) for name, tensor in self._untouched.named_parameters())

    def train(
        self, weights: Floats, X: Array, y: Array, *, lr: float, epochs: int, batch_size: int, rng: np.random.Generator
    ) -> Floats:
        """The change (d,) of the weights after ``epochs`` passes of mini-batch gradient descent over (X, y)."""
        import torch

        features, target = torch.tensor(X), torch.tensor(y)
        with _alone(int(rng.integers(2**63))):
            module = self._fresh(weights)
            tensors: list[Tensor] = list(module.parameters())
            for _ in range(epochs):
                for batch in _batches(len(X), batch_size, rng):
                    loss = self._losses(module(features[batch]), target[batch]).mean()
                    gradients = torch.autograd.grad(loss, tensors)
                    with torch.no_grad():
                        torch._foreach_add_(tensors, gradients, alpha=-lr)
            return _flat(tensors) - weights.astype(np.float32).astype(np.float64)

    def clipped_gradient(self, weights: Floats, X: Array, y: Array, *, clip: float, seed: int = 0) -> Floats:
        """The sum over rows (d,) of loss gradients, each scaled down to an L2 norm of at most ``clip``.

        For models whose parameters all sit in linear layers, the norm of a row's gradient is read off the layers'
        inputs x and output gradients d, |grad|^2 = sum over layers of |d|^2 (|x|^2 + 1), so that no row's gradient
        is ever written out. Any other model takes one backward pass per row, on a copy of its own where the module
        could keep something of the row before: a row could otherwise change more than its own gradient.
        Where only some rows take part in a step, they alone are given: the others cost no time.
        ``seed`` decides what dropout leaves out, the same for every row.

        Source: Goodfellow 2015, "Efficient per-example gradient computations".
        """
        import torch

        features, target = torch.tensor(X), torch.tensor(y)
        with _alone(seed):
            module, total = self._fresh(weights), np.zeros(weights.size)
            linear = _linear_layers(module)
            if linear is None:
                return self._row_by_row(weights, features, target, clip, seed)
            for start in range(0, len(X), _ROWS_AT_ONCE):
                block = slice(start, start + _ROWS_AT_ONCE)
                total += self._clipped_block(module, linear, features[block], target[block], clip)
            return total

    def _clipped_block(
        self, module: nn.Module, linear: list[nn.Linear], features: Tensor, target: Tensor, clip: float
    ) -> Floats:
        """The sum (d,) of these rows' clipped gradients, from one forward and one backward pass over all of them.

        Added in 64 bits: in 32, rounding could let one row move the sum of many by more than the clip.
        """
        import torch

        inputs: list[Tensor] = []
        outputs: list[Tensor] = []
        with _watch(linear, inputs, outputs):
            loss = self._losses(module(features), target).sum()
        backward = torch.autograd.grad(loss, outputs)
        pairs = [(x.double(), d.double()) for x, d in zip(inputs, backward, strict=True)]
        squares = torch.zeros(len(features), dtype=torch.float64)
        for layer, (x, d) in zip(linear, pairs, strict=True):
            squares += (d * d).sum(1) * ((x * x).sum(1) + (0.0 if layer.bias is None else 1.0))
        scale = (clip / squares.sqrt().clamp(min=1e-12)).clamp(max=1.0)[:, None]
        parts: list[Tensor] = []
        for layer, (x, d) in zip(linear, pairs, strict=True):
            parts.append(((d * scale).T @ x).ravel())
            if layer.bias is not None:
                parts.append((d * scale).sum(0))
        return torch.cat(parts).numpy()

    def scores(self, weights: Floats, X: Array) -> NDArray[np.float64]:
        """The raw outputs (n, outputs): log-odds, class scores, or standardised predictions."""
        import torch

        with _alone(0), torch.no_grad():
            outputs: Floats = self._fresh(weights).eval()(torch.tensor(X)).double().numpy()
            return outputs if outputs.ndim == 2 else outputs.reshape(len(X), -1)

    def _fresh(self, weights: Floats) -> nn.Module:
        """The module as it was built, in training mode, with these weights (d,)."""
        module = copy.deepcopy(self._untouched)
        load_weights(module, weights)
        return module.train()

    def _losses(self, outputs: Tensor, target: Tensor) -> Tensor:
        from torch.nn import functional

        if self.task == "multiclass":
            return functional.cross_entropy(outputs, target, reduction="none")
        if self.task == "binary":
            return functional.binary_cross_entropy_with_logits(outputs[:, 0], target, reduction="none")
        return (outputs[:, 0] - target) ** 2

    def _row_by_row(self, weights: Floats, features: Tensor, target: Tensor, clip: float, seed: int) -> Floats:
        import torch

        module, forgets = self._fresh(weights), _keeps_nothing(self._untouched)
        total = np.zeros(weights.size)
        for i in range(len(features)):
            module = module if forgets else self._fresh(weights)
            # Every row meets the same dropout: otherwise a row more would give another one to all rows after it.
            torch.default_generator.manual_seed(seed)
            loss = self._losses(module(features[i : i + 1]), target[i : i + 1]).sum()
            gradient = _flat(torch.autograd.grad(loss, list(module.parameters())))
            total += gradient * min(1.0, clip / max(float(np.linalg.norm(gradient)), 1e-12))
        return total


def _batches(rows: int, size: int, rng: np.random.Generator) -> Iterator[torch.Tensor]:
    import torch

    order = torch.from_numpy(rng.permutation(rows))
    yield from (order[start : start + size] for start in range(0, rows, size))


def _flat(tensors: Sequence[Tensor]) -> Floats:
    return np.concatenate([t.detach().numpy().ravel() for t in tensors]).astype(np.float64)


def _linear_layers(module: nn.Module) -> list[nn.Linear] | None:
    """The linear layers in order, if they hold every parameter and are simply chained; else None."""
    from torch import nn

    # Exact types: a subclass may compute something else. An activation in place would overwrite what is watched.
    if type(module) is not nn.Sequential:
        return None
    simple = (nn.Linear, nn.ReLU, nn.Tanh, nn.Sigmoid, nn.GELU, nn.SiLU, nn.LeakyReLU)
    if any(type(m) not in simple or getattr(m, "inplace", False) for m in module):
        return None
    layers = [m for m in module if isinstance(m, nn.Linear)]
    # A parameter used in two places has one gradient, the sum of both: its norm is not that of two layers.
    used = [id(p) for layer in layers for p in layer.parameters()]
    return layers if used == [id(p) for p in module.parameters()] else None


def _keeps_nothing(module: nn.Module) -> bool:
    """True if no row can leave anything in it: torch's own layers keep things in buffers only, and it has none."""
    own = all(type(m).__module__.startswith("torch.nn.modules.") for m in module.modules())
    return own and not list(module.buffers())


@contextmanager
def _watch(layers: list[nn.Linear], inputs: list[Tensor], outputs: list[Tensor]) -> Iterator[None]:
    def keep(_layer: nn.Module, received: tuple[Tensor, ...], produced: Tensor) -> None:
        inputs.append(received[0].detach())
        outputs.append(produced)

    handles = [layer.register_forward_hook(keep) for layer in layers]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def _alone(seed: int) -> Iterator[None]:
    """One thread, and dropout from ``seed``: equal seeds then give equal bits, and small models run fastest so."""
    import torch

    with own_generator(seed):
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(before)
