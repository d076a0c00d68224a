"""What is told of several runs together: a mean with its interval, the rounds to a target, the owners' inequality."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from fedlab_nb.records import History
from fedlab_nb.units import LOWER_IS_BETTER
from fedlab_nb.view.draw.curves import course

# How sure an interval is to hold the mean over all seeds, as it is usually stated.
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Mean:
    """The mean of some numbers, and the interval for the mean of all that might have been drawn.

    ``low`` and ``high`` are None where there are fewer than two numbers: one says nothing about luck.
    """

    value: float
    low: float | None = None
    high: float | None = None
    count: int = 0

    @property
    def half(self) -> float | None:
        """Half the width of the interval."""
        return None if self.high is None else self.high - self.value


def mean_of(values: Sequence[float]) -> Mean:
    """The mean with its t interval: mean ± t * s / sqrt(n), t the 0.975 quantile of Student's t with n - 1 degrees.

    It is right where the values are independent and about normal, and wide where they are few: t is 12.7 for two
    values, 4.3 for three, 2.8 for five. Values that are not finite are left out.

    Source: Student 1908, "The probable error of a mean", section 3.

    >>> found = mean_of([0.90, 0.92, 0.94])
    >>> round(found.value, 2), round(found.low, 3), round(found.high, 3)
    (0.92, 0.87, 0.97)
    """
    known = [float(v) for v in values if math.isfinite(v)]
    if len(known) < 2:
        return Mean(known[0] if known else math.nan, count=len(known))
    from scipy.special import stdtrit

    half = float(stdtrit(len(known) - 1, (1 + CONFIDENCE) / 2)) * statistics.stdev(known) / math.sqrt(len(known))
    middle = statistics.fmean(known)
    return Mean(middle, middle - half, middle + half, len(known))


def level(history: History, metric: str) -> dict[int, float]:
    """The metric by round: as it was released, or, where releases carry noise, the best estimate behind them."""
    return {int(number): value for number, value in course(history, metric)}


def final(history: History, metric: str) -> float:
    """The metric after the last round in which it was released; nan if it never was."""
    return next(reversed(level(history, metric).values()), math.nan)


def rounds_to(history: History, metric: str, target: float) -> float:
    """The number of the first round in which the metric reached ``target``; infinite if none did."""
    lower = metric in LOWER_IS_BETTER
    reached = (n for n, v in level(history, metric).items() if (v <= target if lower else v >= target))
    return float(next(reached, math.inf))


def median(values: Sequence[float]) -> float:
    """The median, infinite values among them; nan without any.

    >>> median([3.0, math.inf, 5.0]), median([3.0, math.inf])
    (5.0, inf)
    """
    return statistics.median(values) if values else math.nan


class Fairness(NamedTuple):
    """One model at several owners: its score where it is worst and best, and the standard deviation over owners."""

    worst: float
    best: float
    deviation: float


def fairness(by_owner: Mapping[str, Mapping[str, float]], metric: str) -> Fairness | None:
    """How unequal owners' scores are; None where fewer than two owners' own were released.

    Source: Li et al. 2020, "Fair resource allocation in federated learning", section 4: the worst owners, and the
    spread over all.
    """
    scores = [own[metric] for own in by_owner.values() if math.isfinite(own.get(metric, math.nan))]
    if len(scores) < 2:
        return None
    ends = min(scores), max(scores)
    worst, best = ends[::-1] if metric in LOWER_IS_BETTER else ends
    return Fairness(worst, best, statistics.pstdev(scores))


def final_fairness(history: History, metric: str) -> Fairness | None:
    """``fairness`` after the last round in which owners' own scores were released."""
    told = (fairness(record.owner_metrics, metric) for record in reversed(history.completed))
    return next((found for found in told if found is not None), None)


def together(found: Sequence[Fairness | None]) -> Fairness | None:
    """The mean over runs of what each of them told."""
    known = [one for one in found if one is not None]
    return Fairness(*(statistics.fmean(column) for column in zip(*known, strict=True))) if known else None
