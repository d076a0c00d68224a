import re
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fedlab_nb.errors import SettingError
from fedlab_nb.protect import OwnerLevelDP, RowLevelDP, clip_norm

VECTORS = arrays(np.float64, st.integers(0, 12), elements=st.floats(-1e6, 1e6))


@settings(max_examples=200, deadline=None)
@given(VECTORS, st.floats(1e-3, 1e3))
def test_a_clipped_vector_is_no_longer_than_the_clip_and_points_the_same_way(value, clip):
    clipped, norm = clip_norm(value, clip), np.linalg.norm(value)
    assert np.linalg.norm(clipped) <= clip * (1 + 1e-12)
    assert clipped == pytest.approx(value * min(1.0, clip / norm) if norm else value)


@settings(max_examples=100, deadline=None)
@given(VECTORS)
def test_what_is_short_enough_stays_bit_for_bit(value):
    assert clip_norm(value, float(np.linalg.norm(value)) + 1e-9).tobytes() == value.tobytes()


def test_clipping_leaves_its_argument_alone():
    value = np.array([3.0, 4.0])
    clip_norm(value, 1.0)
    assert value.tolist() == [3.0, 4.0]


def test_something_that_is_not_a_number_is_not_hidden_by_clipping():
    assert np.isnan(clip_norm(np.array([np.nan, 1.0]), 1.0)).any()


@pytest.mark.parametrize("mechanism", [RowLevelDP, OwnerLevelDP])
@pytest.mark.parametrize("wrong", [0.0, -1.0, float("inf"), float("nan"), "a", True, (1.0,)])
@pytest.mark.parametrize("setting", ["clip", "noise_multiplier"])
def test_a_clip_or_noise_that_cannot_work_is_refused_with_its_value(mechanism, setting, wrong):
    with pytest.raises(SettingError, match=re.escape(f"{mechanism.__name__} has {setting}={wrong!r}")):
        mechanism(**{setting: wrong})


@pytest.mark.parametrize("mechanism", [RowLevelDP, OwnerLevelDP])
def test_a_clip_is_never_left_out_and_numbers_of_numpy_will_do(mechanism):
    with pytest.raises(SettingError, match="has clip=None"):
        mechanism(clip=None)
    assert mechanism(clip=np.float32(1), noise_multiplier=np.int64(2)) == mechanism(clip=1, noise_multiplier=2)


def test_mechanisms_say_what_they_hide_and_never_change():
    assert (RowLevelDP().unit, OwnerLevelDP().unit) == ("row", "owner")
    with pytest.raises(FrozenInstanceError):
        RowLevelDP().clip = 2.0
