"""An owner's side of a round, beside its rows: what it does for a sum, what it answers, what it keeps for itself.

The parts are those that a notebook uses; here one owner calls them for itself, with its own vault and its own noise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.crypto import SecAgg
from fedlab_nb.errors import RuleError, SettingError
from fedlab_nb.flower.codec import ANSWERS, Allowed, called
from fedlab_nb.flower.orders.line import ASKS, Elsewhere
from fedlab_nb.flower.orders.site import Held
from fedlab_nb.parties.beside import looked_at
from fedlab_nb.parties.books import Books
from fedlab_nb.parties.house import House, noisy, terms_of_sum
from fedlab_nb.parties.owner import DataOwner, Rows
from fedlab_nb.parties.rules import check_debits, check_noise
from fedlab_nb.payloads import Payload
from fedlab_nb.privacy import Account, Budget, Statement, Vault
from fedlab_nb.protect import noise_source
from fedlab_nb.records import PrivacyEvent, Schema, Update

Floats = NDArray[np.float64]
T = TypeVar("T")
# Under which names an owner keeps something for itself, and since which step.
Kept = tuple[tuple[str, int], ...]
# Versions of one thing that an owner keeps for itself: those of the newest rounds, from which a run may go on.
VERSIONS = 4


@dataclass(frozen=True)
class Introduction:
    """What an owner tells of itself: what its ``DataOwner`` shows, and what its data has given away so far."""

    name: str
    schema: Schema
    held_out: float
    budget: Budget | None
    content: bytes
    statement: Statement

    @property
    def account(self) -> Account:
        """Its account, to go on from here."""
        return self.statement.account

    @classmethod
    def of(cls, owner: DataOwner, books: Books) -> Introduction:
        """What this owner tells of itself."""
        content, statement = books.data[owner.name].encode(), books.accounts[owner.name].statement
        return cls(owner.name, owner.schema, owner.held_out, owner.budget, content, statement)


@dataclass(frozen=True)
class Look:
    """How an owner's numbers are looked at before they are anything more, as ``Federation.gather`` has it."""

    number: int
    bound: float
    clip: float | None = None
    tensors: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class Cover:
    """How they are protected: over how many owners they are summed, with how much noise, and what is debited."""

    present: int
    absent: int = 0
    noise_sd: float | Floats = 0.0
    step: float | None = None
    debits: tuple[PrivacyEvent, ...] = ()
    ahead: tuple[PrivacyEvent, ...] = ()

    def costs_as(self, other: Cover) -> bool:
        """Whether it is the same release, if over other owners."""
        same = self.debits == other.debits and self.ahead == other.ahead and self.step == other.step
        return same and np.array_equal(self.noise_sd, other.noise_sd)


class Computed:
    """What an owner's rows gave, before it is protected: it never leaves this process."""

    def __init__(self, kind: str, look: Look, update: Update, packed: Payload | None, kept: Kept) -> None:
        self.kind, self.look, self.update, self.packed, self.kept = kind, look, update, packed, kept
        self.made_ready: tuple[Cover, Held] | None = None  # last


ASKS[Held] = frozenset({"length"})
ASKS[Computed] = frozenset({"kept"})


class Readable(NamedTuple):
    """What crosses in the clear: an owner's numbers, or what they were packed as, and its weight."""

    sent: Any
    weight: float


class Near:
    """The federation as work beside the rows of one owner knows it: names, settings, and this owner's noise."""

    def __init__(self, names: tuple[str, ...], house: House) -> None:
        self.names, self.house = names, house

    def noise(self, number: int, name: str, kind: str) -> np.random.Generator:
        """As ``Federation.noise``."""
        return noise_source(self.house.noise_seed, number, self.names.index(name), *kind.encode())


