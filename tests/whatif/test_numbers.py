"""What what_if() expects is what happens: a real federation is the oracle, and laws of the noise."""

import numpy as np
import pandas as pd
import pytest

import fedlab_nb as fl
from fedlab_nb.checkup.rehearsal import APART, divided, rehearsed
from fedlab_nb.checkup.whatif import Trial, WhatIfTable, what_if
from fedlab_nb.errors import RuleError, SchemaError, SettingError
from fedlab_nb.rounds import rounds
from tests.rounds.common import assert_teaches, cells, logistic, play, tumours

BUDGET = fl.Budget(epsilon=4, delta=1e-3)


def table(columns=5):
    """A small real table."""
    frame = tumours()
    return pd.concat([frame.iloc[:, :columns], frame["diagnosis"].astype(str)], axis=1)


def numbers(rows=200):
    """Numbers to predict: the sum of two columns, in tens."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(rows, 2))
    return pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "y": 10.0 * x.sum(1)})


@pytest.fixture(scope="module")
def found():
    return what_if(table(), epsilons=(4, 1), num_rounds=[4, 2], owners=3)


@pytest.mark.parametrize("encrypt", [fl.CKKS(), fl.BFV(), fl.SecAgg(), fl.CKKS(keys="threshold"), None])
def test_a_rehearsal_equals_the_really_encrypted_federation(encrypt):
    part = divided(table(), 3)[0]
    settings = {"encrypt": encrypt, "budget": BUDGET, "noise_seed": part.seed}
    history = play(fl.Federation(part.owners, **settings), seed=part.seed)
    exact = logistic().model_of(history[-1].state).evaluate(part.apart)["accuracy"]
    score, noise = rehearsed(fl.Federation(part.owners, **settings), logistic(), 3, part)
    assert history[-1].failed is None
    assert score == exact
    assert noise == history[-1].settings["noise_multiplier"]


def test_left_out_the_noise_is_that_of_shares_under_encryption_and_none_means_all_of_it_from_each():
    settings = {"epsilons": [0.5], "num_rounds": [2], "owners": 3, "repeats": 1}
    part = divided(table(), 3)[0]
    for found, encrypt in (
        (what_if(table(), **settings), fl.CKKS()),
        (what_if(table(), encrypt=None, **settings), None),
    ):
        assert found.encrypt == encrypt
        federation = fl.Federation(part.owners, encrypt=encrypt, budget=fl.Budget(0.5, 1e-3), noise_seed=part.seed)
        assert found.trials[0].scores == (rehearsed(federation, logistic(), 2, part)[0],)


def test_the_noise_is_that_of_the_federation_that_is_asked_for(found):
    for seed, trial in enumerate(found.trials):
        owners = fl.split_rows(table(), 3, target="diagnosis", seed=seed)  # rows of which nothing was spent
        federation = fl.Federation(owners, encrypt=fl.CKKS(), budget=fl.Budget(trial.epsilon, found.delta))
        first = next(rounds(federation, logistic(), num_rounds=trial.num_rounds))
        assert trial.noise_multiplier == pytest.approx(first.settings["noise_multiplier"], rel=1e-9)
        assert federation.epsilon() < trial.epsilon, "the real one spends, and within its budget"


def test_twice_the_rounds_need_the_root_of_two_more_noise_and_more_epsilon_needs_less(found):
    noise = {(trial.epsilon, trial.num_rounds): trial.noise_multiplier for trial in found.trials}
    for epsilon in (1, 4):
        assert noise[epsilon, 4] == pytest.approx(np.sqrt(2) * noise[epsilon, 2], rel=1e-9)
    assert noise[4, 2] < noise[1, 2]


def test_every_pair_is_there_once_in_order_and_one_line_without_privacy(found):
    assert [(t.epsilon, t.num_rounds) for t in found.trials] == [(1, 2), (1, 4), (4, 2), (4, 4)]
    assert (found.without.epsilon, found.without.num_rounds, found.without.noise_multiplier) == (None, 4, None)
    assert {len(t.scores) for t in (*found.trials, found.without)} == {2}
    assert all(0 <= score <= 1 for t in found.trials for score in t.scores)
    again = what_if(table(), epsilons=[1], num_rounds=[4], owners=3)
    assert again.trials[0] == found.trials[1], "equal seeds, equal rehearsals"
    assert what_if(table(), epsilons=[1], num_rounds=[4], owners=3, seed=1).trials[0].scores != again.trials[0].scores


def test_the_score_without_privacy_is_that_of_plain_training():
    part = divided(table(), 3)[0]
    history = play(fl.Federation(part.owners), seed=part.seed, num_rounds=4)
    exact = logistic().model_of(history[-1].state).evaluate(part.apart)["accuracy"]
    assert what_if(table(), epsilons=[1], num_rounds=[1, 4], owners=3, repeats=1).without.scores == (exact,)


def test_rows_are_held_apart_before_the_split_and_all_others_train():
    frame = table()
    part, other = divided(frame, 4, skew=0.5, seed=3, repeats=2)
    assert len(part.apart) == round(APART * len(frame))
    left = frame.drop(index=part.apart.index)
    inside = [owner._inside(lambda rows: len(rows.training[0]), stage="test") for owner in part.owners]
    assert sum(inside) == len(left)
    assert all(owner.held_out == 0.0 for owner in part.owners)
    assert not part.apart.equals(other.apart)


def test_nothing_is_spent_from_the_owners_of_the_same_table():
    owners = fl.split_rows(table(), 3, target="diagnosis")
    federation = fl.Federation(owners, budget=BUDGET)
    what_if(table(), epsilons=[1], num_rounds=[2], owners=3, repeats=1)
    assert [federation.account(name).releases for name in federation.names] == [0, 0, 0]
    assert federation.epsilon() == 0.0


def test_a_number_is_scored_by_its_rmse_in_its_own_units_and_less_is_better():
    found = what_if(numbers(), epsilons=[0.5, 1000], num_rounds=[3], owners=2, repeats=1)
    assert found.metric == "rmse"
    assert found.best.epsilon == 1000
    assert found.best.expected < found.trials[0].expected
    assert found.without.expected < np.std(numbers()["y"]), "tens, not standard deviations"
    assert list(found.frame().columns[3:]) == ["rmse", "lowest", "highest"]


def test_whole_owners_can_be_protected_where_columns_are_declared():
    bounds = {"a": (-4.0, 4.0), "b": (-4.0, 4.0)}
    frame = numbers(400).assign(y=lambda f: np.where(f["y"] > 0, "yes", "no"))
    settings = {"owners": 30, "epsilons": [8], "num_rounds": [2], "repeats": 1}
    found = what_if(frame, bounds=bounds, protect=fl.OwnerLevelDP(), **settings)
    assert found.unit == "owner"
    assert found.trials[0].noise_multiplier > 0
    with pytest.raises(RuleError):
        what_if(frame, protect=fl.OwnerLevelDP(), **settings)


def test_the_best_of_equals_is_the_most_private_and_shortest():
    trials = tuple(Trial(e, n, 1.0, (score,)) for e, n, score in ((1, 2, 0.7), (2, 2, 0.9), (2, 4, 0.9), (4, 2, 0.9)))
    found = WhatIfTable(trials, Trial(None, 4, None, (0.95,)), "accuracy", 3, 1e-3, "row", None)
    assert (found.best.epsilon, found.best.num_rounds) == (2, 2)


def test_private_rows_are_never_used():
    owners = cells()
    for given in (owners, owners[0], fl.Federation(owners)):
        with pytest.raises(SettingError) as caught:
            what_if(given)
        assert_teaches(caught, "itself cost budget", "look-alike")


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"epsilons": []}, "epsilons=[]"),
        ({"epsilons": 2.0}, "epsilons=2.0"),
        ({"epsilons": [0.0, 1.0]}, "above 0"),
        ({"epsilons": [float("inf")]}, "epsilons"),
        ({"num_rounds": [2.5]}, "whole numbers"),
        ({"num_rounds": [True]}, "num_rounds"),
        ({"repeats": 0}, "repeats=0"),
        ({"delta": 1.0}, "delta is 1.0"),
        ({"owners": 300}, "300"),
        ({"owners": 250}, "held apart"),
        ({"seed": -1}, "seed=-1"),
        ({"protect": fl.RowLevelDP(noise_multiplier=2.0)}, "noise_multiplier=2.0"),
        ({"strategy": "FedAvg"}, "strategy"),
    ],
)
def test_settings_that_cannot_work_are_refused(wrong, says):
    with pytest.raises(SettingError) as caught:
        what_if(table(), **wrong)
    assert_teaches(caught, says)


def test_a_table_without_the_target_is_refused():
    with pytest.raises(SchemaError) as caught:
        what_if(table(), target="outcome")
    assert_teaches(caught, "outcome")


def test_a_run_that_fails_says_so():
    with pytest.raises(fl.errors.FedLabError) as caught:
        what_if(table(), strategy=logistic(lr=1e45), epsilons=[1], num_rounds=[2], repeats=1)
    assert_teaches(caught, "learning rate")
