"""How many more rounds fit, and what the releases so far cost one by one."""

from __future__ import annotations

import math
from collections.abc import Sequence

from fedlab_nb.privacy.account import Account, Budget
from fedlab_nb.privacy.accountant import epsilon, gaussian_mu
from fedlab_nb.records import PrivacyEvent


def rounds_left(
    account: Account, budget: Budget, each: Sequence[PrivacyEvent], reserved: Sequence[PrivacyEvent] = ()
) -> int | None:
    """How many more rounds with the releases ``each`` fit, if ``reserved`` are still to come; None if any number does.

    Gaussian releases add up in mu^2 = 1 / noise_multiplier^2, so the answer is a division, for each kind of rows.
    """
    most: list[int] = []
    for number, lane in enumerate(account.lanes()):
        rows = ("training", "held-out")[number]
        together = len(account.lanes()) == 1
        kept = [*lane, *(e for e in reserved if together or e.rows in (rows, "all"))]
        cost = sum(e.amount**-2 for e in each if e.mechanism == "gaussian" and (together or e.rows in (rows, "all")))
        if cost == 0.0:
            continue
        pure = sum(e.amount for e in kept if e.mechanism == "geometric")
        spent = sum(e.amount**-2 for e in kept if e.mechanism == "gaussian")
        delta = budget.delta - sum(e.delta for e in kept)
        room = gaussian_mu(budget.epsilon - pure, delta) ** 2 - spent
        # A hair of tolerance: a run calibrated to exactly twenty rounds has twenty, not 19.9999.
        most.append(max(math.floor(room / cost + 1e-6), 0))
    return min(most, default=None)


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
