"""Conditions mean what pandas takes them for, and nothing else is evaluated."""

import numpy as np
import pandas as pd
import pytest

from fedlab_nb.analytics.conditions import compare, is_in, parse
from fedlab_nb.errors import SettingError
from fedlab_nb.records import Column

TABLE = pd.DataFrame(
    {
        "age": [10.0, 50.0, np.nan, 70.0],
        "sex": pd.Series(["f", "m", None, "f"], dtype=object),
        "blood pressure": [1.0, 2.0, 3.0, 4.0],
    }
)
COLUMNS = {
    "age": Column("age", "numeric", "float64"),
    "sex": Column("sex", "category", "object"),
    "blood pressure": Column("blood pressure", "numeric", "float64"),
}


@pytest.mark.parametrize(
    "text",
    [
        "age > 50",
        "age >= 50 and sex == 'm'",
        "age != 50",
        "sex != 'f'",
        "20 < age <= 70",
        "not (age > 20)",
        "60 > age",
        "(age < 20) | (age > 60)",
        "sex in ['m', 'x'] or `blood pressure` == 4",
        "age not in [10, 70]",
        "age > -1.5",
    ],
)
def test_a_text_means_what_pandas_takes_it_for(text):
    expected = TABLE.index.isin(TABLE.query(text).index)
    assert list(parse(text, COLUMNS).holds(TABLE)) == list(expected)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "age",
        "age >",
        "age > other",
        "age > sex",
        "age + 1 > 3",
        "age > max([1, 2])",
        "__import__('os').getpid() > 0",
        "age > (lambda: 3)()",
        "age is None",
        "1 < 2",
        "height > 3",
        "sex > 'f'",
        "age == 'old'",
        "age in []",
        5,
    ],
)
def test_anything_else_is_refused_and_never_run(text):
    with pytest.raises(SettingError) as error:
        parse(text, COLUMNS)
    assert all(part.endswith((".", '"')) for part in (error.value.what, error.value.why, error.value.do))


def test_a_condition_says_completely_what_it_is():
    condition = parse("(age > 50.125 or sex == 'm') and not (age == 70)", COLUMNS)
    assert condition.text == "(('age' > 50.125) or ('sex' == 'm')) and (not ('age' == 70))"
    assert is_in(COLUMNS["sex"], ["a", "b"]).text == "('sex' == 'a') or ('sex' == 'b')"


@pytest.mark.parametrize("value", [np.nan, "old", None, [1], True])
def test_numbers_are_compared_with_numbers_only(value):
    with pytest.raises(SettingError, match="Compare with a number"):
        compare(COLUMNS["age"], ">", value)


def test_numpys_numbers_are_numbers():
    assert compare(COLUMNS["age"], ">", np.int64(50)) == compare(COLUMNS["age"], ">", 50)
