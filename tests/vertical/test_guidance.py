"""Where owners of different columns differ from others: comparisons, single columns, equal names, trees."""

import numpy as np
import pandas as pd
import pytest

import fedlab_nb as fl
from fedlab_nb.analytics.answers import Answer
from fedlab_nb.comparing import compare
from fedlab_nb.comparing.comparison import Lane
from fedlab_nb.errors import RuleError, SchemaError, SettingError
from tests.rounds.common import assert_teaches
from tests.vertical.common import federation, owners, people, pooled, with_gaps
from tests.vertical.model.common import case, model

BOTH = {"straight": fl.vertical.LogisticRegression("bank", sigmoid="straight")}


@pytest.fixture(scope="module")
def asked():
    """(owners of which one has gaps, a frame over them)."""
    parts = owners(with_gaps(100))
    return parts, fl.PrivateFrame(federation(parts))


def test_seeds_that_change_nothing_count_as_one_run():
    found = compare(federation(owners(people(60))), BOTH, num_rounds=1, seeds=2)
    (lane,), (facts,) = found.lanes, found.facts
    assert [r.metrics for r in lane.runs[0]] == [r.metrics for r in lane.runs[1]]
    assert (facts.runs, facts.score.count, facts.score.half) == (2, 1, None)
    assert facts.score.value == lane.runs[0][-1].metrics[found.metric]
    assert any("all 2 seeds gave the same scores" in note for note in found.notes)
    assert not found.chart.runs
    assert "±" not in found._repr_html_()


def test_a_line_that_no_run_has_ended_of_is_not_the_same():
    assert not Lane("none", (), ()).same
    assert not Lane("no scores", (fl.History(), fl.History()), ()).same


def test_seeds_that_change_something_count_each():
    network = {"network": fl.vertical.SplitNN("bank", batch_size=None)}
    found = compare(federation(owners(people(60)), encrypt=None), network, num_rounds=1, seeds=2)
    assert found.facts[0].score.count == 2
    assert not any("same scores" in note for note in found.notes)


@pytest.mark.parametrize("more", [{"alone": True}, {"pooled": people(60)}])
def test_alone_and_pooled_point_to_gain(more):
    fed = federation(owners(people(60)))
    with pytest.raises(RuleError) as caught:
        compare(fed, BOTH, num_rounds=1, seeds=1, **more)
    assert_teaches(caught, "different columns", "fl.gain(")
    assert len(fed.ledger) == 0


def test_single_columns_are_described_by_their_owners(asked):
    parts, frame = asked
    found, truth = frame.describe(), pooled(parts).astype({"age": float})
    assert isinstance(found, Answer)
    assert list(found.columns) == ["income", "age", "visits", "spent"]
    expected = truth[list(found.columns)].describe()
    np.testing.assert_allclose(found.loc[["count", "mean", "std"]], expected.loc[["count", "mean", "std"]], rtol=1e-6)
    assert list(frame.describe(["spent", "income"]).columns) == ["spent", "income"]
    assert found.attrs["owners"] == 2
    assert found.plot().data
    each = [frame.of(owner).quantile(name, 0.5) for owner, name in (("shop", "spent"), ("bank", "income"))]
    both = frame.quantile(["spent", "income"], 0.5)
    np.testing.assert_array_equal(both, pd.concat([pd.DataFrame(one) for one in each], axis=1))
    assert "spent, income" in both.attrs["question"]


def test_missing_values_are_counted_by_their_owners(asked):
    parts, frame = asked
    found, truth = frame.missing(), pooled(parts)
    assert list(found.index) == [
        *(("bank", name) for name in ("income", "age", "sector", "default")),
        *(("shop", name) for name in ("visits", "spent", "region")),
    ]
    assert (found["rows"] == len(truth)).all()
    assert truth.isna().any(axis=None)
    for (_, name), count in found["missing"].items():
        hidden = np.isnan(count) and 0 < truth[name].isna().sum() < 5
        assert hidden or count == truth[name].isna().sum()
    assert found.plot().data[0]["type"] == "bar"


def test_refusals_across_owners_name_owners_that_exist():
    table = people(60)
    parts = fl.split_columns(
        table, id="customer", target="default", clinic=["age", "default"], lab=["visits", "region"]
    )
    frame = fl.PrivateFrame(federation(parts))
    mask = frame["age"] > 30
    for question in (lambda: frame[mask], lambda: frame.query("age > 30"), frame.drift, frame.cov):
        with pytest.raises(RuleError, match=r'frame\.of\("clinic"\)') as caught:
            question()
        assert "bank" not in str(caught.value)
    groups = frame.groupby("default")
    assert groups["age"].mean().shape[0] == 2
    with pytest.raises(RuleError, match="by default at 'clinic', and 'visits' lies at 'lab'"):
        groups["visits"]
    with pytest.raises(SettingError, match="no column 'nothing'"):
        groups["nothing"]


def host(**settings):
    return pd.DataFrame({"id": range(20), "x0": np.arange(20) / 7, "x1": np.arange(20) / 3, **settings})


def test_equal_names_are_told_apart_by_the_line_that_the_error_gives():
    guest = fl.DataOwner("guest", host(y=["a", "b"] * 10), id="id", target="y")
    with pytest.raises(SchemaError) as caught:
        fl.Federation([fl.DataOwner("host", host(), id="id"), guest])
    assert "'x0', and 1 more" in caught.value.what
    line = 'frame.rename(columns=lambda c: c if c == "id" else f"host {c}")'
    assert line.replace('"', "'") in caught.value.do
    renamed = eval(line, {"frame": host()})  # as a user would run it
    assert list(renamed.columns) == ["id", "host x0", "host x1"]
    assert fl.Federation([fl.DataOwner("host", renamed, id="id"), guest]).names == ("host", "guest")


def test_a_model_of_trees_shows_them_and_what_columns_gained():
    fed, last, strategy = case("trees")
    made = model("trees")
    assert str(made.tree(0)) == str(strategy.tree(last.state, 0))
    assert made.tree(1, shown=fed.names)._repr_html_() == strategy.tree(last.state, 1, shown=fed.names)._repr_html_()
    pd.testing.assert_frame_equal(made.importance(fed), strategy.importance(fed, last.state))
    named = made.importance(fed, hide_names=False)
    assert set(named["feature"]) <= {c.name for c in fed.schema.features}
    with pytest.raises(SettingError, match="Tree 9"):
        made.tree(9)


@pytest.mark.parametrize("asked", ["tree", "importance"])
def test_a_model_without_trees_says_so(asked):
    fed, *_ = case("logistic")
    with pytest.raises(RuleError) as caught:
        getattr(model(), asked)(*[fed] * (asked == "importance"))
    assert_teaches(caught, asked, "LogisticRegression", "SecureBoost")


@pytest.mark.parametrize(
    "strategy",
    [
        fl.vertical.SecureBoost("bank"),
        fl.vertical.LogisticRegression("bank", key_holder=False),
        fl.vertical.Transfer("bank"),
    ],
)
def test_no_key_holder_is_asked_for_where_an_owner_opens(strategy):
    with pytest.raises(RuleError, match="nothing is encrypted") as caught:
        fl.rounds(fl.Federation(owners(people(60))), strategy, num_rounds=1)
    assert_teaches(caught, type(strategy).__name__, 'encrypt=fl.CKKS("deep").')
    assert "key holder" not in str(caught.value)
