"""Both meters against closed forms, against dp-accounting, and against their own laws."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import ndtr, ndtri

from fedlab_nb.errors import SettingError
from fedlab_nb.privacy.meters import (
    GAUSSIAN,
    RenyiMeter,
    best_order,
    gaussian_mu,
    gaussian_renyi,
    laplace_renyi,
    meter_for,
    pure_mu_squared,
)
from fedlab_nb.records import PrivacyEvent

METERS = st.one_of(st.just(GAUSSIAN), st.floats(1.05, 64).map(RenyiMeter))


def event(mechanism="gaussian", amount=2.0, rate=1.0, times=1):
    return PrivacyEvent(1, "update", "training", "row", mechanism, amount, sample_rate=rate, times=times)


@pytest.mark.parametrize("sigma", [0.3, 0.7, 1.1, 2.0, 8.0])
@pytest.mark.parametrize("rate", [1e-4, 0.01, 0.1, 0.5, 0.99])
@pytest.mark.parametrize("order", [2, 7, 20, 128])
def test_sampled_rows_cost_what_dp_accounting_finds_at_whole_orders(sigma, rate, order):
    from dp_accounting import GaussianDpEvent, PoissonSampledDpEvent, rdp

    oracle = rdp.RdpAccountant([order])
    oracle.compose(PoissonSampledDpEvent(rate, GaussianDpEvent(sigma)), 1000)
    found = RenyiMeter(order).epsilon(1000 * gaussian_renyi(sigma, rate, order), 1e-9)
    assert found == pytest.approx(oracle.get_epsilon(1e-9), rel=1e-8)


@pytest.mark.parametrize(
    ("sigma", "rate", "order"),
    [(2, 0.1, 7.5), (1.1, 0.01, 7.5), (0.7, 0.005, 5.55), (0.5, 0.1, 3.05), (1, 0.5, 1.5), (8, 1e-4, 30.35)],
)
def test_sampled_rows_cost_the_integral_of_mironov_talwar_and_zhang(sigma, rate, order):
    def above(z):
        x = rate * np.expm1((2 * z - 1) / (2 * sigma**2))
        density = np.exp(-(z**2) / (2 * sigma**2)) / (sigma * np.sqrt(2 * np.pi))
        return density * (np.expm1(order * np.log1p(x)) - order * x)

    edges = np.linspace(-10 * sigma, order + 10 * sigma, 60)
    pieces = [quad(above, low, high, epsabs=0, epsrel=1e-12)[0] for low, high in pairwise(edges)]
    assert gaussian_renyi(sigma, rate, order) == pytest.approx(np.log1p(sum(pieces)) / (order - 1), rel=1e-10)


@pytest.mark.parametrize("scale", [0.05, 0.5, 1.0, 20.0, 1e4])
@pytest.mark.parametrize("order", [1.5, 2.0, 7.5, 64.0])
def test_laplace_noise_costs_the_integral_of_its_density(scale, order):
    def part(y):  # densities at distance 1, both divided by the larger one's peak
        return np.exp((-order * abs(y) + (order - 1) * abs(y - 1)) / scale - (order - 1) / scale) / (2 * scale)

    # Left of 0 and right of 1 the integrand is one exponential; between them the quadrature is easy.
    left = 0.5
    middle = quad(part, 0, 1, epsabs=0, epsrel=1e-12)[0]
    right = 0.5 * math.exp(-(2 * order - 1) / scale)
    expected = (math.log(left + middle + right) + (order - 1) / scale) / (order - 1)
    assert laplace_renyi(scale, order) == pytest.approx(expected, rel=1e-6, abs=1e-15)


@settings(max_examples=60, deadline=None)
@given(st.floats(0.05, 1e7), st.floats(1e-8, 1), st.floats(1.05, 300))
def test_sampling_never_costs_more_than_all_rows_and_never_nothing(sigma, rate, order):
    full = order / (2 * sigma**2)
    assert 0 < gaussian_renyi(sigma, rate, order) <= full * (1 + 1e-12)


@settings(max_examples=60, deadline=None)
@given(st.floats(0.05, 50), st.floats(0.001, 1), st.floats(1.05, 100), st.floats(1.0001, 3))
def test_more_noise_or_fewer_rows_never_cost_more(sigma, rate, order, factor):
    here = gaussian_renyi(sigma, rate, order) * (1 + 1e-9)
    assert gaussian_renyi(sigma * factor, rate, order) <= here
    assert gaussian_renyi(sigma, rate / factor, order) <= here


@settings(max_examples=80, deadline=None)
@given(METERS, st.floats(1e-6, 50), st.sampled_from([1.0, 0.9, 0.1, 0.01]))
def test_noise_is_the_least_that_costs_no_more_than_asked(meter, cost, rate):
    sigma = meter.noise(cost, rate)
    assert meter.cost(event(amount=sigma, rate=rate)) <= cost
    # At 0.2 the credit for sampling ends, so that just above it the cost jumps down.
    if rate == 1.0 or sigma > 0.2001:
        assert meter.cost(event(amount=sigma * (1 - 1e-9), rate=rate)) > cost * (1 - 1e-12)


@settings(max_examples=80, deadline=None)
@given(METERS, st.floats(0.05, 20), st.floats(-9, -2).map(lambda x: 10.0**x))
def test_room_and_epsilon_are_inverse(meter, epsilon, delta):
    room = meter.room(epsilon, delta)
    if room > 0:
        assert meter.epsilon(room, delta) == pytest.approx(epsilon, rel=1e-6)
        assert meter.epsilon(room, delta) <= epsilon * (1 + 1e-12)
    else:
        assert meter.epsilon(0.0, delta) >= epsilon


@pytest.mark.parametrize("meter", [GAUSSIAN, RenyiMeter(7.5)])
def test_where_nothing_is_possible_there_is_no_room(meter):
    assert meter.room(0.0, 1e-5) == meter.room(-1.0, 1e-5) == meter.room(3.0, 0.0) == meter.room(3.0, -1e-6) == 0.0
    assert meter.noise(0.0) == math.inf
    with pytest.raises(SettingError, match="No delta is left"):
        meter.epsilon(0.1, 0.0)


@pytest.mark.parametrize("meter", [GAUSSIAN, RenyiMeter(7.5)])
def test_without_noise_the_cost_is_infinite(meter):
    for mechanism in ("gaussian", "laplace", "none"):
        assert meter.cost(event(mechanism, 0.0)) == math.inf
    assert meter.epsilon(math.inf, 1e-5) == math.inf


@pytest.mark.parametrize("meter", [GAUSSIAN, RenyiMeter(7.5)])
@pytest.mark.parametrize("mechanism", ["gaussian", "laplace"])
def test_so_many_times_cost_so_many_times_as_much(meter, mechanism):
    one, many = event(mechanism, 3.0), event(mechanism, 3.0, times=7)
    assert meter.cost(many) == pytest.approx(7 * meter.cost(one))


def test_the_gaussian_meter_adds_mu_squared_and_gives_no_credit_for_sampling():
    assert GAUSSIAN.cost(event(amount=2.0)) == GAUSSIAN.cost(event(amount=2.0, rate=0.1)) == 0.25
    assert GAUSSIAN.room(3.0, 1e-5) == gaussian_mu(3.0, 1e-5) ** 2
    assert GAUSSIAN.cost(event("laplace", 4.0)) == pure_mu_squared(0.25)


@pytest.mark.parametrize("eps", [1e-6, 0.01, 0.3, 1.0, 3.0, 10.0, 40.0, 590.0])
def test_a_release_without_delta_is_nowhere_less_private_than_the_gaussian_it_counts_as(eps):
    """G_mu <= f_eps, where f(x) is the least chance to miss a row for who raises x false alarms; equal in one point."""
    mu = math.sqrt(pure_mu_squared(eps))
    middle = -np.logaddexp(0.0, eps)  # log(1 / (1 + e^eps))
    near = np.exp(np.linspace(max(5 * middle, -600.0), 0.0, 2001))
    alarms = np.concatenate([np.linspace(1e-9, 1.0, 2001), near, np.exp([middle])])
    pure = np.maximum(np.maximum(1 - np.exp(np.minimum(eps + np.log(alarms), 1.0)), np.exp(-eps) * (1 - alarms)), 0.0)
    gauss = ndtr(-ndtri(alarms) - mu)
    assert np.all(gauss <= pure + 1e-14)
    assert gauss[-1] == pytest.approx(np.exp(middle), rel=1e-6)


def test_the_cost_of_small_and_large_epsilons_is_never_below_the_law_and_close_to_it():
    from scipy.special import ndtri_exp

    for eps in np.geomspace(1e-12, 1e6, 200):
        if eps < 1e-3:
            law = math.pi / 2 * eps**2 * (1 - (1 - math.pi / 4) * eps**2)
        else:
            law = (2 * ndtri_exp(-np.logaddexp(0.0, eps))) ** 2
        assert law * (1 - 1e-9) <= pure_mu_squared(float(eps)) <= law * 1.01
    assert pure_mu_squared(2e-4) == pytest.approx(math.pi / 2 * 4e-8, rel=1e-6)


def test_the_renyi_meter_adds_the_divergence():
    meter = RenyiMeter(7.5)
    assert meter.cost(event(amount=2.0)) == pytest.approx(7.5 / 8)
    assert 0 < meter.cost(event("laplace", 4.0)) < 0.25, "never more than its pure epsilon"


def test_the_best_order_is_where_most_gaussian_releases_fit():
    assert best_order(3.0, 1e-5) == pytest.approx(7.5, abs=0.05)
    assert RenyiMeter(7.5).room(3.0, 1e-5) / 7.5 == pytest.approx(0.22425, abs=1e-4)
    assert best_order(8.0, 1e-5) == pytest.approx(3.85, abs=0.05)
    assert best_order(1.0, 1e-5) == pytest.approx(18, abs=0.5)


@pytest.mark.parametrize("delta", [1e-3, 1e-5, 1e-9])
@pytest.mark.parametrize("epsilon", [0.1, 1.0, 10.0, 50.0])
def test_at_the_best_order_the_loss_against_the_gaussian_meter_is_moderate(epsilon, delta):
    order = best_order(epsilon, delta)
    rounds = RenyiMeter(order).room(epsilon, delta) / order * 2
    assert 0.65 < rounds / GAUSSIAN.room(epsilon, delta) < 1


def test_an_account_that_samples_rows_gets_the_renyi_meter():
    assert meter_for(False, 3.0, 1e-5) == GAUSSIAN
    assert meter_for(True, 3.0, 1e-5) == RenyiMeter(7.5)


@pytest.mark.parametrize("order", [1.0, 0.5, -3.0, math.inf, math.nan])
def test_an_order_that_is_none_is_refused(order):
    with pytest.raises(SettingError, match="order of a Renyi meter"):
        RenyiMeter(order)
