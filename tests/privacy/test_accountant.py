import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedlab_nb.errors import SettingError
from fedlab_nb.privacy import RenyiMeter, Total, epsilon, gaussian_epsilon, gaussian_mu
from fedlab_nb.privacy.meters import pure_mu_squared
from fedlab_nb.records import PrivacyEvent


def gaussian(amount, *, rows="training", delta=0.0):
    return PrivacyEvent(1, "update", rows, "row", "gaussian", amount, delta)


def laplace(scale, *, delta=0.0):
    return PrivacyEvent(1, "verdict", "held-out", "row", "laplace", scale, delta)


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
    ours = epsilon([gaussian(3.0)] * 10 + [laplace(1 / 0.8)], 1e-4)
    assert ours >= oracle.get_epsilon(1e-4) - 5e-3


def test_one_release_without_a_mechanism_makes_epsilon_infinite():
    assert epsilon([gaussian(100.0), NOTHING], 1e-5) == math.inf
    assert epsilon([NOTHING], 1e-5) == math.inf


def test_a_gaussian_without_noise_is_infinite_too():
    assert epsilon([gaussian(0.0)], 1e-5) == math.inf


def test_a_mechanism_that_the_accountant_does_not_know_is_refused():
    for name in ("staircase", "geometric"):
        unknown = PrivacyEvent(1, "update", "training", "row", name, 0.5)
        with pytest.raises(SettingError, match=f"'{name}'"):
            epsilon([gaussian(2.0), unknown], 1e-5)


def test_nothing_released_costs_nothing():
    assert epsilon([], 1e-5) == 0.0


def test_a_list_takes_its_part_of_delta():
    assert epsilon([gaussian(2.0, delta=4e-6)], 1e-5) == pytest.approx(gaussian_epsilon(0.5, 6e-6), rel=1e-12)


@pytest.mark.parametrize(
    "events",
    [
        [gaussian(5.0, delta=6e-6), gaussian(5.0, delta=6e-6)],
        [gaussian(5.0, delta=1e-5)],
        [laplace(10.0, delta=2e-5)],
    ],
)
def test_where_lists_take_more_delta_than_there_is_no_epsilon_holds(events):
    assert epsilon(events, 1e-5) == math.inf


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0.5, 50), min_size=1, max_size=8), st.floats(0.5, 50))
def test_more_releases_never_cost_less_and_their_order_does_not_matter(sigmas, another):
    events = [gaussian(s) for s in sigmas]
    assert epsilon([*events, gaussian(another)], 1e-5) >= epsilon(events, 1e-5)
    assert epsilon(events[::-1], 1e-5) == pytest.approx(epsilon(events, 1e-5), rel=1e-9)


def test_laplace_noise_counts_as_the_gaussian_noise_that_is_no_more_private():
    squared = pure_mu_squared(0.25)
    both = math.sqrt(squared + 0.25)
    assert epsilon([laplace(4.0), gaussian(2.0)], 1e-5) == pytest.approx(gaussian_epsilon(both, 1e-5))
    assert epsilon([laplace(40.0)] * 200, 1e-5) < 200 / 40, "many are worth less than their epsilons added up"
    assert epsilon([laplace(0.0)], 1e-5) == math.inf


@pytest.mark.parametrize("mechanism", ["gaussian", "laplace"])
@pytest.mark.parametrize("meter", [None, RenyiMeter(7.5)])
def test_an_event_that_stands_for_several_is_several_events(mechanism, meter):
    more = {"meter": meter} if meter else {}
    one, three = (PrivacyEvent(1, "u", "training", "row", mechanism, 3.0, 1e-7, times=times) for times in (1, 3))
    total = Total.of(three, 2, **more)
    assert total.lists == pytest.approx(6e-7)
    kept = Total(delta=7e-7, **more)
    several = sum([Total.of(one, **more)] * 6, kept)
    assert math.inf > (kept + total).epsilon(1e-5) == pytest.approx(several.epsilon(1e-5))
    assert Total.of(three, 0, **more) == Total(**more)


