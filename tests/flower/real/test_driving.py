"""A notebook drives a run over Flower's own processes: its SuperNode carries questions and wishes, and ends with it."""

import numpy as np
import pandas as pd
import pytest

import fedlab_nb as fl
from fedlab_nb.course import Course
from fedlab_nb.flower.rehearsal import Rehearsal
from tests.flower.deploy.common import until, with_flower

pytestmark = [with_flower, pytest.mark.slow]
# Only there so that a broken test ends.
LONG = 300.0
STRATEGY = fl.FedAvg(fl.models.logistic(), executor="sequential")


def federation():
    """Two owners in the clear who declare everything: a trip a round."""
    columns, owners = [f"x{i}" for i in range(4)], []
    facts = {"bounds": dict.fromkeys(columns, (1.0, 2.0)), "categories": {"ill": ["no", "yes"]}}
    for number in (1, 2):
        x = np.random.default_rng(number).uniform(1.0, 2.0, (60, 4))
        rows = pd.DataFrame(x, columns=columns).assign(ill=np.where(x[:, 0] + x[:, 1] > 3.0, "yes", "no"))
        owners.append(fl.DataOwner(f"Owner {number}", rows, target="ill", held_out=0.0, **facts))
    return fl.Federation(owners)


def told(run, words):
    assert until(lambda: any(words in note.words for note in run.snapshot().notes), LONG)


def test_a_run_is_held_taken_over_changed_and_ended_from_a_script():
    with Rehearsal(federation(), STRATEGY, num_rounds=30, driven=True) as lab:
        first = lab.run()
        assert until(lambda: first._pressed.wheel.asked, LONG)
        first.pause()
        told(first, "held after round")
        run = lab.attach(first.number)
        told(first, "Another notebook has taken the wheel")
        assert until(lambda: run.history and len(run.history) == run._pressed._held_after, LONG)
        held = len(run.history)
        assert run.state == "paused"
        run.change(lr=0.01)
        run.step()
        assert until(lambda: len(run.history) == held + 1, LONG)
        run.stop()
        history = run.wait()
        assert run.state == "stopped"
        assert until(lambda: lab.control.status(run.number).state == "completed", LONG)
    assert [record.settings["lr"] for record in history] == [0.1] * held + [0.01]
    here = Course(federation(), STRATEGY, num_rounds=30)
    for number in range(1, held + 2):
        if number > held:
            here.change({"lr": 0.01})
        here.keep(here.next())
    for one, other in zip(history, here.records, strict=True):
        assert np.array_equal(one.state.weights["server"], other.state.weights["server"])
    assert history.changes == here.history.changes
