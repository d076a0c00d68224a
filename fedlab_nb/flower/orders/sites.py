"""The server's end of the line: what belongs to a party is made there, and stays; orders go out in as few trips as can.

An order waits until something is wanted back from its party. Then one trip takes all that waits, to all parties that
are asked at once: over Flower a trip costs seconds, whatever it carries.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from fedlab_nb.errors import FedLabError, RoundError, SettingError
from fedlab_nb.flower.orders.arrived import (
    began_again,
    check_reply,
    check_values,
    other_trip,
    silent,
    unreadable,
)
from fedlab_nb.flower.orders.line import MAKES, Order, Ref, Reply, Request
from fedlab_nb.flower.sums.riding import Riders
from fedlab_nb.places import Away

# What a party gives with these steps, a sum that it is in may be opened with.
LETS_OUT = frozenset({"masked_steps", "vouch", "open"})
T = TypeVar("T")
_NAMES = {id(make): name for name, make in MAKES.items()}


class Exchange(Protocol):
    """How bytes get to parties and back: one trip to each of those named. Who sends nothing is not in the reply."""

    def __call__(self, requests: Mapping[str, bytes]) -> dict[str, bytes | FedLabError]:
        """Their replies by name, or what went wrong on the way."""


class Writing(Protocol):
    """How what goes to a party becomes bytes, and what comes back values."""

    def brought(self, party: str, args: Sequence[Any], named: Mapping[str, Any]) -> bytes:
        """What an order is called with."""

    def request(self, request: Request) -> bytes:
        """The bytes of a request."""

    def reply(self, data: bytes) -> Reply:
        """The reply in these bytes."""

    def forget(self, party: str) -> None:
        """That party has begun anew: nothing is known to it."""


class Stub(Away):
    """Something at a party's place: parts of it and calls to it are there too."""

    def __init__(self, sites: Sites, party: str, ref: Ref) -> None:
        self.sites_, self.party_, self.ref_ = sites, party, ref
        if not ref.path:
            weakref.finalize(self, sites.free, party, ref.number)

    def __getattr__(self, name: str) -> Stub:
        if name.endswith("_"):
            raise AttributeError(name)
        part = Stub(self.sites_, self.party_, Ref(self.ref_.number, (*self.ref_.path, name)))
        vars(part)["whole_"] = self  # kept at the party as long as a part of it is in use here
        return part

    def __call__(self, *args: Any, **named: Any) -> Stub:
        """What a call gives, there."""
        called: Stub = self.sites_.order(self.party_, self.ref_, args, named)
        return called

    def __len__(self) -> int:
        return self.sites_.length(self)

    def bring_(self, all_of: Sequence[Away]) -> list[Any]:
        """The values of ``all_of``."""
        return self.sites_.bring([stub for stub in all_of if isinstance(stub, Stub)])

    def __repr__(self) -> str:
        return f"Stub({self.party_!r}, {'.'.join((str(self.ref_.number), *self.ref_.path))})"


@dataclass
class OnTheWay:
    """One sum so far: who was ``missed`` on its trips, and why; who was ``asked`` for, and ``gave``, what opens it."""

    missed: dict[str, FedLabError] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)
    gave: set[str] = field(default_factory=set)


def _not_borne(errors: Mapping[str, FedLabError], needed: int = 0) -> None:  # noqa: ARG001 - whatever is needed
    for error in errors.values():
        raise error


