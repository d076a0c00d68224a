"""Selecting columns of several owners equals pandas on the pooled table; owners keep columns without showing rows."""

import numpy as np
import pandas as pd
import pytest

import fedlab_nb as fl
from fedlab_nb.analytics.questions.contrasts import information_value
from fedlab_nb.analytics.vertical.selection import inflated
from fedlab_nb.errors import SettingError
from fedlab_nb.parties.columns.keep import keep
from tests.rounds.common import events_of
from tests.vertical.common import federation, owners, people, pooled, tables

NUMBERS = ["income", "age", "visits", "spent"]


def trained(parts):
    """The rows in common that are trained on, joined by their ids."""
    ids = [set(owner._inside(lambda rows: [i.decode() for i in rows.ids[0]], stage="test")) for owner in parts]
    table = pooled(parts)
    return table[table["customer"].isin(set.intersection(*ids))].reset_index(drop=True)


def binned(answer, column, values):
    """The place of the bin of each value, by the bins that an answer tells in full digits."""
    made = next(each for each in answer.attrs["evidence"].columns if each.name == column)
    if made.groups:
        return np.array([next(n for n, group in enumerate(made.groups) if value in group) for value in values])
    edges = [-np.inf, *made.edges, np.inf]
    return pd.cut(values.astype(float), edges, labels=False).to_numpy()


def pooled_values(answer, table):
    """The information value of each column over a pooled table, by the same bins."""
    event = (table["default"] == "yes").to_numpy()
    found = {}
    for name in answer.index.unique("column"):
        codes = binned(answer, name, table[name])
        counts = np.array([np.bincount(codes[event == e], minlength=codes.max() + 1) for e in (True, False)]).T
        found[name] = information_value(counts.astype(float))
    return pd.Series(found)


def pooled_vif(table):
    """The variance inflation factor of each column by regression on the others."""
    found = {}
    for name in table:
        others = np.column_stack([np.ones(len(table)), table.drop(columns=name)])
        rest = table[name] - others @ np.linalg.lstsq(others, table[name], rcond=None)[0]
        found[name] = table[name].var() / rest.var()
    return pd.Series(found)


@pytest.fixture(scope="module")
def asked():
    """(owners, weights of evidence of the rows to train on)."""
    parts = owners(people(400))
    fed = federation(parts)
    return parts, fl.PrivateFrame(fed), fl.PrivateFrame(fed).training.woe("default", "yes", bins=5)


def test_information_values_are_those_of_the_pooled_rows_to_train_on(asked):
    parts, frame, weights = asked
    expected = pooled_values(weights, trained(parts))
    told = weights["iv"].groupby(level="column").first()
    np.testing.assert_allclose(told[expected.index], expected, rtol=1e-12)
    assert f"{len(trained(parts))} rows that all owners have to train on" in weights.attrs["rows"]
    assert frame.training.count() == len(trained(parts)) < frame.count() == len(pooled(parts))
    assert frame.training.of("shop")["spent"].mean() == pytest.approx(trained(parts)["spent"].mean())
    np.testing.assert_allclose(frame.training.corr(NUMBERS), trained(parts)[NUMBERS].astype(float).corr(), atol=1e-6)
    assert "train on" in repr(frame.training)


def test_columns_are_selected_by_information_value_as_on_the_pooled_table(asked):
    parts, frame, weights = asked
    found = frame.training.select("default", "yes", iv=0.1, bins=5)
    values = pooled_values(weights, trained(parts)).sort_values(ascending=False)
    assert found.kept == list(values[values >= 0.1].index)
    assert 0 < len(found.kept) < len(found) == 6
    assert list(found.index) == list(values.index)
    assert found["owner"].to_dict() == {name: frame.owner_of(name) for name in values.index}
    assert set(found["outcome"]) == {"kept", "IV below 0.1"}
    assert list(found.attrs["evidence"].names) != []
    assert set(found.attrs["evidence"].names) == set(found.kept)
    assert f"Kept: {len(found.kept)} of 6 columns" in repr(found)
    assert "IV below 0.1" in found._repr_html_()
    assert found.plot().data[0]["type"] == "bar"


