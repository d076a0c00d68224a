"""The oracle is the law itself: the exact chances of whole numbers, added up."""

import math
import random
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import logsumexp

from fedlab_nb.errors import SettingError
from fedlab_nb.privacy import gaussian_epsilon
from fedlab_nb.protect import discrete_gaussian, with_share
from fedlab_nb.protect.exact import _below, _decays, exact_share, exact_source, growth_by_rounding

DRAWS = 40_000


def log_chances(sd, reach, centre=0):
    k = np.arange(-reach, reach + 1)
    logs = -((k - centre) ** 2) / (2.0 * float(sd) ** 2)
    return k, logs - logsumexp(logs)


class Bits:
    """A source that has whole numbers only."""

    def __init__(self, seed):
        self._source = random.Random(seed)

    def getrandbits(self, k):
        return self._source.getrandbits(k)


@pytest.mark.parametrize("sd", [Fraction(1, 2), 1, Fraction(3, 2), Fraction(45, 16), 5])
def test_whole_numbers_come_as_often_as_the_law_says(sd):
    drawn = discrete_gaussian(DRAWS, sd, random.Random(f"law {sd}"))
    k, logs = log_chances(sd, 60)
    often = DRAWS * np.exp(logs) >= 10
    expected = np.append(DRAWS * np.exp(logs[often]), max(DRAWS * (1 - np.exp(logs[often]).sum()), 1e-9))
    inside = np.array([np.sum(drawn == value) for value in k[often]])
    observed = np.append(inside, DRAWS - inside.sum())
    if expected[-1] < 5:  # too few in the tails to be compared by themselves
        expected, observed = expected[:-1], observed[:-1]
    chi_square, degrees = ((observed - expected) ** 2 / expected).sum(), len(expected) - 1
    assert chi_square < degrees + 6 * math.sqrt(2 * degrees)


@pytest.mark.parametrize("sd", [2, Fraction(16 * 10**6 + 3, 16), 10**9])
def test_the_deviation_is_the_stated_one_and_both_signs_are_as_likely(sd):
    drawn = discrete_gaussian(DRAWS, sd, random.Random(3)) / float(sd)
    assert np.std(drawn) == pytest.approx(1.0, rel=6 / math.sqrt(2 * DRAWS))
    assert abs(np.mean(drawn)) < 6 / math.sqrt(DRAWS)
    assert abs(np.mean(np.sign(drawn))) < 6 / math.sqrt(DRAWS)
    assert np.mean(np.abs(drawn) < 2.0) == pytest.approx(0.9545, abs=0.01 if sd > 2 else 0.06)


@pytest.mark.parametrize(("numerator", "denominator"), [(0, 1), (1, 3), (1, 1), (7, 2), (10**40 + 1, 2 * 10**40)])
def test_a_coin_falls_with_the_chance_of_an_exponential(numerator, denominator):
    source = random.Random(5)
    share = np.mean([_decays(numerator, denominator, source) for _ in range(DRAWS)])
    chance = math.exp(-numerator / denominator)
    assert share == pytest.approx(chance, abs=6 * math.sqrt(chance * (1 - chance) / DRAWS) + 1e-12)


@pytest.mark.parametrize("n", [1, 2, 3, 7, 8, 10])
def test_every_number_below_a_limit_is_as_likely(n):
    source = random.Random(6)
    counts = np.bincount([_below(n, source) for _ in range(DRAWS)], minlength=n)
    assert len(counts) == n
    assert np.abs(counts - DRAWS / n).max() <= 6 * math.sqrt(DRAWS / n)


def test_nothing_but_whole_random_bits_is_asked_for():
    assert (
        discrete_gaussian(50, Fraction(7, 3), Bits(1)).tolist()
        == discrete_gaussian(50, Fraction(7, 3), random.Random(1)).tolist()
    )
    assert discrete_gaussian(0, 2, Bits(1)).tolist() == []


@pytest.mark.parametrize("wrong", [0, -1, 2.5, True, "2", None, Fraction(-1, 2), 2**49, float("nan")])
def test_a_deviation_that_cannot_be_drawn_exactly_is_refused(wrong):
    with pytest.raises(SettingError, match="whole numbers only"):
        discrete_gaussian(3, wrong, random.Random(0))


