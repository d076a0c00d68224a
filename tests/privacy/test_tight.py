"""Numbers for showing: against published ones, against each other, and against what is enforced."""

import math
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedlab_nb.privacy.account import Account
from fedlab_nb.privacy.accountant import Total
from fedlab_nb.privacy.card import account_card
from fedlab_nb.privacy.meters import GAUSSIAN, RenyiMeter, best_order, gaussian_epsilon
from fedlab_nb.privacy.tight import classic_epsilon, composed_epsilon, naive_epsilon, renyi_epsilon, tight_epsilon
from fedlab_nb.records import PrivacyEvent


def event(mechanism="gaussian", amount=2.0, rate=1.0, times=1, delta=0.0):
    return PrivacyEvent(1, "update", "training", "row", mechanism, amount, delta, rate, times)


# Each row: sample rate, noise multiplier, rounds, delta, and epsilon by three counts; the papers report the last one.
TABLE = [
    pytest.param(0.01, 4.0, 10_000, 1e-5, 0.94700, 1.03549, 1.25858, id="Abadi 2016"),
    pytest.param(0.01, 1.1, 10_000, 1e-5, 5.19262, 5.63201, 6.27981, id="ten thousand rounds"),
    pytest.param(256 / 60_000, 1.3, 3_515, 1e-5, 0.86446, 0.95443, 1.19213, id="15 epochs"),
    pytest.param(256 / 60_000, 1.1, 14_062, 1e-5, 2.38169, 2.59656, 3.00910, id="60 epochs"),
    pytest.param(256 / 60_000, 0.7, 10_546, 1e-5, 5.63945, 6.31946, 7.12262, id="45 epochs"),
    pytest.param(0.1, 1.0, 100, 1e-5, 7.04660, 7.90385, 8.92769, id="10 of 100"),
    pytest.param(0.25, 2.0, 50, 1e-3, 3.06097, 3.52876, 4.27854, id="5 of 20"),
    pytest.param(0.1, 2.0, 50, 1e-5, 1.6525, 1.8440, None, id="fifty rounds"),
    pytest.param(5_000 / 763_430, 1.0, 5_000, 1e-9, 3.8988, 4.1833, 4.634, id="McMahan 2018"),
    pytest.param(1.0, 1.0, 1, 1e-5, 4.377178, 4.728507, 5.298526, id="one Gaussian"),
    pytest.param(1.0, 50.0, 1_000, 1e-5, 2.594383, 2.813653, 3.234854, id="a thousand Gaussians"),
    pytest.param(1.0, 8.0, 50, 1e-3, 2.695867, 3.045409, 3.675951, id="all take part"),
]


@pytest.mark.parametrize(("rate", "sigma", "rounds", "delta", "tight", "renyi", "classic"), TABLE)
def test_epsilon_is_the_published_one_by_every_count(rate, sigma, rounds, delta, tight, renyi, classic):
    events = {event(amount=sigma, rate=rate): rounds}
    assert tight_epsilon(events, delta) == pytest.approx(tight, abs=2e-3 if rate < 1 else 1e-6)
    # More orders are tried here than for the published numbers, so ours may be a little lower and never higher.
    assert renyi - 5e-3 < renyi_epsilon(events, delta) < renyi + 1e-4
    if classic:
        assert classic_epsilon(events, delta) < classic + 1e-4
        whole = [RenyiMeter(order) for order in (*range(2, 65), 128, 256, 512)]
        at_whole = min(rounds * m.cost(event(amount=sigma, rate=rate)) - math.log(delta) / (m.order - 1) for m in whole)
        assert at_whole == pytest.approx(classic, abs=7e-3 if rate == 1 else 2e-3)


def test_different_releases_together_are_the_published_ones():
    ledger = {event(amount=2.0, rate=0.1): 50, event("laplace", 20.0): 8, event(amount=20.0): 50}
    assert tight_epsilon(ledger, 1e-5) == pytest.approx(2.2569, abs=2e-3)
    assert renyi_epsilon(ledger, 1e-5) == pytest.approx(2.4768, abs=2e-3)
    assert naive_epsilon(ledger, 1e-5) > 10


