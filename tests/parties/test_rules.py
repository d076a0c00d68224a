import numpy as np
import pandas as pd
import pytest

import fedlab_nb as fl
from fedlab_nb.errors import FedLabError, RuleError, SchemaError, SettingError
from tests.rounds.common import assert_teaches, cells, declared, play

BUDGET = fl.Budget(epsilon=8, delta=1e-3)


def frame(**columns):
    place, ill = ["Zanzibar", "Oslo", "Oslo", "Rome"], ["no", "yes"] * 2
    return pd.DataFrame({"age": [918273.0, 41.0, 52.0, 63.0], "place": place, "ill": ill, **columns})


def pair(first, second, target="ill", other=None):
    return [fl.DataOwner("Clinic A", first, target=target), fl.DataOwner("Clinic B", second, target=other or target)]


def test_frames_that_do_not_fit_name_owner_and_column():
    numbers = frame(place=[1.0, 2.0, 3.0, 564738.0])
    for owners, names in (
        (pair(frame(), frame().drop(columns="age")), ("Clinic B", "age", "Clinic A")),
        (pair(frame(), frame(weight=[1.0] * 4)), ("Clinic A", "weight", "Clinic B")),
        (pair(frame(), numbers), ("place", "category", "numeric", "Clinic B", "float64")),
        (pair(frame(), frame(ill=[0.1, 0.2, 0.3, 0.4])), ("ill", "numeric", "category")),
        (pair(frame(sick=["a", "b"] * 2), frame(sick=["a", "b"] * 2), "ill", "sick"), ("Clinic B", "sick", "ill")),
    ):
        with pytest.raises(SchemaError) as caught:
            fl.Federation(owners)
        assert_teaches(caught, *names)


def test_columns_may_come_in_another_order():
    owners = pair(frame(), frame()[["ill", "place", "age"]][::-1])
    assert [c.name for c in fl.Federation(owners).schema.features] == ["age", "place"]


def test_too_few_owners_or_names_that_clash_are_refused():
    owners = cells(2)
    for given, words in (
        ([], "0 owners"),
        (owners[:1], "1 owner."),
        (owners[0], "1 owner."),
        ([*owners, owners[0]], "'Owner 1'"),
        ([frame(), frame()], "not a DataOwner"),
        (frame(), "not a DataOwner"),
        (None, "not a DataOwner"),
    ):
        with pytest.raises(SettingError) as caught:
            fl.Federation(given)
        assert_teaches(caught, words)


@pytest.mark.parametrize("name", ["server", "Key Holder", " auditor"])
def test_the_names_of_other_parties_are_taken(name):
    with pytest.raises(SettingError) as caught:
        fl.DataOwner(name, frame(), target="ill")
    assert_teaches(caught, name)


@pytest.mark.parametrize(
    "settings",
    [
        {"encrypt": True},
        {"encrypt": fl.CKKS},
        {"budget": 8},
        {"budget": frame()},
        {"protect": fl.RowLevelDP, "budget": BUDGET},
        {"protect": "row"},
        {"noise_seed": -1},
        {"noise_seed": 1.5},
        {"noise_seed": True},
        {"sample_rate": 0.0},
        {"sample_rate": 1.1},
        {"sample_rate": float("nan")},
        {"sample_rate": "1"},
        {"sample_rate": True},
    ],
    ids=str,
)
def test_settings_of_another_kind_are_refused_at_once(settings):
    with pytest.raises(SettingError) as caught:
        fl.Federation(cells(2), **settings)
    assert_teaches(caught, next(iter(settings)))


@pytest.mark.parametrize("protect", [fl.RowLevelDP(), fl.OwnerLevelDP()], ids=["row", "owner"])
def test_protection_without_budget_and_multiplier_is_refused(protect):
    with pytest.raises(SettingError) as caught:
        fl.Federation(declared(), protect=protect)
    assert_teaches(caught, type(protect).__name__, "noise_multiplier", "budget")


def test_a_budget_alone_means_row_level():
    assert fl.Federation(cells(2), budget=BUDGET).house.protect == fl.RowLevelDP()
    assert fl.Federation(cells(2)).house.protect is None


@pytest.mark.parametrize("delta", [1 / 12, 0.2])
def test_a_delta_that_could_give_a_whole_owner_away_is_refused(delta):
    with pytest.raises(RuleError) as caught:
        fl.Federation(declared(12), protect=fl.OwnerLevelDP(), budget=fl.Budget(8, delta))
    assert_teaches(caught, "12 owners", f"{delta:g}")
    fl.Federation(declared(12), protect=fl.OwnerLevelDP(), budget=fl.Budget(8, 1 / 13))


