"""Krum and multi-Krum: the updates that lie closest to their neighbours.

Source: Blanchard, El Mhamdi, Guerraoui and Stainer 2017, "Machine learning with adversaries: Byzantine tolerant
gradient descent": Krum in section 4, multi-Krum in the experiments.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.aggregate.rule import ALIKE, READS, SINGLE, Floats, enough, gram, read, rule_card
from fedlab_nb.settings import check_setting, is_whole

FORMULA = "score_i = Σ |x_i − x_j|² over the n − f − 2 changes j closest to i"


@dataclass(frozen=True)
class Krum:
    """The one change x_i (d,) with the lowest score; up to f = ``attackers`` of the n owners may send anything.

        score_i = sum of |x_i - x_j|^2 over the n - f - 2 changes j that are closest to x_i

    Each owner counts alike, as in the paper: a weight that an owner states of itself would be a way to cheat. What
    is chosen is one owner's change, so that all that the others learned in this round is lost; where owners differ,
    accuracy falls even without an attack.

    Raises:
        RoundError: when called with fewer than 2 f + 3 owners.

    Source: Blanchard et al. 2017, section 4; the condition 2 f + 2 < n is that of proposition 4.2.

    >>> changes = np.array([[1.0], [1.1], [1.3], [99.0], [1.5]])
    >>> Krum(attackers=1)(changes, np.ones(5))
    array([1.1])
    """

    attackers: int
    needs: ClassVar[tuple[str, ...]] = SINGLE

    def __post_init__(self) -> None:
        _check_attackers("Krum", self.attackers)

    def __call__(self, changes: Floats, weights: Floats, before: Floats | None = None) -> Floats:
        """The aggregate (d,) of changes (n, d); weights and the aggregate ``before`` do not matter."""
        rows, _ = read(self, changes, weights, before, least=2 * self.attackers + 3)
        chosen: Floats = rows[_ranked(rows, self.attackers)[0]].copy()
        return chosen

    def _repr_html_(self) -> str:
        settings = [("What is kept", "the change with the lowest score"), *_attackers(self.attackers)]
        return rule_card("Krum", FORMULA, settings, weights=ALIKE, note=READS)


@dataclass(frozen=True)
class MultiKrum:
    """The mean (d,) of the m = ``keep`` changes with the lowest scores of ``Krum``; left out, m = n - ``attackers``.

    Each owner counts alike. With m = 1 it is Krum, with m = n the mean of all.

    Raises:
        RoundError: when called with fewer than 2 f + 3 owners, or than ``keep``.

    Source: Blanchard et al. 2017, multi-Krum.

    >>> changes = np.array([[1.0], [1.1], [1.3], [99.0], [1.5]])
    >>> MultiKrum(attackers=1, keep=3)(changes, np.ones(5)).round(4)
    array([1.1333])
    """

    attackers: int
    keep: int | None = None
    needs: ClassVar[tuple[str, ...]] = SINGLE

    def __post_init__(self) -> None:
        _check_attackers("MultiKrum", self.attackers)
        check_setting(
            "MultiKrum",
            "keep",
            self.keep,
            fits=self.keep is None or is_whole(self.keep, 1),
            wanted="a whole number from 1 up",
            why="It is the number of changes that are averaged.",
            example="5, or leave it out",
        )

    def __call__(self, changes: Floats, weights: Floats, before: Floats | None = None) -> Floats:
        """The aggregate (d,) of changes (n, d); weights and the aggregate ``before`` do not matter."""
        rows, _ = read(self, changes, weights, before, least=2 * self.attackers + 3)
        keep = len(rows) - self.attackers if self.keep is None else self.keep
        enough(self, len(rows), keep)
        mean: Floats = rows[np.sort(_ranked(rows, self.attackers)[:keep])].mean(axis=0)
        return mean

    def _repr_html_(self) -> str:
        kept = "all but as many as may attack" if self.keep is None else f"{self.keep:,}"
        settings = [("What is averaged", f"the changes with the lowest scores: {kept}"), *_attackers(self.attackers)]
        return rule_card("Multi-Krum", FORMULA, settings, weights=ALIKE, note=READS)


def _ranked(rows: Floats, attackers: int) -> NDArray[np.intp]:
    """The rows from the lowest score to the highest; what is equal keeps its order."""
    _, _, products = gram(rows)
    squares = np.diag(products)
    apart = np.maximum(squares[:, None] + squares - 2.0 * products, 0.0)
    np.fill_diagonal(apart, 0.0)
    # Position 0 is each row's distance to itself.
    nearest = np.sort(apart, axis=1)[:, 1 : len(rows) - attackers - 1]
    return np.argsort(nearest.sum(axis=1), kind="stable")


def _check_attackers(name: str, attackers: object) -> None:
    check_setting(
        name,
        "attackers",
        attackers,
        fits=is_whole(attackers),
        wanted="a whole number from 0 up",
        why="It is the number of owners of a round that may send anything, and a round needs twice as many and three.",
        example="2",
    )


def _attackers(attackers: int) -> list[tuple[str, object]]:
    return [("Attackers f", f"{attackers:,} of a round; it needs {2 * attackers + 3:,} owners or more")]
