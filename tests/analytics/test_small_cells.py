"""Exact answers show no count from 1 to 4, and none that such a count could be worked out from."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fedlab_nb as fl
from fedlab_nb.analytics import PrivateFrame
from fedlab_nb.analytics.questions.contrasts import information_value, woe
from fedlab_nb.analytics.questions.small import hide, levelled, merged
from tests.analytics.common import repeated, split

COUNTS = st.lists(st.integers(0, 12), min_size=1, max_size=8).map(lambda values: np.array(values, dtype=float))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=3), st.data())
def test_what_is_hidden_cannot_be_worked_out_from_sums_along_any_axis(shape, data):
    size = int(np.prod(shape))
    counts = np.array(data.draw(st.lists(st.integers(0, 12), min_size=size, max_size=size)), dtype=float).reshape(shape)
    shown = hide(counts)
    hidden = np.isnan(shown)
    small = (counts > 0) & (counts < 5)
    assert hidden[small].all()
    assert not small.any() or not (shown == 0).any()
    assert small.any() or not hidden.any()
    for axis in range(counts.ndim):
        lines, seen = (np.moveaxis(values, axis, -1).reshape(-1, shape[axis]) for values in (counts, hidden))
        for line, held in zip(lines, seen, strict=True):
            if held.any() and (line[~held] > 0).any():
                assert held.sum() >= 2
                assert line[held].sum() >= 5
    assert np.array_equal(hide(shown), shown, equal_nan=True)


@settings(max_examples=100, deadline=None)
@given(COUNTS)
def test_levelled_counts_keep_their_sum_and_show_no_small_cell(counts):
    level = levelled(counts)
    hidden = np.isnan(hide(counts))
    assert level.sum() == pytest.approx(counts.sum() if counts[hidden].sum() >= 5 else counts[~hidden].sum())
    assert np.array_equal(level[~hidden], counts[~hidden])


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 2), st.integers(1, 6), st.data())
def test_time_gets_coarser_until_no_group_has_a_small_cell(groups, bins, data):
    size = groups * bins * 2
    counts = np.array(data.draw(st.lists(st.integers(0, 9), min_size=size, max_size=size)), dtype=float)
    shown = merged(counts.reshape(groups, bins, 2))
    seen = ~np.isnan(shown)
    assert not ((shown[seen] > 0) & (shown[seen] < 5)).any()
    assert (seen.all(axis=(0, 2)) == seen.any(axis=(0, 2))).all()
    if seen.any():
        assert np.nansum(shown, axis=1) == pytest.approx(counts.reshape(groups, bins, 2).sum(axis=1))
    assert np.array_equal(merged(shown), shown, equal_nan=True)


def rare():
    """Forty rows, of which three have a rare value and two a value of their own."""
    rows = [("a", 1.0, "no")] * 20 + [("b", 2.0, "yes")] * 15 + [("c", 30.0, "no")] * 3 + [("d", 4.0, "yes")] * 2
    return pd.DataFrame(rows, columns=["letter", "x", "ill"])


LETTERS = {"letter": ["a", "b", "c", "d"]}


@pytest.fixture
def frame():
    return PrivateFrame(split(rare(), 2, "ill", categories=LETTERS))


def test_small_categories_are_not_shown_nor_a_single_one(frame):
    answer = frame.value_counts("letter")
    assert answer["count"].isna().sum() == 2
    assert "&lt;5" in answer.plot()._repr_mimebundle_()["image/svg+xml"]
    assert [mark.text for mark in answer.plot().layout.annotations] == ["&lt;5"] * 2
    assert "&lt;5" in answer._repr_html_()
    merged_in = PrivateFrame(split(rare().replace({"d": "c"}).iloc[:38], 2, "ill", categories=LETTERS))
    alone = merged_in.value_counts("letter")
    assert set(alone.index[alone["count"].isna()]) == {"b", "c", "d"}


def test_statistics_of_few_rows_are_not_shown(frame):
    few = frame[frame["letter"] == "c"]
    for asked in (few.count, few["x"].mean, few["x"].sum, few["x"].std, few["x"].median):
        assert np.isnan(asked())
    assert few.describe().isna().all().all()
    assert few[["x"]].corr().isna().all().all()
    assert np.isnan((frame["letter"] == "c").sum())
    assert np.isnan((frame["letter"] == "c").mean())


def test_small_groups_are_not_shown(frame):
    answer = frame.groupby("letter")["x"].mean()
    hidden = answer.index[answer["mean"].isna()]
    assert {"c", "d"} <= set(hidden)
    assert answer["rows"].isna().equals(answer["mean"].isna())


def test_quantiles_need_five_rows_on_either_side(frame):
    answer = frame["x"].quantile([0.1, 0.5, 0.9])
    assert list(answer["x"].isna()) == [True, False, True]


def test_one_owner_keeps_small_cells_back_before_anything_leaves():
    federation = split(rare(), 2, "ill", categories=LETTERS)
    federation = fl.Federation(federation.owners, encrypt=fl.CKKS())  # sums are then no reading matter
    name = federation.names[0]
    frame = PrivateFrame(federation, owner=name)
    frame.value_counts("letter")
    frame[frame["letter"] == "c"]["x"].mean()
    frame.crosstab("letter", "ill")
    frame.missing()
    PrivateFrame(federation).drift()
    for message in federation.seen_by("server").messages:
        if message.sender == name and isinstance(message.payload, np.ndarray):
            sent = np.asarray(message.payload)
            assert not ((sent > 0) & (sent < 5) & (sent == np.round(sent))).any(), message.kind


def test_an_owner_names_no_rare_category():
    federation = split(rare(), 2, "ill")
    answer = PrivateFrame(federation).value_counts("letter")
    assert set(answer.index) == {"a", "b"}
    lists = [m.payload for m in federation.seen_by("server").messages if m.kind == "value list"]
    assert lists
    assert all(set(json.loads(sent)["letter"]) <= {"a", "b"} for sent in lists)


def test_a_small_group_cannot_be_completed_from_groups_by_fewer_keys():
    sizes = {("m", "a"): 30, ("m", "b"): 1, ("f", "a"): 6, ("f", "b"): 25, ("x", "a"): 40, ("x", "b"): 40}
    rows = [(s, d, float(i % 7), "yn"[i % 2]) for (s, d), n in sizes.items() for i in range(n)]
    frame = PrivateFrame(split(pd.DataFrame(rows, columns=["s", "d", "v", "y"]), 2, "y"))
    for which in ("sum", "mean", "std", "count"):
        answer = getattr(frame.groupby(["s", "d"])["v"], which)()
        hidden = answer[which].isna()
        assert hidden.loc[("m", "b")]
        assert all(hidden.groupby(level=key).sum().loc[value] >= 2 for key, value in (("s", "m"), ("d", "b")))
        assert "rows" not in answer or answer["rows"].isna().equals(hidden)


def test_empty_bins_do_not_tell_where_the_rows_are(frame):
    fine = frame.histogram("x", [float(e) for e in np.arange(0, 40, 0.5)])
    assert not (fine["count"] == 0).any()
    assert "not shown" in fine.plot()._repr_mimebundle_()["image/svg+xml"]
    assert list(frame.histogram("x", [0, 3, 3.5, 5, 40])["count"].isna()) == [False, True, True, True]
    assert list(frame.histogram("x", [0.5, 1.5, 1.7, 2.5])["count"]) == [20, 0, 15]


@pytest.mark.parametrize("alone", [False, True])
def test_evidence_is_computed_from_what_is_shown(alone):
    table = repeated([(v, "yes" if v > 6 else "no", "ab"[v % 2]) for v in range(10)], ["x", "ill", "letter"], 24)
    table.loc[:1, "ill"] = "yes"
    federation = split(table, 2, "ill", categories={"letter": ["a", "b", "c"]})
    answer = PrivateFrame(federation, owner=federation.names[0] if alone else None).woe("ill", "yes", bins=5)
    for column in ("x", "letter"):
        part = answer.loc[column]
        counts = part[["events", "others"]].to_numpy()
        assert not ((counts > 0) & (counts < 5)).any()
        assert part["iv"].iloc[0] == pytest.approx(information_value(counts))
        np.testing.assert_allclose(part["woe"], woe(counts))
        if not alone:
            assert list(counts.sum(axis=0)) == [(table["ill"] == v).sum() for v in ("yes", "no")]
    assert len(answer.loc["x"]) < 5
    assert "put together" in answer.attrs["note"]


def test_drift_between_owners_evens_small_cells_out():
    federation = split(rare(), 2, "ill", categories=LETTERS)
    answer = PrivateFrame(federation).drift(["letter", "ill"])
    assert np.isfinite(answer[["psi", "js distance"]]).all().all()
    assert isinstance(federation, fl.Federation)
