"""Joint predictions: what pooled rows would give, for the ids in common, over the channel, and at the labels only."""

import numpy as np
import pandas as pd
import pytest

import fedlab_nb as fl
from fedlab_nb.errors import RoundError, RuleError, SchemaError, SettingError
from fedlab_nb.learn.metrics import exact_area
from fedlab_nb.rounds import rounds
from tests.vertical.common import federation, owners, pooled, tables
from tests.vertical.model.common import CASES, case, frames, model, new_people, owners_of_new, refused
from tests.vertical.test_scan import private

each_case = pytest.mark.parametrize("name", CASES)


def oracle(name, frame):
    """Scores by the merged parts: all columns of a row in one place."""
    found = model(name)
    return found.strategy.merged_scores(
        found.state, {owner: found.setup.readings[owner].read(frame) for owner in found.owners}
    )


def at_all(name):
    """The new people that all owners have, as the bank has them in order."""
    given = frames(name)
    ids = [i for i in given["bank"]["customer"] if all(i in set(table["customer"]) for table in given.values())]
    return new_people().set_index("customer").loc[ids]


@each_case
def test_new_rows_are_predicted_as_if_all_columns_were_in_one_place(name):
    joint, rows = model(name).predict(owners_of_new(name)), at_all(name)
    assert sorted(joint.index) == sorted(rows.index)
    scores, setup = oracle(name, rows.loc[joint.index]), model(name).setup
    if not setup.classes:
        expected = scores[:, 0] * setup.target.scale + setup.target.centre
        assert joint["prediction"].to_numpy() == pytest.approx(expected, abs=1e-5)
        return
    chances = joint[[f"probability of {each}" for each in setup.classes]].to_numpy()
    powers = np.exp(scores if len(setup.classes) > 2 else np.hstack([0 * scores, scores]))
    assert chances == pytest.approx(powers / powers.sum(1, keepdims=True), abs=1e-6)
    assert list(joint["prediction"]) == [setup.classes[place] for place in powers.argmax(1)]


def test_all_rows_in_common_are_predicted_those_held_out_too():
    fed, *_ = case("logistic")
    assert sorted(model().predict(fed).index) == sorted(pooled(fed.owners)["customer"])


def test_frames_by_owner_give_the_same_in_the_order_of_the_labels_owner():
    joint, again = model().predict(owners_of_new()), model().predict(**frames())
    assert list(again.index) == list(at_all("logistic").index)
    pd.testing.assert_frame_equal(joint.loc[again.index], again)
    assert again.index.name == "customer"


def test_the_order_is_that_of_the_owner_of_the_labels():
    fed, *_ = case("logistic")
    mine = list(tables(fed.owners)["bank"]["customer"])
    found = list(model().predict(fed).index)
    assert found == [each for each in mine if each in set(found)]
    assert found != sorted(found)


def test_probabilities_are_those_of_predict():
    chances = model("classes").predict_proba(owners_of_new("classes"))
    assert list(chances.columns) == ["high", "low", "middle"]
    joint = model("classes").predict(owners_of_new("classes"))
    assert np.array_equal(chances.to_numpy(), joint.iloc[:, 1:].to_numpy())
    assert list(joint["prediction"]) == list(chances.idxmax(axis=1))
    assert model("linear").predict_proba(owners_of_new("linear")).shape == (len(at_all("linear")), 0)


@pytest.mark.parametrize("name", ["logistic", "classes", "linear", "counts"])
def test_scores_of_new_rows_are_exact(name):
    found = model(name).evaluate(owners_of_new(name, labels=True))
    rows, target = at_all(name), CASES[name][1]
    assert found == pytest.approx(model(name).evaluate(**frames(name, labels=True)), rel=1e-12)
    if name == "logistic":
        scores = oracle(name, rows)
        assert found["auc"] == exact_area(scores[:, 0], rows[target].to_numpy() == "yes")
        assert found["accuracy"] == np.mean((scores[:, 0] > 0) == (rows[target] == "yes"))
    elif name == "classes":
        assert found["accuracy"] == np.mean(model(name).predict(**frames(name)).loc[rows.index, "prediction"]
                                            == rows[target])  # fmt: skip
    else:
        error = model(name).predict(**frames(name)).loc[rows.index, "prediction"] - rows[target]
        assert found["rmse"] == pytest.approx(np.sqrt(np.mean(error**2)))


def test_scores_of_the_run_are_those_of_its_held_out_rows():
    fed, last, _ = case("logistic")
    held_out = [  # the same rows once more, of which nothing is held out any more
        fl.DataOwner(o.name, part, id="customer", target=o.target or None, held_out=0.0)
        for o in fed.owners
        for part in [_held_out(o)]
    ]
    found = model().evaluate(held_out)
    assert found == pytest.approx(last.metrics)


