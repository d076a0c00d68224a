"""One crossing between two parties, as the ledger keeps it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from fedlab_nb.cards import Html, card, code, marked, one_line, table_html
from fedlab_nb.units import bytes_text, times_text

# Kinds of messages by which owners find the rows that they have in common; none holds numbers of a row.
FINDING = frozenset({"masked ids", "half of the filters' key", "linked rows", "order of linked rows"})
SEALED, READABLE = marked("◆", "sealed", "fl-seal"), marked("○", "readable", "fl-maybe")


@dataclass(frozen=True, slots=True)
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

    @property
    def beginning(self) -> str:
        """Its first two numbers, or its first letters: short enough for a table."""
        if isinstance(self.head, str):
            return self.head[:20] + "…" * (len(self.head) > 20 or not self.readable)
        rest = ", …" if math.prod(self.shape) > 2 else ""
        return ", ".join(f"{value:.3g}" for value in self.head[:2]) + rest


@dataclass(frozen=True, repr=False, slots=True)  # slots: long runs have many, which then take half the memory
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
        return one_line(
            f"Message {self.number}, round {self.round}: {self.kind} from {self.sender!r} to {self.receiver!r}, "
            f"{self.nbytes:,} bytes, {self.peek}"
        )

    def without_payload(self) -> Message:
        """The same message as it is kept where memory is short: its head and its hashes."""
        heads = self.number, self.round, self.sender, self.receiver, self.kind, self.nbytes, self.plain_nbytes
        return Message(*heads, self.encrypted, self.peek, self.digest, self.previous, content=self.content)

    @property
    def mark(self) -> Html:
        """Sealed or readable: symbol and word, never colour alone."""
        return SEALED if self.encrypted else READABLE

    def _repr_html_(self) -> str:
        clear = f"{bytes_text(self.plain_nbytes)} in the clear" if self.plain_nbytes else "key material, no numbers"
        if self.encrypted and self.plain_nbytes:
            clear = f"{times_text(self.nbytes / self.plain_nbytes)} the {clear}"
        rows = [
            ("From", self.sender),
            ("To", self.receiver),
            ("Round", self.round or "0, before the first one"),
            ("Kind", self.kind),
            ("How", self.mark),
            ("Size", f"{bytes_text(self.nbytes)} sent: {clear}"),
            ("What is found on opening it", code(self.peek)),
            ("Digest", code(f"{self.digest[:32]}…")),
            ("Follows the digest", code(f"{self.previous[:32]}…")),
        ]
        kept = "Its whole payload is kept: .payload" if self.payload is not None else "Only its head and hash are kept."
        return card(f"Message {self.number}", rows, kept)


def messages_html(messages: Iterable[Message]) -> str:
    """A table of messages: in which round, what, from whom to whom, how large, sealed or readable, how it begins."""
    rows = [
        (m.number, m.round, m.kind, m.mark, f"{m.sender} → {m.receiver}", bytes_text(m.nbytes), code(m.peek.beginning))
        for m in messages
    ]
    return table_html(("No.", "Round", "What", "How", "From → to", "Size", "Begins with"), rows)
