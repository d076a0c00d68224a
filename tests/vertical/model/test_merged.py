"""Merged models: only if all consent, written down, equal to the joint prediction; and linear ones in scikit-learn."""

import pickle
import sys

import numpy as np
import pytest

from fedlab_nb.errors import RuleError, SchemaError, SettingError
from fedlab_nb.vertical.logistic import LogisticRegression
from fedlab_nb.vertical.model import VerticalModel, load_part
from fedlab_nb.vertical.shared import VerticalStrategy
from tests.cards.things import page_of
from tests.vertical.model.common import CASES, case, frames, model, new_people, refused

each_case = pytest.mark.parametrize("name", CASES)
linear = pytest.mark.parametrize("name", ["logistic", "logistic, three", "classes", "linear", "counts"])


def merged(name="logistic"):
    fed, *_ = case(name)
    return model(name).merge(fed, consent=fed.names)


@each_case
def test_a_merged_model_predicts_what_the_owners_predict_together(name):
    joint = model(name).predict(**frames(name))
    rows = new_people().set_index("customer").loc[joint.index]
    alone = merged(name)
    found = alone.predict(rows)
    if alone.classes:
        assert alone.predict_proba(rows) == pytest.approx(joint.iloc[:, 1:].to_numpy(), abs=1e-6)
        assert list(found) == list(joint["prediction"])
    else:
        assert found == pytest.approx(joint["prediction"].to_numpy(), abs=1e-5)
        assert alone.predict_proba(rows).shape == (len(rows), 0)


@each_case
def test_a_merged_model_is_scored_like_the_joint_one(name):
    target, rows = CASES[name][1], new_people()
    given = frames(name, labels=True)
    common = set.intersection(*(set(table["customer"]) for table in given.values()))
    rows = rows[rows["customer"].isin(common)]
    assert merged(name).evaluate(rows) == pytest.approx(model(name).evaluate(**given), rel=1e-5)
    refused(SchemaError, lambda: merged(name).evaluate(rows.drop(columns=target)), target)
    refused(SchemaError, lambda: merged(name).evaluate(rows.assign(**{target: np.nan})), "None of the")
    refused(SchemaError, lambda: merged(name).predict(rows.drop(columns="visits")), "'visits'")


@linear
def test_scikit_learn_predicts_the_same(name):
    rows, alone = new_people(), merged(name)
    pipeline = alone.sklearn()
    if alone.classes:
        assert list(pipeline.classes_) == list(alone.classes)
        assert pipeline.predict_proba(rows) == pytest.approx(alone.predict_proba(rows), abs=1e-12)
        assert list(pipeline.predict(rows)) == list(alone.predict(rows))
    else:
        assert pipeline.predict(rows) == pytest.approx(alone.predict(rows), rel=1e-12)
    again = pickle.loads(pickle.dumps(pipeline))
    assert np.array_equal(again.predict(rows), pipeline.predict(rows))


@pytest.mark.parametrize("name", ["trees", "network", "transfer"])
def test_what_is_not_linear_has_no_form_in_scikit_learn(name):
    refused(RuleError, merged(name).sklearn, "scikit-learn", "linear")


def test_without_scikit_learn_it_is_said_what_to_install(monkeypatch):
    alone = merged()
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.setattr("fedlab_nb.vertical.model.plain.find_spec", lambda _: None)
    refused(SettingError, alone.sklearn, "pip install scikit-learn")


@pytest.mark.parametrize(
    ("consent", "error", "words"),
    [
        ([], RuleError, ["'bank', 'shop', 'post' did not consent"]),
        (["bank"], RuleError, ["'shop', 'post' did not consent"]),
        ("bank", RuleError, ["'shop', 'post' did not consent"]),
        (["shop", "post"], RuleError, ["'bank' did not consent"]),
        (["bank", "shop", "post", "server"], SettingError, ["'server'", "bank, shop, post"]),
    ],
)
def test_nothing_is_merged_unless_all_owners_consent(consent, error, words):
    fed, *_ = case("logistic, three")
    before = len(fed.ledger)
    refused(error, lambda: model("logistic, three").merge(fed, consent=consent), *words)
    assert len(fed.ledger) == before


def test_the_federation_must_be_of_the_same_owners():
    fed, *_ = case("logistic, three")
    refused(SettingError, lambda: model().merge(fed, consent=["bank", "shop"]), "bank, shop, post")
    refused(SettingError, lambda: model().merge("federation", consent=["bank", "shop"]), "federation of str")


def test_the_ledger_has_who_consented_and_what_each_gave_away():
    fed, last, _ = case("logistic, three")
    before, spent = len(fed.ledger), {name: sum(fed.account(name).counts.values()) for name in fed.names}
    model("logistic, three").merge(fed, consent=["post", "bank", "shop"])
    crossed = fed.ledger.messages[before:]
    assert [(m.sender, m.receiver, m.kind) for m in crossed] == [
        ("bank", "shop", "consent to a merged model"),
        ("bank", "post", "consent to a merged model"),
        ("shop", "bank", "model part, given with consent"),
        ("shop", "bank", "reading of columns, given with consent"),
        ("post", "bank", "model part, given with consent"),
        ("post", "bank", "reading of columns, given with consent"),
    ]
    assert crossed[0].payload == "all consent: bank, shop, post"
    assert np.array_equal(crossed[2].payload, last.state.weights["shop"])
    assert "region" in crossed[3].payload
    assert fed.ledger.verify()
    paid = {name: sum(fed.account(name).counts.values()) - spent[name] for name in fed.names}
    assert paid == {"bank": 0, "shop": 1, "post": 1}


def test_a_model_from_files_can_be_merged(tmp_path):
    fed, *_ = case("logistic")
    paths = [part.save(tmp_path / owner) for owner, part in model().parts.items()]
    alone = VerticalModel.of(map(load_part, paths)).merge(fed, consent=fed.names)
    assert np.array_equal(alone.predict_proba(new_people()), merged().predict_proba(new_people()))


def test_a_merged_model_says_what_it_is_and_shows_no_value():
    alone = merged("classes")
    assert repr(alone) == "MergedModel(LogisticRegression of bank, shop, 13 inputs, predicts 'level')"
    page = page_of(alone)
    assert all(word in page for word in ("level", "high, low, middle", "with the consent of", "bank, shop"))
    assert "north" not in page
    assert alone.inputs[0] == "income"


def test_a_strategy_that_does_not_say_how_is_refused_before_anything_crosses():
    class Other(LogisticRegression):
        merged_scores = VerticalStrategy.merged_scores

    fed, last, _ = case("logistic")
    before = len(fed.ledger)
    other = Other("bank").model_of(last.state)
    refused(RuleError, lambda: other.merge(fed, consent=fed.names), "Other", "Predict together")
    assert len(fed.ledger) == before
