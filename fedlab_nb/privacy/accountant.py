"""Events -> epsilon. The mechanism states an event; the accountant, dp-accounting behind our records, concludes.

Neighbouring data sets differ by one row (unit "row") or one owner's whole data (unit "owner"), added or removed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import lru_cache

from fedlab_nb.errors import SettingError
from fedlab_nb.records import PrivacyEvent


def epsilon(events: Iterable[PrivacyEvent], delta: float) -> float:
    """The epsilon of releasing all ``events`` at ``delta``; infinite if one of them had no mechanism.

    Gaussian releases without subsampling compose exactly: their noise multipliers s_i act as one Gaussian with
    1/s^2 = sum 1/s_i^2, also when each was chosen after seeing the earlier ones. Geometric releases add their epsilon,
    thresholded lists take their part of delta.

    Raises:
        SettingError: if the events need more delta than there is, or one names a mechanism that is not known here.

    Source: Balle and Wang 2018 (analytic Gaussian); Smith and Thakurta 2022 (adaptive composition, GDP filter).
    """
    pure, spent_delta, squares = 0.0, 0.0, 0.0
    for event in events:
        if event.mechanism not in ("gaussian", "geometric", "none"):
            raise SettingError(
                f"A release ({event.purpose}) has the mechanism {event.mechanism!r}, unknown to the accountant.",
                "What cannot be counted would leave the budget looking better than it is.",
                'Use "gaussian" or "geometric" noise, or state the release as "none": it then counts as unprotected.',
            )
        spent_delta += event.delta
        if event.mechanism == "geometric":
            pure += event.amount
        else:
            squares += event.amount**-2 if event.mechanism == "gaussian" and event.amount > 0.0 else math.inf
    if squares == math.inf:
        return math.inf
    return pure + gaussian_epsilon(math.sqrt(squares), delta - spent_delta)


@lru_cache(maxsize=4096)
def gaussian_epsilon(mu: float, delta: float) -> float:
    """The epsilon of one Gaussian release with L2 sensitivity / noise standard deviation = ``mu``."""
    if delta <= 0.0:
        raise SettingError(
            "The releases so far have used up delta.",
            "Without any delta left, Gaussian noise gives no guarantee at all.",
            "Agree on a larger delta, or declare the categories of every column so that no list has to be released.",
        )
    if mu <= 0.0:
        return 0.0
    import dp_accounting

    return float(dp_accounting.get_epsilon_gaussian(1.0 / mu, delta))


@lru_cache(maxsize=4096)
def gaussian_mu(eps: float, delta: float) -> float:
    """The largest ``mu`` (L2 sensitivity / noise standard deviation) that stays within (``eps``, ``delta``)."""
    import dp_accounting

    if eps <= 0.0 or delta <= 0.0:
        return 0.0
    mu = 1.0 / float(dp_accounting.get_sigma_gaussian(eps, delta))
    # Root finding may land a hair beyond the target; a budget is an upper bound, so step back inside it.
    return mu * (1.0 - 1e-9)
