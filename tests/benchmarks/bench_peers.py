"""Other packages beside ours, on the same rows, models and local steps, one thread: for a person to read.

python run.py bench peers [laps] [folder]

Each peer gets an environment of its own in ``folder`` (left out: one under the system's folder for temporary files),
once, about a GB each. In each of three ``laps`` all of them run by turns, in processes of their own; shown are medians
over all laps. A peer that cannot be installed or run here is named with the reason.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parent / "peers"))

import numpy as np
import pandas as pd
import torch
from bench_engine import LR, WORKLOADS, Workload
from environments import PEERS, UNDER, NotHereError, called, interpreter

from fedlab_nb.data.intake import make_schema
from fedlab_nb.parties.rows import divide

HERE = Path(__file__).resolve().parent
ROUNDS = {"A-mlp": 20, "B-mlp": 6, "B-cnn": 4, "C-mlp": 4}
OURS, PRIVATE, CLIPPED = "ours, whole round", "ours, row level", "ours, row level, engine alone"
OF_ROWS = (CLIPPED, "Opacus, hooks", "Opacus, ghost clipping", PRIVATE, "ours, the same step without privacy")
WALL = ("Flower",)
HELD_OUT = 0.2


def say(line: str) -> None:
    """One line, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def rows_of(load: Workload) -> dict[bool, tuple[list[int], np.ndarray, np.ndarray]]:
    """Owners' sizes, features and classes: of the rows to train on, and (True) of a quarter as many to hold out.

    Which rows are held out is decided by their content alone, so they are drawn first and then dealt out.
    """
    wanted = {False: list(load.sizes), True: [max(1, n // 4) for n in load.sizes]}
    rng, pool = np.random.default_rng(0), 2 * sum(map(sum, wanted.values()))
    names = [f"x{i:03d}" for i in range(load.inputs)]
    frame = pd.DataFrame(rng.normal(size=(pool, load.inputs)).astype(np.float32).astype(np.float64), columns=names)
    frame["y"] = rng.integers(0, load.classes, pool)
    schema = make_schema(frame, "the pool", "y", None, {"y": list(range(load.classes))})
    rows = divide(frame, schema, "the pool", HELD_OUT)
    found = {}
    for away, (X, y) in ((False, rows.training), (True, rows.held_out)):
        total = sum(wanted[away])
        found[away] = wanted[away], X[names].to_numpy()[:total].astype(np.float32), y.to_numpy()[:total].astype(int)
    return found


def written(load: Workload, folder: Path) -> Path:
    """The folder that programs read a workload from."""
    folder.mkdir()
    for away, (sizes, X, y) in rows_of(load).items():
        np.savez(folder / ("held_out.npz" if away else "rows.npz"), sizes=sizes, X=X, y=y)
    torch.manual_seed(0)
    module = load.build()
    torch.save(module, folder / "module.pt")
    start = [part.detach().numpy() for part in module.parameters()]
    np.savez(folder / "start.npz", **{str(i): part for i, part in enumerate(start)})
    settings = {"name": load.name, "batch": load.batch, "epochs": load.epochs, "lr": LR, "rounds": ROUNDS[load.name]}
    (folder / "settings.json").write_text(json.dumps(settings))
    return folder


class Figures:
    """What programs told, over all laps, and what could not be had."""

    def __init__(self) -> None:
        self.taken: dict[tuple[str, str], dict[str, list[float]]] = {}
        self.versions: dict[str, str] = {}
        self.missing: dict[str, str] = {}

    def run(self, name: str, python: Path, program: str, work: Path) -> None:
        """Let a program do a workload, and keep what it tells; where it has failed once, it is left out."""
        if f"{name}, {work.name}" in self.missing:
            return
        paths = [str(HERE.parents[1]), str(HERE)] if name == "ours" else [str(HERE / "peers")]
        under = UNDER | {"PYTHONPATH": os.pathsep.join(paths), "FLWR_HOME": str(work.parent)}
        try:
            said = called([str(python), str(HERE / "peers" / program), str(work)], **under)
            told = json.loads(said.splitlines()[-1])
        except NotHereError as error:
            self.missing[f"{name}, {work.name}"] = str(error)
            return
        self.versions[name] = told["version"]
        for way, figures in told["found"].items():
            kept = self.taken.setdefault((way, work.name), {"wall": [], "cpu": [], "loss": []})
            for what, values in figures.items():
                kept[what] += values if isinstance(values, list) else [values]
            of_it = f", {statistics.median(figures['cpu']):.2f} of processor time" if figures["cpu"] else ""
            say(f"  {way}: {statistics.median(figures['wall']):.2f} ms{of_it}")

    def milliseconds(self, way: str, load: str, clock: str) -> float | None:
        """The median of a way's rounds."""
        values = self.taken.get((way, load), {}).get(clock)
        return statistics.median(values) if values else None

    def table(self, ways: list[str], loads: list[str], ours: str) -> list[str]:
        """Milliseconds a round, and as multiples of ours by the same clock."""
        lines = [f"| ms a round | {' | '.join(loads)} |", "|---|" + "---|" * len(loads)]
        for way in ways:
            clock = "wall" if way in WALL else "cpu"
            cells = []
            for load in loads:
                ms, own = self.milliseconds(way, load, clock), self.milliseconds(ours, load, clock)
                cells.append("–" if ms is None or own is None else f"{ms:.2f} ({ms / own:.1f}x)")
            lines.append(f"| {way}{' (wall)' if clock == 'wall' else ''} | {' | '.join(cells)} |")
        return lines

    def losses(self, ways: list[str], loads: list[str]) -> list[str]:
        """The mean loss on all rows after the last round."""
        lines = [f"| loss at the end | {' | '.join(loads)} |", "|---|" + "---|" * len(loads)]
        for way in ways:
            found = [self.taken.get((way, load), {}).get("loss", []) for load in loads]
            if any(value is not None for values in found for value in values):
                cells = [f"{statistics.median(values):.4f}" if values else "–" for values in found]
                lines.append(f"| {way} | {' | '.join(cells)} |")
        return lines


def measured(laps: int, folder: Path, scratch: Path) -> Figures:
    """All programs on all workloads, by turns."""
    figures, pythons = Figures(), {}
    for name in PEERS:
        say(f"{name}: making its environment, or finding it ...")
        try:
            pythons[name] = interpreter(name, folder)
        except NotHereError as error:
            figures.missing[name] = f"no environment: {error}"
    works = [written(load, scratch / load.name) for load in WORKLOADS]
    for lap in range(1, laps + 1):
        for work in works:
            say(f"lap {lap}, {work.name}, load of the machine {os.getloadavg()[0]:.1f} ...")
            figures.run("ours", Path(sys.executable), "with_ours.py", work)
            for name, python in pythons.items():
                figures.run(name, python, PEERS[name].program, work)
    return figures


def main(laps: int, folder: Path) -> None:
    """Print the tables."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        figures = measured(laps, folder, Path(scratch))
    loads = [load.name for load in WORKLOADS]
    ways = list(dict.fromkeys(way for way, _ in figures.taken))
    plain = [way for way in ways if way not in OF_ROWS]
    say(f"\nProcessor time, one thread (Flower: on the wall, {os.cpu_count()} cores); in brackets, against ours.\n")
    for line in figures.table(plain, loads, OURS):
        say(line)
    say("\nRow level: one step of each owner on all its rows, clipped one by one, with noise. Opacus does this and no")
    say("more, as does our engine alone; our whole round has ledger, budgets, masks, scores and history besides.\n")
    for line in figures.table([way for way in OF_ROWS if way in ways], loads, CLIPPED):
        say(line)
    say("\nWhether all did the same: equal rows, equal weights at the start, batches in orders of their own. Only on")
    say("A-mlp ours begins elsewhere: for two classes it has one score. At row level there is noise besides.\n")
    for line in figures.losses(ways, loads):
        say(line)
    say("\n" + ", ".join(f"{name} {version}" for name, version in figures.versions.items()))
    for name, reason in figures.missing.items():
        say(f"{name}: not measured: {reason}")


if __name__ == "__main__":
    main(
        int(sys.argv[1]) if len(sys.argv) > 1 else 3,
        Path(sys.argv[2] if len(sys.argv) > 2 else Path(tempfile.gettempdir()) / "fedlab-peers").absolute(),
    )
