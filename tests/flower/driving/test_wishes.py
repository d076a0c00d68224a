"""A notebook at the wheel of a run elsewhere: what it wishes is done between two rounds, and never twice."""

import threading

import numpy as np
import pytest

import fedlab_nb as fl
from fedlab_nb.course import Course
from fedlab_nb.errors import FedLabError, SettingError
from fedlab_nb.flower.driving import asking
from fedlab_nb.flower.driving.node import place_of
from fedlab_nb.flower.driving.wheel import Wheel
from fedlab_nb.flower.driving.words import WISHES, Question, Wish
from fedlab_nb.flower.party.place import HELLO
from tests.flower.driving.common import (
    RUN,
    STRATEGY,
    drive,
    federation,
    interrupted_at_first_look,
    notes,
    until,
    weights,
)

assert drive  # a fixture
HELD = "Held after round {}, as the notebook wished."


def same(one, other):
    return len(one) == len(other) and all(map(np.array_equal, weights(one), weights(other)))


def test_a_run_that_is_held_plays_one_round_for_each_step_and_goes_on_to_the_same_bits(drive):
    run = drive(encrypt=fl.CKKS()).begin()
    seen = run.attach()
    assert seen.state == "running"
    run.let()
    seen.pause()
    assert seen.state == "paused"
    run.heard(seen)
    run.free()
    until(lambda: HELD.format(1) in run.words)
    assert len(run.rounds) == 1
    until(lambda: "The run is held after round 1." in notes(seen))
    seen.step()
    until(lambda: len(run.rounds) == 2)
    run.free()
    until(lambda: HELD.format(2) in run.words)
    assert len(run.rounds) == 2
    seen.resume()
    assert seen.state == "running"
    run.end()
    assert [said.error for said in run.said[-1:]] == [None]
    assert same(seen.wait(), list(fl.rounds(federation(encrypt=fl.CKKS()), STRATEGY, num_rounds=4)))
    assert seen.state == "finished"


def test_a_change_is_that_of_the_notebook_and_marked_in_the_record(drive):
    run = drive(num_rounds=3).begin()
    seen = run.attach()
    assert seen.settings == {"lr": 0.1, "local_epochs": 2, "sample_rate": 1.0, "dropout": 0.0}
    run.let()
    seen.change(lr=0.5, local_epochs=1, sample_rate=0.5)
    assert seen.settings == {"lr": 0.5, "local_epochs": 1, "sample_rate": 0.5, "dropout": 0.0}
    run.heard(seen)
    run.end()
    here = Course(federation(), STRATEGY, num_rounds=3)
    here.keep(here.next())
    here.change({"lr": 0.5, "local_epochs": 1, "sample_rate": 0.5})
    while (record := here.next()) is not None:
        here.keep(record)
    history = seen.wait()
    assert same(history, here.records)
    assert [record.cohort for record in history] == [record.cohort for record in here.records]
    assert history.changes == here.history.changes
    assert [change[:2] for change in history.changes] == [(2, "lr"), (2, "local_epochs"), (2, "sample_rate")]
    assert sum(words.startswith("From the next round on") for words in run.words) == 1


def test_parties_of_a_run_that_is_held_hear_from_the_server_and_so_do_not_end(drive, monkeypatch):
    run = drive(num_rounds=2).begin()
    monkeypatch.setattr(asking, "GREET", 0.05)
    heard = []
    run.grid.ways[1] = lambda data, ask: heard.append(data) or [ask(data)]
    seen = held(run)
    heard.clear()
    until(lambda: len(heard) > 2)
    assert set(heard) == {HELLO}
    seen.resume()
    run.end()
    assert same(seen.wait(), list(fl.rounds(federation(), STRATEGY, num_rounds=2)))


def test_stopping_ends_the_run_well_after_the_round(drive):
    run = drive().begin()
    seen = run.attach()
    run.let()
    seen.stop()
    run.heard(seen)
    run.end()
    history = seen.wait()
    assert (len(history), seen.state, run.stopped) == (1, "stopped", [])
    assert seen.model.predict(fl.data.breast_cancer().head(5)).shape == (5,)
    assert "The run ended after round 1, as was wished." in notes(seen)


