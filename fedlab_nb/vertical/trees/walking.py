"""Rows walk down the trees: the owner of the labels leads, and asks whose column comes next which way they go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.vertical.shared import Meeting, Mine
from fedlab_nb.vertical.trees.asking import Ask, Sides, answers, ask_all
from fedlab_nb.vertical.trees.forest import HANDLE, OWNER, Forest, read_labels_part
from fedlab_nb.vertical.trees.labels.growing import Desk

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

REACHED = "leaves"
NEXT = "what comes next"
# No tree any more; a tree; a tree, once rows have walked down those that are new to them.
ENDED, GROW, WALK = 0.0, 1.0, 2.0


class Walk:
    """Beside the rows of the owner of the labels: where each row (n,) is in each of the trees that are new to it."""

    def __init__(self, mine: Mine, forest: Forest) -> None:
        known, reached = mine.memory.get(REACHED, (forest.first(0), np.zeros((0, len(mine.frame)), dtype=np.int64)))
        done = known.alike(forest)
        self.forest, self._known, self._facts = forest, reached[:done], forest.nodes[done:]
        self.at: Ints = np.zeros((forest.trees - done, len(mine.frame)), dtype=np.int64)
        # By owner, the (tree, node) that it is asked about: rows may come to others of its nodes meanwhile.
        self._asked: dict[int, list[tuple[int, int]]] = {}

    def asks(self, owner: int) -> list[Ask]:
        """What to ask an owner: of all rows that have come to a node of its own, where they go."""
        nodes = self._asked[owner] = self._nodes(owner)
        return [Ask(int(self._facts[t, node, HANDLE]), np.flatnonzero(self.at[t] == node)) for t, node in nodes]

    def move(self, owner: int, sides: Sequence[Sides | None]) -> None:
        """Rows go on to the children, as the owner says."""
        for (tree, node), left in zip(self._asked.pop(owner), sides, strict=True):
            self.at[tree, self.at[tree] == node] = 2 * node + 2 - np.asarray(left, dtype=np.int64)

    def arrive(self, mine: Mine) -> None:
        """Keep which leaf each row has reached, for rounds to come."""
        if len(self.at):
            mine.memory[REACHED] = self.forest, np.concatenate([self._known, self.at])

    def _nodes(self, owner: int) -> list[tuple[int, int]]:
        """The (tree, node) where the column of this owner is asked, and some row is."""
        found = []
        for tree, here in enumerate(self.at):
            some = np.bincount(here, minlength=self._facts.shape[1]) > 0
            found += [(tree, int(node)) for node in np.flatnonzero(some & (self._facts[tree, :, OWNER] == owner))]
        return found

    def __repr__(self) -> str:
        return f"Walk(private, {len(self.at)} trees)"


def walk(at: Meeting, weights: Mapping[str, Floats], forest: Forest) -> None:
    """Rows walk down the trees of a forest; in those that they have been through they stay where they are.

    They go as far as they can before others are asked: of all trees together, and in as many messages to an owner as
    trees are deep at most. Afterwards ``scores`` has what it came to. ``forest`` is there for the owner of the labels
    alone, and of ``weights`` each owner looks at its own.
    """
    leader, place = at.labels_at, at.names.index(at.labels_at)
    going = at.own("walk", lambda mine: Walk(mine, forest), at=leader)

    def lead(mine: Mine) -> None:
        own = read_labels_part(weights[leader])[0]
        while asks := going.asks(place):
            going.move(place, answers(own, mine.X, asks, 0))

    ask_all(at, going, at.others, weights, lead)
    at.own("walk", lambda mine: going.arrive(mine), at=leader)  # noqa: PLW0108 - it is not there elsewhere


def next_in_round(mine: Mine, forest: Forest, *, ended: bool) -> Floats:
    """At the owner of the labels: whether a tree comes, and whether there are some that the rows have not been through.

    There are none, but after a restart, or on another course of the same run.
    """
    return np.array([ENDED if ended else WALK if len(Walk(mine, forest).at) else GROW])


def finish(mine: Mine, desk: Desk, forest: Forest) -> Forest:
    """The forest with the new trees; training rows are where growing has left them."""
    grown = forest.grown(desk.finish())
    reached = mine.memory[REACHED][1][: forest.trees] if forest.trees else desk.reached[:0]
    mine.memory[REACHED] = grown, np.concatenate([reached, desk.reached])
    return grown


def scores(mine: Mine, forest: Forest) -> Floats:
    """The scores (n, outputs) of rows that have walked down these trees, at the owner of the labels."""
    reached: Ints = mine.memory[REACHED][1] if forest.trees else np.zeros((0, len(mine.frame)), dtype=np.int64)
    return forest.scores(reached)
