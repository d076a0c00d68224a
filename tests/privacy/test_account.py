import re
import threading

import dp_accounting
import pytest

from fedlab_nb.errors import BudgetExceededError, SettingError
from fedlab_nb.privacy import (
    Account,
    Budget,
    Debit,
    GaussianMeter,
    RenyiMeter,
    Vault,
    by_purpose,
    epsilon,
    gaussian_epsilon,
    meter_for,
    plan_owners,
    plan_rows,
)
from fedlab_nb.records import PrivacyEvent


def release(sigma, rows="training", unit="row", purpose="a round's update", **more):
    return PrivacyEvent(1, purpose, rows, unit, "gaussian", sigma, **more)


PLAIN = PrivacyEvent(1, "a round's update", "training", "row", "none")


def spend(account, *events, held_out=0.2):
    for event in events:
        account.add(event, held_out)


def charge(vault, *events, data="a", budget=None, owner="Clinic A"):
    return vault.charge([Debit(owner, data, 0.2, events, budget)])


def test_training_and_held_out_rows_cost_the_larger_of_both_and_not_the_sum():
    account = Account()
    spend(account, release(2.0), release(1.0, "held-out"))
    assert account.spent(1e-5) == pytest.approx(gaussian_epsilon(1.0, 1e-5))


def test_a_release_on_all_rows_counts_with_both_kinds():
    account = Account()
    spend(account, release(2.0), release(3.0, "held-out"), release(4.0, "all"))
    assert account.spent(1e-5) == pytest.approx(epsilon([release(2.0), release(4.0)], 1e-5))


def test_when_the_split_changes_everything_adds_up():
    account = Account()
    spend(account, release(2.0), release(1.0, "held-out"), held_out=0.2)
    spend(account, release(2.0), held_out=0.3)
    assert account.spent(1e-5) == pytest.approx(epsilon([release(2.0), release(1.0), release(2.0)], 1e-5))


def test_a_question_about_another_split_already_adds_everything_up():
    account = Account()
    spend(account, release(2.0), release(1.0, "held-out"), held_out=0.2)
    assert account.spent(1e-5, [release(2.0)], 0.2) == pytest.approx(gaussian_epsilon(1.0, 1e-5))
    assert account.spent(1e-5, [release(2.0)], 0.3) == pytest.approx(
        epsilon([release(2.0), release(1.0), release(2.0)], 1e-5)
    )
    assert account.spent(1e-5) == pytest.approx(gaussian_epsilon(1.0, 1e-5)), "asking costs nothing"


def test_an_unused_account_has_spent_nothing():
    assert Account().spent(1e-5) == 0.0
    assert Account().guaranteed("row")


def test_a_guarantee_needs_a_mechanism_for_that_unit_in_every_release():
    account = Account()
    spend(account, release(1.0, unit="owner"))
    assert account.guaranteed("owner")
    assert account.guaranteed("row"), "hiding a whole owner hides each of its rows"
    spend(account, release(1.0, unit="row"))
    assert account.guaranteed("row")
    assert not account.guaranteed("owner")
    spend(account, PLAIN)
    assert not account.guaranteed("row")


def test_an_unprotected_release_leaves_the_count_of_the_others_finite():
    account = Account()
    spend(account, release(1.0), PLAIN)
    assert account.spent(1e-5) == pytest.approx(gaussian_epsilon(1.0, 1e-5))


def test_every_account_is_charged_or_none_and_the_error_names_the_owner():
    vault, budget = Vault(), Budget(3.0, 1e-5)
    charge(vault, release(2.0), data="worn", budget=budget)
    before = vault.account("worn").counts
    debits = [Debit(f"Clinic {x}", data, 0.2, (release(1.8),), budget) for x, data in (("A", "new"), ("B", "worn"))]
    with pytest.raises(BudgetExceededError, match="'Clinic B'") as caught:
        vault.charge(debits)
    assert vault.account("new").releases == 0
    assert vault.account("worn").counts == before
    assert len(vault) == 1
    assert caught.value.why
    assert caught.value.do


def test_two_debits_of_one_account_are_judged_together():
    vault, budget = Vault(), Budget(3.0, 1e-5)
    with pytest.raises(BudgetExceededError, match=r"'Clinic A' to epsilon 3\.797"):
        vault.charge([Debit(name, "same", 0.2, (release(1.6),), budget) for name in ("Clinic A", "Clinic B")])
    assert len(vault) == 0


