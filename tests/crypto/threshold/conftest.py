"""Owners with a joint key, and a server that adds what they seal."""

from __future__ import annotations

import itertools
import math
import os

import numpy as np
import pytest
import tenseal

from fedlab_nb.crypto.identity import Identity
from fedlab_nb.crypto.threshold import SLOTS, JointOwner, OpeningRequest, fuse, parameters, sigma
from fedlab_nb.crypto.threshold.parameters import rings, wire

# Scaled sums stay below 2**52, half of what a prime of 54 bits has room for.
ROOM_BITS = 52


class Epoch:
    """``count`` owners of one joint key, named A, B, C and so on."""

    def __init__(self, count: int) -> None:
        self.names = [chr(ord("A") + i) for i in range(count)]
        self.session = os.urandom(16)
        self.identities = {name: Identity() for name in self.names}
        self.public = {name: identity.public for name, identity in self.identities.items()}
        self.owners = {name: JointOwner(name, self.identities[name], session=self.session) for name in self.names}
        self.commitments = {name: owner.commitment for name, owner in self.owners.items()}
        self.reveals = {name: owner.reveal(self.commitments, self.public) for name, owner in self.owners.items()}
        self.keys = [owner.join(self.reveals) for owner in self.owners.values()]
        self.key = self.keys[0]
        self._numbers = itertools.count()
        self._sealing = tenseal.context_from(self.key.public_key, n_threads=1)
        self._adding = tenseal.context_from(parameters(), n_threads=1)

    @property
    def scale(self) -> float:
        """For sums of all owners with numbers within ±1."""
        return math.ldexp(1.0, ROOM_BITS - math.ceil(math.log2(len(self.names))))

    @property
    def grid_bits(self) -> int:
        """The finest grid whose half step is 16 standard deviations of the noise of an opened sum."""
        return math.floor(-math.log2(32 * sigma(len(self.names)) / self.scale))

    def grid(self, numbers):
        return np.ldexp(np.rint(np.ldexp(numbers, self.grid_bits)), -self.grid_bits) + 0.0

    def seal(self, numbers) -> list[bytes]:
        """``numbers`` (chunks, 2048) as they travel."""
        made = [tenseal.ckks_vector(self._sealing, row.tolist(), self.scale) for row in np.atleast_2d(numbers)]
        return [wire().from_tenseal(vector.serialize()) for vector in made]

    def add(self, vectors) -> list[bytes]:
        """The sum of sealed vectors, by TenSEAL with bare parameters."""
        total = []
        for parts in zip(*vectors, strict=True):
            loaded = [
                tenseal.ckks_vector_from(self._adding, wire().to_tenseal(part, scale=self.scale, size=SLOTS))
                for part in parts
            ]
            # A plain sum makes new vectors; TenSEAL's += would change the first one, which may be there twice.
            total.append(wire().from_tenseal(sum(loaded[1:], start=loaded[0]).serialize()))
        return total

    def sealed(self, chunks: int = 1, seed: int = 0):
        """Random numbers of each owner on the grid, (chunks, 2048), and what it sealed."""
        rng = np.random.default_rng(seed)
        numbers = {name: self.grid(rng.uniform(-1, 1, (chunks, SLOTS))) for name in self.names}
        return numbers, {name: self.seal(own) for name, own in numbers.items()}

    def request(self, sealed, total, *, kind="update", number=None) -> OpeningRequest:
        return OpeningRequest.of(next(self._numbers) if number is None else number, kind, sealed, total)

    def witnesses(self, request, sealed) -> dict[str, bytes]:
        return {name: owner.witness(request, sealed[name]) for name, owner in self.owners.items()}

    def openings(self, request, total, witnesses):
        return {name: owner.open(request, total, witnesses) for name, owner in self.owners.items()}

    def opened(self, sealed, total=None):
        """All of it: request, aggregate, openings."""
        total = self.add(sealed.values()) if total is None else total
        request = self.request(sealed, total)
        return request, total, self.openings(request, total, self.witnesses(request, sealed))

    def numbers(self, request, total, openings) -> np.ndarray:
        return fuse(self.key, request, total, openings, scale=self.scale)

    def secret(self, name: str) -> np.ndarray:
        """The secret words of one owner modulo the first prime; only a test looks at them."""
        return self.owners[name]._JointOwner__secret

    @staticmethod
    def words(chunk: bytes) -> np.ndarray:
        """(2, N) words of a ciphertext as it travels."""
        return wire().unpack(chunk)[:, 0].astype(np.int64)

    @staticmethod
    def packed(numbers: np.ndarray) -> bytes:
        """The ciphertext of words (2, N), as it travels."""
        return wire().pack((numbers % rings()[0].prime).astype(np.uint64)[:, None])


@pytest.fixture(scope="session")
def make_epoch():
    made = {}

    def make(count: int) -> Epoch:
        if count not in made:
            made[count] = Epoch(count)
        return made[count]

    return make


@pytest.fixture
def epoch(make_epoch) -> Epoch:
    """Three owners."""
    return make_epoch(3)