def test_owner_level_needs_every_column_declared_and_names_the_one_that_is_not():
    def owners(**declared_columns):
        names = ("Clinic A", "Clinic B")
        halves = (frame(), frame()[::-1].assign(age=[1.0, 2, 3, 4]))
        return [fl.DataOwner(n, f, target="ill", **declared_columns) for n, f in zip(names, halves, strict=True)]

    age, place, ill = {"age": (0, 100)}, {"place": ["Oslo", "Rome"]}, {"ill": ["no", "yes"]}
    for given, missing, column in (
        ({}, "bounds", "age"),
        ({"bounds": age}, "categories", "place"),
        ({"bounds": age, "categories": place}, "categories", "ill"),
    ):
        with pytest.raises(RuleError) as caught:
            fl.Federation(owners(**given), protect=fl.OwnerLevelDP(), budget=fl.Budget(8, 0.01))
        assert_teaches(caught, column, missing)
    whole = {"bounds": age, "categories": {**place, **ill}}
    fl.Federation(owners(**whole), protect=fl.OwnerLevelDP(), budget=fl.Budget(8, 0.01))


def test_declarations_widen_over_owners_and_hold_only_if_all_made_them():
    a = fl.DataOwner("A", frame(), target="ill", bounds={"age": (0, 90)}, categories={"place": ["Oslo"]})
    b = fl.DataOwner("B", frame()[::-1], target="ill", bounds={"age": (10, 99)}, categories={"place": ["Rome", "Oslo"]})
    c = fl.DataOwner("C", frame()[1:], target="ill")
    schema = fl.Federation([a, b]).schema
    assert schema.numeric[0].bounds == (0, 99)
    assert schema.categorical[0].categories == ("Oslo", "Rome")
    schema = fl.Federation([a, b, c]).schema
    assert schema.numeric[0].bounds is None
    assert schema.categorical[0].categories is None


def test_owners_with_the_same_rows_are_refused_where_noise_is_made_for_each_row_once():
    owners = pair(frame(), frame()[::-1])
    with pytest.raises(RuleError) as caught:
        fl.Federation(owners, budget=BUDGET)
    assert_teaches(caught, "Clinic A", "Clinic B", "same rows")
    assert fl.Federation(owners).epsilon() is None


def test_a_target_with_one_declared_class_is_refused_before_anything_leaves():
    table = fl.data.breast_cancer()
    with pytest.raises(SchemaError) as caught:
        fl.Federation(fl.split_rows(table[table["diagnosis"] == "benign"], owners=3))
    assert_teaches(caught, "diagnosis", "1 declared class")


def test_a_class_that_one_owner_alone_has_fails_in_words_and_is_not_quoted():
    left, right = frame(ill=["no", "yes", "no", "yes"]), frame(ill=["no", "yes", "Zanzibar", "yes"])
    owners = [fl.DataOwner(n, f, target="ill", held_out=0.0) for n, f in (("Clinic A", left), ("Clinic B", right))]
    federation = fl.Federation(owners)
    (record,) = play(federation)
    assert isinstance(record.failed.error, SchemaError)
    assert_teaches(record.failed.error, "Clinic B", "ill", "spell", "categories=")


def test_bad_files_and_empty_owners_are_refused_in_words(tmp_path):
    corrupt = tmp_path / "rows.parquet"
    corrupt.write_bytes(b"PAR1 918273 Zanzibar PAR1")
    ragged = tmp_path / "rows.csv"
    ragged.write_text('age,ill\n918273,"no\nZanzibar,,,\n1')
    for data, names in (
        (corrupt, ("rows.parquet",)),
        (ragged, ("rows.csv",)),
        (tmp_path / "absent.csv", ("absent.csv",)),
        (frame()[:1], ("Clinic A", "one row")),
        (frame()[:0], ("Clinic A", "zero")),
        (frame().drop(columns="ill"), ("Clinic A", "'ill'")),
        (frame(age=[918273.0, np.inf, 1, 2]), ("Clinic A", "age")),
    ):
        with pytest.raises(FedLabError) as caught:
            fl.DataOwner("Clinic A", data, target="ill")
        assert_teaches(caught, *names)
