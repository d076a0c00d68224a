"""What a tree over two owners costs, how good thirty are on held-out rows: printed to be read, never a pass or a fail.

python run.py bench vertical_trees [rounds] [breast|credit]

The tables are FATE's, from the folder in FEDLAB_FATE_DATA (default: shared/data/fate beside the repository); the breast
table comes with the package as well. On a busy machine read the CPU seconds, which no other process adds to directly.
"""

from __future__ import annotations

import os
import resource
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import pandas as pd

import fedlab_nb as fl
from fedlab_nb.vertical.secureboost import SecureBoost

FOLDER = Path(os.environ.get("FEDLAB_FATE_DATA", Path(__file__).resolve().parents[3] / "shared/data/fate"))
NOTE = """Wall and CPU: the middle tree of all, seconds; first: with keys and what is encoded once. By stage: CPU is not
told apart there, so wall seconds. To reach on a quiet machine with two cores: credit 4 s a tree, AUC .778, under 2 GiB
(FATE on record: 43.8 s and 9.93 GiB on 20 virtual cores); breast 1 s a tree (FATE on record: about 12 s).
"""


def main(rounds: int = 30, only: str = "") -> None:
    _say(f"{'table':<8}{'rows':>8}{'columns':>9}{'first':>8}{'wall':>7}{'CPU':>7}{'seal':>7}{'multiply':>9}{'open':>7}"
          f"{'MB a tree':>11}{'AUC':>8}{'peak GiB':>10}")  # fmt: skip
    for name in ("breast", "credit"):
        if only in ("", name):
            _row(name, rounds)
    _say(f"\nload of the machine: {os.getloadavg()[0]:.1f}\n{NOTE}")


def _row(name: str, rounds: int) -> None:
    fed = fl.Federation(_owners(name), encrypt=fl.CKKS("deep"))
    fl.vertical.align(fed, progress=lambda _: None)
    run, walls, busy, records = fl.rounds(fed, SecureBoost("bank"), num_rounds=rounds), [], [], []
    for _ in range(rounds):
        wall, cpu = time.perf_counter(), time.process_time()
        records.append(next(run))
        walls.append(time.perf_counter() - wall)
        busy.append(time.process_time() - cpu)
        if records[-1].failed is not None:
            raise SystemExit(str(records[-1].failed.error))
    seconds = records[-1].seconds
    stages = (seconds.get(stage, 0.0) for stage in ("encrypt", "multiply", "decrypt"))
    sent = statistics.median(sum(t.nbytes for t in record.traffic.values()) for record in records[1:] or records) / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    setup = records[-1].state.context
    columns = "+".join(str(len(owner.schema.features)) for owner in fed.owners)
    _say(
        f"{name:<8}{setup.rows:>8,}{columns:>9}{walls[0]:>8.2f}{statistics.median(walls):>7.2f}"
        f"{statistics.median(busy):>7.2f}" + "".join(f"{s:>{w}.2f}" for s, w in zip(stages, (7, 9, 7), strict=True))
        + f"{sent:>11.1f}{records[-1].metrics['auc']:>8.4f}{peak:>10.2f}",
    )  # fmt: skip


def _owners(name: str) -> list[fl.DataOwner]:
    """The two owners of a table, the second with its rows in another order."""
    stem = {"breast": "breast_hetero", "credit": "default_credit_hetero"}[name]
    tables = [pd.read_csv(FOLDER / f"{stem}_{side}.csv") for side in ("guest", "host")]
    tables = [
        table.rename(columns={column: f"{owner} {column}" for column in table if column.startswith("x")})
        for owner, table in zip(("bank", "shop"), tables, strict=True)
    ]
    labelled = tables[0].assign(y=tables[0]["y"].map({0: "no", 1: "yes"}))
    shuffled = tables[1].sample(frac=1.0, random_state=0)
    return [fl.DataOwner("bank", labelled, id="id", target="y"), fl.DataOwner("shop", shuffled, id="id")]


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 30, sys.argv[2] if len(sys.argv) > 2 else "")
