"""Which executor trains the owners of a round: told, or found out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from fedlab_nb.cards import card
from fedlab_nb.learn.engine.job import Floats, Job, Rule, Trained
from fedlab_nb.learn.engine.programs import Network, compiled
from fedlab_nb.learn.engine.sequential import Sequential
from fedlab_nb.learn.engine.stacked import Stacked
from fedlab_nb.records.schema import Task
from fedlab_nb.settings import check_setting

if TYPE_CHECKING:
    import torch
    from torch import nn

Way = Literal["auto", "sequential", "stacked"]
Device = Literal["auto", "cpu", "cuda"]

# Where more numbers of a row are in memory at once, as with convolutions of large images, or where weights of a few
# owners fill it, one owner after another is faster; all else is faster together, wherever it was measured. A rule and
# no race: an executor that changed with the load of the machine would change the last bits of the results.
_MANY_NUMBERS, _MANY_WEIGHTS = 25_000, 2_000_000

# Results of 32 bits that are further apart than this are not the same.
_SAME = 1e-4

# Owners and rows that a trial takes at most, and owners to compare them with: it shall take a few milliseconds.
_TRIED, _TRIED_ROWS, _COMPARED = 8, 256, 2


@dataclass(frozen=True)
class Chosen:
    """How a round was computed, to be stored with a run: it decides the last bits of the results.

    ``faster`` is how many times faster stacking was than one owner after another in a trial, if there was one;
    ``chunk`` how many owners are trained together at most.
    """

    name: Literal["sequential", "stacked"]
    reason: str
    faster: float | None
    chunk: int
    device: str
    threads: int
    torch: str

    def __repr__(self) -> str:
        return f"Chosen({self.name!r}, {self.reason!r})"

    def _repr_html_(self) -> str:
        measured = "not measured" if self.faster is None else f"{self.faster:.1f} times as fast as one by one"
        rows = [
            ("Owners of a round", "together" if self.name == "stacked" else "one after another"),
            ("Why", self.reason),
            ("Together, in a trial", measured),
            ("Together at most", f"{self.chunk:,}"),
            ("Computed on", f"{self.device}, {self.threads} thread{'s' * (self.threads != 1)}"),
            ("torch", self.torch),
        ]
        return card("How owners are trained", rows, "Either way gives the same results up to rounding.")


class Engine:
    """Trains the owners of a round, by the executor that is asked for or, with "auto", by the faster one.

    Models that have no layer programs, and very large ones, are trained one owner after another; all others together,
    unless a trial on a few owners of the first round, whose results are thrown away, gives other numbers.
    """

    def __init__(
        self,
        module: nn.Module,
        task: Task,
        executor: Way = "auto",
        device: Device = "auto",
        dtype: torch.dtype | None = None,
    ) -> None:
        """The module is copied, never changed.

        Raises:
            SettingError: if "stacked" is asked for and the model cannot be, or for names that are none.
        """
        check_setting(
            "The engine",
            "executor",
            executor,
            fits=executor in ("auto", "sequential", "stacked"),
            wanted='"auto", "sequential" or "stacked"',
            why="It says whether the owners of a round are trained together or one after another.",
            example='"auto"',
        )
        self._asked, self._device = executor, _device(device)
        self._network = compiled(module)
        self._sequential = Sequential(module, task, dtype, self._device)
        possible = executor == "stacked" or (executor == "auto" and isinstance(self._network, Network))
        self._stacked = Stacked(module, task, dtype, self._device) if possible else None
        self._known: dict[tuple[object, ...], Chosen] = {}
        self._last: Chosen | None = None

    @property
    def stacks(self) -> bool:
        """True if the owners of a round may be trained together, so that they had best be given all at once."""
        return self._stacked is not None

    @property
    def card(self) -> Chosen:
        """How the last round was computed, or what is known before the first."""
        return self._last or self._plain()

    def run(self, jobs: Sequence[Job], rule: Rule, *, epochs: int, batch_size: int | None) -> Iterator[Trained]:
        """What becomes of each job's weights, in order, after ``epochs`` passes in minibatches of ``batch_size`` rows.

        ``batch_size`` None takes all rows of an owner at once.
        """
        self._last = self._choice(jobs, rule, batch_size)
        chosen = self._stacked if self._stacked is not None and self._last.name == "stacked" else self._sequential
        return chosen.run(jobs, rule, epochs=epochs, batch_size=batch_size)

    def clipped(self, jobs: Sequence[Job], clip: float) -> Iterator[Floats]:
        """For each job the sum (d,) over its rows of loss gradients, each scaled down to an L2 norm of ``clip``.

        Raises:
            SettingError: if the model normalises batches.
        """
        return (self._stacked or self._sequential).clipped(jobs, clip)

    def losses_of(self, jobs: Sequence[Job]) -> Floats:
        """The mean loss (n,) of each job's rows at its starting weights, in evaluation; without rows not a number."""
        return (self._stacked or self._sequential).losses_of(jobs)

    def _choice(self, jobs: Sequence[Job], rule: Rule, size: int | None) -> Chosen:
        """The executor for these jobs; a trial, where one is needed, is made once."""
        if self._stacked is None or self._asked != "auto":
            return self._plain()
        numbers = self._stacked.network.passing(jobs[0].X.shape[1]) if jobs else 0
        if numbers > _MANY_NUMBERS or self._stacked.weights > _MANY_WEIGHTS:
            return self._chosen("sequential", "models of this size are faster one owner at a time")
        named, able = (type(rule), getattr(rule, "plain", None), size), [job for job in jobs if len(job) > 1]
        if named not in self._known and able:
            self._known[named] = self._tried(self._stacked, able, rule, size)
        return self._known.get(named) or self._plain()

    def _plain(self) -> Chosen:
        """The choice that needs no trial."""
        if self._asked != "auto":
            return self._chosen("stacked" if self._stacked else "sequential", "as it was asked for")
        if isinstance(self._network, str):
            return self._chosen("sequential", f"the model cannot be trained for many owners at once: {self._network}")
        return self._chosen("stacked", "the model is made of layers that can be trained for many owners at once")

    def _tried(self, stacked: Stacked, jobs: Sequence[Job], rule: Rule, size: int | None) -> Chosen:
        """Compare both on one step of a few owners."""
        rows = min(size or _TRIED_ROWS, _TRIED_ROWS)
        first = [replace(job, X=job.X[:rows], y=job.y[:rows]) for job in jobs[:_TRIED]]
        few = first[:_COMPARED]
        clock = time.thread_time if self._device.type == "cpu" else time.perf_counter
        alone, one_by_one = _timed(self._sequential, few, rule, clock)
        together, at_once = _timed(stacked, first, rule, clock)
        faster = (one_by_one / len(few)) / (at_once / len(first))
        apart = max(_apart(a, b) for a, b in zip(alone, together, strict=False))
        if apart > _SAME:
            why = f"together, this model's weights came out otherwise by {apart:.1e}, more than rounding explains"
            return self._chosen("sequential", why, faster)
        return self._chosen("stacked", "models of this size are faster together, and a trial gave the same", faster)

    def _chosen(self, name: Literal["sequential", "stacked"], reason: str, faster: float | None = None) -> Chosen:
        import torch

        chunk = self._stacked.most if name == "stacked" and self._stacked is not None else 1
        return Chosen(name, reason, faster, chunk, self._device.type, torch.get_num_threads(), torch.__version__)


