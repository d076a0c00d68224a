"""The worker by itself, and what waiting for it means where no page can press a button."""

import threading
import time
from dataclasses import dataclass

import numpy as np
import pytest

import fedlab_nb as fl
from fedlab_nb import lookout
from fedlab_nb.course import Course
from fedlab_nb.errors import SettingError
from fedlab_nb.handle import Run
from fedlab_nb.records import Scores
from fedlab_nb.worker import Worker
from tests.rounds.common import bits, cells, logistic, play


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


def until(true, seconds=30):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


def test_a_paused_run_takes_over_a_change_and_a_rewind_and_stays_paused():
    run, thread = started(num_rounds=5000, paused=False)
    until(lambda: len(run.history) >= 4)
    run.pause()
    until(lambda: run.state == "paused")
    thread_rounds = settled(run)
    run.change(lr=0.7)
    until(lambda: any("learning rate 0.7" in note.words for note in run.snapshot().notes))
    run.rewind(2)
    until(lambda: len(run.history) == 2)
    assert run.state == "paused"
    assert run.branches[0].history[-1].number == thread_rounds
    run.step()
    until(lambda: len(run.history) == 3)
    assert run.history[-1].settings["lr"] == 0.7
    run.stop()
    thread.join(10)
    assert run.state == "stopped"
    assert len(run.history) == 3


def settled(run):
    """The round at which a paused run stands: the one being computed may still end."""
    last = -1
    while last != len(run.history):
        last = len(run.history)
        time.sleep(0.2)
    return last


def test_a_wish_that_cannot_be_granted_is_told_among_what_happened_and_nothing_breaks():
    run, thread = started()
    run._act("change", {"name": "lr", "value": -3})
    run._act("rewind", {"to": 7})

    def told():
        return sorted(note.words for note in run.snapshot().notes if note.tone == "warning")

    until(lambda: len(told()) == 2)
    assert "lr=-3" in told()[0]
    assert "Rewinding to round 7" in told()[1]
    run._act("change", {"name": "lr", "value": 0.3})
    run._act("resume", {})
    thread.join(20)
    assert run.state == "finished"
    assert {r.settings["lr"] for r in run.history} == {0.3}


def test_what_was_changed_in_one_run_does_not_leak_into_the_next():
    run, thread = started()
    run.change(dropout=0.4)
    run.resume()
    thread.join(20)
    assert run.history[-1].settings["dropout"] == 0.4
    again = fl.train(run._worker.federation, logistic(), num_rounds=1)
    assert again.history[-1].settings["dropout"] == 0.0


def test_an_ended_run_is_changed_and_rewound_by_a_fork_only():
    run = fl.train(fl.Federation(cells()), logistic(), num_rounds=4)
    for act in (lambda: run.change(lr=0.5), lambda: run.rewind(2)):
        with pytest.raises(SettingError, match="has ended"):
            act()
    fork = run.fork(after=2, lr=0.5)
    assert [r.number for r in fork.history] == [3, 4]
    assert {r.settings["lr"] for r in fork.history} == {0.5}
    assert bits(run.fork(after=2).history) == bits(run.history[2:])


def test_a_fork_takes_up_the_settings_of_the_round_it_starts_from():
    run, thread = started(num_rounds=5000, paused=False)
    until(lambda: len(run.history) >= 2)
    run.change(lr=0.02, dropout=0.3)
    until(lambda: run.history[-1].settings["lr"] == 0.02)
    run.stop()
    thread.join(10)
    last = run.history[-1].number
    assert run.fork(num_rounds=last + 1).history[-1].settings == run.history[-1].settings
    assert run.fork(after=1, num_rounds=2).history[-1].settings == run.history[0].settings


def test_a_run_that_goes_on_is_not_forked_and_a_refused_fork_frees_the_federation():
    run, thread = started()
    with pytest.raises(SettingError, match="still going on"):
        run.fork(after=1)
    run.resume()
    thread.join(20)
    with pytest.raises(SettingError, match="momentum"):
        run.fork(after=1, momentum=0.9)
    assert run.fork(after=1).state == "finished"


@dataclass(frozen=True)
class Broken:
    """A strategy of somebody's own whose ``verb`` fails in round three."""

    inner: fl.FedAvg
    verb: str

    def __getattr__(self, name):
        if name != self.verb:
            return getattr(self.inner, name)

        def fail(*arguments, **more):
            if any(getattr(a, "number", a) == 3 for a in arguments):
                raise ValueError("shapes (3,) and (4,) do not fit")
            return getattr(self.inner, name)(*arguments, **more)

        return fail


