"""How good a model is, worked out by the owner of the labels from the joint scores of its held-out rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.learn.metrics import exact_scores
from fedlab_nb.places import NotHere
from fedlab_nb.records import Scores
from fedlab_nb.vertical.shared.meeting import Setup

Floats = NDArray[np.float64]


def scored(told: Floats, setup: Setup) -> Scores:
    """What the owner of the labels told the server of ``metrics``, by name; nothing at a party that was not told."""
    if isinstance(told, NotHere):
        return Scores()
    # Of rows that are all alike the last one is not told.
    names = ("rmse", "r2") if setup.task == "regression" else ("accuracy", "loss", "auc")
    return Scores(dict(zip(names, told.tolist(), strict=False)))


def metrics(scores: Floats, y: Floats, setup: Setup) -> dict[str, float]:
    """Exact scores of ``scores`` (n, outputs) against the labels ``y`` (n,), as the owner of the labels has them."""
    return exact_scores(setup.task, scores, y, getattr(setup.target, "scale", 1.0))
