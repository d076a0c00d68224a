"""What the ledger of a pooled federation keeps of what owners sent: messages with their hashes, without payloads."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from fedlab_nb.ledger import Ledger
from fedlab_nb.payloads import Crossing, seen_of
from fedlab_nb.records import Message, Peek


class Head(NamedTuple):
    """What is to be known of one crossing: sizes, first numbers, and the hash that stands for the payload."""

    nbytes: int
    plain_nbytes: int
    first: tuple[float, ...]
    shape: tuple[int, ...]
    content: str

    @classmethod
    def of(cls, message: Message) -> Head:
        """The head of a message in the clear."""
        peek = message.peek
        return cls(message.nbytes, message.plain_nbytes, tuple(map(float, peek.head)), peek.shape, message.content)

    @property
    def crossing(self) -> Crossing:
        """The same as the ledger records it, with no payload."""
        peek = Peek(True, self.first, self.shape)
        return Crossing(None, self.nbytes, self.plain_nbytes, peek, self.content, seen_of(peek, self.content))


class PooledLedger(Ledger):
    """A ledger whose payloads may have stayed, and ended, in another process: there they were hashed."""

    def post_heads(self, number: int, receiver: str, kind: str, heads: Mapping[str, Head]) -> list[Message]:
        """Record what crossed to ``receiver`` from each sender; ``heads`` are by sender."""
        each = [(sender, receiver, head.crossing) for sender, head in heads.items()]
        with self._lock:
            kept = self._kept, self._kept_bytes
            # Of these messages there is no payload here to be kept, nor one to be checked against its hash.
            self._kept, self._kept_bytes = deque(), 0
            try:
                return self._record(number, kind, each)
            finally:
                self._kept, self._kept_bytes = kept

    def add_busy(self, seconds: Iterable[Mapping[str, float]]) -> None:
        """Count what owners took in other processes."""
        for own in seconds:
            for party, spent in own.items():
                self._busy[party] = self._busy.get(party, 0.0) + spent


def in_order(names: Collection[str], found: Iterable[Mapping[str, Head]]) -> dict[str, Head]:
    """The heads of ``names`` in this order: that in which one process would have added the owners."""
    by_name = {name: head for part in found for name, head in part.items()}
    return {name: by_name[name] for name in names}
