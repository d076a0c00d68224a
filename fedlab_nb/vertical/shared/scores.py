"""How good a model is, worked out by the owner of the labels from the joint scores of its held-out rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.errors import RoundError
from fedlab_nb.learn.metrics import exact_scores
from fedlab_nb.places import NotHere
from fedlab_nb.records import Scores
from fedlab_nb.vertical.shared.meeting import Setup

Floats = NDArray[np.float64]


def scored(told: Floats, setup: Setup) -> Scores:
    """What the owner of the labels told the server of ``metrics``, by name; nothing at a party that was not told.

    Raises:
        RoundError: it is no such score, or not all of its numbers are finite.
    """
    if isinstance(told, NotHere):
        return Scores()
    names = ("rmse", "r2") if setup.task == "regression" else ("accuracy", "loss", "auc")
    # Of rows that are all alike the last one is not told.
    if told.dtype != np.float64 or told.shape not in {(len(names) - 1,), (len(names),)}:
        raise _no_score(setup, f"numbers of shape {told.shape} and kind {told.dtype}, and not {', '.join(names)}")
    if not np.isfinite(told).all():
        raise _no_score(setup, "not all of it finite numbers")
    return Scores(dict(zip(names, told.tolist(), strict=False)))


def _no_score(setup: Setup, what: str) -> RoundError:
    return RoundError(
        setup.labels_at,
        "score",
        f"The score that {setup.labels_at!r} told of its held-out rows is {what}.",
        "How good the model is, nobody else can tell: what is no score would be shown as one.",
        "If scores were bad in the rounds before, begin anew with smaller steps; otherwise use the same version at all "
        "parties, and ask who runs that site which code it runs.",
    )


def metrics(scores: Floats, y: Floats, setup: Setup) -> dict[str, float]:
    """Exact scores of ``scores`` (n, outputs) against the labels ``y`` (n,), as the owner of the labels has them."""
    return exact_scores(setup.task, scores, y, getattr(setup.target, "scale", 1.0))
