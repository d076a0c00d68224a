"""A notebook at the wheel of a run over owners of different columns: it holds and ends it, and changes nothing."""

import numpy as np
import pytest

import fedlab_nb as fl
from fedlab_nb.errors import SettingError
from fedlab_nb.flower import export
from fedlab_nb.flower.driving import asking, wheel
from fedlab_nb.flower.driving.words import Question, Wish
from fedlab_nb.flower.party.place import END, HELLO
from fedlab_nb.view.live.page import _controls
from tests.flower.driving.common import drive, notes, until

assert drive  # a fixture
STRATEGY = fl.vertical.LogisticRegression("lab", key_holder=False)
# What the server asks in the last of three rounds, after which it holds nothing.
LAST = {"after": 2}


def columns():
    parts = {"lab": ["mean_radius", "diagnosis"], "clinic": ["mean_texture", "mean_area"]}
    owners = fl.split_columns(fl.data.breast_cancer().head(160), target="diagnosis", **parts)
    return fl.Federation(owners, encrypt=fl.CKKS("deep"))


@pytest.fixture
def begun(drive):
    run = drive(num_rounds=3, work=(columns(), STRATEGY)).begin()
    return run, run.attach()


def ended(run):
    """All parties ended well, and their threads with them."""
    run.end()
    for party in run.net.parties.values():
        if hasattr(party, "_site") and party._site is not None:
            party._site.close()
    return run.said[-1].error


def hold(run, seen):
    """Have the first round played, and the run held after it."""
    run.let()
    seen.pause()
    run.heard(seen)
    run.free()
    until(lambda: "Held after round 1, as the notebook wished." in run.words)


def test_it_holds_the_run_lets_it_play_a_round_more_and_changes_no_bit(begun):
    run, seen = begun
    hold(run, seen)
    seen.step()
    until(lambda: len(run.rounds) == 2)
    run.free()
    until(lambda: "Held after round 2, as the notebook wished." in run.words)
    seen.resume()
    assert ended(run) is None
    here = list(fl.rounds(columns(), STRATEGY, num_rounds=3))
    there = seen.wait()
    assert [r.metrics for r in there] == [r.metrics for r in here]
    assert seen.state == "finished"


def test_it_ends_the_run_after_a_round_and_every_site_has_its_part_of_that_round(begun, tmp_path):
    run, seen = begun
    run.let()
    seen.stop()
    run.heard(seen)
    assert ended(run) is None
    history = seen.wait()
    assert (len(history), seen.state, run.stopped) == (1, "stopped", [])
    parts = [path.parent / "part.safetensors" for node, path in run.net.settings.items() if node != run.node]
    model = fl.vertical.VerticalModel.of([fl.vertical.load_part(path) for path in parts])
    first = next(iter(fl.rounds(columns(), STRATEGY, num_rounds=3)))
    for name, weights in first.state.weights.items():
        assert np.array_equal(model.state.weights[name], weights)


def test_of_a_run_that_is_held_or_ended_nothing_is_said_of_a_round_to_come(begun, monkeypatch):
    run, seen = begun
    hold(run, seen)
    # A party says no more: the server waits for it, and looks for wishes meanwhile.
    run.grid.ways[1] = lambda data, ask: [] if data in (END, HELLO) else [ask(data)]
    monkeypatch.setattr(wheel, "HOLD", 0.05)
    monkeypatch.setattr(asking, "GREET", 0.0)
    monkeypatch.setattr(asking, "LOOK", 0.0)
    asked = len(run.grid.questions)
    seen._pressed.wheel.hold()  # it answers the question that would wait for long
    until(lambda: len(run.grid.questions) > asked + 9)
    seen.stop()
    assert ended(run) is None
    assert len(seen.wait()) == 1
    assert all(said.held for said in run.grid.said()[asked:])
    assert not any("after round 2" in words for words in notes(seen))


@pytest.mark.parametrize("question", [{"held": True}, {"after": 1}, LAST])
def test_a_run_that_is_about_to_end_is_not_said_to_be_held(begun, question):
    run, seen = begun
    seen.pause()
    if question != LAST:
        seen.stop()
    wish = seen._pressed.wheel.wish
    seen._pressed._hear(Question(run.net.agreement.digest, wheel=wish.wheel, taken=wish.serial, **question))
    assert not any("held after round" in words for words in notes(seen))
    seen.stop()
    ended(run)


def test_it_changes_no_setting_and_offers_none(begun):
    _, seen = begun
    shown = _controls(seen.snapshot())
    assert (shown["acts"], shown["settings"]) == (["pause", "step", "stop"], [])
    with pytest.raises(SettingError, match="plays the protocol by itself"):
        seen.change(lr=0.01)
    with pytest.raises(SettingError, match="Where this run can be changed"):
        seen.rewind(1)


def test_whoever_ends_it_at_once_hears_that_parts_may_be_a_round_apart(begun):
    run, seen = begun
    seen.stop(now=True)
    assert run.stopped == [seen.number]
    ended(run)
    seen.wait()
    told = seen.snapshot().notes[-1].words
    assert "was asked to end" in told
    assert told.endswith("a round apart: no prediction takes such parts, and only another training helps.")


def test_a_notebook_that_wishes_it_nevertheless_is_refused_at_the_server(drive):
    run = drive(num_rounds=2, work=(columns(), STRATEGY))
    asked = []

    def ask(data):
        asked.append(data)
        return Wish(wheel="somebody", serial=1, change={"lr": 0.5}).data

    hello = run.grid.ask
    run.grid.ask = lambda data: hello(data) if data == HELLO else ask(data)
    run.begin()
    assert ended(run) is None
    assert any("A change was refused: lr was to be changed" in words for words in run.words)
    assert [record.settings["lr"] for record in run.rounds] == [STRATEGY.lr] * 2


def test_the_guide_says_that_nothing_is_changed(tmp_path):
    project = export(columns(), STRATEGY, tmp_path / "columns", driven=True)
    guide = (project.folder / "README.md").read_text()
    assert "It changes no setting: each party plays the protocol by itself, as\nagreed on." in guide
    assert "learning rate" not in guide.split("## The notebook at the wheel")[1]
    assert project.agreement.nodes[-1] == "notebook"
