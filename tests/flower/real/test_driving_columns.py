"""A notebook drives a run over owners of different columns through Flower's own processes: no bit of it is changed."""

from itertools import islice

import numpy as np
import psutil
import pytest

import fedlab_nb as fl
from fedlab_nb.flower.deploy.guard.tree import lives
from fedlab_nb.flower.rehearsal import Rehearsal
from fedlab_nb.vertical import VerticalModel, load_part
from tests.flower.columns.apart import kinds
from tests.flower.deploy.common import until, with_flower
from tests.flower.real.test_columns import owners

pytestmark = [with_flower, pytest.mark.slow]
# Only there so that a broken test ends.
LONG = 600.0
ROUNDS = 30
STRATEGY = fl.vertical.LogisticRegression("bank", key_holder=False)


def federation():
    return fl.Federation(owners(), encrypt=fl.CKKS("deep"))


def kept(lab):
    """The part of the model that each site keeps."""
    return [load_part(lab.folder_of(name) / "part.safetensors") for name in ("bank", "shop")]


def taken(wheel):
    """Wait until the run asks again, for which it has done what was wished."""
    numbers, hear = [], wheel.hear
    wheel.hear = lambda question: (numbers.append(question.taken), hear(question))
    assert until(lambda: wheel.wish.serial in numbers, LONG)
    wheel.hear = hear


def test_a_run_is_held_goes_on_and_ends_with_every_site_at_the_same_round():
    with Rehearsal(federation(), STRATEGY, num_rounds=ROUNDS, driven=True) as lab:
        processes = [psutil.Process(pid) for those in lab.loopback.pids().values() for pid in those]
        run = lab.run()
        run.pause()
        assert until(lambda: run.history and len(run.history) == run._pressed._held_after, LONG)
        held = len(run.history)
        assert run.state == "paused"
        assert [part.origin.course[0] for part in kept(lab)] == [held, held]
        run.resume()
        taken(run._pressed.wheel)
        run.stop()
        history = run.wait()
        assert (run.state, held < len(history) < ROUNDS) == ("stopped", True)
        assert until(lambda: lab.control.status(run.number).state == "completed", LONG)
        model = VerticalModel.of(kept(lab))
    here = federation()
    expected = list(islice(fl.rounds(here, STRATEGY, num_rounds=ROUNDS), len(history)))
    assert [record.metrics for record in history] == [record.metrics for record in expected]
    assert all(np.array_equal(model.state.weights[name], each) for name, each in expected[-1].state.weights.items())
    assert run.federation.ledger.verify()
    assert kinds(run.federation) == kinds(here)
    assert until(lambda: not any(map(lives, processes)), 30.0)
