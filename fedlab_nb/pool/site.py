"""A worker's side: the rows of its owners, and what is computed beside them, by the parts that a notebook uses."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.channel.opening import Tensors
from fedlab_nb.channel.plain import PlainChannel
from fedlab_nb.errors import FedLabError
from fedlab_nb.horizontal.prepare import Setup
from fedlab_nb.ledger import Ledger
from fedlab_nb.parties.absent import absent_owner
from fedlab_nb.parties.beside import Lost, beside, looked_at
from fedlab_nb.parties.house import House, Sent, Terms
from fedlab_nb.parties.owner import DataOwner, Rows
from fedlab_nb.payloads import Payload
from fedlab_nb.pool.heads import Head
from fedlab_nb.pool.writing import Reading
from fedlab_nb.privacy import Budget
from fedlab_nb.protect import noise_source
from fedlab_nb.records import Failure, PrivacyEvent, Schema, Update

Floats = NDArray[np.float64]
Kept = dict[str, dict[str, Floats]]
T = TypeVar("T")


class Near:
    """The federation as work beside rows knows it: names, settings, and each owner's noise."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names, self.house = names, House()
        self.places = {name: place for place, name in enumerate(names)}

    def noise(self, number: int, name: str, kind: str) -> np.random.Generator:
        """As ``Federation.noise``."""
        return noise_source(self.house.noise_seed, number, self.places[name], *kind.encode())


class Packing(NamedTuple):
    """An owner on its way to a worker."""

    name: str
    facts: tuple[Schema, float, Budget | None]
    parts: tuple[Any, ...]

    @classmethod
    def of(cls, owner: DataOwner) -> Packing:
        """An owner with its rows: only for processes of the same user."""
        parts = owner._inside(lambda rows: (rows.training, rows.held_out, rows.ids, rows.content), stage="pool")  # noqa: SLF001
        return cls(owner.name, (owner.schema, owner.held_out, owner.budget), parts)

    @property
    def size(self) -> int:
        """How many rows it has: so that all workers get about as many."""
        return len(self.parts[0][0]) + len(self.parts[1][0])

    @property
    def owner(self) -> DataOwner:
        """The owner, made again."""
        *parts, content = self.parts
        schema, held_out, budget = self.facts
        made = absent_owner(self.name, schema, held_out, budget, content)

        def moved_in(rows: Rows) -> None:
            rows.training, rows.held_out, rows.ids = parts

        made._inside(moved_in, stage="pool")  # noqa: SLF001
        return made


class Order(NamedTuple):
    """Work for a worker: under which number it keeps it, which it may forget, and the settings in force."""

    number: int
    work: bytes
    over: Sequence[int]
    house: House


@dataclass(frozen=True)
class Look:
    """How an owner's numbers are looked at before they are anything more, as ``Federation.gather`` has it.

    Without a ``bound`` they are looked at where they are brought.
    """

    kind: str
    bound: float | None = None
    clip: float | None = None
    tensors: Tensors = ()

    def __call__(self, name: str, update: Update) -> Update:
        """An owner's numbers, checked and clipped."""
        if self.bound is None:
            return update
        return looked_at(self.kind, self.bound, self.clip, self.tensors, name, update)


class Done(NamedTuple):
    """What became of a work: weights by owner, who failed, what owners keep, their seconds, how models were trained."""

    came: Mapping[str, float]
    failures: tuple[Failure, ...]
    kept: Kept
    busy: Mapping[str, float]
    ways: frozenset[str]


class Site:
    """The owners at one worker."""

    def __init__(self, names: Sequence[str]) -> None:
        self._near, self._owners = Near(tuple(names)), dict[str, DataOwner]()
        self._works: dict[int, Any] = {}
        self._setups: dict[int, Setup] = {}
        self._held: dict[int, Mapping[str, Update]] = {}

    def do(self, asked: bytes) -> bytes:
        """What is asked, and what comes of it, each in one piece: dask would look into every part of anything else."""
        verb, given = pickle.loads(asked)
        return pickle.dumps(getattr(self, verb)(*given), pickle.HIGHEST_PROTOCOL)

    def take(self, owners: Sequence[Packing]) -> int:
        """Take these owners in; how many there are now."""
        self._owners |= {packing.name: packing.owner for packing in owners}
        return len(self._owners)

    def compute(self, order: Order, cohort: Sequence[str], look: Look) -> Done:
        """What work gives beside the rows of ``cohort``, looked at and clipped; it is held here."""
        work, sides = self._read(order)
        # In a round that was broken off, what was computed before may never have been asked for.
        self._held.clear()
        ledger, lost = Ledger(), Lost(0, cohort)
        updates = beside(self._owners, ledger, cohort, look.kind, work, look, lost)
        self._works[order.number], self._held[order.number] = work, updates
        ways = frozenset(side.learner.chosen.name for side in sides)
        weights = {name: update.weight for name, update in updates.items()}
        return Done(weights, tuple(lost.failures), _kept(sides), ledger.busy_seconds, ways)

    def sum(
        self,
        which: int,
        terms: Terms,
        kind: str,
        number: int,
        noise_sd: float | Floats,
        debits: Mapping[str, Sequence[PrivacyEvent]],
    ) -> tuple[Floats, dict[str, Head]]:
        """The sum (d + 1,) of what was held, each with its noise and on the plan's grid; and what crossed for it."""
        updates, ledger, places = self._held.pop(which), Ledger(), self._near.places
        vectors = Sent(self._near.house, terms, updates, noise_sd, debits, lambda name: (number, places[name], kind))
        total = PlainChannel(ledger).sum(kind, vectors, terms.plan, number)
        return total, {message.sender: Head.of(message) for message in ledger.messages}

    def bring(self, which: int, payload: bytes | None) -> dict[str, tuple[Update, Payload | None]]:
        """What was held, owner by owner, and what each would send in its place."""
        packed: Callable[[str], Payload] | None = self._reading(payload)[0] if payload is not None else None
        return {name: (update, packed and packed(name)) for name, update in self._held.pop(which).items()}

    def answer(self, order: Order, kind: str, names: Sequence[str]) -> tuple[dict[str, Any], Done, FedLabError | None]:
        """What work gives beside each owner's rows, up to the first that fails, and its error."""
        work, sides = self._read(order)
        ledger, answers, failed = Ledger(), dict[str, Any](), None
        for name in names:
            try:
                with ledger.busy(name):
                    answers[name] = self._owners[name]._inside(partial(work, name), stage=kind)  # noqa: SLF001
            except FedLabError as error:
                failed = error
                break
        return answers, Done({}, (), _kept(sides), ledger.busy_seconds, frozenset()), failed

    def _read(self, order: Order) -> tuple[Any, list[Any]]:
        self._near.house = order.house
        for number in order.over:
            self._works.pop(number, None)
        return self._reading(order.work)

    def _reading(self, data: bytes) -> tuple[Any, list[Any]]:
        work, sides = Reading(data, self._near, self._works, self._setups).load()
        return work, sides


def _kept(sides: Sequence[Any]) -> Kept:
    """What owners keep for themselves, of all sides of a strategy."""
    kept: Kept = {}
    for side in sides:
        for name, own in side.kept.items():
            kept.setdefault(name, {}).update(own)
    return kept
