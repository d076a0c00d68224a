"""An owner's contribution, and the algebra it obeys."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.errors import SettingError


@dataclass(frozen=True, eq=False)
class Update:
    """A contribution that can be added and divided: ``value`` (d,) carries its ``weight`` already multiplied in.

    Adding updates adds values and weights, so the weighted mean over any group of owners is the ``mean``
    of their sum, whatever the order of the additions, and an absent owner is simply not added.

    Raises:
        SettingError: when updates of different lengths are added.
    """

    value: NDArray[np.float64]
    weight: float

    def __add__(self, other: Update) -> Update:
        if self.value.shape != other.value.shape:
            raise SettingError(
                f"Updates of {self.value.size} and {other.value.size} numbers were to be added.",
                "All owners must send the same numbers in the same order, or the sum has no meaning.",
                "Let every owner's part of the strategy return a vector of one and the same length.",
            )
        return Update(self.value + other.value, self.weight + other.weight)

    @property
    def mean(self) -> NDArray[np.float64]:
        """The weighted mean (d,); zeros where nobody took part."""
        return self.value / self.weight if self.weight else np.zeros_like(self.value)

    def __repr__(self) -> str:
        return f"Update({self.value.size} numbers, weight {self.weight:g})"
