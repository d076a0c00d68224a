import math
import os

import numpy as np
import pytest

from fedlab_nb.crypto.threshold import RING, SMUDGE_BITS, bits_lost, openings_limit, sigma
from fedlab_nb.crypto.threshold import smudge as room
from fedlab_nb.crypto.threshold.smudge import smudge
from fedlab_nb.errors import SettingError


def test_smudging_noise_is_normal_with_the_standard_deviation_it_promises():
    drawn = smudge(200_001) / 2.0**SMUDGE_BITS
    assert drawn.size == 200_001
    # Six standard errors of mean, variance, skewness and kurtosis.
    error = 6 / math.sqrt(drawn.size)
    assert abs(drawn.mean()) < error
    assert abs(np.mean(drawn**2) - 1) < error * math.sqrt(2)
    assert abs(np.mean(drawn**3)) < error * math.sqrt(15)
    assert abs(np.mean(drawn**4) - 3) < error * math.sqrt(96)
    assert abs(np.corrcoef(drawn[:100_000], drawn[100_001:])[0, 1]) < 6 / math.sqrt(100_000)


def test_smudging_noise_takes_fresh_bytes_of_the_operating_system_for_every_number(monkeypatch):
    asked = []

    def counted(size: int) -> bytes:
        asked.append(size)
        return os.getrandom(size) if hasattr(os, "getrandom") else real(size)

    real = os.urandom
    monkeypatch.setattr(room.os, "urandom", counted)
    first, second = smudge(1000), smudge(1000)
    assert asked == [8000, 8000]
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("byte", [0x00, 0xFF])
def test_extreme_random_bytes_give_finite_noise(monkeypatch, byte):
    monkeypatch.setattr(room.os, "urandom", lambda size: bytes([byte]) * size)
    assert np.abs(smudge(8)).max() <= 9.4 * 2**SMUDGE_BITS


def test_the_noise_of_a_sum_follows_the_formula_for_ciphertexts_and_smudging():
    for owners in (2, 5, 50):
        formula = RING / 2 * (owners * (1 + 2 * RING * owners / 3) / 12 + owners * 2.0**40)
        assert sigma(owners) == pytest.approx(math.sqrt(formula), rel=1e-4), "dropped bits add next to nothing"


def renyi(order: float, shift: int, spread: float) -> float:
    """Rényi divergence, in bits, of rounded Gaussian noise with and without a shift, added up number by number."""
    # Ten standard deviations to both sides; the weight of a whole number is the density averaged over its own unit.
    places = np.arange(-1000, 1001)[:, None] + (np.arange(20) + 0.5) / 20 - 0.5

    def weights(middle: int) -> np.ndarray:
        return np.exp(-(((places - middle) / spread) ** 2) / 2).mean(axis=1) / spread / math.sqrt(2 * math.pi)

    real, ideal = weights(shift), weights(0)
    return math.log2(np.sum(real**order * ideal ** (1 - order))) / (order - 1)


@pytest.mark.parametrize("order", [1.5, 2.0, 10.0])
def test_rounded_noise_diverges_as_the_formula_says(order):
    for shift in (1, 7):
        formula = order * shift**2 / (2 * 100.0**2 * math.log(2))
        assert renyi(order, shift, 100.0) == pytest.approx(formula, rel=0.01)
        assert renyi(order, shift, 100.0) <= formula * 1.0001, "rounding tells no more than the noise itself"


@pytest.mark.parametrize("owners", [2, 10, 100])
def test_the_bits_lost_are_those_of_the_best_order(owners):
    per_opening = owners * RING**2 / 18 / (2 * 4.0**SMUDGE_BITS * math.log(2))
    for openings in (1, 300, 100_000):
        leaked = openings * per_opening
        orders = 1 + np.geomspace(1e-3, 1e6, 20_001)
        # P <= (2**-128 R)**((a-1)/a), where log2 R = a * leaked.
        left = (orders - 1) / orders * (128 - orders * leaked)
        assert bits_lost(owners, openings) == pytest.approx(128 - left.max(), rel=1e-3)


@pytest.mark.parametrize("owners", [2, 3, 10, 100])
@pytest.mark.parametrize("bits", [0.5, 1.0, 8.0])
def test_the_limit_is_the_last_number_of_openings_that_costs_no_more(owners, bits):
    limit = openings_limit(owners, bits)
    assert bits_lost(owners, limit) <= bits < bits_lost(owners, limit + 1)


def test_more_owners_and_more_openings_cost_more_and_nothing_costs_more_than_everything():
    assert openings_limit(2) > openings_limit(3) > openings_limit(10) > 0
    losses = [bits_lost(10, n) for n in (0, 1, 10, 1000, 10**6, 10**9, 10**12)]
    assert losses[0] == 0
    assert losses == sorted(losses)
    assert losses[-1] == 128


@pytest.mark.parametrize("owners", [0, -1, 2.0, True, "3"])
def test_owners_are_a_whole_number_from_one_up(owners):
    for ask in (sigma, openings_limit, lambda n: bits_lost(n, 1)):
        with pytest.raises(SettingError, match="owners is"):
            ask(owners)


@pytest.mark.parametrize("bits", [0, -1.0, 128, math.nan])
def test_the_bits_to_lose_are_between_none_and_all(bits):
    with pytest.raises(SettingError, match="bits is"):
        openings_limit(3, bits)
