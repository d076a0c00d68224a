"""How much the owners agree to spend, and what that means in noise and rounds before any data is asked."""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass

import numpy as np

from fedlab_nb.errors import SettingError
from fedlab_nb.privacy.guard.noise import least_noise, most_rounds
from fedlab_nb.privacy.meters import Meter, meter_for
from fedlab_nb.records import PrivacyEvent


@dataclass(frozen=True)
class Budget:
    """The epsilon and delta that the owners agree to spend at most, together, over everything that leaves.

    Raises:
        SettingError: if ``epsilon`` is no positive and finite number or ``delta`` not between 0 and 1.
    """

    epsilon: float
    delta: float = 1e-5

    def __post_init__(self) -> None:
        if not _is_between(0.0, self.epsilon, math.inf):
            raise SettingError(
                f"The budget's epsilon is {self.epsilon!r}, not a positive number.",
                "Epsilon bounds how much one row can change what is released; it must be above 0 and finite.",
                "Agree on a value such as Budget(epsilon=8, delta=1e-3); smaller is more private.",
            )
        if not _is_between(0.0, self.delta, 1.0):
            raise SettingError(
                f"The budget's delta is {self.delta!r}, not a number between 0 and 1.",
                "Delta is the probability that the epsilon does not hold, so it must be small and above 0.",
                "Choose a delta well below 1 / (rows of an owner), such as 1e-3 for a hundred rows.",
            )

    def noise_multiplier(self, rounds: int, *, row_rate: float = 1.0, frozen: bool = False) -> float:
        """The noise multiplier at which ``rounds`` equal Gaussian releases, and nothing else, cost just this budget.

        ``row_rate`` is the probability with which each row takes part in a release. With fewer rows than all, the
        budget is counted in another way (see ``fedlab_nb/privacy/meters.py``), which pays off at small rates only.
        With ``frozen`` all rounds are fixed and paid before the first one, as with ``fl.RowLevelDP(frozen=True)``:
        then sampled rows need less noise. It takes a second or two.

        Raises:
            SettingError: if ``rounds`` is no whole number above 0, or ``row_rate`` no probability above 0.

        >>> round(Budget(3.0, 1e-5).noise_multiplier(50), 6)
        9.832981
        """
        rate, meter, times = _rate(row_rate), self._meter(row_rate), _count(rounds)
        noise = meter.noise(meter.room(self.epsilon, self.delta) / times, rate)
        if not frozen or rate == 1.0:
            return noise
        return least_noise(lambda sigma: {_one(sigma, rate): times}, self.epsilon, self.delta, noise)

    def rounds(self, noise_multiplier: float, *, row_rate: float = 1.0, frozen: bool = False) -> int:
        """How many Gaussian releases with this ``noise_multiplier``, and nothing else, fit into this budget.

        ``row_rate`` and ``frozen`` are as in ``noise_multiplier``.

        Raises:
            SettingError: if ``noise_multiplier`` is not above 0 and finite, or ``row_rate`` no probability above 0.

        >>> Budget(3.0, 1e-5).rounds(8.0)
        33
        >>> Budget(3.0, 1e-5).rounds(2.0), Budget(3.0, 1e-5).rounds(2.0, row_rate=0.1)
        (2, 133)
        """
        if not _is_between(0.0, noise_multiplier, math.inf):
            raise SettingError(
                f"The noise multiplier is {noise_multiplier!r}, not a positive number.",
                "It is the noise's standard deviation divided by the clip; without noise no budget allows a release.",
                "Choose a value such as 8.0, or ask Budget.noise_multiplier(rounds) which one a plan needs.",
            )
        meter = self._meter(row_rate)
        one = _one(noise_multiplier, _rate(row_rate))
        # A hair of tolerance: the noise for exactly twenty rounds allows twenty, not 19.9999.
        fit = math.floor(meter.room(self.epsilon, self.delta) / meter.cost(one) * (1 + 1e-9))
        if not frozen or one.sample_rate == 1.0:
            return fit
        return most_rounds(lambda rounds: {one: rounds}, self.epsilon, self.delta, fit)

    def _meter(self, row_rate: float) -> Meter:
        return meter_for(_rate(row_rate) < 1.0, self.epsilon, self.delta)

    def _repr_html_(self) -> str:
        from fedlab_nb.privacy.card import budget_card

        return budget_card(self)


def stricter(first: Budget | None, second: Budget | None) -> Budget | None:
    """The budget that keeps within both: the smaller epsilon with the smaller delta; None if there is neither.

    >>> stricter(Budget(2.0, 1e-4), Budget(8.0, 1e-5))
    Budget(epsilon=2.0, delta=1e-05)
    """
    if first is None or second is None:
        return first or second
    return Budget(min(first.epsilon, second.epsilon), min(first.delta, second.delta))


def _is_between(low: float, value: object, high: float) -> bool:
    number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    return number and low < value < high  # type: ignore[operator]


def _one(noise_multiplier: float, row_rate: float) -> PrivacyEvent:
    """One round's release."""
    return PrivacyEvent(1, "a round", "training", "row", "gaussian", noise_multiplier, sample_rate=row_rate)


def _rate(row_rate: float) -> float:
    """``row_rate``, if it is a probability above 0."""
    if row_rate != 1 and not _is_between(0.0, row_rate, 1.0):
        raise SettingError(
            f"The row rate is {row_rate!r}, not a number above 0 and at most 1.",
            "It is the probability with which each row takes part in a round, and decides what a round costs.",
            "Choose a value such as row_rate=0.1; with 1 every row takes part in every round.",
        )
    return float(row_rate)


def _count(rounds: int) -> int:
    """``rounds``, if it is a whole number above 0."""
    if isinstance(rounds, bool) or not hasattr(rounds, "__index__") or operator.index(rounds) < 1:
        raise SettingError(
            f"The number of rounds is {rounds!r}, not a whole number above 0.",
            "The budget is divided by it, so the noise of each round depends on how many there are.",
            "Choose how many rounds the run has, such as 20.",
        )
    return operator.index(rounds)
