"""The model between two rounds, and all that is needed to go on from there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


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
        parts = ", ".join(f"{holder}: {part.size} numbers" for holder, part in self.weights.items())
        return f"State({parts})"
