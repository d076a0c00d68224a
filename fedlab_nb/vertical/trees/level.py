"""One level of the trees of a round: sums of gradients come together, nodes take their best split, rows go on."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.channel.products import ProductSession
from fedlab_nb.vertical.shared import Meeting, Mine
from fedlab_nb.vertical.trees.asking import answers, ask
from fedlab_nb.vertical.trees.columns.bins import Candidates
from fedlab_nb.vertical.trees.exchange import sums_of
from fedlab_nb.vertical.trees.labels.growing import Desk

Floats = NDArray[np.float64]


def grow_level(
    at: Meeting, session: ProductSession, desk: Desk, candidates: Mapping[str, Candidates], level: int, least: int
) -> None:
    """The nodes of a level are divided by the best of all ``candidates``, each of which only its owner looks at.

    ``least`` is how many rows go either way at least.
    """
    leader = at.labels_at
    at.own("level", lambda _: desk.descend(level), at=leader)
    if not desk.here:
        return
    for name, own in candidates.items():
        if name == leader:
            _sum_here(at, desk, own)
        else:
            sums_of(at, session, desk, level, name, own)
    owners = [at.names.index(name) for name in candidates]
    at.own("splits", lambda _: desk.choose(owners), at=leader)
    attempt = 1
    while desk.waiting:  # again where an owner has kept its answer back: the next best candidate
        for name, own in candidates.items():
            _divide(at, desk, name, own, f"level {level + 1}, attempt {attempt}", least)
        at.own("splits", lambda _: desk.choose(owners), at=leader)
        attempt += 1


def own_sums(own: Candidates, X: Floats, desk: Desk) -> Floats:
    """The sums (2, k, c) of candidates that lie with the owner of the labels: nothing has to be sealed for them."""
    columns = desk.columns()
    found = own.sums(X, columns.reshape(len(columns), -1))
    return np.moveaxis(found.reshape(-1, 2, len(own)), 1, 0)


def _sum_here(at: Meeting, desk: Desk, own: Candidates) -> None:
    place = at.names.index(at.labels_at)
    at.own("sums of gradients", lambda mine: desk.take(place, own_sums(own, mine.X, desk)), at=at.labels_at)


def _divide(at: Meeting, desk: Desk, name: str, own: Candidates, when: str, least: int) -> None:
    """The owner ``name`` says who goes left, of nodes that took a candidate of its own."""
    owner = at.names.index(name)
    if not desk.asks(owner):
        return
    if name == at.labels_at:

        def move(mine: Mine) -> None:
            desk.move(owner, answers(own, mine.X, desk.asks(owner), least))

        at.own("splits", move, at=name)
        return
    read = ask(at, name, lambda _: desk.asks(owner), own, when, least)
    at.own("splits", lambda mine: desk.move(owner, read(mine)), at=at.labels_at)
