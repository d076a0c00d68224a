"""The median and the trimmed mean of each number by itself.

Source: Yin, Chen, Ramchandran and Bartlett 2018, "Byzantine-robust distributed learning: towards optimal statistical
rates", definitions 1 and 2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fedlab_nb.aggregate.rule import ALIKE, READS, SINGLE, Floats, enough, read, rule_card
from fedlab_nb.settings import check_setting, is_real, is_whole


@dataclass(frozen=True)
class Median:
    """The median (d,) of each number over the owners; of an even number of owners, the mean of the middle two.

    Each owner counts alike. As long as more than half of the owners are honest, each number lies within the range of
    theirs.

    Source: Yin et al. 2018, definition 1.

    >>> Median()(np.array([[1.0, 5.0], [2.0, 4.0], [900.0, -900.0]]), np.ones(3))
    array([2., 4.])
    """

    needs: ClassVar[tuple[str, ...]] = SINGLE

    def __call__(self, changes: Floats, weights: Floats, before: Floats | None = None) -> Floats:
        """The aggregate (d,) of changes (n, d); weights and the aggregate ``before`` do not matter."""
        rows, _ = read(self, changes, weights, before)
        # Sorting along the first axis is several times faster here than numpy's own median.
        ordered = np.sort(rows, axis=0)
        middle: Floats = (ordered[(len(rows) - 1) // 2] + ordered[len(rows) // 2]) / 2.0
        return middle

    def _repr_html_(self) -> str:
        return rule_card("Median", "x[j] = median over i of x_i[j]", [], weights=ALIKE, note=READS)


@dataclass(frozen=True)
class TrimmedMean:
    """The mean (d,) of each number over the owners, without its t largest and its t smallest values.

    ``trim`` is t itself, a whole number, or a share of the owners of a round, below one half: t is then ``trim`` times
    n, rounded down. Each owner counts alike. With as many attackers as t or fewer, each number lies within the range
    of the honest ones; with t = 0 it is the mean.

    Raises:
        RoundError: when called with no more than 2 t owners, which would leave nothing.

    Source: Yin et al. 2018, definition 2, whose beta is the share.

    >>> TrimmedMean(1)(np.array([[1.0], [2.0], [3.0], [900.0]]), np.ones(4))
    array([2.5])
    """

    trim: float
    needs: ClassVar[tuple[str, ...]] = SINGLE

    def __post_init__(self) -> None:
        check_setting(
            "TrimmedMean",
            "trim",
            self.trim,
            fits=is_whole(self.trim) or (is_real(self.trim) and 0.0 <= self.trim < 0.5),
            wanted="a whole number of owners from 0 up, or a share of them below 0.5",
            why="So many of the largest values and so many of the smallest are left out, and something must remain.",
            example="2, or trim=0.2",
        )

    def __call__(self, changes: Floats, weights: Floats, before: Floats | None = None) -> Floats:
        """The aggregate (d,) of changes (n, d); weights and the aggregate ``before`` do not matter."""
        rows, _ = read(self, changes, weights, before)
        n = len(rows)
        # Without the little more, 0.29 of 100 owners would be 28.
        off = self.trim if is_whole(self.trim) else int(self.trim * n + 1e-9)
        enough(self, n, 2 * off + 1)
        mean: Floats = np.sort(rows, axis=0)[off : n - off].mean(axis=0)
        return mean

    def _repr_html_(self) -> str:
        off = f"{self.trim:,}" if is_whole(self.trim) else f"{self.trim:.3g} of the owners of a round"
        settings = [("Left out at each end", f"t = {off}")]
        formula = "x[j] = mean over i of x_i[j], without the t largest and the t smallest"
        return rule_card("Trimmed mean", formula, settings, weights=ALIKE, note=READS)