def _held_out(owner):
    def take(rows):
        features, target = rows.held_out
        ids = [each.decode() for each in rows.ids[1]]
        return features.assign(customer=ids, **({target.name: target} if target.name else {}))

    return owner._inside(take, stage="test")


def test_labels_that_training_did_not_know_do_not_count():
    given = frames(labels=True)
    given["bank"] = given["bank"].assign(default=given["bank"]["default"].where(given["bank"].index > 30, "perhaps"))
    few = model().evaluate(**given)
    known = {**given, "bank": given["bank"][given["bank"]["default"] != "perhaps"]}
    assert few == pytest.approx(model().evaluate(**known))
    given["bank"] = given["bank"].assign(default="perhaps")
    refused(SchemaError, lambda: model().evaluate(**given), "None of the", "default")


def test_whole_numbers_come_back_as_whole_numbers():
    given = {name: table.assign(customer=table["customer"].str[1:].astype(int)) for name, table in frames().items()}
    joint, texts = model().predict(**given), model().predict(**frames())
    assert joint.index.dtype.kind == "i"
    assert list(joint.index) == [int(each[1:]) for each in texts.index]
    assert np.array_equal(joint.to_numpy(), texts.to_numpy())


def test_linked_rows_are_named_by_the_fields_that_the_owner_of_the_labels_has():
    people, rng = new_people(), np.random.default_rng(0)
    people["name"] = ["".join(rng.choice(list("abdegiklmnorstuv"), 12)) for _ in range(len(people))]
    people["born"] = 1940 + np.arange(len(people))
    columns = {"bank": ["income", "age", "default"], "shop": ["visits", "spent"]}
    made = [
        fl.DataOwner(
            owner,
            people.sample(frac=0.9, random_state=place)[["name", "born", *mine]],
            id=["name", "born"],
            target="default" if owner == "bank" else None,
        )
        for place, (owner, mine) in enumerate(columns.items())
    ]
    fed, strategy = federation(made), fl.vertical.LogisticRegression("bank")
    found = fl.vertical.link(fed, threshold=0.85)
    *_, last = rounds(fed, strategy, num_rounds=1)
    joint = strategy.model_of(last.state).predict(fed)
    assert joint.index.names == ["name", "born"]
    assert len(joint) == found.rows > 40
    merged = strategy.model_of(last.state).merge(fed, consent=fed.names)
    rows = people.set_index(["name", people["born"].astype(str)]).loc[joint.index]
    assert joint["probability of yes"].to_numpy() == pytest.approx(merged.predict_proba(rows)[:, 1])


@each_case
def test_nothing_of_a_prediction_goes_to_anybody_but_owners_and_only_the_labels_owner_has_it(name):
    made = owners_of_new(name)
    fed = federation(made, encrypt=fl.CKKS("deep") if CASES[name][0].multiplies else None)
    fl.vertical.align(fed)
    before = len(fed.ledger)
    joint = model(name).predict(fed)
    crossed = [m for m in fed.ledger.messages[before:] if m.kind not in ("identity", "identities", "public key")]
    assert crossed
    assert {m.receiver for m in crossed} <= set(fed.names)
    assert fed.ledger.verify()
    common, order = {o: t.set_index("customer").loc[joint.index] for o, t in tables(made).items()}, _order(fed, joint)
    columns = [common[owner][column].to_numpy(dtype=float) for owner, mine in private(made).items() for column in mine]
    assert len(columns) > 1
    for told in (column for message in crossed for column in _columns(message, len(joint))):
        for values in columns:
            known = ~np.isnan(values)
            assert told.std() == 0 or abs(np.corrcoef(told[order][known], values[known])[0, 1]) < 0.999


def _columns(message, rows):
    """The columns of a message that its receiver can read and that is about every row."""
    numbers = message.payload if isinstance(message.payload, np.ndarray) else np.zeros(0)
    return numbers.reshape(rows, -1).T if len(numbers) == rows else []


def _order(fed, joint):
    """Where each row of the prediction is in the order that all owners agree on."""
    bank = next(owner for owner in fed.owners if owner.name == "bank")
    alignment = fl.vertical.align(fed)
    ids = bank._inside(lambda rows: [i.decode() for side in alignment.of(rows).ids for i in side], stage="test")
    return np.array([ids.index(each) for each in joint.index])


