"""What each owner's data has given away so far. It belongs to the data, not to a run, and only ever grows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fedlab_nb.privacy.accountant import Total
from fedlab_nb.privacy.budget import Budget
from fedlab_nb.privacy.guard.frozen import FrozenPlan, schedule_epsilon
from fedlab_nb.privacy.guard.refusals import refusal
from fedlab_nb.privacy.meters import GaussianMeter, Meter, RenyiMeter
from fedlab_nb.records import PrivacyEvent
from fedlab_nb.units import counted


class Tally:
    """What some releases add up to, by the rows that they touch; it costs the same however many they are.

    Each comes with the share of rows that was held out: training rows and held-out rows are disjoint, so their
    spendings do not add up (parallel composition) as long as that split never changes. ``set_aside`` is the part of
    delta that is kept for category lists.

    Where a plan that was frozen beforehand is all there is, its privacy loss distribution tells what it costs; as soon
    as there is anything else, all of it counts by the meter (see guard/frozen.py).
    """

    def __init__(self, meter: Meter, set_aside: float = 0.0) -> None:
        self.meter, self.set_aside = meter, set_aside
        self._totals: dict[str, Total] = {}
        self._shares: set[float] = set()
        self._weakest: set[str] = set()
        self._runs: set[str] = set()  # "" for releases that are in no frozen plan
        self._schedule: Counter[PrivacyEvent] = Counter()

    def add(self, event: PrivacyEvent, share: float, times: int = 1, *, run: str = "") -> None:
        """Count a release that took place ``times`` times, or will in a ``run`` whose plan is frozen."""
        self._shares.add(share)
        self._weakest.add(event.mechanism if event.mechanism == "none" else event.unit)
        if event.mechanism != "none":
            before = self._totals.get(event.rows, Total(meter=self.meter))
            self._totals[event.rows] = before + Total.of(event, times, meter=self.meter)
            self._runs.add(run)
            self._schedule[event] += times if run else 0

    def copy(self) -> Tally:
        """The same releases, to try what others after them would add up to."""
        twin = Tally(self.meter, self.set_aside)
        twin._totals, twin._shares = dict(self._totals), set(self._shares)
        twin._weakest, twin._runs, twin._schedule = set(self._weakest), set(self._runs), Counter(self._schedule)
        return twin

    @property
    def is_one_plan(self) -> bool:
        """True if all protected releases are those of one frozen plan: then its loss distribution tells their cost."""
        return len(self._runs) == len(self._shares) == 1 and "" not in self._runs

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
        counted_up = max(lane.epsilon(delta) for lane in self.lanes(held_out))
        return min(counted_up, schedule_epsilon(self._schedule, delta)) if self.is_one_plan else counted_up

    def fits(self, budget: Budget) -> bool:
        """True if the protected releases stay within ``budget``; finds no epsilon, and so takes no time.

        For a frozen plan alone it finds one, once.
        """
        if all(lane.fits(budget.epsilon, budget.delta) for lane in self.lanes()):
            return True
        return self.is_one_plan and schedule_epsilon(self._schedule, budget.delta) <= budget.epsilon * (1 + 1e-9)

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
        self._frozen: FrozenPlan | None = None

    @property
    def frozen(self) -> FrozenPlan | None:
        """The run whose plan was frozen and debited beforehand, with what is left of it; None without one."""
        return self._frozen

    @property
    def is_unspent(self) -> bool:
        """True if nothing with a mechanism was released or reserved."""
        return all(event.mechanism == "none" for event, _ in self._counts)

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
                planned = self._frozen is not None and event in self._frozen.events
                self._tally.add(event, share, times, run=self._frozen.run if planned and self._frozen else "")

    def add(self, event: PrivacyEvent, share: float, times: int = 1, *, run: str = "") -> None:
        """Count equal releases; only the vault that keeps the account calls this, after it has written the debits.

        With ``run`` they are some of that run's, whose plan is debited as a whole before its first release.
        """
        kind = replace(event, round=0) if event.round else event
        if run:
            self._frozen = (self._frozen or FrozenPlan(run, share)).with_reserved(kind)
        self._tally.add(kind, share, times, run=run)
        self._counts[kind, share] += times

    @property
    def statement(self) -> Statement:
        """All that it holds, as data that may cross to another process."""
        counts = tuple((event, share, times) for (event, share), times in self._counts.items())
        return Statement(self.meter if self.opened else None, self.set_aside, counts, self._frozen)

    def begin(self, event: PrivacyEvent, holder: str) -> None:
        """Use up a release of the frozen plan, which costs no more; as ``add``, after it has been written."""
        assert self._frozen is not None  # nothing is begun before it was reserved
        self._frozen = self._frozen.with_begun(event, holder)

    def due(self, events: Sequence[PrivacyEvent], share: float) -> list[PrivacyEvent]:
        """Those of ``events`` that the frozen plan has not, or not any more, and that would be debited."""
        return [*events] if self._frozen is None else self._frozen.due(events, share)[0]

    def copy(self) -> Account:
        """An account that has released the same, to try what would come after."""
        twin = Account(self.meter if self.opened else None, self.set_aside)
        twin._counts, twin._tally, twin._frozen = Counter(self._counts), self._tally.copy(), self._frozen
        return twin

    def renewed(self) -> Account:
        """An account from which nothing was released, its frozen plan reserved anew if it has one: to try things on."""
        twin = Account(self.meter if self.opened else None, self.set_aside)
        if self._frozen is not None:
            for event in self._frozen.events:
                twin.add(event, self._frozen.held_out, run=self._frozen.run)
        return twin

    @property
    def is_one_plan(self) -> bool:
        """True if a frozen plan is all that was debited, so that its loss distribution tells what was spent."""
        return self._tally.is_one_plan

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


@dataclass(frozen=True)
class Statement:
    """What an account holds: how releases add up, (event, share of rows held out, how often), and a frozen plan."""

    meter: Meter | None
    set_aside: float
    counts: tuple[tuple[PrivacyEvent, float, int], ...]
    frozen: FrozenPlan | None = None

    @property
    def account(self) -> Account:
        """An account that has released the same, to go on from here."""
        twin, plan = Account(self.meter, self.set_aside), self.frozen
        for event, share, times in self.counts:
            # What was released beside a plan may be of a kind that is in it as well.
            planned = plan.schedule[event] if plan is not None and share == plan.held_out else 0
            if plan is not None and planned:
                twin.add(event, share, planned, run=plan.run)
            if times > planned:
                twin.add(event, share, times - planned)
        twin._frozen = plan  # noqa: SLF001 - with what of it has begun
        return twin


def counted_by(facts: Mapping[str, Any]) -> tuple[Meter, float]:
    """How releases add up and the delta set aside for category lists, by the facts with which an account was opened."""
    order = facts["order"]
    return (RenyiMeter(order) if order else GaussianMeter()), float(facts["set_aside"])


@dataclass(frozen=True)
class Debit:
    """What one owner is about to release: whose data, the share of rows held out, the events, and what binds it.

    With ``run`` they are that run's whole plan, frozen and debited beforehand. With ``holder`` they are begun by
    whoever has this name: those that the data's frozen plan has left are paid for already.
    """

    owner: str
    data: str
    held_out: float
    events: tuple[PrivacyEvent, ...]
    budget: Budget | None
    run: str = ""
    holder: str = ""


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
            tally.add(event, debit.held_out, run=debit.run)
        if debit.budget is not None and debit.events:
            bound.append((debit, debit.budget, account))
    for debit, budget, account in bound:
        if not trials[debit.data].fits(budget):
            raise refusal(debit, budget, account, trials[debit.data])
