"""That a notebook drives is agreed on beforehand: its node is there from the beginning, and does nothing else."""

import json

import pytest

import fedlab_nb as fl
from fedlab_nb.errors import FedLabError, SettingError
from fedlab_nb.flower import server
from fedlab_nb.flower.driving.node import is_notebook
from fedlab_nb.flower.driving.words import Question
from fedlab_nb.flower.grid import meeting
from fedlab_nb.flower.party.party import Party
from fedlab_nb.flower.party.place import HELLO, ORDERS
from fedlab_nb.flower.party.settings import SiteSettings
from fedlab_nb.flower.project import export
from fedlab_nb.flower.project.__main__ import main
from fedlab_nb.view.live.page import _controls
from tests.flower.driving.common import STRATEGY, drive, federation, until
from tests.flower.net import why_not

assert drive  # a fixture


def test_the_agreement_says_so_and_gets_another_digest(tmp_path):
    bare, driven = (export(federation(), STRATEGY, tmp_path / f"p{d}", driven=bool(d)) for d in (0, 1))
    assert (bare.agreement.driven, driven.agreement.driven) == (False, True)
    assert bare.digest != driven.digest
    assert (bare.agreement.nodes, driven.agreement.nodes) == (bare.agreement.names, (*bare.agreement.names, "notebook"))
    said = json.loads((driven.folder / "fedlab_app" / "agreement.json").read_text())
    assert said["driven"] is True


def test_a_project_has_the_settings_of_the_node_and_says_who_can_drive(tmp_path, capsys):
    project = export(federation(), STRATEGY, tmp_path / "clinics", driven=True)
    assert "sites/notebook.toml" in project.files
    guide = (project.folder / "README.md").read_text()
    assert "**Who can drive:** whoever runs that node" in guide
    assert "at the wheel" not in (export(federation(), STRATEGY, tmp_path / "bare").folder / "README.md").read_text()
    site = tmp_path / "site.toml"
    site.write_bytes((project.folder / "sites" / "notebook.toml").read_bytes())
    assert is_notebook(site)
    assert main(["check", str(site), "--app", str(project.folder)]) == 0
    assert "role notebook: the settings are understood" in capsys.readouterr().out
    assert not is_notebook(project.folder / "sites" / "owner-1.toml")
    assert not is_notebook(tmp_path / "nothing.toml")


def test_a_notebook_has_no_rows(tmp_path):
    path = tmp_path / "site.toml"
    path.write_text('name = "notebook"\nrole = "notebook"\ndata = "rows.csv"\n')
    with pytest.raises(SettingError, match="for a notebook, which has no rows"):
        SiteSettings.read(path)


@pytest.mark.parametrize("names", [["notebook", "Clinic B"]])
def test_an_owner_of_that_name_cannot_be_told_apart(tmp_path, names):
    with pytest.raises(SettingError, match="one would be taken for the other"):
        export(names, STRATEGY, tmp_path / "clinics", target="ill", driven=True)
    export(["Notebook", "Clinic B"], STRATEGY, tmp_path / "clinics", target="ill", driven=True)
    assert len([*(tmp_path / "clinics" / "sites").iterdir()]) == 3


def test_the_node_is_there_from_the_beginning_and_there_is_one(drive):
    run = drive()
    site = run.net.settings[run.node]
    run.grid.parties[99] = Party(site, run.net.app).reply
    assert "Two nodes say that they are 'notebook'" in why_not(server.told(run.net.agreement, run.grid, 1.0, 1.0))
    del run.grid.parties[99], run.grid.parties[run.node]
    assert "'notebook' did not come" in why_not(server.told(run.net.agreement, run.grid, 1.0, 1.0))


def test_a_party_cannot_drive_as_well(drive):
    run = drive()
    run.net.settings[1].write_bytes(run.net.settings[run.node].read_bytes())
    run.grid.parties[1] = Party(run.net.settings[1], run.net.app).reply
    with pytest.raises(FedLabError, match=r"Two nodes say|did not come"):
        meeting.meet(run.net.agreement, run.grid, 1.0)


def test_where_nobody_agreed_on_it_a_notebook_keeps_the_run_from_beginning(drive, tmp_path):
    run = drive()
    site = tmp_path / "site.toml"
    site.write_text('name = "notebook"\nrole = "notebook"\n')
    bare = export(federation(), STRATEGY, tmp_path / "bare", num_rounds=4)
    for node, path in run.net.settings.items():
        path.write_text("\n".join(line for line in path.read_text().splitlines() if not line.startswith("agreement")))
        run.grid.parties[node] = Party(site if node == run.node else path, bare.folder / "fedlab_app").reply
    assert "agreed on no notebook" in why_not(server.told(bare.agreement, run.grid, 1.0, 1.0))


def test_it_does_nothing_that_is_ordered_and_starts_no_process(drive, monkeypatch):
    run = drive(num_rounds=2)
    monkeypatch.setattr("subprocess.Popen", lambda *_, **__: pytest.fail("a process was started"))
    said = [json.loads(run.grid.ask(kind + b"anything")) for kind in (HELLO, ORDERS)]
    assert said[0] == said[1]
    assert (said[0]["role"], said[0]["agreement"]) == ("notebook", run.net.agreement.digest)
    run.begin().end()
    assert len(run.rounds) == 2


def test_no_message_to_the_notebook_holds_anything_of_the_model_or_the_rows(drive):
    run = drive(num_rounds=2).begin()
    seen = run.attach()
    run.let()
    seen.change(lr=0.5)
    run.heard(seen)
    run.end()
    until(lambda: len(run.grid.questions) > 1)
    assert all(len(data) < 400 and Question.read(data[1:]) for data in run.grid.questions)


def test_the_page_offers_what_can_be_done_and_nothing_else(drive):
    run = drive().begin()
    seen = run.attach()
    driven = _controls(seen.snapshot())
    assert driven["acts"] == ["change", "pause", "step", "stop"]
    assert [knob["name"] for knob in driven["settings"]] == ["lr", "local_epochs", "sample_rate", "dropout"]
    seen._act("rewind", {"to": 1})
    assert "Going back" in seen.snapshot().notes[-1].words
    seen._pressed._lose()
    watched = _controls(seen.snapshot())
    assert (watched["acts"], watched["settings"]) == (["stop"], [])
    here = fl.train(federation(), STRATEGY, num_rounds=1)
    assert _controls(here.snapshot())["acts"] == ["change", "pause", "rewind", "step", "stop"]


def questions(frame):
    yield "mean", frame["mean_radius"].mean()


def test_what_has_no_rounds_cannot_be_driven(tmp_path):
    with pytest.raises(SettingError, match="have no rounds"):
        export(federation(), questions, tmp_path / "survey", driven=True)
    assert [*tmp_path.iterdir()] == []
