"""The budgets of a federation's owners, in the vault that keeps them: agreed, debited, and what was answered before."""

from __future__ import annotations

import hashlib
import math
import secrets
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np

from fedlab_nb.data import sums
from fedlab_nb.errors import RuleError, SettingError
from fedlab_nb.parties.house import House
from fedlab_nb.parties.owner import DataOwner
from fedlab_nb.privacy import Account, Budget, Debit, Vault, home_of, mark_of, meter_for, move_in, set_aside, stricter
from fedlab_nb.privacy.vault.vault import Payload
from fedlab_nb.protect import RowLevelDP
from fedlab_nb.records import PrivacyEvent, Schema

Debits = Mapping[str, Sequence[PrivacyEvent]]

# Goes up whenever an answer would mean something else under the same words, so that older ones are not given for it.
FORM = 1
# How releases add up is fixed with the budget; where none was agreed on, for one that is usual.
USUAL = Budget(8.0, 1e-5)


class Books:
    """What binds each owner, what it has spent, and which questions it has answered."""

    def __init__(self, owners: Sequence[DataOwner], vault: Vault | None) -> None:
        self.owners = {owner.name: owner for owner in owners}
        stage = "counting its budget"
        marks = {o.name: o._inside(lambda rows: mark_of(rows.content), stage=stage) for o in owners}  # noqa: SLF001
        self.vault = kept = home_of(vault, marks)
        self.data = {o.name: o._inside(lambda rows: kept.fingerprint(rows.content), stage=stage) for o in owners}  # noqa: SLF001
        move_in(kept, {name: (mark, self.data[name]) for name, mark in marks.items()})
        self.accounts: Mapping[str, Account] = {name: kept.account(data) for name, data in self.data.items()}
        self._ahead: dict[tuple[str, PrivacyEvent], list[int]] = {}  # what was debited and not released yet, by entry
        self._columns: list[object] = []  # what all owners declare, once it is needed
        self.reused = 0  # answers that came from the vault
        self.holder = secrets.token_hex(8)  # who begins releases of frozen plans

    def apart(self, accounts: Mapping[str, Account]) -> Books:
        """These books, to try on: the owners have released what ``accounts`` say; no vault hears of what follows.

        Those of whom they say nothing have released nothing, and a frozen plan of theirs is as it was reserved.
        """
        twin = copy(self)
        twin.holder = secrets.token_hex(8)
        known = {name: accounts[name] if name in accounts else own.renewed() for name, own in self.accounts.items()}
        twin.vault = Vault.trying({self.data[name]: account for name, account in known.items()})
        twin.accounts = {name: twin.vault.account(data) for name, data in self.data.items()}
        twin.forget_ahead()
        return twin

    def binding(self, name: str, house: House) -> Budget | None:
        """What this owner spends at most: its own budget and that of the whole federation, whichever is stricter."""
        return stricter(self.owners[name].budget, house.budget)

    def open(self, house: House) -> None:
        """Write the agreements down, before anything is spent under them.

        Raises:
            RuleError: if two owners bring the same rows under a privacy mechanism, or the vault's file holds a budget
                that this federation would void by asking without protection.
            SettingError: if plans are to be frozen and an owner has agreed on no budget.
        """
        if house.protect is not None:
            _check_apart(self.data)
        if house.protect is None or house.noise_seed is not None:
            self._refuse_to_void(house)
            return
        sampled = isinstance(house.protect, RowLevelDP) and house.protect.row_rate < 1.0
        # What one owner leaves undeclared is open for all; one mechanism serves all, so that the smallest delta counts.
        lists = max(len(sums.open_lists(owner.schema)) for owner in self.owners.values())
        bindings = [self.binding(name, house) for name in self.owners]
        if _freezes(house) and None in bindings:
            raise SettingError(
                f"RowLevelDP has frozen=True, and {[*self.owners][bindings.index(None)]!r} has agreed on no budget.",
                "A frozen plan is held to a budget as a whole, before its first release.",
                "Pass budget=fl.Budget(epsilon=8, delta=1e-3), or leave frozen=True out.",
            )
        aside = set_aside(min((b.delta for b in bindings if b is not None), default=USUAL.delta), lists)
        for name, data in self.data.items():
            budget = self.binding(name, house)
            agreed = budget or USUAL
            meter = meter_for(sampled, agreed.epsilon, agreed.delta)
            self.vault.open(data, name, budget, house.protect.unit, meter, aside)

    def reserve(self, releases: Sequence[PrivacyEvent], house: House, run: str) -> None:
        """Debit a whole run from every owner before its first release, where its plan is frozen; else nothing.

        ``run`` is a name of the run: asked for again, it goes on with its plan and pays nothing.

        Raises:
            BudgetExceededError: naming the owner whose budget does not allow it, or whose data was asked before.
            VaultError: if the debits cannot be written down.
        """
        if _freezes(house):
            plan, name_of_run = tuple(releases), run or secrets.token_hex(16)
            self.vault.reserve(
                [
                    Debit(name, data, self.owners[name].held_out, plan, self.binding(name, house), run=name_of_run)
                    for name, data in self.data.items()
                ]
            )

    def due(self, name: str, releases: Sequence[PrivacyEvent], house: House) -> list[PrivacyEvent]:
        """What of these releases would be debited: all but those that this owner's frozen plan has left."""
        if not _freezes(house):
            return [*releases]
        return self.accounts[name].due(releases, self.owners[name].held_out)

    def _refuse_to_void(self, house: House) -> None:
        for name, data in self.data.items():
            budget = self.vault.agreement(data)
            if self.vault.path is not None and budget is not None:
                asks = "in a rehearsal, whose noise can be repeated" if house.protect is not None else "exactly"
                raise RuleError(
                    f"{self.vault.name} holds a budget of epsilon {budget.epsilon:g} for the data of {name!r}, and "
                    f"this federation would ask {asks}.",
                    "One such answer, and no epsilon holds for these rows any more, whatever was agreed.",
                    "Pass budget= or protect=, or try things out on other rows: owner.mock(rows=200), a public table.",
                )

    def charge(self, debits: Debits, house: House, ahead: Debits | None = None) -> int:
        """Debit what was not debited ahead, and what is to come: all of it or nothing; the number of the first entry.

        A rehearsal's releases count as unprotected; those of a frozen plan are paid for, and begun.

        Raises:
            BudgetExceededError: naming the owner whose budget does not allow them.
            VaultError: if the debits cannot be written down.
        """
        paid: list[tuple[str, PrivacyEvent]] = []
        charged, coming = [], []
        holder, later = self.holder if _freezes(house) else "", ahead or {}
        for name in dict.fromkeys([*debits, *later]):
            used, due = self._prepaid(name, debits.get(name, ()))
            paid += [(name, event) for event in used]
            coming += [None] * len(due) + [(name, event) for event in later.get(name, ())]
            events = (*due, *later.get(name, ()))
            if house.noise_seed is not None:
                events = tuple(_bare(event) for event in events)
            if events:
                owner, bound = self.owners[name], self.binding(name, house)
                charged.append(Debit(name, self.data[name], owner.held_out, events, bound, holder=holder))
        first = self.vault.charge(charged)
        numbers = [self._release(what) for what in paid]
        for number, what in enumerate(coming, first):
            if what is not None:
                self._ahead.setdefault(what, []).append(number)
        return min([first, *numbers]) if first and numbers else first or min(numbers, default=0)

    def _prepaid(self, name: str, events: Sequence[PrivacyEvent]) -> tuple[list[PrivacyEvent], list[PrivacyEvent]]:
        """Those of an owner's releases that were debited ahead, and the others."""
        if not self._ahead:
            return [], [*events]
        used: list[PrivacyEvent] = []
        due: list[PrivacyEvent] = []
        for event in events:
            ahead = self._ahead.get((name, event), ())
            (used if used.count(event) < len(ahead) else due).append(event)
        return used, due

    def _release(self, what: tuple[str, PrivacyEvent]) -> int:
        """The number of the entry that was debited ahead for this release, which takes place now."""
        numbers = self._ahead[what]
        number = numbers.pop(0)
        if not numbers:
            del self._ahead[what]
        return number

    def forget_ahead(self) -> None:
        """A new run begins: what an earlier one had paid ahead and not released stays spent."""
        self._ahead = {}

    @staticmethod
    def keeps(house: House) -> bool:
        """False where no answer is kept: without a mechanism asking again costs nothing more; or in a rehearsal."""
        return house.protect is not None and house.noise_seed is None

    def question(self, house: House, kind: str, names: Sequence[str], asked: str, *facts: object) -> str:
        """What is asked, as a digest: equal for the same question about the same data with the same noise.

        "" where answers are not kept: nothing says what ``asked`` is, or see ``keeps``.
        """
        if not asked or house.protect is None or not self.keeps(house):
            return ""
        about = [(name, self.data[name], self.owners[name].target, self.owners[name].held_out) for name in names]
        self._columns = self._columns or [_exact(owner.schema) for owner in self.owners.values()]
        drawn = house.protect.exact_noise
        whole = (FORM, kind, about, self._columns, asked, repr(house.encrypt), drawn, [_exact(fact) for fact in facts])
        return hashlib.sha256(repr(whole).encode()).hexdigest()

    def answer(self, question: str) -> Payload | None:
        """The stored answer to this question, or None."""
        found = self.vault.answer(question) if question else None
        self.reused += found is not None
        return found

    def keep(self, question: str, debit: int, payload: Payload) -> Payload:
        """Keep a release, so that an equal question finds it; what is kept, which another kernel may have put there."""
        return self.vault.keep(question, debit, payload) if question else payload

    def left(self, name: str, house: House) -> float | None:
        """What is left of the epsilon that binds this owner; None without a budget, or without a guarantee."""
        budget, account = self.binding(name, house), self.accounts[name]
        if budget is None or house.protect is None or house.noise_seed is not None:
            return None
        if not account.guaranteed(house.protect.unit):
            return None
        return max(budget.epsilon - account.spent(budget.delta), 0.0)

    def epsilon(self, house: House, delta: float) -> float | None:
        """What the owner that spent most has spent, over everything that ever left its rows; None without guarantee."""
        if house.protect is None or house.noise_seed is not None:
            return None
        accounts = self.accounts.values()
        if not all(account.guaranteed(house.protect.unit) for account in accounts):
            return None
        most = max(account.spent(delta) for account in accounts)
        return most if most < math.inf else None


