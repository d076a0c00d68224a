"""The one question that others are asked in the clear: which of these rows does this candidate of yours send left?

The owner of the labels sends handles and rows' places; who is asked learns that these rows are together in a node, and
answers with a 0 or 1 for each. An owner is sent something only when it is asked, and in the end a message without rows:
so it does not learn how often others were asked.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.places import NotHere
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


_Asks = Mapping[str, Sequence[Ask]]


class Asking(Protocol):
    """At the owner of the labels: what has to be asked, and what becomes of the answers."""

    def asks(self, owner: int) -> Sequence[Ask]:
        """What to ask the owner at this place now."""

    def move(self, owner: int, sides: Sequence[Sides | None]) -> None:
        """Rows go on as this owner says, of its ``asks`` in order; None if it has kept an answer back."""


def ask_all(
    at: Meeting,
    asking: Asking,
    names: Collection[str],
    weights: Mapping[str, Floats],
    settle: Callable[[Mine], None],
    when: str = "",
    least: int = 0,
) -> None:
    """The owner of the labels asks the owners ``names`` until there is nothing left to ask, all of them at once.

    ``settle`` is its own part of the work, beside its rows, before it asks and after each round of answers. An owner
    keeps back an answer by which fewer than ``least`` rows would be on one side. ``asking`` is there for the owner of
    the labels alone, and of ``weights`` each owner looks at its own.
    """
    leader, places = at.labels_at, {name: at.names.index(name) for name in names}
    asked, answered, talking = f"{ASKED}{when}", f"{ANSWERED}{when}", [*names]

    def take(mine: Mine, asks: _Asks, told: Mapping[str, NDArray[np.float32]]) -> None:
        for name, sides in told.items():
            asking.move(places[name], _read(sides, asks[name]))
        settle(mine)

    at.own(asked, settle, at=leader)
    while talking:
        asks = at.own(asked, lambda _: {name: asking.asks(place) for name, place in places.items()}, at=leader)
        # The others do not know when it is their turn: they wait for what is sent to them next.
        called = talking if isinstance(asks, NotHere) else _called(talking, asks)
        came = {name: at.send(asked, partial(_asked, asks, name), sender=leader, to=name) for name in called}
        answering = [name for name, rows in came.items() if not isinstance(rows, NotHere) and len(rows)]
        told = {
            name: at.send(answered, partial(_answered, came[name], weights, least), sender=name, to=leader)
            for name in answering
        }
        at.own(answered, partial(take, asks=asks, told=told), at=leader)
        talking = [name for name in talking if name not in called or name in answering]


def _called(talking: list[str], asks: _Asks) -> list[str]:
    """Who is asked now; all, if nobody has to be: they are told so."""
    return [name for name in talking if asks[name]] or talking


def _asked(asks: _Asks, name: str, _: Mine) -> Floats:
    """At the owner of the labels: what it asks of another one."""
    return _packed(asks[name])


def _answered(came: Floats, weights: Mapping[str, Floats], least: int, mine: Mine) -> NDArray[np.float32]:
    """At an owner that is asked."""
    return _told(answers(Candidates.of(weights[mine.name]), mine.X, _unpacked(came), least))


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