def test_a_prediction_is_charged_and_leaves_nothing_beside_the_rows():
    fed = federation(owners_of_new())
    fl.vertical.align(fed)
    kept = {owner.name: owner._inside(lambda rows: set(rows.cache), stage="test") for owner in fed.owners}
    before = {name: sum(fed.account(name).counts.values()) for name in fed.names}
    first, second = model().predict(fed), model().predict(fed)
    pd.testing.assert_frame_equal(first, second)
    assert {owner.name: owner._inside(lambda rows: set(rows.cache), stage="test") for owner in fed.owners} == kept
    assert {name: sum(fed.account(name).counts.values()) - before[name] for name in fed.names} == dict.fromkeys(
        fed.names, 2
    )


def test_a_model_of_an_earlier_round_predicts_as_it_did():
    strategy, parts = fl.vertical.LogisticRegression("bank"), owners()
    fed = federation(parts)
    records = list(rounds(fed, strategy, num_rounds=2))
    early, late = (strategy.model_of(record.state) for record in records)
    told = early.predict(fed)
    assert not np.allclose(told.iloc[:, 1], late.predict(fed).iloc[:, 1])
    pd.testing.assert_frame_equal(early.predict(fed), told)


def test_the_order_of_owners_does_not_matter():
    joint = model().predict(owners_of_new())
    pd.testing.assert_frame_equal(model().predict(owners_of_new()[::-1]), joint)


def test_an_owner_that_fails_is_named_and_nothing_stays_behind(monkeypatch):
    fed = federation(owners_of_new())
    shop = next(owner for owner in fed.owners if owner.name == "shop")
    inside = type(shop)._inside

    def failing(self, work, *, stage):
        if self.name == "shop" and stage == "partial score":
            return inside(self, lambda _: 1 // 0, stage=stage)
        return inside(self, work, stage=stage)

    monkeypatch.setattr(type(shop), "_inside", failing)
    refused(RoundError, lambda: model().predict(fed), "shop", "partial score")
    monkeypatch.undo()
    assert [owner._inside(lambda rows: len(rows.cache), stage="test") for owner in fed.owners] == [1, 1]
    assert len(model().predict(fed)) > 10


def _without(name, column):
    return [
        owner if owner.name != name else fl.DataOwner(name, frames()[name].drop(columns=column), id="customer")
        for owner in owners_of_new()
    ]


@pytest.mark.parametrize(
    ("asked", "error", "words"),
    [
        (lambda: model().predict(), SettingError, ["nobody", "bank"]),
        (lambda: model().predict(owners_of_new(), bank=frames()["bank"]), SettingError, ["owners and frames"]),
        (lambda: model().predict(frames()["bank"]), SettingError, ["type DataFrame", "frames with the id", "bank=..."]),
        (lambda: model().predict(bank=frames()["bank"]), SettingError, ["owner"]),
        (lambda: model().predict(owners_of_new("trees")), SettingError, ["post", "same owners"]),
        (lambda: model().predict(_without("shop", "spent")), SchemaError, ["'spent'", "same columns"]),
        (lambda: model().predict(_without("bank", "income")), SchemaError, ["'income'"]),
        (lambda: unencrypted("linear"), RuleError, ["LinearRegression adds up", "under masks", "nothing is encrypted"]),
        (lambda: unencrypted("transfer"), RuleError, ["Transfer multiplies", "nothing is encrypted"]),
        (
            lambda: model().predict(fl.Federation(fl.split_rows(fl.data.iris(), 3))),
            RuleError,
            ["joint prediction", "same columns"],
        ),
        (lambda: model().evaluate(owners_of_new()), SchemaError, ["no target", "default"]),
        (
            lambda: model().predict(**{n: t.assign(customer=t["customer"] + n) for n, t in frames().items()}),
            RoundError,
            ["no id"],
        ),
        (lambda: model().predict(**{n: t.drop(columns="customer") for n, t in frames().items()}), SchemaError, ["id"]),
    ],
)
def test_what_cannot_be_predicted_is_refused(asked, error, words):
    refused(error, asked, *words)


def unencrypted(name):
    return model(name).predict(fl.Federation(owners_of_new(name)))


@pytest.mark.parametrize("name", ["logistic", "classes", "counts", "trees", "network"])
def test_scores_that_are_neither_masked_nor_sealed_need_no_encryption(name):
    expected = model(name).predict(federation(owners_of_new(name), encrypt=fl.CKKS("deep")))
    pd.testing.assert_frame_equal(unencrypted(name), expected, check_exact=True)


def test_no_prediction_while_the_federation_trains():
    fed, *_ = case("logistic")
    with fed.in_use():
        refused(SettingError, lambda: model().predict(fed), "training already")
