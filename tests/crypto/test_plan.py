"""What is agreed on in public: the range fits, the grid is safe, and whatever does not fit is refused beforehand."""

import dataclasses
import json
import math
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedlab_nb.crypto import BFV, CKKS
from fedlab_nb.crypto.schemes.bfv import MOST_OWNERS
from fedlab_nb.errors import EncryptionError, SettingError
from tests.crypto.common import CASES, SCHEMES

APPROXIMATE = [name for name in SCHEMES if name != "BFV"]
OWNERS = st.integers(1, MOST_OWNERS)
# Binary logarithms of bounds: of those that a scheme has digits for with few owners or many, and some beyond.
BOUNDS = {"default": (-20, 24), "compact": (-2, 8), "deep": (-9, 27), "BFV": (-20, 28)}
RANGES = {name: st.floats(*BOUNDS[name.split(",")[0]]).map(lambda e: 2.0**e) for name in SCHEMES}


def planned(scheme, bound, owners):
    """The plan; None where the range is refused."""
    try:
        return scheme.plan(bound=bound, owners=owners)
    except EncryptionError:
        return None


# What was to be reached: bytes of one number of a long vector, tags included.
FIGURES = {"default": 32.1, "default, complex": 16.0, "compact": 24.0, "compact, complex": 12.0, "BFV": 8.0}


@pytest.mark.parametrize("name", SCHEMES)
@given(bound=st.floats(-40, 60).map(lambda e: 2.0**e), owners=OWNERS)
def test_every_range_is_refused_or_safe(name, bound, owners):
    plan = planned(SCHEMES[name], bound, owners)
    if plan is None:
        return
    step = Fraction(2) ** -plan.grid_bits
    worst = owners * round(Fraction(bound) / step) * step
    assert worst <= Fraction(plan.capacity), "all owners at the bound, each rounded up"
    assert step / 2 >= 16 * Fraction(plan.layout.noisiest)
    assert Fraction(bound) / step >= 256, "or most numbers would be rounded away"
    assert worst / step < 2**53, "sums of grid numbers are exact in 64-bit floating point"
    assert plan.largest == round(Fraction(bound) / step) * step


@pytest.mark.parametrize("name", APPROXIMATE)
@given(data=st.data(), owners=OWNERS)
def test_a_ckks_sum_fits_four_times_over_and_its_grid_is_the_finest_above_the_noise(name, data, owners):
    scheme, bound = SCHEMES[name], data.draw(RANGES[name], label="bound")
    plan = planned(scheme, bound, owners)
    if plan is None:
        return
    assert math.frexp(plan.scale)[0] == 0.5, "a power of two"
    assert Fraction(plan.capacity) * Fraction(plan.scale) * 2 == 2 ** sum(scheme.prime_bits[:-1])
    assert plan.capacity >= 4 * owners * bound * (1 - 1e-12)
    finer = 0.5 ** (plan.grid_bits + 1) / 2
    assert plan.grid_bits == 30 or finer < 16 * plan.layout.noisiest


@given(RANGES["BFV"], OWNERS)
def test_the_grid_of_bfv_is_the_finest_that_fits_and_two_numbers_share_a_slot_where_that_is_fine_enough(bound, owners):
    plan = BFV().plan(bound=bound, owners=owners)

    def fits(grid_bits, bits):
        return owners * round(Fraction(bound) * Fraction(2) ** grid_bits) < 2 ** (bits - 1)

    packed = plan.held + plan.tags == 2 * BFV.ring
    bits = 20 if packed else 39
    assert fits(plan.grid_bits, bits)
    assert plan.grid_bits == 30 or not fits(plan.grid_bits + 1, bits)
    assert packed == fits(6, 20)
    assert plan.sigma == 0.0


@pytest.mark.parametrize("name", SCHEMES)
@given(data=st.data(), owners=OWNERS)
def test_guessing_the_tags_of_one_ciphertext_is_one_chance_in_2_to_the_64(name, data, owners):
    bound = data.draw(RANGES[name], label="bound")
    plan = planned(SCHEMES[name], bound, owners)
    if plan is None:
        return
    steps = math.floor(Fraction(bound) * Fraction(2) ** plan.grid_bits)
    assert (2 * steps + 1) ** plan.tags >= 2**64
    assert plan.held + plan.tags in (SCHEMES[name].slots, 2 * SCHEMES[name].slots)


