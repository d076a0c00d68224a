"""What cannot work between owners of columns is refused in words that help, and releases nothing."""

import importlib

import numpy as np
import pandas as pd
import pytest

import fedlab_nb as fl
from fedlab_nb.crypto.products import multiplied
from fedlab_nb.errors import RoundError, RuleError, SchemaError, SettingError
from fedlab_nb.vertical import LinearRegression, LogisticRegression, PoissonRegression
from tests.checkpoint.common import arrays_of
from tests.rounds.common import assert_teaches
from tests.vertical.descent.pooled import federation, parts, played, table

RELEASED = {"padded gradient, opened", "partial score", "score"}


def bank(rows=slice(None), **changes):
    return table()[["customer", "income", "age", "sector", "default"]].assign(**changes).iloc[rows]


def shop(rows=slice(None), **changes):
    return table()[["customer", "visits", "spent", "region"]].assign(**changes).iloc[rows].iloc[::-1]


def owners(left=None, right=None, *, target="default", other=None):
    left, right = bank() if left is None else left, shop() if right is None else right
    return [
        fl.DataOwner("bank", left, target=target, id="customer"),
        fl.DataOwner("shop", right, target=other, id="customer"),
    ]


def first_round(made, strategy=None):
    """(the federation, the first round, which failed): what crossed holds together, and no result is among it."""
    fed = fl.Federation(made, encrypt=fl.CKKS("deep"))
    rounds = list(fl.rounds(fed, strategy or LogisticRegression("bank"), num_rounds=2))
    assert len(rounds) == 1
    assert rounds[0].failed is not None
    assert not rounds[0].state.weights
    assert not rounds[0].metrics
    assert fed.ledger.verify()
    assert not RELEASED & {m.kind for m in fed.ledger.messages}
    return fed, rounds[0].failed.error


TABLES = {
    "no overlap": (lambda: owners(bank(slice(80)), shop(slice(100, None))), RoundError, ["bank", "shop", "no id"]),
    "one common id": (lambda: owners(bank(slice(101)), shop(slice(100, None))), RoundError, ["one id", "zeros"]),
    "four common ids": (lambda: owners(bank(slice(104)), shop(slice(100, None))), RoundError, ["4 ids"]),
    "too few rows to train on": (lambda: owners(bank(slice(105)), shop(slice(100, None))), RoundError, ["4 rows"]),
    "fewer rows than inputs": (lambda: owners(bank(slice(109)), shop(slice(100, None))), RuleError, ["bank", "inputs"]),
    "a constant column": (lambda: owners(right=shop(spent=918273.0)), SchemaError, ["'spent'", "'shop'", "same"]),
    "a constant column of categories": (lambda: owners(right=shop(region="Zanzibar")), SchemaError, ["'region'"]),
    "constant only in the rows in common": (
        lambda: owners(bank(slice(120)), shop(spent=np.where(np.arange(200) < 120, 918273.0, 564738.0))),
        SchemaError,
        ["'spent'", "'shop'", "rows that all owners have"],
    ),
    "an all-missing column": (lambda: owners(right=shop(spent=np.nan)), SchemaError, ["'spent'", "'shop'", "missing"]),
    "all-missing categories": (lambda: owners(right=shop(region=None)), SchemaError, ["'region'", "missing"]),
    "an all-missing column at the labels": (lambda: owners(bank(income=np.nan)), SchemaError, ["'income'", "'bank'"]),
    "numbers without bounds": (
        lambda: owners(right=shop(spent=10.0 ** np.linspace(0, 300, 200))),
        SchemaError,
        ["'spent'", "logarithm"],
    ),
    "labels of one class": (lambda: owners(bank(default="Zanzibar")), SchemaError, ["'default'", "1 class"]),
    "labels of one class in the rows in common": (
        lambda: owners(bank(default=np.where(np.arange(200) < 90, "no", "yes")), shop(slice(90))),
        SchemaError,
        ["'default'", "1 class"],
    ),
}


@pytest.mark.parametrize("case", TABLES)
def test_tables_that_no_model_can_be_trained_on(case):
    make, error, names = TABLES[case]
    fed, found = first_round(make())
    assert type(found) is error
    assert_teaches(found, *names)
    if error is RoundError and "ids" in case:
        assert "ids in common" not in {m.kind for m in fed.ledger.messages}, "nobody learned which"


NUMBERED = owners(bank(), shop()[["customer", "visits", "spent"]].assign(customer=np.arange(200)))