def test_the_rounds_of_a_budget_by_the_best_order_and_by_loss_distributions():
    def rounds(epsilon_of):
        low, high = 0, 400
        while high - low > 1:
            middle = (low + high) // 2
            fits = epsilon_of({event(amount=2.0, rate=0.1): middle}, 1e-5) <= 3.0
            low, high = (middle, high) if fits else (low, middle)
        return low

    assert rounds(renyi_epsilon) == 134
    assert rounds(tight_epsilon) == 161


def test_the_noise_of_a_hundred_rounds_by_both_counts():
    for epsilon_of, sigma in [(renyi_epsilon, 1.7963), (tight_epsilon, 1.6757)]:
        assert epsilon_of({event(amount=sigma - 2e-3, rate=0.1): 100}, 1e-5) > 3.0
        assert epsilon_of({event(amount=sigma + 2e-3, rate=0.1): 100}, 1e-5) < 3.0


RELEASES = st.lists(
    st.one_of(
        st.builds(event, st.just("gaussian"), st.floats(0.8, 20), st.sampled_from([1.0, 0.5, 0.1, 0.01])),
        st.builds(event, st.just("laplace"), st.floats(1, 50)),
    ),
    min_size=1,
    max_size=3,
)
TIMES = st.lists(st.integers(1, 20), min_size=3, max_size=3)
DELTAS = st.sampled_from([1e-3, 1e-5, 1e-7])


def counted(releases, times):
    counts = {}
    for release, often in zip(releases, times, strict=False):
        counts[release] = counts.get(release, 0) + often
    return counts


def slack(counts):
    """Each composition rounds the privacy loss up by less than a step of a thousandth."""
    return 1e-3 * sum(counts.values()) + 1e-9


def composed(counts, delta):
    kinds = tuple((e.mechanism, e.amount, e.sample_rate, often) for e, often in counts.items())
    return composed_epsilon(kinds, delta)


@settings(max_examples=15, deadline=None)
@given(RELEASES, TIMES, DELTAS)
def test_tight_is_below_renyi_and_renyi_below_classic(releases, times, delta):
    counts = counted(releases, times)
    tight, renyi = tight_epsilon(counts, delta), renyi_epsilon(counts, delta)
    assert 0 < tight <= renyi <= classic_epsilon(counts, delta) * (1 + 1e-12)
    assert tight * (1 - 1e-6) <= composed(counts, delta) <= renyi + slack(counts)


@settings(max_examples=15, deadline=None)
@given(RELEASES, TIMES, DELTAS)
def test_what_is_enforced_is_never_below_what_is_tight(releases, times, delta):
    counts = counted(releases, times)
    for meter in (GAUSSIAN, RenyiMeter(best_order(3.0, delta))):
        enforced = sum((Total.of(e, n, meter) for e, n in counts.items()), Total(meter=meter)).epsilon(delta)
        assert enforced >= tight_epsilon(counts, delta) * (1 - 1e-3)
        assert enforced >= composed(counts, delta) - slack(counts)


@settings(max_examples=15, deadline=None)
@given(RELEASES, TIMES, RELEASES, DELTAS)
def test_one_more_release_never_lowers_anything(releases, times, more, delta):
    fewer = counted(releases[:2], times)
    counts = {**fewer, more[0]: fewer.get(more[0], 0) + 1}
    for epsilon_of in (tight_epsilon, renyi_epsilon, classic_epsilon, naive_epsilon):
        assert epsilon_of(counts, delta) >= epsilon_of(fewer, delta) - slack(counts)


@pytest.mark.parametrize("epsilon_of", [tight_epsilon, renyi_epsilon, classic_epsilon, naive_epsilon])
def test_nothing_released_costs_nothing_and_bare_rows_cost_everything(epsilon_of):
    assert epsilon_of({}, 1e-5) == 0.0
    assert epsilon_of({event(): 0}, 1e-5) == 0.0
    assert epsilon_of({event(): 3, event("none", 0.0): 1}, 1e-5) == math.inf
    assert epsilon_of({event(amount=0.0): 1}, 1e-5) == math.inf


