"""Runs whose plan is frozen beforehand: what they release, what they show, and what they refuse."""

from collections import Counter

import numpy as np
import pytest

import fedlab_nb as fl
from fedlab_nb.errors import BudgetExceededError, RuleError, SettingError
from fedlab_nb.privacy import frozen_rounds_left
from fedlab_nb.privacy.guard import schedule_epsilon
from fedlab_nb.records import PrivacyEvent, Update
from tests.rounds.common import assert_teaches, bits, cells, declared, forget, logistic, play

BUDGET = fl.Budget(4.0, 1e-3)
ROUNDS = 3


def federation(owners=None, *, frozen=True, budget=BUDGET, rate=0.3, noise=None, **settings):
    protect = fl.RowLevelDP(row_rate=rate, frozen=frozen, noise_multiplier=noise)
    return fl.Federation(owners or cells(), protect=protect, budget=budget, **settings)


def ask(fed, amount=1e4):
    event = PrivacyEvent(1, "a count", "training", "row", "gaussian", amount)
    return fed.gather(
        "count",
        lambda _, rows: Update(np.array([float(len(rows.training[0]))]), 1.0),
        number=fed.turn(),
        cohort=fed.names,
        bound=1e3,
        noise_sd=amount,
        debits={name: [event] for name in fed.names},
    )


MADE = {
    "all statistics are asked for": cells,
    "all columns are declared": lambda: declared(3, 60),
    "nothing is held out": lambda: cells(held_out=0.0),
}


@pytest.mark.parametrize("kind", MADE)
def test_a_run_begins_every_release_of_its_plan_and_no_other(kind):
    fed = federation(MADE[kind](), encrypt=fl.CKKS() if kind.startswith("all columns") else None)
    history = play(fed, num_rounds=ROUNDS)
    assert history[-1].failed is None
    kinds = Counter(entry.kind for entry in fed.books.vault.entries())
    for name in fed.names:
        plan = fed.account(name).frozen
        assert not any(plan.left(event, fed.owners[0].held_out) for event in plan.events)
        assert sum(plan.begun.values()) == sum(event.times for event in plan.events)
        spent = schedule_epsilon(plan.schedule, 1e-3)
        assert 0.999 * 4.0 < spent <= 4.0
        assert [record.epsilon for record in history] == [pytest.approx(spent, rel=1e-12)] * ROUNDS
    assert kinds["begun"] == len(fed.names) * sum(plan.begun.values())
    assert fed.books.left(fed.names[0], fed.house) == pytest.approx(0.0, abs=4e-3)


def test_a_frozen_run_has_less_noise_in_updates_and_scores():
    usual = play(federation(declared(3, 60), frozen=False), num_rounds=2)
    forget()
    frozen = play(federation(declared(3, 60)), num_rounds=2)
    assert frozen[-1].settings["noise_multiplier"] < 0.95 * usual[-1].settings["noise_multiplier"]
    # Of the plans: the noise of an accuracy is over the noisy number of held-out rows, which differs from run to run.
    assert frozen[0].state.context.plan.metrics < usual[0].state.context.plan.metrics
    assert frozen[0].noise["accuracy"] > 0.0


def test_the_rounds_that_are_left_are_those_of_the_plan():
    fed = federation(declared(3, 60))
    strategy, accounts = logistic(), [(fed.account(owner.name), owner.held_out) for owner in fed.owners]
    for record in fl.rounds(fed, strategy, num_rounds=ROUNDS):
        each = strategy.releases(record.state.context, fed, record.number + 1)
        assert frozen_rounds_left(accounts, each) == ROUNDS - record.number
    assert frozen_rounds_left([], each) is None


def test_a_run_that_ended_is_answered_again_and_another_one_refused():
    owners = declared(3, 60)
    history = play(federation(owners), num_rounds=2)
    fed = federation(owners)
    lines = len(fed.books.vault)
    assert bits(play(fed, num_rounds=2)) == bits(history)
    assert len(fed.books.vault) == lines
    for other in ({"seed": 1}, {"num_rounds": 3}):
        with pytest.raises(BudgetExceededError) as caught:
            play(fed, **{"num_rounds": 2, **other})
        assert_teaches(caught, "'Phone 0'", "frozen plan of another run")
    with pytest.raises(BudgetExceededError):
        play(federation(owners, frozen=False), num_rounds=2)
    with pytest.raises(BudgetExceededError) as caught:
        ask(fed)
    assert_teaches(caught, "a count", "frozen plan of 'Phone 0'")


