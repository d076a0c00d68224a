"""One crossing between two parties, as the ledger keeps it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Peek:
    """What a party finds when it opens a message: the first numbers, or the head of a ciphertext in hex."""

    readable: bool
    head: tuple[float, ...] | str
    shape: tuple[int, ...]
    note: str = ""

    def __str__(self) -> str:
        if not self.readable:
            return f"sealed: {self.head}… ({self.note})" if self.note else f"sealed: {self.head}…"
        numbers = (f"{v:.6g}" for v in self.head if isinstance(v, float))
        body = ", ".join(numbers) if not isinstance(self.head, str) else self.head
        return f"{body}, …" if math.prod(self.shape) > len(self.head) else body


@dataclass(frozen=True, repr=False)
class Message:
    """One crossing: who sent what kind of thing to whom, in which round, how large, readable or sealed.

    ``nbytes`` is what crossed; ``plain_nbytes`` what the same numbers take when this lab sends them in the clear.
    ``digest`` chains over ``previous`` and covers every field but the payload, which ``content`` (its hash) stands
    for: so no earlier message can be altered unnoticed, also after its payload has been dropped.
    """

    number: int
    round: int
    sender: str
    receiver: str
    kind: str
    nbytes: int
    plain_nbytes: int
    encrypted: bool
    peek: Peek
    digest: str
    previous: str
    payload: object = field(default=None, compare=False)
    content: str = ""

    def __repr__(self) -> str:
        return (
            f"Message {self.number}, round {self.round}: {self.kind}, from {self.sender!r} to {self.receiver!r}, "
            f"{self.nbytes:,} bytes\n  {self.peek}\n  digest {self.digest[:16]}…, after {self.previous[:16]}…"
        )
