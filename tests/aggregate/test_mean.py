import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedlab_nb.aggregate import total
from fedlab_nb.records import Update

PARTS = st.lists(
    st.tuples(st.lists(st.floats(-1e3, 1e3), min_size=3, max_size=3), st.floats(0.1, 1e3)), min_size=1, max_size=8
)


@settings(max_examples=100, deadline=None)
@given(PARTS)
def test_the_mean_of_the_sum_is_the_weighted_mean(parts):
    updates = [Update(np.array(mean) * weight, weight) for mean, weight in parts]
    means, weights = zip(*parts, strict=True)
    assert total(updates).mean == pytest.approx(np.average(means, axis=0, weights=weights), abs=1e-6)


@settings(max_examples=100, deadline=None)
@given(PARTS, st.randoms())
def test_the_order_of_owners_does_not_matter(parts, random):
    updates = [Update(np.array(mean) * weight, weight) for mean, weight in parts]
    shuffled = random.sample(updates, len(updates))
    assert total(shuffled).mean == pytest.approx(total(updates).mean, rel=1e-9, abs=1e-6)


def test_one_owner_alone_is_its_own_mean():
    assert total([Update(np.array([6.0, 9.0]), 3.0)]).mean.tolist() == [2.0, 3.0]


def test_nobody_sums_to_nothing():
    assert total([]).value.size == 0
    assert total([]).weight == 0.0
    assert total([]).mean.size == 0
