"""What the server's process tells whoever watches a run: lines of its log, which Flower keeps and passes on.

Each line is one piece of a record: its number, which piece of how many, and text. A log can be read again from its
beginning, so that a notebook may come and go.
"""

from __future__ import annotations

import base64
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from fedlab_nb.flower.codec import Allowed, decode, encode
from fedlab_nb.parties.columns.alignment import Alignment
from fedlab_nb.privacy import Statement
from fedlab_nb.records import Message, Round

_PIECE = 12_000
_LINE = re.compile(r"FEDLAB (\d+) (\d+)/(\d+) (\S+)\s*$")


@dataclass(frozen=True)
class Began:
    """A run has begun: what owners said of themselves, and by party whose identities it had not noted beforehand.

    ``agreement`` is the digest of what all of them agreed on: a project with another one would tell untruths of it.
    """

    agreement: str
    introductions: tuple[Any, ...]
    unknown: dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class Linked:
    """Owners without a common id have linked their rows: how many, and how sure the links are."""

    alignment: Alignment


Spent = dict[str, Statement]


@dataclass(frozen=True)
class Played:
    """A round: its record, what crossed in it, and what each owner's data has given away with it.

    ``context`` is that of the record's state, told when it changes, and else None.
    """

    record: Round
    context: object
    messages: tuple[Message, ...]
    spent: Spent
    trips: int


@dataclass(frozen=True)
class Answered:
    """An answer to a question under its name, as plain data (see ``survey``); the rest is as of a round.

    ``name`` is None where something crossed and no answer came of it.
    """

    name: str | None
    answer: Any
    messages: tuple[Message, ...]
    spent: Spent
    trips: int


@dataclass(frozen=True)
class Unasked:
    """Questions, each as it was agreed on, that the function never asked, although it came to its end."""

    questions: tuple[str, ...]


@dataclass(frozen=True)
class Predicted:
    """The owner of the labels has its predictions of so many ``rows`` in common; None where none came about.

    The rest is as of a round; no prediction is told to anybody.
    """

    rows: int | None
    messages: tuple[Message, ...]
    spent: Spent
    trips: int


@dataclass(frozen=True)
class Ended:
    """No further round will come; ``error`` says why, where it was no good end."""

    error: Exception | None = None


News = Began | Linked | Played | Answered | Unasked | Predicted | Ended


def lines(number: int, news: News, allowed: Allowed) -> list[str]:
    """The lines for the piece of news with this number."""
    text = base64.b85encode(zlib.compress(encode(news, allowed))).decode()
    pieces = [text[at : at + _PIECE] for at in range(0, len(text), _PIECE)]
    return [f"FEDLAB {number} {i}/{len(pieces)} {piece}" for i, piece in enumerate(pieces, 1)]


def read(log: Iterable[str], allowed: Allowed) -> Iterator[News]:
    """The news in a log, in order, each as soon as it is complete; other lines are left out."""
    pieces: list[str] = []
    for line in log:
        found = _LINE.search(line)
        if found is None:
            continue
        pieces = pieces if int(found[2]) > 1 else []
        pieces.append(found[4])
        if int(found[2]) == int(found[3]) == len(pieces):
            news = decode(zlib.decompress(base64.b85decode("".join(pieces))), allowed)
            if isinstance(news, News):
                yield news
