"""What a round takes over a pool of processes, against one process: printed to be read, never a pass or a fail.

python run.py bench pool [owners] [rows]    2,000 owners of 50 rows by default: nobody, 1 and 2 workers, turn by turn

Rounds of all ways take turns, so that other work on this machine slows all of them; figures are medians. Processor
seconds are those of this process, which cannot be handed out, and of the busiest worker: on cores that nobody else uses
a round takes about as long as both together.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from contextlib import ExitStack
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import pandas as pd

import fedlab_nb as fl
from fedlab_nb.pool import Pool

COLUMNS, TURNS = 30, 6
STRATEGIES = {
    "FedAvg, mlp (16 hidden)": fl.FedAvg(fl.models.mlp()),
    "FedAvg, mlp (256 hidden), 10 local epochs": fl.FedAvg(fl.models.mlp(hidden=(256,)), local_epochs=10),
    "SCAFFOLD, mlp (16 hidden)": fl.SCAFFOLD(fl.models.mlp()),
}


def say(line: str) -> None:
    """One line, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def owners_of(owners: int, rows: int) -> list[fl.DataOwner]:
    """Invented owners; all is declared, so that nothing is asked before the first round but moments."""
    rng = np.random.default_rng(0)
    names = [f"x{i}" for i in range(COLUMNS)]
    bounds, categories = dict.fromkeys(names, (-4.0, 4.0)), {"ill": ["no", "yes"]}
    made = []
    for i in range(owners):
        x = rng.normal(size=(rows, COLUMNS))
        ill = np.where(x[:, :5].sum(1) + rng.normal(0, 0.5, rows) > 0, "yes", "no")
        frame = pd.DataFrame(x, columns=names).assign(ill=ill)
        made.append(fl.DataOwner(f"Phone {i}", frame, target="ill", bounds=bounds, categories=categories))
    return made


def main(owners: int = 2000, rows: int = 50) -> None:
    """Print a table for each strategy."""
    made = owners_of(owners, rows)
    cores = len(os.sched_getaffinity(0))
    say(f"{owners:,} owners of {rows} rows, {COLUMNS} columns, {cores} cores; {TURNS} rounds each")
    with ExitStack() as stack:
        pools = {workers: opened(stack, workers) for workers in (1, 2)}
        for title, strategy in STRATEGIES.items():
            compare(title, strategy, made, pools)


def opened(stack: ExitStack, workers: int) -> Pool:
    """A pool that ends with ``stack``."""
    began = time.perf_counter()
    pool = stack.enter_context(Pool(workers))
    say(f"a pool of {workers}: {time.perf_counter() - began:.1f} s to begin")
    return pool


def compare(title: str, strategy: fl.FedAvg, made: list[fl.DataOwner], pools: dict[int, Pool]) -> None:
    """One strategy, all ways, turn by turn."""
    began = time.perf_counter()
    federations = {0: fl.Federation(made)}
    for workers, pool in pools.items():
        federations[workers] = pool.federation(made)
    handed = time.perf_counter() - began
    runs = {w: fl.rounds(federation, strategy, num_rounds=TURNS + 1) for w, federation in federations.items()}
    took: dict[int, list[tuple[float, float, float]]] = {w: [] for w in runs}
    bits = {}
    for _ in range(TURNS + 1):
        for w, run in runs.items():
            at_workers = spent(pools.get(w))
            began, mine = time.perf_counter(), time.process_time()
            record = next(run)
            now = time.perf_counter() - began, time.process_time() - mine
            busiest = max((after - at_workers[name] for name, after in spent(pools.get(w)).items()), default=0.0)
            took[w].append((*now, busiest))
            bits[w] = record.state.weights["server"].tobytes(), repr(record.metrics)
    say(f"\n{title}; rows handed out in {handed:.1f} s; equal bits: {len(set(bits.values())) == 1}")
    columns = (
        "workers",
        "s a round",
        "times none",
        "CPU s here",
        "CPU s at busiest",
        "both, times none",
        "first round",
    )
    say("  ".join(columns))
    middle = {w: [statistics.median(part) for part in zip(*took[w][1:], strict=True)] for w in runs}
    wall, cpu = middle[0][0], middle[0][1]
    for w, (seconds, here, there) in middle.items():
        numbers = seconds, seconds / wall, here, there, (here + there) / cpu, took[w][0][0]
        cells = zip(columns, (f"{w or 'none'}", *(f"{number:.3f}" for number in numbers)), strict=True)
        say("  ".join(f"{cell:>{len(column)}}" for column, cell in cells))


def spent(pool: Pool | None) -> dict[str, float]:
    """Processor seconds of each worker so far."""
    return pool._client.run(time.process_time) if pool is not None else {}


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