class Sites:
    """All parties of a run, as the server's process reaches them; by ``identities`` they know each other.

    Raises:
        RoundError: from whatever brings something, naming a party that failed, did not answer, or has begun anew.
    """

    def __init__(self, identities: Mapping[str, bytes], exchange: Exchange, writing: Writing) -> None:
        self.parties = tuple(identities)
        self._exchange, self._writing = exchange, writing
        self._waiting: dict[str, list[Order]] = {name: [] for name in self.parties}
        self._freed: dict[str, list[int]] = {name: [] for name in self.parties}
        self._serial = dict.fromkeys(self.parties, 0)
        self._process = dict.fromkeys(self.parties, "")
        self._wishes: dict[str, list[tuple[Stub, Callable[[Any], None]]]] = {name: [] for name in self.parties}
        self._number = 0
        self.lengths: dict[Ref, Callable[[], int]] = {}
        self._what: dict[int, str] = {}
        # Those who have begun anew since keys were handed out.
        self.anew: set[str] = set()
        self.trips = 0
        self.riders = Riders(self._brought)
        self.sum = OnTheWay()
        # What becomes of losses in a protocol that needs so many: it raises where nobody may be missing.
        self.bear: Callable[[Mapping[str, FedLabError], int], None] = _not_borne
        self._vouched: dict[str, tuple[str, bytes]] = {}
        self._told_of: dict[str, set[str]] = {name: set() for name in self.parties}
        self._identities = dict(identities)
        for party in self.parties:
            self.order(party, "know", (self._identities,))

    def put(self, party: str, make: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """What ``make`` gives at ``party``; it stays there."""
        return self.order(party, _NAMES.get(id(make)) or _name_of(make), args, kwargs)

    def order(
        self, party: str, what: str | Ref, args: Sequence[Any] = (), named: Mapping[str, Any] | None = None
    ) -> Any:
        """Have ``party`` do something, sooner or later: what it gives, kept there."""
        there = [_there(party, arg) for arg in args]
        brings = self._writing.brought(party, there, {n: _there(party, value) for n, value in (named or {}).items()})
        self._number += 1
        self._what[self._number] = _last(what)
        self._waiting[party].append(Order(self._number, what, brings))
        return Stub(self, party, Ref(self._number))

    def wish(self, stub: Stub, then: Callable[[Any], None]) -> None:
        """Have ``then`` called with the value of a stub, whenever a trip to its party is made anyway."""
        self._wishes[stub.party_].append((stub, then))

    def bring(self, stubs: Sequence[Stub]) -> list[Any]:
        """The values of these, from all parties in one trip."""
        values, errors = self.try_to_bring(stubs)
        _not_borne(errors)
        return values

    def brought(self, made: Mapping[str, T], needed: int) -> dict[str, T]:
        """As ``Places.brought``: what each of these parties has made, of those who are not lost."""
        stubs = [stub for stub in made.values() if isinstance(stub, Stub)]
        found, errors = self.try_to_bring(stubs)
        self.bear(errors, needed)
        return {name: value for name, value in zip(made, found, strict=True) if name not in errors}

    def try_to_bring(self, stubs: Sequence[Stub]) -> tuple[list[Any], dict[str, FedLabError]]:
        """The values of these, None from a party that failed; and why it did. What riders want comes along."""
        return self.riders.bring(stubs)

    def _brought(self, stubs: Sequence[Stub]) -> tuple[list[Any], dict[str, FedLabError]]:
        wanted: dict[str, list[Ref]] = {}
        for stub in stubs:
            wanted.setdefault(stub.party_, []).append(stub.ref_)
        replies, errors = self._trip(wanted)
        found = {name: iter(values) for name, values in replies.items()}
        return [next(found[stub.party_]) if stub.party_ in found else None for stub in stubs], errors

    def drop(self) -> None:
        """What waits is not to be done any more."""
        for party in self.parties:
            self._waiting[party], self._wishes[party] = [], []

    def free(self, party: str, number: int) -> None:
        """Nobody here needs this any more."""
        self._what.pop(number, None)
        self._freed[party].append(number)

    def length(self, stub: Stub) -> int:
        """How many numbers there are in a vector at a party."""
        known = self.lengths.get(stub.ref_)
        if known is None:
            raise TypeError(f"{stub!r} has no length that is known here.")
        return known()

    def _trip(self, wanted: Mapping[str, Sequence[Ref]]) -> tuple[dict[str, Sequence[Any]], dict[str, FedLabError]]:
        """One trip to every party of which something is wanted; what waits for the others goes on waiting."""
        if not wanted:
            return {}, {}
        requests, wishes, letting = {}, {}, set[str]()
        for party in wanted:
            orders, self._waiting[party] = self._waiting[party], []
            letting |= {party for order in orders if _last(order.what) in LETS_OUT}
            freed, self._freed[party] = self._freed[party], []
            wishes[party], self._wishes[party] = self._wishes[party], []
            refs = [*wanted[party], *(stub.ref_ for stub, _ in wishes[party])]
            self._serial[party] += 1
            facts = self._serial[party], self._process[party]
            new = {digest: said for digest, said in self._vouched.items() if digest not in self._told_of[party]}
            self._told_of[party].update(new)
            request = Request(*facts, tuple(orders), tuple(refs), tuple(freed), new)
            requests[party] = self._writing.request(request)
        self.trips += 1
        self.sum.asked |= letting
        replies = self._exchange(requests)
        values, errors = {}, {}
        for party, wished in wishes.items():
            try:
                found = self._read(party, replies.get(party))
                refs = [*wanted[party], *(stub.ref_ for stub, _ in wished)]
                check_values(party, [self._name(ref) for ref in refs], found)
            except FedLabError as error:
                errors[party] = error
                self.sum.missed.setdefault(party, error)
                self._writing.forget(party)  # whether it was told is not known
                self._told_of[party] = set()
                continue
            values[party] = found
            self.sum.gave |= letting & {party}
            for (_, then), value in zip(wished, found[len(wanted[party]) :], strict=True):
                then(value)
        return values, errors

    def _read(self, party: str, reply: bytes | FedLabError | None) -> Sequence[Any]:
        if reply is None:
            raise silent(party)
        if isinstance(reply, FedLabError):
            raise reply
        try:
            got = check_reply(party, self._writing.reply(reply))
        except (SettingError, TypeError) as error:
            raise unreadable(party) from error
        if self._process[party] not in ("", got.process):
            self._begin_anew(party, got.process)
            raise began_again(party)
        if got.serial != self._serial[party]:
            raise other_trip(party, got.serial, self._serial[party])
        self._process[party] = got.process
        self._learn(party, got.vouched)
        if got.error is not None:
            raise got.error if isinstance(got.error, FedLabError) else _unknown(party, got.error)
        return got.values

    def _name(self, ref: Ref) -> str:
        """The last part of what was asked for."""
        return ref.path[-1] if ref.path else self._what.get(ref.number, "")

    def _learn(self, party: str, vouched: Mapping[str, tuple[str, bytes]]) -> None:
        """Signatures of a party's own keys: nobody signs for another, or twice."""
        for digest, said in vouched.items():
            if said[:1] == (party,):
                self._vouched.setdefault(digest, said)

    def _begin_anew(self, party: str, process: str) -> None:
        self._process[party], self._freed[party], self._told_of[party] = process, [], set()
        self._writing.forget(party)
        self.anew.add(party)
        self.order(party, "know", (self._identities,))


def _there(party: str, value: Any) -> Any:
    """What ``party`` is told of an argument: where it has it, or the value itself, brought here if it is elsewhere."""
    if isinstance(value, Stub):
        return value.ref_ if value.party_ == party else value.bring_([value])[0]
    return value


def _last(what: str | Ref) -> str:
    """What is asked for, without where it is found."""
    return what if isinstance(what, str) else what.path[-1]


def _name_of(make: Callable[..., Any]) -> str:
    for name, known in MAKES.items():
        if make == known:  # a class method is another object each time it is asked for
            return name
    raise TypeError(f"{make!r} cannot be made at a party's place: line.py does not name it.")


def _unknown(party: str, error: Exception) -> RoundError:
    return RoundError(
        party,
        "answer",
        f"{party!r} failed with {type(error).__name__}.",
        "Its text is withheld, because it may quote private values.",
        "Look at the log of its SuperNode.",
    )
