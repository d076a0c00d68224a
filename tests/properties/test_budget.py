from contextlib import suppress
from itertools import islice

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fedlab_nb as fl
from fedlab_nb.errors import BudgetExceededError
from fedlab_nb.rounds import rounds
from tests.rounds.common import bits, declared, forget, ledgers_of, logistic, play

EPSILONS = st.floats(0.1, 30.0)
DELTAS = st.floats(1e-7, 0.02)
BOUNDS = {"a": (-4, 4)}


def small(kind):
    """Two to twelve small owners; "open" ones have to be asked for their ranges."""
    if kind == "declared":
        return declared(12, 8)
    rng = np.random.default_rng(1)
    lists = {"y": ["no", "yes"]}
    frames = [pd.DataFrame({"a": rng.normal(size=20), "b": rng.normal(size=20), "y": ["no", "yes"] * 10}) for _ in "AB"]
    return [fl.DataOwner(n, f, target="y", categories=lists) for n, f in zip("AB", frames, strict=True)]


def assert_within(federation, epsilon, history):
    assert federation.epsilon() <= epsilon * (1 + 1e-9)
    assert [r.epsilon for r in history] == sorted(r.epsilon for r in history)
    failures = [r for r in history if r.failed is not None]
    assert all(isinstance(r.failed.error, BudgetExceededError) for r in failures)


@settings(max_examples=20, deadline=None)
@given(epsilon=EPSILONS, delta=DELTAS, num_rounds=st.integers(1, 8), kind=st.sampled_from(["open", "declared"]))
def test_no_run_spends_more_than_was_agreed_and_none_starts_on_spent_rows(epsilon, delta, num_rounds, kind):
    forget()
    owners, budget = small(kind), fl.Budget(epsilon, delta)
    federation = fl.Federation(owners, budget=budget)
    history = play(federation, num_rounds=num_rounds)
    assert len(history.completed) == num_rounds
    assert_within(federation, epsilon, history)
    assert federation.epsilon() == pytest.approx(epsilon, rel=1e-3)
    before = [list(entries) for entries in ledgers_of(federation)]
    with pytest.raises(BudgetExceededError):
        rounds(fl.Federation(owners, budget=budget), logistic(), num_rounds=num_rounds, seed=1)
    again = play(fl.Federation(owners, budget=budget), num_rounds=num_rounds)
    assert bits(again) == bits(history), "the same run again is answered from the vault"
    assert ledgers_of(federation) == before


@settings(max_examples=12, deadline=None)
@given(
    epsilon=st.floats(0.5, 20.0),
    multiplier=st.floats(0.5, 30.0),
    rate=st.sampled_from([0.5, 1.0]),
    more=st.floats(1.0, 3.0),
    level=st.sampled_from([fl.RowLevelDP, fl.OwnerLevelDP]),
)
def test_stopping_going_on_and_beginning_anew_stay_within_the_budget(epsilon, multiplier, rate, more, level):
    forget()
    owners, protect = declared(12, 8), level(noise_multiplier=multiplier)

    def federation(epsilon):
        return fl.Federation(owners, protect=protect, budget=fl.Budget(epsilon, 0.01), sample_rate=rate)

    first = federation(epsilon)
    try:
        history = list(islice(rounds(first, logistic(), num_rounds=4), 2))
    except BudgetExceededError:
        history = []
    assert_within(first, epsilon, history)
    if history and history[-1].state.context is not None:
        with suppress(BudgetExceededError):  # where not even the next round fits, nothing begins
            history += play(first, num_rounds=7, after=history[-1])
        assert_within(first, epsilon, history)
    second = federation(epsilon * more)
    try:
        history = play(second, num_rounds=5)
    except BudgetExceededError:
        history = []
    assert_within(second, epsilon * more, history)
