"""Columns read as weights of evidence, and scorecards: points add up, over columns and owners, to the log-odds."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import fedlab_nb as fl
from fedlab_nb.errors import RuleError, SchemaError, SettingError
from fedlab_nb.learn.metrics import exact_area
from fedlab_nb.parties.columns.keep import keep
from fedlab_nb.parties.columns.road import alignment_of
from fedlab_nb.records.kept import put_together, taken_apart
from fedlab_nb.vertical.logistic import LogisticRegression
from fedlab_nb.vertical.model import VerticalModel
from fedlab_nb.vertical.scorecard.card import scorecard
from fedlab_nb.vertical.scorecard.evidence import BinnedColumn, Evidence, EvidenceReading
from fedlab_nb.vertical.scorecard.points import points_of
from tests.vertical.common import federation, owners, people, pooled, tables, with_gaps
from tests.vertical.test_scan import leaks, private
from tests.vertical.test_selection import trained

ROUNDS = 12


def run_of(fed, strategy, rounds=ROUNDS):
    history = list(fl.rounds(fed, strategy, num_rounds=rounds))
    assert history[-1].failed is None, history[-1].failed
    return history


@pytest.fixture(scope="module")
def learned():
    """(owners, federation, evidence, strategy, model, history) of a logistic regression on weights of evidence."""
    parts = owners(with_gaps(400))
    fed = federation(parts)
    found = fl.PrivateFrame(fed).training.woe("default", "yes", bins=5)
    strategy = LogisticRegression(labels_at="bank", woe=found)
    history = run_of(fed, strategy)
    return parts, fed, found.attrs["evidence"], strategy, VerticalModel(strategy, history[-1].state), history


@pytest.fixture(scope="module")
def plain():
    """(owners, federation, model) of a logistic regression on standardised numbers and categories."""
    parts = owners(with_gaps(300))
    fed = federation(parts)
    strategy = LogisticRegression(labels_at="bank")
    return parts, fed, VerticalModel(strategy, run_of(fed, strategy, 4)[-1].state)


def test_a_column_is_read_as_the_weight_of_its_bin():
    number = BinnedColumn("age", ("[-inf, 30]", "(30, 50]", "(50, inf]"), (0.5, -0.1, -0.7), edges=(30.0, 50.0))
    assert number.read(pd.Series([30.0, 30.1, 50.0, 99.0, np.nan])).tolist() == [0.5, -0.1, -0.1, -0.7, 0.0]
    words = BinnedColumn("sector", ("a", "b or c"), (1.0, -1.0), groups=(("a",), ("b", "c")))
    assert words.read(pd.Series(["c", "a", None, "d", "b"])).tolist() == [-1.0, 1.0, 0.0, 0.0, -1.0]
    reading = EvidenceReading((number, words))
    frame = pd.DataFrame({"sector": ["a"], "age": [40.0], "other": [1.0]})
    assert reading.read(frame).tolist() == [[-0.1, 1.0]]
    with pytest.raises(SchemaError, match="'age'"):
        reading.read(frame[["sector"]])


def test_owners_read_their_columns_as_the_weights_that_the_pooled_table_gives(learned):
    parts, _, evidence, strategy, model, _ = learned
    table = trained(parts)
    event = table["default"] == "yes"
    assert evidence.training
    for name in ("income", "visits", "region"):
        column = next(each for each in evidence.columns if each.name == name)
        read, known = column.read(table[name]), table[name].notna()
        for weight in column.woe:
            cell = known & np.isclose(read, weight)
            shares = [(cell & side).sum() / (known & side).sum() for side in (event, ~event)]
            assert weight == pytest.approx(np.log(shares[0] / shares[1]), rel=1e-9)
    assert set(model.setup.readings["shop"].inputs) == {"visits", "spent", "region"}
    again = put_together(*taken_apart(strategy))
    assert again == strategy, "a part of the model with it goes to a file and back"


def test_a_model_on_weights_of_evidence_is_as_good_as_the_same_one_on_pooled_rows(learned):
    from sklearn.linear_model import LogisticRegression as Plain

    parts, _, evidence, strategy, model, history = learned
    table, everything = trained(parts), pooled(parts)
    held = everything[~everything["customer"].isin(table["customer"])]
    read = EvidenceReading(evidence.columns).read
    # Both minimise mean loss + l2 |w|^2 / 2.
    oracle = Plain(C=1 / (strategy.l2 * len(table)), tol=1e-10, max_iter=1000).fit(
        read(table), table["default"] == "yes"
    )
    scores = {"oracle": oracle.decision_function(read(held))}
    truth = (held["default"] == "yes").to_numpy()
    assert history[-1].metrics["auc"] == pytest.approx(exact_area(scores["oracle"], truth), abs=0.005)
    assert model.setup.held_out == len(held)
    weights = np.concatenate([model.state.weights["bank"][:-1], model.state.weights["shop"]])
    names = [*model.setup.readings["bank"].inputs, *model.setup.readings["shop"].inputs]
    expected = dict(zip([each.name for each in evidence.columns], oracle.coef_[0], strict=True))
    np.testing.assert_allclose(weights, [expected[name] for name in names], atol=0.05)


def test_every_owner_is_told_the_weights_of_its_own_bins(learned):
    fed, evidence = learned[1:3]
    told = [message for message in fed.ledger.messages if message.kind == "weights of evidence"]
    assert [(message.sender, message.receiver) for message in told] == [("server", "bank"), ("server", "shop")]
    for message, names in zip(told, (["income", "age", "sector"], ["visits", "spent", "region"]), strict=True):
        own = [column for column in evidence.columns if column.name in names]
        assert message.payload.tolist() == [weight for column in own for weight in column.woe]


def aligned(parts, fed, evidence):
    """By owner its numbers, and its columns as evidence, over training and over held-out rows, in the common order."""
    found = alignment_of(fed)
    whole = {owner.name: owner._inside(found.of, stage="test") for owner in parts}
    columns = {}
    for owner, rows in whole.items():
        for side, (frame, _) in enumerate((rows.training, rows.held_out)):
            for column in (each for each in evidence.columns if each.name in frame):
                columns[owner, column.name, side, "evidence"] = column.read(frame[column.name])
                if frame[column.name].dtype.kind == "f":
                    columns[owner, column.name, side, "numbers"] = frame[column.name].to_numpy()
    return columns


def linear(message, columns):
    """The columns of other owners than the sender's receiver that a readable message is a linear function of."""
    values = np.atleast_2d(np.asarray(message.payload, dtype=float).T)
    found = []
    for (owner, name, *how), column in columns.items():
        known = ~np.isnan(column)
        if owner == message.receiver or values.shape[1] != column.size or not column[known].std():
            continue
        alike = [abs(np.corrcoef(line[known], column[known])[0, 1]) for line in values if line.std()]
        if max(alike, default=0.0) >= 0.999:
            found.append((message.kind, owner, name, *how))
    return found