def test_a_run_that_is_held_can_be_stopped_and_waited_for(drive):
    run = drive().begin()
    seen = held(run)
    with pytest.raises(SettingError, match="no button could resume it"):
        seen.wait()
    seen.stop()
    assert seen.state == "running"
    run.free(4)
    assert (len(seen.wait()), seen.state, run.stopped) == (1, "stopped", [])


def test_a_run_can_still_be_ended_at_once(drive):
    run = drive().begin()
    seen = run.attach()
    wheel = seen._pressed.wheel
    seen.stop(now=True)
    assert run.stopped == [RUN]
    assert wheel.closed
    with pytest.raises(SettingError, match="let go of the wheel"):
        seen.pause()


def test_without_a_notebook_the_run_goes_on_to_the_same_bits_and_one_that_comes_later_has_the_wheel(drive):
    run = drive().begin().let(2)
    until(lambda: len(run.rounds) == 2)
    assert len(run.grid.questions) == 2  # once a round, as nobody is there
    seen = run.attach()
    seen.stop()
    assert any("asks for wishes again" in words for words in notes(seen))
    run.let()
    until(lambda: len(run.rounds) == 3)
    run.heard(seen)
    run.end()
    assert same(seen.wait(), list(fl.rounds(federation(), STRATEGY, num_rounds=3)))
    assert seen.state == "stopped"


def test_a_run_without_any_notebook_plays_as_if_nobody_had_agreed_on_one(drive):
    run = drive(num_rounds=2).begin().end()
    assert same(run.rounds, list(fl.rounds(federation(), STRATEGY, num_rounds=2)))
    assert run.words == []


def held(run):
    """A notebook that holds the run after its first round."""
    seen = run.attach()
    run.let()
    seen.pause()
    run.heard(seen)
    run.free()
    until(lambda: HELD.format(1) in run.words)
    return seen


@pytest.mark.parametrize("gone", ["left", "node"])
def test_a_pause_lasts_as_long_as_the_notebook_that_wished_it(drive, gone):
    run = drive(num_rounds=2).begin()
    seen = held(run)
    if gone == "node":
        run.grid.lost = True
        seen._pressed.wheel.hold()  # its answer still comes; the next question finds no node
    else:
        seen.leave()
    until(lambda: len(run.rounds) == 2)
    assert "The notebook that held the run is gone: the run goes on." in run.words
    run.end()


def test_the_newest_notebook_has_the_wheel_with_all_that_was_wished(drive):
    run = drive(num_rounds=3).begin()
    first = held(run)
    second = run.attach()
    until(lambda: any("Another notebook has taken the wheel" in words for words in notes(first)))
    assert (second.state, first.state) == ("paused", "running")
    with pytest.raises(SettingError, match="another has taken it"):
        first.resume()
    assert first.snapshot().acts == {"stop"}
    until(lambda: second._pressed.wheel.asked)
    assert len(run.rounds) == 1
    second.resume()
    run.end()
    assert len(second.wait()) == len(first.wait()) == 3


BAD = [
    b"",
    b"[]",
    b"{}",
    b"[" * 60_000,
    b"\xff\xfe",
    b"x" * 70_000,
    Wish(wheel="a", serial=1, hold=True).data.replace(b"true", b"1"),
    Wish(wheel="a", serial=1, hold=True).data.replace(b'"serial": 1', b'"serial": -1'),
    Wish(wheel="a", serial=1, hold=True).data.replace(b"{}", b'{"lr": NaN}'),
    Wish(wheel="a", serial=1, hold=True).data.replace(b"{}", b'{"lr": 1' + b"0" * 400 + b"}"),
    Wish(wheel="a", serial=1, hold=True).data.replace(b"{}", b'{"lr": "0.1"}'),
    Wish(wheel="a", serial=1, hold=True).data.replace(b'"stop"', b'"rewind"'),
]


@pytest.mark.parametrize("bad", BAD)
def test_what_is_no_wish_is_left_out_with_a_word_and_holds_nobody(drive, bad):
    run = drive(num_rounds=2)
    run.grid.ask = lambda data: bad
    run.begin().let()
    until(lambda: run.grid.waiting or run.words)
    run.end()
    assert len(run.rounds) == 2
    assert (bad == b"") or "What came from the notebook's node is no wish: it is left out." in run.words


def wished(**facts):
    """A node that wishes this whenever it is asked."""
    return lambda data: Wish(wheel="a", serial=1, **facts).data


