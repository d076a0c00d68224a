"""The owners' side of scoring: a model's counts on the rows that each owner holds out."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.horizontal.prepare import Setup, encoded
from fedlab_nb.learn import Learner, Scorecard
from fedlab_nb.parties import Rows
from fedlab_nb.records import Update

Floats = NDArray[np.float64]


class Counting:
    """Counts of the model ``weights`` (d,) on held-out rows, for one owner's rows or for those of several at once.

    With ``personal`` models (d,) by owner, each owner's counts are followed by those of its own model: it counts with
    the common one until it has one. ``shape`` makes a count fit for its sum.
    """

    def __init__(
        self,
        card: Scorecard,
        learner: Learner,
        setup: Setup,
        weights: Floats,
        *,
        personal: Mapping[str, Floats] | None = None,
        shape: Callable[[Floats], Floats] = lambda counts: counts,
    ) -> None:
        self.card, self._learner, self._setup, self._weights = card, learner, setup, weights
        self._personal, self._shape = personal, shape
        self.counts: dict[str, Floats] = {}

    @property
    def at_once(self) -> bool:
        """True if rows of several owners can go through the model together without touching each other."""
        return self._learner.stacks

    def __call__(self, name: str, rows: Rows) -> Update:
        """The counts of one owner."""
        return self.together({name: rows})[name]

    def together(self, rows: Mapping[str, Rows]) -> dict[str, Update]:
        """The counts of each owner, with weight 1; they are kept in ``counts`` as well, beside the rows."""
        data = {name: encoded(own, self._setup.encoding, "held_out") for name, own in rows.items()}
        found = self._count(data)
        if self._personal:
            for name, own in data.items():
                counts = self._count({name: own}, self._personal.get(name))[name]
                found[name] = np.concatenate([found[name], counts])
        self.counts |= found
        return {name: Update(self._shape(counts), 1.0) for name, counts in found.items()}

    def _count(
        self, data: Mapping[str, tuple[NDArray[np.float32], NDArray[np.generic]]], weights: Floats | None = None
    ) -> dict[str, Floats]:
        rows = [len(X) for X, _ in data.values()]
        if not sum(rows):
            return {name: np.zeros(self.card.size) for name in data}
        whole, truth = (np.concatenate([own[part] for own in data.values()]) for part in (0, 1))
        outputs = self._learner.scores(self._weights if weights is None else weights, whole)
        return dict(zip(data, self.card.count_each(outputs, truth, rows), strict=True))
