"""What crosses between parties of a vertical run: sealed from end to end, passed on by the server, which reads facts.

The server learns who sends what kind of message to whom, and how large it is: what a ledger says. Messages for the
server itself, and from it, are not sealed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from fedlab_nb.channel import Opaque
from fedlab_nb.crypto import Identity, Sealed
from fedlab_nb.crypto.envelope import read_header
from fedlab_nb.crypto.linkage import Filters
from fedlab_nb.crypto.seal import SERVER
from fedlab_nb.errors import EncryptionError, FedLabError
from fedlab_nb.flower.codec import Allowed, decode, encode
from fedlab_nb.payloads import Crossing, Payload
from fedlab_nb.records import Peek

# Payloads are data alone.
_DATA = Allowed(work=frozenset(), helpers=frozenset())
_PAYLOADS = (np.ndarray, str, bytes, Opaque, Sealed, Filters)
_NONCE = 12


@dataclass(frozen=True)
class Facts:
    """What whoever passes a message on may know of it. ``index`` counts what the sender has sent to this receiver."""

    number: int
    sender: str
    to: str
    kind: str
    index: int
    nbytes: int
    plain_nbytes: int
    readable: bool
    shape: tuple[int, ...]
    note: str

    @classmethod
    def of(cls, payload: Payload, number: int, sender: str, to: str, kind: str, index: int) -> Facts:
        """What may be known of this payload."""
        seen = Crossing.of(payload)
        shown = seen.peek.readable, tuple(seen.peek.shape), seen.peek.note
        return cls(number, sender, to, kind, index, seen.nbytes, seen.plain_nbytes, *shown)

    def crossing(self, body: bytes) -> Crossing:
        """The same, for a ledger that was not shown the payload: its hash is that of the sealed ``body``."""
        peek = Peek(self.readable, "", self.shape, self.note or "sealed from party to party: not shown to the server")
        return Crossing.unseen(self.nbytes, self.plain_nbytes, peek, body)


@dataclass(frozen=True)
class Parcel:
    """A message on its way: its facts, and its payload as bytes, sealed unless the server sends or receives it."""

    facts: Facts
    body: bytes


class Seals:
    """One party's keys with each of the others, fresh for this process: ``publics`` are those of all.

    ``run`` tells this run from every other one: whoever was told of other parties has other keys. Each direction has a
    key of its own, and each message its place in the order of messages.
    """

    def __init__(self, name: str, identity: Identity, publics: Mapping[str, bytes], run: str) -> None:
        self.name, self._identity, self._publics, self._run = name, identity, dict(publics), run
        self._sent: dict[str, int] = {}
        self._taken: dict[str, int] = {}

    def pack(self, number: int, to: str, kind: str, payload: Payload) -> Parcel:
        """The message with this payload, for the party ``to``."""
        index = self._sent[to] = self._sent.get(to, -1) + 1
        facts = Facts.of(payload, number, self.name, to, kind, index)
        body = encode(payload, _DATA)
        if SERVER not in (self.name, to):
            body = self._cipher(self.name, to, to).encrypt(index.to_bytes(_NONCE, "big"), body, _said(facts))
        return Parcel(facts, body)

    def unpack(self, parcel: Parcel) -> Payload:
        """The payload of a message to this party.

        Raises:
            EncryptionError: it was changed, comes again or out of order, or is not what its facts say.
        """
        facts = parcel.facts
        index = self._taken.get(facts.sender, -1) + 1
        if facts.to != self.name or facts.index != index:
            raise _refused(facts, f"number {facts.index} of its sender, and number {index} is the next one")
        self._taken[facts.sender] = index
        body = parcel.body
        if SERVER not in (self.name, facts.sender):
            try:
                cipher = self._cipher(facts.sender, self.name, facts.sender)
                body = cipher.decrypt(index.to_bytes(_NONCE, "big"), body, _said(facts))
            except InvalidTag as error:
                raise _refused(facts, "not as its sender sealed it") from error
        return opened(facts, body)

    def _cipher(self, sender: str, to: str, other: str) -> ChaCha20Poly1305:
        purpose = f"parcels of {self._run} from {sender} to {to}"
        return ChaCha20Poly1305(self._identity.secret_with(self._publics[other], purpose))


def opened(facts: Facts, body: bytes) -> Payload:
    """The payload in the bytes of a message, if it is one, and what its facts say.

    Raises:
        EncryptionError: it is not.
    """
    try:
        payload: Payload = decode(body, _DATA)
    except FedLabError as error:
        raise _refused(facts, "no payload that can be read") from error
    if not isinstance(payload, _PAYLOADS):
        raise _refused(facts, f"a {type(payload).__name__}, which is no payload")
    try:
        true = Facts.of(payload, facts.number, facts.sender, facts.to, facts.kind, facts.index)
        whole = not isinstance(payload, Sealed) or read_header(payload.header.data) == payload.header
    except Exception as error:  # what it is made of may be anything
        raise _refused(facts, f"a {type(payload).__name__} with parts that it cannot have") from error
    if not whole or true != facts:
        raise _refused(facts, f"{true.nbytes:,} bytes, and not what was said of it ({facts.nbytes:,} bytes)")
    return payload


def is_parcel(value: object) -> bool:
    """Whether what came is a parcel whose facts are such: in bytes of a stranger any class may hold anything."""
    if not isinstance(value, Parcel) or not isinstance(value.facts, Facts) or not isinstance(value.body, bytes):
        return False
    facts = value.facts
    texts, shape = (facts.sender, facts.to, facts.kind, facts.note), facts.shape
    counts = facts.number, facts.index, facts.nbytes, facts.plain_nbytes
    if type(shape) is not tuple or any(type(text) is not str for text in texts):
        return False
    whole = all(type(count) is int and count >= 0 for count in (*counts, *shape))
    return whole and type(facts.readable) is bool and facts.nbytes <= len(value.body)


def _said(facts: Facts) -> bytes:
    return encode(facts, _DATA)


def _refused(facts: Facts, what: str) -> EncryptionError:
    return EncryptionError(
        f"{facts.to!r} refuses {facts.kind!r} from {facts.sender!r}: it is {what}.",
        "Numbers from another message, or from somebody else, would spoil what is worked out, and nobody would see it.",
        "Nothing of it is used; ask who runs the server what it passes on, and that site what it sends.",
    )