class OwnersSide:
    """One owner; ``names`` are all owners of the run, in order, and ``allowed`` is what orders may name."""

    def __init__(
        self, owner: DataOwner, names: Sequence[str], house: House, vault: Vault | None, allowed: Allowed
    ) -> None:
        self.name, self.house, self._allowed = owner.name, house, allowed
        self.near = Near(tuple(names), house)
        self._owner, self._books = owner, Books([owner], vault)
        self._books.open(house)
        self.told: dict[str, Any] = {}
        # What the work of the order at hand lays aside for its owner: who reads the order puts the dictionary here.
        self.laid_aside: list[Mapping[str, Mapping[str, Floats]]] = []
        self._memory: dict[str, dict[int, Floats]] = {}
        self._since = 0

    @property
    def verbs(self) -> dict[str, Callable[..., Any]]:
        """What the server may have it do, by name."""
        before = self.introduce, self.tell, self.charge, self.reserve
        done = (*before, self.compute, self.protect, self.show, self.answer)
        return {verb.__name__: verb for verb in done}

    def introduce(self) -> Introduction:
        """Who this owner is."""
        return Introduction.of(self._owner, self._books)

    def tell(self, kind: str, payload: Any) -> None:
        """The server tells something that later work refers to."""
        self.told[kind] = payload

    def charge(self, events: Sequence[PrivacyEvent]) -> None:
        """Debit what will be released next."""
        self._books.charge({}, self.house, ahead={self.name: tuple(events)})

    def reserve(self, releases: Sequence[PrivacyEvent], run: str) -> None:
        """Debit a whole run, whose plan is frozen, before anything of it leaves; its releases are only begun then."""
        self._check_protected(releases)
        self._books.reserve(releases, self.house, run)

    def compute(self, kind: str, work: Any, look: Look, payload: Callable[[str], Payload] | None = None) -> Computed:
        """What work gives beside this owner's rows, looked at and clipped; nothing leaves."""
        self._check_work(work, sums=True)
        seen = partial(looked_at, kind, look.bound, look.clip, look.tensors)
        update = self._beside(kind, lambda rows: seen(self.name, work(self.name, rows)))
        return Computed(kind, look, update, payload(self.name) if payload else None, self._keep())

    def protect(self, computed: Computed, cover: Cover) -> Held:
        """This owner's part of a sum: debit, then noise. It is held until it is sealed.

        Made ready once more, as owners of the sum were lost, it takes back what it made ready before, if nothing of it
        can have left: it is one release then, debited once.
        """
        kind, number, update = computed.kind, computed.look.number, computed.update
        owners = len(self.near.names), cover.present, cover.absent
        terms = terms_of_sum(self.house, owners, computed.look.bound, cover.noise_sd, cover.step)
        if cover.present + cover.absent > len(self.near.names):
            raise _too_many(self.name, cover.present + cover.absent, len(self.near.names))
        debits = check_debits(kind, [self.name], {self.name: cover.debits})
        self._check_protected((*cover.debits, *cover.ahead))
        check_noise(kind, self.house, debits, cover.noise_sd, {self.name: update})
        before, held = computed.made_ready or (None, None)
        if before is None or held is None or not (cover.costs_as(before) and held.fate.take_back()):
            self._books.charge(debits, self.house, {self.name: cover.ahead} if cover.ahead else None)
        path = number, self.near.names.index(self.name), kind
        vector = noisy(self.house, terms, update, cover.noise_sd, debits[self.name], path)
        made = Held(vector, number, kind, _least(self.house, cover), computed)
        computed.made_ready = cover, made
        return made

    def show(self, held: Held, computed: Computed) -> Readable:
        """The same, readable for the server: where the federation hides no single updates."""
        hidden = self.house.encrypt is not None or held.of is not computed
        if hidden or (computed.packed is not None and self.house.protect is not None):
            raise RuleError(
                f"{self.name!r} was asked for its own numbers, and single updates are hidden in this federation.",
                "Nobody but their owner is to know them.",
                "Nothing was sent: ask for sums.",
            )
        held.fate.give(self.name)
        return Readable(held.vector if computed.packed is None else computed.packed, float(held.vector[-1]))

    def answer(self, kind: str, work: Any, debits: Sequence[PrivacyEvent]) -> tuple[Floats | str, Kept]:
        """What this owner answers by itself, protected one by one; and what it keeps since."""
        self._check_work(work, sums=False)
        _check_release(self.name, work, debits)
        self._check_protected(debits)
        checked = check_debits(kind, [self.name], {self.name: debits})
        self._books.charge(checked, self.house)
        given = self._beside(kind, lambda rows: work(self.name, rows))
        return given, self._keep()

    def recall(self, place: Elsewhere) -> Floats | None:
        """What this owner keeps for itself; None if it is another's.

        Raises:
            SettingError: it is of a round too long ago.
        """
        if place.owner != self.name:
            return None
        try:
            return self._memory[place.kind][place.since]
        except KeyError:
            raise SettingError(
                f"{self.name!r} no longer has what it kept at step {place.since}.",
                f"Owners keep what is theirs for the newest {VERSIONS} rounds, and as long as their process lasts.",
                "Begin the run anew, or go on from a newer round.",
            ) from None

    def _keep(self) -> tuple[tuple[str, int], ...]:
        """Keep what the work laid aside for its owner; gives under which names, and since when."""
        found = {key: array for aside in self.laid_aside for key, array in aside.get(self.name, {}).items()}
        self._since += bool(found)
        for key, array in found.items():
            versions = self._memory.setdefault(key, {})
            versions[self._since] = array
            for old in [*versions][:-VERSIONS]:
                del versions[old]
        return tuple((key, self._since) for key in found)

    def _check_work(self, work: Any, *, sums: bool) -> None:
        """What is made for sums, where an update hides among others, is never answered by itself."""
        self._allowed.check_work(work)
        if (called(work) in ANSWERS) == sums:
            raise RuleError(
                f"{self.name!r} was asked for {'a sum' if sums else 'an answer of its own'} by {called(work)[1]!r}.",
                "What is made for a sum would show this owner's numbers by itself, and the other way round.",
                "Nothing was computed; ask who runs the server what it is doing.",
            )

    def _check_protected(self, debits: Sequence[PrivacyEvent]) -> None:
        """Under a mechanism nothing that depends on rows leaves without one; a rehearsal protects nobody anyway."""
        bare = [event.purpose for event in debits if event.mechanism == "none"]
        if bare and self.house.protect is not None and self.house.noise_seed is None:
            raise RuleError(
                f"{self.name!r} was asked for {bare[0]!r} without noise, and {self.house.protect!r} was agreed on.",
                "One exact answer, and no epsilon holds for these rows any more.",
                "Nothing was sent; ask who runs the server what it is doing.",
            )

    def _beside(self, kind: str, work: Callable[[Rows], T]) -> T:
        return self._owner._inside(work, stage=kind)  # noqa: SLF001 - the same wall as in a notebook


def _least(house: House, cover: Cover) -> int:
    """Over how many owners a sum has to be for the noise on it to be enough: all who add, or those who unmask."""
    return house.encrypt.needed(cover.present + cover.absent) if isinstance(house.encrypt, SecAgg) else cover.present


def _too_many(name: str, called: int, owners: int) -> RuleError:
    return RuleError(
        f"{name!r} was told that {called} owners take part, and the run has {owners}.",
        "The more take part, the less noise each adds.",
        "Nothing was sent; ask who runs the server what it is doing.",
    )


def _check_release(name: str, work: Any, debits: Sequence[PrivacyEvent]) -> None:
    """An answer adds its noise itself: as much as the release says that it was made with, and no less is debited."""
    inside = getattr(work, "__code__", None)
    cells = dict(zip(inside.co_freevars, work.__closure__ or (), strict=True)) if inside is not None else {}
    release = cells["release"].cell_contents if "release" in cells else None
    for event in debits:
        if event.mechanism != "none" and event != release:
            raise RuleError(
                f"{name!r} was to debit {event.purpose!r} with noise {event.amount:g}, and the work adds other noise.",
                "Its account would say that less was given away than was.",
                "Nothing was computed; ask who runs the server what it is doing.",
            )
