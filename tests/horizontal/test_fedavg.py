import numpy as np
import pytest

import fedlab_nb as fl
from fedlab_nb.errors import BudgetExceededError, RuleError, SettingError
from fedlab_nb.records import History
from fedlab_nb.rounds import rounds
from tests.horizontal.test_prepare import pooled
from tests.rounds.common import (
    EVERY_ROW,
    assert_teaches,
    cells,
    declared,
    events_of,
    ledgers_of,
    logistic,
    play,
    weights,
)

BUDGET = fl.Budget(epsilon=8, delta=1e-3)
WHOLE_OWNERS = {"protect": fl.OwnerLevelDP(), "budget": fl.Budget(8, 0.01)}


def purposes(federation, name):
    return {event.purpose for event in events_of(federation, name)}


@pytest.mark.parametrize(
    "settings",
    [
        *({"lr": value} for value in (0, -0.1, float("nan"), "0.1", True)),
        *({"local_epochs": value} for value in (0, 2.5)),
        *({"batch_size": value} for value in (float("inf"), "all")),
        {"weighting": "size"},
    ],
    ids=str,
)
def test_settings_that_cannot_work_are_refused_before_anything_leaves(settings):
    federation = fl.Federation(cells())
    with pytest.raises(SettingError) as caught:
        rounds(federation, logistic(**settings))
    ((name, value),) = settings.items()
    assert_teaches(caught, name, repr(value))
    assert len(federation.ledger) == 0


def test_what_makes_no_model_is_refused_before_anything_leaves():
    import torch

    federation = fl.Federation(cells())
    for model in (fl.models.mlp, None, "mlp", torch.nn.Linear(6, 1), lambda: torch.nn.Linear(6, 1)):
        with pytest.raises(SettingError) as caught:
            rounds(federation, fl.FedAvg(model))
        assert_teaches(caught, "parentheses")
    assert len(federation.ledger) == 0


def test_a_model_function_that_fails_says_for_which_sizes():
    def broken(inputs, outputs):
        raise ZeroDivisionError("in here")

    (record,) = play(fl.Federation(cells()), fl.FedAvg(broken))
    assert_teaches(record.failed.error, "6 inputs and 1 outputs", "ZeroDivisionError: in here")


@pytest.mark.parametrize("settings", [{"local_epochs": 1}, {"batch_size": 32}, {"local_epochs": 1, "batch_size": 8}])
def test_local_steps_are_refused_at_row_level(settings):
    federation = fl.Federation(cells(), budget=BUDGET)
    with pytest.raises(RuleError) as caught:
        rounds(federation, logistic(**settings))
    assert_teaches(caught, "local_epochs", "batch_size", "row level")
    assert len(federation.ledger) == 0


def test_weights_that_the_noise_is_not_made_for_are_refused():
    with pytest.raises(RuleError) as caught:
        rounds(fl.Federation(declared(), **WHOLE_OWNERS), logistic(weighting="rows"))
    assert_teaches(caught, "epsilon would be understated", 'weighting="equal"')
    with pytest.raises(RuleError) as caught:
        rounds(fl.Federation(cells(), budget=BUDGET), logistic(weighting="equal"))
    assert_teaches(caught, "each row counts the same")


def test_equal_weighting_is_the_mean_of_the_owners_own_changes():
    owners = [*cells(2), *cells(3, rows=90)[2:]]
    strategy = logistic(weighting="equal", local_epochs=1, batch_size=EVERY_ROW)
    federation = fl.Federation(owners)
    start = strategy.start(federation, num_rounds=1, seed=0)
    after = strategy.step(start, federation, 1, federation.names, last=True)
    sent = [m.payload for m in federation.ledger.messages if m.kind == "update"]
    assert [p[-1] for p in sent] == [1.0, 1.0, 1.0]
    mean = np.mean([p[:-1] for p in sent], axis=0)
    assert after.weights["server"] - start.weights["server"] == pytest.approx(mean, abs=1e-12)


@pytest.mark.parametrize("encrypt", [None, fl.CKKS()], ids=["plain", "encrypted"])
def test_a_run_under_a_budget_ends_at_it_and_charges_every_release_of_every_owner(encrypt):
    federation = fl.Federation(cells(), budget=BUDGET, encrypt=encrypt)
    history = play(federation, num_rounds=4)
    assert history[-1].failed is None
    assert [r.epsilon for r in history] == sorted({r.epsilon for r in history})
    assert history[-1].epsilon == federation.epsilon() == pytest.approx(8, rel=1e-6)
    assert history[-1].epsilon <= 8
    statistics = {"the categories of the columns", "the ranges of the columns", "the moments of the columns"}
    statistics |= {"the number of held-out rows"}
    for name in federation.names:
        assert purposes(federation, name) == statistics | {"a round's update", "a round's score", "the verdict"}


def test_a_multiplier_too_small_for_the_budget_ends_early_with_a_record_that_says_so():
    federation = fl.Federation(cells(), protect=fl.RowLevelDP(noise_multiplier=1.5), budget=fl.Budget(4, 1e-3))
    history = play(federation, num_rounds=20)
    last = history[-1]
    assert 2 < len(history) < 20
    assert isinstance(last.failed.error, BudgetExceededError)
    assert_teaches(last.failed.error, "Owner 1", "a round's update", "agreed 4")
    assert set(last.traffic) == {"model"}
    assert last.state is history[-2].state
    assert last.epsilon == history[-2].epsilon <= 4
    assert strategy_model(history).weights.size == 7


