"""Budget -> noise: how much of it each release may cost, fixed before the first release."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace

from fedlab_nb.errors import BudgetExceededError
from fedlab_nb.privacy.account import Account
from fedlab_nb.privacy.budget import Budget
from fedlab_nb.privacy.guard import least_noise, schedule_epsilon
from fedlab_nb.privacy.guard.refusals import no_lists_left, not_the_first, plan_too_large, without_room
from fedlab_nb.privacy.meters import GAUSSIAN, gaussian_epsilon, meter_for
from fedlab_nb.records import PrivacyEvent

# An owner's name, the account of its data, and the budget that binds it.
Bound = tuple[str, Account, Budget]

# Shares of the training rows' budget (of its meter's cost, which is what adds up over Gaussian releases).
RANGES, MOMENTS, LISTS = 0.05, 0.05, 0.10
# The share of delta that is set aside for category lists, and the share of what is left of it that a run's lists take:
# half, so that a later run with other settings can ask as well, with a threshold that is a little higher.
LIST_DELTA, LISTS_NOW = 0.1, 0.5
# Shares of the held-out rows' budget. How many rows are held out is released once: it halves the variance of the noise
# in every later score. The verdict over all owners gets most, because it is what people quote.
COUNT, METRICS, VERDICT, OWN_VERDICTS = 0.02, 0.18, 0.65, 0.15
# At owner level training and metrics touch the same data: shares of the cost.
OWNER_TRAINING = 0.8
# Where less than this share of a budget is left, the noise would drown whatever is released.
TOO_LITTLE = 0.02
# No smaller budget than this is ever implied: next to it all noise is the same.
LEAST_EPSILON = 1e-6


@dataclass(frozen=True)
class NoisePlan:
    """Noise for every kind of release of one run; numbers are noise multipliers (standard deviation / sensitivity).

    ``training`` is one round's update, ``ranges`` and ``moments`` the two statistics behind the scaling, ``lists`` the
    category lists with their ``list_delta``, ``count`` the number of held-out rows, ``metrics`` one round's score,
    ``verdict`` the last score over all owners, ``own_verdicts`` every owner's own. 0 means that this release does not
    take place.
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
    own_verdicts: float = 0.0


def set_aside(delta: float, lists: int) -> float:
    """The part of ``delta`` that an account keeps for category lists when it is opened.

    ``lists`` is the number of columns whose categories are not declared: without any, nothing is set aside.
    """
    return LIST_DELTA * delta if lists else 0.0


def plan_rows(
    accounts: Sequence[Bound],
    num_rounds: int,
    *,
    training: float | None = None,
    lists: int = 0,
    held_out: Mapping[str, float] | None = None,
    sample_rate: float = 1.0,
) -> NoisePlan:
    """The noise for row-level privacy, calibrated to what the tightest account has left of its budget.

    ``training`` keeps a noise multiplier that the user fixed. ``lists`` is the number of columns whose categories
    are not declared. ``held_out`` is the share of rows that each owner holds out in this run: if it differs from
    earlier runs, training and scores take from one budget (left out: it does not differ). ``sample_rate`` is the
    probability with which each row takes part in a round's update; all rows take part in the other releases.

    Raises:
        BudgetExceededError: if some owner has nothing left, or lists are to be asked for and no delta is left for them.
    """
    shares = held_out or {}
    list_delta = _list_delta(accounts) if lists else 0.0
    setup = RANGES + MOMENTS + (LISTS if lists else 0.0)
    needed = []
    for name, account, budget in accounts:
        open_cost, scores = _rooms(name, account, budget, shares.get(name))
        noise = account.meter.noise
        plan = NoisePlan(
            unit="row",
            training=training or noise((1 - setup) * open_cost / num_rounds, sample_rate),
            ranges=noise(RANGES * open_cost),
            moments=noise(MOMENTS * open_cost),
            lists=noise(LISTS * open_cost) if lists else 0.0,
            list_delta=list_delta,
            count=noise(COUNT * scores),
            metrics=noise(METRICS * scores / num_rounds),
            verdict=noise(VERDICT * scores),
            own_verdicts=noise(OWN_VERDICTS * scores),
        )
        needed.append(plan)
    return _enough(needed)


