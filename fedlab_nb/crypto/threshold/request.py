"""What is to be opened, and the check that it is the sum of exactly what each owner sealed.

A server could ask for one owner's ciphertext to be opened instead of the sum. Adding ciphertexts is linear modulo the
prime, and so is h(c) = sum of r*c over all words c of a vector, with random r: h of the sum is then the sum of the
owners' h. The r follow from SHA-256 digests of every owner's ciphertexts and of the sum, so all of these are fixed
before anyone knows r; a sum chosen after r could be made to fit. A wrong sum passes two such h with probability below
2**-105, and a server that tries other sums until one passes cannot try so many.

This holds for a server that lies as it likes, with owners that follow the protocol, even if they tell it all they know.
It does not hold for a server together with an owner that lies: that owner could sign a false h.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from fedlab_nb.crypto.threshold.key import JointKey, check_names, listed, message, split_signed
from fedlab_nb.crypto.threshold.parameters import RING, rings
from fedlab_nb.crypto.threshold.ring import Words, mulmod
from fedlab_nb.errors import EncryptionError

HASHES = 2
_VALUE_BYTES = 8

# Words of 54 bits in halves of 27, times r in 5 limbs of 11 bits, added over the 2**13 words of one ciphertext: below
# 2**51, so float64, and with it the fast product of matrices, has the sums exactly.
_HALF, _LIMB, _LIMBS = 27, 11, 5


def digest(chunks: Sequence[bytes]) -> str:
    """Hex SHA-256 of the SHA-256 digests of all ciphertexts of a vector, in order."""
    return hashlib.sha256(b"".join(hashlib.sha256(chunk).digest() for chunk in chunks)).hexdigest()


@dataclass(frozen=True, repr=False)
class OpeningRequest:
    """Which sum is to be opened: round ``number``, ``kind`` of vector, the ciphertexts of each owner, and their sum.

    ``sealed`` has the ``digest`` of each owner's ciphertexts by name, ``total`` that of the sum, ``chunks`` says how
    many ciphertexts each of these has.
    """

    number: int
    kind: str
    chunks: int
    sealed: Mapping[str, str]
    total: str

    @classmethod
    def of(cls, number: int, kind: str, sealed: Mapping[str, Sequence[bytes]], total: Sequence[bytes]) -> Self:
        """The request to open ``total``, the sum of the ciphertexts ``sealed`` by name.

        Raises:
            EncryptionError: vectors of different lengths.
        """
        for name, chunks in sealed.items():
            if len(chunks) != len(total) or not chunks:
                raise EncryptionError(
                    f"{name!r} sealed {len(chunks)} ciphertexts, and the sum has {len(total)}.",
                    "Vectors of different lengths add up to something meaningless.",
                    "Have all owners seal the same kind of vector.",
                )
        return cls(number, kind, len(total), {name: digest(chunks) for name, chunks in sealed.items()}, digest(total))

    def challenge(self, key: JointKey) -> bytes:
        """32 bytes that follow from everything in the request and from the key, and choose the r of the check.

        Raises:
            EncryptionError: not exactly one vector from each owner of the key.
        """
        check_names(self.sealed, key.names, what="vector")
        if len(set(self.sealed.values())) < len(self.sealed):
            values = list(self.sealed.values())
            raise EncryptionError(
                f"{listed(n for n, v in self.sealed.items() if values.count(v) > 1)} are said to have sealed the same "
                "ciphertexts.",
                "Sealing gives other bytes every time, so one owner's ciphertexts were put in another's place.",
                "Nothing was released; drop the round.",
            )
        facts = (key.session, hashlib.sha256(key.public_key).digest(), self.number, self.kind, self.chunks, self.total)
        pairs = [part for name in key.names for part in (name, self.sealed[name])]
        return message("opening request", *facts, *pairs)

    def __repr__(self) -> str:
        inside = f"{self.chunks} ciphertexts of {len(self.sealed)} owners"
        return f"OpeningRequest(round {self.number}, {self.kind!r}: {inside})"


class LinearHash:
    """Both h of a vector of ciphertexts, which is added block by block; see the head of this file."""

    def __init__(self, challenge: bytes, chunks: int) -> None:
        ring = rings()[0]
        within = ring.uniform(message("words", challenge), HASHES * 2 * RING).reshape(HASHES, 1, 2 * RING)
        # Of each ciphertext the same combination of words is taken, and of these a second one over the ciphertexts.
        self._across = ring.uniform(message("ciphertexts", challenge), HASHES * chunks).reshape(HASHES, chunks)
        limbs = within >> _LIMB * np.arange(_LIMBS)[:, None] & (1 << _LIMB) - 1
        self._limbs = np.ascontiguousarray(limbs.reshape(HASHES * _LIMBS, -1).T.astype(np.float64))
        weights = [[pow(2, _HALF * half + _LIMB * limb, ring.prime) for limb in range(_LIMBS)] for half in (0, 1)]
        self._weights = np.array(weights)
        self._prime, self._total = ring.prime, [0] * HASHES

    def add(self, start: int, words: Words) -> None:
        """Take in ``words`` (B, 2, N), the ciphertexts from number ``start`` on."""
        flat = words.reshape(len(words), -1)
        halves = np.empty((len(flat), 2, flat.shape[1]))
        np.bitwise_and(flat, (1 << _HALF) - 1, out=halves[:, 0], casting="unsafe")
        np.right_shift(flat, _HALF, out=halves[:, 1], casting="unsafe")
        # One small product for each ciphertext: the threads of a larger one cost more than they gain.
        sums = (halves @ self._limbs).astype(np.int64).reshape(len(flat), 2, HASHES, _LIMBS)
        weighed = mulmod(sums, self._weights[:, None, :], self._prime)
        combined = weighed.sum(axis=(1, 3)) % self._prime
        across = self._across[:, start : start + len(flat)].T
        for number, value in enumerate(mulmod(combined, across, self._prime).T):
            self._total[number] = (self._total[number] + sum(value.tolist())) % self._prime

    @property
    def value(self) -> tuple[int, ...]:
        """Both h of what was added so far."""
        return tuple(self._total)

    @property
    def written(self) -> bytes:
        """``value`` as bytes, eight for each."""
        return b"".join(value.to_bytes(_VALUE_BYTES, "little") for value in self._total)


def checked_witnesses(key: JointKey, challenge: bytes, witnesses: Mapping[str, bytes]) -> dict[str, tuple[int, ...]]:
    """Both h that each owner of ``key`` vouches for, by name.

    Raises:
        EncryptionError: one is missing, changed, or for another request. Names the owner.
    """
    check_names(witnesses, key.names, what="witness")
    found = {}
    for name in key.names:
        content, signature = split_signed(witnesses[name], HASHES * _VALUE_BYTES, who=name, what="witness")
        key.check(name, message("witness", challenge, name, content), signature)
        found[name] = tuple(
            int.from_bytes(content[at : at + _VALUE_BYTES], "little") for at in range(0, len(content), _VALUE_BYTES)
        )
    return found


def misfit(found: tuple[int, ...], witnesses: Mapping[str, tuple[int, ...]]) -> str | None:
    """What is wrong with a sum whose h are ``found``, given those of the owners; None where it is right.

    An owner left out, counted more than once, or with a factor, shows: the difference is a multiple of its h.
    """
    prime = rings()[0].prime
    apart = [(h - sum(w[i] for w in witnesses.values())) % prime for i, h in enumerate(found)]
    if not any(apart):
        return None
    for name, own in witnesses.items():
        if found == own:
            return f"The sum holds the numbers of {name!r} alone."
        # A witness of zero has no inverse; honest ones are zero as good as never.
        factor = apart[0] * pow(own[0], -1, prime) % prime if own[0] % prime else 0
        if all(d == factor * w % prime for d, w in zip(apart, own, strict=True)):
            times = factor + 1 if factor < prime // 2 else factor + 1 - prime
            return f"{name!r} is counted {times} times in the sum." if times else f"{name!r} is left out of the sum."
    return "The sum is not that of what the owners sealed."