def test_a_wish_that_is_heard_again_and_again_is_done_once(drive):
    run = drive(num_rounds=3)
    run.grid.ask = wished(hold=True, step=1, change={"lr": 0.5})
    run.begin().let()
    until(lambda: run.grid.waiting or any(q.taken for q in run.grid.said()))
    run.free(2)
    until(lambda: HELD.format(2) in run.words)
    assert len(run.rounds) == 2
    assert sum(words.startswith("From the next round on") for words in run.words) == 1
    run.grid.ask = wished()
    run.end()


@pytest.mark.parametrize("change", [{"clip": 5.0}, {"noise_multiplier": 0.1}, {"sample_rate": 0.5}, {"epsilon": 9.0}])
def test_what_parties_hold_the_server_to_is_never_changed(drive, change):
    facts = {"protect": fl.RowLevelDP(clip=1.0), "budget": fl.Budget(9.0), "noise_seed": 1}
    facts["shift"] = float(len(next(iter(change))))
    run = drive(num_rounds=2, **facts).begin()
    seen = run.attach()
    assert seen.settings == {"lr": 2.0}
    with pytest.raises(FedLabError):
        seen.change(**change)
    assert seen.settings == {"lr": 2.0}
    # A notebook that asks nevertheless is refused at the server, in words.
    seen._pressed.wheel.change({**change, "lr": 0.5})
    run.let()
    run.heard(seen)
    run.end()
    assert [word for word in run.words if word.startswith("A change was refused")]
    history = seen.wait()
    assert (len(history), history.changes, history[-1].settings["lr"]) == (2, (), 2.0)


def test_a_refusal_is_told_to_the_notebook(drive):
    run = drive(num_rounds=3).begin()
    seen = run.attach()
    seen._pressed._wanted = {"lr": -1.0}
    seen._pressed.wheel.change({"lr": -1.0})
    run.let()
    run.heard(seen)
    run.let()
    until(lambda: any("A change was refused" in words for words in notes(seen)))
    assert seen.settings["lr"] == 0.1


def test_interrupting_who_waits_ends_the_watching_lets_go_of_the_wheel_and_not_the_run(drive):
    run = drive(num_rounds=2).begin()
    seen = run.attach()
    wheel = seen._pressed.wheel
    interrupted_at_first_look(seen)
    assert [*seen.wait()] == []
    assert wheel.closed
    with pytest.raises(SettingError, match="let go of the wheel"):
        seen.pause()
    assert any(words.endswith("fl.flower.attach(project, control, 7) takes it up again.") for words in notes(seen))
    run.end()
    assert (run.stopped, len(run.rounds), run.said[-1].error) == ([], 2, None)
    assert seen._pressed.ended.wait(10.0)
    assert (seen.state, len(seen.history)) == ("interrupted", 1)


def test_going_back_is_refused_with_a_reason_and_the_page_does_not_offer_it(drive):
    run = drive(num_rounds=2).begin()
    seen = run.attach()
    with pytest.raises(SettingError, match="have helped to sum that round already"):
        seen.rewind(1)
    with pytest.raises(SettingError, match="take no other course"):
        seen.fork(after=1, num_rounds=3)
    assert seen.snapshot().acts == {"pause", "step", "stop", "change"}


def test_wishes_before_any_question_wait_for_it_and_one_question_gives_way_to_the_next(drive):
    run = drive(num_rounds=2)
    digest = run.net.agreement.digest
    wheel = Wheel(digest, RUN)
    try:
        wheel.hold()
        bare = Question(digest)
        assert Wish.read(run.grid.ask(WISHES + bare.data)).hold
        # A hung question of an older trip: answered as soon as there is another one, which itself waits.
        known = Question(digest, wheel=wheel.wish.wheel, taken=wheel.wish.serial)
        threads = [threading.Thread(target=lambda: run.grid.ask(WISHES + known.data)) for _ in range(2)]
        threads[0].start()
        until(lambda: wheel.asked)
        threads[1].start()
        threads[0].join(10.0)
        assert not threads[0].is_alive()
        assert threads[1].is_alive()
    finally:
        wheel.close()
    threads[1].join(10.0)
    assert not threads[1].is_alive()
    assert not place_of(digest, str(RUN)).folder.exists()
    assert Wish.read(run.grid.ask(WISHES + bare.data)) == Wish()
