"""How good a model is, worked out by the owner of the labels from the joint scores of its held-out rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.learn.metrics import area_under_curve, probabilities
from fedlab_nb.vertical.shared.meeting import Setup

Floats = NDArray[np.float64]


def metrics(scores: Floats, y: Floats, setup: Setup) -> dict[str, float]:
    """Accuracy, loss and AUC of classes, RMSE and R2 of numbers, from ``scores`` (n, outputs) and labels ``y`` (n,).

    Exact, over rows of which the owner of the labels has the labels. AUC is absent where only one class occurs, R2
    where all labels are equal; of several classes AUC is the mean of each against the rest.
    """
    if setup.task == "regression":
        squares = float(np.mean((scores[:, 0] - y) ** 2))
        scale, spread = getattr(setup.target, "scale", 1.0), float(np.var(y))
        return {"rmse": float(scale * np.sqrt(squares))} | ({"r2": 1.0 - squares / spread} if spread > 0.0 else {})
    chances, truth = probabilities(scores), y.astype(np.int64)
    of_truth = np.clip(chances[np.arange(len(truth)), truth], 1e-12, 1.0)
    columns = range(1, 2) if setup.task == "binary" else range(chances.shape[1])
    areas = [area(scores[:, 0] if setup.task == "binary" else chances[:, c], truth == c) for c in columns]
    known = [each for each in areas if each is not None]
    found = {"accuracy": float(np.mean(chances.argmax(1) == truth)), "loss": float(-np.log(of_truth).mean())}
    return found | ({"auc": float(np.mean(known))} if known else {})


def area(scores: Floats, positive: NDArray[np.bool_]) -> float | None:
    """The area under the ROC curve of ``scores`` (n,), ties counting half; None where only one class occurs."""
    _, place = np.unique(scores, return_inverse=True)
    bins = int(place.max(initial=-1)) + 1
    counts = np.bincount(positive * bins + place, minlength=2 * bins).astype(np.float64)
    return area_under_curve(counts.reshape(2, bins))
