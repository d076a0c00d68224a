"""How many more rounds fit, whose budget ends first, and what the releases so far cost one by one."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from fedlab_nb.privacy.account import Account
from fedlab_nb.privacy.accountant import Total
from fedlab_nb.privacy.budget import Budget
from fedlab_nb.privacy.meters import GAUSSIAN, Meter
from fedlab_nb.privacy.tight import renyi_epsilon
from fedlab_nb.records import PrivacyEvent


def rounds_left(
    lanes: Sequence[Total], budget: Budget, each: Sequence[PrivacyEvent], reserved: Sequence[PrivacyEvent] = ()
) -> int | None:
    """How many more rounds with the releases ``each`` fit, if ``reserved`` are still to come; None if any number does.

    ``lanes`` is what an account has given so far (Account.lanes), each for its kind of rows and with its meter.
    """
    fits = (
        _fitting(lane + _touching(reserved, number, lanes), _touching(each, number, lanes), budget)
        for number, lane in enumerate(lanes)
    )
    return min((n for n in fits if n is not None), default=None)


def _fitting(kept: Total, one: Total, budget: Budget) -> int | None:
    """How many times ``one`` fits beside ``kept``; None if any number does."""
    if not kept.lists_fit:
        return 0
    ways = [kept.room(budget.epsilon, budget.delta) / one.cost] if one.cost else []
    ways += [kept.lists_left / one.lists] if one.lists else []
    # A hair of tolerance: a run calibrated to exactly twenty rounds has twenty, not 19.9999.
    return min((max(math.floor(times + 1e-6), 0) for times in ways), default=None)


def frozen_rounds_left(accounts: Iterable[tuple[Account, float]], each: Sequence[PrivacyEvent]) -> int | None:
    """How many more rounds with the releases ``each`` all frozen plans of these accounts have; None without plans.

    With each account comes the share of rows that its owner holds out. Whatever is left of them costs no more.
    """
    left = [plan.rounds_left(each, share) for plan, share in ((a.frozen, share) for a, share in accounts) if plan]
    return min(left, default=None)


def epsilon_after(
    lanes: Sequence[Total],
    delta: float,
    each: Sequence[PrivacyEvent],
    times: int,
    reserved: Sequence[PrivacyEvent] = (),
) -> float:
    """Epsilon of what ``lanes`` gave, of ``times`` more rounds with the releases ``each``, and of ``reserved``."""
    after = [
        lane + _touching(each, number, lanes, times) + _touching(reserved, number, lanes)
        for number, lane in enumerate(lanes)
    ]
    return max(lane.epsilon(delta) for lane in after)


def _touching(events: Sequence[PrivacyEvent], number: int, lanes: Sequence[Total], times: int = 1) -> Total:
    """What ``times`` such ``events`` add to one lane of an account (see Tally.lanes)."""
    rows, meter = ("training", "held-out")[number], lanes[number].meter
    counted = (Total.of(event, times, meter) for event in events if len(lanes) == 1 or event.rows in (rows, "all"))
    return sum(counted, Total(meter=meter))


def who_stops_first(
    lanes: Mapping[str, Sequence[Total]],
    budgets: Mapping[str, Budget],
    each: Mapping[str, Sequence[PrivacyEvent]],
    reserved: Mapping[str, Sequence[PrivacyEvent]] | None = None,
) -> tuple[str, int] | None:
    """The owner whose budget ends first and after how many more rounds; None if nobody's does.

    All four are by owner: what its account gave, the budget that binds it (owners without one never stop), the releases
    of one more round, and those that are promised beside the rounds. Of several, the first named.
    """
    promised = reserved or {}
    left = {
        name: rounds_left(lanes[name], budget, each[name], promised.get(name, ())) for name, budget in budgets.items()
    }
    ends = {name: rounds for name, rounds in left.items() if rounds is not None}
    return min(ends.items(), key=lambda end: end[1]) if ends else None


def by_purpose(account: Account, delta: float) -> tuple[tuple[str, str], ...]:
    """What was released and how often, and the epsilon that each kind of release would cost alone."""
    kinds: dict[str, Counter[PrivacyEvent]] = {}
    for (event, _), times in account.counts.items():
        kinds.setdefault(event.purpose, Counter())[event] += times
    lines = []
    for purpose, events in kinds.items():
        cost = alone(events, delta, account.meter)
        often = sum(times * event.times for event, times in events.items())
        label = f"{purpose}, {often} times" if often > 1 else purpose
        lines.append((label, f"{cost:.2f}" if cost < math.inf else "no limit"))
    return tuple(lines)


def alone(events: Mapping[PrivacyEvent, int], delta: float, meter: Meter) -> float:
    """Epsilon at ``delta`` of these releases if nothing else had left; infinite where none holds.

    An account with a Renyi meter shows an offset from its first release on, which belongs to no single kind; the order
    that suits this kind alone tells its price better.
    """
    total = sum((Total.of(event, times) for event, times in events.items()), Total())
    exact = replace(total, delta=total.lists).epsilon(delta)
    return exact if meter == GAUSSIAN else min(exact, renyi_epsilon(events, delta))
