"""The owners' side of scoring: a model's counts on the rows that each owner holds out."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.horizontal.prepare import Setup, encoded
from fedlab_nb.learn import Learner, Scorecard
from fedlab_nb.parties import Rows
from fedlab_nb.records import Update

Floats = NDArray[np.float64]

# Of all owners' counts so many numbers are read in one go.
_AT_ONCE = 64_000


class Counting:
    """Counts of the model ``weights`` (d,) on held-out rows, for one owner's rows or for those of several at once.

    With ``personal``, which gives models (d,) by owner, each owner's counts are followed by those of its own model: it
    counts with the common one until it has one. ``shape`` makes a count fit for its sum.
    """

    def __init__(
        self,
        card: Scorecard,
        learner: Learner,
        setup: Setup,
        weights: Floats,
        *,
        personal: Callable[[], Mapping[str, Floats]] | None = None,
        shape: Callable[[Floats], Floats] = lambda counts: counts,
    ) -> None:
        self.card, self._learner, self._setup, self._weights = card, learner, setup, weights
        self._personal, self._shape = personal, shape
        self.counts: dict[str, Floats] = {}

    @property
    def size(self) -> int:
        """How many counts an owner gives."""
        return self.card.size * (1 if self._personal is None else 2)

    @property
    def at_once(self) -> bool:
        """True if rows of several owners can go through the model together without touching each other."""
        return self._learner.stacks

    def __call__(self, name: str, rows: Rows) -> Update:
        """The counts of one owner."""
        return self.together({name: rows})[name]

    def together(self, rows: Mapping[str, Rows]) -> dict[str, Update]:
        """The counts of each owner, with weight 1; they are kept in ``counts`` as well, beside the rows."""
        data = {name: encoded(own, self._setup.encoding, "held_out") for name, own in rows.items()}
        found = self._count(data)
        if self._personal is not None:
            models = self._personal()
            for name, own in data.items():
                counts = self._count({name: own}, models.get(name))[name]
                found[name] = np.concatenate([found[name], counts])
        self.counts |= found
        return {name: Update(self._shape(counts), 1.0) for name, counts in found.items()}

    def _count(
        self, data: Mapping[str, tuple[NDArray[np.float32], NDArray[np.generic]]], weights: Floats | None = None
    ) -> dict[str, Floats]:
        rows = [len(X) for X, _ in data.values()]
        if not sum(rows):
            return {name: np.zeros(self.card.size) for name in data}
        whole, truth = (np.concatenate([own[part] for own in data.values()]) for part in (0, 1))
        outputs = self._learner.scores(self._weights if weights is None else weights, whole)
        return dict(zip(data, self.card.count_each(outputs, truth, rows), strict=True))


class OwnScores:
    """What each owner tells of itself: its scores (2 or 3 of ``EXACT``, none without rows), and its own model's."""

    def __init__(self, counting: Counting, setup: Setup) -> None:
        self._counting, self._setup = counting, setup
        self._scores: dict[str, Floats] = {}

    def __call__(self, name: str, rows: Rows) -> Floats:
        """The scores of one owner, read from the counts that it has made for the sum."""
        if name not in self._scores:
            if name not in self._counting.counts:
                self._counting(name, rows)
            self._read()
        return self._scores[name]

    def _read(self) -> None:
        """Read all owners' counts, so many at a time that what is made of them stays in a processor's cache."""
        named, few = [*self._counting.counts.items()], max(1, _AT_ONCE // self._counting.size)
        for first in range(0, len(named), few):
            names, counts = zip(*named[first : first + few], strict=True)
            lines = read_both(self._counting.card, np.array(counts), self._setup)
            self._scores |= {of: np.array([*scores.values()]) for of, scores in zip(names, lines, strict=True)}

    def named(self, scores: Floats) -> dict[str, float]:
        """An owner's answer with the names of its scores."""
        names = EXACT["regression" if self._setup.encoding.task == "regression" else "classes"]
        told = scores.tolist()
        each = len(told) * self._counting.card.size // self._counting.size
        own = dict(zip(names, told[:each], strict=False))
        return own | {f"personal_{n}": v for n, v in zip(names, told[each:], strict=False)}


# What exact counts of one owner tell, in this order; the last of it not always.
EXACT = {"classes": ("accuracy", "loss", "auc"), "regression": ("rmse", "loss", "r2")}


def read_both(card: Scorecard, counts: Floats, setup: Setup) -> list[dict[str, float]]:
    """For each line (size,): the scores of the common model, and, where counts of personal models follow, of these."""
    common = [in_units(scores, setup) for scores in card.read_each(counts[:, : card.size])]
    if counts.shape[1] == card.size:
        return common
    own = [in_units(scores, setup) for scores in card.read_each(counts[:, card.size :])]
    return [
        scores | {f"personal_{name}": value for name, value in personal.items()}
        for scores, personal in zip(common, own, strict=True)
    ]


def in_units(metrics: Mapping[str, float], setup: Setup) -> dict[str, float]:
    """RMSE in the target's own units: the model works in standard deviations."""
    scale = getattr(setup.encoding.target, "scale", 1.0)
    return {name: value * scale if name == "rmse" else value for name, value in metrics.items()}
