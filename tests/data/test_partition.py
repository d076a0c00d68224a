import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedlab_nb.data import partition
from fedlab_nb.errors import SettingError


@settings(max_examples=150, deadline=None)
@given(
    labels=st.lists(st.integers(0, 4), max_size=120),
    owners=st.integers(1, 12),
    skew=st.floats(0, 1),
    seed=st.integers(0, 9),
)
def test_every_row_goes_to_exactly_one_owner_and_nobody_is_left_with_too_few(labels, owners, skew, seed):
    parts = partition(labels, owners, skew, np.random.default_rng(seed))
    assert len(parts) == owners
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(labels)))
    assert min(map(len, parts)) >= min(2, len(labels) // owners)


def shares(labels, parts):
    """For each owner the largest share that one label has among its rows."""
    return [np.bincount(labels[part]).max() / part.size for part in parts]


def test_more_skew_means_that_owners_see_fewer_labels():
    labels = np.arange(5000) % 5
    spread = [
        np.mean([np.mean(shares(labels, partition(labels, 5, skew, np.random.default_rng(s)))) for s in range(8)])
        for skew in (0.0, 0.3, 0.6, 0.9, 1.0)
    ]
    assert spread == sorted(spread)
    assert spread[0] < 0.25
    assert spread[-1] == 1.0


def test_no_skew_gives_sizes_that_differ_by_one_row_at_most():
    sizes = [len(part) for part in partition(np.zeros(103), 10, 0.0, np.random.default_rng(0))]
    assert max(sizes) - min(sizes) <= 1


def test_a_regression_target_is_skewed_by_size_of_its_values():
    values = np.random.default_rng(0).normal(size=2000)
    parts = partition(values, 4, 1.0, np.random.default_rng(0))
    means = sorted(values[part].mean() for part in parts)
    assert means[-1] - means[0] > 2.0


def test_missing_labels_are_dealt_out_too():
    parts = partition(np.array(["a", None, "b", None] * 10, dtype=object), 3, 0.7, np.random.default_rng(0))
    assert sum(map(len, parts)) == 40


@pytest.mark.parametrize(("owners", "skew"), [(0, 0.5), (-1, 0.5), (2.5, 0.5), (3, -0.1), (3, 1.1), (3, float("nan"))])
def test_impossible_settings_are_refused(owners, skew):
    with pytest.raises(SettingError):
        partition([0, 1, 0, 1], owners, skew, np.random.default_rng(0))