@pytest.mark.parametrize("verb", ["step", "evaluate", "spending"])
def test_an_exception_in_a_strategy_ends_the_run_with_a_lesson_and_keeps_the_rounds_before_it(verb):
    federation = fl.Federation(cells())
    run = fl.train(federation, Broken(logistic(), verb), num_rounds=6)
    assert run.state == "failed"
    assert len(run.history) == (3 if verb == "spending" else 2)
    note = run.snapshot().note
    assert "ValueError: shapes (3,) and (4,) do not fit" in note
    assert "Correct the strategy" in note
    assert isinstance(run.error, ValueError)
    assert fl.train(federation, logistic(), num_rounds=1).state == "finished", "the federation is free again"


def with_dropout(inputs, outputs):
    from torch import nn

    return nn.Sequential(nn.Linear(inputs, 8), nn.Dropout(0.5), nn.Linear(8, outputs))


def test_two_runs_at_once_give_the_bits_of_each_alone_even_with_dropout():
    def begun():
        run = Run(Worker(Course(fl.Federation(cells()), fl.FedAvg(with_dropout), num_rounds=12)))
        thread = threading.Thread(target=run._worker.work, args=(lambda: None, lambda: None), daemon=True)
        thread.start()
        return run, thread

    first, second = begun(), begun()
    for _, thread in (first, second):
        thread.join(60)
    alone = play(fl.Federation(cells()), fl.FedAvg(with_dropout), num_rounds=12)
    assert bits(first[0].history) == bits(alone)
    assert bits(second[0].history) == bits(alone)


def test_what_is_shown_of_the_budget_belongs_to_the_round_that_is_shown_however_fast_rounds_are(monkeypatch):
    monkeypatch.setattr(lookout, "EVERY", 0.0)
    monkeypatch.setattr(lookout, "REST", 0)
    budget = fl.Budget(epsilon=8, delta=1e-3)
    worker = Worker(Course(fl.Federation(cells(), budget=budget), logistic(), num_rounds=150))
    thread = threading.Thread(target=worker.work, args=(lambda: None, lambda: None), daemon=True)
    thread.start()
    shown = []
    while not worker.ended.is_set():
        worker.ask()
        snapshot = worker.snapshot()
        if snapshot.history and (not shown or snapshot.history is not shown[-1].history):
            shown.append(snapshot)
        time.sleep(0.002)
    thread.join(10)
    assert len(shown) > 5
    for snapshot in shown[:-1]:
        assert snapshot.spending.spent == pytest.approx(snapshot.history[-1].epsilon)
        assert snapshot.spending.left == 150 - snapshot.at
        assert snapshot.spending.forecast == pytest.approx(8, rel=1e-3)


@dataclass(frozen=True)
class Odd:
    """A strategy of somebody's own that answers one question with nonsense."""

    inner: fl.FedAvg
    verb: str
    answer: object

    def __getattr__(self, name):
        return (lambda *_, **__: self.answer) if name == self.verb else getattr(self.inner, name)


@pytest.mark.parametrize(
    ("verb", "answer", "told"),
    [
        ("spending", None, "spending"),
        ("evaluate", None, "evaluate"),
        ("evaluate", Scores({"accuracy": "good"}), "a number belongs"),
        ("evaluate", Scores({"accuracy": None}), "a number belongs"),
    ],
    ids=str,
)
def test_nonsense_from_a_strategy_ends_the_run_with_a_lesson_and_frees_the_federation(verb, answer, told):
    federation = fl.Federation(cells())
    run = fl.train(federation, Odd(logistic(), verb, answer), num_rounds=3)
    assert run.state == "failed"
    assert told in run.snapshot().note
    assert not run.frame().empty, "what came before the failure can still be looked at"
    assert fl.train(federation, logistic(), num_rounds=1).state == "finished"


