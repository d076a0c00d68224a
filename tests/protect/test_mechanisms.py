import re
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fedlab_nb.errors import SettingError
from fedlab_nb.protect import AdaptiveClip, OwnerLevelDP, RowLevelDP, clip_norm

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


@pytest.mark.parametrize("wrong", [0.0, 1.1, -0.2, float("nan"), "all", True, None])
def test_a_row_rate_that_is_no_probability_is_refused(wrong):
    with pytest.raises(SettingError, match=re.escape(f"row_rate={wrong!r}")):
        RowLevelDP(row_rate=wrong)


@pytest.mark.parametrize("mechanism", [RowLevelDP, OwnerLevelDP])
def test_who_may_collude_and_how_noise_is_drawn_are_checked(mechanism):
    for wrong in (0, -1, 1.5, True, "2", None):
        with pytest.raises(SettingError, match=re.escape(f"colluding={wrong!r}")):
            mechanism(colluding=wrong)
    for wrong in (1, "yes", None):
        with pytest.raises(SettingError, match=re.escape(f"exact_noise={wrong!r}")):
            mechanism(exact_noise=wrong)
    assert mechanism(colluding=np.int64(3)) == mechanism(colluding=3)


def test_rows_have_no_norm_that_could_be_counted():
    with pytest.raises(SettingError, match="RowLevelDP has clip=AdaptiveClip"):
        RowLevelDP(clip=AdaptiveClip())


def words(thing):
    return re.sub(r"<[^>]+>", " ", thing._repr_html_())


def test_cards_state_the_rate_the_shares_and_how_noise_is_drawn():
    assert "any one of them may know its own" in words(RowLevelDP())
    assert "all rows" in words(RowLevelDP())
    card = words(RowLevelDP(row_rate=0.2, colluding=3, exact_noise=True))
    assert "each row with probability 0.2, drawn in secret by its owner" in card
    assert "any 3 of them may pool theirs" in card
    assert "more than 3 owners who put their shares of the noise together" in card
    assert "integer arithmetic" in card
    card = words(OwnerLevelDP(clip=AdaptiveClip(), noise_multiplier=1.0))
    assert "a length that follows the updates" in card
    assert "multiplier 1 of the clip norm in force" in card
    assert "floating-point numbers" in card
    assert OwnerLevelDP(clip=AdaptiveClip()).clip_words == "clip norm from 0.1, following the updates"
    assert RowLevelDP(clip=2.0).clip_words == OwnerLevelDP(clip=2.0).clip_words == "clip norm 2"
    assert "none of its own" in words(AdaptiveClip())
