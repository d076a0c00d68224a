"""Trees as arrays: what the owner of the labels keeps of them, and what it can tell from that alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.vertical.trees.columns.bins import Candidates

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

OWNER, HANDLE, VALUE, GAIN = range(4)
LEAF = -1.0
_HEAD = 3


@dataclass(frozen=True, eq=False, repr=False)
class Forest:
    """Trees of one ``depth``, ``len(base)`` of them a round: (trees, nodes, 4), each node with its four facts.

    Node i has the children 2 i + 1 (left) and 2 i + 2. OWNER is the place of the owner whose column is asked, or LEAF;
    HANDLE tells that owner what is asked; VALUE is what a leaf adds to a score; GAIN is what a split won. ``base`` is
    the score of each output before the first tree.
    """

    depth: int
    base: Floats
    nodes: Floats

    @classmethod
    def empty(cls, depth: int, base: Floats) -> Forest:
        """No tree yet."""
        return cls(depth, base, np.zeros((0, nodes_of(depth), 4)))

    @property
    def trees(self) -> int:
        """How many there are."""
        return int(self.nodes.shape[0])

    @property
    def rounds(self) -> int:
        """How many rounds they come from."""
        return self.trees // len(self.base)

    def grown(self, nodes: Floats) -> Forest:
        """With the trees of one more round."""
        return Forest(self.depth, self.base, np.concatenate([self.nodes, nodes]))

    def first(self, rounds: int) -> Forest:
        """The trees of the first rounds only."""
        return Forest(self.depth, self.base, self.nodes[: rounds * len(self.base)])

    def alike(self, other: Forest) -> int:
        """How many trees, from the first one on, divide rows as those of another forest do."""
        count = min(self.trees, other.trees) if self.depth == other.depth else 0
        same: NDArray[np.bool_] = (self.nodes[:count, :, :VALUE] == other.nodes[:count, :, :VALUE]).all(axis=(1, 2))
        return next((tree for tree in range(count) if not same[tree]), count)

    def scores(self, reached: Ints) -> Floats:
        """The scores (n, outputs) of rows from the leaf (trees, n) that each reached in every tree.

        They are added up tree by tree, so that equal trees give equal bits.
        """
        found = np.repeat(self.base[None], reached.shape[1], axis=0)
        for tree, leaves in enumerate(reached[: self.trees]):
            found[:, tree % len(self.base)] += self.nodes[tree, leaves, VALUE]
        return found

    def __repr__(self) -> str:
        return f"Forest({self.trees} trees of depth {self.depth})"


def nodes_of(depth: int) -> int:
    """The nodes of a full tree, leaves included."""
    return (2 << depth) - 1


def part_of_labels(own: Candidates, forest: Forest) -> Floats:
    """The part of the model that the owner of the labels keeps: its candidates and the trees, flat."""
    head = [len(own), forest.depth, len(forest.base)]
    return np.concatenate([head, own.table.ravel(), forest.base, forest.nodes.ravel()])


def read_labels_part(flat: Floats) -> tuple[Candidates, Forest]:
    """The candidates of the owner of the labels, and the trees, from its part of the model."""
    count, depth, outputs = (int(number) for number in flat[:_HEAD])
    start = _HEAD + 3 * count
    base = flat[start : start + outputs]
    nodes = flat[start + outputs :].reshape(-1, nodes_of(depth), 4)
    return Candidates.of(flat[_HEAD:start]), Forest(depth, base, nodes)
