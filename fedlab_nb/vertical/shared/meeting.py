"""One round, or one prediction, over the rows in common: who works beside which rows, and who sends what to whom."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.data.columns import as_numbers
from fedlab_nb.data.encoding import CategoryCode, NumberCode
from fedlab_nb.parties import Federation, Rows
from fedlab_nb.parties.columns.alignment import Alignment
from fedlab_nb.parties.columns.road import own, send
from fedlab_nb.payloads import Payload
from fedlab_nb.records import Schema
from fedlab_nb.records.schema import Task

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]
Part = Literal["training", "held_out"]
T = TypeVar("T")
P = TypeVar("P", bound=Payload)


@dataclass(frozen=True)
class Setup:
    """What is fixed before the first round of a vertical run, and travels with every state.

    ``task`` is what is predicted, by ``outputs`` scores a row: one for each class beyond two classes, else one.
    ``rows`` and ``held_out`` are the rows in common to train on, and to score. ``target`` is how labels are read, which
    only their owner knows; ``readings`` has how each owner reads its own columns, which only that owner knows, as it
    does its part of the model. ``run`` tells what owners keep beside their rows in this run from what they keep in
    others.
    """

    labels_at: str
    owners: tuple[str, ...]
    schema: Schema
    seed: int
    task: Task
    outputs: int
    rows: int
    held_out: int
    target: CategoryCode | NumberCode
    readings: Mapping[str, Any] = field(repr=False)
    run: str = field(repr=False)

    @property
    def others(self) -> tuple[str, ...]:
        """The owners that have features only."""
        return tuple(name for name in self.owners if name != self.labels_at)

    @property
    def classes(self) -> tuple[object, ...]:
        """The classes in order, as the owner of the labels knows them; empty where a number is predicted."""
        return classes_of(self.target)


def classes_of(code: CategoryCode | NumberCode) -> tuple[object, ...]:
    """The classes in order; empty where a number is predicted."""
    return code.values if isinstance(code, CategoryCode) else ()


def task_of(classes: int) -> tuple[Task, int]:
    """What is predicted where there are so many classes (0: a number), and by how many scores a row."""
    if not classes:
        return "regression", 1
    return ("binary", 1) if classes == 2 else ("multiclass", classes)


def labels_of(values: pd.Series, code: CategoryCode | NumberCode) -> Floats:
    """Labels (n,) as models take them: 0 or 1, the number of the class, or numbers in units of their spread."""
    if isinstance(code, NumberCode):
        numbers = np.clip(as_numbers(values), code.low, code.high)
        return np.asarray((numbers - code.centre) / code.scale)
    place = {value: float(number) for number, value in enumerate(code.values)}
    return np.array([place[value] for value in values.tolist()])


class Mine:
    """What work beside one owner's rows in common sees: ``X`` (n, d), and at the owner of the labels ``y`` (n,).

    ``memory`` is what this owner keeps there between two messages, for one run and one part of the rows: only what
    could be worked out again from its rows and the state. ``frame`` has the columns as they are.
    """

    __slots__ = ("_setup", "frame", "memory", "name", "target")

    def __init__(self, rows: Rows, name: str, setup: Setup, part: Part) -> None:
        self.frame, self.target = rows.training if part == "training" else rows.held_out
        self.memory: dict[Any, Any] = rows.cache.setdefault((setup.run, part), {})  # type: ignore[assignment]
        self.name, self._setup = name, setup

    @property
    def X(self) -> Floats:  # noqa: N802 - as the papers write it
        """The owner's inputs (n, d), read in its own way; read once and kept."""
        if "X" not in self.memory:
            self.memory["X"] = self._setup.readings[self.name].read(self.frame)
        found: Floats = self.memory["X"]
        return found

    @property
    def y(self) -> Floats:
        """The labels (n,): 0 or 1, the number of the class, or numbers in standard deviations from their mean."""
        return labels_of(self.target, self._setup.target)

    def __repr__(self) -> str:
        return f"Mine(private to {self.name!r})"


class Meeting:
    """The parties at one round: every line of a protocol is one party's work, and where its result goes.

    ``part`` says over which of the rows in common. What a line gives is there at its party, and at the one that it was
    sent to; so only their later lines may use it. Nothing else than what all parties know may decide which line comes
    next.
    """

    def __init__(
        self, federation: Federation, alignment: Alignment, setup: Setup, number: int, part: Part = "training"
    ) -> None:
        self.federation, self.alignment, self.setup = federation, alignment, setup
        self.number, self.part = number, part
        self.names, self.labels_at, self.others = setup.owners, setup.labels_at, setup.others

    @property
    def rows(self) -> int:
        """How many rows it is about."""
        return self.setup.rows if self.part == "training" else self.setup.held_out

    def send(self, kind: str, work: Callable[[Any], P], *, sender: str, to: str) -> P:
        """What ``work`` gives beside the rows of ``sender``, as it crosses to the party ``to`` and is written down.

        At the server and the key holder, who have no rows, ``work`` is given None.

        Raises:
            RoundError: naming the owner, if ``work`` fails.
        """
        return send(self.federation, kind, self._beside(sender, work), number=self.number, sender=sender, to=to)

    def own(self, kind: str, work: Callable[[Any], T], *, at: str) -> T:
        """What ``work`` gives beside the rows of the owner ``at``, for that owner's own part of the state.

        Nothing leaves: only what this same owner does later may use it.
        """
        return own(self.federation, kind, self._beside(at, work), at=at)

    def _beside(self, name: str, work: Callable[[Any], T]) -> Callable[[Rows | None], T]:
        if name not in self.names:
            return work
        return lambda rows: work(Mine(self.alignment.of(rows), name, self.setup, self.part))  # type: ignore[arg-type]
