"""What hiding single updates in a sum costs, beside NVFLARE's way: printed to be read, never a pass or a fail.

python run.py bench encryption [parameters] [repeats]

Contenders run by turns and the least of several runs counts, so that a busy machine slows all alike: compare the
ratios, not the seconds.
"""

from __future__ import annotations

import gc
import os
import statistics
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import pandas as pd
import tenseal

import fedlab_nb as fl
from fedlab_nb.channel import open_channel
from fedlab_nb.crypto import BFV, CKKS, SecAgg
from fedlab_nb.ledger import Ledger

OWNERS = 10
NAMES = tuple(f"Owner {number}" for number in range(1, OWNERS + 1))
# Weights of LeNet-5, tensor by tensor: NVFLARE's way pays for every tensor that does not fill its ciphertexts.
LENET = (150, 6, 2400, 16, 48_000, 120, 10_080, 84, 840, 10)
REFERENCE, REFERENCE_SECONDS = "NVFLARE style, LeNet's layers", 9.5
NOTE = """B up: bytes a parameter of one owner's update, with its envelope (brackets: and the context NVFLARE attaches).
B in all: all messages of the sum, by owner; the new model, which ours sends in the clear (4 bytes), not among them.
CPU s: of all threads, keys and ledger included, for a million parameters. Ratio: to the first row, in this run.
"""

# What is to be reached: bytes a parameter of an update, CPU seconds a million parameters.
SCHEMES = {
    CKKS(): (32.1, None),
    CKKS(complex_slots=True): (16.0, 3.5),
    CKKS("compact", complex_slots=True): (12.0, None),
    CKKS("deep"): (None, None),
    BFV(): (8.0, 1.5),
    SecAgg(): (None, None),
    CKKS(keys="threshold"): (None, 7 + 0.4 * OWNERS),
    CKKS(keys="threshold", complex_slots=True): (None, 7 + 0.4 * OWNERS),
}
IN_ROUNDS = (None, CKKS(), CKKS(complex_slots=True), BFV(), SecAgg(), CKKS(keys="threshold", complex_slots=True))
ROUNDS, ROWS, COLUMNS, HIDDEN, TICK = 8, 2_000, 20, (305, 305), 0.005


class Cost(NamedTuple):
    """Of one sum: CPU seconds by stage a million parameters; bytes a parameter, as NOTE says."""

    stages: Counter[str]
    up: float
    in_all: float
    with_context: float | None = None

    @property
    def seconds(self):
        return sum(self.stages.values())


class Stopwatch:
    """CPU seconds by stage; what an inner stage takes counts there alone."""

    def __init__(self):
        self.seconds: Counter[str] = Counter()
        self._running, self._since = ["other"], time.process_time()

    @property
    def stage(self):
        return self._running[-1]

    @contextmanager
    def on(self, stage):
        self._turn()
        self._running.append(stage)
        try:
            yield
        finally:
            self._turn()
            self._running.pop()

    def a_million(self, parameters):
        return Counter({stage: 1e6 / parameters * seconds for stage, seconds in self.seconds.items()})

    def _turn(self):
        now = time.process_time()
        self.seconds[self.stage] += now - self._since
        self._since = now


class TimedLedger(Ledger):
    """A ledger whose stages are CPU seconds, with its own work apart."""

    def __init__(self):
        super().__init__()
        self.watch = Stopwatch()

    def stage(self, name):
        return self.watch.on(name)

    def post(self, *crossing):
        with self.watch.on("ledger"):
            return super().post(*crossing)


def vectors_of(parameters):
    """Every owner's numbers, within the bound of one."""
    source = np.random.default_rng(0)
    return {name: source.uniform(-1.0, 1.0, parameters) for name in NAMES}


def ours(scheme, vectors):
    """One sum through the channel, with everything that belongs to it: keys, envelopes, tags, ledger."""
    ledger, plan = TimedLedger(), scheme.plan(bound=1.0, owners=OWNERS)
    summed = open_channel(scheme, NAMES, ledger, 1).sum("update", vectors, plan, 1)
    stages = ledger.watch.a_million(summed.size)
    if not np.array_equal(summed, np.sum([plan.grid(vector) for vector in vectors.values()], axis=0)):
        raise AssertionError(f"{scheme.name} did not give the sum")
    traffic, share = ledger.traffic(), OWNERS * summed.size
    return Cost(stages, traffic["update"].nbytes / share, sum(kind.nbytes for kind in traffic.values()) / share)


