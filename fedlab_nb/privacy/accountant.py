"""Events -> epsilon. The mechanism states an event; the accountant, dp-accounting behind our records, concludes.

Neighbouring data sets differ by one row (unit "row") or one owner's whole data (unit "owner"), added or removed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from fedlab_nb.errors import SettingError
from fedlab_nb.records import PrivacyEvent


@dataclass(frozen=True)
class Total:
    """What releases add up to: ``squares`` of Gaussian ones (sum of 1 / noise_multiplier^2), ``pure`` epsilon, delta.

    Gaussian releases without subsampling compose exactly: their noise multipliers s_i act as one Gaussian with
    1/s^2 = sum 1/s_i^2, also when each was chosen after seeing the earlier ones. Geometric releases add their epsilon,
    thresholded lists take their part of delta.

    Source: Balle and Wang 2018 (analytic Gaussian); Smith and Thakurta 2022 (adaptive composition, GDP filter).
    """

    squares: float = 0.0
    pure: float = 0.0
    delta: float = 0.0

    @classmethod
    def of(cls, event: PrivacyEvent, times: int = 1) -> Total:
        """``times`` releases like ``event``.

        Raises:
            SettingError: if it names a mechanism that is not known here.
        """
        if event.mechanism not in ("gaussian", "geometric", "none"):
            raise SettingError(
                f"A release ({event.purpose}) has the mechanism {event.mechanism!r}, unknown to the accountant.",
                "What cannot be counted would leave the budget looking better than it is.",
                'Use "gaussian" or "geometric" noise, or state the release as "none": it then counts as unprotected.',
            )
        if event.mechanism == "geometric":
            return cls(pure=times * event.amount, delta=times * event.delta)
        noisy = event.mechanism == "gaussian" and event.amount > 0.0
        each = event.amount**-2 if noisy else math.inf
        return cls(times * each if times else 0.0, delta=times * event.delta)

    def __add__(self, other: Total) -> Total:
        return Total(self.squares + other.squares, self.pure + other.pure, self.delta + other.delta)

    def epsilon(self, delta: float) -> float:
        """The epsilon of all of it at ``delta``; infinite if one of the releases had no mechanism.

        Raises:
            SettingError: if it needs more delta than there is.
        """
        if self.squares == math.inf:
            return math.inf
        return self.pure + gaussian_epsilon(math.sqrt(self.squares), delta - self.delta)


def epsilon(events: Iterable[PrivacyEvent], delta: float) -> float:
    """The epsilon of releasing all ``events`` at ``delta`` (see Total)."""
    return sum(map(Total.of, events), Total()).epsilon(delta)


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