@pytest.mark.parametrize("name", SCHEMES)
def test_no_scheme_refuses_a_range_of_every_day(name):
    scheme = SCHEMES[name]
    assert all(planned(scheme, bound, owners) for bound in (0.5, 1.0, 10.0) for owners in (1, 2, 10, 50))


@pytest.mark.parametrize("name", FIGURES)
def test_a_number_takes_no_more_bytes_than_were_to_be_reached(name):
    scheme = SCHEMES[name]
    plan = scheme.plan(bound=1.0, owners=10)
    assert plan.chunk_bytes(plan.held) == scheme.chunk_bytes
    assert plan.bytes_per_value == scheme.chunk_bytes / plan.held
    assert round(plan.bytes_per_value, 1) <= FIGURES[name]


@pytest.mark.parametrize("case", CASES)
@given(data=st.data())
def test_the_grid_moves_a_number_by_half_a_step_at_most_and_a_second_time_not_at_all(case, data):
    scheme, bound = CASES[case]
    plan = scheme.plan(bound=bound, owners=10)
    values = data.draw(st.lists(st.floats(-bound, bound), min_size=1, max_size=30))
    rounded = plan.grid(values)
    step = Fraction(2) ** -plan.grid_bits
    assert all(abs(Fraction(r) - Fraction(v)) <= step / 2 for r, v in zip(rounded, values, strict=True))
    assert all(Fraction(r) % step == 0 for r in rounded)
    assert np.array_equal(plan.grid(rounded), rounded)
    place = np.array(values)
    assert plan.grid(place, out=place) is place
    assert place.tobytes() == rounded.tobytes()
    assert not np.any(np.signbit(rounded) & (rounded == 0)), "one zero only, or equal sums would differ in bits"


def test_counts_of_a_million_from_fifty_owners_stay_whole_numbers():
    plan = CKKS().plan(bound=2**20, owners=50)
    counts = np.array([0.0, 1.0, 999_999.0, 2.0**20])
    assert np.array_equal(plan.grid(counts), counts)


@pytest.mark.parametrize("case", CASES)
def test_vectors_are_cut_into_as_many_parts_as_there_are_ciphertexts(case):
    scheme, bound = CASES[case]
    plan = scheme.plan(bound=bound, owners=4)
    for length in (1, plan.held - 1, plan.held, plan.held + 1, 3 * plan.held):
        vector = np.arange(float(length))
        parts = plan.parts(vector)
        assert len(parts) == plan.ciphertexts(length) == math.ceil(length / plan.held)
        assert np.array_equal(np.concatenate(parts), vector)
        assert max(map(len, parts)) <= plan.held


def test_equal_plans_have_equal_digests_and_different_ones_do_not():
    plans = [scheme.plan(bound=b, owners=o) for scheme, _ in CASES.values() for b in (1.0, 2.0) for o in (2, 3)]
    again = [scheme.plan(bound=int(b), owners=o) for scheme, _ in CASES.values() for b in (1.0, 2.0) for o in (2, 3)]
    assert plans == again
    assert [plan.digest for plan in plans] == [plan.digest for plan in again]
    assert len({plan.digest for plan in plans}) == len(set(plans)) == len(SCHEMES) * 4, "BFV is in the cases twice"
    assert dataclasses.replace(plans[0], owners=6).owners == 6


@pytest.mark.parametrize("name", SCHEMES)
@pytest.mark.parametrize("bound", [0, -1.0, math.nan, math.inf, 10**400, True, "1", None])
def test_a_bound_that_is_not_finite_and_positive_is_refused(name, bound):
    with pytest.raises(SettingError, match="bound is"):
        SCHEMES[name].plan(bound=bound, owners=2)


@pytest.mark.parametrize("name", SCHEMES)
@pytest.mark.parametrize("owners", [0, -3, 1.5, True, "2", None])
def test_a_number_of_owners_that_is_not_a_whole_number_from_one_up_is_refused(name, owners):
    with pytest.raises(SettingError, match="owners is"):
        SCHEMES[name].plan(bound=1.0, owners=owners)


