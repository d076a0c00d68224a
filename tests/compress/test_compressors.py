"""What is lost and what is not: the laws of each compressor."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fedlab_nb.compress import QSGD, RandomK, SignSGD, TopK
from fedlab_nb.errors import RoundError, SettingError
from fedlab_nb.parties.matrix import NEEDS

FEW = settings(max_examples=50, deadline=None)
ALL = [TopK(0.1), TopK(1.0), TopK(0.3, feedback=False), RandomK(0.1), RandomK(0.3, feedback=False)]
ALL += [QSGD(1), QSGD(7), QSGD(32_767), SignSGD(0.01)]
each = pytest.mark.parametrize("compressor", ALL, ids=repr)

# Numbers that a 32-bit float holds exactly, so that nothing but the compressor itself can lose them.
changes = arrays(np.float64, st.integers(1, 40), elements=st.floats(-1e3, 1e3, width=32))
shares = st.floats(0.01, 1.0)


def rng(*path):
    return np.random.default_rng(path)


def squared(vector):
    return float((vector**2).sum())


# Top-k.


@FEW
@given(change=changes, share=shares)
def test_top_k_keeps_the_largest_and_loses_at_most_its_share(change, share):
    restored = TopK(share).compress(change).restore()
    k = min(max(round(share * len(change)), 1), len(change))
    sent = np.flatnonzero(restored)
    assert np.array_equal(restored[sent], change[sent])
    assert len(sent) <= k
    # As large in all as the k largest, whichever of equals were taken.
    assert sorted(abs(restored))[::-1][:k] == sorted(abs(change))[::-1][:k]
    assert squared(restored - change) <= (1 - k / len(change)) * squared(change) * (1 + 1e-12)


@FEW
@given(change=changes)
def test_top_k_of_all_is_the_change_itself(change):
    assert np.array_equal(TopK(1.0).compress(change).restore(), change)


def test_numbers_of_64_bits_are_rounded_to_32():
    change = rng(0).normal(size=1000)
    assert np.array_equal(TopK(1.0).compress(change).restore(), change.astype(np.float32))


# Random-k.


@FEW
@given(change=changes, share=shares, seed=st.integers(0, 2**63), number=st.integers(0, 2**32 - 1))
def test_random_k_sends_the_coordinates_that_its_seed_says(change, share, seed, number):
    rule = RandomK(share)
    places = rule.coordinates(seed, number, len(change))
    expected = np.zeros_like(change)
    expected[places] = change[places]
    assert np.array_equal(rule.select(change, seed, number).restore(), expected)
    assert len(set(places)) == len(places) == min(max(round(share * len(change)), 1), len(change))
    assert list(places) == sorted(places)


@FEW
@given(share=shares, seed=st.integers(0, 2**63))
def test_owners_with_the_same_generator_send_the_same_coordinates_so_that_they_add_up(share, seed):
    one, other = rng(1).normal(size=(2, 30)).astype(np.float32).astype(np.float64)
    restored = [RandomK(share).compress(change, rng(seed)).restore() for change in (one, other)]
    together = RandomK(share).compress(one + other, rng(seed)).restore()
    assert sum(restored) == pytest.approx(together, rel=1e-6)


def test_coordinates_differ_from_round_to_round_and_each_has_its_turn():
    rule, size, rounds = RandomK(0.1), 50, 4000
    counts = np.bincount(np.concatenate([rule.coordinates(3, n, size) for n in range(rounds)]), minlength=size)
    # Binomial counts: six standard deviations.
    assert np.abs(counts - 0.1 * rounds).max() < 6 * math.sqrt(rounds * 0.1 * 0.9)
    assert not np.array_equal(rule.coordinates(3, 1, size), rule.coordinates(4, 1, size))


def test_coordinates_are_the_same_on_every_machine():
    assert RandomK(0.05).coordinates(seed=2024, number=17, size=100).tolist() == [12, 42, 51, 71, 85]


def test_random_k_loses_its_share_on_average():
    change = rng(2).normal(size=40)
    lost = [squared(RandomK(0.25).select(change, 1, n).restore() - change) for n in range(3000)]
    error = np.std(lost) / math.sqrt(3000)
    assert np.mean(lost) == pytest.approx(0.75 * squared(change), abs=6 * error)


# Unbiased ones.


@pytest.mark.parametrize("compressor", [QSGD(1), QSGD(4), QSGD(100), RandomK(0.2, feedback=False)], ids=repr)
def test_the_average_over_many_draws_is_the_change(compressor):
    change, draws = rng(4).uniform(0.5, 2.0, 30) * rng(5).choice([-1.0, 1.0], 30), 3000
    restored = np.array([compressor.compress(change, rng(6, n)).restore() for n in range(draws)])
    error = restored.std(axis=0) / math.sqrt(draws)
    assert (np.abs(restored.mean(axis=0) - change) <= 6 * error + 1e-6).all()
    assert compressor.unbiased


@FEW
@given(change=changes, levels=st.integers(1, 300), seed=st.integers(0, 1000))
def test_qsgd_rounds_each_number_to_a_level_next_to_it(change, levels, seed):
    restored = QSGD(levels).compress(change, rng(seed)).restore()
    step = np.linalg.norm(change) / levels
    assert (np.abs(restored - change) <= step * (1 + 1e-5) + 1e-40).all()
    whole = restored / step if step else restored
    assert np.abs(whole - np.round(whole)).max() <= 1e-6 * levels + 1e-9
    assert (restored * change >= 0).all()


@pytest.mark.parametrize("levels", [1, 3, 16])
def test_qsgd_has_the_variance_of_the_paper(levels):
    change, d, draws = rng(6).normal(size=64), 64, 2000
    lost = [squared(QSGD(levels).compress(change, rng(7, n)).restore() - change) for n in range(draws)]
    bound = min(d / levels**2, math.sqrt(d) / levels) * squared(change)
    assert np.mean(lost) <= bound
    # And it is what rounding by chance has: the sum of p (1 - p) step^2.
    step = np.linalg.norm(change) / levels
    p = np.abs(change) / step - np.floor(np.abs(change) / step)
    assert np.mean(lost) == pytest.approx((p * (1 - p)).sum() * step**2, abs=6 * np.std(lost) / math.sqrt(draws))


# signSGD.


@FEW
@given(change=changes)
def test_signs_are_signs(change):
    restored = SignSGD(0.01).compress(change, rng(0)).restore()
    assert set(restored) <= {-1.0, 1.0}
    assert np.array_equal(restored[change != 0], np.sign(change[change != 0]))


def test_a_zero_votes_by_a_coin():
    votes = SignSGD(0.01).compress(np.zeros(10_000), rng(1)).restore()
    assert abs(votes.mean()) < 6 / math.sqrt(10_000)


@FEW
@given(seed=st.integers(0, 1000), owners=st.integers(1, 9))
def test_the_majority_decides_and_a_liar_has_one_vote(seed, owners):
    sent = rng(seed).normal(size=(owners, 12))
    sent[0] *= 1e30
    rule = SignSGD(0.5)
    total = sum(rule.compress(change, rng(0)).restore() for change in sent)
    plus, minus = (sent > 0).sum(axis=0), (sent < 0).sum(axis=0)
    assert rule.majority(total).tolist() == (0.5 * ((plus > minus) * 1.0 - (plus < minus))).tolist()


# All of them.


@pytest.mark.parametrize("compressor", [TopK(0.1), TopK(1.0), RandomK(0.1)], ids=repr)
def test_with_error_feedback_nothing_is_lost_but_what_is_still_in_memory(compressor):
    assert compressor.feedback
    memory, sent, learned = np.zeros(25), np.zeros(25), np.zeros(25)
    for number in range(60):
        change = rng(8, number).normal(size=25)
        packed = compressor.compress(change + memory, rng(9, number))
        memory = change + memory - packed.restore()
        sent, learned = sent + packed.restore(), learned + change
    assert sent + memory == pytest.approx(learned, abs=1e-9)
    # And memory stays of the size of some changes: (1 - delta) / delta of them at most, here with delta = k / d.
    delta = min(1.0, round(compressor.share * 25) / 25)
    assert np.linalg.norm(memory) <= 6 * math.sqrt(25) * (1 - delta) / delta + 1e-6


@each
def test_equal_draws_give_equal_bytes_and_the_change_stays_as_it_is(compressor):
    change = rng(10).normal(size=33)
    kept = change.copy()
    assert compressor.compress(change, rng(1)).payload == compressor.compress(change, rng(1)).payload
    assert np.array_equal(change, kept)


@each
@pytest.mark.parametrize("size", [0, 1, 7, 8, 9])
def test_zeros_and_any_size_work(compressor, size):
    restored = compressor.compress(np.zeros(size), rng(0)).restore()
    assert restored.shape == (size,)
    assert np.isfinite(restored).all()
    if not isinstance(compressor, SignSGD):
        assert not restored.any()


@each
def test_needs_are_names_of_the_matrix(compressor):
    assert set(compressor.needs) <= set(NEEDS)


def test_what_each_needs():
    assert TopK(0.1).needs == ("chosen coordinates",)
    assert RandomK(0.1).needs == ()
    assert QSGD(4).needs == ("quantised updates",)
    assert SignSGD(0.1).needs == ("signs",)


@each
@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e39])
def test_numbers_that_cannot_cross_are_refused(compressor, bad):
    with pytest.raises(RoundError, match="not finite, or that is beyond the range of 32-bit numbers"):
        compressor.compress(np.array([1.0, bad]), rng(0))


def test_numbers_that_only_scaling_makes_too_large_are_refused_too():
    largest = np.full(9, 3e38)
    for compressor in (RandomK(0.1, feedback=False), QSGD(4)):
        with pytest.raises(RoundError, match="beyond the range of 32-bit numbers"):
            compressor.compress(largest, rng(0))


@each
def test_a_matrix_is_refused(compressor):
    with pytest.raises(SettingError, match=r"a change of shape \(2, 2\)"):
        compressor.compress(np.ones((2, 2)), rng(0))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: TopK(0.0), "TopK has share=0.0, not a number above 0 and at most 1"),
        (lambda: TopK(1.1), "TopK has share=1.1"),
        (lambda: TopK(True), "TopK has share=True"),
        (lambda: TopK(0.1, feedback=1), "TopK has feedback=1, not True or False"),
        (lambda: RandomK(float("nan")), "RandomK has share=nan"),
        (lambda: RandomK(0.1, feedback=None), "RandomK has feedback=NoneType"),
        (lambda: QSGD(0), "QSGD has levels=0, not a whole number from 1 to 32,767"),
        (lambda: QSGD(40_000), "QSGD has levels=40000"),
        (lambda: QSGD(2.0), "QSGD has levels=2.0"),
        (lambda: SignSGD(0), "SignSGD has step=0, not a finite number above zero"),
        (lambda: SignSGD(float("inf")), "SignSGD has step=inf"),
    ],
)
def test_a_setting_that_cannot_work_is_refused_at_once(make, says):
    with pytest.raises(SettingError) as caught:
        make()
    assert caught.value.what.startswith(says)
    assert caught.value.do.startswith("Choose a value such as")


@each
def test_each_shows_in_one_line_and_as_a_card(compressor):
    packed = compressor.compress(np.full(50, 73191.25), rng(0))
    for thing in (compressor, packed):
        assert "\n" not in repr(thing)
        assert "<table>" in thing._repr_html_()
    assert "73191" not in repr(packed) + packed._repr_html_()
    assert f"50 numbers in {packed.nbytes} bytes" in repr(packed)
