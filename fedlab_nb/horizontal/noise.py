"""How much noise each release of a run gets: fixed before the first round, the same whenever that run is asked for."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import partial

import numpy as np

from fedlab_nb.data import sums
from fedlab_nb.parties import Federation
from fedlab_nb.privacy import (
    Account,
    NoisePlan,
    implied_budget,
    meter_for,
    plan_frozen,
    plan_owners,
    plan_rows,
    set_aside,
)
from fedlab_nb.protect import OwnerLevelDP
from fedlab_nb.records import PrivacyEvent


def noise_plan(federation: Federation, num_rounds: int, asked: str = "") -> tuple[NoisePlan | None, bool]:
    """How much noise each release of ``num_rounds`` rounds gets, and whether the run that is ``asked`` had it before.

    None without a privacy mechanism. A run that is asked for again keeps its plan: what it has released already comes
    from the vault, so that a run that was cut off goes on where it was, and one that ended costs nothing.

    Raises:
        BudgetExceededError: if an owner has nothing left to spend.
    """
    house, books = federation.house, federation.books
    if house.protect is None:
        return None, False
    stored = books.answer(_plan_question(federation, asked))
    if stored is not None:
        return NoisePlan(**json.loads(str(stored))), True
    sigma, rate = house.protect.noise_multiplier, getattr(house.protect, "row_rate", 1.0)
    implied = None
    if sigma is not None:
        implied = implied_budget(sigma, num_rounds, federation.delta, house.protect.unit, rate)
    # A rehearsal spends nothing, and without a budget nothing was agreed that could be used up: both are planned as if
    # nothing had been spent.
    lists, accounts = len(sums.open_lists(federation.schema)), []
    for name in federation.names:
        binding = books.binding(name, house)
        fresh = house.noise_seed is not None or binding is None
        agreed = binding or implied
        assert agreed is not None  # the federation refuses a mechanism with neither
        meter = meter_for(rate < 1.0, agreed.epsilon, agreed.delta)
        account = federation.account(name)
        if fresh:
            rehearsal = house.noise_seed is not None
            account = Account(meter, set_aside(federation.delta, lists) if rehearsal else account.lists_left)
        accounts.append((name, account, agreed))
    held_out = {owner.name: owner.held_out for owner in federation.owners}
    if isinstance(house.protect, OwnerLevelDP):
        return plan_owners(accounts, num_rounds, training=sigma, held_out=held_out), False
    if house.protect.frozen:
        releases = partial(_whole_run, federation, num_rounds)
        plan = plan_frozen(accounts, num_rounds, releases, training=sigma, lists=lists, sample_rate=rate)
    else:
        plan = plan_rows(accounts, num_rounds, training=sigma, lists=lists, held_out=held_out, sample_rate=rate)
    return plan, False


def _whole_run(federation: Federation, num_rounds: int, plan: NoisePlan) -> list[PrivacyEvent]:
    """All that an owner releases in a run at row level: statistics, updates and scores (see prepare and evaluate)."""
    schema, rate = federation.schema, getattr(federation.house.protect, "row_rate", 1.0)
    releases: list[tuple[str, str, float, dict[str, float]]]
    releases = [("the moments of the columns", "training", plan.moments, {})]
    if sums.open_lists(schema):
        releases.append(("the categories of the columns", "training", plan.lists, {"delta": plan.list_delta}))
    if sums.octave_columns(schema):
        releases.append(("the ranges of the columns", "training", plan.ranges, {}))
    releases += [("a round's update", "training", plan.training, {"sample_rate": rate})] * num_rounds
    if any(owner.held_out > 0.0 for owner in federation.owners):
        releases.append(("the number of held-out rows", "held-out", plan.count, {}))
        releases += [("a round's score", "held-out", plan.metrics, {})] * num_rounds
        releases += [("the verdict", "held-out", amount, {}) for amount in (plan.verdict, plan.own_verdicts)]
    return [event(federation, 0, purpose, rows, amount, **more) for purpose, rows, amount, more in releases]


def _plan_question(federation: Federation, asked: str) -> str:
    house, books = federation.house, federation.books
    bindings = [repr(books.binding(name, house)) for name in federation.names]
    return books.question(house, "noise plan", federation.names, asked, repr(house), bindings)


def keep_plan(federation: Federation, asked: str, plan: NoisePlan, num_rounds: int, *, known: bool) -> NoisePlan:
    """Keep the plan of a run before its first release, unless it is ``known``; gives the plan that is kept.

    If plans are frozen, the whole run is debited as well, once: where a run was cut off in between, it goes on here.
    """
    question = _plan_question(federation, asked)
    if not known:
        plan = NoisePlan(**json.loads(str(federation.books.keep(question, 0, json.dumps(asdict(plan))))))
    if getattr(federation.house.protect, "frozen", False):
        federation.reserve(_whole_run(federation, num_rounds, plan), question)
    return plan


def event(federation: Federation, number: int, purpose: str, rows: str, amount: float, **more: object) -> PrivacyEvent:
    """The privacy event of one release under this federation's mechanism; "none" without one."""
    protect = federation.house.protect
    if protect is None:
        return PrivacyEvent(number, purpose, rows, "row", "none")  # type: ignore[arg-type]
    return PrivacyEvent(number, purpose, rows, protect.unit, "gaussian", amount, **more)  # type: ignore[arg-type]


def noise_in_sum(federation: Federation, noise_sd: float) -> float:
    """Standard deviation of the noise in a sum over all n owners: n shares, so large that fewer have ``noise_sd``.

    Without encryption each owner adds all of it.
    """
    owners = len(federation.names)
    return float(noise_sd * np.sqrt(owners / federation.house.noise_shares(owners)))
