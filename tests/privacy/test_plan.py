"""What is planned must fit, all of it, into what the owners agreed on: judged by the guard itself."""

import math

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fedlab_nb.errors import BudgetExceededError
from fedlab_nb.privacy import (
    Account,
    Budget,
    Debit,
    by_purpose,
    charge,
    gaussian_epsilon,
    implied_budget,
    plan_owners,
    plan_rows,
    rounds_left,
)
from fedlab_nb.records import PrivacyEvent

BUDGETS = st.builds(Budget, st.floats(0.1, 20), st.floats(-7, -2).map(lambda x: 10.0**x))
ROUNDS = st.integers(1, 500)
SPLIT = 0.2


def event(purpose, rows, amount, *, unit="row", mechanism="gaussian", delta=0.0):
    return PrivacyEvent(1, purpose, rows, unit, mechanism, amount, delta)


def statistics(plan):
    """The releases before the first round."""
    releases = [event("ranges", "training", plan.ranges), event("moments", "training", plan.moments)]
    releases += [event("count", "held-out", plan.count)] if plan.count else []
    if plan.lists:
        releases.append(event("lists", "training", plan.lists, delta=plan.list_delta))
    return releases


def a_round(plan):
    """The releases of one round."""
    if plan.unit == "owner":
        kinds = [("update", plan.training), ("score", plan.metrics)]
        return [event(purpose, "all", amount, unit="owner") for purpose, amount in kinds]
    return [event("update", "training", plan.training), event("score", "held-out", plan.metrics)]


def verdict(plan):
    return [event("verdict", "held-out", plan.verdict, mechanism="geometric")] if plan.verdict else []


def everything(plan, num_rounds):
    start = statistics(plan) if plan.unit == "row" else []
    return [*start, *(a_round(plan) * num_rounds), *verdict(plan)]


def spend(account, events, budget=None, held_out=SPLIT):
    charge([Debit("Clinic A", account, held_out, tuple(events))], budget)


def earlier(history, budget):
    """An account that has lived: each piece of history is (kind of rows or mechanism, share of the budget, split)."""
    account = Account()
    for kind, share, held_out in history:
        eps, delta = share * budget.epsilon, budget.delta
        sigma = 4 / max(eps, 1e-3)
        releases = {
            "training": [event("update", "training", sigma)],
            "held-out": [event("score", "held-out", sigma)],
            "all": [event("update", "all", sigma, unit="owner")],
            "verdict": [event("verdict", "held-out", eps, mechanism="geometric")],
            "lists": [event("lists", "training", sigma, delta=0.1 * delta)],
        }[kind]
        spend(account, releases, held_out=held_out)
    return account


LIVED = st.lists(
    st.tuples(
        st.sampled_from(["training", "held-out", "all", "verdict", "lists"]), st.floats(0.01, 0.3), st.just(SPLIT)
    ),
    max_size=3,
)
LIVED_WITH_OTHER_SPLITS = st.lists(
    st.tuples(
        st.sampled_from(["training", "held-out", "all", "verdict", "lists"]),
        st.floats(0.01, 0.3),
        st.sampled_from([SPLIT, 0.4]),
    ),
    max_size=3,
)


def planned(make):
    """The plan, or no example at all where the earlier releases have used up the budget."""
    try:
        return make()
    except BudgetExceededError:
        assume(False)


@settings(max_examples=80, deadline=None)
@given(budget=BUDGETS, num_rounds=ROUNDS, lists=st.integers(0, 3))
def test_a_row_level_plan_fits_the_budget_and_wastes_less_than_a_hundredth(budget, num_rounds, lists):
    account = Account()
    plan = plan_rows(budget, [("Clinic A", account)], num_rounds, lists=lists)
    spend(account, everything(plan, num_rounds), budget)
    assert 0.99 * budget.epsilon <= account.spent(budget.delta) <= budget.epsilon * (1 + 1e-9)


@settings(max_examples=80, deadline=None)
@given(budget=BUDGETS, num_rounds=ROUNDS, lists=st.integers(0, 2), history=LIVED_WITH_OTHER_SPLITS)
def test_a_row_level_plan_fits_whatever_left_these_rows_earlier(budget, num_rounds, lists, history):
    account = earlier(history, budget)
    plan = planned(lambda: plan_rows(budget, [("Clinic A", account)], num_rounds, lists=lists))
    spend(account, everything(plan, num_rounds), budget, held_out=history[-1][2] if history else SPLIT)
    assert 0.99 * budget.epsilon <= account.spent(budget.delta) <= budget.epsilon * (1 + 1e-9)


@settings(max_examples=80, deadline=None)
@given(budget=BUDGETS, num_rounds=ROUNDS, history=LIVED)
def test_an_owner_level_plan_fits_whatever_left_these_rows_earlier(budget, num_rounds, history):
    account = earlier(history, budget)
    plan = planned(lambda: plan_owners(budget, [("Clinic A", account)], num_rounds))
    spend(account, everything(plan, num_rounds), budget)
    assert 0.99 * budget.epsilon <= account.spent(budget.delta) <= budget.epsilon * (1 + 1e-9)


