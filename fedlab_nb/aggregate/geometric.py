"""The geometric median: the point whose distances to all changes add up to the least.

Source: Pillutla, Kakade and Harchaoui 2022, "Robust aggregation for federated learning", Algorithm 2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fedlab_nb.aggregate.rule import READS, SINGLE, Floats, gram, read, rule_card
from fedlab_nb.settings import check_setting, is_real, is_whole

# Once no share changes by more than this part of itself, the point stands still. A part: the share of an owner that is
# far away is tiny, and still carries the point.
SETTLED = 1e-10


@dataclass(frozen=True)
class GeometricMedian:
    """The point v (d,) that minimises sum_i weight_i |v - x_i|, by the smoothed Weiszfeld algorithm.

        share_i <- weight_i / max(smoothing, |v - x_i|),   v <- sum_i share_i x_i / sum_i share_i

    It starts at the weighted mean and ends when v stands still, at the latest after ``iterations``. Owners count by
    their weights, as in the paper: less than half of the whole weight cannot carry v away.

    Source: Pillutla et al. 2022, Algorithm 2.

    >>> GeometricMedian()(np.array([[1.0], [2.0], [900.0]]), np.ones(3)).round(3)
    array([2.])
    """

    smoothing: float = 1e-6
    iterations: int = 1000
    # In the paper owners compute their own distances to v; here, where the rule is called, the server does.
    needs: ClassVar[tuple[str, ...]] = SINGLE

    def __post_init__(self) -> None:
        check_setting(
            "GeometricMedian",
            "smoothing",
            self.smoothing,
            fits=is_real(self.smoothing, above=1e-100) and math.isfinite(self.smoothing),
            wanted="a finite number above 1e-100",
            why="It is the least distance that is divided by, when the point falls on an owner's change.",
            example="1e-6",
        )
        check_setting(
            "GeometricMedian",
            "iterations",
            self.iterations,
            fits=is_whole(self.iterations, 1),
            wanted="a whole number from 1 up",
            why="It is the most steps that are made towards the median.",
            example="1000",
        )

    def __call__(self, changes: Floats, weights: Floats, before: Floats | None = None) -> Floats:
        """The aggregate (d,) of changes (n, d), by weights (n,); the aggregate ``before`` does not matter."""
        rows, weights = read(self, changes, weights, before)
        # The point is a mean of the rows by some shares, so that n shares are moved and not d numbers.
        centre, around, products = gram(rows)
        shares = weights = weights / weights.sum()
        for _ in range(self.iterations):
            mixed = products @ shares
            apart = np.sqrt(np.maximum(shares @ mixed - 2.0 * mixed + np.diag(products), 0.0))
            moved = weights / np.maximum(apart, self.smoothing)
            moved /= moved.sum()
            still = np.abs(moved / shares - 1.0).max() <= SETTLED
            shares = moved
            if still:
                break
        median: Floats = centre + shares @ around
        return median

    def _repr_html_(self) -> str:
        settings = [("Smoothing", f"{self.smoothing:g}"), ("Steps", f"{self.iterations:,} at most")]
        formula = "v that minimises Σ weight_i · |v − x_i|"
        return rule_card("Geometric median", formula, settings, weights="by their weights", note=READS)
