import numpy as np
import pandas as pd
import pytest

from fedlab_nb.data import breast_cancer, clinics
from fedlab_nb.errors import SchemaError, SettingError
from fedlab_nb.parties.split import split_rows
from tests.rounds.common import assert_teaches


def rows_of(owner):
    return owner._inside(lambda rows: pd.concat([rows.training[0], rows.held_out[0]]), stage="look")


def test_every_row_goes_to_exactly_one_owner():
    frame = breast_cancer()
    owners = split_rows(frame, owners=5, skew=0.5)
    assert [owner.name for owner in owners] == [f"Owner {n}" for n in range(1, 6)]
    together = pd.concat([rows_of(owner) for owner in owners])
    assert np.allclose(np.sort(together["mean_area"]), np.sort(frame["mean_area"]))
    assert {owner.target for owner in owners} == {"diagnosis"}


def test_equal_seeds_divide_equally_and_others_do_not():
    one, same, other = (rows_of(split_rows(breast_cancer(), seed=seed)[0]) for seed in (0, 0, 1))
    assert one.equals(same)
    assert not one.equals(other)


@pytest.mark.parametrize("skew", [0.0, 0.5, 0.9, 1.0])
def test_all_owners_have_one_schema_with_the_tables_categories_however_skewed(skew):
    owners = split_rows(clinics(), owners=6, skew=skew)
    assert len({owner.schema for owner in owners}) == 1
    schema = owners[0].schema
    assert schema.target.categories == ("healthy", "ill")
    assert schema.features[1].categories == ("female", "male")
    assert all(column.bounds is None for column in schema.features)


def test_bounds_are_declared_only_where_given():
    owners = split_rows(clinics(), bounds={"age": (18, 110)})
    assert [c.bounds for c in owners[0].schema.numeric] == [(18.0, 110.0), None, None]


def test_categories_of_pandas_keep_their_order_and_lose_what_nobody_has():
    frame = pd.DataFrame({"x": range(6), "y": pd.Categorical(list("babbab"), categories=["c", "b", "a"])})
    assert split_rows(frame, owners=2)[0].schema.target.categories == ("b", "a")


def test_the_target_is_the_frames_own_else_its_last_column_else_the_one_named():
    frame = clinics()
    assert split_rows(frame)[0].target == "diagnosis"
    assert split_rows(frame.drop(columns="diagnosis"), target="smoker")[0].target == "smoker"
    plain = pd.DataFrame({"x": range(8), "y": [0, 1] * 4})
    assert split_rows(plain, owners=2)[0].target == "y"


def test_a_number_to_predict_stays_one_at_every_owner():
    frame = pd.DataFrame({"x": range(60), "y": range(60)})
    owners = split_rows(frame, owners=20)
    assert {owner.schema.target.kind for owner in owners} == {"numeric"}


def test_rows_without_a_target_go_to_nobody():
    frame = clinics()
    frame.loc[:9, "diagnosis"] = None
    assert sum(len(rows_of(owner)) for owner in split_rows(frame)) == len(frame) - 10


@pytest.mark.parametrize(
    "settings",
    [
        {"owners": 0},
        {"owners": -3},
        {"owners": 2.0},
        {"owners": 5},
        {"owners": 2, "names": ["A"]},
        {"owners": 2, "names": ["A", "A"]},
        {"owners": 2, "names": ["A", "server"]},
        {"owners": 2, "skew": 2},
        {"owners": True},
        {"owners": "2"},
        {"owners": None},
        {"owners": 2, "skew": "much"},
        {"owners": 2, "skew": None},
        {"owners": 2, "seed": -1},
        {"owners": 2, "seed": 2.5},
        {"owners": 2, "seed": "0"},
        {"owners": 2, "names": 5},
        {"owners": 2, "names": "ab"},
        {"owners": 2, "names": [1, 2]},
        {"owners": 2, "names": [["A"], ["B"]]},
    ],
)
def test_settings_that_do_not_fit_are_refused_by_their_name(settings):
    frame = pd.DataFrame({"x": range(8), "y": [0, 1] * 4})
    with pytest.raises(SettingError) as caught:
        split_rows(frame, **settings)
    assert_teaches(caught)


@pytest.mark.parametrize("bounds", [5, ["x"], {"x": 5}, {"x": None}, {"x": ("low", "high")}, {"x": "09"}, {"x": (0,)}])
def test_bounds_that_are_no_pair_of_numbers_are_blamed_on_the_bounds(bounds):
    frame = pd.DataFrame({"x": range(8), "y": [0, 1] * 4})
    with pytest.raises(SettingError, match="bounds") as caught:
        split_rows(frame, owners=2, bounds=bounds)
    assert_teaches(caught)


def test_a_number_of_owners_may_come_from_numpy():
    assert [owner.name for owner in split_rows(clinics(), np.int64(3))] == ["Owner 1", "Owner 2", "Owner 3"]


def test_a_table_in_a_file_is_split_as_well(tmp_path):
    clinics().to_csv(tmp_path / "all.csv", index=False)
    assert split_rows(tmp_path / "all.csv", owners=2)[0].target == clinics().columns[-1]


def test_a_missing_target_is_named():
    with pytest.raises(SchemaError, match="'outcome'"):
        split_rows(clinics(), target="outcome")


def test_names_may_be_chosen():
    assert [owner.name for owner in split_rows(clinics(), owners=2, names=["North", "South"])] == ["North", "South"]
