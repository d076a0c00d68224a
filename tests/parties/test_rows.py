"""How rows are divided, and that they are an owner's own from then on."""

import numpy as np
import pandas as pd

from fedlab_nb.data.intake import load, make_schema
from fedlab_nb.parties.owner import DataOwner
from fedlab_nb.parties.rows import _lots, _numbered, divide


def table(values):
    return pd.DataFrame(values, columns=["a", "b", "c"], copy=False)


def parts_of(owner):
    return owner._inside(
        lambda rows: [rows.content, *(part.to_numpy().tobytes() for part in (*rows.training, *rows.held_out))],
        stage="looking",
    )


def test_what_becomes_of_the_given_numbers_afterwards_does_not_reach_the_owner():
    values = np.random.default_rng(0).normal(size=(80, 3))
    values[:, 2] = values[:, 0] > 0
    untouched = DataOwner("A", table(values.copy()), target="c", categories={"c": [0, 1]})
    owner = DataOwner("A", table(values), target="c", categories={"c": [0, 1]})
    values[:] = 7.0
    assert parts_of(owner) == parts_of(untouched)


def test_taking_data_in_leaves_the_given_frame_as_it_was():
    frame = table(np.random.default_rng(0).normal(size=(80, 3))).assign(
        born=pd.Timestamp("2001-02-03"), name=[f"Ann {i}" for i in range(80)]
    )
    frame.attrs["from"] = "the ward"
    before = frame.copy(deep=True)
    DataOwner("A", frame, target="c", id=["name", "born"])
    mine = load(frame)
    mine["a"] = 0.0
    pd.testing.assert_frame_equal(frame, before, check_exact=True)
    assert frame.attrs == {"from": "the ward"}
    assert mine.attrs == {}


def test_equal_rows_are_numbered_in_their_order():
    hashes = np.array([5, 3, 5, 5, 2**64 - 1, 3, 0], dtype=np.uint64)
    assert _numbered(hashes).tolist() == [0, 0, 1, 2, 0, 1, 0]
    drawn = np.random.default_rng(0).integers(0, 9, 500).astype(np.uint64)
    assert _numbered(drawn).tolist() == pd.Series(drawn).groupby(drawn).cumcount().tolist()


def test_equal_rows_go_to_either_side_and_another_row_moves_none_of_them():
    twins = np.full(4000, 11, dtype=np.uint64)
    away = _lots(twins) < 0.25
    assert 0.2 < away.mean() < 0.3
    assert np.array_equal(_lots(np.append(np.uint64(3), twins))[1:] < 0.25, away)


def test_each_row_with_a_target_is_on_one_side_in_the_order_given():
    frame = table(np.arange(300.0).reshape(100, 3))
    frame.loc[::9, "c"] = np.nan
    rows = divide(frame, make_schema(frame, "A", "c"), "A", 0.3)
    sides = [features["a"].tolist() for features, _ in (rows.training, rows.held_out)]
    assert all(side == sorted(side) and side for side in sides)
    assert sorted(sides[0] + sides[1]) == frame["a"][frame["c"].notna()].tolist()
    for features, target in (rows.training, rows.held_out):
        assert target.tolist() == (features["a"] + 2.0).tolist()
