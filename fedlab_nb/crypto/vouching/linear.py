"""A hash of ciphertexts that adds up as they do: that of a sum is the sum of those of its parts.

Adding ciphertexts is adding their coefficients modulo each prime, and so h(c) = sum of r * c over all coefficients c,
with random r, is linear. Three such h are taken for each prime, with r of 40 bits drawn from a challenge that follows
from the ciphertexts: a wrong sum has the right h with probability below 2**-105, and who looks for one has to try so
many.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.crypto.ciphertexts.words import Wire, Words

HASHES = 3
VALUE_BYTES = 8

# Coefficients in halves of 30 bits times r in limbs of 10, added over at most 2**13 of them: below 2**53, so that
# float64, and with it the fast product of matrices, has the sums exactly.
_HALF, _LIMB, _LIMBS = 30, 10, 4


class LinearHash:
    """The h of a vector of ciphertexts for each prime, taken in one ciphertext after the other."""

    def __init__(self, challenge: bytes, wire: Wire) -> None:
        self._challenge, self._wire = challenge, wire
        self._limbs = _limbs(challenge, wire.ring)
        self._totals = [0] * (HASHES * len(wire.primes))
        self._taken = 0

    def add(self, words: Words) -> None:
        """Take in the next ciphertext, (2, primes, ring)."""
        halves = np.stack([words & np.uint64((1 << _HALF) - 1), words >> np.uint64(_HALF)], axis=2).astype(np.float64)
        # For each polynomial, prime and half: its sum with each limb of each r.
        sums = np.matmul(halves.reshape(2, -1, self._wire.ring), self._limbs).astype(np.int64).sum(axis=0)
        places = sums.reshape(len(self._wire.primes), 2, HASHES, _LIMBS).tolist()
        for at, (prime, hashed) in enumerate((p, h) for p in range(len(self._wire.primes)) for h in range(HASHES)):
            modulus = self._wire.primes[prime]
            one = sum(
                places[prime][half][hashed][limb] << (_HALF * half + _LIMB * limb)
                for half in (0, 1)
                for limb in range(_LIMBS)
            )
            self._totals[at] = (self._totals[at] + self._weight(hashed) * one) % modulus
        self._taken += 1

    def _weight(self, hashed: int) -> int:
        """The r between ciphertexts: of each the same combination is taken, and of these a second one."""
        place = b"%d %d" % (self._taken, hashed)
        return int.from_bytes(hashlib.sha256(self._challenge + place).digest()[:16], "little")

    @property
    def value(self) -> tuple[int, ...]:
        """The h so far: for each prime in turn, all of them."""
        return tuple(self._totals)


def moduli(wire: Wire) -> tuple[int, ...]:
    """The prime that each h is taken modulo."""
    return tuple(prime for prime in wire.primes for _ in range(HASHES))


@lru_cache(maxsize=2)
def _limbs(challenge: bytes, ring: int) -> NDArray[np.float64]:
    drawn = hashlib.shake_256(b"within " + challenge).digest(2 * 2 * ring * HASHES * _LIMBS)
    limbs = np.frombuffer(drawn, dtype="<u2") & np.uint16((1 << _LIMB) - 1)
    return limbs.astype(np.float64).reshape(2, ring, HASHES * _LIMBS)
