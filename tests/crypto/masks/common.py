"""One secure sum with its owners and a server that passes on what it is told to, stage by stage."""

from collections.abc import Iterable, Mapping

import numpy as np

from fedlab_nb.crypto.identity import Identity
from fedlab_nb.crypto.masks import MaskingOwner, default_threshold, unmask

IDENTITIES = {f"owner {i}": Identity() for i in range(12)}
WORDS = 2**32


class Sum:
    """Owners of one sum; each stage is done by those named, and keeps what they sent."""

    def __init__(self, n: int, *, threshold: int | None = None, session: bytes = b"one", context: str = "round 1"):
        self.names = list(IDENTITIES)[:n]
        self.public = {name: IDENTITIES[name].public for name in self.names}
        self.threshold = default_threshold(n) if threshold is None else threshold
        self.occasion = {"session": session, "context": context}
        self.owners = {name: MaskingOwner(name, IDENTITIES[name], **self.occasion) for name in self.names}
        self.adverts: dict[str, bytes] = {}
        self.sent: dict[str, dict[str, bytes]] = {}
        self.masked: dict[str, bytes] = {}
        self.confirmed: dict[str, bytes] = {}
        self.revealed: dict[str, bytes] = {}

    def advertise(self, names: Iterable[str] | None = None) -> "Sum":
        self.adverts = {name: self.owners[name].advertise() for name in names or self.names}
        return self

    def share(self, names: Iterable[str] | None = None) -> "Sum":
        for name in names or self.names:
            self.sent[name] = self.owners[name].share(self.adverts, self.public, self.threshold)
        return self

    def received(self, name: str) -> dict[str, bytes]:
        return {sender: sealed[name] for sender, sealed in self.sent.items() if sender != name}

    def mask(self, vectors: Mapping[str, np.ndarray]) -> "Sum":
        for name, vector in vectors.items():
            self.masked[name] = self.owners[name].mask(vector, self.received(name))
        return self

    def confirm(self, names: Iterable[str] | None = None) -> "Sum":
        for name in names or self.masked:
            self.confirmed[name] = self.owners[name].confirm(list(self.masked))
        return self

    def reveal(self, names: Iterable[str] | None = None) -> "Sum":
        for name in names or self.confirmed:
            self.revealed[name] = self.owners[name].reveal(self.confirmed)
        return self

    def unmask(self, **changed) -> np.ndarray:
        given = {
            "masked": self.masked,
            "adverts": self.adverts,
            "revealed": self.revealed,
            "threshold": self.threshold,
            "names": list(self.sent),
            "identities": self.public,
            **self.occasion,
        }
        return unmask(**(given | changed))


def draw(names: Iterable[str], d: int, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {name: rng.integers(0, WORDS, d, dtype=np.uint32) for name in names}


def added(vectors: Iterable[np.ndarray]) -> list[int]:
    """The sum modulo 2**32, by Python's own whole numbers."""
    return [sum(column) % WORDS for column in zip(*(vector.tolist() for vector in vectors), strict=True)]


def flipped(message: bytes, bit: int) -> bytes:
    damaged = bytearray(message)
    damaged[bit // 8 % len(message)] ^= 1 << bit % 8
    return bytes(damaged)