def _timed(
    executor: Sequential | Stacked, jobs: Sequence[Job], rule: Rule, clock: Callable[[], float]
) -> tuple[list[Trained], float]:
    """One step of each job, and the seconds that it took the second time: the first may have to get ready."""
    for _ in range(2):
        began = clock()
        trained = list(executor.run(jobs, rule, epochs=1, batch_size=None))
        took = clock() - began
    return trained, max(took, 1e-9)


def _apart(a: Trained, b: Trained) -> float:
    """The largest difference of two results' weights, against the largest weight if that is above 1."""
    first, second = a.weights, b.weights
    both = np.isfinite(first)
    if not np.array_equal(both, np.isfinite(second)):
        return float("inf")
    scale = max(1.0, float(np.abs(first[both]).max(initial=0.0)))
    return float(np.abs(first - second)[both].max(initial=0.0)) / scale


def _device(device: Device) -> torch.device:
    import torch

    there = torch.cuda.is_available()
    check_setting(
        "The engine",
        "device",
        device,
        fits=device in ("auto", "cpu") or (device == "cuda" and there),
        wanted='"auto", "cpu"' + (' or "cuda"' if there else "; this machine has no GPU that torch can use"),
        why="It says where the owners of a round are computed.",
        example='"auto"',
    )
    return torch.device("cuda" if device != "cpu" and there else "cpu")
