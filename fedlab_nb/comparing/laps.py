"""The runs of a comparison, one after another: all lines with the first seed, then all with the next one."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from fedlab_nb.comparing.comparison import ALONE, POOLED, Comparison, Lane, Reference
from fedlab_nb.comparing.foresee import Coming, cost_of, foresee, pays
from fedlab_nb.comparing.lanes import Entry
from fedlab_nb.comparing.references import Outcome, Training, check_alone, table_as_owners, training_like
from fedlab_nb.comparing.references import alone as train_alone
from fedlab_nb.comparing.references import pooled as train_pooled
from fedlab_nb.errors import FedLabError
from fedlab_nb.parties import DataOwner, Federation
from fedlab_nb.records import History, Round, State
from fedlab_nb.rounds import rounds
from fedlab_nb.scene import headline
from fedlab_nb.units import counted, listed, metric_name, number, seconds_text
from fedlab_nb.view.compare.progress import ProgressLine

if TYPE_CHECKING:
    import pandas as pd


class Laps:
    """All runs of these lines; checked when made, so that what cannot work is refused before anything leaves.

    Seed by seed, so that an interrupted comparison is a fair one with fewer seeds.

    Raises:
        SettingError, RuleError, SchemaError, BudgetExceededError: what cannot work.
    """

    def __init__(
        self,
        lines: Sequence[Entry],
        seeds: Sequence[int],
        num_rounds: int,
        *,
        alone: bool,
        pooled: pd.DataFrame | None,
    ) -> None:
        self.lines, self.seeds, self.num_rounds = lines, seeds, num_rounds
        self.played: dict[str, list[tuple[History, float | None]]] = {line.name: [] for line in lines}
        self.outcomes: dict[str, list[Outcome]] = {}
        self.notes: list[str] = []
        first = [line.federation(seeds[0]) for line in lines]
        for line, federation in zip(lines, first, strict=True):
            rounds(federation, line.strategy, num_rounds=num_rounds, seed=seeds[0])  # checks, and begins nothing
        self._training: Training | None = None
        self._halves: tuple[DataOwner, DataOwner] | None = None
        if alone or pooled is not None:
            self._training = training_like(lines[0].strategy, first[0], int(num_rounds))
        if alone:
            check_alone(first[0])
            self.outcomes[ALONE] = []
        if pooled is not None:
            self._halves = table_as_owners(pooled, first[0])
            self.outcomes[POOLED] = []
        self._private = any(map(pays, first))
        self._rehearsed = any(federation.house.noise_seed is not None for federation in first)
        self.cost = foresee(self._coming(), int(num_rounds)) if self._private else ""

    def _coming(self) -> Iterator[Coming]:
        for seed in self.seeds:
            for line in self.lines:
                if isinstance(line.source, Federation):
                    yield Coming(line.federation(seed), line.strategy, seed)

    def play(self) -> None:
        """All runs. Interrupted, it keeps those that have ended.

        Raises:
            KeyboardInterrupt: if none has ended yet.
        """
        progress = _Progress(len(self.lines) * len(self.seeds), int(self.num_rounds))
        if self.cost:
            progress.line.settle(self.cost)
        try:
            for seed in self.seeds:
                for line in self.lines:
                    self.played[line.name].append(self._run(line, seed, progress))
                self._measure(seed, progress)
        except KeyboardInterrupt:
            if not any(self.played.values()):
                raise
            ended = sum(map(len, self.played.values()))
            self.notes.append(f"Interrupted: {ended} of {progress.runs} runs had ended, and only these are shown.")
        progress.end()

    def _run(self, line: Entry, seed: int, progress: _Progress) -> tuple[History, float | None]:
        """One run from its first round to its last, and what it cost."""
        federation = line.federation(seed)
        before = {name: federation.account(name).counts for name in federation.names}
        kept: list[Round] = []
        progress.begin(f"{line.name}, seed {seed}")
        for record in rounds(federation, line.strategy, num_rounds=self.num_rounds, seed=seed):
            if kept:  # only the last round keeps its model: those of all rounds of all runs may not fit into memory
                kept[-1] = replace(kept[-1], state=State({}))
            kept.append(record)
            progress.after(record)
        progress.ended(kept[-1])
        if reused := federation.books.reused:
            told = f"{counted(reused, 'answer')} came from the vault, free: the same had been asked before."
            self.notes.append(f"{line.name}, seed {seed}: {told}")
        return History(kept), cost_of(federation, before)

    def _measure(self, seed: int, progress: _Progress) -> None:
        """What the runs with this seed are measured against."""
        training, metric = self._training, self._metric(None)
        if training is None:
            return
        ways = {}
        if ALONE in self.outcomes:
            ways[ALONE] = partial(train_alone, self.lines[0].federation(seed))
        if self._halves is not None:
            ways[POOLED] = partial(train_pooled, self._halves)
        for name, train in ways.items():
            progress.begin(f"{name}, seed {seed}")
            progress.show()
            try:
                self.outcomes[name].append(train(training, metric, seed))
            except FedLabError as error:
                self.notes.append(f"{name[:1].upper()}{name[1:]}, seed {seed}: {error}")

    def _metric(self, asked: str | None) -> str:
        return asked or headline(History(record for record in self._records()))

    def _records(self) -> Iterator[Round]:
        return (record for runs in self.played.values() for run, _ in runs for record in run)

    def found(self, metric: str | None, target: float | None) -> Comparison:
        """What came of it."""
        chosen = self._metric(metric)
        known = dict.fromkeys(name for record in self._records() for name in record.metrics)
        lanes = [
            Lane(name, tuple(run for run, _ in runs), tuple(cost for _, cost in runs), int(self.num_rounds))
            for name, runs in self.played.items()
            if runs
        ]
        references = [Reference(name, tuple(outcomes)) for name, outcomes in self.outcomes.items() if outcomes]
        notes = [*self._reading(references), *self.notes]
        if chosen not in known and known:
            notes.append(
                f"No run has a score {chosen!r}; there are {listed(known)}: fl.compare(found.runs, metric=...)."
            )
        return Comparison(tuple(lanes), chosen, target, tuple(references), tuple(notes))

    def _reading(self, references: Sequence[Reference]) -> Iterator[str]:
        if self._private:
            yield "Epsilon is the most that one run cost an owner, by itself; all of them add up in its account."
        for name, runs in self.played.items():
            if Lane(name, tuple(run for run, _ in runs), ()).same:
                yield (
                    f"{name}: all {len(runs)} seeds gave the same scores to the bit. They count as one run: there is "
                    "no interval, and seeds=1 is enough. Nothing is told of how it would do on other rows."
                )
        if self._rehearsed:
            yield "Rehearsals: their noise can be repeated and protects nobody, so that they cost no epsilon."
        if references and self._training is not None:
            yield (
                f"{listed(one.name for one in references).capitalize()}: plain training of the first line's model, "
                f"{counted(self._training.passes, 'pass', 'passes')} over the rows, scored after the last; nothing "
                "that would need sending is counted."
            )


class _Progress:
    """How far all runs are, as one line."""

    def __init__(self, runs: int, num_rounds: int) -> None:
        self.line, self.runs, self._num_rounds = ProgressLine(), runs, num_rounds
        self._began, self._played, self._over, self._what, self._words = time.monotonic(), 0, 0, "", ""

    def begin(self, what: str) -> None:
        """Another run begins."""
        self._what, self._words = what, ""

    def after(self, record: Round) -> None:
        """One more round."""
        self._played += 1
        self._words = f": round {record.number} of {self._num_rounds}, {_score(record)}"
        self.show()

    def show(self) -> None:
        """Say where it is."""
        spent = time.monotonic() - self._began
        rest = self.runs * self._num_rounds - self._played
        left = f", about {seconds_text(spent / self._played * rest)} left" if self._played and rest else ""
        self.line.show(f"{self._what}{self._words}  ({self._over} of {self.runs} runs done{left})")

    def ended(self, record: Round) -> None:
        """A run has ended; one that broke off has no further rounds to wait for."""
        self._over += 1
        self._played = self._over * self._num_rounds
        self.line.settle(f"{self._what}: {_score(record)}  ({self._over} of {self.runs} runs done)")

    def end(self) -> None:
        """All has ended."""
        self.line.end(f"{counted(self._over, 'run')} compared in {seconds_text(time.monotonic() - self._began)}")


def _score(record: Round) -> str:
    if record.failed is not None:
        return f"failed in round {record.number}"
    name: str | None = "rmse" if "rmse" in record.metrics else next(iter(record.metrics), None)
    return "no score released" if name is None else f"{metric_name(name)} {number(record.metrics[name])}"