RUNS = {
    "labels at nobody": (lambda: owners(target=None), LogisticRegression("bank"), SettingError, ["bank", "no owner"]),
    "labels at another owner": (owners, LogisticRegression("shop"), SettingError, ["'shop'", "'bank' has it"]),
    "labels at an unknown owner": (owners, LogisticRegression("bnk"), SettingError, ["'bnk'", "bank, shop"]),
    "labels at two": (lambda: owners(other="region"), LogisticRegression("bank"), SchemaError, ["'default'", "'shop'"]),
    "ids of different types": (lambda: NUMBERED, LogisticRegression("bank"), SchemaError, ["text", "whole numbers"]),
    "one column": (
        lambda: owners(right=shop()[["customer", "visits"]]),
        LogisticRegression("bank"),
        RuleError,
        ["'shop'", "1 column"],
    ),
    "three owners without a key holder": (
        lambda: parts(parties=3),
        LogisticRegression("bank", key_holder=False),
        RuleError,
        ["key_holder=False", "3 owners"],
    ),
    "three owners and sines": (lambda: parts(parties=3), LogisticRegression("bank", sigmoid="sines"), RuleError, ["3"]),
    "three owners and counts": (lambda: parts("count", parties=3), PoissonRegression("bank"), RuleError, ["3 owners"]),
    "a number in classes": (lambda: owners(target="income"), LogisticRegression("bank"), RuleError, ["a number"]),
    "declared classes as a number": (parts, LinearRegression("bank"), RuleError, ["'default'", "two classes"]),
    "no step": (owners, LogisticRegression("bank", lr=0), SettingError, ["lr=0"]),
    "a step too long": (owners, LogisticRegression("bank", lr=2.5), SettingError, ["lr=2.5"]),
    "a step that is no number": (owners, LinearRegression("bank", lr=float("nan")), SettingError, ["lr=nan"]),
    "a penalty below 0": (owners, LogisticRegression("bank", l1=-1), SettingError, ["l1=-1"]),
    "no rows in a batch": (owners, LogisticRegression("bank", batch_size=0), SettingError, ["batch_size=0"]),
    "half a row in a batch": (owners, LogisticRegression("bank", batch_size=2.5), SettingError, ["batch_size=2.5"]),
    "another sigmoid": (owners, LogisticRegression("bank", sigmoid="exact"), SettingError, ["'exact'", "sines"]),
    "half a key holder": (owners, LogisticRegression("bank", key_holder="no"), SettingError, ["key_holder='no'"]),
}


@pytest.mark.parametrize("case", RUNS)
def test_what_is_refused_before_anything_leaves(case):
    make, strategy, error, names = RUNS[case]
    federations = []

    def attempt(made):
        federations.append(fl.Federation(made, encrypt=fl.CKKS("deep")))
        fl.rounds(federations[0], strategy, num_rounds=2)

    made = make()
    with pytest.raises(error) as caught:
        attempt(made)
    assert all(len(fed.ledger) == 0 for fed in federations)
    assert_teaches(caught, *names)


@pytest.mark.parametrize(
    ("encrypt", "words"), [(None, "nothing is encrypted"), (fl.CKKS(), "no room"), (fl.SecAgg(), "no room")]
)
def test_encryption_without_products_is_refused(encrypt, words):
    fed = fl.Federation(owners(), encrypt=encrypt)
    with pytest.raises(RuleError, match=words) as caught:
        fl.rounds(fed, LogisticRegression("bank"), num_rounds=1)
    assert_teaches(caught, "LogisticRegression", 'CKKS("deep")')
    assert len(fed.ledger) == 0


MODELS = {
    "classes as a number": (owners, LinearRegression("bank"), RuleError, "two classes"),
    "classes as counts": (owners, PoissonRegression("bank"), SchemaError, "counts from 0 up"),
    "counts below 0": (
        lambda: owners(bank(income=np.arange(200) - 100.5), target="income"),
        PoissonRegression("bank"),
        SchemaError,
        "counts from 0 up",
    ),
    "all numbers the same": (
        lambda: owners(bank(income=918273.5), target="income"),
        LinearRegression("bank"),
        SchemaError,
        "the same",
    ),
    "a batch of fewer rows than inputs": (owners, LogisticRegression("bank", batch_size=3), RuleError, "over 3 rows"),
    "a batch of as many rows as inputs": (owners, LogisticRegression("bank", batch_size=6), RuleError, "6 inputs"),
    "as many scores as inputs": (
        lambda: parts("classes", shop=["visits", "spent"]),
        LogisticRegression("bank"),
        RuleError,
        "3 scores",
    ),
}


@pytest.mark.parametrize("case", MODELS)
def test_models_that_do_not_fit_the_data(case):
    make, strategy, error, words = MODELS[case]
    _, found = first_round(make(), strategy)
    assert type(found) is error
    assert_teaches(found, words)


def test_whole_numbers_are_counts_though_few_different_ones_are_taken_for_classes():
    calls = table()["calls"].astype(int)
    assert calls.nunique() < 20
    whole, floats = (
        played(
            fl.Federation(owners(bank(calls=values), target="calls"), encrypt=fl.CKKS("deep")),
            PoissonRegression("bank"),
            1,
        )
        for values in (calls, calls.astype(float))
    )
    assert arrays_of(whole[-1]) == arrays_of(floats[-1])


