from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedlab_nb.records import Update

UPDATES = st.builds(
    lambda values, weight: Update(np.array(values), weight),
    st.lists(st.floats(-1e6, 1e6), min_size=4, max_size=4),
    st.floats(0, 1e4),
)


def same(one, other):
    return one.value == pytest.approx(other.value, abs=1e-6) and one.weight == pytest.approx(other.weight)


@settings(max_examples=100, deadline=None)
@given(UPDATES, UPDATES, UPDATES)
def test_updates_add_in_any_order_and_any_grouping(a, b, c):
    assert same((a + b) + c, a + (b + c))
    assert same(a + b, b + a)


@given(UPDATES)
def test_an_owner_that_sends_nothing_changes_nothing(update):
    added = update + Update(np.zeros(4), 0.0)
    assert added.value.tolist() == update.value.tolist()
    assert added.weight == update.weight


def test_nobodys_mean_is_zero_and_not_nan():
    assert Update(np.zeros(3), 0.0).mean.tolist() == [0.0, 0.0, 0.0]


def test_adding_leaves_both_updates_alone():
    a, b = Update(np.array([1.0]), 1.0), Update(np.array([2.0]), 1.0)
    assert (a + b).value.tolist() == [3.0]
    assert a.value.tolist() == [1.0]
    assert b.value.tolist() == [2.0]


def test_updates_of_different_lengths_do_not_stretch_to_fit():
    with pytest.raises(ValueError, match="1 and 3 numbers"):
        Update(np.array([1.0]), 1.0) + Update(np.array([1.0, 2.0, 3.0]), 1.0)


def test_an_update_is_frozen_and_its_text_shows_no_values():
    update = Update(np.array([41.5, 2.0]), 3.0)
    assert repr(update) == "Update(2 numbers, weight 3)"
    with pytest.raises(FrozenInstanceError):
        update.weight = 1.0