def test_each_owner_is_bound_by_its_own_budget():
    vault = Vault()
    debits = [Debit("A", "a", 0.2, (release(1.0),), Budget(5.0)), Debit("B", "b", 0.2, (release(1.0),), Budget(1.0))]
    with pytest.raises(BudgetExceededError, match="'B'"):
        vault.charge(debits)
    vault.charge(debits[:1])
    assert vault.account("a").releases == 1


def test_a_budget_holds_over_adaptive_charges_and_is_used_to_the_last_round():
    vault, budget = Vault(), Budget(3.0, 1e-5)
    for _ in range(33):  # floor(mu_B^2 * 8^2) for epsilon 3 and delta 1e-5
        charge(vault, release(8.0), budget=budget)
    assert vault.account("a").spent(1e-5) <= 3.0
    with pytest.raises(BudgetExceededError):
        charge(vault, release(8.0), budget=budget)
    assert len(vault) == 33


def test_without_a_budget_everything_is_recorded_and_nothing_refused():
    vault = Vault()
    charge(vault, PLAIN, release(0.01))
    assert [entry.event for entry in vault.entries()] == [PLAIN, release(0.01)]


def test_an_account_that_sets_more_aside_than_the_agreed_delta_says_so():
    vault = Vault()
    vault.open("a", "Clinic A", Budget(8.0, 1e-3), "row", GaussianMeter(), 1e-4)
    charge(vault, release(5.0, delta=1e-4), budget=Budget(8.0, 1e-3))
    with pytest.raises(BudgetExceededError, match=r"'Clinic A' sets delta 0.0001 aside .* delta is only 1e-05"):
        charge(vault, release(50.0), budget=Budget(8.0, 1e-5))
    assert len(vault) == 2


def test_lists_beyond_what_was_set_aside_are_refused_and_told_to_be_declared():
    vault, budget = Vault(), Budget(8.0, 1e-3)
    vault.open("a", "Clinic A", budget, "row", GaussianMeter(), 1e-4)
    charge(vault, release(5.0, delta=7e-5, purpose="lists"), budget=budget)
    before = vault.account("a").counts
    with pytest.raises(
        BudgetExceededError, match=r"cannot release lists: of the delta 0.0001 .* 3e-05 is left"
    ) as caught:
        charge(vault, release(50.0), release(50.0, delta=7e-5, purpose="lists"), budget=budget)
    assert "categories=" in caught.value.do
    assert vault.account("a").counts == before
    charge(vault, release(50.0, delta=3e-5), budget=budget)
    assert vault.account("a").lists_left == pytest.approx(0.0, abs=1e-18)
    charge(vault, release(50.0), budget=budget)


def test_lists_without_anything_set_aside_are_never_within_a_budget():
    vault = Vault()
    with pytest.raises(BudgetExceededError, match="of the delta 0 that"):
        charge(vault, release(50.0, delta=1e-12), budget=Budget(8.0, 1e-3))
    charge(vault, release(50.0, delta=1e-12))
    assert vault.account("a").spent(1e-3) == float("inf")


def test_what_is_set_aside_counts_from_the_first_release_whether_lists_leave_or_not():
    account, other = Account(GaussianMeter(), 4e-6), Account(GaussianMeter(), 4e-6)
    assert account.spent(1e-6) == 0.0, "nothing has left"
    spend(account, release(2.0))
    spend(other, release(2.0, delta=4e-6))
    assert account.spent(1e-5) == other.spent(1e-5) == pytest.approx(gaussian_epsilon(0.5, 6e-6))
    assert account.spent(4e-6) == float("inf")


def test_a_meter_for_a_large_budget_says_so_where_it_has_no_room_for_a_small_one():
    vault, large, small = Vault(), Budget(20.0, 1e-5), Budget(0.5, 1e-5)
    meter = meter_for(True, large.epsilon, large.delta)
    vault.open("a", "Clinic A", large, "row", meter)
    assert meter.room(small.epsilon, small.delta) == 0.0
    for refused in (
        lambda: charge(vault, release(1e6), budget=small),
        lambda: plan_rows([("Clinic A", vault.account("a"), small)], 5),
        lambda: plan_owners([("Clinic A", vault.account("a"), small)], 5),
    ):
        with pytest.raises(BudgetExceededError, match=r"opened for a larger budget.* agreed epsilon is 0.5") as caught:
            refused()
        least = float(re.search(r"more than epsilon (\S+),", caught.value.what)[1])
        assert meter.room(1.1 * least, 1e-5) > 0.0, "what it advises works"


