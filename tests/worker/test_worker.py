"""The worker by itself, and what waiting for it means where no page can press a button."""

import threading

import pytest

import fedlab_nb as fl
from fedlab_nb.course import Course
from fedlab_nb.errors import SettingError
from fedlab_nb.handle import Run
from fedlab_nb.worker import Worker
from tests.rounds.common import cells, logistic


def started(num_rounds=4, paused=True):
    """A run whose worker is at work in a thread, as in a notebook, but without a page."""
    federation = fl.Federation(cells())
    worker = Worker(Course(federation, logistic(), num_rounds=num_rounds))
    if paused:
        worker.controls.pause()
    thread = threading.Thread(target=worker.work, args=(lambda: None, lambda: None), daemon=True)
    thread.start()
    return Run(worker), thread


@pytest.mark.parametrize("ask", [lambda run: run.frame(), lambda run: run.wait(), lambda run: run.model])
def test_whoever_waits_for_a_paused_run_is_told_instead_of_given_half_of_it(ask):
    run, thread = started()
    with pytest.raises(SettingError, match="paused"):
        ask(run)
    assert len(run.history) == 0
    run.resume()
    assert len(run.wait()) == 4
    thread.join(5)
    assert run.state == "finished"
    assert len(run.frame()) == 4


def test_a_federation_takes_one_run_at_a_time_and_is_free_again_at_the_end():
    run, thread = started()
    federation = run._worker.federation
    with pytest.raises(SettingError, match="training already"):
        fl.train(federation, logistic(), num_rounds=1)
    run.stop()
    thread.join(10)
    assert run.state == "stopped"
    assert fl.train(federation, logistic(), num_rounds=1).state == "finished"


def test_cards_say_what_holds_now_also_after_a_later_run_without_protection():
    owners = cells()
    private = fl.train(fl.Federation(owners, budget=fl.Budget(8, 1e-3)), logistic(), num_rounds=2)
    assert private.epsilon is not None
    assert "e^epsilon" in str(private.budget)
    fl.train(fl.Federation(owners), logistic(), num_rounds=1)
    assert private.epsilon is None
    assert "No guarantee" in str(private.budget)
    assert "No guarantee" in str(private.threat_card)
