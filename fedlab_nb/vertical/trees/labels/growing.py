"""The desk of the owner of the labels while the trees of one round grow; nothing on it leaves that owner as it is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.vertical.trees.asking import Ask, Sides
from fedlab_nb.vertical.trees.forest import HANDLE, LEAF, OWNER, VALUE, nodes_of
from fedlab_nb.vertical.trees.labels.gradients import Gradients
from fedlab_nb.vertical.trees.labels.splits import Penalty, gains, leaf_value

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Node = tuple[int, int]
"""The tree of the round, and the node in it."""


class Desk:
    """Trees of one round, one for each output, that grow level by level.

    ``reached`` (trees, n) has the node where each row is; ``here`` the nodes of this level that may be divided, with
    their rows; ``waiting`` those of them whose rows do not know yet where to go.
    """

    def __init__(self, slopes: Gradients, depth: int, lr: float, penalty: Penalty, min_rows: int) -> None:
        _, rows, trees = slopes.values.shape
        self._slopes, self._lr, self._penalty, self._min_rows = slopes, lr, penalty, min_rows
        self.nodes = np.zeros((trees, nodes_of(depth), 4))
        self.nodes[:, :, OWNER] = LEAF
        self.reached: Ints = np.zeros((trees, rows), dtype=np.int64)
        self.here: dict[Node, Ints] = {}
        self.asked: list[Node] = []
        self.waiting: list[Node] = []
        # By node and owner: the sums of g and h (2, c) of the rows that each candidate sends left.
        self._sums: dict[Node, dict[int, Floats]] = {}
        self._refused: dict[tuple[Node, int], list[int]] = {}

    def descend(self, level: int) -> None:
        """Go to a level: which nodes have rows enough to be divided, and of which of them sums are asked for.

        Of two such children the one with fewer rows: the sums of the other follow from those of their parent.
        """
        first = 2**level - 1
        every = [(tree, node) for tree in range(len(self.nodes)) for node in range(first, 2 * first + 1)]
        rows = {node: np.flatnonzero(self.reached[node[0]] == node[1]) for node in every}
        self.here = {node: places for node, places in rows.items() if len(places) >= 2 * self._min_rows}
        pairs = {node: [each for each in (node, _sibling(node)) if each in self.here] for node in self.here}
        fewest = {node: min(pair, key=lambda each: (len(rows[each]), each)) for node, pair in pairs.items()}
        self.asked = sorted(set(fewest.values()))
        self.waiting = list(self.here)

    def columns(self) -> Floats:
        """The gradients of each node that is asked about, as they are sealed, (n, k, 2): 0 for rows elsewhere."""
        found = np.zeros((self.reached.shape[1], len(self.asked), 2))
        for place, node in enumerate(self.asked):
            rows = self.here[node]
            found[rows, place] = self._slopes.values[:, rows, node[0]].T
        scaled: Floats = np.ldexp(found, -np.array(self._slopes.shifts))
        return scaled

    def take(self, owner: int, lanes: Floats) -> None:
        """What an owner's candidates make of ``columns``, (2, k, c); siblings have their parent's sums less these."""
        sums = np.ldexp(lanes, np.array(self._slopes.shifts)[:, None, None])
        for place, node in enumerate(self.asked):
            self._sums.setdefault(node, {})[owner] = sums[:, place]
        for node in self.here.keys() - set(self.asked):
            parent, sibling = (node[0], (node[1] - 1) // 2), _sibling(node)
            self._sums.setdefault(node, {})[owner] = self._sums[parent][owner] - self._sums[sibling][owner]

    def choose(self, owners: Sequence[int]) -> None:
        """Each waiting node takes the best candidate of these owners, the first one of equals; or becomes a leaf."""
        for node in list(self.waiting):
            gain, owner, handle = max((self._best(node, owner) for owner in owners), key=lambda each: each[0])
            if gain > 0.0:
                self.nodes[node] = owner, handle, 0.0, gain
            else:
                self.nodes[node] = LEAF, 0.0, 0.0, 0.0
                self.waiting.remove(node)

    def asks(self, owner: int) -> list[Ask]:
        """What to ask an owner whose candidates were taken: who goes left."""
        return [Ask(int(self.nodes[(*node, HANDLE)]), self.here[node]) for node in self._taken(owner)]

    def move(self, owner: int, sides: Sequence[Sides | None]) -> None:
        """Rows go to the children; a candidate that its owner kept back is not taken again in this node."""
        for node, left in zip(self._taken(owner), sides, strict=True):
            if left is None:
                self._refused.setdefault((node, owner), []).append(int(self.nodes[(*node, HANDLE)]))
            else:
                self.reached[node[0], self.here[node]] = np.where(left, 2 * node[1] + 1, 2 * node[1] + 2)
                self.waiting.remove(node)

    def finish(self) -> Floats:
        """The trees (trees, nodes, 4), each leaf with its value."""
        for tree in range(len(self.nodes)):
            for leaf in np.unique(self.reached[tree]):
                rows = np.flatnonzero(self.reached[tree] == leaf)
                total = self._slopes.values[:, rows, tree].sum(axis=1)
                self.nodes[tree, leaf, VALUE] = leaf_value(total, self._lr, self._penalty)
        return self.nodes

    def _taken(self, owner: int) -> list[Node]:
        return [node for node in self.waiting if self.nodes[(*node, OWNER)] == owner]

    def _best(self, node: Node, owner: int) -> tuple[float, int, int]:
        """(gain, owner, handle) of an owner's best candidate."""
        sums = self._sums[node][owner]
        if not sums.shape[1]:
            return -np.inf, owner, 0
        total = self._slopes.values[:, self.here[node], node[0]].sum(axis=1)
        found = gains(sums, total, self._penalty)
        found[self._refused.get((node, owner), [])] = -np.inf
        handle = int(np.argmax(found))
        return float(found[handle]), owner, handle

    def __repr__(self) -> str:
        return f"Desk(private, {len(self.nodes)} trees)"


def _sibling(node: Node) -> Node:
    return node[0], node[1] + 1 if node[1] % 2 else node[1] - 1
