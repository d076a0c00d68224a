"""Releases of a planned run, judged by the guard itself."""

from hypothesis import strategies as st

from fedlab_nb.privacy import Budget, Debit, set_aside
from fedlab_nb.privacy.account import trial
from fedlab_nb.records import PrivacyEvent

BUDGETS = st.builds(Budget, st.floats(0.1, 20), st.floats(-7, -2).map(lambda x: 10.0**x))
SPLIT = 0.2


def aside(budget, lists):
    """What an account that is opened with this budget sets aside for so many undeclared columns."""
    return set_aside(budget.delta, lists)


def event(purpose, rows, amount, *, unit="row", mechanism="gaussian", delta=0.0, rate=1.0):
    return PrivacyEvent(1, purpose, rows, unit, mechanism, amount, delta, rate)


def statistics(plan):
    """The releases before the first round."""
    if plan.unit == "owner":
        return []
    releases = [event("ranges", "training", plan.ranges), event("moments", "training", plan.moments)]
    releases += [event("count", "held-out", plan.count)] if plan.count else []
    if plan.lists:
        releases.append(event("lists", "training", plan.lists, delta=plan.list_delta))
    return releases


def a_round(plan, rate=1.0):
    """The releases of one round."""
    if plan.unit == "owner":
        kinds = [("update", plan.training), ("score", plan.metrics)]
        return [event(purpose, "all", amount, unit="owner") for purpose, amount in kinds]
    return [event("update", "training", plan.training, rate=rate), event("score", "held-out", plan.metrics)]


def verdict(plan):
    """The releases after the last round."""
    amounts = (plan.verdict, plan.own_verdicts) if plan.verdict else ()
    return [event("verdict", "held-out", amount) for amount in amounts]


def everything(plan, num_rounds, rate=1.0):
    return [*statistics(plan), *(a_round(plan, rate) * num_rounds), *verdict(plan)]


def spend(account, events, budget=None, held_out=SPLIT):
    """Charge the account, or raise what the guard raises."""
    trial([(Debit("Clinic A", "these rows", held_out, tuple(events), budget), account)])
    for one in events:
        account.add(one, held_out)
