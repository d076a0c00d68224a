"""What the owner of the labels works out alone: where scores begin, their gradients, and which rows count (GOSS)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.learn.metrics import probabilities
from fedlab_nb.records.schema import Task

Floats = NDArray[np.float64]
Goss = tuple[float, float]

# Gradients are multiples of 2**-BITS, so that their sums are exact, sealed or not.
BITS = 20


@dataclass(frozen=True, eq=False, repr=False)
class Gradients:
    """First and second derivative of the loss by the scores, ``values`` (2, n, outputs), on a grid.

    Law: divided by 2**shifts, each has a mean square of at most 1 and is a multiple of 2**-BITS, or 0.
    """

    values: Floats
    shifts: tuple[int, int]

    def __repr__(self) -> str:
        return "Gradients(private)"


def base_scores(y: Floats, task: Task, outputs: int) -> Floats:
    """The scores (outputs,) before the first tree: log-odds of two classes, logs of the shares of more, else 0.

    Every class counts half a row more than it has, so that one that does not occur has a finite score.
    """
    if task == "regression":
        return np.zeros(1)
    counts = np.bincount(y.astype(np.int64), minlength=max(outputs, 2)) + 0.5
    return np.log(counts / counts.sum()) if task == "multiclass" else np.array([np.log(counts[1] / counts[0])])


def gradients(scores: Floats, y: Floats, task: Task, weights: Floats | None = None) -> Gradients:
    """Of half the squared error, or of the cross-entropy, at ``scores`` (n, outputs), row by row times ``weights``.

    Source: Chen, Guestrin, "XGBoost", KDD 2016, section 2.2; for several classes one tree for each, h = p (1 - p).
    """
    if task == "regression":
        g, h = scores - y[:, None], np.ones_like(scores)
    else:
        chances = probabilities(scores)[:, -scores.shape[1] :]
        truth = y[:, None] == (np.arange(scores.shape[1]) if task == "multiclass" else 1.0)
        g, h = chances - truth, chances * (1 - chances)
    pair = np.stack([g, h]) if weights is None else np.stack([g, h]) * weights[:, None]
    shifts = _shift(pair[0]), _shift(pair[1])
    steps = np.rint(np.ldexp(pair, BITS - np.array(shifts)[:, None, None]))
    counted = np.ones(len(y), dtype=bool) if weights is None else weights > 0
    steps[1, counted] = np.maximum(steps[1, counted], 1.0)  # a row that counts has a curvature
    return Gradients(np.ldexp(steps, np.array(shifts)[:, None, None] - BITS), shifts)


def goss_weights(scores: Floats, y: Floats, task: Task, goss: Goss, rng: np.random.Generator) -> Floats:
    """What each row (n,) weighs: 1 among the ``top`` share by gradient, 0 or (1 - top) / other among the rest.

    Of the rest a share ``other`` of all rows is drawn; its weight makes sums right in the mean.

    Source: Ke et al., "LightGBM", NeurIPS 2017, algorithm 2.
    """
    top, other = goss
    size = np.abs(gradients(scores, y, task).values[0]).sum(axis=1)
    order = np.argsort(-size, kind="stable")
    first, drawn = int(top * len(y)), int(other * len(y))
    weights = np.zeros(len(y))
    weights[order[:first]] = 1.0
    weights[rng.choice(order[first:], drawn, replace=False)] = (1.0 - top) / other
    return weights


def _shift(values: Floats) -> int:
    """The least k >= 0 for which values / 2**k, (n, outputs), have mean squares of at most 1 in every column."""
    squares = float(np.mean(values**2, axis=0).max())
    return max(0, int(np.ceil(np.log2(squares) / 2))) if squares > 0 else 0
