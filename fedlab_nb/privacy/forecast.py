"""How many more rounds fit, and what the releases so far cost one by one."""

from __future__ import annotations

import math
from collections.abc import Sequence

from fedlab_nb.privacy.account import Account, Budget
from fedlab_nb.privacy.accountant import Total, epsilon, gaussian_mu
from fedlab_nb.records import PrivacyEvent


def rounds_left(
    lanes: Sequence[Total], budget: Budget, each: Sequence[PrivacyEvent], reserved: Sequence[PrivacyEvent] = ()
) -> int | None:
    """How many more rounds with the releases ``each`` fit, if ``reserved`` are still to come; None if any number does.

    ``lanes`` is what an account has given so far (Account.lanes).
    Gaussian releases add up in mu^2 = 1 / noise_multiplier^2, so the answer is a division, for each kind of rows.
    """
    most: list[int] = []
    for number, lane in enumerate(lanes):
        cost = _touching(each, number, len(lanes)).squares
        if cost == 0.0:
            continue
        kept = lane + _touching(reserved, number, len(lanes))
        room = gaussian_mu(budget.epsilon - kept.pure, budget.delta - kept.delta) ** 2 - kept.squares
        # A hair of tolerance: a run calibrated to exactly twenty rounds has twenty, not 19.9999.
        most.append(max(math.floor(room / cost + 1e-6), 0))
    return min(most, default=None)


def epsilon_after(
    lanes: Sequence[Total],
    delta: float,
    each: Sequence[PrivacyEvent],
    times: int,
    reserved: Sequence[PrivacyEvent] = (),
) -> float:
    """Epsilon of what ``lanes`` gave, of ``times`` more rounds with the releases ``each``, and of ``reserved``."""
    after = [
        lane + _touching(each, number, len(lanes), times) + _touching(reserved, number, len(lanes))
        for number, lane in enumerate(lanes)
    ]
    return max(math.inf if lane.delta >= delta else lane.epsilon(delta) for lane in after)


def _touching(events: Sequence[PrivacyEvent], lane: int, lanes: int, times: int = 1) -> Total:
    """What ``times`` such ``events`` add to one lane of an account (see Tally.lanes)."""
    rows = ("training", "held-out")[lane]
    counted = (Total.of(event, times) for event in events if lanes == 1 or event.rows in (rows, "all"))
    return sum(counted, Total())


def by_purpose(account: Account, delta: float) -> tuple[tuple[str, str], ...]:
    """What was released and how often, and the epsilon that each kind of release would cost alone."""
    kinds: dict[str, list[PrivacyEvent]] = {}
    for event, _ in account.entries:
        kinds.setdefault(event.purpose, []).append(event)
    lines = []
    for purpose, events in kinds.items():
        alone = epsilon(events, delta) if sum(event.delta for event in events) < delta else math.inf
        times = f", {len(events)} times" if len(events) > 1 else ""
        lines.append((f"{purpose}{times}", f"{alone:.2f}" if alone < math.inf else "no limit"))
    return tuple(lines)