def test_no_message_holds_a_column_or_its_evidence_or_a_linear_function_of_them(learned):
    parts, fed, evidence, *_ = learned
    readable = [m for m in fed.ledger.messages if isinstance(m.payload, np.ndarray | str) and m.number <= 70]
    assert {"weights of evidence", "partial score", "score"} <= {message.kind for message in readable}
    flat = {f"{owner}: {name}": v for owner, mine in private(parts).items() for name, v in mine.items()}
    assert leaks(readable, flat) == []
    columns = aligned(parts, fed, evidence)
    told = [message for message in readable if isinstance(message.payload, np.ndarray)]
    assert any(message.payload.size == len(columns["shop", "visits", 1, "evidence"]) for message in told)
    assert [each for message in told for each in linear(message, columns)] == []
    caught = next(message for message in told if message.kind == "partial score")
    oops = replace(caught, payload=3.0 * columns["shop", "visits", 1, "evidence"] - 1.0)
    assert ("partial score", "shop", "visits", 1, "evidence") in linear(oops, columns)


@pytest.mark.parametrize("model", ["learned", "plain"])
@pytest.mark.parametrize("good", ["no", "yes"])
def test_points_add_up_to_the_log_odds_of_a_row(model, good, request):
    made = request.getfixturevalue(model)
    parts, fed, model = made[0], made[1], next(each for each in made if isinstance(each, VerticalModel))
    card = scorecard(model, points=600, odds=50, pdo=20, good=good)
    table = pooled(parts)
    chances = model.predict_proba(fed)
    chances = chances.loc[table["customer"]]
    odds = (chances["no"] / chances["yes"] if good == "no" else chances["yes"] / chances["no"]).to_numpy()
    exact = card.offset + card.factor * np.log(odds)
    points = sum(part.of(table) for part in card.parts.values()).to_numpy()
    assert points.dtype == np.int64
    columns = 6
    assert np.abs(points - exact).max() <= 0.5 * (columns + 1) + 1e-6
    assert np.abs(points - exact).std() < 1.5
    joint = card.score(fed).loc[table["customer"]].to_numpy()
    assert np.abs(joint - exact).max() <= 0.5 + 1e-6


