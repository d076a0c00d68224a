"""Owners alone and pooled rows: the oracle is FedAvg itself, over one owner and over a single step."""

import numpy as np
import pandas as pd
import pytest

import fedlab_nb as fl
from fedlab_nb.comparing import compare
from fedlab_nb.comparing.references import Training, _ready, alone, pooled, table_as_owners, training_like
from fedlab_nb.errors import RuleError, SchemaError, SettingError
from tests.rounds.common import assert_teaches, cells, logistic, play, tumours


def table(rows=None):
    frame = tumours()
    return pd.concat([frame.iloc[:rows, :5], frame["diagnosis"].astype(str)[:rows]], axis=1)


def federation(**settings):
    return fl.Federation(fl.split_rows(table(), 3, target="diagnosis", skew=0.8), **settings)


def plain(num_rounds=3, epochs=2):
    return Training(fl.models.logistic(), 0.1, epochs, 16, num_rounds)


def test_an_owner_alone_is_federated_averaging_over_this_owner():
    strategy, made = logistic(), federation()
    state = strategy.start(made, num_rounds=3, seed=2)
    for number in (1, 2, 3):
        state = strategy.step(state, made, number, ["Owner 2"], last=number == 3)
    score = strategy.evaluate(state, made, 3, last=True).metrics["accuracy"]
    one = federation()
    found = alone(one, plain(), "accuracy", seed=2)
    told = one.ledger.newest("model trained alone", "Owner 2", "server", encrypted=False)
    assert np.allclose(told.payload, state.weights["server"], atol=1e-5)
    assert found.by_owner["Owner 2"]["accuracy"] == pytest.approx(score, abs=0.01)
    assert set(found.by_owner) == set(one.names)
    assert found.score == pytest.approx(np.mean([own["accuracy"] for own in found.by_owner.values()]))


def test_one_pass_over_pooled_rows_in_one_batch_is_one_round_of_gradient_descent():
    owners = federation()
    history = play(owners, fl.FedSGD(fl.models.logistic(), lr=0.5), num_rounds=3)
    halves = table_as_owners(table(), owners)
    training = Training(fl.models.logistic(), 0.5, 1, 10**6, 3)
    found = pooled(halves, training, "accuracy", seed=0)
    assert found.score == pytest.approx(history[-1].metrics["accuracy"], abs=1e-9)
    setup = _ready(fl.Federation(halves), training, 0)[0]
    assert setup.rows == history[-1].state.context.rows, "the same rows are held out"


def test_all_three_are_in_one_table_and_federated_lies_between_on_unequal_owners():
    found = compare(federation(), logistic(), num_rounds=4, seeds=2, alone=True, pooled=table(), target=0.9)
    frame = found.frame()
    assert list(frame.index) == ["FedAvg", "each owner alone", "pooled rows"]
    scores = frame["accuracy"]
    assert scores["each owner alone"] < scores["FedAvg"] <= scores["pooled rows"] + 0.03
    assert frame.iloc[1:][["bytes_sent", "epsilon", "rounds_to_target"]].isna().all(axis=None)
    assert frame.loc["each owner alone", "worst_owner"] <= scores["each owner alone"]
    assert found.best == "FedAvg", "references do not take part in the ranking"
    assert [level.name for level in found.chart.levels] == ["each owner alone", "pooled rows"]
    assert "8 passes over the rows" in found._repr_html_()


def test_training_takes_over_the_settings_of_the_strategy():
    made = training_like(logistic(lr=0.3, local_epochs=4, batch_size=8, momentum=0.5), federation(), 5)
    assert (made.lr, made.epochs, made.batch_size, made.momentum, made.passes) == (0.3, 4, 8, 0.5, 20)
    assert training_like(fl.FedSGD(fl.models.logistic()), federation(), 5).passes == 5


def test_numbers_are_predicted_too():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 2))
    frame = pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "y": 10 * x.sum(1)})
    made = fl.Federation(fl.split_rows(frame, 3, target="y"))
    found = compare(made, fl.FedAvg(fl.models.logistic()), num_rounds=5, seeds=1, alone=True, pooled=frame)
    assert found.metric == "rmse"
    assert (found.frame()["rmse"] < 5).all()


@pytest.mark.parametrize("protection", [{"encrypt": fl.CKKS()}, {"budget": fl.Budget(8, 1e-3), "noise_seed": 1}])
def test_owners_alone_are_refused_where_their_models_are_hidden(protection):
    with pytest.raises(RuleError) as caught:
        compare(federation(**protection), logistic(), num_rounds=2, alone=True)
    assert_teaches(caught, "alone=True", "fl.Federation(owners)")


@pytest.mark.parametrize("given", [True, "owners", "federation"])
def test_rows_of_owners_are_never_pooled(given):
    made = federation()
    wrong = {True: True, "owners": list(made.owners), "federation": made}[given]
    with pytest.raises(RuleError) as caught:
        compare(made, logistic(), num_rounds=2, pooled=wrong)
    assert_teaches(caught, "pooled=", "private")


def test_a_table_that_does_not_fit_is_refused():
    with pytest.raises(SchemaError) as caught:
        compare(federation(), logistic(), num_rounds=2, pooled=table().drop(columns="mean_radius"))
    assert_teaches(caught, "mean_radius")
    unequal = fl.Federation([*cells(2), *(cells(3, held_out=0.5)[2:])])
    with pytest.raises(SettingError) as caught:
        compare(unequal, logistic(), num_rounds=2, pooled=table())
    assert_teaches(caught, "held_out")


def test_a_strategy_without_a_model_has_nothing_to_train_alone():
    class Own:
        check = start = step = settings = lambda *_, **__: {}

    with pytest.raises(SettingError) as caught:
        compare(federation(), Own(), num_rounds=2, alone=True)
    assert_teaches(caught, "model")


def test_pooled_is_allowed_under_protection_because_the_table_is_the_labs():
    made = federation(encrypt=fl.CKKS())
    found = compare(made, logistic(), num_rounds=1, seeds=1, pooled=table())
    assert list(found.frame().index) == ["FedAvg", "pooled rows"]
