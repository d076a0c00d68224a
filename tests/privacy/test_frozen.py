"""Plans frozen beforehand: what they cost, what they gain, and that no way to play them reaches more than that."""

import math
from collections import Counter
from functools import cache

import dp_accounting
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr

from fedlab_nb.errors import BudgetExceededError
from fedlab_nb.privacy import Account, Budget, Debit, GaussianMeter, meter_for, plan_frozen, plan_rows, set_aside
from fedlab_nb.privacy.account import Tally, trial
from fedlab_nb.privacy.guard import FrozenPlan, schedule_epsilon
from fedlab_nb.privacy.meters import gaussian_epsilon
from fedlab_nb.privacy.tight import tight_epsilon
from tests.privacy.common import SPLIT, event, everything, spend

DELTA = 1e-3
UPDATE = event("update", "training", 2.0, rate=0.1)


def reserved(plan, account=None, budget=None, share=SPLIT):
    """An account that holds this plan, as the guard lets it through."""
    account = account or Account(meter_for(True, 3.0, DELTA))
    whole = [event(e.purpose, e.rows, e.amount, delta=e.delta, rate=e.sample_rate) for e in plan]
    trial([(Debit("Clinic A", "these rows", share, tuple(whole), budget, run="run"), account)])
    for one in whole:
        account.add(one, share, run="run")
    return account


# What a schedule costs


def test_the_noise_and_the_rounds_of_a_frozen_plan_are_the_published_ones():
    budget = Budget(3.0, 1e-5)
    assert budget.noise_multiplier(100, row_rate=0.1, frozen=True) == pytest.approx(1.6757, abs=2e-3)
    assert budget.rounds(2.0, row_rate=0.1, frozen=True) == 161


def test_the_epsilon_of_a_mixed_schedule_is_that_of_the_pld_accountant_of_dp_accounting():
    plan = [event("a", "training", 5.0), event("b", "training", 1.5, rate=0.2), event("c", "held-out", 3.0)]
    accountant = dp_accounting.pld.PLDAccountant(value_discretization_interval=1e-3)
    accountant.compose(dp_accounting.GaussianDpEvent(5.0))
    accountant.compose(dp_accounting.PoissonSampledDpEvent(0.2, dp_accounting.GaussianDpEvent(1.5)), 30)
    found = schedule_epsilon(Counter({plan[0]: 1, plan[1]: 30, plan[2]: 4}), 1e-5)
    assert found == pytest.approx(accountant.get_epsilon(1e-5), abs=2e-3)
    assert found > gaussian_epsilon(2 / 3, 1e-5)


def test_training_and_held_out_rows_cost_the_larger_of_both():
    one, other = event("a", "training", 3.0), event("b", "held-out", 2.0)
    assert schedule_epsilon(Counter([one, other]), DELTA) == gaussian_epsilon(0.5, DELTA)
    assert schedule_epsilon(Counter([event("c", "all", 2.0), one]), DELTA) == gaussian_epsilon(
        math.hypot(1 / 2, 1 / 3), DELTA
    )


@pytest.mark.parametrize(
    ("budget", "rounds", "rate"),
    [
        (Budget(1.0, 1e-5), 501, 0.02),
        (Budget(0.3, 1e-5), 10, 0.5),
        (Budget(1.0, 1e-5), 1, 0.2),
        (Budget(8.0, 1e-3), 20, 0.2),
        (Budget(60.0, 1e-3), 10, 0.1),
    ],
    ids=str,
)
def test_a_frozen_plan_needs_less_noise_and_its_rounds_fit(budget, rounds, rate):
    usual, frozen = (budget.noise_multiplier(rounds, row_rate=rate, frozen=frozen) for frozen in (False, True))
    assert frozen <= usual
    reached = tight_epsilon({event("a", "training", frozen, rate=rate): rounds}, budget.delta)
    assert reached <= budget.epsilon
    assert frozen == usual or reached > 0.999 * budget.epsilon


def test_with_all_rows_nothing_is_gained_as_the_usual_count_is_exact():
    budget = Budget(3.0, 1e-5)
    assert budget.noise_multiplier(50, frozen=True) == budget.noise_multiplier(50)
    assert budget.rounds(8.0, frozen=True) == budget.rounds(8.0) == 33


# That it holds, however it is played