def test_the_scale_is_what_was_asked_for(learned):
    card = scorecard(learned[4], points=500, odds=30, pdo=25)
    assert card.good == "no", "the first class, as the second one is the event"
    assert card.offset + card.factor * np.log(30) == pytest.approx(500)
    assert card.factor * np.log(2) == pytest.approx(25)
    assert "500 points at 30:1" in repr(card)
    assert "Scorecard" in card._repr_html_()


def test_each_owner_has_a_table_of_its_own_columns(learned, plain):
    card = scorecard(learned[4])
    bank, shop = card.parts["bank"].table, card.parts["shop"].table
    assert ("base points", "every row") in bank.index
    assert set(shop.index.get_level_values("column")) == {"visits", "spent", "region"}
    column = next(each for each in learned[2].columns if each.name == "visits")
    weight = learned[4].state.weights["shop"][learned[4].setup.readings["shop"].inputs.index("visits")]
    expected = [round(-card.factor * weight * woe) for woe in column.woe]
    assert shop.loc["visits", "points"].tolist() == [*expected, 0]
    assert "visits" in card.parts["shop"]._repr_html_()
    assert "income" not in card.parts["shop"]._repr_html_()
    with pytest.raises(RuleError, match="which are its own"):
        card.table  # noqa: B018
    numbers = scorecard(plain[2]).parts["shop"].table
    assert numbers.loc["region"].index.tolist() == ["isle", "north", "south", "missing, or another value"]
    assert numbers.loc["visits", "points"].iloc[0] == 0
    frame = pd.DataFrame({"visits": [plain[2].setup.readings["shop"].encoding.inputs[0].centre], "spent": [np.nan],
                          "region": [None]})  # fmt: skip
    lines = numbers["points"]
    assert scorecard(plain[2]).parts["shop"].of(frame).tolist() == [lines["spent", "missing"]]


def test_with_everybodys_consent_there_is_one_table(learned):
    parts, fed, _, _, model, _ = learned
    card = scorecard(model.merge(fed, consent=["bank", "shop"]))
    assert list(card.table.index.names) == ["owner", "column", "attribute"]
    assert set(card.table.index.get_level_values("owner")) == {"bank", "shop"}
    table = pooled(parts)
    assert (card.score(table) == sum(part.of(table) for part in card.parts.values())).all()


