"""What tests of whole runs share: small federations, ways to play them, and what an error must say."""

import traceback
from functools import cache

import numpy as np
import pandas as pd
import pytest

import fedlab_nb as fl
from fedlab_nb.privacy import Vault
from fedlab_nb.privacy.vault import home
from fedlab_nb.rounds import rounds

# Numbers and words that only ever stand in private cells.
SECRETS = ("918273", "Zanzibar", "564738")
EVERY_ROW = 10**6


@pytest.fixture(autouse=True)
def fresh_accounts(monkeypatch):
    """No test finds data that an earlier one has spent the budget of."""
    forget(monkeypatch.setattr)


def forget(put=setattr):
    """As if the kernel had just begun: no data has spent anything."""
    put(home, "_MEMORY", Vault())
    put(home, "_HOMES", {})


def events_of(federation, name):
    """What one owner has been charged for, oldest first."""
    data = federation.books.data[name]
    return [e.event for e in federation.books.vault.entries() if e.kind == "debit" and e.facts["data"] == data]


@cache
def tumours():
    return fl.data.breast_cancer()


def cells(owners=3, *, rows=None, held_out=0.2, columns=6):
    """Owners of the breast-cancer table, a few columns of it: small, real, and all statistics have to be asked for."""
    frame = tumours()
    frame = pd.concat([frame.iloc[:rows, :columns], frame["diagnosis"].astype(str)[:rows]], axis=1)
    parts = np.array_split(np.random.default_rng(0).permutation(len(frame)), owners)
    return [
        fl.DataOwner(f"Owner {i}", frame.iloc[part], target="diagnosis", held_out=held_out)
        for i, part in enumerate(parts, 1)
    ]


def declared(owners=12, rows=20, seed=0):
    """Owners whose columns are all declared, as owner-level privacy needs them."""
    rng = np.random.default_rng(seed)
    made = []
    for i in range(owners):
        x = rng.normal(size=(rows, 2))
        ill = np.where(x.sum(1) + rng.normal(0, 0.3, rows) > 0, "yes", "no")
        frame = pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "ill": ill})
        bounds, categories = {"a": (-4, 4), "b": (-4, 4)}, {"ill": ["no", "yes"]}
        made.append(fl.DataOwner(f"Phone {i}", frame, target="ill", bounds=bounds, categories=categories))
    return made


def logistic(**settings):
    return fl.FedAvg(fl.models.logistic(), **settings)


def play(federation, strategy=None, **settings):
    return fl.History(rounds(federation, strategy or logistic(), **{"num_rounds": 3, **settings}))


def bits(history):
    """Everything in a history that must repeat: not the seconds, not the ciphertexts."""
    return [(r.number, r.cohort, r.state.weights["server"].tobytes(), r.metrics, r.owner_metrics) for r in history]


def weights(history):
    return history[-1].state.weights["server"]


def ledgers_of(federation):
    return [events_of(federation, name) for name in federation.names]


def assert_teaches(caught, *names):
    """Three clauses, the names that help, and nothing out of a private cell, in the text or the traceback."""
    error = getattr(caught, "value", caught)
    assert all(len(clause) > 10 for clause in (error.what, error.why, error.do))
    assert all(str(name) in str(error) for name in names), str(error)
    shown = "".join(traceback.format_exception(error))
    assert not any(secret in shown for secret in SECRETS), shown
