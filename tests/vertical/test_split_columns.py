"""One table into owners of columns: who holds what, how much they share, and what is refused."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fedlab_nb as fl
from fedlab_nb.errors import SchemaError, SettingError
from fedlab_nb.parties.columns.split import split_columns
from tests.vertical.common import BANK, SHOP, owners, people, pooled, tables


@given(st.floats(0, 1), st.integers(2, 3), st.integers(0, 50))
@settings(max_examples=15, deadline=None)
def test_owners_share_the_overlap_and_nothing_else(overlap, parties, seed):
    frame = people(60)
    held = tables(owners(frame, parties=parties, overlap=overlap, seed=seed))
    ids = [set(table["customer"]) for table in held.values()]
    common = round(overlap * 60 + 1e-9)
    assert abs(len(set.intersection(*ids)) - common) <= 1
    assert set.union(*ids) == set(frame["customer"])
    assert sum(map(len, ids)) == 60 + len(set.intersection(*ids)) * (parties - 1)


def test_every_cell_is_where_it_was():
    frame = people()
    for table in tables(owners()).values():
        names = [name for name in table.columns if name != "customer"]
        found = table.set_index("customer")[names].sort_index()
        expected = frame.set_index("customer").loc[found.index, names]
        pd.testing.assert_frame_equal(found, expected, check_dtype=False)


def test_rows_are_in_an_order_of_their_own_and_repeat_with_the_seed():
    first, again, other = (tables(owners(seed=seed)) for seed in (1, 1, 2))
    assert first["bank"].equals(again["bank"])
    assert set(first["bank"]["customer"]) != set(other["bank"]["customer"])
    common = set(first["bank"]["customer"]) & set(first["shop"]["customer"])
    order = {name: [each for each in table["customer"] if each in common] for name, table in first.items()}
    assert order["bank"] != order["shop"]


def test_made_up_ids_find_the_same_rows():
    parts = split_columns(people().drop(columns="customer"), bank=BANK, shop=SHOP, seed=3)
    assert [owner.id for owner in parts] == ["id", "id"]
    joined = pooled([*parts])
    truth = people().set_index(["income", "age"])["visits"]
    assert (truth.loc[list(zip(joined["income"], joined["age"], strict=True))].to_numpy() == joined["visits"]).all()


def test_the_owner_of_the_target_has_the_labels():
    bank, shop = owners()
    assert (bank.target, shop.target) == ("default", "")
    assert bank.schema.target.categories == ("no", "yes")
    assert shop.schema.categorical[0].categories == ("isle", "north", "south")
    named = split_columns(people(), bank=BANK, shop=SHOP, id="customer", target="spent")
    assert [owner.target for owner in named] == ["", "spent"]
    nobody = split_columns(people(), a=["income"], b=["visits"], id="customer", target="default")
    assert [owner.target for owner in nobody] == ["", ""]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"bank": ["income", "nothing"], "shop": SHOP}, "'nothing'.*not in the frame"),
        ({"bank": BANK, "shop": ["income"]}, "'income'.*at 'bank' already"),
        ({"bank": BANK, "shop": ["customer"]}, "'customer'.*as the id"),
        ({"bank": BANK}, "1 owner was named"),
        ({}, "0 owners were named"),
        ({"bank": BANK, "shop": []}, "'shop' was given"),
        ({"bank": BANK, "shop": "visits"}, "'shop' was given"),
        ({"bank": BANK, "server": SHOP}, "'server' was given"),
        ({"bank": BANK, "shop": SHOP, "overlap": 1.5}, "overlap=1.5"),
        ({"bank": BANK, "shop": SHOP, "shuffle": "yes"}, "shuffle='yes'"),
        ({"bank": BANK, "shop": SHOP, "seed": -1}, "seed=-1"),
    ],
)
def test_what_does_not_fit_is_refused(settings, words):
    with pytest.raises(SettingError, match=words):
        split_columns(people(), id="customer", **settings)


def frame_of(ids):
    return pd.DataFrame({"who": ids, "x": np.arange(len(ids), dtype=float)})


@pytest.mark.parametrize(
    ("ids", "words"),
    [
        ([1, 2, 2, 3], "repeats earlier ids in 1 of 4"),
        (["a", "a ", "b"], "repeats earlier ids in 1 of 3"),
        (["a", None, "b"], "missing in 1 of 3"),
        ([1.0, 2.0, 3.5], "holds float"),
        ([1, "b", "c"], "holds int, str"),
        (["a", "  ", "c"], "empty text"),
        (pd.to_datetime(["2020-01-01", "2020-01-02", "2020-01-03"]), "holds Timestamp"),
        ([True, False, True], "holds bool"),
    ],
)
def test_ids_that_cannot_tell_rows_apart_are_refused_with_the_owner_named(ids, words):
    with pytest.raises(SchemaError, match=f"'Shop' (is )?{words}") as caught:
        fl.DataOwner("Shop", frame_of(ids), id="who")
    assert "2020" not in str(caught.value)
    assert "3.5" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({}, SettingError, "neither a target nor an id"),
        ({"id": "nobody"}, SchemaError, "'nobody' of 'Shop' is not there"),
        ({"id": "x", "target": "x"}, SchemaError, "is its target as well"),
    ],
)
def test_an_owner_needs_a_target_or_an_id_of_its_own(settings, error, words):
    with pytest.raises(error, match=words):
        fl.DataOwner("Shop", frame_of([1, 2, 3]), **settings)


def test_an_owner_needs_a_column_beside_its_id():
    with pytest.raises(SchemaError, match="no column but the id"):
        fl.DataOwner("Shop", frame_of([1, 2, 3])[["who"]], id="who")
    with pytest.raises(SchemaError, match="no column but the id and the target"):
        fl.DataOwner("Shop", frame_of([1, 2, 3]), id="who", target="x")


def test_an_owner_of_columns_shows_facts_and_no_row():
    shop = owners()[1]
    assert (
        repr(shop) == "DataOwner('shop', 2 numeric and 1 categorical columns, no target, id 'customer', rows private)"
    )
    assert "no target" in repr(shop.schema)
    assert "another owner has it" in shop._repr_html_()
    assert list(shop.mock(3).columns) == ["customer", *SHOP]
    assert list(shop.mock(3)["customer"]) == ["id 1", "id 2", "id 3"]
    with pytest.raises(fl.errors.PrivateDataError):
        _ = shop.customer


def test_which_rows_are_held_out_follows_from_the_ids_alone():
    sides = [
        owner._inside(lambda rows: [set(side) for side in rows.ids], stage="test") for owner in owners(people(900))
    ]
    common = (sides[0][0] | sides[0][1]) & (sides[1][0] | sides[1][1])
    assert sides[0][1] & common == sides[1][1] & common
    assert 0.1 < len(sides[0][1] & common) / len(common) < 0.3
