"""Centred clipping: the aggregate of the round before moves towards the owners, by no owner far.

Source: Karimireddy, He and Jaggi 2021, "Learning from history for Byzantine robust optimization":
centred clipping.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fedlab_nb.aggregate.rule import ALIKE, READS, SINGLE, Floats, read, rule_card
from fedlab_nb.settings import check_setting, is_real, is_whole


@dataclass(frozen=True)
class CentredClipping:
    """The aggregate v (d,) of the round before, moved towards the changes x_i by steps of bounded length.

        v <- v + mean over i of (x_i - v) min(1, norm / |x_i - v|),   ``iterations`` times

    In the first round v starts at zero. Each owner counts alike, so that one owner of n moves v by no more than
    ``norm`` / n at each step, whatever it sends. With an infinite norm it is the mean.

    Source: Karimireddy et al. 2021, centred clipping, whose tau is the norm.

    >>> changes = np.array([[1.0], [3.0], [900.0]])
    >>> CentredClipping(norm=3.0)(changes, np.ones(3), before=np.array([2.0]))
    array([3.])
    """

    norm: float
    iterations: int = 1
    needs: ClassVar[tuple[str, ...]] = SINGLE

    def __post_init__(self) -> None:
        check_setting(
            "CentredClipping",
            "norm",
            self.norm,
            fits=is_real(self.norm, above=0.0),
            wanted="a number above zero",
            why="It is how far from the aggregate of the round before an owner's change may pull.",
            example="1.0",
        )
        check_setting(
            "CentredClipping",
            "iterations",
            self.iterations,
            fits=is_whole(self.iterations, 1),
            wanted="a whole number from 1 up",
            why="It is the number of steps that are made in a round.",
            example="1",
        )

    def __call__(self, changes: Floats, weights: Floats, before: Floats | None = None) -> Floats:
        """The aggregate (d,) of changes (n, d), from the aggregate ``before`` (d,); weights do not matter."""
        rows, _ = read(self, changes, weights, before)
        centre = np.zeros(rows.shape[1]) if before is None else np.asarray(before, dtype=np.float64)
        for _ in range(self.iterations):
            away = rows - centre
            lengths = np.linalg.norm(away, axis=1)
            long = lengths > self.norm
            pull = np.where(long, self.norm, 1.0) / np.where(long, lengths, 1.0)
            centre = centre + pull @ away / len(rows)
        return centre

    def _repr_html_(self) -> str:
        settings = [("Norm", f"{self.norm:g}"), ("Steps in a round", f"{self.iterations:,}")]
        formula = "v ← v + mean of (x_i − v) · min(1, norm / |x_i − v|)"
        return rule_card("Centred clipping", formula, settings, weights=ALIKE, note=READS)
