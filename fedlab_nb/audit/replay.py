"""The journal played anew, line by line: what each debit cost, and what had been spent under each agreement."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from fedlab_nb.audit.evidence import Evidence
from fedlab_nb.privacy import Account, Budget, counted_by
from fedlab_nb.privacy.account import Tally
from fedlab_nb.privacy.meters import Meter
from fedlab_nb.privacy.vault import Entry
from fedlab_nb.records import PrivacyEvent

# What rounding may add to an epsilon that was calibrated to a budget exactly.
HAIR = 1 + 1e-9


@dataclass(frozen=True)
class Agreement:
    """What was agreed on for one owner's data, and the epsilon spent at its delta when it began and when it ended.

    ``budget`` is None where no limit was agreed. It ends where the next agreement about the same data begins, or now.
    ``kept`` is False where something was released during it that neither it nor the agreement of the federation
    audited (if that is older) allows.
    """

    line: Entry
    budget: Budget | None
    before: float = 0.0
    after: float = 0.0
    kept: bool = True


@dataclass(frozen=True)
class Charge:
    """One debit: its epsilon alone, and that of all up to it; None where there is none to state."""

    line: Entry
    event: PrivacyEvent
    delta: float
    alone: float | None
    total: float | None
    agreed: Budget | None


def rebuilt(evidence: Evidence) -> dict[str, Account]:
    """The accounts by fingerprint, as the journal alone adds them up."""
    accounts = {party.data: Account() for party in evidence.parties}
    for _ in _played(evidence, accounts):
        pass
    return accounts


def spent(account: Account, delta: float, unit: str) -> float | None:
    """Epsilon of everything in ``account``; None where no guarantee for this ``unit`` is left."""
    epsilon = account.spent(delta) if account.guaranteed(unit) else math.inf
    return epsilon if epsilon < math.inf else None


def agreements(evidence: Evidence) -> tuple[Agreement, ...]:
    """Every agreement about these owners' data, oldest first.

    Spending only grows, so that an agreement which allows what had been spent at its end allowed every debit in it.
    """
    accounts = {party.data: Account() for party in evidence.parties}
    bound = {party.data: party.agreed for party in evidence.parties}
    closed: list[Agreement] = []
    current: dict[str, Agreement] = {}
    begun: set[tuple[str, Budget | None]] = set()

    def close(data: str) -> None:
        old = current.pop(data, None)
        if old is not None:
            own = bound[data] if (data, bound[data]) in begun else None
            closed.append(_ended(old, accounts[data], own))

    for line, event in _played(evidence, accounts, before_opening=close):
        if event is None:
            data, budget = line.facts["data"], budget_of(line)
            begun.add((data, budget))
            current[data] = Agreement(line, budget, before=_at(accounts[data], budget))
    for data in [*current]:
        close(data)
    return tuple(sorted(closed, key=lambda agreement: agreement.line.number))


def charges(evidence: Evidence) -> Iterator[Charge]:
    """Every debit of these owners' data with its epsilon, at the delta that binds the owner."""
    accounts = {party.data: Account() for party in evidence.parties}
    deltas = {party.data: party.delta for party in evidence.parties}
    agreed: dict[str, Budget | None] = {}
    units = dict.fromkeys(accounts, evidence.house.protect.unit if evidence.house.protect else "row")
    for line, event in _played(evidence, accounts):
        data = line.facts["data"]
        if event is None:
            agreed[data], units[data] = budget_of(line), line.facts["unit"]
            continue
        account, delta = accounts[data], deltas[data]
        alone = alone_of([event], account.meter, delta, line.facts["held_out"])
        yield Charge(line, event, delta, alone, spent(account, delta, units[data]), agreed.get(data))


def alone_of(events: list[PrivacyEvent], meter: Meter, delta: float, held_out: float) -> float | None:
    """The epsilon of these releases without any other; None where one of them has no mechanism."""
    tally = Tally(meter, sum(event.times * event.delta for event in events))
    for event in events:
        tally.add(event, held_out)
    epsilon = tally.spent(delta) if tally.guaranteed("row") else math.inf
    return epsilon if epsilon < math.inf else None


def budget_of(line: Entry) -> Budget | None:
    """The limit that an ``opened`` line names."""
    return Budget(line.facts["epsilon"], line.facts["delta"]) if "epsilon" in line.facts else None


def _played(
    evidence: Evidence, accounts: dict[str, Account], before_opening: Callable[[str], None] | None = None
) -> Iterator[tuple[Entry, PrivacyEvent | None]]:
    """Every agreement and debit about ``accounts``, each yielded once it is counted in them."""
    for line, event in evidence.lines:
        data = line.facts["data"]
        if event is None:
            if before_opening is not None:
                before_opening(data)
            accounts[data].open(*counted_by(line.facts))
        else:
            accounts[data].add(event, line.facts["held_out"], run=line.facts.get("run", ""))
        yield line, event


def _at(account: Account, budget: Budget | None) -> float:
    return account.spent(budget.delta) if budget is not None else 0.0


def _ended(agreement: Agreement, account: Account, own: Budget | None) -> Agreement:
    """The agreement with what had been spent at its end; ``own`` is the audited federation's, if it had begun."""
    after = _at(account, agreement.budget)
    grew = after > agreement.before
    allowed = [budget for budget in (agreement.budget, own) if budget is not None]
    kept = agreement.budget is None or not grew or any(_at(account, b) <= b.epsilon * HAIR for b in allowed)
    return replace(agreement, after=after, kept=kept)