def plan_owners(
    accounts: Sequence[Bound],
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
    needed = []
    for name, account, budget in accounts:
        # Such a release depends on all rows, so that it must fit beside whatever left any of them.
        open_cost = min(_left(name, account, budget, shares.get(name)))
        noise = account.meter.noise
        plan = NoisePlan(
            unit="owner",
            training=training or noise(OWNER_TRAINING * open_cost / num_rounds),
            metrics=noise((1 - OWNER_TRAINING) * open_cost / num_rounds),
        )
        needed.append(plan)
    return _enough(needed)


def plan_frozen(
    accounts: Sequence[Bound],
    num_rounds: int,
    releases: Callable[[NoisePlan], Sequence[PrivacyEvent]],
    *,
    training: float | None = None,
    lists: int = 0,
    sample_rate: float,
) -> NoisePlan:
    """The noise for row-level privacy where the whole run is frozen and paid beforehand, from unspent accounts.

    ``releases`` gives all that the run will release with a plan. Training and held-out rows have one exact budget each,
    of which everything but the updates gets its usual share; the updates get the least noise at which the composed
    privacy loss distributions of all releases keep within the budget. Lists get all of the delta that is set aside, as
    no later run can ask. The other arguments are as in ``plan_rows``.

    Raises:
        BudgetExceededError: if something was released before, ``training`` is too little noise for so many rounds, or
            lists are to be asked for and no delta is set aside for them.
    """
    for name, account, _ in accounts:
        if not account.is_unspent:
            raise not_the_first(name, account)
    list_delta = _list_delta(accounts) / LISTS_NOW if lists else 0.0
    needed = {}
    for _, account, budget in accounts:
        facts = budget, account.set_aside, account.meter
        if facts not in needed:
            needed[facts] = _frozen_for(account, budget, num_rounds, releases, training, list_delta, sample_rate)
    plan = _enough([*needed.values()])
    for name, _, budget in accounts:
        reached = schedule_epsilon(Counter(releases(plan)), budget.delta)
        if training is not None and reached > budget.epsilon * (1 + 1e-9):
            raise plan_too_large(name, reached, budget)
    return plan


def _frozen_for(
    account: Account,
    budget: Budget,
    num_rounds: int,
    releases: Callable[[NoisePlan], Sequence[PrivacyEvent]],
    training: float | None,
    list_delta: float,
    sample_rate: float,
) -> NoisePlan:
    """The plan that suits one owner."""
    noise, meter = GAUSSIAN.noise, account.meter
    open_cost, scores = (GAUSSIAN.room(budget.epsilon, budget.delta - part) for part in (list_delta, 0.0))
    plan = NoisePlan(
        "row",
        training=training or 0.0,
        ranges=noise(RANGES * open_cost),
        moments=noise(MOMENTS * open_cost),
        lists=noise(LISTS * open_cost) if list_delta else 0.0,
        list_delta=list_delta,
        count=noise(COUNT * scores),
        metrics=noise(METRICS * scores / num_rounds),
        verdict=noise(VERDICT * scores),
        own_verdicts=noise(OWN_VERDICTS * scores),
    )
    if training is not None:
        return plan

    def on_training_rows(sigma: float) -> Counter[PrivacyEvent]:
        return Counter(e for e in releases(replace(plan, training=sigma)) if e.rows != "held-out")

    setup = RANGES + MOMENTS + (LISTS if list_delta else 0.0)
    beside = sum(n * meter.cost(e) for e, n in on_training_rows(1.0).items() if e.sample_rate == 1.0)
    room = meter.room(budget.epsilon, budget.delta - account.set_aside) - beside
    enough = min(noise((1 - setup) * open_cost / num_rounds), meter.noise(room / num_rounds, sample_rate))
    return replace(plan, training=least_noise(on_training_rows, budget.epsilon, budget.delta, enough))


def _enough(needed: Sequence[NoisePlan]) -> NoisePlan:
    """The plan that suits all: the most noise of each kind.

    Each kind by itself: an owner that has little left of one kind may have most left of another.
    """
    most = {
        field.name: max(getattr(plan, field.name) for plan in needed)
        for field in fields(NoisePlan)
        if field.name != "unit"
    }
    return NoisePlan(needed[0].unit, **most)


def implied_budget(
    noise_multiplier: float, num_rounds: int, delta: float, unit: str, sample_rate: float = 1.0
) -> Budget:
    """The budget that ``num_rounds`` rounds at ``noise_multiplier`` amount to, with the usual shares for the rest.

    ``sample_rate`` is the probability with which each row takes part in a round's update.
    """
    share = OWNER_TRAINING if unit == "owner" else 1 - RANGES - MOMENTS
    if sample_rate >= 1.0:
        return Budget(gaussian_epsilon(math.sqrt(num_rounds / share) / noise_multiplier, delta), delta)
    update = PrivacyEvent(1, "a round's update", "training", "row", "gaussian", noise_multiplier, 0.0, sample_rate)

    def fits(eps: float) -> bool:
        meter = meter_for(sampled=True, epsilon=eps, delta=delta)
        return num_rounds * meter.cost(update) <= share * meter.room(eps, delta)

    low, high = 0.5, 1.0
    while not fits(high):
        low, high = high, 2 * high
    while low > LEAST_EPSILON and fits(low):
        low, high = low / 2, low
    while high > low * (1 + 1e-9):
        middle = (low + high) / 2
        low, high = (low, middle) if fits(middle) else (middle, high)
    return Budget(high, delta)


def _rooms(name: str, account: Account, budget: Budget, held_out: float | None) -> tuple[float, float]:
    """What an account can still give: cost for training, and cost for scores.

    Training and held-out rows have a budget each. Where the split has changed they are the same rows, and share one.
    """
    left = _left(name, account, budget, held_out)
    if len(left) == 2:
        return left[0], left[1]
    return OWNER_TRAINING * left[0], (1 - OWNER_TRAINING) * left[0]


def _left(name: str, account: Account, budget: Budget, held_out: float | None) -> list[float]:
    """The cost that still fits into the budget, for each kind of rows (see Tally.lanes).

    Raises:
        BudgetExceededError: if it is next to nothing for one of them.
    """
    impossible = without_room(name, budget, account)
    if impossible is not None:
        raise impossible
    whole = account.meter.room(budget.epsilon, budget.delta - account.set_aside)
    left = [lane.room(budget.epsilon, budget.delta) for lane in account.lanes(held_out)]
    if min(left) <= TOO_LITTLE * whole:
        raise _nothing_left(name, budget)
    return left


def _list_delta(accounts: Sequence[Bound]) -> float:
    """The delta of a run's category lists: one mechanism serves all owners, so that the least that is left decides."""
    name, account, _ = min(accounts, key=lambda bound: bound[1].lists_left)
    if account.lists_left <= 0.0:
        raise no_lists_left(name, "the categories of the columns", account)
    return LISTS_NOW * account.lists_left


def _nothing_left(name: str, budget: Budget) -> BudgetExceededError:
    return BudgetExceededError(
        f"{name!r} has spent its privacy budget: next to nothing is left of epsilon {budget.epsilon:g}, so 0 rounds "
        "fit.",
        "A privacy budget belongs to the data: it survives re-running a cell, a new Federation and a new name; what is "
        "left of it would take more than seven times the noise of a fresh one.",
        "Keep the model of the earlier run, agree on a larger epsilon with the owners (what is spent stays spent), or "
        "bring rows that were not used yet; for an exercise without a vault, restart the kernel.",
    )