def test_what_others_foretell_goes_next_the_highest_information_value_stays():
    truth = people(400).assign(total=lambda t: t["spent"] + t["income"] / 100)
    parts = owners(truth, shop=["visits", "spent", "total"], target="default")
    fed = federation(parts)
    found = fl.PrivateFrame(fed).select("default", "yes", iv=0.0, vif=5.0, bins=5)
    table, stay, gone = pooled(parts)[[*NUMBERS, "total"]].astype(float), [], []
    for name in [name for name in found.index if name in table]:
        tried = pooled_vif(table[[*stay, name]])
        (stay if tried.max() <= 5.0 else gone).append(name)
    factors = pooled_vif(table[stay])
    assert gone
    assert sorted(found.index[found["outcome"].str.startswith("VIF")]) == sorted(gone)
    np.testing.assert_allclose(found.loc[factors.index, "vif"].astype(float), factors, rtol=1e-4)
    assert found.loc["sector", "outcome"] == "kept", "a category has no such factor"
    assert np.isnan(found.loc["sector", "vif"])
    purposes = [event.purpose for event in events_of(fed, "shop")]
    assert purposes.count("correlations of the columns") == 1
    assert purposes.count("weight of evidence for default = yes") >= 1


def test_of_two_columns_that_foretell_each_other_the_one_with_less_evidence_goes():
    same = pd.DataFrame([[1.0, 1.0, 0.2], [1.0, 1.0, 0.2], [0.2, 0.2, 1.0]], index=list("abc"), columns=list("abc"))
    factors, gone = inflated(same, 10.0)
    assert gone == {"b"}
    assert factors["a"] == pytest.approx(1 / (1 - 0.04))
    unknown = same.mask(np.eye(3) == 1, 1.0)
    unknown.loc["c", "a"] = unknown.loc["a", "c"] = np.nan
    factors, gone = inflated(unknown, 10.0)
    assert gone == set()
    assert np.isnan(factors["a"])


def test_a_column_of_which_no_bin_can_be_shown_is_left_out_and_said_so():
    truth = people(300).assign(rare=0.0)
    truth.loc[[3, 50], "rare"] = 1.0
    truth["kind"] = np.where(truth["rare"] == 1.0, "odd", "plain")
    truth.loc[truth["kind"] == "plain", "kind"] = None
    parts = owners(truth.drop(columns="rare"), shop=["visits", "spent", "kind"], overlap=1.0, target="default")
    found = fl.PrivateFrame(federation(parts)).select("default", "yes")
    assert "not known" in found.loc["kind", "outcome"]
    assert "kind" not in found.attrs["evidence"].names


def test_owners_keep_columns_and_nothing_else_changes():
    parts = owners(people(300))
    kept = keep(parts, ["income", "spent", "visits"])
    assert [owner.name for owner in kept] == ["bank", "shop"]
    assert [[c.name for c in owner.schema.features] for owner in kept] == [["income"], ["visits", "spent"]]
    assert kept[0].target == "default"
    for before, after in zip(tables(parts).values(), tables(kept).values(), strict=True):
        pd.testing.assert_frame_equal(before[list(after)], after)
    first = federation(parts)
    fl.PrivateFrame(first).count()
    second = federation(kept)
    assert len(events_of(second, "bank")) == 1, "what was spent on the same data stays spent"
    assert fl.PrivateFrame(second).count() == len(pooled(parts))
    assert [c.name for c in second.schema.features] == ["income", "visits", "spent"]
    with pytest.raises(AttributeError):
        kept[0].head()


def test_columns_that_cannot_be_kept_are_refused():
    parts = owners(people(60))
    with pytest.raises(SettingError, match="'incme' were to be kept, and no owner"):
        keep(parts, ["incme", "visits"])
    with pytest.raises(SettingError, match="None of the 3 columns of 'shop'"):
        keep(parts, ["income"])
    frame = fl.PrivateFrame(federation(parts))
    for wrong in ({"iv": -1.0}, {"vif": 1.0}, {"iv": True}):
        with pytest.raises(SettingError, match="A selection has"):
            frame.select("default", "yes", **wrong)
