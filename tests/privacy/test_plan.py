"""What is planned must fit, all of it, into what the owners agreed on: judged by the guard itself."""

import math

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fedlab_nb.errors import BudgetExceededError
from fedlab_nb.privacy import Account, Budget, gaussian_epsilon, implied_budget, plan_owners, plan_rows
from fedlab_nb.privacy.meters import meter_for
from fedlab_nb.privacy.plan import COUNT, METRICS, OWN_VERDICTS, VERDICT
from tests.privacy.common import BUDGETS, SPLIT, aside, event, everything, spend

ROUNDS = st.integers(1, 500)
RATES = st.sampled_from([1.0, 0.5, 0.1, 0.01])


def opened(budget, rate, lists=0):
    """The account that a run with this budget, row rate and so many undeclared columns opens."""
    return Account(meter_for(rate < 1, budget.epsilon, budget.delta), aside(budget, lists))


def earlier(history, budget, rate=1.0):
    """An account that has lived: each piece of history is (kind of rows or mechanism, share of the budget, split)."""
    account = opened(budget, rate, lists=1)
    for kind, share, held_out in history:
        eps, delta = share * budget.epsilon, budget.delta
        sigma = 4 / max(eps, 1e-3)
        releases = {
            "training": [event("update", "training", sigma)],
            "held-out": [event("score", "held-out", sigma)],
            "all": [event("update", "all", sigma, unit="owner")],
            "verdict": [event("verdict", "held-out", 4 / max(eps, 1e-3), mechanism="laplace")],
            "lists": [event("lists", "training", sigma, delta=0.02 * delta)],
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


@settings(max_examples=60, deadline=None)
@given(budget=BUDGETS, num_rounds=ROUNDS, lists=st.integers(0, 3), rate=RATES)
def test_a_row_level_plan_fits_the_budget_and_wastes_less_than_a_hundredth(budget, num_rounds, lists, rate):
    account = opened(budget, rate, lists)
    plan = plan_rows([("Clinic A", account, budget)], num_rounds, lists=lists, sample_rate=rate)
    assume(plan.training > 0.21)  # below it sampling gets no credit, and the cost jumps: see meters.py
    spend(account, everything(plan, num_rounds, rate), budget)
    assert 0.99 * budget.epsilon <= account.spent(budget.delta) <= budget.epsilon * (1 + 1e-9)


@settings(max_examples=60, deadline=None)
@given(budget=BUDGETS, num_rounds=ROUNDS, lists=st.integers(0, 2), history=LIVED_WITH_OTHER_SPLITS, rate=RATES)
def test_a_row_level_plan_fits_whatever_left_these_rows_earlier(budget, num_rounds, lists, history, rate):
    account = earlier(history, budget, rate)
    accounts = [("Clinic A", account, budget)]
    plan = planned(lambda: plan_rows(accounts, num_rounds, lists=lists, sample_rate=rate))
    assume(plan.training > 0.21)
    spend(account, everything(plan, num_rounds, rate), budget, held_out=history[-1][2] if history else SPLIT)
    assert 0.99 * budget.epsilon <= account.spent(budget.delta) <= budget.epsilon * (1 + 1e-9)


@settings(max_examples=60, deadline=None)
@given(budget=BUDGETS, num_rounds=ROUNDS, history=LIVED, rate=st.sampled_from([1.0, 0.1]))
def test_an_owner_level_plan_fits_whatever_left_these_rows_earlier(budget, num_rounds, history, rate):
    account = earlier(history, budget, rate)
    plan = planned(lambda: plan_owners([("Clinic A", account, budget)], num_rounds))
    spend(account, everything(plan, num_rounds), budget)
    assert 0.99 * budget.epsilon <= account.spent(budget.delta) <= budget.epsilon * (1 + 1e-9)


def test_a_plan_follows_the_owner_that_has_least_left():
    budget, worn = Budget(4.0, 1e-5), Account()
    spend(worn, [event("update", "training", 2.0)])
    spend(worn, [event("verdict", "held-out", 2.0)])
    both = plan_rows([("Clinic A", Account(), budget), ("Clinic B", worn, budget)], 10)
    assert both == plan_rows([("Clinic B", worn, budget)], 10)
    assert both.training > plan_rows([("Clinic A", Account(), budget)], 10).training


def test_a_plan_follows_the_owner_that_agreed_to_least():
    strict, easy = (
        (name, opened(budget, 1.0, lists=1), budget)
        for name, budget in (("Clinic A", Budget(1.0, 1e-6)), ("Clinic B", Budget(8.0, 1e-3)))
    )
    assert plan_rows([strict, easy], 10, lists=1) == plan_rows([strict], 10, lists=1)
    assert plan_owners([easy, strict], 10) == plan_owners([strict], 10)


@pytest.mark.parametrize("rate", [1.0, 0.1])
def test_a_plan_fits_accounts_that_count_differently(rate):
    budgets = [Budget(4.0, 1e-5), Budget(4.0, 1e-5), Budget(2.0, 1e-3)]
    accounts = [opened(budget, r, lists=1) for budget, r in zip(budgets, (1.0, 0.1, 0.1), strict=True)]
    bound = [(f"Clinic {i}", a, b) for i, (a, b) in enumerate(zip(accounts, budgets, strict=True))]
    plan = plan_rows(bound, 30, lists=1, sample_rate=rate)
    for account, budget in zip(accounts, budgets, strict=True):
        spend(account, everything(plan, 30, rate), budget)
    spent = [account.spent(budget.delta) / budget.epsilon for account, budget in zip(accounts, budgets, strict=True)]
    assert max(spent) > 0.99, "one of them is used up"


@pytest.mark.parametrize("plan", [plan_rows, plan_owners])
def test_an_owner_with_nothing_left_is_named(plan):
    budget, spent = Budget(1.0, 1e-5), Account()
    spend(spent, [event("update", "all", 3.7)])
    with pytest.raises(BudgetExceededError, match="'Clinic B'"):
        plan([("Clinic A", Account(), budget), ("Clinic B", spent, budget)], 5)


def test_a_run_that_changes_the_split_shares_one_budget_between_training_and_scores():
    budget = Budget(4.0, 1e-5)
    account = opened(budget, 1.0, lists=1)
    spend(account, [event("update", "training", 4.0), event("score", "held-out", 5.0)], held_out=0.2)
    plan = plan_rows([("Clinic A", account, budget)], 30, lists=1, held_out={"Clinic A": 0.3})
    spend(account, everything(plan, 30), budget, held_out=0.3)
    assert 0.99 * 4.0 <= account.spent(1e-5) <= 4.0


def test_an_owner_whose_held_out_rows_have_nothing_left_is_named_too():
    budget, spent = Budget(1.0, 1e-5), Account()
    spend(spent, [event("verdict", "held-out", 3.7)])
    with pytest.raises(BudgetExceededError, match="'Clinic B'"):
        plan_rows([("Clinic A", Account(), budget), ("Clinic B", spent, budget)], 5)


def test_later_runs_have_delta_for_their_lists_too_and_never_more_than_was_set_aside():
    budget, used = Budget(4.0, 1e-5), 0.0
    account = opened(budget, 1.0, lists=2)
    for number in range(1, 21):
        plan = plan_rows([("Clinic A", account, budget)], 10, lists=2)
        assert plan.list_delta == pytest.approx(1e-6 / 2**number, rel=1e-3)
        used += plan.list_delta
        spend(account, [event("lists", "training", 1e4, delta=plan.list_delta)], budget)
    assert used <= account.set_aside == pytest.approx(1e-6)


def test_lists_where_nothing_was_set_aside_are_refused_and_told_to_be_declared():
    budget = Budget(4.0, 1e-5)
    bound = [("Clinic A", opened(budget, 1.0, lists=1), budget), ("Clinic B", opened(budget, 1.0), budget)]
    with pytest.raises(BudgetExceededError, match="'Clinic B' cannot release the categories") as caught:
        plan_rows(bound, 5, lists=1)
    assert "categories=" in caught.value.do
    assert plan_rows(bound, 5).lists == 0.0


def test_the_shares_of_the_held_out_rows_are_all_of_their_budget():
    assert pytest.approx(1.0) == COUNT + METRICS + VERDICT + OWN_VERDICTS


def test_a_noise_multiplier_that_the_user_fixed_stays():
    for plan in (plan_rows, plan_owners):
        assert plan([("Clinic A", Account(), Budget(1.0, 1e-5))], 10, training=2.5).training == 2.5


def test_less_privacy_fewer_rounds_or_fewer_rows_mean_less_noise():
    def noise(eps, rounds, rate=1.0):
        budget = Budget(eps, 1e-5)
        return plan_rows([("Clinic A", opened(budget, rate), budget)], rounds, sample_rate=rate).training

    assert noise(8, 20) < noise(4, 20) < noise(4, 40)
    assert noise(4, 40, 0.01) < noise(4, 40, 0.1) < noise(4, 40)


@pytest.mark.parametrize(("unit", "plan"), [("row", plan_rows), ("owner", plan_owners)])
def test_the_implied_budget_is_the_one_whose_plan_has_this_noise(unit, plan):
    budget = implied_budget(3.0, 25, 1e-5, unit)
    assert plan([("Clinic A", Account(), budget)], 25).training == pytest.approx(3.0, rel=1e-6)
    assert budget.epsilon > gaussian_epsilon(math.sqrt(25) / 3.0, 1e-5), "the other releases cost something too"


@pytest.mark.parametrize(("sigma", "rounds", "rate"), [(2.0, 50, 0.1), (0.8, 500, 0.01), (30.0, 5, 0.5), (0.3, 3, 0.1)])
def test_the_implied_budget_with_sampled_rows_is_the_one_whose_plan_needs_no_more_noise(sigma, rounds, rate):
    budget = implied_budget(sigma, rounds, 1e-5, "row", rate)
    plan = plan_rows([("Clinic A", opened(budget, rate), budget)], rounds, sample_rate=rate)
    assert 0.98 * sigma < plan.training <= sigma * (1 + 1e-9)
    assert implied_budget(sigma, rounds, 1e-5, "row", 1.0).epsilon > budget.epsilon or rate == 0.5
