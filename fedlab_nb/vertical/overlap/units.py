"""Both owners' gradients in one round of transfer learning, unit by unit, each at the weights before.

In three stages, in which all units and both directions go together: pieces, products, what is opened (see sums.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.channel import Opaque
from fedlab_nb.parties import Rows
from fedlab_nb.parties.columns.road import own
from fedlab_nb.vertical.overlap.labels import all_labelled, beside_labels
from fedlab_nb.vertical.overlap.sides import Side, labelled, side
from fedlab_nb.vertical.overlap.sums import Sums, opened_sums, session_of
from fedlab_nb.vertical.shared import Meeting, Mine

Floats = NDArray[np.float64]
Came = Sequence[tuple[Sums, Opaque]]
"""At an owner: each unit's trip, and what came back of it."""

_SIDE = "side"


@dataclass(frozen=True)
class Units:
    """The gradients in the round ``at``, of ``width`` units; ``inputs`` is how many each owner has.

    Only the two owners know ``inputs``, and only their lines use it.
    """

    at: Meeting
    width: int
    closeness: float
    inputs: Mapping[str, int]

    def opened(self, weights: Mapping[str, Floats]) -> dict[str, Came]:
        """For each owner what it makes its ``gradient`` of; only an owner's own lines use its ``weights``."""
        at, (other,) = self.at, self.at.others
        own(at.federation, "representation", partial(self._labelled, weights[at.labels_at]), at=at.labels_at)
        at.own("representation", partial(self._side, weights[other]), at=other)
        # First what the owner of the labels gets: scores begin with it, and it need not wait for the other to end.
        trips = [
            *self._trips(other, at.labels_at, bound=1.0),
            *self._trips(at.labels_at, other, bound=0.5 + self.closeness),
        ]
        came = list(zip(trips, opened_sums(at, trips), strict=True))
        return {name: [each for each in came if each[0].taker == name] for name in at.names}

    def gradient(self, mine: Mine, came: Came) -> Floats:
        """At an owner: its gradient (d, width) of the mean loss, without the penalty."""
        here: Side = mine.memory[_SIDE]
        sums = [trip.take(mine, shown) + here.own(k, self.closeness) for k, (trip, shown) in enumerate(came)]
        return np.column_stack(sums) / self.at.rows

    def _trips(self, giver: str, taker: str, *, bound: float) -> list[Sums]:
        """What the gradient of ``taker`` takes of the other owner."""
        session = session_of(self.at, giver)
        return [
            Sums(
                self.at,
                session,
                taker,
                f"gradient of {taker}, unit {k + 1}",
                rows=self.at.rows + self.width,
                width=self.inputs[taker],
                given=partial(self._given, k),
                taken=partial(self._taken, k),
                bound=bound,
            )
            for k in range(self.width)
        ]

    def _given(self, k: int, mine: Mine) -> Floats:
        here: Side = mine.memory[_SIDE]
        return here.given(k, self.closeness)

    def _taken(self, k: int, mine: Mine) -> Floats:
        here: Side = mine.memory[_SIDE]
        return here.taken(k, self.closeness)

    def _side(self, flat: Floats, mine: Mine) -> None:
        mine.memory[_SIDE] = side(mine.X, flat.reshape(-1, self.width))

    def _labelled(self, flat: Floats, rows: Rows) -> None:
        mine = beside_labels(self.at, rows)
        every = all_labelled(mine, rows, self.at.setup)
        mine.memory[_SIDE] = labelled(mine.X, 2.0 * mine.y - 1.0, *every, flat.reshape(-1, self.width)[:-1])
