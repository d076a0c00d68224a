"""Budget -> noise: how much of it each release may cost, fixed before the first release."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fedlab_nb.errors import BudgetExceededError
from fedlab_nb.privacy.account import Account, Budget
from fedlab_nb.privacy.accountant import Total, gaussian_epsilon, gaussian_mu

# Shares of the training rows' budget (of mu squared, which is what adds up over Gaussian releases).
RANGES, MOMENTS, LISTS = 0.05, 0.05, 0.10
LIST_DELTA = 0.1
# Shares of the held-out rows' epsilon: the verdict after the last round gets most, because it is what people quote.
VERDICT = 0.625
# At owner level training and metrics touch the same data: shares of mu squared.
OWNER_TRAINING = 0.8
# How many rows are held out is released once: it halves the variance of the noise in every later score.
COUNT = 0.1
# Where less than this share of a budget is left, the noise would drown whatever is released.
TOO_LITTLE = 1e-3


@dataclass(frozen=True)
class NoisePlan:
    """Noise for every kind of release of one run; numbers are noise multipliers (standard deviation / sensitivity).

    ``training`` is one round's update, ``ranges`` and ``moments`` the two statistics behind the scaling, ``lists`` the
    category lists with their ``list_delta``, ``count`` the number of held-out rows, ``metrics`` one round's score,
    ``verdict`` the epsilon of the last score. 0 means that this release does not take place.
    """

    unit: str
    training: float
    ranges: float = 0.0
    moments: float = 0.0
    lists: float = 0.0
    list_delta: float = 0.0
    count: float = 0.0
    metrics: float = 0.0
    verdict: float = 0.0


def plan_rows(
    budget: Budget,
    accounts: Sequence[tuple[str, Account]],
    num_rounds: int,
    *,
    training: float | None = None,
    lists: int = 0,
    held_out: Mapping[str, float] | None = None,
) -> NoisePlan:
    """The noise for row-level privacy, calibrated to what the tightest account has left of ``budget``.

    ``training`` keeps a noise multiplier that the user fixed. ``lists`` is the number of columns whose categories
    are not declared. ``held_out`` is the share of rows that each owner holds out in this run: if it differs from
    earlier runs, training and scores take from one budget (left out: it does not differ).

    Raises:
        BudgetExceededError: if some owner has nothing left.
    """
    list_delta = LIST_DELTA * budget.delta if lists else 0.0
    shares = held_out or {}
    rooms = [_room(budget, name, account.lanes(held_out=shares.get(name)), list_delta) for name, account in accounts]
    # Each part by itself: an owner that has little left of one kind may have most left of another.
    open_mu2, verdict, metrics_mu2 = map(min, zip(*rooms, strict=True))
    setup = RANGES + MOMENTS + (LISTS if lists else 0.0)
    return NoisePlan(
        unit="row",
        training=training or math.sqrt(num_rounds / ((1 - setup) * open_mu2)),
        ranges=1 / math.sqrt(RANGES * open_mu2),
        moments=1 / math.sqrt(MOMENTS * open_mu2),
        lists=1 / math.sqrt(LISTS * open_mu2) if lists else 0.0,
        list_delta=list_delta,
        count=1 / math.sqrt(COUNT * metrics_mu2),
        metrics=math.sqrt(num_rounds / ((1 - COUNT) * metrics_mu2)),
        verdict=verdict,
    )


def plan_owners(
    budget: Budget,
    accounts: Sequence[tuple[str, Account]],
    num_rounds: int,
    *,
    training: float | None = None,
    held_out: Mapping[str, float] | None = None,
) -> NoisePlan:
    """The noise for owner-level privacy: updates and scores share one budget, statistics are not released at all.

    ``training`` and ``held_out`` are as in ``plan_rows``.

    Raises:
        BudgetExceededError: if some owner has nothing left.
    """
    shares = held_out or {}
    # Such a release depends on all rows, so that it must fit beside whatever left any of them.
    lanes = [(name, lane) for name, account in accounts for lane in account.lanes(held_out=shares.get(name))]
    open_mu2 = min(_mu2_left(budget, lane) for _, lane in lanes)
    if open_mu2 <= TOO_LITTLE * gaussian_mu(budget.epsilon, budget.delta) ** 2:
        raise _nothing_left(min(lanes, key=lambda named: _mu2_left(budget, named[1]))[0], budget)
    return NoisePlan(
        unit="owner",
        training=training or math.sqrt(num_rounds / (OWNER_TRAINING * open_mu2)),
        metrics=math.sqrt(num_rounds / ((1 - OWNER_TRAINING) * open_mu2)),
    )


def implied_budget(noise_multiplier: float, num_rounds: int, delta: float, unit: str) -> Budget:
    """The budget that ``num_rounds`` rounds at ``noise_multiplier`` amount to, with the usual shares for the rest."""
    share = OWNER_TRAINING if unit == "owner" else 1 - RANGES - MOMENTS
    return Budget(gaussian_epsilon(math.sqrt(num_rounds / share) / noise_multiplier, delta), delta)


def _mu2_left(budget: Budget, lane: Total, list_delta: float = 0.0, verdict: float = 0.0) -> float:
    """Mu squared that the rows of ``lane`` can still give, with ``list_delta`` and the ``verdict`` set aside."""
    room = gaussian_mu(budget.epsilon - lane.pure - verdict, budget.delta - lane.delta - list_delta) ** 2
    return room - lane.squares


def _epsilon_left(budget: Budget, lane: Total, list_delta: float = 0.0) -> float:
    """Pure epsilon that the rows of ``lane`` can still give, with ``list_delta`` set aside."""
    open_delta = budget.delta - lane.delta - list_delta
    if open_delta <= 0.0:
        return 0.0
    return budget.epsilon - lane.pure - gaussian_epsilon(math.sqrt(lane.squares), open_delta)


def _room(budget: Budget, name: str, lanes: Sequence[Total], list_delta: float) -> tuple[float, float, float]:
    """What an account can still give: mu squared for training, epsilon for the verdict, mu squared for rounds' scores.

    Training and held-out rows have a budget each. Where the split has changed they are the same rows, and share one.
    """
    apart = len(lanes) == 2
    aside = 0.0 if apart else list_delta
    left = _epsilon_left(budget, lanes[-1], aside)
    verdict = VERDICT * left * (1.0 if apart else 1 - OWNER_TRAINING)
    training = _mu2_left(budget, lanes[0], list_delta, 0.0 if apart else verdict)
    metrics = _mu2_left(budget, lanes[-1], aside, verdict)
    if (
        left <= TOO_LITTLE * budget.epsilon
        or metrics <= 0.0
        or training <= TOO_LITTLE * gaussian_mu(budget.epsilon, budget.delta) ** 2
    ):
        raise _nothing_left(name, budget)
    if apart:
        return training, verdict, metrics
    return OWNER_TRAINING * training, verdict, (1 - OWNER_TRAINING) * metrics


def _nothing_left(name: str, budget: Budget) -> BudgetExceededError:
    return BudgetExceededError(
        f"{name!r} has spent its privacy budget: nothing is left of epsilon {budget.epsilon:g}, so 0 rounds fit.",
        "A privacy budget belongs to the data: it survives re-running a cell, a new Federation and a new name.",
        "Keep the model of the earlier run, agree on a larger epsilon with the owners (what is spent stays spent), or "
        "bring rows that were not used yet; for an exercise, restart the kernel.",
    )
