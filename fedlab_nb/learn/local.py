"""What an owner computes beside its rows: local training, clipped row gradients, scores. The only torch in the loop."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.learn.engine import Chosen, Engine, Job, Rule, Trained
from fedlab_nb.learn.engine.flat import load_weights, parts, trainable
from fedlab_nb.learn.engine.sequential import norms_batches
from fedlab_nb.learn.engine.sequential.bound import only_torch
from fedlab_nb.learn.models import Architecture, build, own_generator
from fedlab_nb.records.schema import Task

if TYPE_CHECKING:
    from torch import nn

Floats = NDArray[np.float64]
Array = NDArray[np.float32] | NDArray[np.int64]
Executor = Literal["auto", "sequential", "stacked"]
T = TypeVar("T")
# Rows go through a model in multiples of so many, zeros behind them: a row's outputs then have the same bits whatever
# rows go with it, as products of matrices take their last few rows another way.
_ROWS_ALIKE = 16


class Learner:
    """A model without weights of its own: every call is given the weights (d,) and leaves nothing behind.

    ``X`` is (n, inputs) float32; ``y`` (n,): 0.0/1.0 for two classes, class numbers for several, standardised numbers
    for regression. ``executor`` says how the owners of a round are computed (see ``engine``). ``facts`` are the
    arguments, from which ``Learner.of`` gives an equal one anywhere.
    """

    def __init__(
        self, architecture: Architecture, inputs: int, outputs: int, task: Task, executor: Executor = "auto"
    ) -> None:
        self.facts = (architecture, inputs, outputs, task, executor)
        self._untouched = build(architecture, inputs, outputs)
        self.task: Task = task
        self._engine = Engine(self._untouched, task, executor)
        self._scoring = self._fresh().eval() if only_torch(self._untouched) else None

    @staticmethod
    def of(architecture: Architecture, inputs: int, outputs: int, task: Task, executor: Executor = "auto") -> Learner:
        """A learner, the same one for the same arguments: which executor is faster is found out once."""
        try:
            return _learner(architecture, inputs, outputs, task, executor)
        except TypeError:  # an architecture that cannot be hashed
            return Learner(architecture, inputs, outputs, task, executor)

    @property
    def tensors(self) -> tuple[tuple[str, int], ...]:
        """Names and sizes of the parts of the flat weights, in order."""
        return tuple((name, tensor.numel()) for name, tensor in parts(self._untouched))

    @property
    def parameters(self) -> int:
        """How many of the weights are parameters: the first ones; the rest are running statistics."""
        return trainable(self._untouched)

    @property
    def mixes_rows(self) -> bool:
        """True if the rows of a batch are normalised with each other's mean and variance."""
        return norms_batches(self._untouched)

    def coordinates(self, which: Literal["head", "norms"]) -> NDArray[np.bool_]:
        """Which of the weights (d,) belong to the last layer with parameters, or to layers of batch normalisation."""
        from torch import nn

        modules = [(name, m) for name, m in self._untouched.named_modules() if list(m.parameters(recurse=False))]
        norms = [name for name, m in modules if isinstance(m, nn.modules.batchnorm._NormBase)]  # noqa: SLF001
        wanted = modules[-1:] and [modules[-1][0]] if which == "head" else norms
        return np.concatenate([np.full(size, name.rpartition(".")[0] in wanted) for name, size in self.tensors])

    @property
    def stacks(self) -> bool:
        """True if the owners of a round can be computed as one batch of models."""
        return self._engine.stacks

    @property
    def chosen(self) -> Chosen:
        """How the last round was computed, and why."""
        return self._engine.card

    def train(self, jobs: Sequence[Job], rule: Rule, *, epochs: int, batch_size: int | None) -> list[Trained]:
        """What becomes of each job's weights, in order, after ``epochs`` passes in minibatches of ``batch_size``."""
        return self.each(jobs, rule, lambda trained: trained, epochs=epochs, batch_size=batch_size)

    def each(
        self, jobs: Sequence[Job], rule: Rule, take: Callable[[Trained], T], *, epochs: int, batch_size: int | None
    ) -> list[T]:
        """What ``take`` makes of each job's result, in order, as soon as it is there: only that is held of all."""
        with _alone():
            return [take(trained) for trained in self._engine.run(jobs, rule, epochs=epochs, batch_size=batch_size)]

    def clipped(self, jobs: Sequence[Job], *, clip: float) -> list[Floats]:
        """For each job the sum (d,) over its rows of loss gradients, each scaled to a norm of ``clip`` at most.

        Added in 64 bits: in 32, rounding could let one row move the sum of many by more than the clip. Dropout leaves
        out the same of every row of a job: otherwise a row more would change what all rows after it give.
        """
        with _alone():
            return list(self._engine.clipped(jobs, clip))

    def losses(self, jobs: Sequence[Job]) -> Floats:
        """The mean loss (n,) of each job's rows at the weights that it starts with; 0 without rows."""
        with _alone():
            return np.where([len(job) > 0 for job in jobs], self._engine.losses_of(jobs), 0.0)

    def scores(self, weights: Floats, X: Array) -> NDArray[np.float64]:
        """The raw outputs (n, outputs): log-odds, class scores, or standardised predictions."""
        import torch

        with _alone(), torch.no_grad():
            alike, module = self._scoring is not None, self._scoring or self._fresh().eval()
            load_weights(module, weights)
            # A copy either way: a module may write to what it is given.
            filled = np.concatenate([X, np.zeros((-len(X) % _ROWS_ALIKE if alike else 0, *X.shape[1:]), X.dtype)])
            outputs: Floats = module(torch.from_numpy(filled)).double().numpy()[: len(X)]
            return outputs if outputs.ndim == 2 else outputs.reshape(len(X), -1)

    def _fresh(self) -> nn.Module:
        """A copy of the module as it was built: one with code of its own may keep something of the rows it sees."""
        return copy.deepcopy(self._untouched)


@lru_cache(maxsize=16)
def _learner(architecture: Architecture, inputs: int, outputs: int, task: Task, executor: Executor) -> Learner:
    return Learner(architecture, inputs, outputs, task, executor)


@contextmanager
def _alone() -> Iterator[None]:
    """One thread, and random numbers of its own: equal seeds then give equal bits, and small models run fastest so."""
    import torch

    with own_generator(0):
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(before)
