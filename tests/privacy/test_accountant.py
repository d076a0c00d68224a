import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedlab_nb.errors import SettingError
from fedlab_nb.privacy import epsilon, gaussian_epsilon, gaussian_mu
from fedlab_nb.records import PrivacyEvent


def gaussian(amount, *, rows="training", delta=0.0):
    return PrivacyEvent(1, "update", rows, "row", "gaussian", amount, delta)


def geometric(amount, *, delta=0.0):
    return PrivacyEvent(1, "verdict", "held-out", "row", "geometric", amount, delta)


NOTHING = PrivacyEvent(1, "plain", "training", "row", "none")


@pytest.mark.parametrize(
    ("mu", "delta", "expected"),
    [
        (1.0, 1e-5, 4.377178095681235),
        (1.0, 1e-6, 4.8865541174621425),
        (0.5, 1e-5, 1.9930914044151182),
        (math.sqrt(1000) / 50, 1e-5, 2.59438338052761),
        (math.sqrt(50) / 8, 1e-3, 2.695867449692935),
        (math.sqrt(50) / 8, 1e-5, 3.7965357228934975),
    ],
)
def test_the_epsilon_of_one_gaussian_is_the_analytic_one(mu, delta, expected):
    assert gaussian_epsilon(mu, delta) == pytest.approx(expected, abs=1e-6)
    assert epsilon([gaussian(1 / mu)], delta) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("eps", "delta", "expected"),
    [
        (1, 1e-5, 0.2680511232112937),
        (3, 1e-5, 0.7191174352217892),
        (8, 1e-5, 1.666030597845722),
        (1, 1e-3, 0.38840124830665823),
        (3, 1e-3, 0.9640861347120143),
    ],
)
def test_the_mu_of_a_budget_is_the_analytic_one(eps, delta, expected):
    assert gaussian_mu(eps, delta) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("sigma", "releases", "delta"), [(50.0, 1000, 1e-5), (8.0, 50, 1e-3)])
def test_many_gaussians_cost_what_one_with_their_joint_mu_costs(sigma, releases, delta):
    assert epsilon([gaussian(sigma)] * releases, delta) == pytest.approx(
        gaussian_epsilon(math.sqrt(releases) / sigma, delta), rel=1e-9
    )


def delta_of(mu, eps):
    """The exact delta(epsilon) of a Gaussian, written out: Balle and Wang 2018, Theorem 8."""

    def tail(x):
        return 0.5 * math.erfc(-x / math.sqrt(2))

    return tail(mu / 2 - eps / mu) - math.exp(eps) * tail(-mu / 2 - eps / mu)


@pytest.mark.parametrize("mu", [0.3, 1.0, 2.5])
@pytest.mark.parametrize("delta", [1e-2, 1e-5])
def test_epsilon_solves_the_formula_of_balle_and_wang(mu, delta):
    assert delta_of(mu, gaussian_epsilon(mu, delta)) == pytest.approx(delta, rel=1e-6)


@settings(max_examples=60, deadline=None)
@given(eps=st.floats(0.1, 20), exponent=st.floats(-7, -2))
def test_mu_is_the_inverse_of_epsilon_and_never_beyond_it(eps, exponent):
    delta = 10**exponent
    back = gaussian_epsilon(gaussian_mu(eps, delta), delta)
    assert back <= eps * (1 + 1e-12)
    assert back == pytest.approx(eps, rel=1e-6)


def test_different_releases_compose_as_in_the_pld_accountant_of_dp_accounting():
    from dp_accounting import GaussianDpEvent, pld

    sigmas = [4.0] * 6 + [9.0] * 20 + [2.0]
    oracle = pld.PLDAccountant(value_discretization_interval=1e-3)
    for sigma in sorted(set(sigmas)):
        oracle.compose(GaussianDpEvent(sigma), sigmas.count(sigma))
    exact = epsilon([gaussian(s) for s in sigmas], 1e-5)
    assert exact <= oracle.get_epsilon(1e-5) + 1e-9
    assert exact == pytest.approx(oracle.get_epsilon(1e-5), rel=5e-3)


def test_gaussian_and_pure_releases_together_are_never_cheaper_than_the_pld_accountant_says():
    from dp_accounting import GaussianDpEvent, LaplaceDpEvent, pld

    oracle = pld.PLDAccountant(value_discretization_interval=1e-3)
    oracle.compose(GaussianDpEvent(3.0), 10).compose(LaplaceDpEvent(1 / 0.8))
    ours = epsilon([gaussian(3.0)] * 10 + [geometric(0.8)], 1e-4)
    assert ours >= oracle.get_epsilon(1e-4) - 5e-3


def test_one_release_without_a_mechanism_makes_epsilon_infinite():
    assert epsilon([gaussian(100.0), NOTHING], 1e-5) == math.inf
    assert epsilon([NOTHING], 1e-5) == math.inf


def test_a_gaussian_without_noise_is_infinite_too():
    assert epsilon([gaussian(0.0)], 1e-5) == math.inf


def test_a_mechanism_that_the_accountant_does_not_know_is_refused():
    unknown = PrivacyEvent(1, "update", "training", "row", "laplace", 0.5)
    with pytest.raises(SettingError, match="'laplace'"):
        epsilon([gaussian(2.0), unknown], 1e-5)


def test_nothing_released_costs_nothing():
    assert epsilon([], 1e-5) == 0.0


def test_geometric_releases_add_up_without_delta():
    assert epsilon([geometric(0.5), geometric(0.25)], 1e-9) == 0.75


def test_a_list_takes_its_part_of_delta():
    assert epsilon([gaussian(2.0, delta=4e-6)], 1e-5) == pytest.approx(gaussian_epsilon(0.5, 6e-6), rel=1e-12)


@pytest.mark.parametrize(
    "events",
    [
        [gaussian(5.0, delta=6e-6), gaussian(5.0, delta=6e-6)],
        [gaussian(5.0, delta=1e-5)],
        [geometric(0.1, delta=2e-5)],
    ],
)
def test_more_delta_than_there_is_is_an_error_and_not_a_number(events):
    with pytest.raises(SettingError, match="used up delta"):
        epsilon(events, 1e-5)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0.5, 50), min_size=1, max_size=8), st.floats(0.5, 50))
def test_more_releases_never_cost_less_and_their_order_does_not_matter(sigmas, another):
    events = [gaussian(s) for s in sigmas]
    assert epsilon([*events, gaussian(another)], 1e-5) >= epsilon(events, 1e-5)
    assert epsilon(events[::-1], 1e-5) == pytest.approx(epsilon(events, 1e-5), rel=1e-9)
