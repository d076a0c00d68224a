"""A party's end of the line, in a process of its own: it keeps what belongs to the party, and carries out orders.

What it keeps leaves only where an order of ``line.py`` gives something public: sealed numbers, public keys, witnesses.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.crypto import Identity, KeyHolder, Mailbox, Sealed, Sealer
from fedlab_nb.crypto.masks import MaskingOwner, masked_steps
from fedlab_nb.crypto.threshold import JointOwner
from fedlab_nb.crypto.threshold.request import digest
from fedlab_nb.errors import EncryptionError, FedLabError, RoundError
from fedlab_nb.flower.orders.agreed import Agreed
from fedlab_nb.flower.orders.line import ASKS, KEYS, MAKES, Ref, Reply, Request
from fedlab_nb.flower.orders.trust import Trust

Floats = NDArray[np.float64]


class Fate:
    """What became of numbers that an owner made ready for a sum: nothing yet, ``given`` or ``void``.

    They are given with the step after which the owner cannot know any more whether a sum with them is opened: its
    masked numbers, its word for a sum of ciphertexts, its part of an opening. Before that it can take them back.
    """

    def __init__(self) -> None:
        self.given = self.void = False

    def check(self, name: str) -> None:
        """Refuse to go on with what was taken back.

        Raises:
            EncryptionError.
        """
        if self.void:
            raise EncryptionError(
                f"{name!r} was to help with a sum of numbers that it has taken back.",
                "It has made them ready anew, for other owners; two sums of them would show what is in one alone.",
                "Nothing was released; ask who runs the server what it is doing.",
            )

    def give(self, name: str) -> None:
        """From now on they may be in a sum that somebody knows; EncryptionError if they were taken back."""
        self.check(name)
        self.given = True

    def take_back(self) -> bool:
        """Never give them, if they are not given yet: then they have cost nothing."""
        self.void = self.void or not self.given
        return self.void


class Held:
    """What an owner sends in a sum (d + 1,), before it is sealed: it leaves this process sealed or not at all.

    It was made ``of`` something computed, for the sum of a ``kind`` in round ``number``: over ``least`` owners at
    least, as so many have to share the noise.
    """

    def __init__(self, vector: Floats, number: int, kind: str, least: int, of: object = None) -> None:
        self.vector, self.number, self.kind, self.least, self.of = vector, number, kind, least, of
        self.fate = Fate()

    @property
    def length(self) -> int:
        """How many numbers it has."""
        return int(self.vector.size)


class Reading(Protocol):
    """How a request's bytes become orders, and a reply bytes."""

    def request(self, data: bytes) -> Request:
        """The request in these bytes; the arguments of its orders are still bytes."""

    def brought(self, data: bytes) -> tuple[list[Any], dict[str, Any]]:
        """What an order is called with: read only now, as an order before it may have told what is meant."""

    def reply(self, reply: Reply) -> bytes:
        """The bytes of a reply."""