def test_a_selection_goes_straight_into_a_model_and_a_model_of_kept_columns_is_that_of_them():
    parts = owners(people(300))
    fed = federation(parts)
    chosen = fl.PrivateFrame(fed).training.select("default", "yes", iv=0.0, bins=4)
    strategy = LogisticRegression(labels_at="bank", woe=chosen[chosen.index.isin(["income", "visits", "spent"])])
    assert set(strategy.woe.names) == {"income", "visits", "spent"}
    assert run_of(fed, strategy, 2)[-1].metrics["auc"] > 0.5
    narrow = federation(keep(parts, ["income", "visits", "spent"]))
    state = run_of(narrow, LogisticRegression(labels_at="bank"), 2)[-1].state
    assert [len(weights) for weights in state.weights.values()] == [2, 2]
    alone = federation(keep(parts, ["age", "visits", "spent"]))
    others = fl.PrivateFrame(alone).training.woe("default", "yes", names=["visits", "spent"])
    labels_only = run_of(alone, LogisticRegression(labels_at="bank", woe=others), 2)[-1].state
    assert [len(weights) for weights in labels_only.weights.values()] == [1, 2], "the bank has an intercept only"


def test_evidence_that_would_mislead_is_refused(learned):
    fed, evidence = learned[1:3]
    frame = fl.PrivateFrame(fed)

    def check(woe, **settings):
        LogisticRegression(labels_at="bank", woe=woe, **settings).check(fed, 1)

    with pytest.raises(RuleError, match="held out"):
        check(frame.woe("default", "yes", bins=4, names=["income", "visits", "spent"]))
    with pytest.raises(SettingError, match="for 'region'"):
        check(frame.training.woe("region", "north", bins=4, names=["income", "visits", "spent"]))
    with pytest.raises(RuleError, match="known of 1 column of 'shop'"):
        check(Evidence("default", "yes", evidence.columns[:4], training=True))
    with pytest.raises(SettingError, match="which no owner has"):
        check(Evidence("default", "yes", (BinnedColumn("size", ("all",), (0.0,)),), training=True))
    for wrong in (frame.training.corr(["income", "age"]), "income", pd.DataFrame({"woe": [1.0]})):
        with pytest.raises(SettingError, match="not an answer that has weights"):
            LogisticRegression(labels_at="bank", woe=wrong)
    assert "6 columns for default = 'yes'" in repr(evidence)
    assert "Weights of evidence" in evidence._repr_html_()


def test_scorecards_of_what_has_no_log_odds_are_refused(learned):
    with pytest.raises(RuleError, match="A scorecard was asked of str"):
        scorecard("model")
    for wrong in ({"odds": 0.0}, {"pdo": -1.0}, {"points": "many"}, {"good": "perhaps"}):
        with pytest.raises(SettingError):
            scorecard(learned[4], **wrong)
    with pytest.raises(RuleError, match="reads its columns as str"):
        points_of("shop", "reading", np.zeros(1), None)


def test_what_an_owner_alone_scores_is_about_its_own_columns(learned):
    parts, model = learned[0], learned[4]
    card = scorecard(model)
    shop = tables(parts)["shop"]
    assert len(card.parts["shop"].of(shop)) == len(shop)
    with pytest.raises(SchemaError, match="lacks the columns"):
        card.parts["bank"].of(shop)


def test_three_owners_make_a_scorecard_together():
    parts = owners(people(300), parties=3)
    fed = federation(parts)
    woe = fl.PrivateFrame(fed).training.woe("default", "yes", bins=4)
    strategy = LogisticRegression(labels_at="bank", woe=woe)
    model = VerticalModel(strategy, run_of(fed, strategy, 2)[-1].state)
    card, table = scorecard(model, good="yes"), pooled(parts)
    chances = model.predict_proba(fed).loc[table["customer"]]
    exact = card.offset + card.factor * np.log(chances["yes"] / chances["no"]).to_numpy()
    assert np.abs(sum(part.of(table) for part in card.parts.values()).to_numpy() - exact).max() <= 0.5 * 9 + 1e-4
    assert list(card.parts) == ["bank", "shop", "post"]
