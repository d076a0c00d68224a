"""One federation over real processes for all tests here, with owners whose numbers are like no others."""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest

import fedlab_nb as fl
from fedlab_nb.flower.party.place import Place
from fedlab_nb.flower.project import export
from fedlab_nb.flower.rehearsal import Rehearsal
from fedlab_nb.flower.watch import WatchedRun, attach
from tests.flower.deploy.common import until
from tests.flower.real.memory import Needles

# Only there so that a broken test ends.
LONG = 900.0
STRATEGY = fl.FedAvg(fl.models.logistic(), executor="sequential")
COLUMNS = [f"x{i}" for i in range(8)]


def frames() -> list[pd.DataFrame]:
    """Rows of three owners: random numbers, so that one that is found somewhere was not there by chance."""
    made = []
    for number in range(3):
        rng = np.random.default_rng([7, number])
        x = rng.uniform(1.0, 2.0, (60, len(COLUMNS)))
        ill = np.where(x[:, 0] + x[:, 1] > 3.0, "yes", "no")
        made.append(pd.DataFrame(x, columns=COLUMNS).assign(ill=ill))
    return made


def federation(**settings: object) -> fl.Federation:
    """Owners who declare everything and hold nothing out: as few trips as a run can have."""
    facts = {
        "target": "ill",
        "held_out": 0.0,
        "bounds": dict.fromkeys(COLUMNS, (1.0, 2.0)),
        "categories": {"ill": ["no", "yes"]},
    }
    owners = [fl.DataOwner(f"Owner {number}", frame, **facts) for number, frame in enumerate(frames(), 1)]
    return fl.Federation(owners, encrypt=fl.CKKS(), **settings)


def private(dtype: type = np.float64) -> Needles:
    """Every number of every owner as programs keep it, pairs of a row in 32 bits, and some of them as text."""
    arrays = [frame[COLUMNS].to_numpy() for frame in frames()]
    pairs = [array.astype(np.float32) for array in arrays]
    words = [array.tobytes() for array in arrays] + [p.tobytes() for p in pairs] + [p[:, 1:-1].tobytes() for p in pairs]
    return Needles(words, [repr(float(v)).encode() for array in arrays for v in array[::12, 0]])


@dataclass
class Gate:
    """An owner's process waits where it computes something of a round, from ``shut`` until ``open``."""

    path: Path

    def shut(self) -> "Gate":
        self.path.touch()
        return self

    def reached(self) -> int:
        """Wait until the owner's process is there; its number."""
        here = self.path.with_suffix(".here")
        assert until(lambda: here.exists() and bool(here.read_text()), LONG)
        return int(here.read_text())

    def open(self) -> None:
        self.path.unlink()


class Lab:
    """A rehearsal whose processes wait at gates; all that it leaves anywhere is in ``folder``."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder, self.temporary = folder / "hooks", folder / "tmp"
        for made in (self.folder, self.temporary):
            made.mkdir()
        package = Path(fl.__file__).parents[1]
        patch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parent / "hooks"), str(package)]))
        patch.setenv("FEDLAB_TEST_FOLDER", str(self.folder))
        patch.setenv("TMPDIR", str(self.temporary))
        patch.setattr(tempfile, "tempdir", None)
        self.rehearsal = Rehearsal(federation(), STRATEGY, num_rounds=2)
        self.patient = folder / "patient"
        export(federation(min_owners=2), STRATEGY, self.patient, num_rounds=4)
        for site in self.rehearsal._sites:
            self._take_part_in_any(Path(str(site.config["site"])))
        self.seen: set[psutil.Process] = set()
        self.rehearsal.start()

    def _take_part_in_any(self, settings: Path) -> None:
        lines = settings.read_text().splitlines()
        settings.write_text("\n".join(line for line in lines if not line.startswith("agreement = ")) + "\n")

    def gate(self, owner: int, number: int) -> Gate:
        return Gate(self.folder / f"Owner {owner} update {number}")

    def begin(self, *, patient: bool = False, patience: float = 300.0) -> int:
        """Start a run; its number."""
        project = self.patient if patient else self.rehearsal.project
        return self.rehearsal.control.run(project, {"patience": patience, "wait": 300.0})

    def watch(self, number: int, *, patient: bool = False) -> WatchedRun:
        """A run, seen from its beginning to its end: wait() waits for it."""
        return attach(self.patient if patient else self.rehearsal.project, self.rehearsal.control, number)

    def has_played(self, number: int, last: int) -> bool:
        """Wait until a run has played its round ``last``."""
        return any(line.startswith(f"Round {last}") for line in self.rehearsal.control.log(number))

    def party(self, site: str, number: int) -> int:
        """The number of the own process of the party at a site, in the run of this number."""
        config = self.rehearsal.loopback.sites[site].config
        return int(Place(Path(str(config["site"])), str(number)).pid.read_text())

    def server(self) -> int:
        """The process of the ServerApp."""
        (pid,) = [pid for pid in self.rehearsal.loopback.pids()["superexec"] if _is(pid, "flwr-serverapp")]
        return pid

    def note(self, *pids: int) -> None:
        """Note all processes there are now, to look for them at the end."""
        everyone = [pid for group in self.rehearsal.loopback.pids().values() for pid in group]
        self.seen |= {psutil.Process(pid) for pid in (*everyone, *pids) if psutil.pid_exists(pid)}

    def secret(self) -> tuple[bytes, np.ndarray]:
        """The seed and the words of the newest secret key."""
        newest = max(self.folder.glob("key *.secret"), key=lambda path: path.stat().st_mtime_ns)
        data = newest.read_bytes()
        words = np.frombuffer(data[32:], dtype=np.uint64)
        # The words of the smaller prime are as small as addresses are: those of the larger one are like nothing else.
        return data[:32], words[words > 1 << 50]

    def close(self) -> None:
        self.rehearsal.close()


def _is(pid: int, name: str) -> bool:
    try:
        return any(name in part for part in psutil.Process(pid).cmdline()[:2])
    except psutil.Error:
        return False
