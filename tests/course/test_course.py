"""A change, a rewind and a fork are nothing but going on from a round: equal to it bit for bit, and paid for."""

from dataclasses import dataclass

import numpy as np
import pytest

import fedlab_nb as fl
from fedlab_nb.course import Course
from fedlab_nb.errors import BudgetExceededError, FedLabError, SettingError
from tests.rounds.common import assert_teaches, bits, cells, events_of, ledgers_of, logistic, play

BUDGET = fl.Budget(epsilon=8, delta=1e-3)


def played(course, to):
    while (course.last.number if course.last else 0) < to:
        course.records.append(course.next())
    return course.history


@pytest.fixture
def course():
    return Course(fl.Federation(cells()), logistic(), num_rounds=6)


def test_rewinding_and_changing_nothing_gives_the_same_rounds_again(course):
    whole = played(course, 6)
    course.rewind(2)
    assert [r.number for r in course.history] == [1, 2]
    assert bits(played(course, 6)) == bits(whole)
    assert [r.number for r in course.branches[0].history] == [2, 3, 4, 5, 6]


def test_a_change_equals_going_on_with_another_strategy(course):
    played(course, 3)
    course.change({"lr": 0.7, "local_epochs": 5})
    whole = played(course, 6)
    owners = cells()
    head = play(fl.Federation(owners), num_rounds=3)
    tail = play(fl.Federation(owners), logistic(lr=0.7, local_epochs=5), num_rounds=6, after=head[-1])
    assert bits(whole) == bits([*head, *tail])
    assert whole.changes == ((4, "lr", 0.1, 0.7), (4, "local_epochs", 2, 5))


def test_a_change_before_the_first_round_holds_from_the_first_round_on(course):
    course.change({"lr": 0.7})
    assert bits(played(course, 6)) == bits(play(fl.Federation(cells()), logistic(lr=0.7), num_rounds=6))


def test_the_settings_of_the_federation_change_too_and_stand_in_the_history(course):
    played(course, 2)
    course.change({"dropout": 0.5, "sample_rate": 0.9})
    assert {r.settings["dropout"] for r in played(course, 6)[2:]} == {0.5}
    assert course.settings.items() >= {"dropout": 0.5, "sample_rate": 0.9}.items()


@pytest.mark.parametrize(
    "changes",
    [{"lr": -1}, {"lr": "fast"}, {"momentum": 0.9}, {"dropout": 1.5}, {"clip": 2.0}, {"lr": 0.5, "dropout": True}],
    ids=str,
)
def test_a_change_that_cannot_work_is_refused_and_changes_nothing(course, changes):
    played(course, 2)
    before = course.settings
    with pytest.raises(FedLabError) as caught:
        course.change(changes)
    assert_teaches(caught)
    assert course.settings == before
    assert bits(played(course, 6)) == bits(play(fl.Federation(cells()), num_rounds=6))


def test_under_a_budget_noise_and_clip_may_change_and_every_round_is_charged_with_its_own_noise():
    federation = fl.Federation(cells(), budget=BUDGET)
    course = Course(federation, logistic(), num_rounds=4)
    played(course, 2)
    planned = course.settings["noise_multiplier"]
    course.change({"noise_multiplier": 3 * planned, "clip": 0.5})
    played(course, 4)
    charged = [e.amount for e in events_of(federation, "Owner 1") if e.purpose == "a round's update"]
    assert charged == pytest.approx([planned, planned, 3 * planned, 3 * planned])
    assert [r.settings["clip"] for r in course.history] == [1.0, 1.0, 0.5, 0.5]


def test_local_epochs_cannot_be_changed_where_there_are_none():
    course = Course(fl.Federation(cells(), budget=BUDGET), logistic(), num_rounds=4)
    with pytest.raises(SettingError, match="local_epochs"):
        course.change({"local_epochs": 3})


def test_less_noise_than_the_budget_has_room_for_ends_the_run_before_it_overspends():
    federation = fl.Federation(cells(), budget=BUDGET)
    course = Course(federation, logistic(), num_rounds=10)
    played(course, 2)
    planned = course.settings["noise_multiplier"]
    with pytest.raises(BudgetExceededError) as caught:
        course.change({"noise_multiplier": planned / 5})
    assert_teaches(caught, "round 3", "noise multiplier")
    assert course.settings["noise_multiplier"] == planned, "what would end the run at once is refused"
    course.change({"noise_multiplier": planned / 2})
    records = [*iter(course.next, None)]
    assert isinstance(records[-1].failed.error, BudgetExceededError)
    assert federation.epsilon() <= BUDGET.epsilon * (1 + 1e-9)


