"""Changes, rewinds, failures and forks of a run that is kept: the folder holds the course that was taken last."""

from dataclasses import dataclass

import numpy as np
import pytest

import fedlab_nb as fl
from fedlab_nb.checkpoint import Checkpoint
from fedlab_nb.course import Course
from fedlab_nb.errors import RoundError, SettingError
from fedlab_nb.records import State
from tests.checkpoint.common import facts_of, run_of
from tests.rounds.common import cells, logistic

SETTINGS = {"num_rounds": 6, "seed": 0}


@pytest.fixture(scope="module")
def owners():
    return cells(2, rows=60)


def course_in(folder, owners, strategy=None):
    federation, strategy = fl.Federation(owners), strategy or logistic()
    kept = Checkpoint(folder, federation, strategy, **SETTINGS)
    kept.claim()
    return Course(federation, strategy, **SETTINGS, checkpoint=kept)


def played(course, to):
    while (course.last.number if course.last else 0) < to:
        course.keep(course.next())
    return course.history


def test_a_change_made_in_the_run_that_was_killed_holds_in_the_one_that_goes_on(owners, tmp_path):
    course = course_in(tmp_path / "run", owners)
    played(course, 2)
    course.change({"lr": 0.7, "dropout": 0.3})
    played(course, 4)
    again = run_of(fl.Federation(owners), logistic(), tmp_path / "run", 6)
    assert facts_of(again.history) == facts_of(played(course, 6))
    assert [r.settings["lr"] for r in again.history] == [0.1, 0.1, 0.7, 0.7, 0.7, 0.7]


def test_after_the_run_its_federation_has_its_own_settings_again(owners, tmp_path):
    course = course_in(tmp_path / "run", owners)
    played(course, 1)
    course.change({"dropout": 0.3})
    played(course, 2)
    federation = fl.Federation(owners)
    run = run_of(federation, logistic(), tmp_path / "run", 6)
    assert run.history[-1].settings["dropout"] == 0.3
    assert federation.house.dropout == 0.0


def test_after_a_rewind_the_folder_holds_the_course_that_was_taken_then(owners, tmp_path):
    course = course_in(tmp_path / "run", owners)
    played(course, 5)
    course.rewind(2)
    assert len(fl.History.load(tmp_path / "run")) == 5, "until the first round of the other course is there"
    course.change({"lr": 0.7})
    played(course, 3)
    assert facts_of(fl.History.load(tmp_path / "run")) == facts_of(course.history)
    assert not list((tmp_path / "run").glob("round-000[45]*"))
    again = run_of(fl.Federation(owners), logistic(), tmp_path / "run", 6)
    assert facts_of(again.history) == facts_of(played(course, 6))


def test_a_run_that_goes_on_can_be_rewound_and_forked_as_any_other(owners, tmp_path):
    first = run_of(fl.Federation(owners), logistic(), tmp_path / "run", 3)
    course = course_in(tmp_path / "longer", owners)
    played(course, 3)
    taken_up = course_in(tmp_path / "longer", owners)
    assert facts_of(taken_up.history) == facts_of(first.history)
    taken_up.rewind(1)
    assert facts_of(played(taken_up, 3)) == facts_of(first.history)
    again = run_of(fl.Federation(owners), logistic(), tmp_path / "run", 3)
    fork = again.fork(1, num_rounds=3, lr=0.5)
    other = fl.train(fl.Federation(owners), logistic(lr=0.5), num_rounds=3, after=first.history[0])
    assert facts_of(fork.history) == facts_of(other.history)
    assert facts_of(fl.History.load(tmp_path / "run")) == facts_of(first.history), "a fork is kept nowhere"


def test_a_run_is_forked_from_any_kept_round_with_another_strategy(owners, tmp_path):
    first = run_of(fl.Federation(owners), logistic(), tmp_path / "run", 4)
    loaded = fl.History.load(tmp_path / "run")
    assert type(loaded) is fl.History
    assert loaded.frame().equals(first.frame())
    other = fl.FedAvg(fl.models.logistic(), lr=0.4, local_epochs=1)
    for number in range(4):
        from_disk = fl.train(fl.Federation(owners), other, num_rounds=6, after=loaded[number])
        from_memory = fl.train(fl.Federation(owners), other, num_rounds=6, after=first.history[number])
        assert facts_of(from_disk.history) == facts_of(from_memory.history)


@dataclass(frozen=True, repr=False)
class Remembers(fl.FedAvg):
    """A strategy of a user's own, with memory of several kinds, that fails where it is told to."""

    fails_at: tuple[int, ...] = ()

    def step(self, state, federation, number, cohort, *, last):
        if number in FAILING:
            raise RoundError("Owner 2", "update", "It failed.", "It was told to.", "Tell it not to.")
        new = super().step(state, federation, number, cohort, last=last)
        before = state.memory.get("sum", np.zeros(1, dtype=np.float32))
        memory = {
            "sum": before + np.float32(0.1),
            "count": np.array(number),
            "flags": np.array([True, number % 2 == 0]),
            "none": np.zeros((0, 3)),
        }
        return State({**new.weights, "Owner 1": np.full(3, number / 3)}, memory, new.context)


FAILING: set[int] = set()


@pytest.fixture(autouse=True)
def nothing_fails():
    FAILING.clear()
    yield
    FAILING.clear()


def mine():
    return Remembers(fl.models.logistic())


def test_a_strategy_of_ones_own_gets_back_all_that_it_remembered(owners, tmp_path):
    whole = run_of(fl.Federation(owners), mine(), tmp_path / "whole", 6)
    course = course_in(tmp_path / "run", owners, mine())
    played(course, 3)
    again = run_of(fl.Federation(owners), mine(), tmp_path / "run", 6)
    assert facts_of(again.history) == facts_of(whole.history)
    assert again.history[-1].state.memory["count"].shape == ()
    assert again.history[-1].state.memory["flags"].dtype == bool


@pytest.mark.parametrize("number", [1, 3])
def test_a_round_that_failed_is_kept_as_one_and_tried_again(owners, tmp_path, number):
    whole = run_of(fl.Federation(owners), mine(), tmp_path / "whole", 4)
    FAILING.add(number)
    failed = run_of(fl.Federation(owners), mine(), tmp_path / "run", 4)
    assert failed.state == "failed"
    loaded = fl.History.load(tmp_path / "run")
    assert [r.failed is None for r in loaded] == [True] * (number - 1) + [False]
    assert str(loaded[-1].failed) == str(failed.history[-1].failed)
    FAILING.clear()
    again = run_of(fl.Federation(owners), mine(), tmp_path / "run", 4)
    assert again.state == "finished"
    assert facts_of(again.history) == facts_of(whole.history)
    assert facts_of(fl.History.load(tmp_path / "run")) == facts_of(whole.history)


def test_a_state_that_cannot_be_kept_ends_the_run_and_says_where_it_is(owners, tmp_path):
    class Keeps(fl.FedAvg):
        def step(self, state, federation, number, cohort, *, last):
            new = super().step(state, federation, number, cohort, last=last)
            return State(new.weights, {"words": np.array(["a"])}, new.context)

    run = run_of(fl.Federation(owners), Keeps(fl.models.logistic()), tmp_path / "run", 4)
    assert isinstance(run.error, SettingError)
    assert "memory > words" in str(run.error)
    assert len(run.history) == 1