def nvflare(sizes, vectors):
    """The same sum as NVFLARE has TenSEAL do it: one vector a tensor, one secret key that all owners share."""
    vectors, ends = [vector[: sum(sizes)] for vector in vectors.values()], np.cumsum(sizes)[:-1]
    watch, kind = Stopwatch(), tenseal.ENCRYPTION_TYPE.SYMMETRIC
    with watch.on("keys"):
        context = tenseal.context(
            tenseal.SCHEME_TYPE.CKKS, 8192, coeff_mod_bit_sizes=[60, 40, 40], encryption_type=kind
        )
        context.global_scale = 2**40
        attached = context.serialize()
        keyless = tenseal.context_from(context.serialize(save_secret_key=False))
    with watch.on("encrypt"):
        updates = [[tenseal.ckks_vector(context, part).serialize() for part in np.split(v, ends)] for v in vectors]
    with watch.on("add"):
        summed = [tenseal.ckks_vector_from(keyless, part) for part in updates[0]]
        for update in updates[1:]:
            for total, part in zip(summed, update, strict=True):
                total.add_(tenseal.ckks_vector_from(keyless, part))
        sent = [part.serialize() for part in summed]
    with watch.on("decrypt"):
        opened = np.concatenate([tenseal.ckks_vector_from(context, part).decrypt() for part in sent])
    stages, parameters = watch.a_million(opened.size), opened.size
    if np.abs(opened - np.sum(vectors, axis=0)).max() > 1e-6:
        raise AssertionError("NVFLARE's way did not give the sum")
    up, down, contexts = sum(map(len, updates[0])), sum(map(len, sent)), len(sizes) * len(attached)
    return Cost(stages, up / parameters, (up + down + 2 * contexts) / parameters, (up + contexts) / parameters)