def test_a_rewind_gives_no_budget_back():
    federation = fl.Federation(cells(), budget=BUDGET)
    course = Course(federation, logistic(), num_rounds=10)
    played(course, 4)
    spent, entries = federation.epsilon(), [len(e) for e in ledgers_of(federation)]
    course.rewind(1)
    assert federation.epsilon() == spent
    assert [len(e) for e in ledgers_of(federation)] == entries
    played(course, 2)
    assert federation.epsilon() == spent, "the same rounds, answered from the vault"
    course.rewind(1)
    course.change({"lr": 0.5})
    played(course, 2)
    assert federation.epsilon() > spent
    assert course.history[-1].epsilon > course.branches[0].history[-1].epsilon


@pytest.mark.parametrize("to", [0, 4, 9, -1, 2.5, True, "2", None])
def test_one_can_only_go_back_to_rounds_that_there_were(course, to):
    played(course, 4)
    with pytest.raises(SettingError) as caught:
        course.check_rewind(to)
    assert_teaches(caught, repr(to), "1 to 3")


def test_before_the_second_round_there_is_nothing_to_go_back_to(course):
    played(course, 1)
    with pytest.raises(SettingError, match="no earlier round"):
        course.check_rewind(1)


def test_a_run_that_goes_on_can_be_rewound_to_where_it_began():
    federation = fl.Federation(cells())
    head = play(federation, num_rounds=2)
    course = Course(federation, logistic(), num_rounds=6, after=head[-1])
    whole = played(course, 6)
    course.rewind(2)
    assert course.history == ()
    assert [r.number for r in course.branches[0].history] == [2, 3, 4, 5, 6]
    assert bits(played(course, 6)) == bits(whole)


def test_a_fork_goes_on_from_the_model_of_a_round_and_keeps_the_other_course_beside_it(course):
    whole = played(course, 6)
    fork = course.forked(3, None)
    assert bits(played(fork, 6)) == bits(whole[3:])
    (branch,) = fork.branches
    assert [r.number for r in branch.history] == [3, 4, 5, 6]
    assert not branch.own
    assert course.forked(None, 8).after is whole[-1]


@pytest.mark.parametrize("after", [0, 7, "last"])
def test_a_fork_starts_from_a_round_that_was_completed(course, after):
    played(course, 6)
    with pytest.raises(SettingError) as caught:
        course.forked(after, None)
    assert_teaches(caught, repr(after), "rounds 1 to 6")


def test_a_strategy_of_ones_own_that_is_no_dataclass_can_still_be_dropped_out_of():
    class Mine:
        def __init__(self):
            self.inner = logistic()

        def __getattr__(self, name):
            return getattr(self.inner, name)

    course = Course(fl.Federation(cells()), Mine(), num_rounds=3)
    played(course, 1)
    course.change({"dropout": 0.3})
    assert played(course, 3)[-1].settings["dropout"] == 0.3


def test_a_setting_of_ones_own_strategy_can_be_changed_when_it_says_so():
    @dataclass(frozen=True)
    class Slower:
        inner: fl.FedAvg
        pull: float = 0.5

        def __getattr__(self, name):
            return getattr(self.inner, name)

        def settings(self, federation, state):
            return {"pull": self.pull, **self.inner.settings(federation, state)}

        def step(self, state, federation, number, cohort, *, last):
            moved = self.inner.step(state, federation, number, cohort, last=last)
            before, after = state.weights["server"], moved.weights["server"]
            return type(moved)({"server": before + self.pull * (after - before)}, moved.memory, moved.context)

    course = Course(fl.Federation(cells()), Slower(logistic()), num_rounds=3)
    played(course, 2)
    course.change({"pull": 0.0})
    held = course.last.state.weights["server"]
    assert np.array_equal(played(course, 3)[-1].state.weights["server"], held)
    assert course.history.changes == ((3, "pull", 0.5, 0.0),)
