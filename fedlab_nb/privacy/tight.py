"""What the same releases would cost by other counts: the tightest one, the naive sum, and what papers report.

These are for showing beside what a budget enforces. They hold if the whole schedule was fixed before the first release;
nothing else may be stopped or allowed by them, because in a notebook each release is chosen after seeing the earlier
ones (see meters.py, and guard/frozen.py for a schedule that is fixed). All are functions of how often each event
happened; its round and its purpose do not matter.

The neighbouring data sets are as in the accountant: one row or owner added or removed, rows sampled independently.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from fedlab_nb.privacy.accountant import Total
from fedlab_nb.privacy.meters import RenyiMeter, gaussian_epsilon, mixed
from fedlab_nb.records import PrivacyEvent

Counts = Mapping[PrivacyEvent, int]
# How often each (mechanism, amount, sample rate) happened, in order.
Kinds = tuple[tuple[str, float, float, int], ...]

# Where the best Renyi order lies for all budgets that somebody would agree to.
ORDERS = (*(1 + x / 20 for x in range(1, 200)), *range(11, 64), *range(64, 256, 8), *range(256, 1025, 64))
# Steps of the privacy loss, and for how many compositions each is fine enough: what they round up grows with their
# number and the square of the step, and stays below a thousandth here.
STEPS = ((500, 1e-3), (2_000, 5e-4), (12_000, 2e-4), (math.inf, 1e-4))
# For few compositions, still below a thousandth, and several times as fast; multiples of the steps above, so that these
# never give more.
QUICK = ((3, 1e-2), (20, 5e-3), (120, 2e-3), *STEPS)
# Beyond this epsilon nobody needs a tight number, and computing one takes long: the Renyi one stands for it.
MEANINGLESS = 50.0


def tight_epsilon(events: Counts, delta: float) -> float:
    """Epsilon at ``delta`` by composing privacy loss distributions: an upper bound, too large by a few thousandths.

    Where all releases are Gaussian ones of all rows it is exact. Infinite if one had no mechanism, or if category lists
    have used up ``delta``. Where ``renyi_epsilon`` or the accountant's is lower (a tiny delta, or the rounding shows),
    or above 50, it is that one.

    Source: Doroshenko et al. 2022, "Connect the dots: tighter discrete approximations of privacy loss distributions".
    """
    return count_by(_tight, events, delta)


def renyi_epsilon(events: Counts, delta: float) -> float:
    """Epsilon at ``delta`` by Renyi divergence at the order that turns out best, with the conversion in use today.

    Source: Canonne, Kamath and Steinke 2020, "The discrete Gaussian for differential privacy", proposition 12.
    """
    return count_by(_renyi, events, delta)


def classic_epsilon(events: Counts, delta: float) -> float:
    """Epsilon at ``delta`` as published before 2020: the least Renyi divergence + log(1/delta) / (order - 1).

    Source: Mironov 2017, "Renyi differential privacy", proposition 3.
    """
    return count_by(_classic, events, delta)


def naive_epsilon(events: Counts, delta: float) -> float:
    """The sum of what each release costs alone, at an equal part of ``delta`` each (basic composition).

    Sampled rows make a release (epsilon, delta) into (log(1 + q (e^epsilon - 1)), q delta).
    Source: Dwork and Roth 2014, theorem 3.16; Balle, Barthe and Gaboardi 2018, theorem 8.
    """
    return count_by(_naive, events, delta)


def count_by(by: Callable[[Kinds, float], float], events: Counts, delta: float) -> float:
    """Epsilon ``by`` one of the counts below at what category lists leave of ``delta``; infinite where none holds."""
    kinds: Counter[tuple[str, float, float]] = Counter()
    for event, times in events.items():
        kinds[event.mechanism, event.amount, event.sample_rate] += times * event.times
        delta -= times * event.times * event.delta
    ordered = tuple(sorted((*kind, times) for kind, times in kinds.items() if times))
    bare = any(mechanism == "none" or amount <= 0.0 for mechanism, amount, *_ in ordered)
    return math.inf if bare or delta <= 0.0 else by(ordered, delta)


@lru_cache(maxsize=1024)
def _tight(kinds: Kinds, delta: float) -> float:
    exact = sum((Total.of(event) for event in _stated(kinds)), Total()).epsilon(delta)
    if all(_whole(mechanism, rate) for mechanism, _, rate, _ in kinds):
        return exact
    bound = min(exact, _renyi(kinds, delta))
    return bound if bound > MEANINGLESS else min(bound, composed_epsilon(kinds, delta))


def composed_epsilon(kinds: Kinds, delta: float, *, quick: bool = False) -> float:
    """Epsilon at ``delta`` by composing privacy loss distributions, whatever it takes (see ``tight_epsilon``).

    A ``quick`` one is too large by a little more.
    """
    total = _composed(kinds, quick=quick)
    return float(total.get_epsilon_for_delta(delta)) if total is not None else 0.0


@lru_cache(maxsize=8)  # a few, as each may have millions of numbers
def _composed(kinds: Kinds, *, quick: bool) -> Any:
    """The privacy loss distribution of all of it; None of nothing."""
    # Gaussian releases of all rows act as one, which saves both time and rounding.
    whole = sum(times / amount**2 for mechanism, amount, rate, times in kinds if _whole(mechanism, rate))
    parts = [kind for kind in kinds if not _whole(kind[0], kind[2])]
    if whole > 0.0:
        parts.append(("gaussian", whole**-0.5, 1.0, 1))
    together = sum(times for *_, times in parts)
    step = next(step for most, step in (QUICK if quick else STEPS) if together <= most)
    total = None
    for mechanism, amount, rate, times in parts:
        part = _loss(mechanism, amount, rate, step).self_compose(times)
        total = part if total is None else total.compose(part)
    return total


def _whole(mechanism: str, rate: float) -> bool:
    return mechanism == "gaussian" and rate == 1.0


@lru_cache(maxsize=16)
def _loss(mechanism: str, amount: float, rate: float, step: float) -> Any:
    """The privacy loss distribution of one release."""
    from dp_accounting.pld import privacy_loss_distribution as pld

    make = pld.from_gaussian_mechanism if mechanism == "gaussian" else pld.from_laplace_mechanism
    return make(amount, value_discretization_interval=step, sampling_prob=rate)


@lru_cache(maxsize=1024)
def _renyi(kinds: Kinds, delta: float) -> float:
    return min(total.epsilon(delta) for _, total in _by_order(kinds))


@lru_cache(maxsize=1024)
def _classic(kinds: Kinds, delta: float) -> float:
    return min(
        total.cost + (math.log(1 / delta) / (order - 1) if total.cost else 0.0) for order, total in _by_order(kinds)
    )


def _by_order(kinds: Kinds) -> Iterator[tuple[float, Total]]:
    """What the releases add up to, at each order."""
    for order in ORDERS:
        meter = RenyiMeter(order)
        yield order, sum((Total.of(event, 1, meter) for event in _stated(kinds)), Total(meter=meter))


@lru_cache(maxsize=64)
def _stated(kinds: Kinds) -> tuple[PrivacyEvent, ...]:
    """One event for each of ``kinds``."""
    return tuple(
        PrivacyEvent(0, "any", "all", "row", mechanism, amount, sample_rate=rate, times=times)  # type: ignore[arg-type]
        for mechanism, amount, rate, times in kinds
    )


@lru_cache(maxsize=1024)
def _naive(kinds: Kinds, delta: float) -> float:
    each = delta / max(sum(times for *_, times in kinds), 1)
    return float(sum(times * _alone(mechanism, amount, rate, each) for mechanism, amount, rate, times in kinds))


def _alone(mechanism: str, amount: float, rate: float, delta: float) -> float:
    """Epsilon of one such release at ``delta``."""
    full = 1 / amount
    if mechanism == "gaussian":
        # A delta of 1 or more forgives everything: the row took part with no larger probability than that.
        full = gaussian_epsilon(1 / amount, delta / rate) if delta < rate else 0.0
    return mixed(rate, full)
