"""What a run computes with: the model between two rounds, and the contributions that move it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.cards import card, one_line
from fedlab_nb.errors import SettingError
from fedlab_nb.units import bytes_text, counted, listed


@dataclass(frozen=True, eq=False)
class State:
    """The model, split by who holds it (``weights``), and what the strategy and the loop must remember.

    ``weights`` maps a holder ("server") to its flat part (d,). ``memory`` holds arrays of the strategy (momentum).
    ``context`` holds what was fixed before the first round (encoding, noise plan, seed): it never changes, so a
    run resumed from a state equals the uninterrupted one bit for bit.
    """

    weights: Mapping[str, NDArray[np.float64]]
    memory: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    context: object = None

    def __repr__(self) -> str:
        sizes = {holder: getattr(part, "size", None) for holder, part in self.weights.items()}
        parts = ", ".join(
            f"{holder}: {'with it' if size is None else f'{size} numbers'}" for holder, size in sizes.items()
        )
        return one_line(f"State({parts})")

    def _repr_html_(self) -> str:
        rows: list[tuple[str, object]] = [
            (f"Held by the {holder}", _said(part)) for holder, part in self.weights.items()
        ]
        fixed = "how columns are read, noise, seed" if self.context else "nothing"
        rows += [("Memory of the strategy", listed(self.memory) or "none"), ("Fixed before the first round", fixed)]
        return card("State of a run: the model between two rounds", rows, "run.model is the model, ready to predict.")


def _said(part: object) -> str:
    """How large a part of the model is; of one that is at its holder, far from here, that it is there."""
    if isinstance(part, np.ndarray):
        return f"{counted(part.size, 'weight')}, {bytes_text(part.nbytes)}"
    return "its part, which is nowhere else"


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

    def _repr_html_(self) -> str:
        rows = [
            ("Numbers", f"{self.value.size:,}, with the weight multiplied in"),
            ("Weight", f"{self.weight:g}"),
            ("Size in the clear", bytes_text(self.value.nbytes)),
        ]
        return card("Update: what one owner, or a sum of owners, contributes", rows, "Its numbers are not shown here.")
