"""What is told of several runs: by hand, by laws, and the rounds to a target."""

import math
import statistics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fedlab_nb as fl
from fedlab_nb.comparing.comparison import Lane
from fedlab_nb.comparing.numbers import (
    Fairness,
    fairness,
    final,
    final_fairness,
    level,
    mean_of,
    median,
    rounds_to,
    together,
)
from fedlab_nb.records import Failure, State

VALUES = st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=8)


def history(values, metric="accuracy", owners=None, noise=0.0, failed=None):
    """Rounds with these scores; None where none was released."""
    made = [
        fl.Round(
            n,
            State({}),
            ("A", "B"),
            {} if v is None else {metric: v},
            {metric: noise} if noise else {},
            owners or {},
            seconds={"x": 0.5},
        )
        for n, v in enumerate(values, 1)
    ]
    return fl.History(made if failed is None else [*made, fl.Round(len(made) + 1, State({}), failed=failed)])


def test_the_interval_is_students_by_hand():
    found = mean_of([0.80, 0.85, 0.90, 0.83])
    # The table of t for 3 degrees of freedom says 3.182 at 0.975.
    half = 3.182446 * statistics.stdev([0.80, 0.85, 0.90, 0.83]) / 2
    assert found.value == pytest.approx(0.845)
    assert (found.low, found.high) == pytest.approx((0.845 - half, 0.845 + half), abs=1e-7)
    assert found.half == pytest.approx(half, abs=1e-7)
    assert found.count == 4


def test_it_holds_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(5)
    drawn = [mean_of(rng.normal(0.9, 0.05, 3)) for _ in range(2000)]
    held = sum(one.low <= 0.9 <= one.high for one in drawn) / len(drawn)
    assert held == pytest.approx(0.95, abs=0.02)


@given(VALUES, st.floats(-10, 10), st.floats(0.1, 10))
@settings(max_examples=40, deadline=None)
def test_the_interval_moves_and_stretches_with_the_values(values, shift, scale):
    one, other = mean_of(values), mean_of([scale * v + shift for v in values])
    assert other.value == pytest.approx(scale * one.value + shift, abs=1e-6)
    assert other.half == pytest.approx(scale * one.half, abs=1e-6)
    assert one.low <= one.value <= one.high


def test_one_value_says_nothing_about_luck_and_what_is_not_finite_is_left_out():
    assert (mean_of([0.5]).value, mean_of([0.5]).low, mean_of([0.5]).half) == (0.5, None, None)
    assert math.isnan(mean_of([]).value)
    assert mean_of([0.5, math.nan, math.inf]) == mean_of([0.5])


@pytest.mark.parametrize(
    ("metric", "values", "target", "first"),
    [
        ("accuracy", [0.5, 0.8, 0.95, 0.9], 0.95, 3),
        ("accuracy", [0.5, 0.8, 0.94], 0.95, math.inf),
        ("accuracy", [0.96, 0.5], 0.95, 1),
        ("accuracy", [None, 0.96], 0.95, 2),
        ("rmse", [9.0, 4.0, 5.0], 4.0, 2),
        ("rmse", [9.0, 8.0], 4.0, math.inf),
        ("personal_rmse", [9.0, 3.0], 4.0, 2),
    ],
)
def test_the_first_round_at_the_target(metric, values, target, first):
    assert rounds_to(history(values, metric), metric, target) == first


def test_a_lucky_release_with_noise_is_not_yet_the_target():
    quiet = history([0.80, 0.97, 0.80, 0.81])
    noisy = history([0.80, 0.97, 0.80, 0.81], noise=0.2)
    assert rounds_to(quiet, "accuracy", 0.95) == 2
    assert rounds_to(noisy, "accuracy", 0.95) == math.inf
    assert level(quiet, "accuracy") == {1: 0.80, 2: 0.97, 3: 0.80, 4: 0.81}
    assert final(noisy, "accuracy") == pytest.approx(0.845, abs=0.02)


def test_a_median_knows_runs_that_never_got_there():
    assert median([3.0, math.inf, 5.0]) == 5.0
    assert median([3.0, math.inf]) == math.inf
    assert math.isnan(median([]))


def test_fairness_by_hand_and_which_end_is_worse():
    by_owner = {"A": {"accuracy": 0.9, "rmse": 1.0}, "B": {"accuracy": 0.7, "rmse": 3.0}, "C": {"accuracy": 0.8}}
    assert fairness(by_owner, "accuracy") == pytest.approx(Fairness(0.7, 0.9, math.sqrt(0.02 / 3)))
    assert fairness(by_owner, "rmse") == pytest.approx(Fairness(3.0, 1.0, 1.0))
    assert fairness({"A": {"accuracy": 0.9}}, "accuracy") is None
    assert fairness({}, "accuracy") is None


def test_fairness_is_that_of_the_last_release_and_the_mean_over_runs():
    told = fl.History([*history([0.5], owners={"A": {"accuracy": 0.4}, "B": {"accuracy": 0.6}}), *history([0.9])])
    assert final_fairness(told, "accuracy") == pytest.approx(Fairness(0.4, 0.6, 0.1))
    assert together([Fairness(0.4, 0.6, 0.1), None, Fairness(0.6, 0.8, 0.3)]) == pytest.approx((0.5, 0.7, 0.2))
    assert together([None]) is None


def test_a_lane_counts_lost_rounds_and_averages_where_all_its_runs_are():
    failure = Failure("A", "update", ValueError("x"))
    lane = Lane("x", (history([0.5, 0.7, 0.9]), history([0.7], failed=failure)), (1.0, 2.0), planned=3)
    facts = lane.facts("accuracy", 0.9)
    assert facts.lost == 2
    assert (facts.reach, facts.reached) == (math.inf, 1)
    assert facts.score == mean_of([0.9, 0.7])
    assert facts.epsilon == 2.0
    assert facts.seconds == pytest.approx((1.5 + 0.5) / 2)
    assert list(lane.means("accuracy")) == [(1, mean_of([0.5, 0.7]))]
    assert list(lane.failures()) == ["x broke off in round 2: A, update: x"]