@pytest.mark.parametrize(("sd", "share", "more"), [(4, 0.003, 0.0), (16, 0.0, 0.002), (64, 0.0, 0.0001)])
@pytest.mark.parametrize("mu", [0.5, 1, 2])
def test_the_closed_form_for_continuous_noise_holds_up_to_what_the_docstring_says(sd, share, more, mu):
    """The delta that is left at an epsilon by so much above that of the closed form, for a shift by ``mu`` ``sd``."""
    _, here = log_chances(sd, 40 * sd)
    _, there = log_chances(sd, 40 * sd, centre=int(mu * sd))
    epsilon = (1 + share) * gaussian_epsilon(float(mu), 1e-5) + more
    assert np.clip(np.exp(here) - np.exp(epsilon + there), 0.0, None).sum() <= 1e-5


VECTORS = arrays(np.float64, 6, elements=st.floats(-4, 4))


@settings(max_examples=200, deadline=None)
@given(VECTORS, VECTORS, st.sampled_from([2.0**-3, 2.0**-10, 1.0]), st.floats(0.1, 10))
def test_rounding_moves_two_sums_apart_by_no_more_than_the_noise_grows(one, other, step, multiplier):
    distance = max(float(np.linalg.norm(one - other)), 1e-3)
    rounded = np.linalg.norm(step * np.rint(one / step) - step * np.rint(other / step))
    sd = multiplier * distance
    assert rounded * multiplier <= sd * growth_by_rounding(6, step, sd, multiplier) * (1 + 1e-12)


@pytest.mark.parametrize("shares", [1, 4])
def test_exact_shares_add_up_to_the_promised_noise_on_the_grid(shares):
    sd, step = np.repeat([0.5, 3.0], DRAWS // 4), 2.0**-10
    total = sum(exact_share(random.Random(f"share {i}"), sd, shares, step) for i in range(shares))
    assert np.array_equal(total / step, np.rint(total / step))
    for value in (0.5, 3.0):
        assert np.std(total[sd == value]) == pytest.approx(value, rel=6 / math.sqrt(DRAWS / 2))


def test_a_share_of_exact_noise_comes_on_top_of_rounded_numbers_and_grows_with_the_rounding():
    value, step = np.linspace(-1, 1, DRAWS // 4), 2.0**-4
    place = {"seed": 4, "path": (1, 2), "step": step}
    noisy = with_share(value, 0.5, 1, noise_multiplier=0.1, **place)
    assert np.array_equal(noisy / step, np.rint(noisy / step))
    grown = 0.5 * growth_by_rounding(value.size, step, 0.5, 0.1)
    assert grown > 0.6
    assert np.std(noisy - value) == pytest.approx(grown, rel=6 / math.sqrt(2 * value.size) + 0.01)
    assert noisy.tobytes() == with_share(value, 0.5, 1, noise_multiplier=0.1, **place).tobytes()


@pytest.mark.parametrize("step", [None, 2.0**-10])
def test_numbers_without_noise_stay_as_they_are(step):
    value = np.array([0.1, -0.25])
    assert with_share(value, 0.0, 2, seed=1, path=(1,), step=step).tolist() == value.tolist()


@pytest.mark.parametrize("step", [None, 2.0**-20])
def test_every_number_gets_the_noise_that_is_meant_for_it(step):
    sd = np.repeat([0.0, 0.2, 5.0], DRAWS // 8)
    noise = with_share(np.zeros(sd.size), sd, 1, seed=9, path=(3,), step=step, noise_multiplier=1.0)
    assert not noise[sd == 0.0].any()
    for value in (0.2, 5.0):
        assert np.std(noise[sd == value]) == pytest.approx(value, rel=6 / math.sqrt(DRAWS / 4))


def test_exact_noise_that_protects_somebody_cannot_be_repeated():
    random.seed(0)
    first = discrete_gaussian(8, 1000, exact_source(None, 1)).tolist()
    random.seed(0)
    assert discrete_gaussian(8, 1000, exact_source(None, 1)).tolist() != first
    state = random.getstate()
    discrete_gaussian(8, 1000, exact_source(5, 1))
    assert random.getstate() == state, "the notebook's own random numbers stay as they are"
    rehearsed = [discrete_gaussian(8, 1000, exact_source(5, *path)).tolist() for path in ((1,), (1,), (2,), (1, 0))]
    assert rehearsed[0] == rehearsed[1]
    assert rehearsed[0] not in rehearsed[2:]
