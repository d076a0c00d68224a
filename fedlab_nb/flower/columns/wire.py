"""A party's own road through a protocol: it carries out its own lines, and waits for what others are to send it.

The protocol runs in a thread of its own, from top to bottom. Whoever talks to the server hands it what has arrived, and
takes what it has sent, once it can go no further.
"""

from __future__ import annotations

import hashlib
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar, cast

from fedlab_nb.crypto.seal import SERVER
from fedlab_nb.errors import EncryptionError, FedLabError
from fedlab_nb.flower.columns.parcel import Parcel, Seals
from fedlab_nb.places import NotHere

T = TypeVar("T")


class Vouching(Protocol):
    """Who signs this party's keys, and knows by whom those of the others are signed."""

    def check_identities(self, identities: Mapping[str, bytes]) -> None:
        """Refuse identities that their parties did not sign; EncryptionError."""

    def signed(self, value: Any) -> Mapping[str, tuple[str, bytes]]:
        """This party's signature of a key of its own."""


class Wire:
    """The road of the party ``name``; ``run`` is what all parties call this run, and nobody any other one."""

    def __init__(self, name: str, seals: Seals, trust: Vouching, run: str) -> None:
        self.name, self._seals, self._trust, self._run = name, seals, trust, run
        self._turn = threading.Condition()
        self._arrived: dict[str, deque[Parcel]] = {}
        self._sent: list[Parcel] = []
        self._signed: dict[str, tuple[str, bytes]] = {}
        self._tokens = 0
        self._allowed = 0
        self._still = self._ended = False
        self._over: FedLabError | None = None

    # The road, as the protocol goes along it.

    def own(self, work: Callable[[], T], *, at: str) -> T:
        """What ``work`` gives, if it is this party's."""
        return work() if at == self.name else _elsewhere(at)

    def send(self, kind: str, work: Callable[[], T], *, number: int, sender: str, to: str) -> T:
        """What ``work`` gives here, sent; or what has come from ``sender``, once it has."""
        if sender == self.name:
            payload = work()
            self._post(number, to, kind, payload)
            return payload
        return cast("T", self._take(number, sender, kind) if to == self.name else _elsewhere(sender, to))

    def within(self, work: Callable[[], T], *, by: tuple[str, ...]) -> T:
        """What ``work`` gives, if this party is one of those who go through it."""
        return work() if self.name in by else _elsewhere(*by)

    def token(self) -> str:
        """The same at all parties: they count alike."""
        self._tokens += 1
        return hashlib.sha256(f"{self._run}\n{self._tokens}".encode()).hexdigest()[:32]

    def check(self, identities: Mapping[str, bytes]) -> None:
        """Refuse identities that their parties did not sign."""
        self._trust.check_identities(identities)

    def wait_for_round(self, number: int) -> None:
        """Go on only when the server has begun this round."""
        with self._turn:
            self._wait(lambda: self._allowed >= number)

    # What whoever talks to the server does.

    def go_on(self, parcels: Sequence[Parcel], allowed: int) -> None:
        """Hand over what has arrived, and wait until the protocol can go no further.

        Raises:
            EncryptionError: it has come to its end, and something is left over.
        """
        with self._turn:
            for parcel in parcels:
                self._arrived.setdefault(parcel.facts.sender, deque()).append(parcel)
            self._allowed, self._still = max(self._allowed, allowed), self._ended
            self._turn.notify_all()
            self._turn.wait_for(lambda: self._still)
            left = next((waiting[0].facts for waiting in self._arrived.values() if waiting), None)
        if self._ended and left is not None:
            raise EncryptionError(
                f"{self.name!r} got {left.kind!r} from {left.sender!r}, and nothing was to come any more.",
                "Somebody sent a message more than belongs there: what was worked out from the others may be wrong.",
                "Ask who runs that site which code it runs, and the server what it passes on.",
            )

    def take_sent(self) -> tuple[tuple[Parcel, ...], dict[str, tuple[str, bytes]]]:
        """What was sent since, and the signatures of the keys in it."""
        with self._turn:
            sent, self._sent = tuple(self._sent), []
            signed, self._signed = self._signed, {}
        return sent, signed

    def end(self, error: FedLabError) -> None:
        """Nothing more will arrive: whatever waits, now or later, fails with this."""
        with self._turn:
            self._over = error
            self._turn.notify_all()

    def has_ended(self) -> None:
        """The protocol has come to its end, or has failed."""
        with self._turn:
            self._still = self._ended = True
            self._turn.notify_all()

    def _post(self, number: int, to: str, kind: str, payload: Any) -> None:
        parcel = self._seals.pack(number, to, kind, payload)
        with self._turn:
            self._sent.append(parcel)
            if to == SERVER and isinstance(payload, bytes):
                self._signed.update(self._trust.signed(payload))

    def _take(self, number: int, sender: str, kind: str) -> Any:
        with self._turn:
            waiting = self._arrived.setdefault(sender, deque())
            self._wait(lambda: bool(waiting))
            parcel = waiting.popleft()
        if (parcel.facts.number, parcel.facts.kind) != (number, kind):
            raise EncryptionError(
                f"{self.name!r} was to get {kind!r} from {sender!r} in round {number}, and got "
                f"{parcel.facts.kind!r} of round {parcel.facts.number}.",
                "The parties are at different places of the protocol, or somebody has left a message out.",
                "Nothing of it is used; begin the run anew, and use the same version everywhere.",
            )
        return self._seals.unpack(parcel)

    def _wait(self, ready: Callable[[], bool]) -> None:
        """Until it is ready; whoever holds the turn calls this."""
        while self._over is None and not ready():
            self._still = True
            self._turn.notify_all()
            self._turn.wait()
        if self._over is not None:
            raise self._over
        self._still = False


def _elsewhere(*parties: str) -> Any:
    return NotHere(parties)
