"""The journal of a vault: entries that each carry the digest of all before, so that no edit goes unseen."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal

from fedlab_nb.cards import card, code, one_line
from fedlab_nb.errors import VaultError
from fedlab_nb.records import PrivacyEvent

Kind = Literal["opened", "debit", "begun", "answer"]
Row = tuple[int, float, str, str, bytes]
"""number, seconds since 1970, kind, body, digest"""

# JSON writes the quotes in names and purposes as \", so that this can be nothing but the number of the round.
_ROUND = re.compile(r'"round":\d+')


@dataclass(frozen=True)
class Entry:
    """One line of a vault's journal.

    ``opened``: a federation began to use an owner's data, with the budget agreed on, the way releases add up and the
    part of delta that is set aside for category lists; of those two the first line about the data counts for good.
    ``debit``: what an owner was about to release, written before it left; or, with the ``run`` in its facts, what a run
    may release whose plan was frozen. ``begun``: a release of such a plan, written before it left. ``answer``: a
    release that is kept, so that the same question is answered with it; ``facts`` holds its digest and the number of
    its first debit.
    """

    number: int
    at: float
    kind: Kind
    facts: Mapping[str, Any]
    digest: str

    @property
    def owner(self) -> str:
        """The name under which the data came; "" where none is meant."""
        return str(self.facts.get("owner", ""))

    @property
    def event(self) -> PrivacyEvent | None:
        """What a debit was for."""
        return PrivacyEvent(**self.facts["event"]) if self.kind == "debit" else None

    def __repr__(self) -> str:
        what = f", {self.facts['event']['purpose']!r}" if "event" in self.facts else ""
        return one_line(f"Entry({self.number}, {self.kind}{f' of {self.owner!r}' if self.owner else ''}{what})")

    def _repr_html_(self) -> str:
        when = datetime.fromtimestamp(self.at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        rows = [("Kind", self.kind), ("When", when), ("Owner", self.owner or "–")]
        rows += [("What", self.event.purpose), ("Protection", self.event.words)] if self.event is not None else []
        return card(f"Vault: line {self.number} of the journal", [*rows, ("Digest", code(self.digest))])


def chained(last: bytes, number: int, at: float, kind: str, body: str) -> bytes:
    """The digest (32 bytes) of an entry and of all before it, whose digest is ``last``."""
    return hashlib.sha256(last + f"{number} {at!r} {kind} {body}".encode()).digest()


def rows(last: bytes, number: int, entries: Iterable[tuple[Kind, str]]) -> list[Row]:
    """New lines after line ``number`` with digest ``last``; each entry is its kind and its body."""
    made: list[Row] = []
    for kind, body in entries:
        number, at = number + 1, time.time()
        last = chained(last, number, at, kind, body)
        made.append((number, at, kind, body, last))
    return made


def checked(name: str, last: bytes, number: int, found: Iterable[Row]) -> list[Row]:
    """The lines that come after line ``number`` with digest ``last``, each looked at: it is the one that was written.

    Raises:
        VaultError: naming the first line that is missing, added or was edited.
    """
    lines = []
    for row in found:
        number += 1
        if row[0] != number or chained(last, *row[:4]) != row[4]:
            raise broken(name, number)
        last = row[4]
        lines.append(row)
    return lines


def entry(row: Row) -> Entry:
    """A line as it is read."""
    return Entry(row[0], row[1], row[2], json.loads(row[3]), row[4].hex())  # type: ignore[arg-type]


body_of = json.JSONEncoder(separators=(",", ":")).encode
"""The body of a line as it is written: its facts as JSON."""


def event_of(event: PrivacyEvent) -> str:
    """A release as it is written into a body."""
    return body_of(vars(event))


def release_of(owner: str, data: str, held_out: float, event: str, **more: str) -> str:
    """The body of a debit of ``event`` (as ``event_of`` writes it) or of its beginning: ``body_of`` all of this."""
    head = f'{{"owner":{_word(owner)},"data":{_word(data)},"held_out":{_word(held_out)}'
    return head + f"{_EVENT}{event}{''.join([f',{_word(name)}:{_word(fact)}' for name, fact in more.items()])}}}"


def read_release(body: str) -> tuple[str, float, PrivacyEvent, str]:
    """What a debit's body says: the data, the share of it that is held out, the release, the run that is frozen."""
    # Quotes in names are written as \\", so that this can be nothing but the key.
    head, found, rest = body.partition(_EVENT)
    return (*_data(f"{head}}}"), *_release(f'{{"event":{rest}')) if found else (*_data(body), *_release(body))


_EVENT = ',"event":'
_FIRST = _EVENT + '{"round":'


@lru_cache(maxsize=2**15)
def _data(body: str) -> tuple[str, float]:
    facts = json.loads(body)
    return facts["data"], facts["held_out"]


@lru_cache(maxsize=1024)
def _release(body: str) -> tuple[PrivacyEvent, str]:
    facts = json.loads(body)
    return PrivacyEvent(**facts["event"]), facts.get("run", "")


@lru_cache(maxsize=2**15, typed=True)
def _word(fact: str | float) -> str:
    """A name or a number as JSON: the same few in most lines."""
    return body_of(fact)


def alike(body: str) -> str:
    """The body of a debit with round 0: most debits of a run differ in nothing else, which no account counts."""
    before, found, after = body.partition(_FIRST)  # where it is in all that event_of writes
    number, _, rest = after.partition(",")
    return f"{before}{found}0,{rest}" if number.isdecimal() else _ROUND.sub('"round":0', body, count=1)


def broken(name: str, number: int) -> VaultError:
    """The error for a journal whose line ``number`` is not the one that was written."""
    return VaultError(
        f"{name} is not as it was written: line {number} of its journal was edited, removed or added.",
        "What has been spent can no longer be told from it, so nothing is released on its word.",
        "Restore the file from a copy whose head the owners know, or let them agree on what was spent.",
    )
