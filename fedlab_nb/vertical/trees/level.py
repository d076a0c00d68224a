"""One level of the trees of a round: sums of gradients come together, nodes take their best split, rows go on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.channel.products import ProductSession
from fedlab_nb.places import NotHere
from fedlab_nb.vertical.shared import Meeting, Mine
from fedlab_nb.vertical.trees.asking import answers, ask_all
from fedlab_nb.vertical.trees.columns.bins import Candidates
from fedlab_nb.vertical.trees.exchange import take_sums
from fedlab_nb.vertical.trees.forest import read_labels_part
from fedlab_nb.vertical.trees.labels.growing import Desk

Floats = NDArray[np.float64]
NODES = "number of nodes"


@dataclass(frozen=True)
class Growth:
    """What the levels of a round have in common.

    ``desk`` is there for the owner of the labels alone, and of ``weights`` each owner looks at its own; ``least`` is
    how many rows go either way at least.
    """

    at: Meeting
    session: ProductSession
    desk: Desk
    weights: Mapping[str, Floats]
    least: int

    def level(self, level: int, counts: Mapping[str, int]) -> dict[str, int]:
        """The nodes of a level are divided by the best candidate: of the labels' owner, or of those in ``counts``.

        ``counts`` has, by owner, how many candidates it has, which it and the owner of the labels know.

        Returns:
            The same for those to whom another level may come.
        """
        at, desk, leader, when = self.at, self.desk, self.at.labels_at, f", level {level + 1}"
        at.own("level", lambda _: desk.descend(level), at=leader)
        told = {
            name: at.send(f"{NODES}{when}", lambda _: np.array([float(len(desk.asked))]), sender=leader, to=name)
            for name in counts
        }
        nodes = {name: int(found[0]) for name, found in told.items() if not isinstance(found, NotHere)}
        going = {name: counts[name] for name, found in nodes.items() if found}
        at.own("sums of gradients", self._sum_here, at=leader)
        sizes = {name: (nodes[name], count) for name, count in going.items()}
        take_sums(at, self.session, desk, sizes, self.weights, f"gradients{when}")
        owners = [at.names.index(name) for name in (leader, *going)]

        def settle(mine: Mine) -> None:
            """Nodes take a split; those that take one of this owner's are divided, or take another."""
            desk.choose(owners)
            while asks := desk.asks(owners[0]):
                desk.move(owners[0], answers(self._own(), mine.X, asks, self.least))
                desk.choose(owners)

        ask_all(at, desk, going, self.weights, settle, when, self.least)
        return going

    def _sum_here(self, mine: Mine) -> None:
        if self.desk.asked:
            self.desk.take(self.at.names.index(mine.name), own_sums(self._own(), mine.X, self.desk))

    def _own(self) -> Candidates:
        """At the owner of the labels: its candidates."""
        return read_labels_part(self.weights[self.at.labels_at])[0]


def own_sums(own: Candidates, X: Floats, desk: Desk) -> Floats:
    """The sums (2, k, c) of candidates that lie with the owner of the labels: nothing has to be sealed for them."""
    columns = desk.columns()
    found = own.sums(X, columns.reshape(len(columns), -1))
    return np.moveaxis(found.reshape(-1, 2, len(own)), 1, 0)
