"""fl.split_rows by a partitioner: who gets which rows, what they are called, and which columns they keep."""

import numpy as np
import pandas as pd
import pytest

from fedlab_nb.data import breast_cancer, clinics, traffic
from fedlab_nb.data.partitioners import IID, Dirichlet, Natural, Shards, TimeSplit
from fedlab_nb.errors import SchemaError, SettingError
from fedlab_nb.parties.split import split_rows
from tests.rounds.common import assert_teaches


def rows_of(owner):
    return owner._inside(lambda rows: pd.concat([rows.training[0], rows.held_out[0]]), stage="look")


def areas(owners):
    return [sorted(rows_of(owner)["mean_area"]) for owner in owners]


@pytest.mark.parametrize(
    ("skew", "by"), [(0.0, IID()), (0.5, Dirichlet(1.0)), (0.8, Dirichlet(0.25)), (1.0, Shards(1))]
)
def test_skew_is_short_for_a_partitioner(skew, by):
    frame = breast_cancer()
    assert areas(split_rows(frame, skew=skew, seed=4)) == areas(split_rows(frame, by=by, seed=4))


def test_natural_owners_are_called_by_their_values_and_do_not_keep_the_column():
    owners = split_rows(clinics(), by=Natural("clinic"))
    assert [owner.name for owner in owners] == ["East", "North", "South", "West"]
    sizes = clinics().groupby("clinic").size()
    assert [len(rows_of(owner)) for owner in owners] == sizes.tolist()
    assert "clinic" not in [column.name for column in owners[0].schema.features]
    assert len({owner.schema for owner in owners}) == 1


def test_natural_owners_may_be_called_otherwise_but_are_as_many_as_the_values():
    assert [o.name for o in split_rows(clinics(), by=Natural("clinic"), names=list("ABCD"))] == list("ABCD")
    with pytest.raises(SettingError) as caught:
        split_rows(clinics(), owners=3, by=Natural("clinic"))
    assert_teaches(caught, "'clinic'", 4, 3)


def test_a_target_that_divides_the_owners_stays():
    owners = split_rows(clinics(), by=Natural("diagnosis"))
    assert [owner.name for owner in owners] == ["healthy", "ill"]
    assert owners[0].target == "diagnosis"


def test_periods_of_dates_become_owners_though_no_model_takes_a_date():
    frame = clinics().assign(visit=pd.Timestamp("2026-01-01") + pd.to_timedelta(np.arange(600), unit="h"))
    frame.attrs["target"] = "diagnosis"
    owners = split_rows(frame, owners=3, by=TimeSplit("visit"))
    assert [len(rows_of(owner)) for owner in owners] == [200, 200, 200]
    assert "visit" not in [column.name for column in owners[0].schema.features]
    first = sorted(frame["cholesterol"].iloc[:200].dropna())
    assert sorted(rows_of(owners[0])["cholesterol"].dropna()) == first


def test_junctions_forecast_a_number():
    owners = split_rows(traffic(days=7), by=Natural("junction"))
    assert [owner.name for owner in owners][:2] == ["Junction A", "Junction B"]
    assert {owner.schema.target.kind for owner in owners} == {"numeric"}


def test_rows_without_a_target_are_left_out_before_they_are_divided():
    frame = clinics()
    frame.loc[:9, "diagnosis"] = None
    assert sum(len(rows_of(owner)) for owner in split_rows(frame, by=Dirichlet(0.5))) == len(frame) - 10


def test_a_function_of_ones_own_divides_as_well():
    def halves(frame, owners, rng):
        return np.array_split(np.arange(len(frame)), owners)

    frame = breast_cancer()
    owners = split_rows(frame, owners=2, by=halves)
    assert sorted(rows_of(owners[0])["mean_area"]) == sorted(frame["mean_area"].iloc[:285])


@pytest.mark.parametrize(
    "settings",
    [
        {"by": Dirichlet(1), "skew": 0.5},
        {"by": Dirichlet},
        {"by": "Dirichlet"},
        {"by": 0.3},
        {"by": lambda frame, owners, rng: [np.arange(len(frame))] * owners},
        {"by": lambda frame, owners, rng: None},
        {"by": Natural("age")},
        {"by": Shards(2), "owners": 400},
    ],
)
def test_ways_to_divide_that_do_not_work_are_refused(settings):
    with pytest.raises(SettingError) as caught:
        split_rows(clinics(), **settings)
    assert_teaches(caught)


def test_a_column_that_is_not_there_is_named():
    with pytest.raises(SchemaError, match="'clinc'"):
        split_rows(clinics(), by=Natural("clinc"))
