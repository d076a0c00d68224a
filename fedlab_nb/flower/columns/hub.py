"""The server of a vertical run: it carries out its own lines, passes on what others send, and writes it down.

It reads what is meant for it. Of all else it knows who sent what kind of message to whom, and how large it is.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, cast

import numpy as np

from fedlab_nb.channel import Opaque
from fedlab_nb.crypto import Identity
from fedlab_nb.crypto.linkage import Filters
from fedlab_nb.crypto.seal import SERVER
from fedlab_nb.errors import FedLabError, RoundError
from fedlab_nb.flower.columns.parcel import Parcel, Seals
from fedlab_nb.flower.columns.talk import Delivery, Guest, Return, Roster, name_of_run, read_return, written
from fedlab_nb.flower.orders.arrived import began_again, check_values, other_trip, silent, unreadable
from fedlab_nb.flower.orders.owner import Introduction
from fedlab_nb.flower.orders.sites import Exchange
from fedlab_nb.ledger import Ledger
from fedlab_nb.places import NotHere

T = TypeVar("T")
# As what the server reads messages: of another kind of thing its own lines, which are no party's, would fail.
_READS: dict[str, type] = {
    "masked ids": Opaque,
    "filters of rows": Filters,
    "identity": bytes,
    "task": str,
    "number of inputs": np.ndarray,
    "score": np.ndarray,
}
# How many messages, or signatures of keys, a party may send before it hears again, and how many of them may wait for
# the server: a protocol sends a few to each of the others for each output of the model.
MOST_MESSAGES = 10_000


class Hub:
    """The server's road between all parties, by their lasting ``identities``; ``occasion`` is the agreement's digest.

    Raises:
        RoundError: from whatever makes a trip, naming a party that failed, did not answer, or has begun anew.
    """

    def __init__(
        self, names: Sequence[str], identities: Mapping[str, bytes], exchange: Exchange, occasion: str
    ) -> None:
        self.parties, self._names, self._identities = tuple(identities), tuple(names), dict(identities)
        self._exchange, self._occasion = exchange, occasion
        self.ledger = Ledger()
        self.trips = 0
        self._serial, self._process = dict.fromkeys(self.parties, 0), dict.fromkeys(self.parties, "")
        self._pending: dict[str, list[Parcel]] = {name: [] for name in self.parties}
        self._behind: set[str] = set()  # who is to hear that a round has begun
        self._arrived: dict[str, deque[Parcel]] = {}  # for the server, by sender
        self._counted: dict[tuple[str, str], int] = {}
        self._vouched: dict[str, tuple[str, bytes]] = {}
        self._told_of: dict[str, set[str]] = {name: set() for name in self.parties}
        self._roster = b""
        self.allowed = self._ahead = self._tokens = 0
        self._failed: dict[str, Exception] = {}  # who has failed goes no further; others may still finish a round
        self.introductions = self._meet()

    # The road, as the protocol goes along it.

    def own(self, work: Callable[[], T], *, at: str) -> T:
        """What ``work`` gives, if it is the server's."""
        return _done("protocol", work) if at == SERVER else _elsewhere(at)

    def send(self, kind: str, work: Callable[[], T], *, number: int, sender: str, to: str) -> T:
        """What the server sends, or gets. Lines between others it passes by: which come, only those two may know."""
        if sender == SERVER:
            payload = _done(kind, work)
            self.ledger.post(number, SERVER, to, kind, payload)  # type: ignore[arg-type]
            self._pending[to].append(self._seals.pack(number, to, kind, payload))  # type: ignore[arg-type]
            return payload
        if to != SERVER:
            return cast("T", _elsewhere(sender, to))
        found = self._seals.unpack(self._next(number, kind, sender))
        if not isinstance(found, _READS.get(kind, object)):
            raise _out_of_step(sender, to, f"a {type(found).__name__} as {kind!r}")
        self.ledger.post(number, sender, to, kind, found)
        return cast("T", found)

    def within(self, work: Callable[[], T], *, by: tuple[str, ...]) -> T:
        """What ``work`` gives, if the server is one of those who go through it."""
        return work() if SERVER in by else _elsewhere(*by)

    def token(self) -> str:
        """The same at all parties: they count alike."""
        self._tokens += 1
        return hashlib.sha256(f"{self._run}\n{self._tokens}".encode()).hexdigest()[:32]

    def check(self, identities: Mapping[str, bytes]) -> None:
        """The server seals nothing."""

    # What the server does besides.

    def allow(self, number: int, ahead: int = 0) -> None:
        """Parties may go on with this round; up to round ``ahead`` once nothing but the score is waited for."""
        self._ahead = ahead
        if number > self.allowed:
            self.allowed = number
            self._behind = {*self.parties}

    def deliver(self) -> None:
        """Deliver what still waits, so that every party comes to the end of the round.

        Raises:
            Exception: why a party did not.
        """
        while self._to_visit():
            self._trip(self._to_visit())
        self._check_failed()

    def flush(self) -> None:
        """The same after the last round: nothing is left over."""
        self.deliver()
        for sender, waiting in self._arrived.items():
            if waiting:
                raise _out_of_step(sender, SERVER, f"{waiting[0].facts.kind!r}, and nothing was to come any more")

    def _to_visit(self) -> list[str]:
        there = [name for name in self.parties if name not in self._failed]
        return [name for name in there if self._pending[name] or name in self._behind]

    def _check_failed(self) -> None:
        for error in self._failed.values():
            raise error

    def _next(self, number: int, kind: str, sender: str) -> Parcel:
        """The next message from ``sender`` to the server: as many trips as it takes.

        Where a party has failed, this may be in the round after: so what others can still bring comes first.
        """
        if kind == "score":
            self.allow(self._ahead, self._ahead)
        waiting = self._arrived.setdefault(sender, deque())
        while not waiting:
            visited = self._to_visit()
            if not visited:
                self._check_failed()
                raise _out_of_step(sender, SERVER, f"nothing, and {kind!r} of round {number} was to come")
            self._trip(visited)
        parcel = waiting.popleft()
        if (parcel.facts.number, parcel.facts.kind) != (number, kind):
            what = f"{parcel.facts.kind!r} of round {parcel.facts.number}, and {kind!r} of round {number} was to come"
            raise _out_of_step(sender, SERVER, what)
        return parcel

    def _meet(self) -> list[Introduction]:
        """Parties introduce themselves; then each is told of all."""
        returned = self._visit({name: Delivery(1, "", identities=self._identities) for name in self.parties})
        self._check_failed()
        told: list[Introduction] = []
        for name in self._names:
            who = returned[name].introduction
            check_values(name, ("introduce",), (who,))
            if who is None or who.name != name:
                raise unreadable(name)
            told.append(who)
        publics = {name: returned[name].public for name in self.parties}
        guests = tuple(Guest(who.name, who.schema, who.held_out) for who in told)
        self._roster = written(Roster(guests, publics))
        self._run = name_of_run(self._roster, self._occasion)
        self._seals = Seals(SERVER, Identity(), {}, self._run)
        return told

    def _trip(self, names: Sequence[str]) -> None:
        """To each of these parties, and back: what they send is passed on with the next trip."""
        deliveries = {}
        for name in names:
            parcels, self._pending[name] = tuple(self._pending[name]), []
            self._behind.discard(name)
            new = {digest: said for digest, said in self._vouched.items() if digest not in self._told_of[name]}
            roster = self._roster if self._serial[name] == 1 else b""
            facts = self._serial[name] + 1, self._process[name], parcels, self.allowed
            deliveries[name] = Delivery(*facts, vouched=new, roster=roster)
            self._told_of[name].update(new)
        self._visit(deliveries)

    def _visit(self, deliveries: Mapping[str, Delivery]) -> dict[str, Return]:
        self.trips += 1
        for name, delivery in deliveries.items():
            self._serial[name] = delivery.serial
        replies = self._exchange({name: written(delivery) for name, delivery in deliveries.items()})
        returned = {name: self._read(name, replies.get(name)) for name in deliveries}
        for name, back in returned.items():
            if back.error is not None:
                self._failed[name] = _of(name, back.error)
            for parcel in back.parcels:
                self._sort(name, parcel)
        return returned

    def _read(self, name: str, reply: bytes | FedLabError | None) -> Return:
        if reply is None:
            raise silent(name)
        if isinstance(reply, FedLabError):
            raise reply
        try:
            back = read_return(reply)
        except FedLabError as error:
            raise unreadable(name) from error
        if self._process[name] not in ("", back.process):
            raise began_again(name)
        if back.error is None and back.serial != self._serial[name]:
            raise other_trip(name, back.serial, self._serial[name])
        self._process[name] = back.process
        _check_amount(name, len(back.parcels))
        _check_amount(name, len(back.vouched))
        for digest, said in back.vouched.items():
            if said[:1] == (name,):  # nobody signs for another
                self._vouched.setdefault(digest, said)
        return back

    def _sort(self, name: str, parcel: Parcel) -> None:
        """What a party sent: for the server's own lines, and on its way to its receiver."""
        facts = parcel.facts
        if facts.sender != name or facts.to == name or facts.to not in (SERVER, *self.parties):
            raise unreadable(name)
        index = self._counted.get((name, facts.to), -1) + 1
        if facts.index != index:
            raise _out_of_step(name, facts.to, f"message {facts.index}, and message {index} was to come")
        self._counted[name, facts.to] = index
        if facts.to == SERVER:
            self._arrived.setdefault(name, deque()).append(parcel)
            _check_amount(name, len(self._arrived[name]))
            return
        self.ledger.note(facts.number, name, facts.to, facts.kind, facts.crossing(parcel.body))
        self._pending[facts.to].append(parcel)


