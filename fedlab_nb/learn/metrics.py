"""Scores as counts that can be added over owners: accuracy, loss, AUC; RMSE and R2 for numbers.

Each owner turns its held-out rows into a vector of counts; the sum of the vectors gives the scores of all rows.
Exact vectors have fine bins; the others change by at most one count per row, so that little noise hides a row.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.records.schema import Task

Floats = NDArray[np.float64]
Detail = Literal["exact", "round", "verdict"]

FINE_BINS = 1000
# Fine bins are narrow within this many log-odds of 0 and widen beyond: after a first short step the log-odds of all
# rows lie close together, and must still be told apart.
FINE_SCALE = 0.05
# Edges of the probability given to the true answer ("verdict"): few bins, since each carries its own noise.
VERDICT_EDGES = np.array([0.01, 0.05, 0.2, 0.5, 0.8, 0.95, 0.99])
# Errors of a standardised number are clipped here, so that one row cannot move a private score without bound.
ERROR_BOUND = 3.0


@dataclass(frozen=True)
class Scorecard:
    """How rows become counts, and counts become scores, for one task at one level of detail.

    "exact" has fine bins and no noise in mind; "round" is (wrong, right) or (rows, squared error); "verdict" has
    enough bins for AUC and loss, and tells the same of errors. ``l2`` bounds what one row adds to both.
    """

    task: Task
    detail: Detail
    outputs: int = 1

    @property
    def l2(self) -> float:
        """The largest L2 norm of one row's vector at details "round" and "verdict"."""
        return math.sqrt(2.0) if self.task == "regression" else 1.0

    @property
    def size(self) -> int:
        """Numbers in a vector: an owner without held-out rows sends that many zeros."""
        return _size(self)

    def count(self, scores: Floats, y: NDArray[np.generic]) -> Floats:
        """The vector of counts of rows with model outputs ``scores`` (n, outputs) and targets ``y`` (n,)."""
        if self.task == "regression":
            return self._count_errors(scores[:, 0] - y.astype(np.float64), y.astype(np.float64))
        truth = y.astype(np.int64)
        chances = probabilities(scores)
        right = chances.argmax(1) == truth
        if self.detail == "round":
            return np.array([np.sum(~right), np.sum(right)], dtype=np.float64)
        of_truth = chances[np.arange(len(truth)), truth]
        if self.detail == "exact":
            loss = -np.log(np.clip(of_truth, 1e-12, 1.0)).sum()
            head = np.array([np.sum(~right), np.sum(right), loss], dtype=np.float64)
            return np.concatenate([head, *(self._curve(chances[:, c], truth == c) for c in self._curves())])
        # An edge belongs to the bin below: at exactly one half the prediction is the first class, here as above.
        bins = np.digitize(chances[:, 1] if self.outputs == 1 else of_truth, VERDICT_EDGES, right=True)
        group = truth if self.outputs == 1 else right.astype(np.int64)
        width = len(VERDICT_EDGES) + 1
        return np.bincount(group * width + bins, minlength=2 * width).astype(np.float64)

    def read(self, counts: Floats, rows: float = 0.0) -> dict[str, float]:
        """The scores that the summed ``counts`` stand for; what cannot be told from them is absent.

        ``rows`` is the number of rows at detail "round", where it is known better than the counts tell (0: it is not).
        A noisy accuracy may then lie beyond 0 or 1: cut off there, the average of many would be wrong.
        """
        if self.task == "regression":
            return self._read_errors(counts, rows)
        if self.detail == "round":
            wrong, right = counts
            rows = rows or float(wrong + right)
            # Right rows, and all rows but the wrong ones, are two measurements of the same thing.
            return {"accuracy": float((1 + (right - wrong) / rows) / 2)} if rows > 0 else {}
        if self.detail == "exact":
            return self._read_exact(counts)
        table = np.clip(counts, 0.0, None).reshape(2, -1)
        if table.sum() <= 0:
            return {}
        return self._read_binary(table) if self.outputs == 1 else self._read_multiclass(table)

    def accuracy_noise(self, counts: Floats, sd: float, rows: float = 0.0) -> float:
        """Standard deviation that noise of ``sd`` per count leaves on the accuracy (or RMSE), to first order.

        ``rows`` is as in ``read``; that it is itself noisy moves all rounds alike, and is not in this number.
        """
        if self.task == "regression":
            rows = rows or max(float(counts[0]), 1.0)
            mse = ERROR_BOUND**2 * max(float(counts[1]), 1.0) / rows
            return float(ERROR_BOUND**2 * sd / rows / (2 * math.sqrt(mse)))
        if rows:
            return sd / (math.sqrt(2.0) * rows)
        rows = max(float(np.clip(counts, 0.0, None).sum()), 1.0)
        # Rows predicted right, and rows predicted wrong, are sums of this many counts.
        bins = 1 if self.detail == "round" else len(VERDICT_EDGES) + 1
        share = self.read(counts).get("accuracy", 0.5)
        return sd * math.sqrt(bins * (share**2 + (1 - share) ** 2)) / rows

    def _curves(self) -> range:
        return range(1, 2) if self.outputs == 1 else range(self.outputs)

    def _curve(self, chance: Floats, positive: NDArray[np.bool_]) -> Floats:
        log_odds = np.log(np.clip(chance, 1e-9, 1 - 1e-9) / np.clip(1 - chance, 1e-9, 1.0))
        # 0 is where a model that knows nothing puts every row.
        log_odds += math.log(max(self.outputs - 1, 1))
        place = np.arcsinh(log_odds / FINE_SCALE) / math.asinh(20.0 / FINE_SCALE)
        bins = np.clip(((place + 1) * FINE_BINS / 2).astype(np.int64), 0, FINE_BINS - 1)
        counts = np.bincount(positive * FINE_BINS + bins, minlength=2 * FINE_BINS)
        return counts.astype(np.float64)

    def _read_exact(self, counts: Floats) -> dict[str, float]:
        wrong, right, loss = counts[:3]
        if wrong + right <= 0:
            return {}
        curves = counts[3:].reshape(-1, 2, FINE_BINS)
        areas = [area for area in map(area_under_curve, curves) if area is not None]
        scores = {"accuracy": float(right / (wrong + right)), "loss": float(loss / (wrong + right))}
        return scores | ({"auc": float(np.mean(areas))} if areas else {})

    def _read_binary(self, table: Floats) -> dict[str, float]:
        half = int(np.searchsorted(VERDICT_EDGES, 0.5)) + 1
        right = table[0, :half].sum() + table[1, half:].sum()
        chances = _centres()
        loss = -(table[1] * np.log(chances)).sum() - (table[0] * np.log(1 - chances)).sum()
        area = area_under_curve(table)
        scores = {"accuracy": float(right / table.sum()), "loss": float(loss / table.sum())}
        return scores | ({"auc": area} if area is not None else {})

    def _read_multiclass(self, table: Floats) -> dict[str, float]:
        loss = -(table.sum(0) * np.log(_centres())).sum()
        return {"accuracy": float(table[1].sum() / table.sum()), "loss": float(loss / table.sum())}

    def _count_errors(self, error: Floats, y: Floats) -> Floats:
        if self.detail == "exact":
            return np.array([len(y), (error**2).sum(), y.sum(), (y**2).sum()], dtype=np.float64)
        share = np.minimum(np.abs(error) / ERROR_BOUND, 1.0) ** 2
        return np.array([len(y), share.sum()], dtype=np.float64)

    def _read_errors(self, counts: Floats, rows: float = 0.0) -> dict[str, float]:
        rows = rows or float(counts[0])
        if rows <= 0:
            return {}
        if self.detail == "exact":
            mse, spread = counts[1] / rows, counts[3] / rows - (counts[2] / rows) ** 2
            scores = {"rmse": math.sqrt(max(mse, 0.0)), "loss": float(mse)}
            return scores | ({"r2": float(1 - mse / spread)} if spread > 0 else {})
        if counts[1] <= 0.0:
            return {}  # the noise is larger than all errors together: an RMSE of zero would be a wrong answer
        mse = ERROR_BOUND**2 * float(min(counts[1] / rows, 1.0))
        return {"rmse": math.sqrt(mse)} | ({"loss": mse} if self.detail == "verdict" else {})


@lru_cache(maxsize=64)
def _size(card: Scorecard) -> int:
    return card.count(np.zeros((0, card.outputs)), np.zeros(0)).size


def probabilities(scores: Floats) -> Floats:
    """Class probabilities (n, classes) from log-odds (n, 1) or class scores (n, classes)."""
    if scores.shape[1] == 1:
        p = 1.0 / (1.0 + np.exp(-np.clip(scores[:, 0], -60, 60)))
        return np.stack([1 - p, p], axis=1)
    shifted = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))


def area_under_curve(table: Floats) -> float | None:
    """The area under the ROC curve from counts (2, bins) of negatives and positives by rising score."""
    # Rows in the same bin are ties, and ties count half.
    negatives, positives = table
    if negatives.sum() <= 0 or positives.sum() <= 0:
        return None
    below = np.cumsum(negatives) - negatives
    return float((positives * (below + negatives / 2)).sum() / (negatives.sum() * positives.sum()))


def _centres() -> Floats:
    edges = np.concatenate([[0.0], VERDICT_EDGES, [1.0]])
    return np.asarray((edges[1:] + edges[:-1]) / 2)
