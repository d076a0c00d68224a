"""Scores as counts that can be added over owners: accuracy, loss, AUC; RMSE and R2 for numbers.

Each owner turns its held-out rows into a vector of counts; the sum of the vectors gives the scores of all rows.
Exact vectors have fine bins; the others change by at most one count per row, so that little noise hides a row.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.records.schema import Task

Floats = NDArray[np.float64]
Detail = Literal["exact", "round", "verdict"]

# Bins of the curve of two classes; with more, the curves of all classes share FINE_SHARED, but each has at least
# FINE_LEAST: a number more is sealed, sent, hashed and added for every owner in every round. At worst the area was off
# by 0.001 with two or three classes, and by 0.004 with FINE_LEAST, which ten or more classes have.
FINE_BINS, FINE_SHARED, FINE_LEAST = 1000, 2000, 200
# Bins are narrow within this many log-odds of 0 and widen beyond: after a first short step the log-odds of all rows lie
# close together, and must still be told apart.
FINE_SCALE = 0.01
# Edges of the probability given to the true answer ("verdict"): few bins, since each carries its own noise.
VERDICT_EDGES = np.array([0.01, 0.05, 0.2, 0.5, 0.8, 0.95, 0.99])
# Errors of a standardised number are clipped here, so that one row cannot move a private score without bound.
ERROR_BOUND = 3.0


@dataclass(frozen=True)
class Scorecard:
    """How rows become counts, and counts become scores, for one task at one level of detail.

    "exact" has exact sums for accuracy and loss, and fine bins for AUC (see FINE_BINS), with no noise in mind; "round"
    is (wrong, right) or (rows, squared error); "verdict" has enough bins for AUC and loss, and tells the same of
    errors. ``l2`` bounds what one row adds to both.
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
        if self.detail == "exact":
            counts: Floats = self._count_exact(scores, y, [len(y)])[0]
            return counts
        truth = y.astype(np.int64)
        chances = probabilities(scores)
        right = chances.argmax(1) == truth
        if self.detail == "round":
            return np.array([np.sum(~right), np.sum(right)], dtype=np.float64)
        of_truth = chances[np.arange(len(truth)), truth]
        # An edge belongs to the bin below: at exactly one half the prediction is the first class, here as above.
        bins = np.digitize(chances[:, 1] if self.outputs == 1 else of_truth, VERDICT_EDGES, right=True)
        group = truth if self.outputs == 1 else right.astype(np.int64)
        width = len(VERDICT_EDGES) + 1
        return np.bincount(group * width + bins, minlength=2 * width).astype(np.float64)

    def count_each(self, scores: Floats, y: NDArray[np.generic], rows: Sequence[int]) -> Floats:
        """The vectors (owners, size) of owners whose rows lie one behind the other, so many of each."""
        if self.task != "regression" and self.detail == "exact":
            return self._count_exact(scores, y, rows)
        ends = np.cumsum(rows)
        each = [self.count(scores[end - n : end], y[end - n : end]) for n, end in zip(rows, ends, strict=True)]
        return np.array(each).reshape(len(rows), self.size)

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
            return self._read_exact(counts[None])[0]
        table = np.clip(counts, 0.0, None).reshape(2, -1)
        if table.sum() <= 0:
            return {}
        return self._read_binary(table) if self.outputs == 1 else self._read_multiclass(table)

    def read_each(self, counts: Floats) -> list[dict[str, float]]:
        """The scores that each owner's line of ``counts`` (owners, size) stands for, as ``read`` gives them."""
        if self.task != "regression" and self.detail == "exact":
            return self._read_exact(counts)
        return [self.read(line) for line in counts]

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

    @property
    def _curves(self) -> tuple[int, int]:
        """How many curves there are, one a class or one for two, and how many bins each has."""
        if self.outputs == 1:
            return 1, FINE_BINS
        return self.outputs, min(max(FINE_SHARED // self.outputs, FINE_LEAST), FINE_BINS)

    def _count_exact(self, scores: Floats, y: NDArray[np.generic], rows: Sequence[int]) -> Floats:
        """Wrong and right rows, the sum of losses, and the curves of each owner (owners, size)."""
        curves, bins = self._curves
        truth, owner = y.astype(np.int64), np.repeat(np.arange(len(rows)), rows)
        chances = probabilities(scores)
        right = chances.argmax(1) == truth
        losses = -np.log(np.clip(chances[np.arange(len(truth)), truth], 1e-12, 1.0))
        counts = np.zeros((len(rows), 3 + curves * 2 * bins))
        for place, weights in enumerate((~right, right, losses)):
            counts[:, place] = np.bincount(owner, weights, minlength=len(rows))
        classes = np.arange(chances.shape[1])[-curves:]  # of two classes the second one
        places = self._bins(chances[:, classes], bins) + bins * (truth[:, None] == classes)
        places += 2 * bins * np.arange(curves) + counts.shape[1] * owner[:, None] + 3
        # Few of all the bins are hit: only those are touched.
        np.add.at(counts.reshape(-1), places.ravel(), 1.0)
        return counts

    def _bins(self, chance: Floats, bins: int) -> NDArray[np.int64]:
        """In which of so many bins of log-odds each chance lies."""
        log_odds = np.log(np.clip(chance, 1e-9, 1 - 1e-9) / np.clip(1 - chance, 1e-9, 1.0))
        # 0 is where a model that knows nothing puts every row.
        log_odds += math.log(max(self.outputs - 1, 1))
        place = np.arcsinh(log_odds / FINE_SCALE) / math.asinh(20.0 / FINE_SCALE)
        return np.clip(((place + 1) * bins / 2).astype(np.int64), 0, bins - 1)

    def _read_exact(self, counts: Floats) -> list[dict[str, float]]:
        """The scores of each line; the mean area is over those classes that occur in the line, and others do."""
        curves, bins = self._curves
        tables = counts[:, 3:].reshape(len(counts), curves, 2, bins)
        if curves == 1:  # most of its many bins have no rows, and add nothing to an area
            tables = tables[..., tables.any((0, 1, 2))]
        rows_of_each = tables.sum(3)
        told = (rows_of_each > 0).all(2)
        areas = np.zeros(told.shape)
        areas[told] = _areas(tables[told], rows_of_each[told])
        mean, known = areas.sum(1) / np.maximum(told.sum(1), 1), told.any(1)
        scores: list[dict[str, float]] = []
        for (wrong, right, loss), auc, there in zip(counts[:, :3].tolist(), mean.tolist(), known, strict=True):
            rows = wrong + right
            score = {"accuracy": right / rows, "loss": loss / rows} if rows > 0 else {}
            scores.append(score | ({"auc": auc} if score and there else {}))
        return scores

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


def exact_scores(task: Task, scores: Floats, y: NDArray[np.generic], scale: float = 1.0) -> dict[str, float]:
    """Accuracy, loss and AUC of classes, RMSE and R2 of numbers, from ``scores`` (n, outputs) and targets ``y`` (n,).

    ``scale`` is one unit of a number in its own units. AUC is absent where only one class occurs, R2 where all targets
    are equal; of several classes AUC is the mean of each against the rest.
    """
    if task == "regression":
        error = (scores[:, 0] - y.astype(np.float64)) * scale
        squares, spread = float(np.mean(error**2)), float(np.var(y.astype(np.float64))) * scale**2
        return {"rmse": float(np.sqrt(squares))} | ({"r2": 1.0 - squares / spread} if spread > 0.0 else {})
    chances, truth = probabilities(scores), y.astype(np.int64)
    of_truth = np.clip(chances[np.arange(len(truth)), truth], 1e-12, 1.0)
    ranked = scores if task == "binary" else chances
    areas = [exact_area(ranked[:, place], truth == place + (task == "binary")) for place in range(ranked.shape[1])]
    known = [area for area in areas if area is not None]
    found = {"accuracy": float(np.mean(chances.argmax(1) == truth)), "loss": float(-np.log(of_truth).mean())}
    return found | ({"auc": float(np.mean(known))} if known else {})


def exact_area(scores: Floats, positive: NDArray[np.bool_]) -> float | None:
    """The area under the ROC curve of ``scores`` (n,), ties counting half; None where only one class occurs."""
    _, place = np.unique(scores, return_inverse=True)
    bins = int(place.max(initial=-1)) + 1
    counts = np.bincount(positive * bins + place, minlength=2 * bins).astype(np.float64)
    return area_under_curve(counts.reshape(2, bins))


def area_under_curve(table: Floats) -> float | None:
    """The area under the ROC curve from counts (2, bins) of negatives and positives by rising score."""
    negatives, positives = table.sum(1)
    both = negatives > 0 and positives > 0
    return float(_areas(table[None], np.array([[negatives, positives]]))[0]) if both else None


def _areas(tables: Floats, rows: Floats) -> Floats:
    """The areas (n,) under curves (n, 2, bins) with so many ``rows`` (n, 2) of either kind, none of which is 0."""
    # Rows in the same bin are ties, and ties count half.
    negatives, positives = tables[:, 0], tables[:, 1]
    below = np.cumsum(negatives, axis=1)
    below -= negatives
    below += negatives / 2
    below *= positives
    areas: Floats = below.sum(1) / (rows[:, 0] * rows[:, 1])
    return areas


def _centres() -> Floats:
    edges = np.concatenate([[0.0], VERDICT_EDGES, [1.0]])
    return np.asarray((edges[1:] + edges[:-1]) / 2)
