"""What a check finds within reach of an object, and what it does not."""

from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedlab_nb.contracts.trying.looking import digest, numbers_in, parts, used_by

ELSEWHERE = [7.25]
LEAVES = st.floats(allow_nan=True) | st.text(max_size=3) | st.booleans() | st.none()


class Slotted:
    __slots__ = ("kept", "never")

    def __init__(self, kept):
        self.kept = kept


@dataclass
class Holder:
    kept: object


def closing_over(value):
    return lambda: value


def by_default(x=(7.25,)):
    return x


def with_default(value):
    def inner(*, x=value):
        return x

    return inner


HIDING = {
    "list": lambda v: [[v]],
    "tuple": lambda v: (1, (v,)),
    "set": lambda v: {v},
    "value": lambda v: {"a": {"b": v}},
    "key": lambda v: {v: "a"},
    "dataclass": Holder,
    "slots": Slotted,
    "closure": closing_over,
    "default": with_default,
    "partial": lambda v: partial(max, v),
    "array": lambda v: np.array([0.0, v]),
    "float32": lambda v: np.array([v], dtype=np.float32),
    "objects": lambda v: np.array([v, "text"], dtype=object),
    "frame": lambda v: pd.DataFrame({"a": [v]}),
    "series": lambda v: pd.Series([v]),
    "method": lambda v: Holder(v).__eq__,
}


@pytest.mark.parametrize("how", HIDING.values(), ids=HIDING.keys())
def test_a_number_is_found_wherever_it_is(how):
    assert 7.25 in numbers_in(Holder([how(7.25)]))
    assert 7.25 not in numbers_in(Holder([how(8.5)]))


def test_a_number_in_a_tensor_is_found():
    import torch

    layer = torch.nn.Linear(1, 1)
    with torch.no_grad():
        layer.weight.fill_(7.25)
    assert 7.25 in numbers_in(Holder(layer))


def test_names_that_a_function_uses_are_found_and_modules_are_not():
    def outer(view):
        def inner():
            return np.sum(ELSEWHERE)

        return inner()

    assert used_by(outer) == {"ELSEWHERE": ELSEWHERE}
    assert used_by(len) == {}


def test_values_that_one_object_stands_for_twice_count_as_two_equal_ones_do():
    once = np.arange(3.0)
    assert digest([once, once]) == digest([once, once.copy()])


def test_what_holds_itself_is_looked_at_once():
    circle = [1.5]
    circle.append(circle)
    assert [*map(type, parts(circle))] == [list, float, list]


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.floats(allow_nan=True) | st.text(max_size=3) | st.booleans() | st.none(), max_size=5), st.integers(0, 4)
)
def test_equal_values_have_equal_digests_and_a_changed_one_another(values, place):
    kept = {"a": values, "b": np.arange(5.0)}
    again = {"a": [*values], "b": np.arange(5.0)}
    assert digest(kept) == digest(again)
    again["b"][place] += 1.0
    assert digest(kept) != digest(again)
    assert digest({"a": [*values, 1]}) != digest({"a": values})
