import numpy as np
import pandas as pd
import pytest

import fedlab_nb as fl
from fedlab_nb.horizontal.side import counting
from fedlab_nb.rounds import rounds
from tests.horizontal.test_prepare import by_clinic, pooled
from tests.rounds.common import cells, events_of, logistic, play, tumours

BUDGET = fl.Budget(epsilon=8, delta=1e-3)


def houses(owners=4, rows=60, classes=None):
    """A number or one of ``classes`` to predict."""
    rng = np.random.default_rng(3)
    made = []
    for i in range(owners):
        x = rng.normal(size=(rows, 3))
        price = 250.0 + 40.0 * x[:, 0] - 20.0 * x[:, 1] + rng.normal(0, 5, rows)
        frame = pd.DataFrame(x, columns=["size", "age", "noise"])
        if classes:
            price = np.array(classes, dtype=object)[np.digitize(price, [235, 265])]
        made.append(fl.DataOwner(f"Town {i}", frame.assign(price=price), target="price"))
    return made


@pytest.mark.parametrize("encrypt", [None, fl.CKKS()], ids=["plain", "encrypted"])
@pytest.mark.parametrize("make", [cells, by_clinic, lambda: houses(classes=["low", "mid", "high"])])
def test_exact_scores_are_those_of_all_held_out_rows_together(make, encrypt):
    owners, strategy = make(), logistic()
    history = play(fl.Federation(owners, encrypt=encrypt), strategy)
    exact = strategy.model_of(history[-1].state).evaluate(pooled(owners, "held_out"))
    assert history[-1].metrics["accuracy"] == exact["accuracy"]
    assert history[-1].metrics["loss"] == pytest.approx(exact["loss"], abs=1e-5)
    # The released curves have bins of log-odds.
    assert history[-1].metrics["auc"] == pytest.approx(exact["auc"], abs=2e-3)
    for owner in owners:
        own = strategy.model_of(history[-1].state).evaluate(pooled([owner], "held_out"))
        assert history[-1].owner_metrics[owner.name]["accuracy"] == own["accuracy"]


@pytest.mark.parametrize("make", [cells, lambda: houses(classes=["low", "mid", "high"]), houses])
def test_owners_scores_are_the_same_however_many_are_read_in_one_go(make, monkeypatch):
    together = play(fl.Federation(make()), logistic())
    monkeypatch.setattr(counting, "_AT_ONCE", 1)
    one_by_one = play(fl.Federation(make()), logistic())
    assert len(together[-1].owner_metrics) > 1
    assert [record.owner_metrics for record in one_by_one] == [record.owner_metrics for record in together]


def test_errors_of_numbers_are_in_the_targets_own_units():
    owners, strategy = houses(), logistic(lr=0.05)
    history = play(fl.Federation(owners), strategy, num_rounds=6)
    exact = strategy.model_of(history[-1].state).evaluate(pooled(owners, "held_out"))
    assert history[-1].metrics["rmse"] == pytest.approx(exact["rmse"], rel=1e-4)
    assert history[-1].metrics["r2"] == pytest.approx(exact["r2"], abs=1e-4)
    assert 4 < exact["rmse"] < 7


@pytest.mark.parametrize(
    ("make", "metric", "least"),
    [
        (cells, "accuracy", 0.8),
        (by_clinic, "accuracy", 0.6),
        (lambda: houses(6, 120, ["low", "mid", "high"]), "accuracy", 0.6),
        (lambda: houses(6, 120), "r2", 0.5),
    ],
    ids=["binary", "categories and gaps", "three classes", "regression"],
)
def test_every_task_learns_under_a_budget(make, metric, least):
    owners = make()
    strategy = logistic(lr=0.3) if metric == "r2" else logistic()
    federation = fl.Federation(owners, encrypt=fl.CKKS(), budget=fl.Budget(16, 1e-3), noise_seed=2)
    history = play(federation, strategy, num_rounds=8)
    assert history[-1].failed is None
    assert strategy.model_of(history[-1].state).evaluate(pooled(owners))[metric] > least
    main = "rmse" if metric == "r2" else "accuracy"
    for record in history:
        assert record.metrics[main] >= 0
        assert record.noise[main] > 0
    assert "loss" in history[-1].metrics
    assert set(history[-1].owner_metrics) <= set(federation.names)


def test_one_noisy_score_a_round_and_owners_own_scores_only_at_the_end():
    history = play(fl.Federation(cells(), budget=BUDGET, encrypt=fl.CKKS()), num_rounds=3)
    assert [set(r.metrics) for r in history[:2]] == [{"accuracy"}] * 2
    assert [dict(r.owner_metrics) for r in history[:2]] == [{}, {}]
    assert {"accuracy", "loss", "auc"} == set(history[-1].metrics)
    assert len(history[-1].owner_metrics) == 3


def test_the_stated_noise_of_a_score_is_its_real_spread():
    owners = cells(5)
    strategy = logistic()
    scores, stated = [], []
    for seed in range(40):
        federation = fl.Federation(owners, budget=BUDGET, encrypt=fl.CKKS(), noise_seed=seed)
        stream = rounds(federation, strategy, num_rounds=10)
        record = next(stream)
        exact = strategy.model_of(record.state).evaluate(pooled(owners, "held_out"))["accuracy"]
        scores.append(record.metrics["accuracy"] - exact)
        stated.append(record.noise["accuracy"])
    # The spread of 40 draws is within a factor 1.5 of the truth all but once in a thousand times.
    assert 1 / 1.5 < np.std(scores) / np.median(stated) < 1.5


def test_where_nothing_is_held_out_nothing_is_scored_told_or_charged():
    for settings in ({}, {"budget": BUDGET, "encrypt": fl.CKKS()}):
        federation = fl.Federation(cells(held_out=0.0, rows=300 + len(settings)), **settings)
        history = play(federation)
        assert history[-1].failed is None
        assert all(not r.metrics and not r.owner_metrics for r in history)
        kinds = {m.kind for m in federation.ledger.messages}
        assert not {"score count", "own score", "verdict"} & kinds
        purposes = {e.purpose for e in events_of(federation, "Owner 1")}
        assert not {"a round's score", "the verdict"} & purposes
        assert federation.epsilon() == (pytest.approx(8) if settings else None)


def tiny():
    """An owner of two rows, both of which its own rule happens to leave in training."""
    table = tumours().iloc[:, :6].assign(diagnosis=["malignant", "benign"] * 284 + ["benign"])
    for first in range(0, 40, 2):
        owner = fl.DataOwner("Tiny", table.iloc[first : first + 2], target="diagnosis", held_out=0.1)
        if owner._inside(lambda rows: len(rows.held_out[1]), stage="test") == 0:
            return owner
    raise AssertionError("none of twenty owners has all of its rows in training")


@pytest.mark.parametrize("settings", [{}, {"budget": BUDGET}], ids=["plain", "budget"])
def test_an_owner_without_held_out_rows_trains_along(settings):
    owners = [*cells(2), tiny(), *cells(4, held_out=0.0, rows=200)[3:]]
    history = play(fl.Federation(owners, **settings))
    assert history[-1].failed is None
    assert "accuracy" in history[-1].metrics
    if not settings:
        assert set(history[-1].owner_metrics) == {"Owner 1", "Owner 2"}