@pytest.mark.parametrize("meter", [RenyiMeter(7.5), RenyiMeter(3.0)])
def test_totals_of_different_meters_are_not_added(meter):
    with pytest.raises(SettingError, match="different units"):
        Total.of(gaussian(2.0)) + Total.of(gaussian(2.0), meter=meter)
    with pytest.raises(SettingError, match="different units"):
        Total.of(gaussian(2.0), meter=meter) + Total.of(gaussian(2.0), meter=RenyiMeter(5.0))


def test_the_room_of_a_total_is_what_just_fits_beside_it():
    for meter in (RenyiMeter(7.5), Total().meter):
        before = Total(delta=3e-6, meter=meter) + Total.of(gaussian(4.0, delta=1e-6), 3, meter)
        rest = Total(cost=before.room(3.0, 1e-5), meter=meter)
        assert rest.cost > 0
        assert (before + rest).epsilon(1e-5) == pytest.approx(3.0, rel=1e-6)
    assert Total(delta=1e-5).room(3.0, 1e-5) == 0.0
    assert Total(cost=0.1, delta=1e-5).room(3.0, 1e-5) == -0.1


def test_an_account_of_nothing_has_spent_nothing_whatever_is_set_aside():
    assert Total(meter=RenyiMeter(7.5)).epsilon(1e-5) == Total(delta=1e-4).epsilon(1e-5) == 0.0
    assert Total(delta=1e-4).fits(0.1, 1e-5)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"amount": -1.0}, "amount -1.0"),
        ({"amount": math.nan}, "amount nan"),
        ({"delta": -1e-6}, "delta -1e-06"),
        ({"delta": 1.5}, "delta 1.5"),
        ({"sample_rate": 0.0}, "sample rate 0.0"),
        ({"sample_rate": 1.5}, "sample rate 1.5"),
        ({"sample_rate": math.nan}, "sample rate nan"),
        ({"sample_rate": 0.1, "unit": "owner"}, "whole owner has the sample rate 0.1"),
        ({"times": 0}, "happened 0 times"),
        ({"times": -2}, "happened -2 times"),
        ({"times": 1.5}, "happened 1.5 times"),
    ],
)
def test_an_event_that_would_understate_its_cost_cannot_be_stated(wrong, said):
    facts = {"unit": "row", "amount": 2.0, **wrong}
    with pytest.raises(SettingError, match=said) as caught:
        PrivacyEvent(1, "a mean", "all", mechanism="gaussian", **facts)
    assert all(part.endswith(".") for part in (caught.value.what, caught.value.why, caught.value.do))


def test_an_event_says_how_it_was_sampled_and_how_often_it_happened():
    sampled = PrivacyEvent(1, "a round's update", "training", "row", "gaussian", 2.0, sample_rate=0.2, times=30)
    assert sampled.words == "Gaussian noise, multiplier 2, each row with probability 0.2"
    assert repr(sampled).endswith("each row with probability 0.2, 30 times)")
    assert "30 times" in sampled._repr_html_()
    assert "Laplace noise, scale 4 × sensitivity" in repr(PrivacyEvent(1, "a sum", "all", "row", "laplace", 4.0))
    assert gaussian(2.0).words == "Gaussian noise, multiplier 2"


@settings(max_examples=100, deadline=None)
@given(
    cost=st.one_of(st.just(0.0), st.floats(1e-3, 3)),
    lists=st.sampled_from([0.0, 3e-6, 5e-6]),
    delta=st.sampled_from([0.0, 4e-6, 1e-5]),
    meter=st.sampled_from([Total().meter, RenyiMeter(7.5)]),
)
def test_what_fits_is_what_has_no_larger_epsilon(cost, lists, delta, meter):
    total = Total(cost, lists, delta, meter)
    spent = total.epsilon(1e-5)
    assert spent >= 0.0
    if spent == math.inf:
        assert delta == 1e-5 or lists > delta
        assert not total.fits(1e6, 1e-5)
        return
    assert total.fits(spent * (1 + 1e-6) + 1e-9, 1e-5)
    assert not spent or not total.fits(spent * (1 - 1e-6), 1e-5)


def test_what_has_no_mechanism_never_fits():
    assert not Total.of(NOTHING).fits(1e6, 1e-5)
