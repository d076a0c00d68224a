import threading
from uuid import uuid4

import pytest

from fedlab_nb.errors import BudgetExceededError, SettingError
from fedlab_nb.privacy import Account, Budget, Debit, account_of, by_purpose, charge, epsilon, gaussian_epsilon
from fedlab_nb.records import PrivacyEvent


def release(sigma, rows="training", unit="row", purpose="a round's update", **more):
    return PrivacyEvent(1, purpose, rows, unit, "gaussian", sigma, **more)


PLAIN = PrivacyEvent(1, "a round's update", "training", "row", "none")


def spend(account, *events, held_out=0.2, budget=None, owner="Clinic A"):
    charge([Debit(owner, account, held_out, events)], budget)


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


def test_equal_data_share_one_account_and_other_data_have_their_own():
    fingerprint = uuid4().hex
    assert account_of(fingerprint) is account_of(fingerprint)
    assert account_of(fingerprint) is not account_of(uuid4().hex)


def test_every_account_is_charged_or_none_and_the_error_names_the_owner():
    fresh, worn = Account(), Account()
    budget = Budget(3.0, 1e-5)
    spend(worn, release(2.0), budget=budget)
    before = list(worn.entries)
    debits = [Debit("Clinic A", fresh, 0.2, (release(1.8),)), Debit("Clinic B", worn, 0.2, (release(1.8),))]
    with pytest.raises(BudgetExceededError, match="'Clinic B'") as caught:
        charge(debits, budget)
    assert fresh.entries == []
    assert worn.entries == before
    assert caught.value.why
    assert caught.value.do


def test_two_debits_of_one_account_are_judged_together():
    account, budget = Account(), Budget(3.0, 1e-5)
    debits = [Debit(name, account, 0.2, (release(1.6),)) for name in ("Clinic A", "Clinic B")]
    with pytest.raises(BudgetExceededError, match="'Clinic B'"):
        charge(debits, budget)
    assert account.entries == []


def test_a_budget_holds_over_adaptive_charges_and_is_used_to_the_last_round():
    account, budget = Account(), Budget(3.0, 1e-5)
    for _ in range(33):  # floor(mu_B^2 * 8^2) for epsilon 3 and delta 1e-5
        spend(account, release(8.0), budget=budget)
    assert account.spent(1e-5) <= 3.0
    with pytest.raises(BudgetExceededError):
        spend(account, release(8.0), budget=budget)
    assert len(account.entries) == 33


def test_without_a_budget_everything_is_recorded_and_nothing_refused():
    account = Account()
    spend(account, PLAIN, release(0.01))
    assert [event for event, _ in account.entries] == [PLAIN, release(0.01)]


def test_what_a_smaller_delta_no_longer_covers_is_refused_by_name():
    account = Account()
    spend(account, release(5.0, delta=1e-4), budget=Budget(8.0, 1e-3))
    with pytest.raises(BudgetExceededError, match="'Clinic A'"):
        spend(account, release(50.0), budget=Budget(8.0, 1e-5))
    assert len(account.entries) == 1


def test_an_owner_that_releases_nothing_is_not_refused_whatever_it_spent_before():
    account = Account()
    spend(account, release(0.5))
    spend(account, budget=Budget(1.0, 1e-5))
    assert len(account.entries) == 1


def test_no_epsilon_holds_at_a_delta_that_lists_have_used_up():
    account = Account()
    spend(account, release(5.0, delta=1e-4, purpose="lists"))
    assert account.spent(1e-3) < 2.0
    assert account.spent(1e-4) == float("inf")
    assert by_purpose(account, 1e-4) == (("lists", "no limit"),)


def test_many_threads_cannot_spend_the_same_epsilon_twice():
    account, budget = Account(), Budget(3.0, 1e-5)
    refused, start = [], threading.Barrier(8)

    def run():
        start.wait()
        for _ in range(10):
            try:
                spend(account, release(8.0), budget=budget)
            except BudgetExceededError:
                refused.append(1)

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(account.entries) == 33
    assert len(refused) == 80 - 33


@pytest.mark.parametrize("eps", [0.0, -1.0, float("inf"), float("nan"), "8", None, True, (8,)])
def test_a_budget_needs_a_positive_epsilon(eps):
    with pytest.raises(SettingError, match="epsilon"):
        Budget(eps)


@pytest.mark.parametrize("delta", [0.0, 1.0, -1e-5, float("nan"), "1e-5", None, True])
def test_a_budget_needs_a_delta_between_nought_and_one(delta):
    with pytest.raises(SettingError, match="delta"):
        Budget(1.0, delta)


def test_reading_while_others_charge_loses_no_release():
    account, releases, start = Account(), 400, threading.Barrier(3)

    def read():
        start.wait()
        for _ in range(2000):
            account.spent(1e-5)

    def pay():
        start.wait()
        for _ in range(releases):
            spend(account, release(50.0), release(60.0))

    threads = [threading.Thread(target=work) for work in (read, read, pay)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    everything = [release(50.0), release(60.0)] * releases
    assert account.spent(1e-5) == pytest.approx(epsilon(everything, 1e-5), rel=1e-12)
