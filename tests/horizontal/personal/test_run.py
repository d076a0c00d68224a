"""A whole run with models of the owners' own: both are scored, shown, and there to be used."""

import numpy as np
import pytest

import fedlab_nb as fl
from fedlab_nb.errors import SettingError
from fedlab_nb.horizontal.personal import Ditto, FedPer, PerFedAvg
from tests.horizontal.personal.paper import MODEL, owners
from tests.horizontal.test_prepare import pooled
from tests.rounds.common import assert_teaches, declared


@pytest.mark.parametrize(
    "strategy", [Ditto(MODEL, 0.2, lam=0.1), FedPer(MODEL, 0.2), PerFedAvg(MODEL, 0.2)], ids=["Ditto", "FedPer", "Per"]
)
def test_each_owners_model_scores_as_the_history_says(strategy):
    run = fl.train(fl.Federation(owners()), strategy, num_rounds=3)
    last = run.history[-1]
    for owner in owners():
        held_out = pooled([owner], "held_out")
        own, common = run.personal(owner.name).evaluate(held_out), run.model.evaluate(held_out)
        assert last.owner_metrics[owner.name]["personal_accuracy"] == own["accuracy"]
        assert last.owner_metrics[owner.name]["accuracy"] == common["accuracy"]
        assert last.owner_metrics[owner.name]["personal_loss"] == pytest.approx(own["loss"], abs=1e-5)
    assert not np.array_equal(run.personal("Owner 1").weights, run.personal("Owner 2").weights)
    table = run.frame()
    assert {"accuracy", "personal_accuracy"} <= set(table.columns)
    assert "own models&#x27; accuracy" in run.history._repr_html_()
    lines = {line.name: line.own_score for line in run.snapshot().lines}
    assert lines == {name: scores["personal_accuracy"] for name, scores in last.owner_metrics.items()}
    assert {"accuracy, global model", "accuracy, owners' own models"} <= {trace.name for trace in run.figure().data}
    assert "owners' own models" in repr(run)


def test_who_has_no_model_of_its_own_is_told_who_has_one():
    run = fl.train(fl.Federation(owners()), Ditto(MODEL), num_rounds=1)
    with pytest.raises(SettingError) as caught:
        run.personal("Owner 9")
    assert_teaches(caught, "'Owner 9'", "Owner 1, Owner 2, Owner 3", "run.model")
    run = fl.train(fl.Federation(owners()), fl.FedAvg(MODEL), num_rounds=1)
    with pytest.raises(SettingError) as caught:
        run.personal("Owner 1")
    assert_teaches(caught, "nobody has one", "Ditto")
    assert "own model" not in repr(run)


def test_under_a_mechanism_own_models_are_not_scored_and_the_score_stays_single():
    protect = fl.OwnerLevelDP(clip=0.5, noise_multiplier=0.5)
    run = fl.train(fl.Federation(declared(), protect=protect, noise_seed=1), Ditto(fl.models.logistic()), num_rounds=2)
    assert run.personal("Phone 0").weights.size == run.model.weights.size
    assert all(set(r.metrics) == {"accuracy"} and not r.owner_metrics for r in run.history)


def test_cards_and_texts_name_the_paper_and_the_settings():
    for strategy, words in (
        (Ditto(MODEL, lam=0.5), ("Ditto", "lam", "0.5")),
        (FedPer(MODEL, personal_layers=0), ("FedPer", "personal layers")),
        (PerFedAvg(MODEL, form="Hessian-free"), ("Per-FedAvg", "Hessian-free")),
    ):
        card = strategy._repr_html_().lower()
        assert all(word.lower() in card for word in words)
        assert "\n" not in repr(strategy)
        assert repr(strategy).startswith(type(strategy).__name__ + "(mlp(")
