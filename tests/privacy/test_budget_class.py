"""A budget says what it means in noise and rounds before any data is asked."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedlab_nb.errors import SettingError
from fedlab_nb.privacy.budget import Budget

BUDGETS = st.builds(Budget, st.floats(0.1, 20), st.floats(-9, -2).map(lambda x: 10.0**x))


@pytest.mark.parametrize(
    ("epsilon", "delta", "rounds", "sigma"),
    [
        (1, 1e-5, 4, 26.379549),
        (3, 1e-5, 33, 9.832981),
        (8, 1e-5, 177, 4.244260),
        (1, 1e-3, 9, 18.205574),
        (3, 1e-3, 59, 7.334477),
    ],
)
def test_noise_and_rounds_are_the_closed_form_ones(epsilon, delta, rounds, sigma):
    assert Budget(epsilon, delta).rounds(8.0) == rounds
    assert Budget(epsilon, delta).noise_multiplier(50) == pytest.approx(sigma, abs=1e-6)


def test_with_sampled_rows_the_order_that_an_account_is_opened_with_counts():
    budget = Budget(3.0, 1e-5)
    # 134 rounds and noise 1.7963 are what the best order allows, picked when everything is known.
    assert budget.rounds(2.0, row_rate=0.1) == 133
    assert budget.noise_multiplier(100, row_rate=0.1) == pytest.approx(1.7963, rel=1e-2)
    assert budget.noise_multiplier(100, row_rate=0.1) >= 1.7963 - 2e-3


@settings(max_examples=60, deadline=None)
@given(BUDGETS, st.integers(1, 2000), st.sampled_from([1.0, 0.5, 0.1, 0.01]))
def test_the_noise_for_so_many_rounds_allows_just_so_many(budget, rounds, rate):
    sigma = budget.noise_multiplier(rounds, row_rate=rate)
    assert budget.rounds(sigma, row_rate=rate) >= rounds
    # Where even sampled rows need noise 0.2 at most, there is a jump: see meters.py.
    if rate == 1.0 or sigma > 0.21:
        assert budget.rounds(sigma, row_rate=rate) == rounds
        assert budget.rounds(sigma * 0.999, row_rate=rate) <= rounds
        assert budget.rounds(sigma * 0.999 ** (1 + 1 / rounds), row_rate=rate) <= rounds


def test_few_sampled_rows_pay_off():
    budget = Budget(3.0, 1e-5)
    assert budget.noise_multiplier(100, row_rate=0.1) < budget.noise_multiplier(100) / 5
    assert budget.rounds(2.0, row_rate=0.9) < budget.rounds(8.0, row_rate=0.9)


@pytest.mark.parametrize("rate", [0.0, -0.1, 1.5, float("nan"), None, "0.1"])
def test_a_row_rate_that_is_no_probability_is_refused(rate):
    with pytest.raises(SettingError, match="row rate"):
        Budget(3.0).rounds(2.0, row_rate=rate)
    with pytest.raises(SettingError, match="row rate"):
        Budget(3.0).noise_multiplier(10, row_rate=rate)


@pytest.mark.parametrize("sigma", [0.0, -1.0, float("inf"), float("nan"), None, "2"])
def test_a_noise_multiplier_that_is_none_is_refused(sigma):
    with pytest.raises(SettingError, match="noise multiplier"):
        Budget(3.0).rounds(sigma)


@pytest.mark.parametrize("rounds", [0, -3, 2.5, True, None, "20"])
def test_a_number_of_rounds_that_is_none_is_refused(rounds):
    with pytest.raises(SettingError, match="number of rounds"):
        Budget(3.0).noise_multiplier(rounds)