def _freezes(house: House) -> bool:
    """True if the plans of runs are frozen and paid beforehand; a rehearsal pays nothing."""
    return isinstance(house.protect, RowLevelDP) and house.protect.frozen and house.noise_seed is None


def _bare(event: PrivacyEvent) -> PrivacyEvent:
    """What a rehearsal's release counts as."""
    return replace(event, mechanism="none", amount=0.0, delta=0.0)


def _exact(fact: object) -> object:
    """A fact as plain values whose repr leaves nothing out; in which round it is asked makes no difference."""
    if isinstance(fact, PrivacyEvent):
        return (0, *_values(fact)[1:])  # its round comes first
    if isinstance(fact, Mapping):
        return sorted((key, _exact(value)) for key, value in fact.items())
    if isinstance(fact, Schema):
        return _values(fact)
    if isinstance(fact, np.ndarray):
        return fact.tobytes()
    return [_exact(part) for part in fact] if isinstance(fact, list | tuple) else fact


def _values(record: Any) -> tuple[Any, ...]:
    """The values of a record's fields, as ``dataclasses.astuple`` gives them; without its copies, which take long."""
    return tuple(_plain(getattr(record, f.name)) for f in fields(record))


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return _values(value)
    return tuple(map(_plain, value)) if isinstance(value, tuple) else value


def _check_apart(data: Mapping[str, str]) -> None:
    holder: dict[str, str] = {}
    for name, fingerprint in data.items():
        other = holder.setdefault(fingerprint, name)
        if other != name:
            raise RuleError(
                f"{other!r} and {name!r} hold the same rows.",
                "Every row would be in each sum twice, move it twice as far as the noise is made for, and epsilon "
                "would be understated.",
                "Leave one of them out, or give each owner rows of its own: fl.split_rows(frame, owners=5).",
            )
