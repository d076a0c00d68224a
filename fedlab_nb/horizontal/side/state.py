"""The state after a server's step."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.errors import RoundError
from fedlab_nb.records import State

Floats = NDArray[np.float64]


def moved(state: State, weights: Floats, memory: Mapping[str, Floats] | None = None) -> State:
    """The state with new ``weights`` (d,) at the server, and with what is to be remembered.

    Raises:
        RoundError: if a weight is too large for the 32-bit numbers that models are made of.
    """
    if not np.abs(weights).max(initial=0.0) <= np.finfo(np.float32).max:
        raise RoundError(
            "server",
            "update",
            "After this round's step the model has weights beyond the range of 32-bit numbers.",
            "It could neither be sent nor be scored, so the model stays as it was.",
            "Lower the learning rate: the training diverged.",
        )
    return State({**state.weights, "server": weights}, {**state.memory, **(memory or {})}, state.context)
