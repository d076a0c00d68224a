"""Questions on a real SuperLink and SuperNodes: the notebook's answers, taken up again from the log."""

from pathlib import Path

import pytest

import fedlab_nb as fl
from fedlab_nb.flower.rehearsal import Rehearsal
from tests.flower.deploy.common import with_flower
from tests.flower.survey.common import ASKED, FILE, federation
from tests.flower.survey.test_survey import assert_same, crossings

pytestmark = [with_flower, pytest.mark.slow]
REHEARSED = {"encrypt": fl.CKKS(), "protect": fl.RowLevelDP(), "budget": fl.Budget(8.0, 1e-3), "noise_seed": 5}


def test_questions_over_real_processes_are_answered_as_in_the_notebook(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(fl.__file__).parents[1]))
    here = federation(shift=900.0, **REHEARSED)
    known = dict(ASKED.short(fl.PrivateFrame(here)))
    with Rehearsal(federation(shift=900.0, **REHEARSED), ASKED.short, task=FILE) as lab:
        there = lab.run()
        answers = there.wait()
        again = lab.attach(there.number).wait()
        assert lab.control.status(there.number).state == "completed"
    assert [*answers] == [*again] == [*known]
    for name, answer in known.items():
        assert_same(answer, answers[name])
        assert_same(answer, again[name])
    assert crossings(here) == crossings(there.federation)
    assert there.warning == ""