def _check_amount(name: str, amount: int) -> None:
    if amount > MOST_MESSAGES:
        raise RoundError(
            name,
            "protocol",
            f"{name!r} sent {amount:,} messages or signatures that nobody has asked for yet.",
            f"No protocol sends more than {MOST_MESSAGES:,}: they would fill the memory of the server and of others.",
            "Use the same version at all parties; if it is the same, ask who runs that site which code it runs.",
        )


def _of(name: str, error: Exception) -> Exception:
    """The error of a party, which blames nobody but itself, whatever it says."""
    if isinstance(error, RoundError) and error.party != name:
        return RoundError(name, "protocol", error.what, error.why, error.do)
    return error


def _done(stage: str, work: Callable[[], T]) -> T:
    try:
        return work()
    except FedLabError:
        raise
    except Exception as error:
        raise RoundError(
            SERVER,
            stage,
            f"The server's own step failed with {type(error).__name__}: {error}.",
            "A party may have sent something else than belongs there: what follows from it would have no meaning.",
            "Use the same version at all parties; if it is the same, ask who runs the sites which code they run.",
        ) from error


def _elsewhere(*parties: str) -> Any:
    return NotHere(parties)


def _out_of_step(sender: str, to: str, what: str) -> RoundError:
    return RoundError(
        sender,
        "protocol",
        f"From {sender!r} to {to!r} came {what}.",
        "The parties are at different places of the protocol: what they work out would have no meaning.",
        "Use the same version and agreement at all parties; if it is the same, ask who runs that site.",
    )