def test_messages_of_an_unknown_shape_do_not_hang_who_waits():
    @dataclass(frozen=True)
    class Curious:
        inner: fl.FedAvg

        def __getattr__(self, name):
            return getattr(self.inner, name)

        def step(self, state, federation, number, cohort, *, last):
            free = dict.fromkeys(federation.names, ())
            federation.hear("moment", lambda *_: np.ones(1), number=number, debits=free)
            return self.inner.step(state, federation, number, cohort, last=last)

    run = fl.train(fl.Federation(cells()), Curious(logistic()), num_rounds=2)
    assert run.state == "finished"
    assert len(run.wait()) == 2


def test_a_start_that_fails_gives_the_federation_back(monkeypatch):
    federation = fl.Federation(cells())
    monkeypatch.setattr("fedlab_nb.eyes.in_kernel", lambda: True)
    monkeypatch.setattr("fedlab_nb.eyes.Dashboard", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        fl.train(federation, logistic(), num_rounds=1)
    monkeypatch.undo()
    assert fl.train(federation, logistic(), num_rounds=1).state == "finished"


def test_changes_that_come_too_late_are_said_to_be_lost():
    run, thread = started()
    run.change(lr=0.9)
    run._worker.controls.stop()
    thread.join(10)
    run2, thread2 = started()
    run2._worker._wanted = {"lr": 0.9}  # asked for while the last round was computed
    run2._worker.controls.stop()
    thread2.join(10)
    assert any("before the last changes" in note.words for note in run2.snapshot().notes)
    assert run2.settings["lr"] == 0.1


def test_a_second_run_on_the_same_budget_is_told_of_the_first():
    owners, budget = cells(), fl.Budget(epsilon=8, delta=1e-3)
    first = Worker(Course(fl.Federation(owners, budget=budget), logistic(), num_rounds=3))
    second = Worker(Course(fl.Federation(owners, budget=budget), logistic(), num_rounds=3))
    assert any("budget of the same data" in note.words for note in second.notes)
    first.abandon()
    second.abandon()
    assert Worker(Course(fl.Federation(owners, budget=budget), logistic(), num_rounds=3)).notes == []


def test_interrupting_an_endless_round_gives_the_kernel_back(monkeypatch):
    monkeypatch.setattr("fedlab_nb.worker.PATIENCE", 0.1)
    gate = threading.Event()

    @dataclass(frozen=True)
    class Endless:
        inner: fl.FedAvg

        def __getattr__(self, name):
            return getattr(self.inner, name)

        def step(self, *arguments, **more):
            gate.wait(30)
            return self.inner.step(*arguments, **more)

    worker = Worker(Course(fl.Federation(cells()), Endless(logistic()), num_rounds=3))
    thread = threading.Thread(target=worker.work, args=(lambda: None, lambda: None), daemon=True)
    thread.start()
    until(lambda: worker.state == "running")
    worker.interrupt()
    assert not worker.ended.is_set()
    assert any("goes on" in note.words for note in worker.notes)
    gate.set()
    thread.join(20)
    assert worker.state == "interrupted"


def test_no_second_is_told_of_owners_whose_rows_are_protected():
    private = fl.train(fl.Federation(cells(), budget=fl.Budget(8, 1e-3)), logistic(), num_rounds=2)
    plain = fl.train(fl.Federation(cells()), logistic(), num_rounds=2)
    assert all(line.seconds is None for line in private.snapshot().lines)
    assert all(line.seconds is not None for line in plain.snapshot().lines)


def test_each_round_is_shown_as_soon_as_it_is_over_however_slow_rounds_are():
    gates = [threading.Event() for _ in range(3)]

    @dataclass(frozen=True)
    class Slow:
        inner: fl.FedAvg

        def __getattr__(self, name):
            return getattr(self.inner, name)

        def step(self, state, federation, number, cohort, *, last):
            gates[number - 1].wait(30)
            return self.inner.step(state, federation, number, cohort, last=last)

    worker = Worker(Course(fl.Federation(cells()), Slow(logistic()), num_rounds=3))
    thread = threading.Thread(target=worker.work, args=(lambda: None, lambda: None), daemon=True)
    thread.start()
    for number, gate in enumerate(gates, 1):
        time.sleep(0.3)  # somebody looks now and then, as a page does
        worker.ask()
        gate.set()
        until(lambda number=number: worker.snapshot().at == number)
    thread.join(10)


def test_a_step_is_shown_while_the_run_stays_held():
    run, thread = started()
    for number in (1, 2):
        run.step()
        until(lambda number=number: run._worker.snapshot().at == number)
        assert run.state == "paused"
    run.stop()
    thread.join(10)
