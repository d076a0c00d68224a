"""Many owners trained at once, as one model with an owner axis, by layer programs: no step of torch's own gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from fedlab_nb.errors import SettingError
from fedlab_nb.learn.engine.flat import in_64_bits
from fedlab_nb.learn.engine.job import SGD, Floats, Job, Rule, Trained
from fedlab_nb.learn.engine.programs import compiled
from fedlab_nb.learn.engine.programs.norm import BatchNorm
from fedlab_nb.learn.engine.sequential.single import rows_are_mixed
from fedlab_nb.learn.engine.stacked.batch import Owners
from fedlab_nb.learn.engine.stacked.minibatches import Minibatches, least, width
from fedlab_nb.learn.engine.stacked.rows import Rows
from fedlab_nb.learn.engine.stacked.weights import Like, Weights
from fedlab_nb.records.schema import Task

if TYPE_CHECKING:
    import torch
    from torch import nn

# Owners trained together at least, where there are so many.
_FEWEST = 4

# Weights of so many bytes are trained together: they then stay in a processor's cache from one step to the next.
CHUNK_BYTES = 8_000_000

# What is passed on from layer to layer takes so much at most, however large the minibatches are.
_PASSING_BYTES = 4_000_000

# Results of so many bytes are held back at most, so that they can be given in the order in which they were asked for.
_WINDOW_BYTES = 32_000_000

# Weights of an owner that take more are read one owner at a time.
_READ_BYTES = 200_000


class Stacked:
    """Trains the owners of a round together, chunk by chunk.

    An owner's result has the same bits whoever trains beside it, in whatever order and in chunks of whatever size: it
    depends on its own job, on the width of its own minibatches, and on torch, its number of threads and the processor.
    """

    name = "stacked"

    def __init__(
        self,
        module: nn.Module,
        task: Task,
        dtype: torch.dtype | None = None,
        device: torch.device | None = None,
        chunk_bytes: int = CHUNK_BYTES,
    ) -> None:
        import torch

        network = compiled(module)
        if isinstance(network, str):
            raise SettingError(
                f"This model cannot be trained for many owners at once: {network}.",
                "Owners are stacked layer by layer, which takes torch's usual layers in torch.nn.Sequential.",
                'Use executor="sequential" or "auto": one owner after another gives the same results.',
            )
        self.network, self.task, self._chunk_bytes = network, task, chunk_bytes
        self._dtype = dtype or next(module.parameters()).dtype
        self._device = device or torch.device("cpu")
        self.weights = sum(prod(shape) for shape in (*network.shapes, *network.buffers))
        self._fewest = 2 if any(isinstance(p, BatchNorm) for p in network.programs) else 1

    def run(self, jobs: Sequence[Job], rule: Rule, *, epochs: int, batch_size: int | None) -> Iterator[Trained]:
        """What becomes of each job's weights, in order, after ``epochs`` passes in minibatches of ``batch_size`` rows.

        ``batch_size`` None takes all rows of an owner at once.
        """
        like, window = Like(self._dtype, self._device), max(4 * self.most, _WINDOW_BYTES // (8 * self.weights))
        for first in range(0, len(jobs), window):
            yield from self._window(jobs[first : first + window], rule, epochs, batch_size, like)

    def clipped(self, jobs: Sequence[Job], clip: float) -> Iterator[Floats]:
        """For each job the sum (d,) over its rows of loss gradients, each scaled down to an L2 norm of ``clip``.

        Dropout leaves out the same of every row of an owner: a row more must not change what another one gives.

        Raises:
            SettingError: if the model normalises batches.
        """
        if self._fewest > 1:
            raise rows_are_mixed()
        return Rows(self.network, self.task, Like(self._dtype, self._device)).clipped(jobs, clip)

    def losses_of(self, jobs: Sequence[Job]) -> Floats:
        """The mean loss (n,) of each job's rows at its starting weights, in evaluation; without rows not a number."""
        return Rows(self.network, self.task, Like(self._dtype, self._device)).losses(jobs)

    def chunk(self, owners: int, rows: int, inputs: int) -> int:
        """How many of so many owners, each with minibatches of ``rows`` places, are trained together."""
        if least(rows) == 1:
            return 1
        row = self.network.passing(inputs) * self._dtype.itemsize
        fitting = max(2, min(self.most, _PASSING_BYTES // max(rows * row, 1)))
        return -(-owners // -(-owners // fitting))  # all chunks about alike

    @property
    def most(self) -> int:
        """How many owners are trained together at most."""
        return max(self._chunk_bytes // (self.weights * self._dtype.itemsize), _FEWEST)

    def _window(self, jobs: Sequence[Job], rule: Rule, epochs: int, size: int | None, like: Like) -> Iterator[Trained]:
        """These jobs' results; together go owners alike in width, longest first, so that none waits for another."""
        alike: dict[tuple[int, bool], list[int]] = {}
        rows = [len(job.X) for job in jobs]
        for i, job in enumerate(jobs):
            alike.setdefault((width(rows[i], size), job.offset is None), []).append(i)
        done: dict[int, Trained] = {}
        following = 0
        for (wide, _), members in alike.items():
            members.sort(key=lambda i: -rows[i])
            each = self.chunk(len(members), wide, jobs[0].X.shape[1])
            for first in range(0, len(members), each):
                places = members[first : first + each]
                chunk = _accompanied([jobs[i] for i in places], least(wide))
                minibatches = Minibatches(chunk, like, epochs=epochs, size=size, width=wide, fewest=self._fewest)
                done |= zip(places, self._chunk(minibatches, rule, like), strict=False)
                while following in done:
                    ready = done.pop(following)
                    yield ready if done else _released(ready)
                    following += 1

    def _chunk(self, minibatches: Minibatches, rule: Rule, like: Like) -> list[Trained]:
        """Train these owners."""
        import torch

        jobs = minibatches.jobs
        rate = rule.lr if type(rule) is SGD and rule.plain and jobs[0].offset is None else None
        # A rule may be anybody's code, and gradients of its own do not go through tensors of inference.
        with torch.no_grad() if rate is None else torch.inference_mode():
            weights = Weights(self.network, [job.start for job in jobs], like, together=rate is None)
            owners = Owners(self.network, self.task, jobs, weights, like)
            kept = {} if weights.flat is None else rule.begin(weights.flat)
            for minibatch in minibatches:
                owners.at(minibatch)
                if rate is not None:
                    owners.descend(rate)
                elif weights.flat is not None:
                    k = minibatch.owners
                    rule.step(weights.flat[:k], owners, {name: tensor[:k] for name, tensor in kept.items()})
        left = {name: tensor.double().cpu().numpy() for name, tensor in kept.items()}
        reads = self._reads(weights, len(jobs))
        return [
            Trained(read, steps, {name: lines[k] for name, lines in left.items()})
            for k, (read, steps) in enumerate(zip(reads, minibatches.steps, strict=True))
        ]

    def _reads(self, weights: Weights, owners: int) -> list[Callable[[], Floats]]:
        """How each owner's weights are read, in 64 bits.

        Those of large models stay as they lie until they are asked for; those of small ones are read all together.
        """
        import torch

        if 8 * self.weights >= _READ_BYTES and self._device.type == "cpu":
            return [partial(_line, weights, k) for k in range(owners)]
        dtype = np.float32 if self._dtype == torch.float32 else np.float64
        return [partial(in_64_bits, line) for line in weights.read(0, owners, dtype)]


def _released(trained: Trained) -> Trained:
    """The same with a copy of its weights: who holds it must not hold those of its chunk while the next is trained."""
    return Trained(partial(in_64_bits, trained.weights), trained.steps, trained.kept)


def _line(weights: Weights, k: int) -> Floats:
    line: Floats = weights.read(k, k + 1, np.float64)[0]
    return line


def _accompanied(jobs: list[Job], fewest: int) -> list[Job]:
    """At least so many jobs: beside a lone one another that has no rows."""
    if len(jobs) >= fewest:
        return jobs
    return [*jobs, replace(jobs[0], X=jobs[0].X[:0], y=jobs[0].y[:0])]
