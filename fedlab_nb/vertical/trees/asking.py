"""The one question that others are asked in the clear: which of these rows does this candidate of yours send left?

The owner of the labels sends the handle and the rows' places; who is asked learns that these rows are together in a
node, and answers with a 0 or 1 for each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.vertical.shared import Meeting, Mine
from fedlab_nb.vertical.trees.columns.bins import Candidates

Floats = NDArray[np.float64]
Places = NDArray[np.int64]
Sides = NDArray[np.bool_]

ASKED, ANSWERED = "rows of nodes", "left or right"
_REFUSED = -1.0


class Ask(NamedTuple):
    """A candidate, and the places of the rows that it is to divide."""

    handle: int
    places: Places


def ask(
    at: Meeting, name: str, asks: Callable[[Mine], Sequence[Ask]], own: Candidates, when: str, least: int = 0
) -> Callable[[Mine], list[Sides | None]]:
    """What the owner of the labels reads in the answer of ``name``, for each of its ``asks`` (n,), in order.

    None where fewer than ``least`` rows would be on one side: ``name`` keeps such an answer back. ``own`` are the
    candidates of ``name``, which only it looks at.
    """
    asked = at.send(f"{ASKED}, {when}", lambda mine: _packed(asks(mine)), sender=at.labels_at, to=name)
    told = at.send(
        f"{ANSWERED}, {when}", lambda mine: _told(answers(own, mine.X, _unpacked(asked), least)), sender=name,
        to=at.labels_at,
    )  # fmt: skip
    return lambda mine: _read(told, asks(mine))


def answers(own: Candidates, X: Floats, asks: Sequence[Ask], least: int) -> list[Sides | None]:
    """Beside the rows of the owner that is asked: who goes left, or None where that would be about too few rows."""
    found: list[Sides | None] = []
    for handle, places in asks:
        left = own.left(X[places], [handle])[:, 0]
        few = min(int(left.sum()), int((~left).sum())) < least
        found.append(None if few else left)
    return found


def _packed(asks: Sequence[Ask]) -> Floats:
    parts = [np.array([ask.handle, len(ask.places), *ask.places], dtype=np.float64) for ask in asks]
    return np.concatenate(parts) if parts else np.zeros(0)


def _unpacked(numbers: Floats) -> list[Ask]:
    found, start = [], 0
    while start < len(numbers):
        handle, count = int(numbers[start]), int(numbers[start + 1])
        found.append(Ask(handle, numbers[start + 2 : start + 2 + count].astype(np.int64)))
        start += 2 + count
    return found


def _told(sides: Sequence[Sides | None]) -> NDArray[np.float32]:
    parts = [np.array([_REFUSED]) if each is None else each for each in sides]
    return np.concatenate(parts).astype(np.float32) if parts else np.zeros(0, dtype=np.float32)


def _read(told: NDArray[np.float32], asks: Sequence[Ask]) -> list[Sides | None]:
    found: list[Sides | None] = []
    start = 0
    for ask in asks:
        kept_back = told[start] == _REFUSED
        count = 1 if kept_back else len(ask.places)
        found.append(None if kept_back else told[start : start + count] > 0)
        start += count
    return found
