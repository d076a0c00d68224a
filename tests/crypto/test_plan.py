import dataclasses
import math
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedlab_nb.crypto import CKKS, Plan
from fedlab_nb.errors import EncryptionError, SettingError

BOUNDS = st.floats(1e-5, 2.0**20)
OWNERS = st.integers(1, 1000)


@given(BOUNDS, OWNERS)
def test_the_worst_case_sum_fits_four_times_over_whatever_the_bound(bound, owners):
    plan = CKKS().plan(bound=bound, owners=owners)
    assert math.frexp(plan.scale)[0] == 0.5, "a power of two"
    assert Fraction(plan.capacity) * Fraction(plan.scale) * 2 == 2**60
    assert plan.capacity >= 4 * owners * bound * (1 - 1e-12)


@given(BOUNDS, OWNERS)
def test_the_grid_is_the_finest_one_above_the_noise_and_keeps_float_sums_exact(bound, owners):
    plan = CKKS().plan(bound=bound, owners=owners)

    def fits(bits):
        return bits <= 30 and 0.5**bits / 2 >= 16 * plan.sigma

    assert fits(plan.grid_bits)
    assert not fits(plan.grid_bits + 1)
    assert Fraction(bound) * owners * 2**plan.grid_bits < 2**43, "far below the 2**53 that float64 counts exactly"


def test_counts_of_a_million_from_fifty_owners_stay_whole_numbers():
    plan = CKKS().plan(bound=2**20, owners=50)
    assert plan.grid_bits >= 1
    counts = np.array([0.0, 1.0, 999_999.0, 2.0**20])
    assert np.array_equal(plan.grid(counts), counts)


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=30))
def test_the_grid_moves_a_number_by_half_a_step_at_most_and_a_second_time_not_at_all(values):
    plan = CKKS().plan(bound=1.0, owners=10)
    rounded = plan.grid(values)
    assert np.all(np.abs(rounded - np.array(values)) <= 2.0 ** -(plan.grid_bits + 1))
    assert np.array_equal(plan.grid(rounded), rounded)
    assert not np.any(np.signbit(rounded) & (rounded == 0)), "one zero only, or equal sums would differ in bits"


def test_the_same_plan_is_equal_and_can_be_replanned():
    plan = CKKS().plan(bound=2, owners=5)
    assert plan == Plan(bound=2.0, owners=5)
    assert dataclasses.replace(plan, owners=6).owners == 6
    assert round(plan.bytes_per_value, 1) == 32.1
    assert [plan.ciphertexts(n) for n in (1, 2048, 2049, 6144)] == [1, 1, 2, 3]


@pytest.mark.parametrize("bound", [0, -1.0, math.nan, math.inf, 10**400, True, "1", None])
def test_a_bound_that_is_not_finite_and_positive_is_refused(bound):
    with pytest.raises(SettingError, match="bound is"):
        CKKS().plan(bound=bound, owners=2)


@pytest.mark.parametrize("owners", [0, -3, 1.5, True, "2", None])
def test_a_number_of_owners_that_is_not_a_whole_number_from_one_up_is_refused(owners):
    with pytest.raises(SettingError, match="owners is"):
        CKKS().plan(bound=1.0, owners=owners)


@pytest.mark.parametrize(("bound", "owners"), [(2.0**60, 2), (1e300, 10), (1.0, 10**12), (1.0, 10**400)])
def test_a_range_too_large_for_exact_sums_is_refused(bound, owners):
    with pytest.raises(EncryptionError, match="too large to be sealed exactly") as caught:
        CKKS().plan(bound=bound, owners=owners)
    assert caught.value.why
    assert caught.value.do


def test_a_range_that_would_be_rounded_away_is_refused():
    with pytest.raises(EncryptionError, match="too small for the grid"):
        CKKS().plan(bound=1e-9, owners=2)


def test_an_unknown_preset_is_refused_with_the_one_that_exists():
    with pytest.raises(SettingError, match="no encryption preset 'compact'") as caught:
        CKKS("compact")
    assert "'default'" in caught.value.do


def test_the_setting_states_its_facts_in_one_line():
    setting = CKKS()
    assert (setting.ring, setting.prime_bits, setting.slots) == (4096, (60, 40), 2048)
    assert "\n" not in repr(setting)
    assert "128-bit" in setting.security
    assert "100-bit" in setting.security
    assert "\n" not in repr(setting.plan(bound=1, owners=2))


def test_importing_the_room_does_not_load_tenseal():
    code = "import sys, fedlab_nb.crypto as c; c.CKKS().plan(bound=1, owners=2); print('tenseal' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
