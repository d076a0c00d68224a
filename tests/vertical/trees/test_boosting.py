"""A run of SecureBoost: it repeats itself, goes on where it stopped, ends where it gets no better, and teaches."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score

import fedlab_nb as fl
from fedlab_nb.data.encoding import CategoryCode, Encoding, NumberCode
from fedlab_nb.errors import RoundError, RuleError, SchemaError, SettingError
from fedlab_nb.records import State
from fedlab_nb.records.kept.values import put_together, taken_apart
from fedlab_nb.vertical.secureboost import SecureBoost
from fedlab_nb.vertical.trees.columns.reading import TreeReading
from fedlab_nb.vertical.trees.forest import GAIN, OWNER, read_labels_part
from tests.vertical.common import federation, owners, people, with_gaps
from tests.vertical.trees.oracle import scores_of

SMALL = {"depth": 2, "bins": 8, "min_rows": 5}


def boosted(fed, rounds=3, **settings):
    return list(fl.rounds(fed, SecureBoost("bank", **SMALL | settings), num_rounds=rounds))


@pytest.fixture(scope="module")
def run():
    """A federation of three and the rounds of a run."""
    fed = federation(owners(with_gaps(), parties=3))
    return fed, boosted(fed)


def parts_equal(one, other):
    return all(np.array_equal(one.weights[name], other.weights[name]) for name in one.weights)


def test_a_run_repeats_itself_and_another_seed_orders_handles_in_another_way(run):
    again = boosted(federation(owners(with_gaps(), parties=3)))
    assert parts_equal(again[-1].state, run[1][-1].state)
    assert [r.metrics for r in again] == [r.metrics for r in run[1]]
    fed = federation(owners(with_gaps(), parties=3))
    other = next(fl.rounds(fed, SecureBoost("bank", **SMALL), num_rounds=1, seed=1)).state
    for name in ("shop", "post"):
        one, two = run[1][-1].state.weights[name].reshape(-1, 3), other.weights[name].reshape(-1, 3)
        assert not np.array_equal(one, two)
        assert np.array_equal(np.unique(one, axis=0), np.unique(two, axis=0))


def test_a_run_that_goes_on_elsewhere_equals_the_one_that_was_not_interrupted(run):
    fed, rounds = federation(owners(with_gaps(), parties=3)), run[1]
    stored = taken_apart(rounds[0].state)
    restored = put_together(*stored)
    assert isinstance(restored, State)
    went_on = list(fl.rounds(fed, SecureBoost("bank", **SMALL), num_rounds=3, after=replace(rounds[0], state=restored)))
    assert parts_equal(went_on[-1].state, rounds[-1].state)
    assert [r.metrics for r in went_on] == [r.metrics for r in rounds[1:]]


def test_another_course_of_the_same_run_is_not_mixed_up_with_the_first(run):
    fed, rounds = run
    other = SecureBoost("bank", **SMALL | {"lr": 0.1})
    course = list(fl.rounds(fed, other, num_rounds=3, after=rounds[0]))
    *_, alone = fl.rounds(federation(owners(with_gaps(), parties=3)), other, num_rounds=3, after=rounds[0])
    assert parts_equal(course[-1].state, alone.state)
    assert course[-1].metrics == alone.metrics
    assert not parts_equal(course[-1].state, rounds[-1].state)


@pytest.mark.parametrize("changed", [{"depth": 3}, {"bins": 9}, {"min_rows": 6}])
def test_what_candidates_and_trees_are_made_by_stays_as_it_is(run, changed):
    fed, rounds = run
    name = next(iter(changed))
    with pytest.raises(SettingError, match=f"began with {name}={SMALL[name]}"):
        fl.rounds(fed, SecureBoost("bank", **SMALL | changed), num_rounds=5, after=rounds[-1])


def test_patience_needs_rows_that_are_held_out():
    frame = people(60)
    bank = fl.DataOwner("bank", frame[["customer", "income", "default"]], id="customer", target="default", held_out=0)
    shop = fl.DataOwner("shop", frame[["customer", "visits"]], id="customer", held_out=0)
    with pytest.raises(SettingError, match="hold out no rows"):
        fl.rounds(federation([bank, shop]), SecureBoost("bank", patience=2))


def test_no_more_trees_are_grown_where_they_help_no_more():
    fed = federation(owners(people(160)))
    rounds = boosted(fed, rounds=8, lr=1.0, patience=2, depth=3)
    state = rounds[-1].state
    best, loss = state.memory["bank"]
    trees = read_labels_part(state.weights["bank"])[1].trees
    assert best + 2 == trees < 8
    losses = [r.metrics["loss"] for r in rounds]
    assert losses[-1] == loss == min(losses)
    assert losses == sorted(losses, reverse=True), "what is scored is what predicts: the best round so far"
    assert not [m for m in fed.ledger.messages if m.round > trees and "gradients" in m.kind]
    patient, without = SecureBoost("bank", patience=2), SecureBoost("bank")
    kept = {name: numbers for name, numbers in state.memory.items() if name != "bank"}
    earlier = replace(rounds[int(best) - 1].state, memory=kept)
    assert np.array_equal(scores_of(fed, patient, state), scores_of(fed, without, earlier))


def test_an_owner_that_fails_in_the_middle_releases_nothing_and_the_round_can_be_tried_again(monkeypatch):
    fed = federation(owners(people(160)))
    strategy = SecureBoost("bank", **SMALL)
    first = next(fl.rounds(fed, strategy, num_rounds=1))
    with monkeypatch.context() as broken:

        def stop(*_, **__):
            raise MemoryError("income 918273")

        broken.setattr("fedlab_nb.channel.products.multiplied", stop)
        second = next(fl.rounds(fed, strategy, num_rounds=2, after=first))
    assert isinstance(second.failed.error, RoundError)
    assert second.failed.party == "shop"
    assert "918273" not in str(second.failed.error)
    assert not [m for m in fed.ledger.messages if m.round == 2 and m.kind.startswith(("sums of", "rows of", "score"))]
    assert fed.ledger.verify()
    assert parts_equal(second.state, first.state)
    *_, again = fl.rounds(fed, strategy, num_rounds=2, after=second)
    assert again.failed is None
    assert parts_equal(again.state, boosted(federation(owners(people(160))), rounds=2)[-1].state)


def test_what_helped_adds_up_to_the_gains_of_the_trees_and_hides_names(run):
    fed, rounds = run
    state, strategy = rounds[-1].state, SecureBoost("bank", **SMALL)
    nodes = read_labels_part(state.weights["bank"])[1].nodes
    found = strategy.importance(fed, state)
    assert list(found.columns) == ["owner", "feature", "splits", "gain"]
    assert found["gain"].is_monotonic_decreasing
    for place, name in enumerate(fed.names):
        mine = nodes[nodes[:, :, OWNER] == place]
        assert found.loc[found["owner"] == name, "splits"].sum() == len(mine)
        assert found.loc[found["owner"] == name, "gain"].sum() == pytest.approx(mine[:, GAIN].sum())
    hidden = found.loc[found["owner"] != "bank", "feature"]
    assert hidden.str.fullmatch(r"(shop|post) feature \d+").all()
    crossed = [m.payload for m in fed.ledger.messages if m.kind == "importance of features"]
    assert not any("visits" in text or "parcels" in text for text in crossed if isinstance(text, str))
    named = strategy.importance(fed, state, hide_names=False)
    assert named["gain"].tolist() == found["gain"].tolist()
    known = {name for owner in fed.names for name in state.context.readings[owner].inputs}
    assert set(named["feature"]) <= known


def test_a_tree_is_drawn_with_others_questions_hidden_unless_their_parts_are_there(run):
    fed, rounds = run
    state, strategy = rounds[-1].state, SecureBoost("bank", **SMALL)
    drawn = [strategy.tree(state, number) for number in range(3)]
    html = "".join(card._repr_html_() for card in drawn)
    assert "A tree of round 1" in repr(drawn[0])
    assert "asks: question" in "".join(map(repr, drawn))
    assert not any(column in html for column in ("visits", "spent", "region", "letters", "parcels"))
    opened = "".join(strategy.tree(state, number, shown=fed.names)._repr_html_() for number in range(3))
    assert any(column in opened for column in ("visits", "spent", "parcels"))
    with pytest.raises(SettingError, match="there are 3"):
        strategy.tree(state, 3)


def test_settings_that_cannot_work_are_refused_before_anything_leaves():
    fed = federation(owners(people(60)))
    for settings, words in (
        ({"depth": 0}, "depth=0"),
        ({"depth": 2.5}, "depth=2.5"),
        ({"bins": 1}, "bins=1"),
        ({"min_rows": 4}, "single people"),
        ({"lr": 0.0}, "lr=0.0"),
        ({"lr": 1.5}, "lr=1.5"),
        ({"reg_lambda": -1.0}, "reg_lambda=-1.0"),
        ({"gamma": "a"}, "gamma='a'"),
        ({"goss": (0.5, 0.6)}, "together 1 at most"),
        ({"goss": 0.2}, "goss=0.2"),
        ({"patience": 0}, "patience=0"),
    ):
        with pytest.raises(SettingError, match=words):
            fl.rounds(fed, SecureBoost("bank", **settings))
    with pytest.raises(SettingError, match="labels_at='shop'"):
        fl.rounds(fed, SecureBoost("shop"))
    with pytest.raises(RuleError, match="nothing is encrypted"):
        fl.rounds(federation(owners(people(60)), encrypt=None), SecureBoost("bank"))
    assert len(fed.ledger) == 0


@pytest.mark.parametrize("column", ["visits", "income"])
def test_columns_of_which_nothing_can_be_learned_are_refused_by_name(column):
    for values, words in ((7.0, "the same in all rows"), (np.nan, "missing in all rows")):
        failed = boosted(federation(owners(people(60).assign(**{column: values}))), rounds=1)[0].failed
        assert isinstance(failed.error, SchemaError)
        assert words in str(failed.error)
        assert repr(column) in str(failed.error)


def test_owners_without_any_question_are_told_what_to_change():
    failed = boosted(federation(owners(people(60))), rounds=1, min_rows=40)[0].failed
    assert "smaller min_rows" in str(failed.error)


def test_an_owner_without_questions_is_not_asked():
    frame = people(160).assign(region="north")
    frame.loc[:3, "region"] = "south"
    fed = federation(owners(frame, shop=["region"]))
    rounds = boosted(fed, rounds=1)
    assert rounds[0].failed is None
    assert rounds[0].state.weights["shop"].size == 0
    assert not [m for m in fed.ledger.messages if "gradients" in m.kind]


def test_categories_and_gaps_are_read_as_they_are():
    frame = pd.DataFrame({"age": [30.0, np.nan, 90.0], "sector": ["trade", None, "new"]})
    codes = NumberCode("age", 5.0, 2.0, 0.0, 80.0), CategoryCode("sector", ("state", "trade"))
    reading = TreeReading(Encoding(codes, NumberCode("", 0.0, 1.0, -np.inf, np.inf)))
    assert reading.inputs == ("age", "sector=state", "sector=trade")
    nan = np.nan
    assert np.array_equal(reading.read(frame), [[30, 0, 1], [nan, nan, nan], [80, 0, 0]], equal_nan=True)
    with pytest.raises(SchemaError, match="lacks the columns 'age'"):
        reading.read(frame[["sector"]])


def test_it_is_about_as_good_as_another_library_on_the_pooled_table():
    table = fl.data.breast_cancer()
    y = (table["diagnosis"] == table["diagnosis"].iloc[0]).to_numpy().astype(float)
    X = table.drop(columns="diagnosis").to_numpy(dtype=float)
    train = np.arange(len(y)) % 4 != 0
    fed = federation(fl.split_columns(table, lab=[*table.columns[10:20], "diagnosis"], clinic=list(table.columns[:10])))
    first = next(fl.rounds(fed, SecureBoost("lab", depth=1, bins=4), num_rounds=1))
    columns = {"lab": X[:, 10:20], "clinic": X[:, :10]}
    ours = SecureBoost("lab", bins=32).plain(
        {name: part[train] for name, part in columns.items()}, y[train],
        {name: part[~train] for name, part in columns.items()}, first.state.context, 30,
    )  # fmt: skip
    theirs = HistGradientBoostingClassifier(
        max_iter=30, max_depth=3, learning_rate=0.3, max_bins=32, l2_regularization=1.0, early_stopping=False
    ).fit(X[train][:, :20], y[train])
    reached = roc_auc_score(y[~train], theirs.decision_function(X[~train][:, :20]))
    assert roc_auc_score(y[~train], ours[:, 0]) == pytest.approx(reached, abs=0.01)


def test_cards_say_who_learns_what():
    strategy = SecureBoost("bank", goss=(0.2, 0.1))
    assert repr(strategy) == "SecureBoost(labels_at='bank', goss=(0.2, 0.1))"
    card = strategy._repr_html_()
    assert "What the owner of the labels learns" in card
    assert "which rows are together" in card
