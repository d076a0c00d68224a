"""A run that goes on elsewhere, seen from here: the same handle and History, made of the lines of a log."""

import json
import threading

import numpy as np
import pytest

import fedlab_nb as fl
from fedlab_nb.errors import FedLabError, SettingError
from fedlab_nb.flower import news, server
from fedlab_nb.flower.watch import attach, run
from tests.flower.driving.common import interrupted_at_first_look
from tests.flower.net import Net
from tests.flower.survey.common import ASKED, FILE

STRATEGY = fl.FedAvg(fl.models.logistic(), executor="sequential")


class Runs:
    """Runs whose logs are known already."""

    def __init__(self, lines):
        self.lines, self.started, self.stopped = lines, [], []

    def run(self, app, config=None):
        self.started.append((app, config))
        return 7

    def log(self, run_id):
        assert run_id == 7
        yield "INFO :      Start `flwr-serverapp` process"
        yield from self.lines

    def stop(self, run_id):
        self.stopped.append(run_id)


def federation(**settings):
    owners = fl.split_rows(fl.data.breast_cancer().head(240), owners=3, seed=0)
    return fl.Federation(owners, encrypt=fl.CKKS(), **settings)


@pytest.fixture
def played(monkeypatch):
    """A run of two rounds: its project, and its log."""
    net = Net(federation(), STRATEGY, monkeypatch)
    told = server.told(net.agreement, net.grid, 1.0, 1.0)
    lines = [line for i, said in enumerate(told, 1) for line in news.lines(i, said, net.agreement.allowed)]
    yield net.rehearsal.project, lines
    net.rehearsal.close()


def test_a_run_is_started_and_seen_to_its_end_as_one_of_this_notebook(played):
    project, lines = played
    control = Runs(lines)
    watched = run(project, control, patience=5.0)
    history = watched.wait()
    assert control.started == [(project, {"patience": 5.0})]
    assert (watched.state, watched.number, len(history)) == ("finished", 7, 2)
    here = list(fl.rounds(federation(), STRATEGY, num_rounds=2))
    for one, other in zip(here, history, strict=True):
        assert np.array_equal(one.state.weights["server"], other.state.weights["server"])
        assert one.metrics == other.metrics
    assert watched.federation.ledger.verify()
    assert {m.kind for m in watched.federation.ledger.messages} >= {"update", "sum of updates, opened", "witness"}
    assert watched.model.predict(fl.data.breast_cancer().head(5)).shape == (5,)
    assert "key holder" in str(watched.threat_card)


def exported_otherwise(kind, folder):
    """A project of the same owners that agreed on something else."""
    predicted = fl.vertical.JointPrediction(fl.vertical.LogisticRegression("bank"))
    return {
        "masks": lambda: fl.flower.export(
            fl.Federation(fl.split_rows(fl.data.breast_cancer().head(240), owners=3, seed=0), encrypt=fl.SecAgg()),
            STRATEGY,
            folder,
            num_rounds=2,
        ),
        "questions": lambda: fl.flower.export(["A", "B"], ASKED.short, folder, task=FILE, target="diagnosis"),
        "a prediction": lambda: fl.flower.export(["bank", "shop"], predicted, folder),
    }[kind]()


@pytest.mark.parametrize("kind", ["masks", "questions", "a prediction"])
def test_a_run_is_not_read_by_a_project_that_agreed_on_something_else(played, kind, tmp_path):
    _, lines = played
    exported_otherwise(kind, tmp_path / "other")
    with pytest.raises(SettingError, match="This run goes by the agreement") as told:
        attach(tmp_path / "other", Runs(lines), 7)
    assert "would be untrue" in str(told.value)


class Slow(Runs):
    """A run whose log goes no further than to the meeting of its parties, until it is let."""

    def __init__(self, lines):
        super().__init__(lines)
        self.gate = threading.Event()

    def log(self, run_id):
        for line in super().log(run_id):
            if line.startswith("FEDLAB 2 "):
                assert self.gate.wait(60.0)
            yield line


def test_a_script_has_the_handle_while_the_run_goes_on_and_its_last_line_when_it_has_waited(played, capsys):
    project, lines = played
    control = Slow(lines)
    watched = run(project, control)
    assert (watched.state, watched.number, len(watched.history)) == ("running", 7, 0)
    control.gate.set()
    assert len(watched.wait()) == 2
    said = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in said[:2]] == ["round 1 of 2", "round 2 of 2"]
    assert said[2].startswith("Round 2 of 2")


def test_a_script_stops_the_run_or_leaves_it_while_it_goes_on(played):
    project, lines = played
    for act, stopped, told in (("stop", [7], "was asked to end run 7"), ("leave", [], "Run 7 goes on")):
        control = Slow(lines)
        watched = run(project, control)
        getattr(watched, act)()
        control.gate.set()
        assert len(watched.wait()) <= 1
        assert (control.stopped, watched.state) == (stopped, "stopped")
        assert told in watched.snapshot().notes[-1].words


def test_interrupting_who_waits_says_that_the_run_goes_on_and_it_can_still_be_ended(played, capsys):
    project, lines = played
    control = Slow(lines)
    watched = attach(project, control, 7)
    interrupted_at_first_look(watched)
    assert [*watched.wait()] == []
    assert control.stopped == []
    goes_on = "Run 7 goes on: run.stop() ends it, fl.flower.attach(project, control, 7) takes it up again."
    assert capsys.readouterr().out.strip().endswith(goes_on)
    control.gate.set()
    assert watched._pressed.ended.wait(60.0)
    assert watched.state == "interrupted"
    assert not [note for note in watched.snapshot().notes if "after it the run ends" in note.words]
    watched.stop()
    assert control.stopped == [7]


