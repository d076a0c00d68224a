"""How releases add up: two meters, each a cost per release and how much of it fits into (epsilon, delta).

In a notebook the next release is chosen after seeing the earlier ones. Two rules are known to stay true under that:
releases that are as private as a Gaussian one add up in its mu^2 (GaussianMeter), and releases of any kind add up in
Renyi divergence of one order (RenyiMeter). An order picked afterwards, another meter half-way, or a part of epsilon
that goes to whatever is released next would be a choice made after seeing the releases, so an account gets its meter
and order when it is opened and keeps them, and every release costs in that one currency. Composing whole privacy loss
distributions and stopping at the budget is tighter and not valid; such numbers are for showing only (tight.py), but
for a plan that was frozen before its first release (guard/frozen.py).

Neighbouring data sets differ by one row (or one owner's whole data), added or removed. Sampling means that every row
takes part by itself with the same probability, in secret; lots of a fixed size get no credit.

Source: Smith and Thakurta 2022, arXiv 2210.17520 (mu^2); Feldman and Zrnic 2021, arXiv 2008.11193 (Renyi).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

import numpy as np

from fedlab_nb.errors import SettingError
from fedlab_nb.records import PrivacyEvent

# Below this noise multiplier, rows taking part at random hide next to nothing: such a release counts in full.
LEAST_SAMPLED = 0.2
# Above this one, releases cost next to nothing and rounding would show: they count by a simple bound.
MOST_SAMPLED = 1e6
# Between these epsilons the cost of a release that is private by epsilon alone is computed; beyond, bounded.
LEAST_PURE, MOST_PURE = 1e-4, 700.0
# Root finding tries no smaller noise than this unless the cost asked for leaves no other choice.
LEAST_TRIED = 0.3


@dataclass(frozen=True)
class GaussianMeter:
    """Adds up mu^2 = 1 / noise_multiplier^2: exact for Gaussian releases of all rows, and no credit for sampling.

    A release of sampled rows counts in full (the full one is the worse of both), a laplace one as the Gaussian that is
    nowhere more private (see pure_mu_squared).

    >>> GaussianMeter().noise(0.25)
    2.0
    """

    def cost(self, event: PrivacyEvent) -> float:
        """What ``event`` adds; infinite without noise."""
        if event.amount <= 0.0 or event.mechanism not in ("gaussian", "laplace"):
            return math.inf
        once = _mu_squared(event.amount) if event.mechanism == "gaussian" else pure_mu_squared(1 / event.amount)
        return event.times * once

    def room(self, epsilon: float, delta: float) -> float:
        """The largest cost within (epsilon, delta): mu^2 of the Gaussian that just fits; 0 where nothing does."""
        return gaussian_mu(epsilon, delta) ** 2

    def epsilon(self, cost: float, delta: float) -> float:
        """The epsilon at ``delta`` of releases that cost ``cost`` together."""
        return gaussian_epsilon(math.sqrt(cost), _open(delta)) if cost < math.inf else math.inf

    def noise(self, cost: float, sample_rate: float = 1.0) -> float:  # noqa: ARG002 - one call for both meters
        """The noise multiplier of a release that costs ``cost`` (a hair more noise, never less)."""
        return _from_above(1 / math.sqrt(cost), cost, _mu_squared) if cost > 0.0 else math.inf


@dataclass(frozen=True)
class RenyiMeter:
    """Adds up the Renyi divergence of one ``order``: for anything with noise, sampled rows cost less.

    Turning it into epsilon adds an offset of about log(1/delta) / (order - 1), so that even the first small release
    shows that much. For Gaussian releases of all rows the GaussianMeter allows about an eighth to a fifth more rounds.

    Raises:
        SettingError: if ``order`` is not above 1.

    Source: Mironov 2017, "Renyi differential privacy", section 6; Canonne, Kamath and Steinke 2020, "The discrete
    Gaussian for differential privacy", proposition 12 (conversion); Mironov, Talwar and Zhang 2019, section 3.
    """

    order: float

    def __post_init__(self) -> None:
        if not 1.0 < self.order < math.inf:
            raise SettingError(
                f"The order of a Renyi meter is {self.order!r}, not a finite number above 1.",
                "Renyi divergence bounds what a row can change only at orders above 1.",
                "Use the one that suits the budget: RenyiMeter(best_order(epsilon, delta)).",
            )

    def cost(self, event: PrivacyEvent) -> float:
        """What ``event`` adds; infinite without noise."""
        if event.amount <= 0.0 or event.mechanism not in ("gaussian", "laplace"):
            return math.inf
        if event.mechanism == "laplace":
            return event.times * laplace_renyi(event.amount, self.order)
        return event.times * gaussian_renyi(event.amount, event.sample_rate, self.order)

    def room(self, epsilon: float, delta: float) -> float:
        """The largest cost within (epsilon, delta): B = epsilon - offset; 0 where nothing fits."""
        if epsilon <= 0.0 or delta <= 0.0:
            return 0.0
        return max(epsilon - self._offset(delta), 0.0)

    def epsilon(self, cost: float, delta: float) -> float:
        """The epsilon at ``delta`` of releases that cost ``cost`` together: cost + offset."""
        return max(cost + self._offset(_open(delta)), 0.0)

    def noise(self, cost: float, sample_rate: float = 1.0) -> float:
        """The noise multiplier of a release that costs ``cost`` (a hair more noise, never less)."""
        if cost <= 0.0:
            return math.inf
        full = _from_above(math.sqrt(self.order / (2 * cost)), cost, lambda s: gaussian_renyi(s, 1.0, self.order))
        if sample_rate >= 1.0 or full <= LEAST_SAMPLED:
            return full
        return _least(lambda sigma: gaussian_renyi(sigma, sample_rate, self.order) <= cost, full)

    def _offset(self, delta: float) -> float:
        a = self.order
        return math.log((a - 1) / a) - (math.log(delta) + math.log(a)) / (a - 1)


Meter = GaussianMeter | RenyiMeter
GAUSSIAN = GaussianMeter()


@lru_cache(maxsize=1024)
def best_order(budget_epsilon: float, delta: float) -> float:
    """The order at which most Gaussian releases fit into (epsilon, delta): the largest room / order.

    >>> best_order(3.0, 1e-5)
    7.5
    """
    a = np.concatenate([1 + np.arange(1, 4000) / 20, np.unique(np.geomspace(201, 1e8, 4000).round())])
    rooms = budget_epsilon - np.log1p(-1 / a) + (math.log(delta) + np.log(a)) / (a - 1)
    return float(a[np.argmax(rooms / a)])


def meter_for(sampled: bool, epsilon: float, delta: float) -> Meter:
    """The meter for an account that is opened with this budget: Gaussian, or Renyi where rows will be sampled."""
    return RenyiMeter(best_order(epsilon, delta)) if sampled else GaussianMeter()


@lru_cache(maxsize=4096)
def gaussian_epsilon(mu: float, delta: float) -> float:
    """The epsilon of one Gaussian release with L2 sensitivity / noise standard deviation = ``mu``."""
    _open(delta)
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


def _mu_squared(sigma: float) -> float:
    """mu^2 of a Gaussian release: 1 / sigma^2, infinite or 0 where that is beyond all numbers."""
    return 1 / sigma * (1 / sigma)


def pure_mu_squared(epsilon: float) -> float:
    """mu^2 of the Gaussian release that is nowhere more private than one with ``epsilon`` at delta 0.

    Law: mu = -2 PhiInv(a) with a = 1 / (1 + e^epsilon). Whoever tells two neighbours apart with false alarms x misses
    at least f(x) = max(1 - e^epsilon x, e^-epsilon (1 - x)), which is made of the chords through (0, 1), (a, a) and
    (1, 0); the Gaussian's curve is convex and passes through the same three points, so it lies below the chords.

    For very small and very large epsilons it is bounded from above: by pi / 2 epsilon^2, and by 8 (epsilon - log 2).

    Source: Dong, Roth and Su 2022, "Gaussian differential privacy", sections 2.2 and 2.3.

    >>> round(pure_mu_squared(1.0), 4)
    1.5179
    """
    if epsilon < LEAST_PURE:
        return math.pi / 2 * epsilon**2
    if epsilon > MOST_PURE:
        return 8 * (epsilon - math.log(2))
    return (2 * NormalDist().inv_cdf(1 / (1 + math.exp(epsilon)))) ** 2


@lru_cache(maxsize=16384)
def gaussian_renyi(sigma: float, sample_rate: float, order: float) -> float:
    """Renyi divergence of ``order`` of a Gaussian release with noise multiplier ``sigma`` of sampled rows.

    With every row it is order / (2 sigma^2). With rate q it is log(A) / (order - 1), where A is the mean of
    f(z)^order over z ~ N(0, sigma^2) and f(z) = 1 - q + q exp((2z - 1) / (2 sigma^2)).
    Source: Mironov, Talwar and Zhang 2019, "Renyi differential privacy of the sampled Gaussian mechanism", theorem 4.
    """
    full = order / 2 * _mu_squared(sigma)
    if sample_rate >= 1.0 or sigma < LEAST_SAMPLED:
        return full
    # exp((order - 1) * divergence) is convex, so this holds for rows taking part in any mechanism.
    bound = mixed(sample_rate, (order - 1) * full) / (order - 1)
    if sigma > MOST_SAMPLED:
        return bound
    return min(_log_mean(sigma, sample_rate, order) / (order - 1) * (1 + 1e-12), bound)


def mixed(share: float, size: float) -> float:
    """log(1 + share (exp(size) - 1)), without overflow; ``size`` itself at share 1."""
    if share == 1.0:
        return size
    if size < 1.0:  # exact also where all of it is small
        return math.log1p(share * math.expm1(size))
    return float(np.logaddexp(math.log1p(-share), math.log(share) + size))


def _log_mean(sigma: float, q: float, a: float) -> float:
    """log(A) of ``gaussian_renyi``."""
    # The mean of f is 1, so A - 1 is the mean of f^a - 1 - a (f - 1), which is nowhere negative: nothing cancels. The
    # trapezoid rule with this step is exact to the last digits, for f is smooth on the scale of sigma^2 and of sigma.
    step = min(sigma / 4, sigma**2 / 2)
    z = np.arange(-12 * sigma, a + 12 * sigma, step)
    log_ratio = (2 * z - 1) / (2 * sigma**2)
    log_f = np.logaddexp(math.log1p(-q), math.log(q) + log_ratio)
    log_density = -(z**2) / (2 * sigma**2) - math.log(sigma * math.sqrt(2 * math.pi))
    top = max(float((log_density + a * log_f).max()), 0.0)  # subtracted, so that nothing overflows
    near = np.abs(a * log_f) < 1.0
    x = q * np.expm1(np.where(near, log_ratio, 0.0))
    close = np.exp(log_density - top) * (np.expm1(a * np.log1p(x)) - a * x)
    far = np.exp(log_density + a * log_f - top) - np.exp(log_density - top) * (1 - a)
    far -= a * np.exp(log_density + log_f - top)
    above = step * float(np.where(near, close, far).sum())
    return float(np.logaddexp(0.0, top + math.log(above))) if above > 0.0 else math.inf


@lru_cache(maxsize=16384)
def laplace_renyi(scale: float, order: float) -> float:
    """Renyi divergence of ``order`` of a Laplace release with noise scale / L1 sensitivity = ``scale``.

    Source: Mironov 2017, "Renyi differential privacy", proposition 6.
    """
    a, share = order, order / (2 * order - 1)
    if (a - 1) / scale > 1.0:
        first, second = math.log(share) + (a - 1) / scale, math.log1p(-share) - a / scale
        return float(np.logaddexp(first, second)) / (a - 1)
    # With much noise both terms are close to 1, and their difference from it is what counts.
    above = share * math.expm1((a - 1) / scale) + (1 - share) * math.expm1(-a / scale)
    return math.log1p(max(above, 0.0)) / (a - 1)


def _open(delta: float) -> float:
    """``delta``, if there is any."""
    if delta <= 0.0:
        raise SettingError(
            "No delta is left beside what is set aside for category lists.",
            "Without any delta, Gaussian noise gives no guarantee at all.",
            "Agree on a larger delta, or declare the categories of every column so that no list has to be released.",
        )
    return delta


def _from_above(sigma: float, cost: float, cost_of: Callable[[float], float]) -> float:
    """``sigma``, or the next number above it whose cost is not more than ``cost`` (rounding may have gone beyond)."""
    while cost_of(sigma) > cost:
        sigma = math.nextafter(sigma, math.inf)
    return sigma


def _least(fits: Callable[[float], bool], enough: float) -> float:
    """The least noise that ``fits``, to twelve digits and from above; ``enough`` is known to fit."""
    low = enough
    while fits(low):
        enough, low = low, (max(low / 2, LEAST_TRIED) if low > LEAST_TRIED else low / 2)
    while enough > low * (1 + 1e-12):
        middle = math.sqrt(low * enough)
        if not low < middle < enough:
            break
        enough, low = (middle, low) if fits(middle) else (enough, middle)
    return enough