def strategy_model(history):
    return logistic().model_of(history.completed[-1].state)


def test_without_a_budget_a_multiplier_is_counted_and_never_refused():
    owners = cells()
    once = play(fl.Federation(owners, protect=fl.RowLevelDP(noise_multiplier=2.0)))
    same = play(fl.Federation(owners, protect=fl.RowLevelDP(noise_multiplier=2.0)))
    assert same[-1].epsilon == once[-1].epsilon, "equal questions get the stored answers"
    twice = play(fl.Federation(owners, protect=fl.RowLevelDP(noise_multiplier=2.0)), seed=1)
    assert twice[-1].failed is None
    assert 0 < once[-1].epsilon < twice[-1].epsilon


def test_more_epsilon_can_be_agreed_on_and_the_old_spending_stays():
    owners = cells()
    play(fl.Federation(owners, budget=fl.Budget(4, 1e-3)))
    more = fl.Federation(owners, budget=fl.Budget(8, 1e-3))
    assert more.epsilon() == pytest.approx(4)
    assert play(more)[-1].epsilon == pytest.approx(8)
    with pytest.raises(BudgetExceededError):
        play(fl.Federation(owners, budget=fl.Budget(6, 1e-3)))


def test_whole_owners_can_be_hidden_where_all_columns_are_declared():
    federation = fl.Federation(declared(20, 15), encrypt=fl.CKKS(), **WHOLE_OWNERS)
    history = play(federation, num_rounds=4)
    assert history[-1].failed is None
    assert history[-1].epsilon == pytest.approx(8)
    assert history[-1].epsilon <= 8
    for name in federation.names:
        assert {e.unit for e in events_of(federation, name)} == {"owner"}
        assert purposes(federation, name) == {"a round's update", "a round's score"}
    assert all(set(r.metrics) == {"accuracy"} for r in history)


def test_enough_owners_learn_together_although_each_is_hidden():
    protect = fl.OwnerLevelDP(clip=3.0, noise_multiplier=0.2)
    federation = fl.Federation(declared(40, 30), protect=protect, encrypt=fl.CKKS(), noise_seed=1)
    strategy = logistic(lr=2.0, local_epochs=2)
    history = play(federation, strategy, num_rounds=8)
    assert strategy.model_of(history[-1].state).evaluate(pooled(declared(1, 400, seed=9)))["accuracy"] > 0.9


@pytest.mark.parametrize("clip", [1e-4, 1e-2, 100.0, 1000.0])
@pytest.mark.parametrize("mechanism", [fl.RowLevelDP, fl.OwnerLevelDP])
def test_any_clip_norm_that_makes_sense_runs(mechanism, clip):
    federation = fl.Federation(declared(), protect=mechanism(clip=clip), budget=fl.Budget(8, 0.01), encrypt=fl.CKKS())
    history = play(federation, num_rounds=2, strategy=logistic(lr=0.1))
    assert history[-1].failed is None


def test_little_epsilon_gives_a_poor_model_and_no_explosion():
    for seed in range(5):
        federation = fl.Federation(declared(4, 10, seed=seed), budget=fl.Budget(0.05, 1e-5))
        history = play(federation, num_rounds=5)
        assert history[-1].failed is None
        # Each step is at most lr * noise / rows long, however few rows the noisy count shows.
        assert np.abs(weights(history)).max() < 100


def test_spending_sets_the_verdict_aside_and_says_how_many_rounds_are_left():
    federation, strategy = fl.Federation(cells(), budget=BUDGET), logistic()
    left = []
    for record in rounds(federation, strategy, num_rounds=5):
        stand = strategy.spending(federation, record, 5)
        left.append(stand.left)
        assert stand.private
        assert stand.spent == record.epsilon
        assert stand.agreed == 8
    assert left == [4, 3, 2, 1, 0]


def test_a_run_that_failed_before_its_first_round_has_a_standing_too():
    federation, strategy = fl.Federation(cells()), fl.FedAvg(lambda i, o: 1 / 0)
    (record,) = play(federation, strategy)
    assert strategy.spending(federation, record, 3).claim.startswith("No guarantee")
    assert isinstance(History([record]).frame().to_dict(), dict)
    again = play(federation, logistic(), after=record)
    assert [r.number for r in again.completed][:1] == [1]


def test_noise_that_leaves_room_for_no_round_is_refused_before_anything_is_paid():
    budget, protect = fl.Budget(8, 1e-3), fl.RowLevelDP(noise_multiplier=0.2)
    federation = fl.Federation(cells(), protect=protect, budget=budget)
    with pytest.raises(BudgetExceededError, match="first round alone"):
        rounds(federation, logistic(), num_rounds=3)
    assert ledgers_of(federation) == [[], [], []]


def test_nothing_is_charged_by_making_a_federation_or_asking_about_it():
    federation = fl.Federation(cells(), budget=BUDGET)
    rounds(federation, logistic())
    assert ledgers_of(federation) == [[], [], []]
    assert federation.epsilon() == 0.0