@cache
def bins(sigma, rate, turned):
    """A Gaussian release of sampled rows, sorted into bins: (with the row, without it) of each, or turned round."""
    edges = np.concatenate([[-np.inf], np.linspace(-1.5 * sigma, 1 + 1.5 * sigma, 4), [np.inf]])
    without = np.diff(ndtr(edges / sigma))
    pair = ((1 - rate) * without + rate * np.diff(ndtr((edges - 1) / sigma))).tolist(), without.tolist()
    return tuple(zip(*(reversed(pair) if turned else pair), strict=True))


def reached(left, epsilon, choose, seen=(), p=1.0, q=1.0, turned=False):
    """The delta that a player reaches who ``choose``s what to release next, or to stop, by what was ``seen``."""
    going_on = choose(seen, sorted(set(left)))
    if not left or going_on is None:
        return max(p - math.exp(epsilon) * q, 0.0)
    rest = list(left)
    rest.remove(going_on)
    told = enumerate(bins(*going_on, turned))
    return sum(reached(rest, epsilon, choose, (*seen, n), p * a, q * b, turned) for n, (a, b) in told)


@settings(max_examples=15, deadline=None)
@given(st.randoms(use_true_random=False), st.booleans(), st.sampled_from([0.05, 0.3, 1.0, 2.0]))
def test_no_order_and_no_stopping_reaches_more_than_the_schedule_costs(random, turned, epsilon):
    """Whatever comes next is chosen by what came before; all of it stays within the curve that was fixed beforehand."""
    left = [(0.8, 0.3), (0.8, 0.3), (1.5, 1.0), (0.7, 0.1)]
    habits = {}

    def choose(seen, possible):
        return habits.setdefault(seen, random.choice([*possible, *possible, None]) if possible else None)

    schedule = Counter(event("a", "training", sigma, rate=rate) for sigma, rate in left)
    most = reached(left, epsilon, choose, turned=turned)
    low, high = 1e-9, 1.0  # the least delta at which the schedule keeps within epsilon
    for _ in range(12):
        middle = math.sqrt(low * high)
        low, high = (low, middle) if schedule_epsilon(schedule, middle) <= epsilon else (middle, high)
    assert most <= high * (1 + 1e-6)


# How an account counts it


def test_a_plan_alone_costs_what_its_loss_distribution_says_and_with_anything_else_what_the_meter_says():
    plan = [UPDATE] * 30 + [event("statistics", "training", 9.0), event("score", "held-out", 5.0)]
    account, usual = reserved(plan), Account(meter_for(True, 3.0, DELTA))
    for one in plan:
        usual.add(one, SPLIT)
    assert account.is_one_plan
    assert not usual.is_one_plan
    assert account.spent(DELTA) == schedule_epsilon(Counter(plan), DELTA) < 0.95 * usual.spent(DELTA)
    beside = event("a question", "held-out", 1e5)
    for one in (account, usual):
        one.add(beside, SPLIT)
    assert not account.is_one_plan
    assert account.spent(DELTA) == usual.spent(DELTA)
    assert account.lanes() == usual.lanes()


def test_a_question_about_what_comes_next_counts_the_plan_by_the_meter_as_well():
    account, usual = reserved([UPDATE] * 30), Account(meter_for(True, 3.0, DELTA))
    usual.add(UPDATE, SPLIT, 30)
    more = [event("a question", "training", 50.0)]
    assert account.spent(DELTA, more) == pytest.approx(usual.spent(DELTA, more))
    assert account.is_one_plan


def test_what_fits_is_what_costs_no_more_than_was_agreed():
    tally = Tally(meter_for(True, 3.0, DELTA))
    tally.add(UPDATE, SPLIT, 30, run="run")
    costs = tally.spent(DELTA)
    assert tally.fits(Budget(costs * (1 + 1e-6), DELTA))
    assert not tally.fits(Budget(costs * (1 - 1e-6), DELTA))
    assert max(lane.epsilon(DELTA) for lane in tally.lanes()) > costs * 1.05, "by the meter it would not have fitted"


def test_rows_held_out_in_another_way_end_the_count_of_the_plan_alone():
    account = reserved([UPDATE] * 5 + [event("score", "held-out", 5.0)])
    account.add(event("a question", "training", 1e5), 0.4)
    assert len(account.lanes()) == 1
    assert not account.is_one_plan


def test_an_unprotected_release_ends_the_guarantee_and_not_the_count():
    account = reserved([UPDATE] * 5)
    account.add(event("exact", "training", 0.0, mechanism="none"), SPLIT)
    assert account.is_one_plan
    assert not account.guaranteed("row")


