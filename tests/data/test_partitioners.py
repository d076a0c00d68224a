"""Laws of every partitioner, and what each of them in particular promises."""

from dataclasses import FrozenInstanceError
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedlab_nb.data import clinics, digits
from fedlab_nb.data.partitioners import (
    IID,
    Continuous,
    Dirichlet,
    Exponential,
    Linear,
    Natural,
    Pathological,
    Shards,
    Square,
    TimeSplit,
    skewed,
)
from fedlab_nb.data.partitioners.rules import check_parts, labels_of
from fedlab_nb.data.partitioners.tally import out_of_place, tally
from fedlab_nb.errors import SchemaError, SettingError
from tests.rounds.common import assert_teaches

EVERY = [
    IID(),
    Linear(),
    Square(),
    Exponential(),
    Dirichlet(0.3),
    Dirichlet(1e-3),
    Dirichlet(1e6, min_rows=5),
    Shards(),
    Shards(1),
    Pathological(1),
    Pathological(2),
    Continuous("x"),
    Continuous("x", 0.5),
    TimeSplit("when"),
    TimeSplit("x"),
]
SHUFFLED = [partitioner for partitioner in EVERY if not isinstance(partitioner, TimeSplit | Continuous)]


def rng(seed=0):
    return np.random.default_rng(seed)


def table(rows, labels=4, seed=0):
    random = rng(seed)
    return pd.DataFrame(
        {
            "x": random.normal(size=rows).round(1),
            "when": pd.Timestamp("2026-01-01") + pd.to_timedelta(random.integers(0, 10, rows), unit="D"),
            "label": random.permutation(np.arange(rows) % labels),
        }
    )


@pytest.mark.parametrize("partitioner", EVERY, ids=repr)
@settings(max_examples=12, deadline=None)
@given(rows=st.integers(24, 90), owners=st.integers(4, 9), seed=st.integers(0, 99))
def test_every_row_goes_to_exactly_one_owner_and_nobody_is_left_with_too_few(partitioner, rows, owners, seed):
    frame = table(rows, seed=seed)
    before = frame.copy(deep=True)
    parts = partitioner(frame, owners, rng(seed))
    assert len(parts) == owners
    assert sorted(np.concatenate(parts).tolist()) == list(range(rows))
    assert all(part.dtype == np.intp and np.array_equal(part, np.sort(part)) for part in parts)
    assert min(map(len, parts)) >= 2
    pd.testing.assert_frame_equal(frame, before)


@pytest.mark.parametrize("partitioner", EVERY, ids=repr)
def test_equal_seeds_divide_equally_and_others_do_not(partitioner):
    frame = table(90)

    def divided(seed):
        return [part.tolist() for part in partitioner(frame, 5, rng(seed))]

    assert divided(3) == divided(3)
    # Sorting without noise leaves nothing but ties to chance, so that a few seeds are needed to see any.
    assert any(divided(seed) != divided(3) for seed in range(4, 20))


@pytest.mark.parametrize("partitioner", SHUFFLED, ids=repr)
def test_the_order_of_rows_changes_who_gets_which_but_not_how_uneven_it_is(partitioner):
    frame = table(240)
    turned = frame.sort_values("label", kind="stable").reset_index(drop=True)

    def unevenness(of):
        labels = labels_of(of)
        return np.mean([out_of_place(tally(labels, partitioner(of, 6, rng(seed)))) for seed in range(60)])

    assert unevenness(frame) == pytest.approx(unevenness(turned), abs=0.05)


