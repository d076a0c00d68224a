"""An owner's numbers before they leave its rows, and the numbers of a sum after it was opened."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.channel.opening import Tensors
from fedlab_nb.parties.rules import check_numbers
from fedlab_nb.protect import clip_norm
from fedlab_nb.records import Update

_LARGEST = float(np.finfo(np.float64).max)


def looked_at(kind: str, bound: float, clip: float | None, tensors: Tensors, name: str, update: Update) -> Update:
    """An owner's numbers, checked and clipped where they are: a traceback of a failure then shows none of them."""
    # Their extremes tell whether numbers are in order: with what is no number, every comparison fails.
    values, most = np.asarray(update.value), _LARGEST if clip is not None else bound
    extremes = update.weight, values.min(initial=np.inf), values.max(initial=-np.inf)
    if not (abs(extremes[0]) <= most and extremes[1] >= -most and extremes[2] <= most):
        check_numbers(name, kind, np.append(values, update.weight), bound if clip is None else np.inf, tensors)
    return update if clip is None else Update(clip_norm(update.value, clip), update.weight)


def read_sum(summed: NDArray[np.float64]) -> Update:
    """What a sum says: the added vectors, and the added weights as its last number."""
    return Update(summed[:-1], float(summed[-1]))
