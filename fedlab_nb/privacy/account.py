"""What each owner's data has given away so far. It belongs to the data, not to a run, and only ever grows."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from fedlab_nb.errors import BudgetExceededError, SettingError
from fedlab_nb.privacy.accountant import Total
from fedlab_nb.records import PrivacyEvent
from fedlab_nb.units import counted

_ACCOUNTS: dict[str, Account] = {}
_LOCK = threading.Lock()


@dataclass(frozen=True)
class Budget:
    """The epsilon and delta that the owners agree to spend at most, together, over everything that leaves.

    Raises:
        SettingError: if ``epsilon`` is no positive and finite number or ``delta`` not between 0 and 1.
    """

    epsilon: float
    delta: float = 1e-5

    def __post_init__(self) -> None:
        if not _is_between(0.0, self.epsilon, math.inf):
            raise SettingError(
                f"The budget's epsilon is {self.epsilon!r}, not a positive number.",
                "Epsilon bounds how much one row can change what is released; it must be above 0 and finite.",
                "Agree on a value such as Budget(epsilon=8, delta=1e-3); smaller is more private.",
            )
        if not _is_between(0.0, self.delta, 1.0):
            raise SettingError(
                f"The budget's delta is {self.delta!r}, not a number between 0 and 1.",
                "Delta is the probability that the epsilon does not hold, so it must be small and above 0.",
                "Choose a delta well below 1 / (rows of an owner), such as 1e-3 for a hundred rows.",
            )

    def _repr_html_(self) -> str:
        from fedlab_nb.privacy.card import budget_card

        return budget_card(self)


def _is_between(low: float, value: object, high: float) -> bool:
    number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    return number and low < value < high  # type: ignore[operator]


class Tally:
    """What some releases add up to, by the rows that they touch; it costs the same however many they are.

    Each comes with the share of rows that was held out: training rows and held-out rows are disjoint, so their
    spendings do not add up (parallel composition) as long as that split never changes.
    """

    def __init__(self) -> None:
        self._totals: dict[str, Total] = {}
        self._shares: set[float] = set()
        self._weakest: set[str] = set()

    def add(self, event: PrivacyEvent, share: float) -> None:
        """Count one release."""
        self._shares.add(share)
        self._weakest.add(event.mechanism if event.mechanism == "none" else event.unit)
        if event.mechanism != "none":
            self._totals[event.rows] = self._totals.get(event.rows, Total()) + Total.of(event)

    def copy(self) -> Tally:
        """The same releases, to try what others after them would add up to."""
        twin = Tally()
        twin._totals, twin._shares = dict(self._totals), set(self._shares)
        twin._weakest = set(self._weakest)
        return twin

    def lanes(self, held_out: float | None = None) -> list[Total]:
        """The protected releases by the rows they touch: [training, held-out], or one if the split ever changed.

        ``held_out`` is the share of rows that the coming releases hold out, if known already.
        """
        shares = self._shares | (set() if held_out is None else {held_out})
        if len(shares) > 1:
            return [sum(self._totals.values(), Total())]
        all_rows = self._totals.get("all", Total())
        return [self._totals.get(rows, Total()) + all_rows for rows in ("training", "held-out")]

    def spent(self, delta: float, held_out: float | None = None) -> float:
        """Epsilon of the protected releases; infinite where lists have used up ``delta``: none holds at it then."""
        lanes = self.lanes(held_out)
        if any(lane.delta >= delta for lane in lanes):
            return math.inf
        return max(lane.epsilon(delta) for lane in lanes)

    def guaranteed(self, unit: str) -> bool:
        """True if every release had a mechanism for this unit (protecting an owner protects its rows)."""
        return "none" not in self._weakest and (unit == "row" or self._weakest <= {"owner"})


@dataclass
class Account:
    """All releases from one owner's data in this session, oldest first: ``entries`` are (event, share held out)."""

    entries: list[tuple[PrivacyEvent, float]] = field(default_factory=list)
    _tally: Tally = field(default_factory=Tally, repr=False, compare=False)
    _counted: int = field(default=0, repr=False, compare=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    @property
    def tally(self) -> Tally:
        """What the releases so far add up to."""
        with self._lock:
            new = self.entries[self._counted :]
            for event, share in new:
                self._tally.add(event, share)
            self._counted += len(new)  # not the length of the list: another thread may have charged meanwhile
            return self._tally.copy()

    def spent(self, delta: float, more: Sequence[PrivacyEvent] = (), held_out: float | None = None) -> float:
        """Epsilon of all releases that had a mechanism (see ``guaranteed`` for others), and of ``more`` after them.

        It is infinite where category lists have used up ``delta``: then no epsilon holds at this delta.
        """
        tally = self.tally
        for event in more:
            tally.add(event, self.entries[-1][1] if held_out is None and self.entries else held_out or 0.0)
        return tally.spent(delta, held_out)

    def lanes(self, held_out: float | None = None) -> list[Total]:
        """What was released by the rows that it touched (see Tally.lanes)."""
        return self.tally.lanes(held_out)

    def guaranteed(self, unit: str) -> bool:
        """True if every release so far had a mechanism for this unit (protecting an owner protects its rows)."""
        return self.tally.guaranteed(unit)

    def __repr__(self) -> str:
        bare = sum(event.mechanism == "none" for event, _ in self.entries)
        return f"Account({counted(len(self.entries), 'release')}, {bare} of them unprotected)"

    def _repr_html_(self) -> str:
        from fedlab_nb.privacy.card import account_card

        return account_card(self)


def account_of(fingerprint: str) -> Account:
    """The one account of the data with this fingerprint, whatever the owner is called and whichever run asks."""
    with _LOCK:
        return _ACCOUNTS.setdefault(fingerprint, Account())


@dataclass(frozen=True)
class Debit:
    """What one owner is about to release: its account, the share of rows it holds out, and the events."""

    owner: str
    account: Account
    held_out: float
    events: tuple[PrivacyEvent, ...]


def charge(debits: Sequence[Debit], budget: Budget | None) -> None:
    """Debit every account, or none: all are asked before any is debited.

    Call it before noise is drawn: a debit is never taken back, so that no crash can un-spend it.

    Raises:
        BudgetExceededError: naming the first owner whose budget does not allow its events; nothing was debited.
    """
    with _LOCK:
        # Two owners may bring the same data: what one of them is about to spend counts for the other.
        trials: dict[int, Tally] = {}
        for debit in debits:
            trial = trials.setdefault(id(debit.account), debit.account.tally)
            for event in debit.events:
                trial.add(event, debit.held_out)
            if budget is not None and debit.events and trial.spent(budget.delta) > budget.epsilon * (1 + 1e-9):
                raise _refusal(debit, budget, trial.spent(budget.delta))
        for debit in debits:
            debit.account.entries.extend((event, debit.held_out) for event in debit.events)


def _refusal(debit: Debit, budget: Budget, after: float) -> BudgetExceededError:
    reached = (
        f"epsilon {after:.3f} of the agreed {budget.epsilon:g} (spent so far: {debit.account.spent(budget.delta):.3f})"
    )
    if after == math.inf:
        reached = f"beyond the agreed delta of {budget.delta:g} (epsilon {budget.epsilon:g})"
    return BudgetExceededError(
        f"Releasing {debit.events[0].purpose} would take {debit.owner!r} to {reached}, "
        "so 0 further rounds fit and nothing was released.",
        "A privacy budget belongs to the data: it survives re-running a cell, a new Federation and a new name.",
        "Use the model as it is, agree on a larger epsilon with the owners, or bring rows that were not used yet.",
    )
