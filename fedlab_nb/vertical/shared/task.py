"""What the owner of the labels tells all parties before the first round: what is predicted, over how many rows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from fedlab_nb.crypto.seal import SERVER
from fedlab_nb.data.encoding import CategoryCode, NumberCode
from fedlab_nb.errors import RoundError
from fedlab_nb.parties import Federation
from fedlab_nb.parties.columns.road import send
from fedlab_nb.places import here
from fedlab_nb.records.schema import Task
from fedlab_nb.vertical.shared.meeting import classes_of, task_of

_SAID = re.compile(r"[a-z]+, (\d{1,9}) classes, (\d{1,12}) rows to train on, (\d{1,12}) to score")

Known = tuple[CategoryCode | NumberCode, int, int]
"""At the owner of the labels: how it reads them, and the rows in common to train on, and to score."""


class Told(NamedTuple):
    """The same, as all parties know it."""

    task: Task
    outputs: int
    rows: int
    held_out: int


def told_to_all(federation: Federation, labels_at: str, known: Known, openers: Sequence[str]) -> Told:
    """What every party is told, whoever opens sums (``openers``) among them; classes by their number alone."""
    others = tuple(name for name in federation.names if name != labels_at)
    texts = [
        send(federation, "task", partial(_words, known), number=0, sender=labels_at, to=name)
        for name in (SERVER, *others, *openers)
    ]
    return _read(here(texts), labels_at)


def _words(known: Known, _: object) -> str:
    code, rows, held_out = known
    classes = len(classes_of(code))
    return f"{task_of(classes)[0]}, {classes} classes, {rows} rows to train on, {held_out} to score"


def _read(text: str, sender: str) -> Told:
    found = _SAID.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise RoundError(
            sender,
            "start",
            f"{sender!r} did not say what is to be predicted, and over how many rows.",
            "All that follows depends on it, at every party.",
            "Ask who runs that site which code it runs.",
        )
    classes, rows, held_out = map(int, found.groups())
    return Told(*task_of(classes), rows, held_out)
