"""Rows walk down the trees: the owner of the labels leads, and asks whose column comes next which way they go."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.records import State
from fedlab_nb.vertical.shared import Meeting, Mine
from fedlab_nb.vertical.trees.asking import Ask, Sides, answers, ask
from fedlab_nb.vertical.trees.columns.bins import Candidates
from fedlab_nb.vertical.trees.forest import HANDLE, OWNER, Forest, read_labels_part

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

REACHED = "leaves"


class Walk:
    """Beside the rows of the owner of the labels: where each row (n,) is in each of the trees that are new to it."""

    def __init__(self, mine: Mine, forest: Forest) -> None:
        known, reached = mine.memory.get(REACHED, (forest.first(0), np.zeros((0, len(mine.frame)), dtype=np.int64)))
        self.done = known.alike(forest)
        self.forest, self._known = forest, reached[: self.done]
        self.at: Ints = np.zeros((forest.trees - self.done, len(mine.frame)), dtype=np.int64)

    def nodes(self, level: int, owner: int) -> list[tuple[int, int]]:
        """The (tree, node) of a level where the column of this owner is asked, and some row is."""
        first = 2**level - 1
        facts = self.forest.nodes[self.done :, first : 2 * first + 1]
        here = np.argwhere(facts[:, :, OWNER] == owner)
        return [(int(t), int(n) + first) for t, n in here if (self.at[t] == n + first).any()]

    def asks(self, level: int, owner: int) -> list[Ask]:
        """What to ask an owner at a level, in the order of ``nodes``."""
        facts = self.forest.nodes[self.done :]
        return [Ask(int(facts[t, n, HANDLE]), np.flatnonzero(self.at[t] == n)) for t, n in self.nodes(level, owner)]

    def move(self, level: int, owner: int, sides: list[Sides | None]) -> None:
        """Rows go on to the children, as the owner says."""
        for (tree, node), left in zip(self.nodes(level, owner), sides, strict=True):
            self.at[tree, self.at[tree] == node] = 2 * node + 2 - np.asarray(left, dtype=np.int64)

    def arrive(self, mine: Mine) -> None:
        """Keep which leaf each row has reached, for rounds to come."""
        if len(self.at):
            mine.memory[REACHED] = self.forest, np.concatenate([self._known, self.at])

    def __repr__(self) -> str:
        return f"Walk(private, {len(self.at)} trees)"


def walk(at: Meeting, state: State, rounds: int) -> None:
    """Rows walk down the trees of the first ``rounds``; those of trees that they have been through stay where they are.

    In a level every owner is asked once, about all trees together. Afterwards ``scores`` has what it came to.
    """
    leader = at.labels_at
    going = at.own("walk", lambda mine: Walk(mine, read_labels_part(state.weights[leader])[1].first(rounds)), at=leader)
    for level in range(going.forest.depth):
        for name in at.names:
            _step(at, state, going, level, name)
    at.own("walk", going.arrive, at=leader)


def _step(at: Meeting, state: State, going: Walk, level: int, name: str) -> None:
    """Rows whose next question is about a column of ``name`` go one level down."""
    leader, owner = at.labels_at, at.names.index(name)
    if not going.nodes(level, owner):
        return
    if name == leader:
        own = read_labels_part(state.weights[leader])[0]

        def move(mine: Mine) -> None:
            going.move(level, owner, answers(own, mine.X, going.asks(level, owner), 0))

        at.own("walk", move, at=leader)
        return
    theirs = Candidates.of(state.weights[name])
    read = ask(at, name, lambda _: going.asks(level, owner), theirs, f"level {level + 1}")
    at.own("walk", lambda mine: going.move(level, owner, read(mine)), at=leader)


def scores(mine: Mine, forest: Forest) -> Floats:
    """The scores (n, outputs) of rows that have walked down these trees, at the owner of the labels."""
    reached: Ints = mine.memory[REACHED][1] if forest.trees else np.zeros((0, len(mine.frame)), dtype=np.int64)
    return forest.scores(reached)