@pytest.mark.parametrize("name", SCHEMES)
@pytest.mark.parametrize(("bound", "owners"), [(2.0**60, 2), (1e300, 10), (1.7e308, 2), (2.0**50, 200)])
def test_a_range_too_large_for_exact_sums_is_refused(name, bound, owners):
    with pytest.raises(EncryptionError, match=r"too large for .* to seal exactly") as caught:
        SCHEMES[name].plan(bound=bound, owners=owners)
    assert SCHEMES[name].name in caught.value.what
    assert caught.value.why
    assert caught.value.do


@pytest.mark.parametrize("name", APPROXIMATE)
@pytest.mark.parametrize("owners", [10**15, 10**400], ids=["10^15", "10^400"])
def test_owners_beyond_all_count_are_refused(name, owners):
    with pytest.raises(EncryptionError, match=r"too (large|small) for"):
        SCHEMES[name].plan(bound=1.0, owners=owners)


def test_more_owners_than_the_noise_budget_of_bfv_allows_are_refused():
    assert BFV().plan(bound=1.0, owners=MOST_OWNERS).owners == MOST_OWNERS
    more = MOST_OWNERS + 1
    with pytest.raises(EncryptionError, match=f"{more} owners are to be added under BFV, and {MOST_OWNERS} can be"):
        BFV().plan(bound=1.0, owners=more)


@pytest.mark.parametrize("name", SCHEMES)
def test_a_range_that_would_be_rounded_away_is_refused(name):
    with pytest.raises(EncryptionError, match="too small for the grid"):
        SCHEMES[name].plan(bound=1e-9, owners=2)


def test_compact_refuses_the_counts_that_default_has_digits_for():
    assert CKKS().plan(bound=2.0**20, owners=50).grid_bits >= 1
    with pytest.raises(EncryptionError, match="preset compact"):
        CKKS("compact").plan(bound=2.0**20, owners=50)


@pytest.mark.parametrize("case", CASES)
def test_privacy_noise_that_the_grid_would_swallow_is_refused(case):
    scheme, bound = CASES[case]
    plan = scheme.plan(bound=bound, owners=10)
    step = 2.0**-plan.grid_bits
    for spread in (4.0 * step, 1e6 * step, 0.0):
        plan.check_noise(spread)
    for spread in (3.9 * step, 1e-6 * step):
        with pytest.raises(EncryptionError, match="rounds to steps of") as caught:
            plan.check_noise(spread)
        assert "epsilon would be understated" in caught.value.why


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: CKKS("fast"), "no encryption preset 'fast'"),
        (lambda: CKKS(keys="server"), "keys is 'server'"),
        (lambda: CKKS("compact", keys="threshold"), "preset is 'compact' and the key is shared by threshold"),
        (lambda: CKKS(complex_slots=1), "complex_slots is 1"),
        (lambda: CKKS(rounds_per_key=0), "rounds_per_key is 0"),
        (lambda: CKKS(rounds_per_key=True), "rounds_per_key is True"),
        (lambda: BFV(keys="threshold"), "keys is 'threshold'"),
        (lambda: BFV(keys="x"), "keys is 'x'"),
        (lambda: BFV(rounds_per_key=1.5), "rounds_per_key is 1.5"),
    ],
)
def test_settings_that_cannot_work_are_refused_with_those_that_can(call, match):
    with pytest.raises(SettingError, match=match) as caught:
        call()
    assert caught.value.do.startswith("Use ")


@pytest.mark.parametrize("name", SCHEMES)
def test_a_setting_and_a_plan_state_their_facts_in_one_line(name):
    scheme = SCHEMES[name]
    assert "\n" not in repr(scheme)
    assert str(scheme.ring) in repr(scheme)
    assert f"{sum(scheme.prime_bits)}-bit modulus at ring {scheme.ring}" in scheme.security
    assert "\n" not in repr(scheme.plan(bound=1, owners=2))
    assert ("not CKKS" in repr(scheme)) == isinstance(scheme, BFV)


def test_a_plan_is_computed_without_loading_tenseal_and_is_the_same_in_every_process():
    code = (
        "import json, sys, fedlab_nb.crypto as c; "
        "plans = [s.plan(bound=1.5, owners=7).digest for s in (c.CKKS(), c.CKKS('compact', True), c.BFV())]; "
        "print(json.dumps([plans, 'tenseal' in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    here = [s.plan(bound=1.5, owners=7).digest for s in (CKKS(), CKKS("compact", True), BFV())]
    assert json.loads(done.stdout) == [here, False]
