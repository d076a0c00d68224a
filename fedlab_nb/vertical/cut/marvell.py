"""The noise that makes gradients of two classes hardest to tell apart, at a given power."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Points of a search in each direction, and how often it is repeated around the best one.
_POINTS, _ZOOMS = 65, 5


class Spread(NamedTuple):
    """Variances of the noise on one class's gradients: along the line between both classes' means, and across it."""

    along: float
    across: float


@dataclass(frozen=True)
class Classes:
    """Gradients of two classes as two clouds: ``share`` of the rows are of class 1, the means' ``distance`` is squared.

    ``variances`` of class 0 and 1 are those of one number within the class, in each of ``width`` directions.
    """

    width: int
    share: float
    distance: float
    variances: tuple[float, float]

    @classmethod
    def of(cls, gradients: Floats, positive: NDArray[np.bool_]) -> Classes:
        """What gradients (n, width) show, where rows of both classes are among them."""
        sides = gradients[~positive], gradients[positive]
        means = [side.mean(0) for side in sides]
        variances = [float(np.mean((side - mean) ** 2)) for side, mean in zip(sides, means, strict=True)]
        distance = float(np.sum((means[1] - means[0]) ** 2))
        return cls(gradients.shape[1], float(positive.mean()), distance, (variances[0], variances[1]))

    def power(self, noise: tuple[Spread, Spread]) -> float:
        """The mean squared length of the noise on a row."""
        each = [spread.along + (self.width - 1) * spread.across for spread in noise]
        return (1.0 - self.share) * each[0] + self.share * each[1]

    def divergence(self, noise: tuple[Spread, Spread]) -> float:
        """KL(class 0, class 1) + KL(class 1, class 0) of the noisy gradients, in nats, if both are Gaussian."""
        (along, across), twin = zip(noise[0], noise[1], strict=True), self.variances
        near = along[0] + twin[0], along[1] + twin[1]
        far = across[0] + twin[0], across[1] + twin[1]
        return float(0.5 * (_along(near, self.distance) + (self.width - 1) * _ratio(far)) - self.width)


def _along(near: tuple[Floats | float, Floats | float], distance: float) -> Floats | float:
    return (near[0] + distance) / near[1] + (near[1] + distance) / near[0]


def _ratio(far: tuple[Floats | float, Floats | float]) -> Floats | float:
    return far[0] / far[1] + far[1] / far[0]


def hardest(classes: Classes, power: float) -> tuple[Spread, Spread]:
    """The noise on class 0 and class 1 of mean squared length ``power`` with the smallest divergence.

    Across the line between the means it pays only to make the narrower class as wide as the other: one number says how
    far. What is left of the power goes along the line: one number says which class gets how much. Both are searched.

    Source: Li et al. 2022, "Label leakage and protection in two-party split learning", ICLR, theorem 2; here without
    its condition that noise is at least as wide along as across, so that the divergence is as small or smaller.
    """
    low, high = np.zeros(2), np.ones(2)
    best = low
    for _ in range(_ZOOMS):
        grids = [np.linspace(a, b, _POINTS) for a, b in zip(low, high, strict=True)]
        wide, split = np.meshgrid(*grids, indexing="ij")
        found = _divergences(classes, power, wide, split)
        place = np.unravel_index(np.argmin(found), found.shape)
        best = np.array([wide[place], split[place]])
        step = np.array([grid[1] - grid[0] for grid in grids])
        low, high = np.maximum(best - 2 * step, 0.0), np.minimum(best + 2 * step, 1.0)
    along, across = _noise(classes, power, best[0], best[1])
    return Spread(float(along[0]), float(across[0])), Spread(float(along[1]), float(across[1]))


def _noise(
    classes: Classes, power: float, wide: Floats | float, split: Floats | float
) -> tuple[tuple[Floats | float, Floats | float], tuple[Floats | float, Floats | float]]:
    """Variances along and across for both classes, at these two numbers in [0, 1]."""
    u, v = classes.variances
    shares = 1.0 - classes.share, classes.share
    narrow = 0 if u < v else 1
    price = (classes.width - 1) * shares[narrow] * abs(u - v)
    reach = min(1.0, power / price) if price > 0.0 else 1.0
    raised = abs(u - v) * reach * wide
    left = np.maximum(power - price * reach * wide, 0.0)
    across = (raised, 0.0 * raised) if narrow == 0 else (0.0 * raised, raised)
    return (left * (1.0 - split) / shares[0], left * split / shares[1]), across


def _divergences(classes: Classes, power: float, wide: Floats, split: Floats) -> Floats:
    along, across = _noise(classes, power, wide, split)
    # Classes of no width at all are told apart infinitely well by noise on one of them, which is no number.
    least = 1e-12 * max(classes.distance, 1e-300)
    u, v = (max(variance, least) for variance in classes.variances)
    total = _along((along[0] + u, along[1] + v), classes.distance)
    return np.asarray(total + (classes.width - 1) * _ratio((across[0] + u, across[1] + v)))