def test_copies_and_accounts_that_are_opened_late_know_of_the_plan():
    account = Account()
    account.add(UPDATE, SPLIT, run="run")
    account.begin(UPDATE, "this kernel")
    account.open(meter_for(True, 3.0, DELTA))
    assert account.is_one_plan
    for twin, left in ((account.copy(), 0), (account.renewed(), 1)):
        assert twin.is_one_plan
        assert twin.spent(DELTA) == account.spent(DELTA)
        assert twin.frozen.left(UPDATE, SPLIT) == left
    account.copy().add(event("a question", "training", 9.0), SPLIT)
    assert account.is_one_plan


# What is left of it


def test_each_release_of_a_plan_exists_once_whatever_it_is_for():
    update, score = event("update", "training", 2.0, rate=0.1), event("score", "held-out", 5.0)
    account = reserved([update, update, update, score])
    assert account.due([update, score, score, update], SPLIT) == [score]
    other = event("a gradient", "training", 2.0, rate=0.1)
    account.begin(other, "this kernel")
    assert account.frozen.rounds_left([update], SPLIT) == 2
    assert account.frozen.rounds_left([update, update], SPLIT) == 1
    assert account.frozen.rounds_left([update, score], SPLIT) == 1
    account.begin(update, "this kernel")
    account.begin(update, "this kernel")
    assert account.due([update], SPLIT) == [update]


@pytest.mark.parametrize(
    "other",
    [
        event("update", "held-out", 2.0, rate=0.1),
        event("update", "training", 2.5, rate=0.1),
        event("update", "training", 2.0, rate=0.2),
        event("update", "training", 2.0, rate=0.1, delta=1e-9),
        event("update", "training", 2.0, rate=0.1, mechanism="laplace"),
        event("update", "training", 2.0, rate=0.1, mechanism="none"),
    ],
    ids=str,
)
def test_what_has_other_rows_or_another_mechanism_is_no_release_of_the_plan(other):
    account = reserved([UPDATE] * 5)
    assert account.due([other], SPLIT) == [other]
    assert account.due([UPDATE], SPLIT) == []
    assert account.due([UPDATE], 0.5) == [UPDATE], "with other rows held out, training rows are others"


def test_whoever_comes_new_takes_a_plan_over_and_the_former_one_cannot_come_back():
    plan = FrozenPlan("run", SPLIT).with_reserved(UPDATE)
    assert not plan.is_taken_from("first")
    plan = plan.with_begun(UPDATE, "first")
    assert not plan.is_taken_from("first")
    assert not plan.is_taken_from("second")
    plan = plan.with_begun(UPDATE, "second")
    assert plan.is_taken_from("first")
    assert not plan.is_taken_from("second")


# The noise of a whole run


def whole_run(num_rounds, rate):
    return lambda plan: everything(plan, num_rounds, rate)


def fresh(budget, lists=0):
    return Account(meter_for(True, budget.epsilon, budget.delta), set_aside(budget.delta, lists))


@pytest.mark.parametrize("lists", [0, 2])
@pytest.mark.parametrize("budget", [Budget(2.0, 1e-5), Budget(8.0, 1e-3)], ids=str)
def test_a_whole_run_fits_its_budget_uses_it_up_and_has_less_noise_of_every_kind(budget, lists):
    accounts = [("Clinic A", fresh(budget, lists), budget)]
    plan = plan_frozen(accounts, 20, whole_run(20, 0.1), lists=lists, sample_rate=0.1)
    usual = plan_rows(accounts, 20, lists=lists, sample_rate=0.1)
    names = ["training", "ranges", "moments", "count", "metrics", "verdict", "own_verdicts"] + ["lists"] * bool(lists)
    assert all(getattr(plan, name) < getattr(usual, name) for name in names)
    account = reserved(everything(plan, 20, 0.1), accounts[0][1], budget)
    assert 0.999 * budget.epsilon < account.spent(budget.delta) <= budget.epsilon * (1 + 1e-9)
    for rows in ("training", "held-out"):
        lane = Counter(e for e in everything(plan, 20, 0.1) if e.rows == rows)
        assert tight_epsilon(lane, budget.delta) > 0.999 * budget.epsilon, f"{rows} rows have a budget of their own"
    assert account.lists_left == pytest.approx(0.0, abs=1e-15)


