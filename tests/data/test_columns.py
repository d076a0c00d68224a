from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from fedlab_nb.data.columns import as_numbers, as_values, kind_of
from fedlab_nb.errors import SchemaError


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, 2], "numeric"),
        ([1.5, None], "numeric"),
        (pd.array([1, None], dtype="Int64"), "numeric"),
        (pd.array([1.5, None], dtype="Float32"), "numeric"),
        (pd.Series([Decimal("1.5"), None], dtype=object), "numeric"),
        (pd.Series([1, 2.5, None], dtype=object), "numeric"),
        ([True, False], "category"),
        (pd.array([True, None], dtype="boolean"), "category"),
        (["a", None], "category"),
        (pd.Series(["a", None], dtype=object), "category"),
        (pd.array(["a", None], dtype="string"), "category"),
        (pd.Categorical([1, 2, None]), "category"),
    ],
)
def test_the_kind_of_a_column_follows_its_dtype(values, kind):
    assert kind_of(pd.Series(values)) == kind


@pytest.mark.parametrize(
    "values",
    [
        pd.to_datetime(["2020-01-01", "2021-01-01"]),
        pd.to_timedelta([1, 2], unit="D"),
        pd.Categorical(pd.to_datetime(["2020-01-01", "2021-01-01"])),
        pd.cut(pd.Series([1.0, 5.0]), 2),
        pd.Series([[1], [2]]),
        [1 + 2j, 3j],
    ],
)
def test_dates_and_objects_are_refused_by_the_name_of_their_column(values):
    with pytest.raises(SchemaError, match="'visit'"):
        kind_of(pd.Series(values, name="visit"))


def test_numbers_become_floats_with_gaps_whatever_they_were_kept_as():
    for values in (
        [1, None],
        pd.array([1, None], dtype="Int64"),
        pd.Series(["1", None]),
        pd.Series([1, pd.NA], dtype=object),
    ):
        assert np.array_equal(as_numbers(pd.Series(values)), [1.0, np.nan], equal_nan=True)
    assert as_numbers(pd.Series([None, None], dtype=object)).size == 2


def test_a_value_that_is_no_number_is_not_quoted():
    with pytest.raises(SchemaError) as caught:
        as_numbers(pd.Series(["4", "Zanzibar"], name="age"))
    assert "Zanzibar" not in str(caught.value)
    assert "'age'" in str(caught.value)
    assert caught.value.__context__ is None


def test_values_become_plain_python_objects_with_none_for_gaps():
    assert as_values(pd.Series(pd.Categorical([1, None]))).tolist() == [1, None]
    assert as_values(pd.Series(["a", None])).tolist() == ["a", None]
    assert type(as_values(pd.Series([np.int64(3)]))[0]) is int
    assert type(as_values(pd.Series([True, False]))[0]) is bool
