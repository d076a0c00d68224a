"""Processes that train with a checkpoint until they are killed.

As a script it is a server: it imports everything once, then forks a victim for each line of JSON that it reads.
"""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from importlib import import_module
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np

import fedlab_nb as fl
from fedlab_nb.horizontal.drift.scaffold import SCAFFOLD
from fedlab_nb.privacy import Vault
from tests.rounds.common import cells, declared

ROUNDS = 5
KINDS = ("plain", "encrypted", "row", "scaffold", "adaptive")


def federation(kind, vault=None):
    """The same federation for the same kind; those that take part and drop out differ from round to round."""
    if kind == "encrypted":
        return fl.Federation(cells(), encrypt=fl.CKKS(), sample_rate=0.9)
    if kind == "row":
        return fl.Federation(cells(), protect=fl.RowLevelDP(noise_multiplier=4.0), vault=Vault(vault))
    if kind == "adaptive":
        protect = fl.OwnerLevelDP(clip=fl.AdaptiveClip(), noise_multiplier=0.5)
        return fl.Federation(declared(), protect=protect, noise_seed=3)
    return fl.Federation(cells(), sample_rate=0.8, dropout=0.2)


def strategy(kind):
    """What is trained."""
    if kind == "scaffold":
        return SCAFFOLD(fl.models.mlp(5), lr=0.05, executor="sequential")
    return fl.FedAvg(fl.models.logistic(), executor="sequential")


def live(job):
    """All that a victim does, if it lives so long."""
    run = fl.train(federation(job["kind"], job["vault"]), strategy(job["kind"]), **settings(job))
    run.wait()
    Path(job["end"]).write_text(run.state, encoding="utf8")


def settings(job):
    """How the run is asked for."""
    return {"num_rounds": ROUNDS, "seed": 4, "checkpoint": job["folder"]}


def rounds_in(job):
    """How many rounds a run has kept."""
    return len(list(Path(job["folder"]).glob("round-*.json")))


def serve():
    """Fork a victim for each job; say how it ended."""
    for heavy in ("dp_accounting", "tenseal", "torch", "safetensors.numpy"):
        import_module(heavy)  # loaded, not used: no context, no thread that a fork would lose
    for line in sys.stdin:
        job = json.loads(line)
        victim = os.fork()
        if victim == 0:
            code = 1
            try:
                os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what it prints is not for the one who waits
                live(job)
                code = 0
            finally:
                os._exit(code)
        status, due = None, None
        while status is None:
            ended, found = os.waitpid(victim, os.WNOHANG)
            if ended:
                status = found
            elif job["kill"] is not None and due is None and rounds_in(job) >= job["kill"]["rounds"]:
                due = time.monotonic() + job["kill"]["seconds"]
            elif due is not None and time.monotonic() > due:
                os.kill(victim, signal.SIGKILL)
                status = os.waitpid(victim, 0)[1]
            else:
                time.sleep(0.0005)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


class Victims:
    """The side of whoever kills: a server of victims, each with the same run in the same folder."""

    def __init__(self):
        command = [sys.executable, __file__]
        self._server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(self, job, kill=None):
        """Let a victim live to its end, or until it is killed; its exit code, -9 if it was."""
        self._server.stdin.write(json.dumps({**job, "kill": kill}) + "\n")
        self._server.stdin.flush()
        return int(self._server.stdout.readline())

    def killed(self, job, seed):
        """Kill victims of one run after they have kept 0, 2 and 4 rounds, each at a random moment of the next one.

        Then let one finish. How many were killed: one that was quicker has ended well.
        """
        rng = np.random.default_rng(seed)
        moments = [{"rounds": rounds, "seconds": float(rng.uniform(0.0, 0.15))} for rounds in (0, 2, 4)]
        codes = [self.run(job, moment) for moment in moments]
        assert self.run(job) == 0
        assert set(codes) <= {-9, 0}
        return codes.count(-9)

    def end(self):
        self._server.stdin.close()
        self._server.wait()
        self._server.stdout.close()


def job_in(folder, kind):
    """A victim's run, with everything that it keeps in a folder of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    return {"kind": kind, "folder": str(folder / "run"), "vault": str(folder / "v"), "end": str(folder / "end")}


if __name__ == "__main__":
    with closing(sys.stdin):
        serve()
