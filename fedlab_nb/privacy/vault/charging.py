"""From debits to lines of the journal, and from lines to accounts: what is debited, reserved, begun, and counted."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from fedlab_nb.errors import SettingError
from fedlab_nb.privacy.account import Account, Debit, counted_by, trial
from fedlab_nb.privacy.budget import Budget
from fedlab_nb.privacy.guard.frozen import FrozenPlan
from fedlab_nb.privacy.guard.refusals import not_the_first, plan_too_large, taken_over
from fedlab_nb.privacy.vault.journal import Kind, Row, alike, event_of, read_release, release_of
from fedlab_nb.records import PrivacyEvent

Lines = list[tuple[Kind, str]]
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
    written: dict[int, str] = {}  # many owners release the same at once
    for debit in debits:
        unpaid = Counter(_unpaid(debit, plans, account_of)) if debit.holder else None
        due.append(debit if unpaid is None else replace(debit, events=tuple(unpaid.elements())))
        for event in debit.events:
            text = written.get(id(event)) or written.setdefault(id(event), event_of(event))
            facts = debit.owner, debit.data, debit.held_out, text
            if unpaid is None or unpaid[event] > 0:
                lines.append(("debit", release_of(*facts)))
            else:
                lines.append(("begun", release_of(*facts, holder=debit.holder)))
            if unpaid is not None:
                unpaid[event] -= 1
    trial((debit, account_of(debit.data)) for debit in _to_try(due))
    return lines


def _unpaid(debit: Debit, plans: dict[str, FrozenPlan | None], account_of: AccountOf) -> Sequence[PrivacyEvent]:
    """What its data's frozen plan has not paid for; ``plans`` are by data, as earlier debits leave them."""
    plan = plans.get(debit.data, account_of(debit.data).frozen)
    if plan is None:
        return debit.events
    unpaid, plans[debit.data] = plan.due(debit.events, debit.held_out)
    if len(unpaid) < len(debit.events):
        _check_goes_on(debit, plan, account_of(debit.data))
    return unpaid


def _to_try(debits: Sequence[Debit]) -> list[Debit]:
    """Those that a budget could refuse: not unprotected releases of data that none binds."""
    bound = {debit.data for debit in debits if debit.budget is not None}
    return [d for d in debits if d.data in bound or any(event.mechanism != "none" for event in d.events)]


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
    return [
        ("debit", release_of(debit.owner, debit.data, debit.held_out, event_of(event), run=debit.run))
        for debit in new
        for event in debit.events
    ]


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
        data, held_out, event, run = read_release(body)
        account_of(data).add(event, held_out, times, run=run)
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
