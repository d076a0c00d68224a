"""Which candidate wins, from the sums of gradients of the rows that it would send left.

Source: Chen, Guestrin, "XGBoost", KDD 2016, equations 5 to 7.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Penalty(NamedTuple):
    """What speaks against a split: ``reg_lambda`` against large leaves, ``gamma`` against a leaf more."""

    reg_lambda: float
    gamma: float


def gains(left: Floats, total: Floats, penalty: Penalty) -> Floats:
    """What each candidate would win (c,), from the sums of g and h of rows that go ``left`` (2, c), and of all (2,).

    Minus infinity where no row that counts is on one of the sides.
    """
    right = total[:, None] - left
    fair = (left[1] > 0) & (right[1] > 0)
    found = np.full(left.shape[1], -np.inf)
    sides = _score(left[:, fair], penalty) + _score(right[:, fair], penalty)
    found[fair] = 0.5 * (sides - _score(total, penalty)) - penalty.gamma
    return found


def leaf_value(total: Floats, lr: float, penalty: Penalty) -> float:
    """What a leaf with these sums of g and h (2,) adds to a score."""
    return float(-lr * total[0] / (total[1] + penalty.reg_lambda)) if total[1] > 0 else 0.0


def _score(sums: Floats, penalty: Penalty) -> Floats:
    found: Floats = sums[0] ** 2 / (sums[1] + penalty.reg_lambda)
    return found
