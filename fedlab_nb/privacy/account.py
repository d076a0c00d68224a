"""What each owner's data has given away so far. It belongs to the data, not to a run, and only ever grows."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fedlab_nb.errors import BudgetExceededError
from fedlab_nb.privacy.accountant import Total
from fedlab_nb.privacy.budget import Budget
from fedlab_nb.privacy.meters import GaussianMeter, Meter, RenyiMeter
from fedlab_nb.records import PrivacyEvent
from fedlab_nb.units import counted


class Tally:
    """What some releases add up to, by the rows that they touch; it costs the same however many they are.

    Each comes with the share of rows that was held out: training rows and held-out rows are disjoint, so their
    spendings do not add up (parallel composition) as long as that split never changes. ``set_aside`` is the part of
    delta that is kept for category lists.
    """

    def __init__(self, meter: Meter, set_aside: float = 0.0) -> None:
        self.meter, self.set_aside = meter, set_aside
        self._totals: dict[str, Total] = {}
        self._shares: set[float] = set()
        self._weakest: set[str] = set()

    def add(self, event: PrivacyEvent, share: float, times: int = 1) -> None:
        """Count a release that took place ``times`` times."""
        self._shares.add(share)
        self._weakest.add(event.mechanism if event.mechanism == "none" else event.unit)
        if event.mechanism != "none":
            before = self._totals.get(event.rows, Total(meter=self.meter))
            self._totals[event.rows] = before + Total.of(event, times, meter=self.meter)

    def copy(self) -> Tally:
        """The same releases, to try what others after them would add up to."""
        twin = Tally(self.meter, self.set_aside)
        twin._totals, twin._shares = dict(self._totals), set(self._shares)
        twin._weakest = set(self._weakest)
        return twin

    def lanes(self, held_out: float | None = None) -> list[Total]:
        """The protected releases by the rows they touch: [training, held-out], or one if the split ever changed.

        ``held_out`` is the share of rows that the coming releases hold out, if known already.
        """
        shares = self._shares | (set() if held_out is None else {held_out})
        kept = Total(delta=self.set_aside, meter=self.meter)
        if len(shares) > 1:
            return [sum(self._totals.values(), kept)]
        all_rows = self._totals.get("all", Total(meter=self.meter)) + kept
        return [self._totals.get(rows, Total(meter=self.meter)) + all_rows for rows in ("training", "held-out")]

    def spent(self, delta: float, held_out: float | None = None) -> float:
        """Epsilon of the protected releases at ``delta``; infinite where none holds (see Total.epsilon)."""
        return max(lane.epsilon(delta) for lane in self.lanes(held_out))

    def fits(self, budget: Budget) -> bool:
        """True if the protected releases stay within ``budget``; finds no epsilon, and so takes no time."""
        return all(lane.fits(budget.epsilon, budget.delta) for lane in self.lanes())

    def guaranteed(self, unit: str) -> bool:
        """True if every release had a mechanism for this unit (protecting an owner protects its rows)."""
        return "none" not in self._weakest and (unit == "row" or self._weakest <= {"owner"})


class Account:
    """All releases from one owner's data: how often each kind of them took place.

    ``meter`` says how they add up, ``set_aside`` which part of delta is kept for category lists; both are fixed before
    the first protected release (see privacy/meters.py and Total).
    """

    def __init__(self, meter: Meter | None = None, set_aside: float = 0.0) -> None:
        self.meter: Meter = meter or GaussianMeter()
        self.set_aside = set_aside
        self.opened = meter is not None
        self._counts: Counter[tuple[PrivacyEvent, float]] = Counter()
        self._tally = Tally(self.meter, set_aside)

    @property
    def counts(self) -> Mapping[tuple[PrivacyEvent, float], int]:
        """(event, its round left out, share of rows held out) -> how often it took place."""
        return dict(self._counts)

    @property
    def releases(self) -> int:
        """How many releases there were."""
        return sum(times * event.times for (event, _), times in self._counts.items())

    @property
    def lists_left(self) -> float:
        """How much of the delta that was set aside for category lists is left."""
        return min(lane.lists_left for lane in self.lanes())

    def open(self, meter: Meter, set_aside: float = 0.0) -> None:
        """Fix how releases add up; once only, as a choice that saw the answers would not be sound."""
        if not self.opened:
            self.meter, self.set_aside, self.opened = meter, set_aside, True
            self._tally = Tally(meter, set_aside)
            for (event, share), times in self._counts.items():
                self._tally.add(event, share, times)

    def add(self, event: PrivacyEvent, share: float, times: int = 1) -> None:
        """Count equal releases; only the vault that keeps the account calls this, after it has written the debits."""
        kind = replace(event, round=0)
        self._tally.add(kind, share, times)
        self._counts[kind, share] += times

    def copy(self) -> Account:
        """An account that has released the same, to try what would come after."""
        twin = Account(self.meter if self.opened else None, self.set_aside)
        twin._counts, twin._tally = Counter(self._counts), self._tally.copy()
        return twin

    @property
    def tally(self) -> Tally:
        """What the releases so far add up to: a copy, to try others on."""
        return self._tally.copy()

    def spent(self, delta: float, more: Sequence[PrivacyEvent] = (), held_out: float | None = None) -> float:
        """Epsilon of all releases that had a mechanism (see ``guaranteed`` for others), and of ``more`` after them.

        It is infinite where none holds, as where ``delta`` is all set aside for category lists (see Total.epsilon).
        """
        tally = self.tally
        share = held_out if held_out is not None else next((share for _, share in self._counts), 0.0)
        for event in more:
            tally.add(event, share)
        return tally.spent(delta, held_out)

    def lanes(self, held_out: float | None = None) -> list[Total]:
        """What was released by the rows that it touched (see Tally.lanes)."""
        return self._tally.lanes(held_out)

    def guaranteed(self, unit: str) -> bool:
        """True if every release so far had a mechanism for this unit (protecting an owner protects its rows)."""
        return self._tally.guaranteed(unit)

    def __repr__(self) -> str:
        bare = sum(n * event.times for (event, _), n in self._counts.items() if event.mechanism == "none")
        return f"Account({counted(self.releases, 'release')}, {bare} of them unprotected)"

    def _repr_html_(self) -> str:
        from fedlab_nb.privacy.card import account_card

        return account_card(self)


def counted_by(facts: Mapping[str, Any]) -> tuple[Meter, float]:
    """How releases add up and the delta set aside for category lists, by the facts with which an account was opened."""
    order = facts["order"]
    return (RenyiMeter(order) if order else GaussianMeter()), float(facts["set_aside"])


@dataclass(frozen=True)
class Debit:
    """What one owner is about to release: whose data, the share of rows held out, the events, and what binds it."""

    owner: str
    data: str
    held_out: float
    events: tuple[PrivacyEvent, ...]
    budget: Budget | None


def trial(debits: Iterable[tuple[Debit, Account]]) -> None:
    """Refuse debits that some owner's budget does not allow, all of them tried together.

    Two owners may bring the same data: what one of them is about to spend counts for the other.

    Raises:
        BudgetExceededError: naming the first owner whose budget does not allow its events.
    """
    trials: dict[str, Tally] = {}
    bound: list[tuple[Debit, Budget, Account]] = []
    for debit, account in debits:
        tally = trials.setdefault(debit.data, account.tally)
        for event in debit.events:
            tally.add(event, debit.held_out)
        if debit.budget is not None and debit.events:
            bound.append((debit, debit.budget, account))
    for debit, budget, account in bound:
        if not trials[debit.data].fits(budget):
            raise _refusal(debit, budget, account, trials[debit.data])


def without_room(owner: str, budget: Budget, account: Account) -> BudgetExceededError | None:
    """The error for a budget in which the way this account counts leaves no room for anything; None if there is some.

    How it counts was fixed for the budget that the account was opened with, and may not suit a much smaller one.
    """
    meter, aside = account.meter, account.set_aside
    if meter.room(budget.epsilon, budget.delta - aside) > 0.0:
        return None
    why = (
        "How releases are counted is fixed when the account of the data is opened: a choice that had seen releases "
        "would not be sound."
    )
    if aside >= budget.delta:
        return BudgetExceededError(
            f"The account of {owner!r} sets delta {aside:g} aside for category lists, and the agreed delta is only "
            f"{budget.delta:g}: no release fits.",
            why,
            f"Agree on a delta well above {aside:g}, or bring rows that were not used yet.",
        )
    least = meter.epsilon(0.0, budget.delta - aside)
    return BudgetExceededError(
        f"The account of {owner!r} was opened for a larger budget: as it counts, even the smallest release takes more "
        f"than epsilon {least:.3g}, and the agreed epsilon is {budget.epsilon:g}.",
        why,
        f"Agree on an epsilon well above {least:.3g}, or bring rows that were not used yet.",
    )


def _refusal(debit: Debit, budget: Budget, account: Account, tried: Tally) -> BudgetExceededError:
    """Why a debit does not fit: no room at all, no delta left for lists, or too much epsilon."""
    none = without_room(debit.owner, budget, account)
    if none is not None:
        return none
    lists = [event.purpose for event in debit.events if event.delta]
    if lists and not all(lane.lists_fit for lane in tried.lanes()):
        return no_lists_left(debit.owner, lists[0], account)
    purpose, after, spent = debit.events[0].purpose, tried.spent(budget.delta), account.spent(budget.delta)
    reached = f"epsilon {after:.3f} of the agreed {budget.epsilon:g} (spent so far: {spent:.3f})"
    if after == math.inf:
        reached = f"a point where no epsilon holds at the agreed delta of {budget.delta:g}"
    return BudgetExceededError(
        f"Releasing {purpose} would take {debit.owner!r} to {reached}, so 0 further rounds fit and nothing was "
        "released.",
        "A privacy budget belongs to the data: it survives re-running a cell, a new Federation and a new name.",
        "Use the model as it is, agree on a larger epsilon with the owners, or bring rows that were not used yet.",
    )


def no_lists_left(owner: str, purpose: str, account: Account) -> BudgetExceededError:
    """The error for a category list that needs more delta than is left of what was set aside for lists."""
    return BudgetExceededError(
        f"{owner!r} cannot release {purpose}: of the delta {account.set_aside:g} that its account set aside for "
        f"category lists when it was opened, {account.lists_left:.3g} is left.",
        "A name on a list may give a single row away with that probability, and setting aside more after releases "
        "were seen would not be sound.",
        'Declare the categories at every owner: fl.DataOwner(..., categories={"column": ["a", "b"]}).',
    )