class Site:
    """One party of a run; ``verbs`` are what it does besides the protocols, by name; what ``stays`` never leaves."""

    def __init__(
        self, agreed: Agreed, trust: Trust, verbs: Mapping[str, Callable[..., Any]], stays: tuple[type, ...] = ()
    ) -> None:
        self.name, self._agreed, self._trust = agreed.name, agreed, trust
        self._verbs, self._stays = {**verbs, "know": trust.know}, (*_STAYS, *stays)
        self.process = secrets.token_hex(8)
        self._kept: dict[int, Any] = {}
        self._last: tuple[bytes, bytes] = b"", b""
        self._sealed: dict[str, Fate] = {}  # by the digest of what was sealed

    def answer(self, data: bytes, reading: Reading) -> bytes:
        """The reply to a request. One that comes again gets the same reply, and nothing is done twice."""
        if data == self._last[0]:
            return self._last[1]
        reply = self._carried_out(reading.request(data), reading)
        try:
            written = reading.reply(reply)
        except Exception as error:  # noqa: BLE001 - what cannot be written must not end this process, with its keys
            reply = Reply(reply.serial, self.process, error=withheld(self.name, type(error).__name__))
            written = reading.reply(reply)
        self._last = data, written
        return written

    def _carried_out(self, request: Request, reading: Reading) -> Reply:
        if request.known not in ("", self.process):
            # What it is about is gone; the server sees so by the name of this process.
            return Reply(request.serial, self.process)
        self._trust.learn(request.vouched)
        try:
            for order in request.orders:
                self._kept[order.number] = self._done(order.what, *reading.brought(order.brings))
            wanted = tuple(self._that_may_leave(self.found(ref)) for ref in request.wanted)
            signed = {k: v for ref in request.wanted for k, v in self._signed(ref).items()}
            return Reply(request.serial, self.process, wanted, vouched=signed)
        except FedLabError as error:
            error.__cause__ = error.__context__ = None
            return Reply(request.serial, self.process, error=error.with_traceback(None))
        except Exception as error:  # noqa: BLE001 - any error of any library may quote a row
            return Reply(request.serial, self.process, error=withheld(self.name, type(error).__name__))
        finally:
            for number in request.freed:  # at the end: orders that waited may still have needed it
                self._kept.pop(number, None)

    def _done(self, what: str | Ref, args: list[Any], named: dict[str, Any]) -> Any:
        target = self.found(what) if isinstance(what, Ref) else MAKES.get(what) or self._verbs.get(what)
        if not callable(target):
            raise _not_ordered(self.name, repr(what))
        found, also = [self._meant(arg) for arg in args], {name: self._meant(arg) for name, arg in named.items()}
        if isinstance(what, str) and what in MAKES:
            self._agreed.check_make(what, found, also)
        # The one key that needs no signature is that of this owner's own part in a joint one.
        own_key = [arg.path == ("public_key",) for arg in args if isinstance(arg, Ref)]
        self._trust.check_call(target, found, also, own_key=any(own_key))
        whose = getattr(target, "__self__", None)
        self._check_whom(whose, target.__name__, found)
        held = next((arg for arg in found if isinstance(arg, Held)), None)
        if held is None or not (target is masked_steps or (isinstance(whose, Sealer) and target.__name__ == "seal")):
            return target(*found, **also)
        self._check_noise(held, found)
        if target is masked_steps:  # the others can open it without this owner from now on
            self._agreed.check_sum(held.number, held.kind, (self.name, *found[3]))
            held.fate.give(self.name)
        unwrapped: list[Any] = [arg.vector if arg is held else arg for arg in found]
        made = target(*unwrapped, **also)
        if isinstance(made, Sealed):
            self._sealed[digest(made.chunks)] = held.fate
        return made

    def _check_whom(self, whose: Any, does: str, given: list[Any]) -> None:
        """Sums, and what leads up to them, are over owners of this run; of each kind and round one gets out."""
        if isinstance(whose, JointOwner) and does == "open":
            # Owners who open sums themselves open one of a round and kind, whatever keys they have made.
            self._agreed.check_sum(given[0].number, given[0].kind, given[0].sealed)
            self._give(given[0].sealed.get(self.name, ""))
        elif isinstance(whose, Sealer) and does == "vouch":
            self._agreed.check_sum(given[1].round, given[1].kind, given[1].owners)
            self._give(digest(given[2].chunks))
        elif isinstance(whose, KeyHolder) and does == "open":
            self._agreed.check_open(whose, given[1])
        elif isinstance(whose, MaskingOwner | JointOwner) and does in ("share", "reveal") and len(given) > 1:
            self._agreed.check_owners(given[1])

    def _give(self, sealed: str) -> None:
        """What has this digest was sealed here, and may be in a sum that is opened."""
        if sealed not in self._sealed:
            raise EncryptionError(
                f"{self.name!r} was to vouch for ciphertexts that it did not seal.",
                "With somebody else's in their place, the sum would hold other numbers than the owners know of.",
                "Nothing was released; ask who runs the server what it passes on.",
            )
        self._sealed[sealed].give(self.name)

    def _meant(self, value: Any) -> Any:
        return self.found(value) if isinstance(value, Ref) else value

    def found(self, ref: Ref) -> Any:
        """What is kept under a number, or a part of it that may be asked for.

        Raises:
            EncryptionError: nothing is, or that part may not.
        """
        if ref.number not in self._kept:
            raise _not_ordered(self.name, f"number {ref.number}, which is not there,")
        found = self._kept[ref.number]
        for name in ref.path:
            hides = isinstance(found, Sealer) and name == "tag_seed" and not found.shows_tags
            hides |= name == "wrapped_for" and self._agreed.house.hiding != "owners"
            if name not in ASKS.get(type(found), ()) or hides:
                raise _not_ordered(self.name, f"{name!r} of {type(found).__name__}")
            found = getattr(found, name)
        return found

    def _signed(self, ref: Ref) -> Mapping[str, tuple[str, bytes]]:
        """This party's signature of what leaves, if it is a key."""
        if not ref.path:
            return {}
        giver = self.found(Ref(ref.number, ref.path[:-1]))
        keys = any(isinstance(giver, kind) and ref.path[-1] == name for kind, name in KEYS)
        return self._trust.signed(self.found(ref)) if keys else {}

    def _that_may_leave(self, value: Any) -> Any:
        if isinstance(value, self._stays) or callable(value):
            raise _not_ordered(self.name, f"a {type(value).__name__}, which stays where it is,")
        return value

    def _check_noise(self, held: Held, given: list[Any]) -> None:
        """A sum is over as many owners as have to share its noise."""
        # Under masks the sum comes off once so many are left; else it is over all that it is sealed for.
        masking = next((arg for arg in given if isinstance(arg, MaskingOwner)), None)
        owners = masking.threshold if masking is not None else len(frozenset(given[1].owners))
        held.fate.check(self.name)
        if owners < held.least:
            raise EncryptionError(
                f"{self.name!r} was to seal for {owners} owners what it prepared for {held.least}.",
                "Each added so much noise that all of them together are protected; fewer would not be.",
                "Nothing was sealed: have the owners of this round contribute again.",
            )


# Keys and what holds them, and numbers that were not sealed, are never sent.
_STAYS = (Held, Identity, Mailbox, Sealer, KeyHolder, MaskingOwner, JointOwner)


def _not_ordered(name: str, what: str) -> EncryptionError:
    return EncryptionError(
        f"{name!r} was asked for {what} and does not give it.",
        "A party takes steps of the protocols that were agreed on, by the names that are known to it.",
        "Use the same version of fedlab_nb at all parties; if it is the same, ask who runs the server.",
    )


def withheld(name: str, kind: str, stage: str = "answer") -> RoundError:
    """A step at a party failed with an error of this ``kind``, whose text may quote a row."""
    return RoundError(
        name,
        stage,
        f"A step at {name!r} failed with {kind}; its text is withheld because it may quote private values.",
        "Nothing of this step left the party.",
        "Try the same on invented rows in a notebook, owner.mock(rows=200), where errors are shown in full.",
    )
