"""All that crossed between parties, append-only and hash-chained; and who could read it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING

from fedlab_nb.cards import code, framed, pairs_html, panel
from fedlab_nb.errors import SettingError
from fedlab_nb.payloads import Crossing, Payload, body_of, content_of, digest_again, digest_of
from fedlab_nb.records import Message, Traffic
from fedlab_nb.records.message import messages_html
from fedlab_nb.records.round import traffic_html
from fedlab_nb.units import bytes_text, counted

if TYPE_CHECKING:
    import pandas as pd

# Payloads beyond this many bytes are dropped, oldest first; their heads and digests stay. It bounds the memory of
# long runs: fifty owners and five hundred rounds would otherwise keep more than a gigabyte of ciphertexts.
KEPT_BYTES = 64 * 2**20
MOST_MESSAGES = 25
GENESIS = "0" * 64


@dataclass(frozen=True)
class View:
    """All that one party could read or hold: a table of messages, each of which can be opened."""

    party: str
    messages: tuple[Message, ...]

    def frame(self) -> pd.DataFrame:
        """One row a message: round, sender, kind, bytes, whether it was readable, and its first numbers."""
        import pandas as pd

        columns = ["message", "round", "sender", "receiver", "kind", "bytes", "readable", "seen"]
        rows = [
            (m.number, m.round, m.sender, m.receiver, m.kind, m.nbytes, m.peek.readable, str(m.peek))
            for m in self.messages
        ]
        return pd.DataFrame(rows, columns=columns).set_index("message")

    def open(self, number: int) -> Message:
        """The message with this number, as ``party`` holds it: ``.peek`` shows its head, ``.payload`` all that is kept.

        Raises:
            SettingError: if this party never held such a message.
        """
        for message in self.messages:
            if message.number == number:
                return message
        held = f"{self.messages[0].number} to {self.messages[-1].number}" if self.messages else "none"
        raise SettingError(
            f"Message {number} is not among those that the {self.party} holds ({held}).",
            "A view shows only what that party sent or received.",
            "Take a number from the index of .frame(), or ask for another party's view.",
        )

    def __len__(self) -> int:
        return len(self.messages)

    def __iter__(self) -> Iterator[Message]:
        return iter(self.messages)

    def __repr__(self) -> str:
        sealed = sum(m.encrypted for m in self.messages)
        return f"View of {self.party!r}: {len(self.messages)} messages, {sealed} of them sealed"

    def _repr_html_(self) -> str:
        sealed = sum(m.encrypted for m in self.messages)
        title = f"All that crossed to and from {self.party}: {counted(len(self), 'message')}, {sealed} of them sealed"
        newest = f"The newest {MOST_MESSAGES} are shown. " if len(self) > MOST_MESSAGES else ""
        note = f"{newest}.frame() has all of them, .open(number) opens one."
        return framed(panel(title, messages_html(self.messages[-MOST_MESSAGES:]), note=note))


class Ledger:
    """Append-only record of every crossing. Bytes, seconds and "who saw what" are questions to it, not book-keeping."""

    def __init__(self) -> None:
        self._messages: list[Message] = []
        self._head = GENESIS
        self._kept: deque[tuple[int, int]] = deque()
        self._kept_bytes = 0
        self._seconds: dict[str, float] = {}
        self._busy: dict[str, float] = {}
        self._inner = 0.0
        self._crossings: dict[tuple[str, str, str, bool], int] = {}
        self._lock = threading.Lock()

    def post(self, number: int, sender: str, receiver: str, kind: str, payload: Payload) -> Message:
        """Record that ``payload`` crossed from ``sender`` to ``receiver`` in round ``number``; returns the message."""
        return self.post_all(number, sender, [receiver], kind, payload)[0]

    def post_all(
        self, number: int, sender: str, receivers: Sequence[str], kind: str, payload: Payload
    ) -> list[Message]:
        """Record that the same ``payload`` crossed from ``sender`` to each of ``receivers``, one message each."""
        what = Crossing.of(payload)
        with self._lock:
            return self._record(number, kind, [(sender, receiver, what) for receiver in receivers])

    def post_each(self, number: int, receiver: str, kind: str, payloads: Mapping[str, Payload]) -> list[Message]:
        """Record what crossed to ``receiver`` from each sender: ``payloads`` are by sender."""
        each = [(sender, receiver, Crossing.of(payload)) for sender, payload in payloads.items()]
        with self._lock:
            return self._record(number, kind, each)

    def note(self, number: int, sender: str, receiver: str, kind: str, what: Crossing) -> Message:
        """Record something that crossed and was seen by others alone, as ``what`` they say of it."""
        with self._lock:
            return self._record(number, kind, [(sender, receiver, what)])[0]

    def _record(self, number: int, kind: str, crossed: Sequence[tuple[str, str, Crossing]]) -> list[Message]:
        """Messages for what crossed from whom to whom; whoever calls this holds the lock."""
        recorded = []
        for sender, receiver, what in crossed:
            encrypted, at = not what.peek.readable, len(self._messages)
            heads = at, number, sender, receiver, kind, what.nbytes, what.plain_nbytes, encrypted
            digest = digest_of(heads, what.seen, self._head)
            message = Message(*heads, what.peek, digest, self._head, what.payload, what.content)
            self._messages.append(message)
            recorded.append(message)
            self._head = digest
            self._crossings[kind, sender, receiver, encrypted] = at
            if what.payload is not None:
                self._kept.append((at, what.nbytes))
                self._kept_bytes += what.nbytes
        self._forget_oldest()
        return recorded

    def _forget_oldest(self) -> None:
        """Drop the oldest payloads, as many as memory has no room for."""
        while self._kept_bytes > KEPT_BYTES and len(self._kept) > 1:
            oldest, freed = self._kept.popleft()
            self._kept_bytes -= freed
            self._messages[oldest] = self._messages[oldest].without_payload()

    def enter(self, messages: Sequence[Message]) -> None:
        """Go on with what another ledger has recorded since; the chain tells whether it began as this one did.

        Raises:
            SettingError: they do not follow what is recorded here.
        """
        with self._lock:
            for message in messages:
                follows = (message.number, message.previous) == (len(self._messages), self._head)
                if not follows or digest_again(message) != message.digest:
                    raise SettingError(
                        f"Message {message.number} does not follow the {len(self._messages)} messages of this ledger.",
                        "Something is missing, added or altered between them.",
                        "Read the whole ledger anew, from its beginning.",
                    )
                self._messages.append(message)
                self._head = message.digest
                self._crossings[message.kind, message.sender, message.receiver, message.encrypted] = message.number

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the seconds of the enclosed work under ``name``; what an inner stage takes counts there alone."""
        began, inner = perf_counter(), self._inner
        self._inner = 0.0
        try:
            yield
        finally:
            spent = perf_counter() - began
            self._seconds[name] = self._seconds.get(name, 0.0) + spent - self._inner
            self._inner = inner + spent

    @contextmanager
    def elsewhere(self) -> Iterator[None]:
        """Something else goes on in the meantime, with stages of its own: its seconds count there alone."""
        began, inner = perf_counter(), self._inner
        try:
            yield
        finally:
            self._inner = inner + perf_counter() - began

    @contextmanager
    def busy(self, party: str) -> Iterator[None]:
        """Count the seconds of the enclosed work as spent by ``party``."""
        began = perf_counter()
        try:
            yield
        finally:
            self._busy[party] = self._busy.get(party, 0.0) + perf_counter() - began

    @contextmanager
    def busy_together(self, parties: Sequence[str]) -> Iterator[None]:
        """Count the seconds of work that was done for all ``parties`` at once as spent by each in equal parts."""
        began = perf_counter()
        try:
            yield
        finally:
            each = (perf_counter() - began) / max(len(parties), 1)
            for party in parties:
                self._busy[party] = self._busy.get(party, 0.0) + each

    @property
    def busy_seconds(self) -> Mapping[str, float]:
        """Seconds by party since the beginning, beside its rows."""
        return dict(self._busy)

    @property
    def messages(self) -> tuple[Message, ...]:
        """Every message so far, oldest first."""
        return tuple(self._messages)

    @property
    def crossings(self) -> tuple[tuple[str, str, str, bool], ...]:
        """Every distinct (kind, sender, receiver, encrypted) so far: what "who sees what" is computed from."""
        return tuple(self._crossings)

    def newest(self, kind: str, sender: str, receiver: str, encrypted: bool) -> Message | None:
        """The newest message of one of the ``crossings``; None where there was none."""
        number = self._crossings.get((kind, sender, receiver, encrypted))
        return None if number is None else self._messages[number]

    @property
    def seconds(self) -> Mapping[str, float]:
        """Seconds by stage since the beginning."""
        return dict(self._seconds)

    def traffic(self, since: int = 0) -> dict[str, Traffic]:
        """Messages and bytes by kind, from message number ``since`` on."""
        totals: dict[str, tuple[int, int, int, bool]] = {}
        for m in self._messages[since:]:
            messages, sent, plain, sealed = totals.get(m.kind, (0, 0, 0, False))
            totals[m.kind] = messages + 1, sent + m.nbytes, plain + m.plain_nbytes, sealed or m.encrypted
        return {kind: Traffic(*total) for kind, total in totals.items()}

    def seen_by(self, party: str) -> View:
        """All that ``party`` sent or received: its whole knowledge apart from its own rows and keys."""
        return View(party, tuple(m for m in self._messages if party in (m.sender, m.receiver)))

    def verify(self) -> bool:
        """True if no message is missing, added or altered, and every kept payload is the one that crossed.

        Payloads that were dropped to save memory are vouched for by their hash alone.
        """
        with self._lock:
            kept, messages, head = {number for number, _ in self._kept}, [*self._messages], self._head
        previous = GENESIS
        for number, message in enumerate(messages):
            if (message.number, message.previous) != (number, previous) or digest_again(message) != message.digest:
                return False
            if number in kept and (message.payload is None or content_of(body_of(message.payload)) != message.content):
                return False
            previous = message.digest
        return previous == head

    def __len__(self) -> int:
        return len(self._messages)

    def __repr__(self) -> str:
        total = sum(m.nbytes for m in self._messages)
        head = self._messages[-1].digest[:12] if self._messages else "empty"
        return f"Ledger({len(self._messages)} messages, {total:,} bytes, chain head {head})"

    def _repr_html_(self) -> str:
        size = bytes_text(sum(m.nbytes for m in self._messages))
        title = f"Ledger: {counted(len(self), 'message')}, {size}"
        note = "Append-only and chained by hashes: .verify() proves that nothing is missing, added or altered."
        head = pairs_html([("Head of the chain", code(f"{self._head[:32]}…")), ("Oldest kept payload", self._oldest())])
        return framed(panel(title, head + traffic_html(self.traffic()), note=note))

    def _oldest(self) -> str:
        return f"message {self._kept[0][0]}" if self._kept else "none"
