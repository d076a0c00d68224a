"""The owners' side of a round at row level: one step, on the sum of the rows' clipped gradients."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.horizontal.prepare import Setup, encoded
from fedlab_nb.learn import Job, Learner
from fedlab_nb.parties import Federation, Rows
from fedlab_nb.protect import RowLevelDP, row_lot
from fedlab_nb.records import Update

Floats = NDArray[np.float64]


class Clipped:
    """The sum of each owner's clipped row gradients, as the channel calls for it: for one owner, or several at once.

    Its weight is 1, and so public; the number of rows is not.
    """

    def __init__(self, learner: Learner, setup: Setup, federation: Federation, number: int, weights: Floats) -> None:
        self._learner, self._setup, self._federation = learner, setup, federation
        self._number, self._weights = number, weights
        self._places = {name: place for place, name in enumerate(setup.owners)}
        protect = federation.house.protect
        assert isinstance(protect, RowLevelDP)
        self._protect = protect

    @property
    def at_once(self) -> bool:
        """True if the owners of a round are to be computed together."""
        return self._learner.stacks

    @property
    def bound(self) -> float:
        """The largest number that an owner may send: it would take all rows, twice, on one coordinate."""
        return 1.0 + self._protect.clip * (2.0 * self._setup.rows + 100.0)

    def __call__(self, name: str, rows: Rows) -> Update:
        """The sum of one owner."""
        return self.together({name: rows})[name]

    def together(self, rows: Mapping[str, Rows]) -> dict[str, Update]:
        """The sums (d,) of the owners of ``rows``."""
        jobs = [self._job(name, own) for name, own in rows.items()]
        sums = self._learner.clipped(jobs, clip=self._protect.clip)
        return {name: Update(total, 1.0) for name, total in zip(rows, sums, strict=True)}

    def _job(self, name: str, rows: Rows) -> Job:
        X, y = encoded(rows, self._setup.encoding, "training")
        if self._protect.row_rate < 1.0:
            # From the source of the noise, not from the run's seed: whoever knew who takes part would void the credit.
            source = self._federation.noise(self._number, name, "rows")
            lot = row_lot(source, len(X), self._protect.row_rate)
            X, y = X[lot], y[lot]
        return Job((self._setup.seed, self._number, self._places[name]), X, y, self._weights)
