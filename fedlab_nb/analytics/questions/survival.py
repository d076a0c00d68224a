"""Survival: events and losses per time bin, and from their sums the Kaplan-Meier curve and the log-rank test."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from fedlab_nb.analytics.questions.cells import Axis, Bins, Outcome, count_cells
from fedlab_nb.analytics.questions.question import Floats, Question
from fedlab_nb.analytics.questions.small import merged


class Curve(NamedTuple):
    """Per time bin (b,): rows at risk at its start, events in it, survival at its end, its Greenwood error."""

    at_risk: Floats
    events: Floats
    survival: Floats
    error: Floats


def count_survival(time: Bins, outcome: Outcome, groups: Sequence[Axis] = ()) -> Question:
    """How many rows of each group have their event, and how many leave without one, in each time bin ((g * b * 2,)).

    A row is in one cell: the L2 sensitivity is 1. Rows without a time, or without a known outcome, are left out.
    """

    def hidden(counts: Floats, _: tuple[int, ...]) -> Floats:
        return merged(counts.reshape(-1, time.size, 2))

    return count_cells("survival count", [*groups, time, outcome], hidden=hidden)


def read_curve(counts: Floats) -> Curve:
    """The Kaplan-Meier curve of one group from its counts (b, 2).

    S(t) = prod (1 - d_j / n_j) with d_j events among n_j at risk, Greenwood's standard error
    S(t) sqrt(sum d_j / (n_j (n_j - d_j))). Who leaves in a bin counts as at risk in it. This error is that of sampling.

    Source: Kaplan and Meier 1958; Greenwood 1926.
    """
    at_risk = np.cumsum(counts.sum(axis=1)[::-1])[::-1]
    n = np.maximum(at_risk, 1.0)
    d = np.clip(counts[:, 0], 0.0, n)
    survival = np.cumprod(1.0 - d / n)
    terms = np.divide(d, n * (n - d), out=np.zeros_like(d), where=n - d > 0)
    return Curve(at_risk, counts[:, 0], survival, survival * np.sqrt(np.cumsum(terms)))


def log_rank(counts: Floats, noise: Floats | float = 0.0) -> tuple[float, float]:
    """The log-rank statistic of all groups (g, b, 2), and its p-value from chi-squared with g - 1 degrees of freedom.

    With O and E the observed and the expected events of each group and V their covariance, it is
    (O - E)' V^-1 (O - E) over the first g - 1 groups. ``noise`` is the covariance that noise for privacy adds to
    O - E: it goes into V, so that noise is not taken for an effect.

    Source: Mantel 1966; Peto and Peto 1972.
    """
    from scipy.special import chdtrc

    distance, covariance = distances(counts)
    statistic = float(distance @ np.linalg.pinv(covariance + noise) @ distance)
    return statistic, float(chdtrc(len(distance), statistic))


def distances(counts: Floats) -> tuple[Floats, Floats]:
    """Observed minus expected events (g - 1,) of all groups but the last, and their covariance by sampling."""
    at_risk = np.maximum(np.cumsum(counts.sum(axis=2)[:, ::-1], axis=1)[:, ::-1], 0.0)
    events = np.clip(counts[:, :, 0], 0.0, at_risk)
    n, d = at_risk.sum(axis=0), events.sum(axis=0)
    use = n > 1.0
    n, d, share = n[use], d[use], at_risk[:, use] / n[use]
    distance = events[:, use].sum(axis=1) - (share * d).sum(axis=1)
    weight = d * (n - d) / (n - 1.0)
    covariance = np.diag((share * weight).sum(axis=1)) - (share * weight) @ share.T
    return distance[:-1], covariance[:-1, :-1]