def test_rows_that_only_one_owner_has_and_missing_labels_do_not_stop_a_run():
    left = bank(slice(150), default=table()["default"].where(table()["age"] > 40))
    fed = fl.Federation(owners(left, shop(slice(30, None))), encrypt=fl.CKKS("deep"))
    assert played(fed, LogisticRegression("bank"), 1)[-1].metrics["auc"] >= 0.0


WHERE = {
    "while it seals": "fedlab_nb.channel.products.sealed_columns",
    "while it multiplies": "fedlab_nb.channel.products.multiplied",
    "when pads come off": "fedlab_nb.channel.products.unpadded",
    "while labels are read": "fedlab_nb.vertical.descent.gradients.labels_of",
}
AT_THE_END = ("when pads come off", "while labels are read")


class Stops:
    """Works ``after`` times, and fails from then on, with a private number in its words."""

    def __init__(self, place, after):
        self.place, self.after, self.calls = place, after, 0

    def __call__(self, *given, **named):
        self.calls += 1
        if self.calls > self.after:
            raise MemoryError("income 918273 in Zanzibar")
        return self.place(*given, **named)


@pytest.fixture(scope="module")
def undisturbed():
    return [arrays_of(r) for r in played(federation(), LogisticRegression("bank"), 2)[1:]]


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("after", [0, 1])
def test_a_party_that_stops_in_the_middle_of_a_round(where, after, undisturbed, monkeypatch):
    fed, strategy = federation(), LogisticRegression("bank")
    begun = played(fed, strategy, 1)
    crossed, key = len(fed.ledger), fed.fingerprint
    module, name = WHERE[where].rsplit(".", 1)
    with monkeypatch.context() as broken:
        broken.setattr(WHERE[where], Stops(getattr(importlib.import_module(module), name), after))
        stopped = list(fl.rounds(fed, strategy, num_rounds=3, after=begun[0]))
    assert len(stopped) == 1
    record = stopped[0]
    assert record.failed is not None
    assert record.failed.party in ("bank", "shop")
    assert_teaches(record.failed.error, record.failed.party, "MemoryError")
    assert arrays_of(record) == arrays_of(begun[0]), "no owner has moved"
    assert not record.metrics
    assert fed.ledger.verify()
    left = [m.kind for m in fed.ledger.messages[crossed:]]
    # All owners' openings cross before the first pad comes off: random numbers, which tell nobody anything.
    assert left.count("padded gradient, opened") in ((0, 2) if where in AT_THE_END else (0,))
    assert not {"partial score", "score"} & set(left)
    rest = list(fl.rounds(fed, strategy, num_rounds=2, after=record))
    assert [arrays_of(r) for r in rest] == undisturbed
    assert fed.fingerprint != key, "keys of a round that failed are not used again"
    assert fed.ledger.verify()


def test_a_party_that_stops_while_scores_are_added_up_leaves_the_model_of_the_last_round(monkeypatch):
    fed, strategy = federation(parties=3), LogisticRegression("bank")
    begun = played(fed, strategy, 1)
    with monkeypatch.context() as broken:
        broken.setattr("fedlab_nb.vertical.descent.masks._unmasked", Stops(None, 0))
        stopped = list(fl.rounds(fed, strategy, num_rounds=2, after=begun[0]))
    assert stopped[-1].failed is not None
    assert arrays_of(stopped[-1]) == arrays_of(begun[0])
    rest = list(fl.rounds(fed, strategy, num_rounds=2, after=stopped[-1]))
    assert [r.failed for r in rest] == [None]
    masked = [m.payload for m in fed.ledger.messages if m.kind == "partial score, masked" and m.sender == "shop"]
    assert len({p.data for p in masked}) == len(masked) == 3, "the same scores under a mask of their own each time"


def test_an_owner_that_sends_something_else_is_refused(monkeypatch):
    fed, strategy = federation(), LogisticRegression("bank")
    begun = played(fed, strategy, 1)
    with monkeypatch.context() as broken:
        broken.setattr("fedlab_nb.channel.products.multiplied", lambda *given: _halved(multiplied(*given)))
        stopped = list(fl.rounds(fed, strategy, num_rounds=2, after=begun[0]))
    assert stopped[-1].failed is not None
    assert_teaches(stopped[-1].failed.error)
    assert arrays_of(stopped[-1]) == arrays_of(begun[0])


def _halved(made):
    return made._replace(chunks=[chunk[: len(chunk) // 2] for chunk in made.chunks])


def test_a_frame_with_repeated_or_missing_ids_is_refused():
    for right in (pd.concat([shop(), shop(slice(3))]), shop(customer=table()["customer"].where(table().index > 3))):
        with pytest.raises(SchemaError) as caught:
            owners(right=right)
        assert_teaches(caught, "'customer'", "'shop'", "of 20")