def test_a_plan_follows_the_owner_that_has_least_left():
    budget, worn = Budget(4.0, 1e-5), Account()
    spend(worn, [event("update", "training", 2.0)])
    spend(worn, [event("verdict", "held-out", 1.5, mechanism="geometric")])
    both = plan_rows(budget, [("Clinic A", Account()), ("Clinic B", worn)], 10)
    assert both == plan_rows(budget, [("Clinic B", worn)], 10)
    assert both.training > plan_rows(budget, [("Clinic A", Account())], 10).training


@pytest.mark.parametrize("plan", [plan_rows, plan_owners])
def test_an_owner_with_nothing_left_is_named(plan):
    budget, spent = Budget(1.0, 1e-5), Account()
    spend(spent, [event("update", "all", 3.7)])
    with pytest.raises(BudgetExceededError, match="'Clinic B'"):
        plan(budget, [("Clinic A", Account()), ("Clinic B", spent)], 5)


def test_a_run_that_changes_the_split_shares_one_budget_between_training_and_scores():
    budget, account = Budget(4.0, 1e-5), Account()
    spend(account, [event("update", "training", 4.0), event("score", "held-out", 5.0)], held_out=0.2)
    plan = plan_rows(budget, [("Clinic A", account)], 30, lists=1, held_out={"Clinic A": 0.3})
    spend(account, everything(plan, 30), budget, held_out=0.3)
    assert 0.99 * 4.0 <= account.spent(1e-5) <= 4.0


def test_an_owner_whose_held_out_rows_have_nothing_left_is_named_too():
    budget, spent = Budget(1.0, 1e-5), Account()
    spend(spent, [event("verdict", "held-out", 1.0, mechanism="geometric")])
    with pytest.raises(BudgetExceededError, match="'Clinic B'"):
        plan_rows(budget, [("Clinic A", Account()), ("Clinic B", spent)], 5)


def test_a_noise_multiplier_that_the_user_fixed_stays():
    assert plan_rows(Budget(1.0, 1e-5), [("Clinic A", Account())], 10, training=2.5).training == 2.5
    assert plan_owners(Budget(1.0, 1e-5), [("Clinic A", Account())], 10, training=2.5).training == 2.5


def test_less_privacy_or_fewer_rounds_mean_less_noise():
    def noise(eps, rounds):
        return plan_rows(Budget(eps, 1e-5), [("Clinic A", Account())], rounds).training

    assert noise(8, 20) < noise(4, 20) < noise(4, 40)


@pytest.mark.parametrize(("unit", "plan"), [("row", plan_rows), ("owner", plan_owners)])
def test_the_implied_budget_is_the_one_whose_plan_has_this_noise(unit, plan):
    budget = implied_budget(3.0, 25, 1e-5, unit)
    assert plan(budget, [("Clinic A", Account())], 25).training == pytest.approx(3.0, rel=1e-6)
    assert budget.epsilon > gaussian_epsilon(math.sqrt(25) / 3.0, 1e-5), "the other releases cost something too"


@settings(max_examples=60, deadline=None)
@given(budget=BUDGETS, num_rounds=st.integers(1, 60), played=st.integers(0, 60), unit=st.sampled_from(["row", "owner"]))
def test_the_forecast_counts_down_from_the_number_of_planned_rounds(budget, num_rounds, played, unit):
    account = Account()
    plan = (plan_rows if unit == "row" else plan_owners)(budget, [("Clinic A", account)], num_rounds)
    played = min(played, num_rounds)
    spend(account, [*(statistics(plan) if unit == "row" else []), *(a_round(plan) * played)], budget)
    assert rounds_left(account.lanes(), budget, a_round(plan), verdict(plan)) == num_rounds - played


@settings(max_examples=60, deadline=None)
@given(
    budget=st.builds(Budget, st.floats(0.5, 6), st.sampled_from([1e-5, 1e-3])),
    sigma=st.floats(1.5, 5),
    of_scores=st.floats(1.5, 5),
    history=LIVED_WITH_OTHER_SPLITS,
    last=st.floats(0, 0.2),
)
def test_the_forecast_is_what_the_guard_admits(budget, sigma, of_scores, history, last):
    account = earlier(history, budget)
    held_out = history[-1][2] if history else SPLIT
    each = [event("update", "training", sigma), event("score", "held-out", of_scores)]
    final = [event("verdict", "held-out", last * budget.epsilon, mechanism="geometric")] if last else []
    forecast = rounds_left(account.lanes(), budget, each, final)
    admitted = 0
    while account.spent(budget.delta, [*each, *final], held_out) <= budget.epsilon * (1 + 1e-9):
        spend(account, each, budget, held_out)
        admitted += 1
    assert forecast == admitted


def test_without_noise_that_adds_up_there_is_no_number_of_rounds():
    assert rounds_left(Account().lanes(), Budget(1.0), []) is None


def test_what_was_released_is_listed_by_purpose_with_its_price_alone():
    account = Account()
    spend(account, [event("update", "training", 2.0), event("update", "training", 2.0)])
    spend(account, [event("verdict", "held-out", 1.25, mechanism="geometric")])
    spend(account, [PrivacyEvent(0, "exact scores", "held-out", "row", "none")])
    alone = gaussian_epsilon(math.sqrt(2) / 2, 1e-5)
    assert by_purpose(account, 1e-5) == (
        ("update, 2 times", f"{alone:.2f}"),
        ("verdict", "1.25"),
        ("exact scores", "no limit"),
    )
