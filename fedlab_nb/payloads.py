"""What may cross between parties: how it is kept, hashed, and what its receiver finds on opening it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.records import Message, Peek


class SealedPayload(Protocol):
    """What the ledger must know of something that its receiver cannot read, or not without a key."""

    @property
    def parts(self) -> tuple[bytes, ...]:
        """The bytes that cross."""

    @property
    def plain_nbytes(self) -> int:
        """Bytes of the same content in the clear; 0 if it holds no numbers of an owner."""

    @property
    def head(self) -> str:
        """The first bytes inside, in hex."""

    @property
    def note(self) -> str:
        """What it is, for those who cannot look inside."""


class PackedPayload(Protocol):
    """Numbers that cross in fewer bytes, and that their receiver can restore."""

    @property
    def payload(self) -> bytes:
        """The bytes that cross."""

    def restore(self) -> NDArray[np.float64]:
        """The numbers (d,) that they stand for."""


Payload = NDArray[np.float64] | NDArray[np.float32] | str | bytes | SealedPayload | PackedPayload
"""What may cross: numbers, a list in JSON, public key material, ciphertexts, or numbers packed into fewer bytes."""


class Crossing(NamedTuple):
    """A payload as the ledger needs it: worked out once, however many receive it; ``seen`` is its part of digests."""

    payload: object
    nbytes: int
    plain_nbytes: int
    peek: Peek
    content: str
    seen: str

    @classmethod
    def of(cls, payload: Payload) -> Crossing:
        """The payload, a copy of it where others could still change it, and what is to be known of it."""
        kept = _frozen(payload)
        body, (peek, plain) = body_of(kept), _peek(payload)
        content = content_of(body)
        return cls(kept, sum(map(len, body)), plain, peek, content, seen_of(peek, content))

    @classmethod
    def unseen(cls, nbytes: int, plain_nbytes: int, peek: Peek, sealed: bytes) -> Crossing:
        """Something that only others saw; for it stands what it was sealed as."""
        content = content_of([sealed])
        return cls(None, nbytes, plain_nbytes, peek, content, seen_of(peek, content))


def body_of(payload: Payload | object) -> list[bytes | memoryview]:
    """The bytes that cross, in parts."""
    if isinstance(payload, str | bytes):
        return [payload.encode() if isinstance(payload, str) else payload]
    if isinstance(payload, np.ndarray):
        line = payload if payload.ndim == 1 and payload.flags.c_contiguous else np.ravel(payload)
        return [line.view(np.uint8).data]
    return [payload.payload] if hasattr(payload, "restore") else list(payload.parts)  # type: ignore[attr-defined]


def content_of(body: Sequence[bytes | memoryview]) -> str:
    """The hash that stands for a payload."""
    return hashlib.sha256(b"".join([hashlib.sha256(part).digest() for part in body])).hexdigest()


def seen_of(peek: Peek, content: str) -> str:
    """The part of a digest's text that is the same whoever sends or receives a payload."""
    head = repr([*peek.head]) if type(peek.head) is tuple else "n"
    # Python and JSON write numbers alike, but for those that are none (nan, inf); JSON's encoder takes longer.
    head = _json(peek.head) if "n" in head else head
    return f'[{_word(peek.readable)}, {head}, {[*peek.shape]}, {_word(peek.note)}], "{content}"'


def digest_of(heads: Sequence[object], seen: str, previous: str) -> str:
    """The hash over every field of a message but its payload, for which the content's hash in ``seen`` stands.

    ``heads`` are its number, round, sender, receiver, kind, sizes, and whether it is encrypted. What is hashed is JSON:
    [heads, [readable, head, shape, note], content, previous].
    """
    number, turn, sender, receiver, kind, sent, plain, encrypted = heads
    names = f"{_word(turn)}, {_word(sender)}, {_word(receiver)}, {_word(kind)}"
    text = f"{number!r}, {names}, {sent!r}, {_word(plain)}, {_word(encrypted)}"
    return hashlib.sha256(f'[[{text}], {seen}, "{previous}"]'.encode()).hexdigest()


def digest_again(m: Message) -> str:
    """The digest that a message must have, from what stands in it."""
    heads = m.number, m.round, m.sender, m.receiver, m.kind, m.nbytes, m.plain_nbytes, m.encrypted
    return digest_of(heads, seen_of(m.peek, m.content), m.previous)


_json = json.JSONEncoder(default=str).encode


@lru_cache(maxsize=2**15, typed=True)
def _word(part: object) -> str:
    """A name, a kind, a round or a yes as JSON: the same few in all messages."""
    return _json(part)


def _frozen(payload: Payload) -> object:
    """The payload, or a copy where it is an array that its sender may still write to."""
    if not isinstance(payload, np.ndarray):
        return payload
    flags = payload.flags
    if flags.owndata and flags.c_contiguous and not flags.writeable:
        return payload
    kept = payload.copy()
    kept.setflags(write=False)
    return kept


def _peek(payload: Payload) -> tuple[Peek, int]:
    """What the receiver finds on opening it, and the bytes that the same content takes in the clear."""
    if isinstance(payload, np.ndarray):
        head = (payload[:8] if payload.ndim == 1 else payload.flat[:8]).tolist()
        return Peek(True, tuple(map(float, head)), payload.shape), payload.nbytes
    if isinstance(payload, str):
        return Peek(True, payload[:120], (len(payload),)), len(payload.encode())
    if isinstance(payload, bytes):
        return Peek(True, payload[:24].hex(), (len(payload),), "keys, signatures or shares: no numbers of an owner"), 0
    if hasattr(payload, "restore"):
        numbers = payload.restore()
        return Peek(True, tuple(float(v) for v in numbers[:8]), numbers.shape, "packed"), numbers.nbytes
    return Peek(False, payload.head, (payload.plain_nbytes // 8,), payload.note), payload.plain_nbytes
