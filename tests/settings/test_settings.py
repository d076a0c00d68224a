import numpy as np
import pytest

from fedlab_nb.errors import SettingError
from fedlab_nb.settings import check_setting, is_real, is_whole


@pytest.mark.parametrize("value", [0, 3, np.int64(3)])
def test_whole_numbers(value):
    assert is_whole(value)
    assert is_whole(value, least=int(value))
    assert not is_whole(value, least=int(value) + 1)


@pytest.mark.parametrize("value", [True, np.bool_(True), 3.0, "3", None, float("nan")])
def test_what_is_no_whole_number(value):
    assert not is_whole(value)


@pytest.mark.parametrize("value", [0.5, 1, np.float32(0.5), np.int64(1)])
def test_real_numbers(value):
    assert is_real(value, above=0.0, most=1.0)
    assert not is_real(value, above=float(value))
    assert not is_real(value, most=0.4)


@pytest.mark.parametrize("value", [True, "0.5", None, float("nan"), np.ones(1), 1j])
def test_what_is_no_real_number(value):
    assert not is_real(value)


def test_a_setting_that_does_not_fit_is_refused_in_three_clauses_and_an_object_by_its_kind_only():
    words = {"wanted": "a number", "why": "It counts.", "example": "2"}
    check_setting("Rule", "size", 1, fits=True, **words)
    with pytest.raises(SettingError) as caught:
        check_setting("Rule", "size", "x", fits=False, **words)
    said = caught.value
    assert (said.what, said.why, said.do) == (
        "Rule has size='x', not a number.",
        "It counts.",
        "Choose a value such as size=2.",
    )
    with pytest.raises(SettingError, match="Rule has size=list, not a number"):
        check_setting("Rule", "size", ["a private value"], fits=False, **words)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ((), "()"),
        ((16, 0.5), "(16, 0.5)"),
        (("a",), "('a',)"),
        ((1,) * 5, "tuple"),
        (([1],), "tuple"),
        (None, "NoneType"),
    ],
)
def test_short_tuples_of_numbers_and_texts_are_shown(value, shown):
    with pytest.raises(SettingError) as caught:
        check_setting("Net", "hidden", value, fits=False, wanted="widths", why="It has layers.", example="(8,)")
    assert caught.value.what == f"Net has hidden={shown}, not widths."