@pytest.mark.parametrize("epsilon_of", [tight_epsilon, renyi_epsilon, classic_epsilon, naive_epsilon])
def test_lists_take_their_part_of_delta(epsilon_of):
    with_list = {event(amount=2.0, delta=2e-6): 2}
    assert epsilon_of(with_list, 1e-5) == pytest.approx(epsilon_of({event(amount=2.0): 2}, 6e-6), rel=1e-9)
    assert epsilon_of({event(amount=2.0, delta=1e-5): 1}, 1e-5) == math.inf


@pytest.mark.parametrize("epsilon_of", [tight_epsilon, renyi_epsilon, classic_epsilon, naive_epsilon])
def test_so_many_times_in_one_event_or_so_many_events_are_the_same(epsilon_of):
    assert epsilon_of({event(rate=0.1, times=6): 5}, 1e-5) == epsilon_of({event(rate=0.1): 30}, 1e-5)


def test_gaussian_releases_of_all_rows_are_exact():
    assert tight_epsilon({event(amount=4.0): 6, event(amount=9.0): 20}, 1e-5) == pytest.approx(
        gaussian_epsilon(math.sqrt(6 / 16 + 20 / 81), 1e-5), rel=1e-12
    )


def test_the_naive_sum_is_each_release_alone_at_its_part_of_delta():
    counts = {event(amount=2.0): 3, event("laplace", 4.0): 1}
    assert naive_epsilon(counts, 1e-5) == pytest.approx(3 * gaussian_epsilon(0.5, 2.5e-6) + 0.25)
    sampled = math.log1p(0.1 * math.expm1(gaussian_epsilon(0.5, 1e-4)))
    assert naive_epsilon({event(amount=2.0, rate=0.1): 1}, 1e-5) == pytest.approx(sampled)
    assert tight_epsilon({event(amount=2.0, rate=0.1): 1}, 1e-5) == pytest.approx(sampled, abs=2e-3)


def test_a_loss_that_is_too_large_to_matter_gets_the_renyi_number():
    huge = {event(amount=0.5, rate=0.1): 1000}
    assert tight_epsilon(huge, 1e-5) == renyi_epsilon(huge, 1e-5) > 100


def test_nothing_is_written_to_the_screen(capfd):
    tight_epsilon({event(amount=0.9, rate=0.37): 20, event("laplace", 10.0): 1}, 1e-4)
    assert capfd.readouterr() == ("", "")


def test_the_card_of_an_account_shows_the_counted_the_tight_and_the_naive_epsilon_and_what_they_are_about():
    account, sampled = Account(RenyiMeter(7.5)), event(rate=0.1)
    for _ in range(50):
        account.add(sampled, 0.2)
    account.add(PrivacyEvent(0, "the verdict", "held-out", "row", "gaussian", 9.0), 0.2)
    card = " ".join(re.sub(r"<[^>]*>", " ", account_card(account)).split())
    tight, naive = tight_epsilon({sampled: 50}, 1e-5), naive_epsilon({sampled: 50}, 1e-5)
    assert f"delta 10⁻⁵ {account.spent(1e-5):.2f} {tight:.2f} {naive:.2f} " in card
    assert tight < account.spent(1e-5) < naive
    for words in ("one row added or removed", "each row takes part with probability 0.1", "order 7.5"):
        assert words in card
    assert f"update 50 training Gaussian noise, multiplier 2, each row with probability 0.1 {1.84}" in card
    account.add(event("none", 0.0), 0.2)
    assert "Naive" not in account_card(account)


def test_the_card_says_where_sampling_gets_no_credit_and_where_lists_have_used_up_delta():
    account = Account()
    account.add(event(rate=0.1, delta=1e-4), 0.2)
    card = account_card(account)
    assert "no credit is given for it" in card
    assert "no epsilon holds" in card
