"""How much noise a schedule needs, or how many rounds it may have, if all of it is fixed beforehand.

By composing privacy loss distributions, which for sampled rows is 12 to 22 % tighter than what the meters count. Every
count takes a part of a second, so that few are made.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial

from fedlab_nb.privacy.meters import LEAST_TRIED
from fedlab_nb.privacy.tight import MEANINGLESS, composed_epsilon, count_by
from fedlab_nb.records import PrivacyEvent

# The budget is used up to this part of it, from below: closer costs more time than it is worth.
CLOSE = 2e-4
# How far to step at first from what the meter allows: rows sampled at random rarely gain more.
STEP = 0.88
# From this epsilon on, what a quick count is too large by makes no difference.
ROUGH = 1.0


def least_noise(
    schedule: Callable[[float], Mapping[PrivacyEvent, int]], epsilon: float, delta: float, enough: float
) -> float:
    """The least noise multiplier at which ``schedule(noise_multiplier)`` keeps within (epsilon, delta), from above.

    ``enough`` is known to fit. It stays where less noise is not worth looking for: below 0.3 and beyond epsilon 50
    loss distributions get very large, and protect next to nothing.
    """
    low, high = enough * STEP, enough
    if high <= LEAST_TRIED or epsilon > MEANINGLESS:
        return enough
    at_high, at_low = _epsilon(schedule(high), epsilon, delta), math.inf
    if at_high > epsilon:  # coarse steps round up: a schedule of very many rounds may gain nothing
        return enough
    while low > LEAST_TRIED:
        at_low = _epsilon(schedule(low), epsilon, delta)
        if at_low > epsilon:
            break
        high, at_high, low = low, at_low, low * STEP
    else:
        return high
    while at_high < epsilon * (1 - CLOSE) and high > low * (1 + CLOSE / 10):
        middle = _between(low, at_low, high, at_high, epsilon * (1 - CLOSE / 2))
        at_middle = _epsilon(schedule(middle), epsilon, delta)
        if at_middle > epsilon:
            low, at_low = middle, at_middle
        else:
            high, at_high = middle, at_middle
    return high


def most_rounds(schedule: Callable[[int], Mapping[PrivacyEvent, int]], epsilon: float, delta: float, fit: int) -> int:
    """The most rounds that ``schedule(rounds)`` can have within (epsilon, delta); ``fit`` of them are known to fit."""
    if epsilon > MEANINGLESS:
        return fit

    def fits(rounds: int) -> bool:
        return _epsilon(schedule(rounds), epsilon, delta) <= epsilon

    low, high = fit, max(fit + 1, round(fit / STEP))
    while fits(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def _between(low: float, at_low: float, high: float, at_high: float, target: float) -> float:
    """Where epsilon, nearly a straight line in logarithms, comes to ``target``; never too close to either end."""
    least = target * 1e-3
    part = math.log(max(at_high, least) / target) / math.log(max(at_high, least) / at_low)
    return high * math.pow(low / high, min(max(part, 0.02), 0.98))


def _epsilon(schedule: Mapping[PrivacyEvent, int], agreed: float, delta: float) -> float:
    return count_by(partial(composed_epsilon, quick=agreed >= ROUGH), schedule, delta)
