"""What is foretold is what the guard then admits."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedlab_nb.privacy import (
    Account,
    Budget,
    by_purpose,
    epsilon,
    epsilon_after,
    gaussian_epsilon,
    plan_owners,
    plan_rows,
    rounds_left,
)
from fedlab_nb.privacy.forecast import who_stops_first
from fedlab_nb.privacy.meters import RenyiMeter, meter_for
from fedlab_nb.privacy.tight import renyi_epsilon
from fedlab_nb.records import PrivacyEvent
from tests.privacy.common import BUDGETS, SPLIT, a_round, event, spend, statistics, verdict


@settings(max_examples=60, deadline=None)
@given(
    budget=BUDGETS,
    num_rounds=st.integers(1, 60),
    played=st.integers(0, 60),
    kind=st.sampled_from([("row", 1.0), ("row", 0.1), ("owner", 1.0)]),
)
def test_the_forecast_counts_down_from_the_number_of_planned_rounds(budget, num_rounds, played, kind):
    unit, rate = kind
    account = Account(meter_for(rate < 1, budget.epsilon, budget.delta))
    bound = [("Clinic A", account, budget)]
    plan = plan_owners(bound, num_rounds) if unit == "owner" else plan_rows(bound, num_rounds, sample_rate=rate)
    played = min(played, num_rounds)
    spend(account, [*statistics(plan), *(a_round(plan, rate) * played)], budget)
    assert rounds_left(account.lanes(), budget, a_round(plan, rate), verdict(plan)) == num_rounds - played


EARLIER = st.lists(
    st.tuples(st.sampled_from(["training", "held-out", "all"]), st.floats(4, 40), st.sampled_from([SPLIT, 0.4])),
    max_size=3,
)


@settings(max_examples=60, deadline=None)
@given(
    budget=st.builds(Budget, st.floats(0.5, 6), st.sampled_from([1e-5, 1e-3])),
    sigma=st.floats(1.5, 5),
    rate=st.sampled_from([1.0, 0.5]),
    of_scores=st.floats(1.5, 5),
    history=EARLIER,
    last=st.one_of(st.just(0.0), st.floats(0.01, 0.4)),
    beside=st.sampled_from([None, "gaussian", "laplace"]),
)
def test_the_forecast_is_what_the_guard_admits(budget, sigma, rate, of_scores, history, last, beside):
    account, held_out = Account(meter_for(rate < 1, budget.epsilon, budget.delta)), SPLIT
    for rows, amount, held_out in history:
        spend(account, [event("earlier", rows, amount)], held_out=held_out)
    each = [event("update", "training", sigma, rate=rate), event("score", "held-out", of_scores)]
    if beside:
        each.append(event("count", "held-out", 20.0, mechanism=beside))
    final = [event("verdict", "held-out", 1 / last)] if last else []
    forecast = rounds_left(account.lanes(), budget, each, final)
    admitted = 0
    while account.spent(budget.delta, [*each, *final], held_out) <= budget.epsilon * (1 + 1e-9):
        spend(account, each, budget, held_out)
        admitted += 1
    assert forecast == admitted


def test_without_anything_that_adds_up_there_is_no_number_of_rounds():
    assert rounds_left(Account().lanes(), Budget(1.0), []) is None


def test_a_round_with_a_list_ends_when_delta_does():
    each = [event("update", "training", 1e6, delta=3e-6)]
    assert rounds_left(Account(None, 9.5e-6).lanes(), Budget(1.0, 1e-5), each) == 3
    assert rounds_left(Account().lanes(), Budget(1.0, 1e-5), each) == 0
    assert rounds_left(Account(None, 1e-5).lanes(), Budget(1.0, 1e-5), each) == 0


def test_a_round_without_noise_never_fits():
    assert rounds_left(Account().lanes(), Budget(1.0), [event("update", "training", 0.0)]) == 0


@pytest.mark.parametrize("meter", [None, RenyiMeter(7.5)])
def test_epsilon_after_more_rounds_is_what_the_account_then_shows(meter):
    account, each, final = Account(meter), [event("update", "training", 6.0, rate=0.2)], [event("score", "all", 9.0)]
    spend(account, each)
    foretold = epsilon_after(account.lanes(), 1e-5, each, 7, final)
    spend(account, [*each * 7, *final])
    assert foretold == pytest.approx(account.spent(1e-5), rel=1e-9)


def test_the_owner_whose_budget_ends_first_is_named_with_its_rounds():
    worn = Account()
    spend(worn, [event("update", "training", 3.0)])
    lanes = {"Clinic A": Account().lanes(), "Clinic B": worn.lanes(), "Clinic C": Account().lanes()}
    budgets = {"Clinic A": Budget(3.0), "Clinic B": Budget(3.0), "Clinic C": Budget(8.0)}
    each = {name: [event("update", "training", 8.0)] for name in lanes}
    assert who_stops_first(lanes, budgets, each) == ("Clinic B", Budget(3.0).rounds(8.0) - 7 - 1)
    assert who_stops_first(lanes, {"Clinic C": budgets["Clinic C"]}, each) == ("Clinic C", 177)
    last = {"Clinic C": [event("verdict", "held-out", 0.6007), event("score", "held-out", 99.0)]}
    each = {name: [event("score", "held-out", 8.0)] for name in lanes}
    assert who_stops_first(lanes, budgets, each, last) == ("Clinic C", 0)
    assert who_stops_first(lanes, {}, each) is None
    assert who_stops_first(lanes, budgets, dict.fromkeys(lanes, ())) is None


def test_what_was_released_is_listed_by_purpose_with_its_price_alone():
    account = Account()
    spend(account, [event("update", "training", 2.0), event("update", "training", 2.0)])
    spend(account, [event("verdict", "held-out", 2.5, mechanism="laplace")])
    spend(account, [PrivacyEvent(0, "exact scores", "held-out", "row", "none")])
    spend(account, [event("lists", "training", 5.0, delta=1e-5)])
    alone = gaussian_epsilon(math.sqrt(2) / 2, 1e-5)
    assert by_purpose(account, 1e-5) == (
        ("update, 2 times", f"{alone:.2f}"),
        ("verdict", f"{epsilon([event('verdict', 'held-out', 2.5, mechanism='laplace')], 1e-5):.2f}"),
        ("exact scores", "no limit"),
        ("lists", "no limit"),
    )


def test_the_price_alone_of_sampled_rows_is_that_of_the_order_that_suits_them():
    account, sampled = Account(RenyiMeter(7.5)), event("update", "training", 2.0, rate=0.1)
    spend(account, [sampled] * 50)
    alone = renyi_epsilon({sampled: 50}, 1e-5)
    assert by_purpose(account, 1e-5) == (("update, 50 times", f"{alone:.2f}"),)
    assert alone < account.spent(1e-5)
