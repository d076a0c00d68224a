"""A run that goes on elsewhere, seen from here: the same handle and History, made of the lines of a log."""

import numpy as np
import pytest

import fedlab_nb as fl
from fedlab_nb.errors import FedLabError, SettingError
from fedlab_nb.flower import news, server
from fedlab_nb.flower.watch import attach, run
from tests.flower.net import Net

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
    assert watched.state == "failed"
    assert "does not follow" in str(watched.error)