def sums(parameters, repeats):
    """The table of all contenders, by turns."""
    copies, nothing_said = max(1, parameters // sum(LENET)), (None, None)
    racers = {REFERENCE: (nvflare, LENET * copies, nothing_said)}
    racers["NVFLARE style, ten large layers"] = nvflare, [size * copies for size in LENET], nothing_said
    racers |= {scheme.name: (ours, scheme, targets) for scheme, targets in SCHEMES.items()}
    vectors, costs = vectors_of(max(parameters, sum(LENET))), {name: [] for name in racers}
    for _ in range(repeats):
        for name, (race, what, _) in racers.items():
            gc.collect()
            costs[name].append(race(what, vectors))
    best = {name: min(found, key=lambda cost: cost.seconds) for name, found in costs.items()}
    yield "a sum", "B up", "to reach", "B in all", "CPU s", "to reach", "ratio", "to reach", "CPU s of which"
    for name, cost in best.items():
        nbytes, seconds = racers[name][2]
        yield (
            name,
            _number(cost.up, 1) + (f" ({cost.with_context:.0f})" if cost.with_context else ""),
            _number(nbytes, 1),
            _number(cost.in_all, 1),
            _number(cost.seconds, 2),
            _number(seconds, 1),
            _number(cost.seconds / best[REFERENCE].seconds, 2),
            _number(seconds and seconds / REFERENCE_SECONDS, 2),
            _split(cost.stages),
        )


def _number(value, digits):
    return "" if value is None else f"{value:.{digits}f}"


def _split(stages):
    return ", ".join(f"{stage} {seconds:.2f}" for stage, seconds in stages.most_common() if seconds >= 0.005)


def _name(scheme):
    return scheme.name if scheme else "in the clear"


def training(scheme):
    """Rounds of a network of about 100,000 weights, one local epoch, ten owners of two thousand rows each."""
    source = np.random.default_rng(0)
    table = pd.DataFrame(source.normal(size=(OWNERS * ROWS, COLUMNS)).round(4)).add_prefix("x")
    table["y"] = np.where(table.sum(axis=1) + source.normal(size=len(table)) > 0, "yes", "no")
    federation = fl.Federation(fl.split_rows(table, owners=OWNERS), encrypt=scheme)
    return fl.rounds(federation, fl.FedAvg(fl.models.mlp(HIDDEN), local_epochs=1), num_rounds=ROUNDS)


def timed(rounds):
    """The next round, its CPU seconds and its seconds."""
    cpu, wall = time.process_time(), time.perf_counter()
    record = next(rounds)
    if record.failed is not None:
        raise record.failed.error
    return record, time.process_time() - cpu, time.perf_counter() - wall


def whole_rounds():
    """The table of rounds with and without encryption, by turns; the first of each, which makes keys, is left out."""
    running, found = {scheme: training(scheme) for scheme in IN_ROUNDS}, {scheme: [] for scheme in IN_ROUNDS}
    for _ in range(ROUNDS):
        for scheme, rounds in running.items():
            found[scheme].append(timed(rounds))
    weights = found[None][0][0].state.weights["server"].size
    yield f"a round, {weights:,} weights", "CPU s", "ratio", "to reach", "seconds", "ratio", "seconds of which"
    medians = {s: [statistics.median(taken[i] for taken in found[s][1:]) for i in (1, 2)] for s in IN_ROUNDS}
    for scheme, (cpu, wall) in medians.items():
        typical = sorted(found[scheme][1:], key=lambda taken: taken[2])[ROUNDS // 2 - 1][0]
        yield (
            _name(scheme),
            _number(cpu, 3),
            _number(cpu / medians[None][0], 2),
            "2.00" if scheme else "",
            _number(wall, 3),
            _number(wall / medians[None][1], 2),
            _split(Counter(typical.seconds)),
        )


def tick(watch, gaps, over):
    """Wake every 5 ms, as a kernel that answers clicks, and note how long that took, and in which stage."""
    before = time.perf_counter()
    while not over.is_set():
        time.sleep(TICK)
        now = time.perf_counter()
        gaps.append((now - before, watch.stage))
        before = now


def watched(scheme, vectors):
    """The gaps of a ticker, the longest last, while a channel sums in a thread of its own, as in a notebook."""
    ledger, gaps, over = TimedLedger(), [], threading.Event()
    channel, plan = open_channel(scheme, NAMES, ledger, 1), (scheme or CKKS()).plan(bound=1.0, owners=OWNERS)
    gc.collect()
    with ThreadPoolExecutor(2) as pool:
        pool.submit(tick, ledger.watch, gaps, over)
        try:
            pool.submit(channel.sum, "update", vectors, plan, 1).result()
        finally:
            over.set()
    return sorted(gaps)


def answers(parameters, repeats):
    """The table of how long a click waits: the best of several runs, as a stall of ours would come back in each."""
    vectors = vectors_of(parameters)
    yield "meanwhile, a tick every 5 ms", "longest ms", "to reach", "99 % ms", "ticks", "longest in"
    for scheme in (None, *SCHEMES):
        gaps = min((watched(scheme, vectors) for _ in range(repeats)), key=lambda found: found[-1])
        (longest, stage), (most, _) = gaps[-1], gaps[int(0.99 * (len(gaps) - 1))]
        yield _name(scheme), _number(1e3 * longest, 0), "50", _number(1e3 * most, 0), str(len(gaps)), stage


def show(rows, out):
    """Print a table: first and last column to the left, numbers to the right."""
    table = list(rows)
    first, *widths, _ = (max(map(len, column)) for column in zip(*table, strict=True))
    for name, *cells, last in table:
        middle = map(str.rjust, cells, widths)
        out.write("  ".join((name.ljust(first), *middle, last)).rstrip() + "\n")
    out.write("\n")


def main(parameters: int = 1_000_000, repeats: int = 3) -> None:
    """Print the three tables."""
    # TenSEAL prints a warning about every vector of several ciphertexts, past Python: so that goes nowhere.
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    out.write(f"{OWNERS} owners, {parameters:,} parameters, {repeats} runs by turns, {os.cpu_count()} cores.\n{NOTE}\n")
    show(sums(parameters, repeats), out)
    show(whole_rounds(), out)
    show(answers(parameters, repeats), out)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]))
