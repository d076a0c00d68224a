"""Events -> epsilon. The mechanism states an event; the accountant, dp-accounting behind our records, concludes.

Neighbouring data sets differ by one row (unit "row") or one owner's whole data (unit "owner"), added or removed. Only
rows that take part independently, each with the same probability and in secret, make a release cheaper; lots of a fixed
size do not, and replacing one row by another is not what these numbers are about.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from fedlab_nb.errors import SettingError
from fedlab_nb.privacy.meters import GAUSSIAN, Meter
from fedlab_nb.records import PrivacyEvent


@dataclass(frozen=True)
class Total:
    """What releases add up to: ``cost`` as its ``meter`` counts it, and what category ``lists`` used of ``delta``.

    ``delta`` is what was set aside for lists before the first release. All of it counts, whatever was released: how
    much of a budget's delta is left for the cost must not depend on what has left. Lists that use more than it leave
    no guarantee.

    Law: each list is a Gaussian release but for one coin, whose chance does not depend on the row and is at most the
    list's delta. No coin of all lists turns up with probability 1 - ``delta`` or more, however each was chosen; then
    all releases together are within what the meter shows of ``cost`` at the delta that is left.

    Source: Balle and Wang 2018 (analytic Gaussian); see meters.py for what adds up and why.

    >>> once = Total.of(PrivacyEvent(1, "an update", "training", "row", "gaussian", 2.0))
    >>> (once + once).cost
    0.5
    """

    cost: float = 0.0
    lists: float = 0.0
    delta: float = 0.0
    meter: Meter = GAUSSIAN

    @classmethod
    def of(cls, event: PrivacyEvent, times: int = 1, meter: Meter = GAUSSIAN) -> Total:
        """``times`` releases like ``event`` (which may itself stand for several), counted by ``meter``.

        Raises:
            SettingError: if it names a mechanism that is not known here.
        """
        if event.mechanism not in ("gaussian", "laplace", "none"):
            raise SettingError(
                f"A release ({event.purpose}) has the mechanism {event.mechanism!r}, unknown to the accountant.",
                "What cannot be counted would leave the budget looking better than it is.",
                'Use "gaussian" or "laplace" noise, or state the release as "none", not protected.',
            )
        if times == 0:
            return cls(meter=meter)
        return cls(times * meter.cost(event), times * event.times * event.delta, meter=meter)

    def __add__(self, other: Total) -> Total:
        if self.meter != other.meter:
            raise SettingError(
                f"Releases counted by {self.meter} were added to releases counted by {other.meter}.",
                "The two count in different units, so that their sum would mean nothing.",
                "Count all releases of one account with the meter it was opened with.",
            )
        return Total(self.cost + other.cost, self.lists + other.lists, self.delta + other.delta, self.meter)

    @property
    def lists_left(self) -> float:
        """How much of the delta that was set aside for lists they have not used."""
        return max(self.delta - self.lists, 0.0)

    @property
    def lists_fit(self) -> bool:
        """True if the lists used no more of delta than was set aside for them, up to the ninth digit."""
        return self.lists <= self.delta * (1 + 1e-9)

    def epsilon(self, delta: float) -> float:
        """The epsilon of all of it at ``delta``.

        It is infinite if one of the releases had no mechanism, if lists used more than was set aside for them, or if
        that is all of ``delta``.
        """
        if self.cost == self.lists == 0.0:
            return 0.0
        if self.cost == math.inf or not self.lists_fit or self.delta >= delta:
            return math.inf
        return self.meter.epsilon(self.cost, delta - self.delta)

    def room(self, epsilon: float, delta: float) -> float:
        """How much more cost fits into (``epsilon``, ``delta``) beside what there is; below 0 if that is too much."""
        return self.meter.room(epsilon, delta - self.delta) - self.cost

    def fits(self, epsilon: float, delta: float) -> bool:
        """True if all of it stays within (``epsilon``, ``delta``), up to the ninth digit; faster than ``epsilon``."""
        if self.cost == self.lists == 0.0:
            return True
        room = self.meter.room(epsilon, delta - self.delta)
        return self.lists_fit and room > 0.0 and self.cost <= room * (1 + 1e-9)


def epsilon(events: Iterable[PrivacyEvent], delta: float) -> float:
    """The epsilon of releasing all ``events`` at ``delta``, counted by the GaussianMeter (see Total).

    As much of ``delta`` as the category lists among them take was set aside for them.
    """
    total = sum(map(Total.of, events), Total())
    return replace(total, delta=total.lists).epsilon(delta)