@pytest.mark.parametrize("partitioner", [p for p in EVERY if not isinstance(p, Pathological)], ids=repr)
def test_as_many_owners_as_rows_is_the_most(partitioner):
    frame = table(12)
    shards = partitioner.per_owner if isinstance(partitioner, Shards) else 1
    assert all(len(part) == shards for part in partitioner(frame, 12 // shards, rng()))
    for owners in (13, 0, -1, 2.5, True, "3", None):
        with pytest.raises(SettingError) as caught:
            partitioner(frame, owners, rng())
        assert_teaches(caught, 12)


def test_iid_sizes_differ_by_one_row_at_most():
    sizes = [len(part) for part in IID()(table(103), 10, rng())]
    assert sorted(set(sizes)) == [10, 11]


@pytest.mark.parametrize(
    ("partitioner", "weight"), [(Linear(), lambda i: i), (Square(), lambda i: i**2), (Exponential(), np.exp)]
)
def test_sizes_follow_their_rule_to_the_row(partitioner, weight):
    rows, owners = 5000, 6
    weights = weight(np.arange(1.0, owners + 1))
    expected = np.floor(rows * weights / weights.sum()).astype(int)
    expected[-1] += rows - expected.sum()
    assert [len(part) for part in partitioner(table(rows), owners, rng())] == expected.tolist()


def test_exponential_sizes_stay_finite_for_a_thousand_owners():
    sizes = [len(part) for part in Exponential()(table(5000), 1000, rng())]
    assert min(sizes) == 2
    # 63 % of the rows, less the two that nearly all others were filled up with.
    assert sizes[-1] == max(sizes) > 0.63 * 5000 - 2 * 1000


def test_a_large_alpha_is_as_even_as_chance_and_a_small_one_leaves_each_label_to_one_owner():
    frame = table(4000)
    labels = labels_of(frame)
    even, chance, uneven = (
        tally(labels, partitioner(frame, 5, rng())) for partitioner in (Dirichlet(1e6), IID(), Dirichlet(1e-3))
    )
    assert out_of_place(even) < 0.005 < out_of_place(chance) < 0.05
    # But for the rows that fill up those who got nothing.
    assert (np.sort(uneven, axis=0)[-1] >= 0.99 * uneven.sum(axis=0)).all()


def test_dirichlet_shares_have_the_mean_and_variance_of_the_distribution():
    frame, owners, alpha = table(1200, labels=3), 4, 0.7
    labels = labels_of(frame)
    shares = np.array(
        [tally(labels, Dirichlet(alpha, min_rows=1)(frame, owners, rng(seed)))[:, 0] / 400 for seed in range(400)]
    )
    mean = 1 / owners
    assert shares.mean(axis=0) == pytest.approx(np.full(owners, mean), abs=0.04)
    assert shares.var(axis=0) == pytest.approx(np.full(owners, mean * (1 - mean) / (owners * alpha + 1)), rel=0.2)


def test_renaming_labels_does_not_change_a_dirichlet_division():
    frame = table(300)
    renamed = frame.assign(label=frame["label"].map({0: "z", 1: "b", 2: "x", 3: "a"}))
    one, other = (Dirichlet(0.5)(f, 5, rng()) for f in (frame, renamed))
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_min_rows_is_kept_where_there_are_enough_rows():
    sizes = [len(part) for part in Dirichlet(0.01, min_rows=20)(table(300), 10, rng())]
    assert min(sizes) >= 20
    assert min(len(part) for part in Dirichlet(0.01, min_rows=99)(table(300), 10, rng())) == 30


@settings(max_examples=25, deadline=None)
@given(owners=st.integers(2, 20), per_owner=st.integers(1, 3), seed=st.integers(0, 99))
def test_shards_are_equal_and_hold_few_labels(owners, per_owner, seed):
    frame = table(400, labels=5, seed=seed)
    parts = Shards(per_owner)(frame, owners, rng(seed))
    counts = tally(labels_of(frame), parts)
    sizes = counts.sum(axis=1)
    assert sizes.max() - sizes.min() <= per_owner
    # A run of consecutive rows of the sorted table crosses at most so many borders between the 5 labels of 80 rows.
    assert ((counts > 0).sum(axis=1) <= per_owner * (2 + (400 // (owners * per_owner)) // 80)).all()


def test_mnists_own_shards_give_each_of_100_owners_two_digits_of_300_rows():
    # As many rows of each digit as a multiple of a shard, so that no shard crosses a border.
    frame = pd.DataFrame({"pixel": 0.0, "digit": np.repeat(np.arange(10), 600)})
    parts = Shards(2)(frame, 100, rng())
    counts = tally(labels_of(frame), parts)
    assert set(counts.ravel().tolist()) <= {0, 30, 60}
    assert (counts.sum(axis=1) == 60).all()


@settings(max_examples=25, deadline=None)
@given(owners=st.integers(2, 20), classes=st.integers(1, 4), seed=st.integers(0, 99))
def test_pathological_owners_see_exactly_as_many_labels_as_asked_and_share_them_evenly(owners, classes, seed):
    frame = table(600, labels=4, seed=seed)
    if owners * classes < 4:
        with pytest.raises(SettingError, match="every label needs an owner"):
            Pathological(classes)(frame, owners, rng(seed))
        return
    counts = tally(labels_of(frame), Pathological(classes)(frame, owners, rng(seed)))
    assert ((counts > 0).sum(axis=1) == classes).all()
    for held in counts.T:
        given_rows = held[held > 0]
        assert given_rows.max() - given_rows.min() <= 1


@pytest.mark.parametrize(("classes", "owners"), [(5, 8), (2, 300)])
def test_pathological_divisions_that_cannot_be_are_refused(classes, owners):
    with pytest.raises(SettingError) as caught:
        Pathological(classes)(table(400, labels=4), owners, rng())
    assert_teaches(caught)


def test_natural_is_what_groupby_gives():
    frame = clinics()
    groups = {name: rows.tolist() for name, rows in frame.groupby("clinic").indices.items()}
    names = Natural("clinic").names(frame)
    assert names == ["East", "North", "South", "West"]
    assert [part.tolist() for part in Natural("clinic")(frame, 4, rng())] == [groups[name] for name in names]


def test_natural_keeps_the_order_of_categories_and_of_numbers():
    frame = pd.DataFrame({"a": pd.Categorical(["low", "high", "low"], ["low", "middle", "high"]), "b": [10, 9, 10]})
    assert Natural("a").names(frame) == ["low", "high"]
    assert Natural("b").names(frame) == ["9", "10"]


@pytest.mark.parametrize("column", ["when", "x", "day"])
def test_periods_follow_each_other(column):
    frame = table(100).assign(day=lambda f: f["when"].dt.date)
    parts = TimeSplit(column)(frame, 7, rng())
    ends = [(frame[column].iloc[part].min(), frame[column].iloc[part].max()) for part in parts]
    assert all(before[1] <= after[0] for before, after in pairwise(ends))
    assert {len(part) for part in parts} == {14, 15}


def test_continuous_sorts_by_its_column_as_strictly_as_asked():
    frame = pd.DataFrame({"x": rng().normal(size=3000), "y": 0})

    def order(strictness):
        parts = Continuous("x", strictness)(frame, 10, rng(1))
        return np.corrcoef(np.arange(10), [frame["x"].iloc[part].mean() for part in parts])[0, 1], parts

    assert order(1.0)[0] > 0.95
    assert [frame["x"].iloc[part].max() for part in order(1.0)[1]] == pytest.approx(
        np.sort(frame["x"])[299::300].tolist()
    )
    spread = [np.ptp([frame["x"].iloc[part].mean() for part in order(s)[1]]) for s in (0.0, 0.4, 0.7, 1.0)]
    assert spread == sorted(spread)
    assert spread[0] < 0.4


def test_a_regression_target_is_divided_by_tenths_of_its_distribution():
    frame = pd.DataFrame({"y": rng().normal(size=2000)})
    labels = labels_of(frame)
    assert np.bincount(labels.codes).tolist() == [200] * 10
    assert labels.names[0].startswith(f"{frame['y'].min():.4g} to ")
    means = sorted(frame["y"].iloc[part].mean() for part in Shards(1)(frame, 4, rng()))
    assert means[-1] - means[0] > 2.0


def test_missing_labels_are_a_label_of_their_own():
    frame = pd.DataFrame({"x": range(40), "y": ["b", None, "a", np.nan] * 10})
    labels = labels_of(frame)
    assert labels.names == ("a", "b", "missing")
    assert np.bincount(labels.codes).tolist() == [10, 10, 20]
    assert sum(map(len, Dirichlet(0.5)(frame, 3, rng()))) == 40


def test_labels_have_an_order_of_their_own_kind():
    assert labels_of(pd.DataFrame({"y": [10, 9, 10]})).names == ("9", "10")
    assert labels_of(pd.DataFrame({"y": [True, False]})).names == ("False", "True")
    assert labels_of(pd.DataFrame({"y": pd.Categorical(["b"], ["b", "a"])})).names == ("b",)


def test_the_target_is_the_frames_own_else_its_last_column_else_another_is_named():
    frame = clinics()
    assert labels_of(frame).names == ("healthy", "ill")
    frame.attrs.clear()
    assert labels_of(frame[["diagnosis", "sex"]]).names == ("female", "male")
    by_sex = tally(labels_of(frame, "sex"), Dirichlet(1e-3, by="sex")(frame, 4, rng()))
    assert (by_sex.max(axis=0) >= 0.98 * by_sex.sum(axis=0)).all()


@pytest.mark.parametrize(
    "partitioner",
    [Dirichlet(1, by="other"), Shards(2, by="other"), Pathological(2, by="other"), Natural("other"),
     TimeSplit("other"), Continuous("other")],
    ids=repr,
)  # fmt: skip
def test_a_column_that_is_not_there_is_named_with_those_that_are(partitioner):
    with pytest.raises(SchemaError) as caught:
        partitioner(table(30), 3, rng())
    assert_teaches(caught, "'other'", "'x', 'when', 'label'")


@pytest.mark.parametrize(
    "partitioner", [Natural("x"), TimeSplit("x"), TimeSplit("text"), Continuous("x"), Continuous("text"),
                    Continuous("same"), Dirichlet(1, by="when"), Natural("label")],
    ids=repr,
)  # fmt: skip
def test_columns_that_cannot_divide_are_refused_without_a_value(partitioner):
    frame = table(30).assign(text="Zanzibar", same=918273.0)
    frame.loc[3, "x"] = np.nan
    with pytest.raises((SchemaError, SettingError)) as caught:
        partitioner(frame, 3, rng())
    assert_teaches(caught, partitioner.by)


@pytest.mark.parametrize(
    "made",
    [lambda: Dirichlet(0), lambda: Dirichlet(-1), lambda: Dirichlet(float("nan")), lambda: Dirichlet("much"),
       lambda: Dirichlet(1e-9), lambda: Dirichlet(1e9), lambda: Dirichlet(True), lambda: Dirichlet(1, by=3),
       lambda: Dirichlet(1, min_rows=0), lambda: Shards(0), lambda: Shards(1.5), lambda: Shards(2, by=0),
       lambda: Pathological(0), lambda: Pathological(2, by=()), lambda: Natural(None), lambda: TimeSplit(5),
       lambda: Continuous("x", 1.1), lambda: Continuous("x", -0.1), lambda: Continuous("x", float("nan")),
       lambda: Continuous("x", None), lambda: Continuous(0), lambda: skewed(1.1), lambda: skewed(-0.1),
       lambda: skewed(float("nan"))],
)  # fmt: skip
def test_settings_that_cannot_work_are_refused_when_they_are_given(made):
    with pytest.raises(SettingError) as caught:
        made()
    assert_teaches(caught)


def test_too_many_shards_are_refused():
    with pytest.raises(SettingError) as caught:
        Shards(5)(table(30), 7, rng())
    assert_teaches(caught, 30, 35)


def test_partitioners_are_frozen_values_with_one_line_and_a_card():
    for partitioner in [*EVERY, Natural("clinic")]:
        assert eval(repr(partitioner), dict(globals())) == partitioner
        assert "\n" not in repr(partitioner)
        card = partitioner._repr_html_()
        assert type(partitioner).__name__ in card
        assert "fl.partition" in card
    with pytest.raises(FrozenInstanceError):
        Dirichlet(0.3).alpha = 1


def test_more_skew_means_that_owners_see_fewer_labels():
    frame = table(2000, labels=5)
    labels = labels_of(frame)
    uneven = [
        np.mean([out_of_place(tally(labels, skewed(skew)(frame, 5, rng(seed)))) for seed in range(12)])
        for skew in (0.0, 0.3, 0.6, 0.9, 1.0)
    ]
    assert uneven == sorted(uneven)
    assert uneven[-1] == pytest.approx(0.8)


def test_out_of_place_is_the_share_of_rows_to_be_moved():
    assert out_of_place(np.array([[5, 5], [1, 1]])) == 0.0
    assert out_of_place(np.array([[3, 1], [1, 3]])) == pytest.approx(2 / 8)
    assert out_of_place(np.eye(10, dtype=int) * 7) == pytest.approx(0.9)


@pytest.mark.parametrize(
    "parts",
    [None, 5, [[0, 1, 2]], [[0, 1], [1, 2]], [[0, 1], []], [[0.0, 1.0], [2.0, 3.0]], [[[0, 1]], [[2, 3]]],
     [[0, 1], [2, 4]]],
)  # fmt: skip
def test_a_partitioner_of_ones_own_that_loses_or_doubles_rows_is_refused(parts):
    with pytest.raises(SettingError) as caught:
        check_parts(parts, 4, 2, "mine")
    assert_teaches(caught, "mine")


def test_a_partitioner_of_ones_own_may_give_lists_in_any_order():
    assert [part.tolist() for part in check_parts(([3, 0], [1, 2]), 4, 2, "mine")] == [[0, 3], [1, 2]]


def test_all_of_mnist_is_divided_quickly_enough_to_play_with():
    frame = pd.concat([digits()] * 33, ignore_index=True)
    frame.attrs["target"] = "digit"
    for partitioner in (IID(), Dirichlet(0.1), Shards(2), Pathological(2), Exponential()):
        assert sum(map(len, partitioner(frame, 100, rng()))) == len(frame)
