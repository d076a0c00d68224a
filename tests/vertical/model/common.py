"""What tests of models of several owners share: runs of one round or two, once for all tests of a file."""

from functools import cache

import numpy as np
import pytest

import fedlab_nb as fl
from fedlab_nb.rounds import rounds
from fedlab_nb.vertical.secureboost import SecureBoost
from fedlab_nb.vertical.splitnn import SplitNN
from fedlab_nb.vertical.transfer import Transfer
from tests.rounds.common import assert_teaches
from tests.vertical.common import BANK, POST, SHOP, federation, people, with_gaps

COLUMNS = {"bank": BANK, "shop": SHOP, "post": POST}


def with_targets(rows=200):
    """Invented people with gaps, and further targets: of three classes, a number, and a count."""
    frame = with_gaps(rows)
    rng = np.random.default_rng(3)
    truth = people(rows)
    frame["level"] = np.array(["low", "middle", "high"])[np.digitize(truth["visits"], [6, 9])]
    frame["spend"] = truth["spent"] + 0.2 * truth["income"] + rng.normal(size=rows)
    frame["calls"] = rng.poisson(np.exp(truth["visits"] / 8)).astype(float)
    return frame


CASES = {
    "logistic": (fl.vertical.LogisticRegression("bank"), "default", 2),
    "logistic, three": (fl.vertical.LogisticRegression("bank"), "default", 3),
    "classes": (fl.vertical.LogisticRegression("bank"), "level", 2),
    "linear": (fl.vertical.LinearRegression("bank"), "spend", 3),
    "counts": (fl.vertical.PoissonRegression("bank", lr=0.3), "calls", 2),
    "trees": (SecureBoost("bank", depth=2), "default", 3),
    "trees, patient": (SecureBoost("bank", depth=2, patience=1), "level", 2),
    "network": (SplitNN("bank", batch_size=None), "default", 3),
    "transfer": (Transfer("bank", width=2), "default", 2),
}


def held(target, parties):
    """The columns of each owner where the bank has this target."""
    bank = [*BANK[:-1], target]
    return {"bank": bank, **{name: COLUMNS[name] for name in list(COLUMNS)[1:parties]}}


@cache
def case(name):
    """The federation and the last record of two rounds; the strategy."""
    strategy, target, parties = CASES[name]
    parts = fl.split_columns(with_targets(), overlap=0.8, id="customer", target=target, seed=1, **held(target, parties))
    fed = federation(parts, encrypt=fl.CKKS("deep") if strategy.multiplies else None)
    *_, last = rounds(fed, strategy, num_rounds=2)
    assert last.failed is None, last.failed
    return fed, last, strategy


def model(name="logistic"):
    """The model after the two rounds."""
    _, last, strategy = case(name)
    return strategy.model_of(last.state)


def new_people():
    """People that no owner has seen, under ids of their own; only some of the 60 are at each owner."""
    frame = with_targets(300).tail(60).reset_index(drop=True)
    frame["customer"] = [f"N{number:03d}" for number in range(60)]
    return frame


def frames(name="logistic", *, labels=False):
    """What each owner has of the new people, in an order of its own; the first ten are not at the bank."""
    _, target, parties = CASES[name]
    frame, rng = new_people(), np.random.default_rng(4)
    tables = {}
    for place, (owner, columns) in enumerate(held(target, parties).items()):
        mine = [column for column in columns if labels or column != target]
        rows = rng.permutation(np.arange(10 if owner == "bank" else 0, 60 - 5 * place))
        tables[owner] = frame.iloc[rows][["customer", *mine]]
    return tables


def owners_of_new(name="logistic", *, labels=False):
    """The new people's tables as owners."""
    target = CASES[name][1]
    return [
        fl.DataOwner(owner, table, id="customer", target=target if labels and owner == "bank" else None)
        for owner, table in frames(name, labels=labels).items()
    ]


def refused(error, work, *words):
    """``work`` raises this error, whose three clauses hold ``words``."""
    with pytest.raises(error) as caught:
        work()
    assert_teaches(caught, *words)
