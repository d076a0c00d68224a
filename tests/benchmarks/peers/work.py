"""What every program of this folder is given, how it is timed, and how it tells what it found.

It runs in the peers' environments, none of which knows this package: it imports numpy, and torch where it is there.
"""

import json
import sys
import time
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np

# Rounds that get ready: they compile, fill caches and start processes.
WARM = 2


@dataclass(frozen=True)
class Work:
    """Owners' rows X (n, d) and y (n,), one owner's after another's, and what is to be done with them."""

    folder: Path
    name: str
    X: np.ndarray
    y: np.ndarray
    sizes: tuple[int, ...]
    batch: int
    epochs: int
    lr: float
    rounds: int

    @classmethod
    def given(cls):
        """The work in the folder that the command line names."""
        return cls.of(Path(sys.argv[1]))

    @classmethod
    def of(cls, folder):
        """The work in a folder."""
        rows = np.load(folder / "rows.npz")
        settings = json.loads((folder / "settings.json").read_text())
        return cls(folder, X=rows["X"], y=rows["y"], sizes=tuple(rows["sizes"].tolist()), **settings)

    @property
    def owners(self):
        """Each owner's (X, y)."""
        ends = np.cumsum((0, *self.sizes)).tolist()
        return [(self.X[a:b], self.y[a:b]) for a, b in pairwise(ends)]

    @property
    def start(self):
        """The weights that training starts from, as torch orders and lays them out."""
        stored = np.load(self.folder / "start.npz")
        return [stored[name] for name in sorted(stored, key=int)]

    def module(self):
        """The torch module, with the weights that training starts from."""
        import torch

        torch.set_num_threads(1)
        return torch.load(self.folder / "module.pt", weights_only=False)

    def loss(self, module):
        """The mean loss of a module on all rows: where peers did the same, it is about the same."""
        import torch

        with torch.no_grad():
            scores = module(torch.from_numpy(self.X))
            return float(torch.nn.functional.cross_entropy(scores, torch.from_numpy(self.y)))


@cache
def kept(folder):
    """A work, its owners and its module, made once in each process."""
    work = Work.of(folder)
    return work, work.owners, work.module()


class Laps:
    """Milliseconds of rounds, by the clock on the wall and in processor time of this process."""

    def __init__(self):
        self.taken, self._began = [], None

    def start(self):
        """What comes next belongs to a round."""
        self._began = time.perf_counter(), time.process_time()

    def tick(self):
        """A round is over, and the next one begins."""
        wall, cpu = self._began
        self.taken.append((1e3 * (time.perf_counter() - wall), 1e3 * (time.process_time() - cpu)))
        self.start()

    def time(self, one_round):
        """Call ``one_round`` and stop its time."""
        self.start()
        one_round()
        self.tick()

    def told(self, loss):
        """What is told of the rounds after those that get ready."""
        kept = self.taken[WARM:]
        return {"wall": [wall for wall, _ in kept], "cpu": [cpu for _, cpu in kept], "loss": loss}


def tell(found, **more):
    """The last line of a program: what it found, by name."""
    sys.stdout.write("\n" + json.dumps({"found": found, **more}) + "\n")
    sys.stdout.flush()
