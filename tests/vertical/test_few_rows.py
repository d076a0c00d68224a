"""What would be about single people is not worked out; rows that do not fit a run or a model are refused."""

import numpy as np
import pandas as pd
import pytest

import fedlab_nb as fl
from fedlab_nb.errors import RoundError, RuleError, SchemaError
from fedlab_nb.parties.columns.ids import lots
from fedlab_nb.vertical import LogisticRegression, SecureBoost, SplitNN
from tests.rounds.common import assert_teaches
from tests.vertical.common import people

HELD_OUT = lots([each.encode() for each in people().customer]) < 0.2
STRATEGIES = [LogisticRegression("bank"), SecureBoost("bank", min_rows=5, depth=2), SplitNN("bank")]


def bank(**changes):
    return people()[["customer", "income", "age", "sector", "default"]].assign(**changes)


def shop(**changes):
    return people()[["customer", "visits", "spent", "region"]].assign(**changes).iloc[::-1]


def federation(left, right, **settings):
    held = {"held_out": 0.2, "id": "customer"}
    made = [fl.DataOwner("bank", left, target="default", **held, **settings), fl.DataOwner("shop", right, **held)]
    return fl.Federation(made, encrypt=fl.CKKS("deep"))


def rare(count):
    """The people, of whom ``count`` in the rows to train on are of a class that no other is of."""
    labels = people()["default"].to_numpy(dtype=object, copy=True)
    labels[np.flatnonzero(~HELD_OUT)[:count]] = "Zanzibar"
    return bank(default=labels)


@pytest.mark.parametrize("count", [1, 4])
def test_a_class_of_few_rows_is_refused_before_anybody_has_a_gradient(count):
    fed = federation(rare(count), shop())
    (record,) = fl.rounds(fed, LogisticRegression("bank"), num_rounds=2)
    assert isinstance(record.failed.error, RuleError)
    assert_teaches(record.failed.error, "fewer than 5 rows", "'bank'")
    assert "Zanzibar" not in str(record.failed.error)
    assert "padded gradient, opened" not in {m.kind for m in fed.ledger.messages}


def test_five_rows_of_a_class_are_enough_but_not_in_batches_where_there_are_fewer():
    assert next(fl.rounds(federation(rare(5), shop()), LogisticRegression("bank"))).failed is None
    error = next(fl.rounds(federation(rare(5), shop()), LogisticRegression("bank", batch_size=50))).failed.error
    assert isinstance(error, RuleError)
    assert_teaches(error, "batch_size")


def test_a_declared_class_that_no_row_has_is_no_reason_to_refuse():
    fed = federation(bank(), shop(), categories={"default": ["no", "perhaps", "yes"]})
    record = next(fl.rounds(fed, LogisticRegression("bank")))
    assert record.failed is None
    assert record.state.context.classes == ("no", "perhaps", "yes")


@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda each: type(each).__name__)
def test_a_class_that_only_held_out_rows_have_is_refused_at_the_start(strategy):
    fed = federation(bank(default=np.where(HELD_OUT, "Zanzibar", bank()["default"])), shop())
    (record,) = fl.rounds(fed, strategy, num_rounds=2)
    assert isinstance(record.failed.error, SchemaError)
    assert_teaches(record.failed.error, "'default'", "'bank'", "categories=")
    assert "Zanzibar" not in str(record.failed.error)
    assert not record.state.weights


@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda each: type(each).__name__)
def test_of_fewer_than_five_held_out_rows_nobody_is_told_a_score(strategy):
    kept = np.concatenate([np.flatnonzero(~HELD_OUT)[:100], np.flatnonzero(HELD_OUT)[:4]])
    fed = federation(bank().iloc[kept], shop())
    (record,) = fl.rounds(fed, strategy, num_rounds=1)
    assert record.failed is None
    assert not record.metrics
    assert not {"score", "partial score"} & {m.kind for m in fed.ledger.messages}
    kept = np.append(kept, np.flatnonzero(HELD_OUT)[4])
    assert next(fl.rounds(federation(bank().iloc[kept], shop()), strategy, num_rounds=1)).metrics


@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda each: type(each).__name__)
def test_a_run_goes_on_only_with_as_many_rows_as_it_began_with(strategy):
    (record,) = fl.rounds(federation(bank(), shop()), strategy, num_rounds=1)
    further = [pd.concat([each, each.assign(customer="D" + each["customer"])]) for each in (bank(), shop())]
    for left, right in (further, (bank().iloc[:150], shop())):
        fed = federation(left, right)
        (failed,) = fl.rounds(fed, strategy, num_rounds=2, after=record)
        assert isinstance(failed.failed.error, RoundError)
        assert_teaches(failed.failed.error, "rows in common", "after=")
        assert all(np.array_equal(failed.state.weights[name], record.state.weights[name]) for name in fed.names)
    (again,) = fl.rounds(federation(bank(), shop()), strategy, num_rounds=2, after=record)
    assert again.failed is None


@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda each: type(each).__name__)
def test_categories_written_as_numbers_are_not_taken_for_unknown_text(strategy):
    codes = people()["region"].map({"north": "1", "south": "2", "isle": "3"})
    (record,) = fl.rounds(federation(bank(), shop(region=codes)), strategy, num_rounds=1)
    model = strategy.model_of(record.state)
    with pytest.raises(SchemaError) as caught:
        model.predict(bank=bank(), shop=shop(region=codes.astype(int)))
    assert_teaches(caught.value, "'region'", "numbers", "text")
    for unknown in ("Zanzibar", None):
        assert len(model.predict(bank=bank(), shop=shop(region=unknown))) == 200


def test_the_part_of_an_owner_has_no_weights_of_evidence_of_others():
    fed = federation(bank(), shop())
    strategy = LogisticRegression("bank", woe=fl.PrivateFrame(fed).training.woe("default", event="yes"))
    (record,) = fl.rounds(fed, strategy, num_rounds=1)
    model = strategy.model_of(record.state)
    part = model.parts["shop"]
    assert part.strategy.woe is None
    assert {column.name for column in part.reading.columns} == {"visits", "spent", "region"}
    again = type(model).of(model.parts.values())
    assert again.predict(fed).equals(model.predict(fed))
