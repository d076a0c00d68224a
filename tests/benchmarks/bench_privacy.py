"""What differential privacy costs in accuracy and in time: printed to be read, never a pass or a fail.

python run.py bench privacy [seeds] [rounds]

Accuracy is measured in rehearsals, whose noise can be repeated; it is as much noise as a run that protects somebody
has. Times are medians of contenders that run by turns: compare the ratios, not the milliseconds.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import pandas as pd
from sklearn.datasets import load_digits

import fedlab_nb as fl
from fedlab_nb.protect.exact import discrete_gaussian, exact_source
from fedlab_nb.protect.noise import noise_source

OWNERS, BUDGET, ROUNDS = 10, fl.Budget(1.0, 1e-4), 20
TO_REACH, MOST_TIMES = 0.86, 3.0
ALL_ROWS = 10**6
PIXELS, DIGITS = [f"p{i}" for i in range(64)], [str(digit) for digit in range(10)]

# How noise is added, the row-level mechanism (None: no privacy), and how the sum is hidden.
WAYS = {
    "no privacy": (None, None),
    "shares of the noise, sealed sum": (fl.RowLevelDP(), fl.CKKS()),
    "shares, any 3 owners may collude": (fl.RowLevelDP(colluding=3), fl.CKKS()),
    "shares, a fifth of the rows a round": (fl.RowLevelDP(row_rate=0.2), fl.CKKS()),
    "each owner adds all of the noise": (fl.RowLevelDP(), None),
}


def digits():
    """8 x 8 pictures of handwritten digits; the range of a pixel and the ten digits are no secret."""
    X, y = load_digits(return_X_y=True)
    frame = pd.DataFrame(X, columns=PIXELS).assign(digit=y.astype(str))
    return frame, {"target": "digit", "bounds": dict.fromkeys(PIXELS, (0, 16)), "categories": {"digit": DIGITS}}


def tumours():
    """The breast-cancer table, with the ranges of its columns declared."""
    frame = fl.data.breast_cancer()
    frame["diagnosis"] = frame["diagnosis"].astype(str)
    bounds = {name: (float(frame[name].min()), float(frame[name].max())) for name in frame.columns[:-1]}
    return frame, {"target": "diagnosis", "bounds": bounds, "categories": {"diagnosis": ["benign", "malignant"]}}


def owners_of(frame, rows, declared):
    """Ten owners who hold these rows between them, none of them held out."""
    parts = np.array_split(rows, OWNERS)
    return [
        fl.DataOwner(f"Owner {i}", frame.iloc[part].reset_index(drop=True), held_out=0.0, **declared)
        for i, part in enumerate(parts, 1)
    ]


def accuracy(seed, protect, encrypt):
    """Of a run with the usual settings, on a fifth of the pictures that no owner has; and the noise multiplier."""
    frame, declared = digits()
    order = np.random.default_rng(seed).permutation(len(frame))
    kept = len(frame) // 5
    settings = {"protect": protect, "budget": BUDGET, "noise_seed": seed} if protect else {}
    federation = fl.Federation(owners_of(frame, order[kept:], declared), encrypt=encrypt, **settings)
    strategy = fl.FedAvg(
        fl.models.logistic(), **({} if protect else {"lr": 2.0, "local_epochs": 1, "batch_size": ALL_ROWS})
    )
    *_, last = fl.rounds(federation, strategy, num_rounds=ROUNDS, seed=seed)
    if last.failed is not None:
        raise last.failed.error
    found = strategy.model_of(last.state).evaluate(frame.iloc[order[:kept]])["accuracy"]
    return found, last.settings.get("noise_multiplier")


def accuracies(seeds):
    """The table of accuracy at one epsilon."""
    yield f"digits, {ROUNDS} rounds", "accuracy", "worst", "best", "to reach", "noise multiplier"
    for name, (protect, encrypt) in WAYS.items():
        found = [accuracy(seed, protect, encrypt) for seed in range(1, seeds + 1)]
        scores, noise = [score for score, _ in found], found[0][1]
        to_reach = f"{TO_REACH:.2f}" if protect == fl.RowLevelDP() and encrypt else ""
        numbers = (f"{value:.3f}" for value in (statistics.mean(scores), min(scores), max(scores)))
        yield name, *numbers, to_reach, f"{noise:.2f}" if noise else ""


def contenders(make, encrypt):
    """Endless rounds of one workload under each mechanism; each has owners of its own."""
    one_step = {"local_epochs": 1, "batch_size": ALL_ROWS}
    ways = {
        "plain, 2 epochs in batches of 16": (None, {}),
        "plain, one step on all rows": (None, one_step),
        "row level": (fl.RowLevelDP(noise_multiplier=20.0), {}),
        "row level, a fifth of the rows": (fl.RowLevelDP(noise_multiplier=20.0, row_rate=0.2), {}),
        "row level, exact noise": (fl.RowLevelDP(noise_multiplier=20.0, exact_noise=True), {}),
        "owner level": (fl.OwnerLevelDP(noise_multiplier=20.0), {}),
    }
    frame, declared = make()
    for seed, (name, (protect, settings)) in enumerate(ways.items()):
        rows = np.random.default_rng(seed).permutation(len(frame))
        federation = fl.Federation(owners_of(frame, rows, declared), protect=protect, encrypt=encrypt)
        strategy = fl.FedAvg(fl.models.logistic(), **settings)
        yield name, fl.rounds(federation, strategy, num_rounds=10**6)


def timed(rounds):
    """Milliseconds of the next round."""
    began = time.perf_counter()
    record = next(rounds)
    if record.failed is not None:
        raise record.failed.error
    return 1e3 * (time.perf_counter() - began)


def speeds(repeats):
    """The table of rounds, by turns; the first of each, which agrees on how columns are read, is left out."""
    yield "a round of ten owners", "workload", "ms", "ratio", "to reach", "ratio to one plain step"
    for encrypt in (None, fl.CKKS()):
        for workload, make in (("digits", digits), ("tumours", tumours)):
            racers = dict(contenders(make, encrypt))
            taken = {name: [] for name in racers}
            for _ in range(repeats + 1):
                for name, rounds in racers.items():
                    taken[name].append(timed(rounds))
            medians = {name: statistics.median(times[1:]) for name, times in taken.items()}
            plain, one_step, *_ = medians.values()
            for name, ms in medians.items():
                to_reach = f"< {MOST_TIMES:.0f}" if name.startswith("row level") and "exact" not in name else ""
                where = f"{workload}, {'encrypted' if encrypt else 'in the clear'}"
                yield name, where, f"{ms:.1f}", f"{ms / plain:.2f}", to_reach, f"{ms / one_step:.2f}"


def exact_noise(draws=20_000):
    """The table of what noise in whole steps costs, one core, from the operating system's entropy."""
    yield "noise, by standard deviation in steps", "µs a number", "digits, 650", "tumours, 31", "100,000 weights: s"
    began = time.process_time()
    noise_source(None).normal(size=50 * draws)
    yield _cost("floating point", (time.process_time() - began) / 50 / draws)
    for name, sd in (("exact, 4", 4), ("exact, a thousand", 1000), ("exact, 2^30 (CKKS at deviation 1)", 2**30)):
        began = time.process_time()
        discrete_gaussian(draws, sd, exact_source(None))
        yield _cost(name, (time.process_time() - began) / draws)


def _cost(name, seconds):
    return name, f"{1e6 * seconds:.3f}", f"{650e3 * seconds:.2f} ms", f"{31e3 * seconds:.2f} ms", f"{1e5 * seconds:.3f}"


def show(rows):
    """Print a table: first column to the left, the others to the right."""
    table = list(rows)
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for name, *cells in table:
        sys.stdout.write("  ".join((name.ljust(widths[0]), *map(str.rjust, cells, widths[1:]))).rstrip() + "\n")
    sys.stdout.flush()
    sys.stdout.write("\n")


def main(seeds: int = 5, repeats: int = 15) -> None:
    """Print the three tables."""
    cores, epsilon, delta = os.cpu_count(), BUDGET.epsilon, BUDGET.delta
    sys.stdout.write(f"{OWNERS} owners, row-level epsilon {epsilon:g}, delta {delta:g}, {cores} cores.\n\n")
    show(exact_noise())
    show(speeds(repeats))
    show(accuracies(seeds))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]))
