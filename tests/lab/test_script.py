"""train() in a plain process: no kernel, no page, only what is printed and what comes back."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import fedlab_nb as fl
from fedlab_nb.errors import BudgetExceededError, FedLabError, RoundError, SettingError
from tests.rounds.common import assert_teaches, bits, cells, logistic, play
from tests.rounds.test_rounds import Moody

BUDGET = fl.Budget(epsilon=8, delta=1e-3)


def test_the_first_five_lines_train_a_private_model_and_say_what_it_cost(capsys):
    owners = fl.split_rows(fl.data.breast_cancer(), owners=5, skew=0.5)
    federation = fl.Federation(owners, encrypt=fl.CKKS(), budget=fl.Budget(epsilon=8, delta=1e-3))
    run = fl.train(federation, fl.FedAvg(fl.models.mlp()), num_rounds=5)
    assert run.state == "finished"
    assert len(run.history) == 5
    assert run.history[-1].failed is None
    assert run.epsilon == federation.epsilon() <= 8
    assert run.model.evaluate(fl.data.breast_cancer())["accuracy"] > 0.6
    printed = capsys.readouterr().out
    assert [f"round {i} of 5" in printed for i in range(1, 6)] == [True] * 5
    assert "epsilon" in printed


@pytest.mark.parametrize("first", ["fl.train", "fl.rounds", "from fedlab_nb.rounds import Strategy"])
def test_the_iterator_can_be_called_whatever_was_used_before_it(first):
    code = f"import fedlab_nb as fl\n{first}\nassert callable(fl.rounds), fl.rounds\nassert callable(fl.train)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


def test_a_run_holds_the_same_records_as_the_iterator():
    owners = cells()
    run = fl.train(fl.Federation(owners), logistic(), num_rounds=3, seed=2)
    assert bits(run.history) == bits(play(fl.Federation(owners), seed=2))
    assert bits(run.wait()) == bits(run.history)
    frame = run.frame()
    assert list(frame.index) == [1, 2, 3]
    assert frame["accuracy"].tolist() == [r.metrics["accuracy"] for r in run.history]
    assert isinstance(frame, pd.DataFrame)


def test_a_run_goes_on_from_the_last_round_of_an_earlier_one():
    owners = cells()
    whole = fl.train(fl.Federation(owners), logistic(), num_rounds=5)
    federation = fl.Federation(owners)
    head = fl.train(federation, logistic(), num_rounds=2)
    tail = fl.train(federation, logistic(), num_rounds=5, after=head.history[-1])
    assert bits([*head.history, *tail.history]) == bits(whole.history)


@pytest.mark.parametrize("num_rounds", [0, -3, True, 2.5])
def test_what_cannot_work_is_refused_at_the_call(num_rounds):
    federation = fl.Federation(cells())
    with pytest.raises(SettingError) as caught:
        fl.train(federation, logistic(), num_rounds=num_rounds)
    assert_teaches(caught, repr(num_rounds))
    assert len(federation.ledger) == 0


def test_running_the_cell_again_costs_nothing_and_another_run_on_spent_rows_is_refused_in_words():
    def cell(**settings):
        return fl.train(fl.Federation(cells(), budget=BUDGET), logistic(**settings), num_rounds=2)

    first, again = cell(), cell()
    assert bits(again.history) == bits(first.history)
    assert again.history[-1].epsilon == first.history[-1].epsilon
    with pytest.raises(BudgetExceededError) as caught:
        cell(lr=1.0)
    assert_teaches(caught, "Owner 1", "epsilon 8", "restart the kernel")


def test_a_failed_round_is_in_the_table_and_waiting_for_the_end_raises_it():
    model = Moody()
    model.mood = lambda x: x * float("nan")
    run = fl.train(fl.Federation(cells()), fl.FedAvg(model), num_rounds=3)
    assert run.state == "failed"
    assert "Owner 1" in run.frame()["failed"][1]
    with pytest.raises(RoundError) as caught:
        run.wait()
    assert_teaches(caught, "Owner 1", "not finite")
    with pytest.raises(FedLabError):
        _ = run.model


def test_a_budget_that_ends_early_ends_the_run_well():
    federation = fl.Federation(cells(), protect=fl.RowLevelDP(noise_multiplier=1.5), budget=fl.Budget(4, 1e-3))
    run = fl.train(federation, logistic(), num_rounds=20)
    assert run.state == "budget spent"
    assert all(r.failed is None for r in run.history)
    assert 1 < len(run.wait()) < 20
    assert run.epsilon <= 4
    assert run.model.weights.size == 7


def test_an_interruption_keeps_what_there_is_and_the_federation_is_not_busy():
    def interrupt_at_the_eighth(x):
        model.calls += 1
        if model.calls == 8:
            raise KeyboardInterrupt
        return x

    model = Moody()
    model.calls, model.mood = 0, interrupt_at_the_eighth
    owners = cells()
    federation, strategy = fl.Federation(owners), fl.FedAvg(model, local_epochs=1, batch_size=10**6)
    run = fl.train(federation, strategy, num_rounds=5)
    assert run.state == "interrupted"
    assert [r.number for r in run.history] == [1, 2]
    assert run.model.weights.size == 7
    model.mood = None
    rest = fl.train(federation, strategy, num_rounds=5, after=run.history[-1])
    assert rest.state == "finished"
    assert bits([*run.history, *rest.history]) == bits(play(fl.Federation(owners), strategy, num_rounds=5))


def test_the_model_reads_frames_of_ones_own_and_holds_no_row():
    owners = cells()
    run = fl.train(fl.Federation(owners), logistic(), num_rounds=2)
    mock = owners[0].mock(7)
    assert set(run.model.predict(mock)) <= {"benign", "malignant"}
    assert run.model.predict_proba(mock).sum(1) == pytest.approx(np.ones(7))
    with pytest.raises(FedLabError) as caught:
        run.model.predict(mock.iloc[:, 1:])
    assert_teaches(caught, mock.columns[0])
