"""Noise of a defence: from a secret of the owner of the labels, so that a run can go on as if uninterrupted."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_WORDS = 8


def secret_from(source: np.random.Generator) -> Floats:
    """A secret of 256 bits (8,), as whole numbers of 32 bits each."""
    return source.integers(0, 2**32, _WORDS).astype(np.float64)


class Noise(NamedTuple):
    """What noise follows from, in one round; ``secret`` is the owner's of the labels, who tells it to nobody.

    ``course`` tells rounds apart, and one round under other settings from the same one: noise that came twice, on two
    gradients, could be told from them.
    """

    secret: Floats
    course: int

    @classmethod
    def of_round(cls, secret: Floats, *said: object) -> Noise:
        """The noise of the round that ``said`` tells from all others."""
        return cls(secret, int.from_bytes(hashlib.blake2b(repr(said).encode(), digest_size=8).digest(), "big"))

    def of(self, batch: int, owner: int) -> np.random.Generator:
        """For what crosses to one of the others after one batch."""
        return self.following(self.course, batch, owner)

    def of_labels(self) -> np.random.Generator:
        """For the labels, once a run."""
        return self.following()

    def following(self, *path: int) -> np.random.Generator:
        """Noise by its place in a run."""
        words = [int(word) for word in self.secret]
        return np.random.Generator(np.random.Philox(np.random.SeedSequence(words, spawn_key=path)))
