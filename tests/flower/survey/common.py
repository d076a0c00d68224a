"""What tests of questions share: owners who declare everything, and a whole run of questions in this process."""

import importlib.util
import sys
from pathlib import Path

import numpy as np

import fedlab_nb as fl
from fedlab_nb.flower import news, server
from fedlab_nb.flower.agreement import Agreement
from fedlab_nb.flower.party.party import Party
from fedlab_nb.flower.project.folder import APP
from fedlab_nb.flower.rehearsal import Rehearsal
from tests.flower.net import Grid, Net, asked, set_clock

FILE = Path(__file__).parent / "asked.py"


def module():
    """The file with the questions, imported as a notebook would."""
    if "asked_of_tests" not in sys.modules:
        spec = importlib.util.spec_from_file_location("asked_of_tests", FILE)
        sys.modules["asked_of_tests"] = made = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(made)
    return sys.modules["asked_of_tests"]


ASKED = module()
BOUNDS = {"mean_area": (100.0, 3000.0), "mean_texture": (5.0, 40.0)}


def owners(*, declared=True, shift=0.0, **settings):
    """Three owners of some columns; ``shift`` makes their data another, with accounts of its own."""
    frame = fl.data.breast_cancer().head(240)
    small = frame[[*BOUNDS]].copy()
    small["mean_area"] += shift
    small["size"] = np.where(frame["mean_area"] > 600, "large", "small")
    small["diagnosis"] = frame["diagnosis"]
    known = {"size": ["large", "small"], "diagnosis": ["benign", "malignant"]}
    facts = {"bounds": BOUNDS, "categories": known} if declared else {}
    return [
        fl.DataOwner(f"Owner {i + 1}", small.iloc[i::3].reset_index(drop=True), target="diagnosis", **facts, **settings)
        for i in range(3)
    ]


def federation(*, declared=True, shift=0.0, **settings):
    return fl.Federation(owners(declared=declared, shift=shift), **settings)


class Asked(Net):
    """The project of questions, with a site for each party as a rehearsal has it, and nothing started."""

    def __init__(self, federation, function, monkeypatch):
        set_clock(monkeypatch)
        monkeypatch.setattr("flwr.app.Message", asked)
        # What would be found out here already is to be found out there.
        monkeypatch.setattr(sys.modules["fedlab_nb.flower.project.export"], "tried", lambda *_: None)
        self.rehearsal = Rehearsal(federation, function, task=FILE)
        self.app = self.rehearsal.project / APP
        self.agreement = Agreement.read(self.app)
        self.settings = {n: Path(str(site.config["site"])) for n, site in enumerate(self.rehearsal._sites, 1)}
        self.parties = {node: Party(path, self.app) for node, path in self.settings.items()}
        self.grid = Grid({node: party.reply for node, party in self.parties.items()})

    def told(self, patience=1.0, wait=3.0):
        """What the server tells, as it goes."""
        return server.told(self.agreement, self.grid, patience, wait, self.app)

    def log(self):
        """The lines of its log."""
        told = enumerate(self.told(), 1)
        return [line for number, said in told for line in news.lines(number, said, self.agreement.allowed)]


class Runs:
    """A SuperLink with one run, whose log is known already."""

    def __init__(self, lines):
        self.lines, self.stopped = lines, []

    def run(self, app, config=None):
        return 7

    def log(self, run_id):
        yield "INFO :      Start `flwr-serverapp` process"
        yield from self.lines

    def stop(self, run_id):
        self.stopped.append(run_id)