def test_a_run_goes_on_in_another_federation_with_another_learning_rate_and_not_with_other_noise():
    owners = declared(3, 60)
    first = play(federation(owners), num_rounds=3)
    begun = play(federation(owners), num_rounds=3)[0]
    assert bits([begun]) == bits(first[:1])
    forget()
    records = fl.rounds(federation(owners), logistic(), num_rounds=3)
    begun = next(records)
    noise = begun.settings["noise_multiplier"]
    with pytest.raises(RuleError) as caught:
        play(federation(owners, noise=2 * noise), num_rounds=3, after=begun)
    assert_teaches(caught, "Round 2", "'Phone 0'", "frozen before")
    with pytest.raises(BudgetExceededError):
        play(federation(owners, frozen=False), num_rounds=3, after=begun)
    rest = play(federation(owners), logistic(lr=0.5), num_rounds=3, after=begun)
    assert [record.failed for record in rest] == [None, None]
    assert rest[-1].epsilon <= 4.0
    with pytest.raises(RuleError) as caught:
        play(federation(owners), num_rounds=4, after=rest[-1])
    assert_teaches(caught, "Round 4")


def test_a_run_that_was_not_frozen_does_not_go_on_as_if_it_were():
    owners = declared(3, 60)
    begun = next(fl.rounds(federation(owners, frozen=False), logistic(), num_rounds=3))
    with pytest.raises(RuleError) as caught:
        play(federation(owners), num_rounds=3, after=begun)
    assert_teaches(caught, "Round 2")


def test_a_plan_is_frozen_before_anything_else_has_left():
    fed = federation(declared(3, 60))
    ask(fed)
    with pytest.raises(BudgetExceededError) as caught:
        play(fed, num_rounds=2)
    assert_teaches(caught, "1 release took place", "'Phone 0'", "frozen=True")


def test_a_noise_multiplier_of_ones_own_is_kept_and_the_whole_run_has_to_fit():
    fed = federation(declared(3, 60), noise=2.0)
    history = play(fed, num_rounds=2)
    assert history[-1].settings["noise_multiplier"] == 2.0
    assert history[-1].failed is None
    with pytest.raises(BudgetExceededError) as caught:
        play(federation(declared(3, 60, seed=9), noise=0.5), num_rounds=20)
    assert_teaches(caught, "the whole run takes 'Phone 0'", "of the agreed 4", "fewer rounds")


def test_a_frozen_plan_needs_a_budget_of_every_owner():
    with pytest.raises(SettingError) as caught:
        federation(budget=None, noise=2.0)
    assert_teaches(caught, "'Owner 1'", "frozen=True", "budget=")


def test_a_rehearsal_plans_as_the_run_would_and_debits_nothing_of_it():
    noise = [
        play(federation(declared(3, 60), **more), num_rounds=2)[-1].settings["noise_multiplier"]
        for more in ({"noise_seed": 1}, {})
    ]
    assert noise[0] == noise[1]
    fed = federation(declared(3, 60), noise_seed=1)
    assert fed.epsilon() is None
    assert fed.account("Phone 0").frozen is None or fed.account("Phone 0").releases


def test_a_twin_to_try_things_on_plays_the_plan_anew_and_the_run_keeps_it():
    fed = federation(declared(3, 60))
    play(fed, num_rounds=2)
    twin = fed.books.apart({})
    update = next(event for event in twin.accounts["Phone 0"].frozen.events if event.sample_rate < 1.0)
    assert twin.due("Phone 0", [update], fed.house) == []
    assert fed.books.due("Phone 0", [PrivacyEvent(**{**vars(update), "times": 1})], fed.house)
    twin.charge({"Phone 0": [update]}, fed.house)
    assert twin.due("Phone 0", [update], fed.house)
    assert fed.books.apart(fed.books.accounts).accounts["Phone 0"].frozen == fed.account("Phone 0").frozen


@pytest.mark.parametrize("settings", [{"frozen": True}, {"frozen": 1, "row_rate": 0.2}, {"frozen": "yes"}], ids=str)
def test_a_plan_is_frozen_where_rows_are_sampled_and_nowhere_else(settings):
    with pytest.raises(SettingError) as caught:
        fl.RowLevelDP(**settings)
    assert_teaches(caught, "frozen=", "row_rate=")


def test_the_card_of_the_mechanism_says_what_a_frozen_plan_forbids():
    assert "nothing comes back when it is stopped" in fl.RowLevelDP(row_rate=0.2, frozen=True)._repr_html_()
    assert "frozen" not in fl.RowLevelDP(row_rate=0.2)._repr_html_()
