import traceback

import numpy as np
import pandas as pd
import pytest

from fedlab_nb.errors import SchemaError, SettingError
from fedlab_nb.parties.owner import DataOwner


def good(**more):
    return pd.DataFrame({"age": [41.0, 52.0, 63.0, 74.0], "ill": ["no", "yes", "yes", "no"], **more})


def refused(kind, data, target="ill", name="Clinic A", **more):
    with pytest.raises(kind) as caught:
        DataOwner(name, data, target=target, **more)
    error = caught.value
    assert error.__cause__ is None
    assert error.__context__ is None
    assert all(clause.strip().endswith((".", "?")) for clause in (error.what, error.why, error.do))
    # The first frame is this test's own; what lies behind it belongs to the owner.
    behind = traceback.TracebackException(type(error), error, error.__traceback__.tb_next, capture_locals=True)
    shown = "".join(behind.format())
    assert "in __init__" in shown
    assert "918273" not in shown
    return str(error)


def test_a_missing_target_is_named_with_the_columns_there_are():
    text = refused(SchemaError, good(), target="outcome")
    assert "'Clinic A'" in text
    assert "'outcome'" in text
    assert "'age', 'ill'" in text


def test_a_file_without_a_header_is_recognised_and_its_first_row_not_repeated(tmp_path):
    (tmp_path / "rows.csv").write_text("918273,Zanzibar\n5,Rome\n6,Oslo\n")
    text = refused(SchemaError, tmp_path / "rows.csv")
    assert "header" in text
    assert "Zanzibar" not in text


@pytest.mark.parametrize("rows", [0, 1])
def test_an_owner_with_zero_or_one_row_is_refused_by_name(rows):
    text = refused(SchemaError, good()[:rows])
    assert "'Clinic A'" in text
    assert "zero or one row" in text


def test_frames_that_cannot_be_learned_from_are_refused():
    assert "'age'" in refused(SchemaError, pd.concat([good(), good()[["age"]]], axis=1))
    assert "text" in refused(SchemaError, good().rename(columns={"age": 7}))
    assert "'ill'" in refused(SchemaError, good()[["ill"]])
    assert "'ill'" in refused(SchemaError, good().assign(ill=None))
    assert "'age'" in refused(SchemaError, good(bp=[918273.0, 1, 2, 3]).assign(age=[1, np.inf, 2, 3]))
    assert "'day'" in refused(SchemaError, good(day=pd.to_datetime(["2020-01-01"] * 4)))
    assert "'notes'" in refused(SchemaError, good(notes=[["918273"], [], [], []]))


def test_a_target_that_never_has_a_declared_class_leaves_nothing_to_train_on():
    assert "'Clinic A'" in refused(SchemaError, good(), categories={"ill": ["0", "1"]})


@pytest.mark.parametrize("name", ["", "  ", 5, None, "server", "Key holder", "auditor"])
def test_an_owner_needs_a_name_of_its_own(name):
    refused(SettingError, good(), name=name)


@pytest.mark.parametrize("held_out", [-0.1, 0.51, float("nan"), "0.2", None, True])
def test_the_held_out_share_lies_between_nothing_and_half(held_out):
    assert "held_out" in refused(SettingError, good(), held_out=held_out)


@pytest.mark.parametrize(
    "more",
    [
        {"bounds": {"age": (5, 5)}},
        {"bounds": {"age": (9, 5)}},
        {"bounds": {"age": (0, np.inf)}},
        {"bounds": {"height": (0, 1)}},
        {"bounds": {"ill": (0, 1)}},
        {"categories": {"height": ["a"]}},
        {"categories": {"ill": []}},
        {"categories": {"ill": ["no", "no"]}},
        {"categories": {"ill": ["no", None]}},
        {"categories": {"ill": "no"}},
        {"bounds": {"age": (0, 9)}, "categories": {"age": [1]}},
    ],
)
def test_declarations_that_cannot_be_true_are_refused(more):
    refused(SettingError, good(), **more)


def test_data_of_another_kind_is_refused(tmp_path):
    assert "dict" in refused(SettingError, {"age": [918273]})
    assert "'rows.xlsx'" in refused(SettingError, tmp_path / "rows.xlsx")
    assert "'rows.csv'" in refused(SchemaError, tmp_path / "rows.csv")


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("a.csv", b""),
        ("a.csv", b'age,ill\n"918273,no\n1,2'),
        ("a.csv", b"age,ill\n918273,no,3\n1,2,3,4,5,6\n"),
        ("a.csv", b"age,ill\n918273,no,3\n1,2,3\n"),
        ("a.csv", b"\xff\xfe\x00\x918273"),
        ("a.csv", b",age,ill\n0,918273,no\n1,3,yes\n"),
        ("a.csv", b"age,age,ill\n0,918273,no\n1,3,yes\n"),
        ("a.parquet", b"918273 is not a parquet file"),
        ("a.parquet", b""),
    ],
)
def test_a_corrupt_file_is_named_and_never_quoted(tmp_path, file, content):
    (tmp_path / file).write_bytes(content)
    assert f"'{file}'" in refused(SchemaError, tmp_path / file)


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        (["no", "yes", "no", "yes"], "category"),
        ([True, False, True, False], "category"),
        (pd.Categorical([1, 2, 1, 2]), "category"),
        ([0, 1, 0, 1], "category"),
        ([0, 1, 0, None], "category"),
        (pd.array([0, 1, None, 1], dtype="Int64"), "category"),
        ([0.0, 1.0, 0.0, 1.0], "numeric"),
        ([0.5, 1.5, None, 1.0], "numeric"),
    ],
)
def test_the_kind_of_target_follows_its_dtype_and_gaps_do_not_change_it(target, kind):
    assert DataOwner("A", good().assign(ill=target), target="ill").schema.target.kind == kind


def test_many_different_whole_numbers_are_a_number_to_predict_unless_classes_are_declared():
    frame = pd.DataFrame({"x": range(30), "count": range(30)})
    assert DataOwner("A", frame, target="count").schema.target.kind == "numeric"
    declared = DataOwner("A", frame, target="count", categories={"count": range(30)})
    assert declared.schema.target.kind == "category"
    bounded = DataOwner("A", frame[:10], target="count", bounds={"count": (0, 30)})
    assert bounded.schema.target.kind == "numeric"


def test_classes_of_whole_numbers_stay_whole_numbers_when_one_is_missing():
    owner = DataOwner("A", good().assign(ill=[0, 1, 0, None]), target="ill", held_out=0.0)
    assert owner._inside(lambda rows: [type(v) for v in rows.training[1]], stage="look") == [int, int, int]


def test_rows_outside_declared_classes_are_left_out():
    frame = good().assign(ill=["no", "yes", "unknown", "no"])
    owner = DataOwner("A", frame, target="ill", held_out=0.0, categories={"ill": ["no", "yes"]})
    assert owner._inside(lambda rows: rows.training[1].tolist(), stage="look") == ["no", "yes", "no"]
    assert owner.schema.target.categories == ("no", "yes")
