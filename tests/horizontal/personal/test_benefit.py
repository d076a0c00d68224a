"""What own models are good for: fixed runs in which they beat the common one, by a margin."""

import numpy as np
import pandas as pd
import pytest

import fedlab_nb as fl
from fedlab_nb.horizontal.personal import Ditto, FedBN, FedPer, FedRep, PerFedAvg, PFedMe
from tests.horizontal.personal.paper import MODEL
from tests.horizontal.personal.test_fedbn import with_norm
from tests.rounds.common import play


def contradicting(many=4, rows=90):
    """Half of the owners call ill what the others call well."""
    made = []
    for i in range(many):
        x = np.random.default_rng(i).normal(size=(rows, 4))
        ill = (x @ np.array([1.0, -1.0, 0.5, 0.0]) > 0) ^ bool(i % 2)
        frame = pd.DataFrame(x, columns=list("abcd")).assign(ill=np.where(ill, "yes", "no"))
        made.append(fl.DataOwner(f"Owner {i + 1}", frame, target="ill", held_out=0.3))
    return made


@pytest.mark.parametrize(
    "strategy",
    [
        FedPer(MODEL, 0.3, 3),
        FedRep(MODEL, 0.3, 1, head_epochs=4),
        Ditto(MODEL, 0.3, 3, lam=0.1),
        PerFedAvg(MODEL, 0.3, 4, inner_lr=1.0),
    ],
    ids=["FedPer", "FedRep", "Ditto", "Per-FedAvg"],
)
def test_own_models_beat_the_common_one_where_owners_contradict_each_other(strategy):
    """No common model can be right for both halves."""
    last = play(fl.Federation(contradicting()), strategy, num_rounds=8)[-1]
    assert last.metrics["accuracy"] < 0.6
    assert last.metrics["personal_accuracy"] > last.metrics["accuracy"] + 0.25
    assert last.spread["personal_accuracy"][0] > last.spread["accuracy"][0]


def two_digits(many=6):
    """Each owner has two of six digits, and shares each of them with one other owner."""
    frame = fl.data.digits()
    frame = frame[[*frame.columns[:64:2], "digit"]]
    of = [frame[frame["digit"] == kind] for kind in sorted(frame["digit"].unique())[:many]]
    kinds = {"digit": sorted(frame["digit"].unique())[:many]}
    parts = [pd.concat([of[i][:45], of[(i + 1) % many][45:90]]) for i in range(many)]
    return [
        fl.DataOwner(f"Owner {i}", part, target="digit", held_out=0.3, categories=kinds)
        for i, part in enumerate(parts, 1)
    ]


@pytest.mark.parametrize(
    "strategy",
    [
        Ditto(fl.models.mlp(16), 0.1, 2, lam=0.1),
        PFedMe(fl.models.mlp(16), 0.05, 2, lam=5.0, inner_lr=0.2),
        PerFedAvg(fl.models.mlp(16), 0.1, 4, inner_lr=0.3),
    ],
    ids=["Ditto", "pFedMe", "Per-FedAvg"],
)
def test_own_models_beat_the_common_one_where_owners_have_few_labels(strategy):
    last = play(fl.Federation(two_digits()), strategy, num_rounds=3)[-1]
    assert last.metrics["personal_accuracy"] > last.metrics["accuracy"] + 0.1
    assert last.metrics["personal_accuracy"] > 0.9
    assert last.metrics["accuracy"] > 0.6


def test_fedbn_serves_owners_whose_inputs_are_shifted():
    made = []
    for i in range(4):
        rng = np.random.default_rng(i)
        x = rng.normal(size=(200, 4))
        ill = np.where(x[:, 0] + x[:, 1] > 0, "yes", "no")
        frame = dict(zip("abcd", (x * (1 + 2 * i) + 6 * i).T, strict=True))
        made.append(fl.DataOwner(f"Scanner {i}", pd.DataFrame(frame).assign(ill=ill), target="ill", held_out=0.3))
    last = play(fl.Federation(made), FedBN(with_norm, 0.1), num_rounds=10)[-1]
    assert last.metrics["personal_accuracy"] > last.metrics["accuracy"] + 0.1
    assert last.metrics["personal_accuracy"] > 0.85