@pytest.mark.parametrize("config", [{"patience": -1}, {"wait": 0}, {"wait": float("inf")}, {"patience": float("nan")}])
def test_seconds_that_nobody_could_keep_are_refused_before_anything_begins(played, config):
    project, lines = played
    control = Runs(lines)
    with pytest.raises(SettingError, match=r"was asked for\. It is a number of seconds"):
        run(project, control, **config)
    with pytest.raises(SettingError, match="It is a number of seconds"):
        run(project, control, patience="long")
    assert control.started == []


def test_nothing_begins_that_could_not_be_watched(played, tmp_path):
    project, lines = played
    control = Runs(lines)
    with pytest.raises(SettingError, match="holds 0 agreements"):
        run(tmp_path, control)
    (agreement,) = project.glob("*/agreement.json")
    facts = json.loads(agreement.read_text())
    agreement.write_text(json.dumps({**facts, "num_rounds": 0}))
    with pytest.raises(FedLabError):
        run(project, control)
    assert control.started == []


def test_what_is_no_control_folder_or_number_is_refused_with_words(played):
    project, lines = played
    for act in (lambda: run(project, None), lambda: attach(project, "lab", 7)):
        with pytest.raises(SettingError, match="was given as the control of a SuperLink"):
            act()
    for act in (lambda: run(None, Runs(lines)), lambda: attach(3, Runs(lines), 7)):
        with pytest.raises(SettingError, match="The folder of a project was given as"):
            act()
    with pytest.raises(SettingError, match="The number of a run was given as '7'"):
        attach(project, Runs(lines), "7")


def test_who_is_interrupted_or_refused_before_the_parties_met_is_told_the_number(played):
    project, lines = played

    class Interrupted(Runs):
        def log(self, run_id):
            raise KeyboardInterrupt

    for control, error in ((Interrupted(lines), KeyboardInterrupt), (Runs([]), FedLabError)):
        with pytest.raises(error) as raised:
            run(project, control)
        (note,) = raised.value.__notes__
        assert "This was run 7" in note
        assert "control.stop(7) ends it" in note


def test_it_can_be_taken_up_again_from_its_first_round_on(played):
    project, lines = played
    first, again = attach(project, Runs(lines), 7).wait(), attach(project, Runs(lines), 7).wait()
    assert [record.metrics for record in first] == [record.metrics for record in again]


def test_what_needs_an_answer_from_the_run_is_refused_with_a_way_out(played):
    project, lines = played
    watched = attach(project, Runs(lines), 7)
    assert watched.settings == {}
    for wish in (
        watched.pause,
        watched.resume,
        watched.step,
        lambda: watched.change(lr=1.0),
    ):
        with pytest.raises(SettingError, match="Stop it with run"):
            wish()
    with pytest.raises(SettingError, match="stop it and run another project"):
        watched.rewind(1)
    assert watched.snapshot().acts == {"stop"}
    with pytest.raises(SettingError, match="take no other course"):
        watched.fork(after=1, num_rounds=3)
    watched.wait()
    with pytest.raises(SettingError, match="is watched, not asked"):
        fl.PrivateFrame(watched.federation).describe()


def test_stopping_ends_the_run_and_leaving_does_not(played):
    project, lines = played
    control = Runs(lines)
    attach(project, control, 7).leave()
    assert control.stopped == []
    attach(project, control, 7).stop()
    assert control.stopped == [7]


def test_a_log_that_ends_early_leaves_the_rounds_that_came(played):
    project, lines = played
    last = max(i for i, line in enumerate(lines) if line.startswith("FEDLAB 3 "))
    watched = attach(project, Runs(lines[:last]), 7)
    with pytest.raises(FedLabError, match="without a word"):
        watched.wait()
    assert [record.number for record in watched.history] == [1]


def test_why_a_run_ended_badly_is_said(monkeypatch):
    net = Net(federation(), STRATEGY, monkeypatch)
    try:
        net.grid.parties.pop(1)
        told = server.told(net.agreement, net.grid, 1.0, 1.0)
        lines = [line for i, said in enumerate(told, 1) for line in news.lines(i, said, net.agreement.allowed)]
        with pytest.raises(FedLabError, match="did not come within"):
            attach(net.rehearsal.project, Runs(lines), 7)
        with pytest.raises(FedLabError, match="before its owners had met"):
            attach(net.rehearsal.project, Runs([]), 7)
    finally:
        net.rehearsal.close()


def test_a_folder_that_is_no_project_is_told_so(tmp_path):
    with pytest.raises(SettingError, match="holds 0 agreements"):
        attach(tmp_path, Runs([]), 7)


def test_lines_of_a_ledger_that_were_altered_are_refused(played):
    project, lines = played
    allowed = fl.flower.watch.agreement_of(project).allowed
    told = list(news.read(lines, allowed))
    swapped = [told[0], told[2], told[1], told[3]]
    altered = [line for i, said in enumerate(swapped, 1) for line in news.lines(i, said, allowed)]
    watched = attach(project, Runs(altered), 7)
    with pytest.raises(FedLabError, match="does not follow"):
        watched.wait()
    assert watched.state == "failed"
    assert "does not follow" in str(watched.error)