@pytest.mark.parametrize("meter", [GaussianMeter(), RenyiMeter(7.5)])
def test_a_budget_check_takes_far_less_than_a_millisecond(meter, monkeypatch):
    """No clock: once the room of a budget is known, a check solves no equation, which is what would take time."""
    vault, budget = Vault(), Budget(3.0, 1e-5)
    vault.open("a", "Clinic A", budget, "row", meter)
    charge(vault, release(50.0), budget=budget)

    def no_more(*_):
        raise AssertionError("an equation was solved")

    monkeypatch.setattr(dp_accounting, "get_epsilon_gaussian", no_more)
    monkeypatch.setattr(dp_accounting, "get_sigma_gaussian", no_more)
    for amount in (40.0, 41.0, 42.0):
        charge(vault, release(amount), release(amount, "held-out"), budget=budget)
    assert vault.account("a").releases == 7


def test_an_event_that_stands_for_several_releases_counts_as_so_many():
    account = Account()
    spend(account, release(2.0, times=4), PLAIN)
    assert account.releases == 5
    assert repr(account) == "Account(5 releases, 1 of them unprotected)"


def test_an_owner_that_releases_nothing_is_not_refused_whatever_it_spent_before():
    vault = Vault()
    charge(vault, release(0.5))
    assert charge(vault, budget=Budget(1.0, 1e-5)) == 0
    assert len(vault) == 1


def test_no_epsilon_holds_at_a_delta_that_lists_have_used_up():
    account = Account(GaussianMeter(), 1e-4)
    spend(account, release(5.0, delta=1e-4, purpose="lists"))
    assert account.spent(1e-3) < 2.0
    assert account.spent(1e-4) == float("inf")
    assert by_purpose(account, 1e-4) == (("lists", "no limit"),)


def test_how_releases_add_up_is_fixed_once_and_counts_what_came_before():
    account, sampled = Account(), release(1.0, sample_rate=0.1)
    spend(account, sampled)
    full = account.spent(1e-5)
    account.open(RenyiMeter(8.0), 1e-6)
    assert account.spent(1e-5) < full
    account.open(RenyiMeter(2.0), 0.0)
    assert (account.meter, account.set_aside) == (RenyiMeter(8.0), 1e-6)


def test_many_threads_cannot_spend_the_same_epsilon_twice():
    vault, budget = Vault(), Budget(3.0, 1e-5)
    refused, start = [], threading.Barrier(8)

    def run():
        start.wait()
        for _ in range(10):
            try:
                charge(vault, release(8.0), budget=budget)
            except BudgetExceededError:
                refused.append(1)

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(vault) == 33
    assert len(refused) == 80 - 33
    assert vault.verify()


@pytest.mark.parametrize("eps", [0.0, -1.0, float("inf"), float("nan"), "8", None, True, (8,)])
def test_a_budget_needs_a_positive_epsilon(eps):
    with pytest.raises(SettingError, match="epsilon"):
        Budget(eps)


@pytest.mark.parametrize("delta", [0.0, 1.0, -1e-5, float("nan"), "1e-5", None, True])
def test_a_budget_needs_a_delta_between_nought_and_one(delta):
    with pytest.raises(SettingError, match="delta"):
        Budget(1.0, delta)


def test_reading_while_others_charge_loses_no_release():
    vault, releases, start = Vault(), 400, threading.Barrier(3)
    account = vault.account("a")

    def read():
        start.wait()
        for _ in range(2000):
            account.spent(1e-5)

    def pay():
        start.wait()
        for _ in range(releases):
            charge(vault, release(50.0), release(60.0))

    threads = [threading.Thread(target=work) for work in (read, read, pay)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    everything = [release(50.0), release(60.0)] * releases
    assert account.spent(1e-5) == pytest.approx(epsilon(everything, 1e-5), rel=1e-12)
