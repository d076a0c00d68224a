"""From debits to lines of the journal, and from lines to accounts: what is debited, reserved, begun, and counted."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from fedlab_nb.errors import SettingError
from fedlab_nb.privacy.account import Account, Debit, counted_by, trial
from fedlab_nb.privacy.budget import Budget
from fedlab_nb.privacy.guard.frozen import FrozenPlan
from fedlab_nb.privacy.guard.refusals import not_the_first, plan_too_large, taken_over
from fedlab_nb.privacy.vault.journal import Kind, Row, alike
from fedlab_nb.records import PrivacyEvent

Lines = list[tuple[Kind, Mapping[str, Any]]]
AccountOf = Callable[[str], Account]


def charged(debits: Sequence[Debit], account_of: AccountOf, left: Mapping[str, str]) -> Lines:
    """One new line for each event, in order: a debit, or the beginning of what a frozen plan has paid for already.

    ``left`` names by data the vault that keeps its budget by now.

    Raises:
        BudgetExceededError: naming the first owner whose budget does not allow its events.
        SettingError: if another vault keeps the budget of this data by now.
        VaultError: if somebody else goes on with a frozen plan by now.
    """
    _check_here(debits, left)
    plans: dict[str, FrozenPlan | None] = {}
    due: list[Debit] = []
    lines: Lines = []
    for debit in debits:
        plan, rest = plans.get(debit.data, account_of(debit.data).frozen), Counter(debit.events)
        if plan is not None and debit.holder:
            unpaid, plans[debit.data] = plan.due(debit.events, debit.held_out)
            rest = Counter(unpaid)
            if len(unpaid) < len(debit.events):
                _check_goes_on(debit, plan, account_of(debit.data))
        due.append(replace(debit, events=tuple(rest.elements())))
        for event in debit.events:
            rest[event] -= 1
            facts = _facts(debit, event)
            lines.append(("debit", facts) if rest[event] >= 0 else ("begun", {**facts, "holder": debit.holder}))
    trial((debit, account_of(debit.data)) for debit in due)
    return lines


def reserved(debits: Sequence[Debit], account_of: AccountOf, left: Mapping[str, str]) -> Lines:
    """One new line for each kind of release of the frozen plans that are not written down yet.

    Raises:
        BudgetExceededError: naming the first owner whose budget does not allow its plan, or whose data has released
            something before.
        SettingError: if another vault keeps the budget of this data by now.
    """
    _check_here(debits, left)
    new = []
    for debit in debits:
        account = account_of(debit.data)
        if account.frozen is not None and account.frozen.run == debit.run:
            continue
        if not account.is_unspent:
            raise not_the_first(debit.owner, account)
        often = Counter(replace(event, round=0) for event in debit.events)
        new.append(replace(debit, events=tuple(replace(e, times=n * e.times) for e, n in often.items())))
    trial((debit, account_of(debit.data)) for debit in new)
    return [("debit", {**_facts(debit, event), "run": debit.run}) for debit in new for event in debit.events]


def take_in(
    lines: Iterable[Row],
    account_of: AccountOf,
    agreed: dict[str, tuple[str, Budget | None, str]],
    answers: dict[str, str],
) -> None:
    """Count new lines in the accounts; note what was agreed on (by data), and the digests of answers (by question)."""
    debits: Counter[str] = Counter()
    begun = []
    for _, _, kind, body, _ in lines:
        if kind == "debit":
            debits[alike(body)] += 1
            continue
        facts = json.loads(body)
        if kind == "opened":
            account_of(facts["data"]).open(*counted_by(facts))
            budget = Budget(facts["epsilon"], facts["delta"]) if "epsilon" in facts else None
            agreed[facts["data"]] = facts["owner"], budget, facts["unit"]
        elif kind == "begun":
            begun.append(facts)
        else:
            answers[facts["question"]] = facts["digest"]
    for body, times in debits.items():
        facts = json.loads(body)
        event, run = PrivacyEvent(**facts["event"]), facts.get("run", "")
        account_of(facts["data"]).add(event, facts["held_out"], times, run=run)
    for facts in begun:  # after the plans that they are part of
        account_of(facts["data"]).begin(PrivacyEvent(**facts["event"]), facts["holder"])


def _check_here(debits: Iterable[Debit], left: Mapping[str, str]) -> None:
    for debit in debits:
        if debit.events and debit.data in left:
            raise SettingError(
                f"The budget of {debit.owner!r} is kept in another vault by now ({left[debit.data]}).",
                "A federation that was made before does not write to it, so the data would have two budgets.",
                "Make the federation anew: without vault= it finds the vault by itself.",
            )


def _check_goes_on(debit: Debit, plan: FrozenPlan, account: Account) -> None:
    """What a frozen plan has paid for may begin: nobody took it over, and no smaller budget was agreed on since."""
    if plan.is_taken_from(debit.holder):
        raise taken_over(debit.owner)
    if debit.budget is not None and not account.tally.fits(debit.budget):
        raise plan_too_large(debit.owner, account.spent(debit.budget.delta), debit.budget)


def _facts(debit: Debit, event: PrivacyEvent) -> dict[str, Any]:
    """What the journal keeps of a release."""
    return {"owner": debit.owner, "data": debit.data, "held_out": debit.held_out, "event": asdict(event)}