def test_the_tightest_of_several_budgets_decides_each_kind_of_noise():
    budgets = Budget(2.0, 1e-3), Budget(8.0, 1e-5), Budget(2.0, 1e-3)
    accounts = [(f"Clinic {n}", fresh(budget), budget) for n, budget in enumerate(budgets)]
    plan = plan_frozen(accounts, 10, whole_run(10, 0.2), sample_rate=0.2)
    assert plan == plan_frozen(accounts[:1], 10, whole_run(10, 0.2), sample_rate=0.2)
    for _, account, budget in accounts:
        reserved(everything(plan, 10, 0.2), account, budget)


def test_a_plan_is_not_frozen_after_other_releases():
    budget = Budget(4.0, DELTA)
    account = fresh(budget)
    spend(account, [event("a question", "training", 0.0, mechanism="none")])
    plan_frozen([("Clinic A", account, budget)], 5, whole_run(5, 0.2), sample_rate=0.2)
    spend(account, [event("a question", "training", 1e4)])
    with pytest.raises(BudgetExceededError, match="'Clinic A' before") as caught:
        plan_frozen([("Clinic A", account, budget)], 5, whole_run(5, 0.2), sample_rate=0.2)
    assert "Leave frozen=True out" in caught.value.do
    full = reserved([UPDATE], fresh(budget))
    with pytest.raises(BudgetExceededError, match="frozen plan of another run"):
        plan_frozen([("Clinic A", full, budget)], 5, whole_run(5, 0.2), sample_rate=0.2)


def test_noise_of_ones_own_is_kept_and_refused_where_the_whole_run_is_too_much():
    budget = Budget(4.0, DELTA)
    accounts = [("Clinic A", fresh(budget), budget)]
    plan = plan_frozen(accounts, 10, whole_run(10, 0.2), training=3.0, sample_rate=0.2)
    assert plan.training == 3.0
    reserved(everything(plan, 10, 0.2), accounts[0][1], budget)
    unspent = [("Clinic A", fresh(budget), budget)]
    with pytest.raises(BudgetExceededError, match=r"epsilon \d+\.\d+ of the agreed 4") as caught:
        plan_frozen(unspent, 10, whole_run(10, 0.2), training=0.8, sample_rate=0.2)
    assert "fewer rounds" in caught.value.do


def test_the_guard_refuses_a_plan_that_is_too_large_and_whatever_comes_beside_one():
    budget = Budget(3.0, DELTA)
    with pytest.raises(BudgetExceededError, match="the whole run takes 'Clinic A'"):
        reserved([UPDATE] * 400, fresh(budget), budget)
    most = budget.rounds(2.0, row_rate=0.1, frozen=True)
    account = reserved([UPDATE] * most, fresh(budget), budget)
    with pytest.raises(BudgetExceededError, match="is not, or not any more, in the frozen plan") as caught:
        spend(account, [event("a question", "training", 1e4)], budget)
    assert f"{most} releases" in caught.value.why
    assert account.spent(DELTA) <= 3.0


def test_beside_a_plan_that_left_room_others_fit_by_the_meter():
    budget = Budget(8.0, DELTA)
    account = reserved([UPDATE] * 20, fresh(budget), budget)
    spend(account, [event("a question", "training", 5.0)], budget)
    assert not account.is_one_plan
    assert account.spent(DELTA) <= 8.0


def test_no_gaussian_meter_stands_in_the_way_of_a_plan():
    """An account that was opened without sampling in mind gives no credit for it; a plan alone has it."""
    budget = Budget(3.0, DELTA)
    account = Account(GaussianMeter())
    plan = plan_frozen([("Clinic A", account, budget)], 10, whole_run(10, 0.1), sample_rate=0.1)
    same = plan_frozen([("Clinic A", fresh(budget), budget)], 10, whole_run(10, 0.1), sample_rate=0.1)
    assert plan.training == pytest.approx(same.training, rel=1e-3)
    reserved(everything(plan, 10, 0.1), account, budget)


def test_the_cards_say_that_the_plan_was_frozen_and_how_it_is_counted():
    account = reserved([UPDATE] * 5)
    account.begin(UPDATE, "this kernel")
    told = account._repr_html_()
    assert "frozen and paid before its first release" in told
    assert "5 releases, paid as a whole before the first one; 1 have begun" in told
    assert "update" in account.frozen._repr_html_()
    assert repr(account.frozen) == "FrozenPlan(5 releases, paid as a whole before the first one; 1 have begun)"
    account.add(event("a question", "training", 50.0), SPLIT)
    assert "Renyi divergence of order" in account._repr_html_()
