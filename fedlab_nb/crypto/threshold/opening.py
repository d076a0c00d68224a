"""Opening together: one owner's share of the key applied to a sum, and the shares put together.

An owner with the secret key s sends d = c1*s + noise for each ciphertext (c0, c1) of the sum. With the shares of all
owners, c0 + sum of d is the sum that was sealed, with some noise; with one missing it is as good as random.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.crypto.threshold.key import JointKey, check_names, message
from fedlab_nb.crypto.threshold.parameters import RING, SLOTS, rings, wire
from fedlab_nb.crypto.threshold.request import OpeningRequest, digest
from fedlab_nb.crypto.threshold.ring import Words, mulmod, reduced, slots
from fedlab_nb.crypto.threshold.smudge import DROPPED_BITS, smudge
from fedlab_nb.errors import EncryptionError

# Forty bits a coefficient: the low 32 of all first, then the others, so that numpy reads both without moving bits.
OPENING_BYTES = 5 * RING
_LOW_BYTES = 4 * RING
_BLOCK = 32


@dataclass(frozen=True, repr=False)
class PartialOpening:
    """The share of owner ``name`` for each ciphertext of a sum, 20,480 bytes each, and its signature."""

    name: str
    chunks: tuple[bytes, ...]
    signature: bytes

    @property
    def nbytes(self) -> int:
        """Bytes that cross between parties."""
        return sum(map(len, self.chunks)) + len(self.signature)

    def __repr__(self) -> str:
        return f"PartialOpening(of {self.name!r}, {len(self.chunks)} ciphertexts, {self.nbytes:,} bytes)"


def blocks(chunks: Sequence[bytes], *, who: str) -> Iterator[tuple[int, Words]]:
    """The words (B, 2, N) of ciphertexts, some at a time, each with the number of its first.

    Raises:
        EncryptionError: one is damaged; names ``who`` made it.
    """
    for start in range(0, len(chunks), _BLOCK):
        yield start, np.stack([_words(chunk, who) for chunk in chunks[start : start + _BLOCK]])
        # Other threads, such as a notebook's, get a turn.
        time.sleep(0)


def _words(chunk: bytes, who: str) -> Words:
    try:
        return wire().unpack(chunk)[:, 0].view(np.int64)
    except EncryptionError as error:
        raise EncryptionError(f"A ciphertext of {who}: {error.what}", error.why, error.do) from error


def shares(words: Words, secret: Words) -> list[bytes]:
    """One owner's shares of ciphertexts (B, 2, N), with its ``secret`` (N,) and fresh noise every time."""
    ring = rings()[0]
    opened = ring.intt(mulmod(words[:, 1], secret, ring.prime))
    opened += smudge(opened.size).reshape(opened.shape)
    kept = reduced(opened, ring.prime) >> DROPPED_BITS
    low, high = kept.astype("<u4"), (kept >> 32).astype(np.uint8)
    return [a.tobytes() + b.tobytes() for a, b in zip(low, high, strict=True)]


def signed_opening(challenge: bytes, name: str, chunks: Sequence[bytes]) -> bytes:
    """What an owner signs with its shares."""
    return message("opening", challenge, name, digest(chunks))


def fuse(
    key: JointKey,
    request: OpeningRequest,
    aggregate: Sequence[bytes],
    openings: Mapping[str, PartialOpening],
    *,
    scale: float,
) -> NDArray[np.complex128]:
    """The numbers of an opened sum, (chunks, 2048), with noise of ``smudge.sigma(owners) / scale``; to be rounded.

    Anyone can do it who has every owner's opening. Real parts hold the numbers that ``tenseal.ckks_vector`` seals.

    Raises:
        EncryptionError: an opening is missing, changed or for another sum, and its owner is named; or the sum is not
            that of the request.
    """
    challenge = request.challenge(key)
    _check_openings(key, request, challenge, openings)
    check_aggregate(request, aggregate)
    ring = rings()[0]
    found = np.empty((len(aggregate), SLOTS), dtype=np.complex128)
    for start, words in blocks(aggregate, who="the sum"):
        total = ring.intt(words[:, 0])
        for opening in openings.values():
            total += _unpacked(opening.chunks[start : start + len(words)])
        found[start : start + len(words)] = slots(ring.centred(reduced(total, ring.prime)) / scale)
    return found


def check_aggregate(request: OpeningRequest, aggregate: Sequence[bytes]) -> None:
    """Refuse ciphertexts that are not the sum of which ``request`` speaks.

    Raises:
        EncryptionError: another number of ciphertexts, or other bytes.
    """
    if len(aggregate) != request.chunks or digest(aggregate) != request.total:
        raise EncryptionError(
            f"The {len(aggregate)} ciphertexts given are not the sum of round {request.number} that was announced.",
            "Owners vouch for one sum only; another one could hold one owner's numbers alone.",
            "Nothing was released; give the sum that the request names.",
        )


def _check_openings(
    key: JointKey, request: OpeningRequest, challenge: bytes, openings: Mapping[str, PartialOpening]
) -> None:
    check_names(openings, key.names, what="partial opening")
    for name, opening in openings.items():
        sizes = [len(chunk) for chunk in opening.chunks]
        if sizes != [OPENING_BYTES] * request.chunks:
            raise EncryptionError(
                f"The partial opening of {name!r} is not {request.chunks} times {OPENING_BYTES:,} bytes.",
                "With a wrong share the sum is as good as random.",
                "Nothing was released; have this owner send its opening again.",
            )
        key.check(name, signed_opening(challenge, name, opening.chunks), opening.signature)


def _unpacked(chunks: Sequence[bytes]) -> Words:
    packed = np.frombuffer(b"".join(chunks), dtype=np.uint8).reshape(len(chunks), OPENING_BYTES)
    low = np.ascontiguousarray(packed[:, :_LOW_BYTES]).view("<u4").astype(np.int64)
    kept = low | packed[:, _LOW_BYTES:].astype(np.int64) << 32
    # The middle of what the dropped bits could have been.
    return (kept << DROPPED_BITS) + (1 << DROPPED_BITS - 1)
