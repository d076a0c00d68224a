"""What an owner does with its gradient: it needs nobody for that."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Directions in which an owner's columns have no more than this part of their largest spread are left alone.
_FLAT = 1e-9


@dataclass(frozen=True)
class Descent:
    """Steps of length ``lr`` times the longest safe one, down the loss plus l1 |w| + l2 w.w / 2.

    Each owner first turns and stretches its columns so that none of its own inputs depend on each other (whitening,
    with the penalty in it); with ``l1`` it stretches only, which takes more steps. Safe for ``owners`` blocks of
    columns and residuals with slopes up to ``curvature``.
    """

    lr: float
    l1: float
    l2: float
    curvature: float
    owners: int

    def ready(self, columns: Floats, *, intercept: bool) -> tuple[Floats, Floats]:
        """The turned columns (n, d), and the matrix (d, d) that turns: columns @ matrix."""
        turn = whitening(columns, self.l2 / self.curvature, intercept=intercept, straight=self.l1 > 0.0)
        return columns @ turn, turn

    def step(self, w: Floats, gradient: Floats, turn: Floats, *, intercept: bool) -> Floats:
        """The weights (d,) after one step from ``w``; ``gradient`` (d,) is the mean over rows, of turned columns.

        Source: Beck and Teboulle 2009, "A fast iterative shrinkage-thresholding algorithm" (the step with ``l1``).
        """
        held = np.ones(len(w))
        if intercept:
            held[-1] = 0.0  # an intercept is not held back
        length = self.lr / (self.curvature * self.owners)
        moved: Floats = w - length * (turn @ (gradient + turn.T @ (self.l2 * held * w)))
        if self.l1:
            room = length * np.diag(turn) ** 2 * self.l1 * held
            moved = np.sign(moved) * np.maximum(np.abs(moved) - room, 0.0)
        return moved


def whitening(columns: Floats, ridge: float, *, intercept: bool, straight: bool = False) -> Floats:
    """The symmetric matrix (d, d) that makes columns (n, d) uncorrelated with mean squares of at most 1.

    It is (columns' columns / n + ridge)^(-1/2), the intercept's place without ridge. ``straight``: a diagonal one, with
    which no direction of the columns has a mean square above 1.
    """
    moments = columns.T @ columns / len(columns) + ridge * np.eye(columns.shape[1])
    if intercept:
        moments[-1, -1] -= ridge
    if straight:
        each = 1 / np.sqrt(np.maximum(np.diag(moments), 1e-12))
        return np.diag(each / np.sqrt(np.linalg.eigvalsh(each[:, None] * moments * each)[-1]))
    spread, directions = np.linalg.eigh(moments)
    kept = spread > _FLAT * spread[-1]
    turned: Floats = directions[:, kept] / np.sqrt(spread[kept]) @ directions[:, kept].T
    return turned
