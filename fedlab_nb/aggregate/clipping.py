"""Norm clipping: no owner moves the mean by more than a given length.

Source: Sun, Kairouz, Suresh and McMahan 2019, "Can you really backdoor federated learning?": norm thresholding
of updates.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fedlab_nb.aggregate.rule import READS, SINGLE, Floats, read, rule_card
from fedlab_nb.settings import check_setting, is_real


@dataclass(frozen=True)
class NormClipping:
    """The weighted mean (d,) of changes that were shortened to an L2 norm of at most M = ``norm``.

        x = sum_i weight_i x_i min(1, M / |x_i|) / sum_i weight_i

    Left out, M is the median of the norms of the round, for which the server has to read them. With a norm that is
    given, each owner can shorten its own change with ``clip`` before it is encrypted, and the sum is all that is
    needed; honest owners do, and nobody can check the others. Owners count by their weights.

    Source: Sun et al. 2019, norm thresholding of updates.

    >>> NormClipping(norm=1.0)(np.array([[3.0, 4.0], [0.6, 0.8]]), np.ones(2))
    array([0.6, 0.8])
    """

    norm: float | None = None

    def __post_init__(self) -> None:
        check_setting(
            "NormClipping",
            "norm",
            self.norm,
            fits=self.norm is None or is_real(self.norm, above=0.0),
            wanted="a number above zero",
            why="It is the length that no owner's change may exceed.",
            example="1.0, or leave it out for the median of a round",
        )

    @property
    def needs(self) -> tuple[str, ...]:
        """What it needs beyond a sum: owners that clip their own changes, or, without a norm, to read each change."""
        return SINGLE if self.norm is None else ("norm clipping",)

    def clip(self, change: Floats) -> Floats:
        """What one owner sends (d,) when it clips its own change (d,); nothing is clipped where no norm was given.

        >>> NormClipping(norm=1.0).clip(np.array([3.0, 4.0]))
        array([0.6, 0.8])
        """
        return change if self.norm is None else _clipped(change[None], self.norm)[0]

    def __call__(self, changes: Floats, weights: Floats, before: Floats | None = None) -> Floats:
        """The aggregate (d,) of changes (n, d), by weights (n,); the aggregate ``before`` does not matter."""
        rows, weights = read(self, changes, weights, before)
        norm = float(np.median(np.linalg.norm(rows, axis=1))) if self.norm is None else self.norm
        mean: Floats = weights @ _clipped(rows, norm) / weights.sum()
        return mean

    def _repr_html_(self) -> str:
        bound = "the median of the norms of a round" if self.norm is None else f"{self.norm:g}"
        formula = "x = Σ weight_i · x_i · min(1, M / |x_i|) / Σ weight_i"
        note = READS if self.norm is None else "Under encryption owners clip their own changes; nobody can check it."
        return rule_card("Norm clipping", formula, [("Norm M", bound)], weights="by their weights", note=note)


def _clipped(rows: Floats, norm: float) -> Floats:
    """The rows (n, d), those that are longer than ``norm`` shortened to it."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    long = lengths > norm
    return np.where(long, rows * (np.where(long, norm, 1.0) / np.where(long, lengths, 1.0)), rows)
