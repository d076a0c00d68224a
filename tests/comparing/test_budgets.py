"""Budgets: told beforehand, refused where they do not suffice, spent once a run, and never given back."""

import pytest

import fedlab_nb as fl
from fedlab_nb.comparing import compare
from fedlab_nb.comparing.foresee import Coming, cost_of, foresee
from fedlab_nb.errors import BudgetExceededError, RuleError
from tests.rounds.common import assert_teaches, cells, declared, events_of, logistic, play

BUDGET = fl.Budget(epsilon=8, delta=1e-3)
TWO = {"slow": logistic(lr=0.5), "fast": logistic(lr=2.0)}


def open_ended(owners=None):
    """A mechanism with fixed noise and no budget: runs add up, and none is refused."""
    return fl.Federation(owners or declared(3), protect=fl.RowLevelDP(noise_multiplier=4.0))


def ledgers(federation):
    return [events_of(federation, name) for name in federation.names]


def test_runs_that_do_not_fit_are_refused_before_anything_is_spent():
    federation = fl.Federation(cells(3), budget=BUDGET)
    with pytest.raises(BudgetExceededError) as caught:
        compare(federation, TWO, num_rounds=2, seeds=1)
    assert_teaches(caught, "2 runs", "room for 1", "epsilon 0 is spent of 8", "noise_seed")
    assert ledgers(federation) == [[], [], []]
    assert len(federation.ledger) == 0


def test_one_run_alone_may_take_the_whole_budget_and_a_second_comparison_is_refused():
    federation = fl.Federation(cells(3), budget=BUDGET)
    found = compare(federation, logistic(), num_rounds=2, seeds=1)
    spent = federation.epsilon()
    assert 7 < spent <= 8
    assert found.frame().loc["FedAvg", "epsilon"] == pytest.approx(spent)
    with pytest.raises(BudgetExceededError):
        compare(federation, logistic(lr=1.0), num_rounds=2, seeds=1)
    assert federation.epsilon() == spent


def test_the_same_comparison_again_is_free_as_its_answers_are_kept():
    federation = fl.Federation(cells(3), budget=BUDGET)
    once = compare(federation, logistic(), num_rounds=2, seeds=1)
    again = compare(federation, logistic(), num_rounds=2, seeds=1)
    assert again.frame()["accuracy"].tolist() == once.frame()["accuracy"].tolist()
    assert again.frame().loc["FedAvg", "epsilon"] == 0
    assert any("came from the vault" in note for note in again.notes)


def test_what_is_foretold_is_what_is_spent(capsys):
    federation = open_ended()
    found = compare(federation, TWO, num_rounds=2, seeds=2)
    told = capsys.readouterr().out.splitlines()[0]
    assert told.startswith("4 runs under a privacy mechanism, each of them paid for: epsilon goes from 0 to about ")
    assert f"{federation.epsilon():.2f}" in told
    costs = [cost for lane in found.lanes for cost in lane.epsilons]
    assert costs[1:] == pytest.approx([costs[1]] * 3, rel=1e-9), "equal runs cost the same, whenever they are run"
    assert 0.5 * costs[0] < costs[1] <= costs[0], "the statistics of the first are kept, and free for the others"
    assert costs[0] < federation.epsilon() < sum(costs), "they add up, and more tightly than by addition"
    fresh = open_ended(declared(3, seed=9))
    play(fresh, logistic(lr=0.5), num_rounds=2)
    assert costs[0] == pytest.approx(fresh.epsilon(), rel=1e-9), "a run by itself costs as much"


def test_foreseeing_spends_nothing_and_counts_what_was_spent_before():
    federation = open_ended(cells(3))  # whose classes are not declared: invented rows must be many to name them
    play(federation, num_rounds=1)
    before, epsilon = ledgers(federation), federation.epsilon()
    words = foresee([Coming(federation, logistic(), 3)], 2)
    assert ledgers(federation) == before
    assert f"from {epsilon:.2f} to" in words
    assert "no budget agreed" in words


def test_owners_budgets_of_their_own_bind_too():
    strict = [fl.DataOwner(o.name, o.mock(60, seed=i), target=o.target, held_out=0.2, budget=fl.Budget(1, 1e-3))
              for i, o in enumerate(declared(3))]  # fmt: skip
    with pytest.raises(BudgetExceededError) as caught:
        compare(fl.Federation(strict), TWO, num_rounds=2, seeds=1)
    assert_teaches(caught, "room for 1", "of 1")


def test_owner_level_runs_add_up_within_a_budget():
    def made():
        return fl.Federation(
            declared(12), protect=fl.OwnerLevelDP(noise_multiplier=8.0), budget=fl.Budget(epsilon=8, delta=1e-3)
        )

    federation = made()
    compare(federation, TWO, num_rounds=2, seeds=1)
    assert 0 < federation.epsilon() < 8


def test_rehearsals_cost_nothing_and_every_seed_has_noise_of_its_own():
    federation = fl.Federation(cells(3), budget=BUDGET, noise_seed=7)
    found = compare(federation, TWO, num_rounds=2, seeds=[0, 1])
    again = play(fl.Federation(cells(3), budget=BUDGET, noise_seed=8), TWO["fast"], num_rounds=2, seed=1)
    assert found.runs["fast"][1][-1].metrics == again[-1].metrics
    assert found.frame()["epsilon"].isna().all()
    assert any(note.startswith("Rehearsals") for note in found.notes)
    assert federation.epsilon() is None


def test_a_function_that_deals_out_rows_anew_would_renew_their_budgets_and_is_refused():
    with pytest.raises(RuleError) as caught:
        compare(lambda seed: fl.Federation(cells(3), budget=BUDGET), logistic(), num_rounds=2)
    assert_teaches(caught, "unspent budget", "noise_seed")


def test_without_a_mechanism_there_is_nothing_to_tell(capsys):
    federation = fl.Federation(cells(3))
    assert foresee([Coming(federation, logistic(), 0)], 2) == ""
    assert cost_of(federation, {name: {} for name in federation.names}) is None
    found = compare(federation, logistic(), num_rounds=1, seeds=1)
    assert "privacy mechanism" not in capsys.readouterr().out
    assert found.frame()["epsilon"].isna().all()


def test_a_strategy_that_fails_on_invented_rows_is_said_to_be_unforeseen():
    class Odd(fl.FedAvg):
        def step(self, state, federation, number, cohort, *, last):
            raise ZeroDivisionError

    words = foresee([Coming(open_ended(), Odd(fl.models.logistic()), 0)], 2)
    assert "could not be foreseen" in words
    assert "ZeroDivisionError" in words
