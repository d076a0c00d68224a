"""What cannot be compared is refused before anything leaves, in words that help."""

import pytest

import fedlab_nb as fl
from fedlab_nb.comparing import compare
from fedlab_nb.errors import SettingError
from tests.rounds.common import assert_teaches, cells, logistic, play


@pytest.fixture
def federation():
    return fl.Federation(cells(3))


def wrong(federation):
    """What is passed, with what it is passed, and a word that has to come back."""
    history = fl.History()
    return [
        ((federation,), {}, "no strategies"),
        (({"a": federation},), {}, "It is a federation"),
        (({},), {}, "0 lines"),
        (({"a": history},), {}, "no rounds"),
        (({"a": 3},), {}, "int"),
        (([], logistic()), {}, "list"),
        ((fl.Federation, logistic()), {}, "class Federation"),
        ((federation, fl.FedAvg), {}, "class FedAvg"),
        ((federation, {}), {}, "0 lines"),
        ((federation, {"": logistic()}), {}, "''"),
        ((federation, {3: logistic()}), {}, "3"),
        ((federation, {str(i): logistic() for i in range(13)}), {}, "13 lines"),
        (({"a": federation}, {"b": logistic()}), {}, "Several federations and several strategies"),
        ((lambda: federation, logistic()), {}, "seed"),
        ((lambda seed: seed, logistic()), {}, "int"),
        ((federation, logistic()), {"seeds": 0}, "seeds=0"),
        ((federation, logistic()), {"seeds": [1, 1]}, "[1, 1]"),
        ((federation, logistic()), {"seeds": "ab"}, "'ab'"),
        ((federation, logistic()), {"seeds": [-1]}, "[-1]"),
        ((federation, logistic()), {"seeds": True}, "True"),
        ((federation, logistic()), {"num_rounds": 0}, "num_rounds"),
        ((federation, logistic()), {"target": "high"}, "'high'"),
        ((federation, logistic()), {"target": float("nan")}, "nan"),
    ]


@pytest.mark.parametrize("case", range(23))
def test_what_cannot_be_compared_is_refused(federation, case):
    given, settings, word = wrong(federation)[case]
    with pytest.raises(SettingError) as caught:
        compare(*given, **settings)
    assert_teaches(caught, word)
    assert len(federation.ledger) == 0
    with federation.in_use():
        pass


def test_every_case_is_tried(federation):
    assert len(wrong(federation)) == 23


def test_a_line_that_cannot_run_stops_all_before_the_first(federation):
    with pytest.raises(SettingError):
        compare(federation, {"good": logistic(), "bad": logistic(lr=-1.0)}, num_rounds=1, seeds=1)
    assert len(federation.ledger) == 0


def test_a_federation_that_is_training_is_left_alone(federation):
    with federation.in_use(), pytest.raises(SettingError) as caught:
        compare(federation, logistic(), num_rounds=1)
    assert_teaches(caught, "training already")


@pytest.mark.parametrize("extra", [{"alone": True}, {"seeds": 2}, {"num_rounds": 3}])
def test_runs_that_are_there_take_no_settings(federation, extra):
    with pytest.raises(SettingError) as caught:
        compare({"a": play(federation, num_rounds=1)}, **extra)
    assert_teaches(caught, next(iter(extra)))


def test_runs_must_share_the_score(federation):
    history = play(federation, num_rounds=1)
    with pytest.raises(SettingError) as caught:
        compare({"a": history}, metric="f1")
    assert_teaches(caught, "'f1'", "accuracy")


def test_a_score_that_no_run_has_loses_no_run(federation):
    found = compare(federation, logistic(), num_rounds=1, seeds=1, metric="f1")
    assert found.best is None
    assert "there are accuracy" in found.notes[-1]
    assert compare(found.runs, metric="auc").best == "FedAvg"
