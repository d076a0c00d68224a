"""What local training and whole rounds cost: one thread, processor time, one process, by turns. For a person to read.

python run.py bench engine
"""

import copy
import resource
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import fedlab_nb as fl
from fedlab_nb.learn.engine import SGD, Engine, Job, Sequential, Stacked, plan
from fedlab_nb.learn.engine.flat import flat_weights
from fedlab_nb.protect import gaussian_share, noise_source

LR = 0.1


@dataclass(frozen=True)
class Workload:
    """Owners' rows (digits of random numbers: only sizes matter here), a model, and how it is trained."""

    name: str
    sizes: tuple[int, ...]
    inputs: int
    classes: int
    batch: int
    epochs: int
    build: Callable[[], nn.Module]

    def rows(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Each owner's features and classes."""
        rng = np.random.default_rng(0)
        return [
            (rng.normal(size=(n, self.inputs)).astype(np.float32), rng.integers(0, self.classes, n)) for n in self.sizes
        ]


def mlp(*widths: int) -> nn.Module:
    """Fully connected, with ReLU between."""
    layers = [part for a, b in pairwise(widths) for part in (nn.Linear(a, b), nn.ReLU())]
    return nn.Sequential(*layers[:-1])


def cnn() -> nn.Module:
    """Two convolutions for images of 8 x 8, 6,090 weights."""
    first = [nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    then = [nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(128, 10)]
    return nn.Sequential(*first, *then)


# As many rows and local steps as in the workloads that the goals were set for: 18, 324, 324 and 300 steps a round.
FEW = (30, 32, 36, 40, 45, 50, 55, 60, 62, 64)
MANY = tuple(int(n) for n in np.linspace(2, 34, 100).round())

WORKLOADS = [
    Workload("A-mlp", FEW, 30, 2, 32, 1, partial(mlp, 30, 64, 2)),
    Workload("B-mlp", MANY, 64, 10, 16, 2, partial(mlp, 64, 128, 10)),
    Workload("B-cnn", MANY, 64, 10, 16, 2, cnn),
    Workload("C-mlp", (60,) * 100, 784, 10, 20, 1, partial(mlp, 784, 200, 10)),
]


def careful(load: Workload, rows: list[tuple[np.ndarray, np.ndarray]]) -> Callable[[], None]:
    """One model, weights put in place, gradients without an optimiser; orders of rows are ready before the clock."""
    module, mean = load.build(), None
    tensors = list(module.parameters())
    start = [t.detach().clone() for t in tensors]
    data = [(torch.from_numpy(X), torch.from_numpy(y)) for X, y in rows]
    orders = [
        [torch.from_numpy(plan.orders([(0, 1, i)], epoch, [len(X)])[0]) for epoch in range(load.epochs)]
        for i, (X, _) in enumerate(rows)
    ]
    total = sum(load.sizes)

    def one_round() -> None:
        nonlocal mean
        mean = [torch.zeros_like(t) for t in start]
        for (X, y), epochs in zip(data, orders, strict=True):
            with torch.no_grad():
                torch._foreach_copy_(tensors, start)
            for order in epochs:
                for first in range(0, len(X), load.batch):
                    batch = order[first : first + load.batch]
                    loss = nn.functional.cross_entropy(module(X[batch]), y[batch])
                    gradients = torch.autograd.grad(loss, tensors)
                    with torch.no_grad():
                        torch._foreach_add_(tensors, gradients, alpha=-LR)
            with torch.no_grad():
                torch._foreach_add_(mean, tensors, alpha=len(X) / total)

    return one_round


def tutorial(load: Workload, rows: list[tuple[np.ndarray, np.ndarray]]) -> Callable[[], None]:
    """As tutorials write it: a copy of the model, a loader and an optimiser an owner, averages of state dicts."""
    module = load.build()
    loaders = [
        DataLoader(TensorDataset(torch.from_numpy(X), torch.from_numpy(y)), batch_size=load.batch, shuffle=True)
        for X, y in rows
    ]

    def one_round() -> None:
        states = []
        for loader in loaders:
            local = copy.deepcopy(module)
            optimiser = torch.optim.SGD(local.parameters(), lr=LR)
            for _ in range(load.epochs):
                for X, y in loader:
                    optimiser.zero_grad()
                    nn.functional.cross_entropy(local(X), y).backward()
                    optimiser.step()
            states.append(local.state_dict())
        total = sum(load.sizes)
        mean = {name: sum(s[name] * (n / total) for s, n in zip(states, load.sizes, strict=True)) for name in states[0]}
        copy.deepcopy(module).load_state_dict(mean)

    return one_round


def centralised(load: Workload, rows: list[tuple[np.ndarray, np.ndarray]]) -> Callable[[], None]:
    """The same rows in one place, in batches of 512."""
    pooled = Workload(load.name, (sum(load.sizes),), load.inputs, load.classes, 512, load.epochs, load.build)
    X, y = (np.concatenate([owner[i] for owner in rows]) for i in (0, 1))
    return careful(pooled, [(X, y)])


def ours(load: Workload, rows: list[tuple[np.ndarray, np.ndarray]], engine: type) -> Callable[[], None]:
    """One of the package's executors, orders of rows and mean of weights included."""
    module = load.build()
    start, executor, total = flat_weights(module), engine(module, "multiclass"), sum(load.sizes)
    numbers = iter(range(1, 1_000_000))

    def one_round() -> None:
        number, mean = next(numbers), torch.zeros(start.size, dtype=torch.float64)
        jobs = [Job((0, number, i), X, y, start) for i, (X, y) in enumerate(rows)]
        done = executor.run(jobs, SGD(LR), epochs=load.epochs, batch_size=load.batch)
        for job, trained in zip(jobs, done, strict=True):
            mean.add_(torch.from_numpy(trained.weights), alpha=len(job) / total)

    return one_round


def milliseconds(ways: dict[str, Callable[[], None]], repeats: int) -> dict[str, float]:
    """The least processor time of each, by turns."""
    best = dict.fromkeys(ways, float("inf"))
    for repeat in range(repeats + 1):
        for name, way in ways.items():
            began = time.process_time()
            way()
            if repeat:
                best[name] = min(best[name], 1e3 * (time.process_time() - began))
    return best


def table(loads: list[Workload], repeats: int) -> Iterator[str]:
    """Lines of the first table."""
    heads = ["tutorial", "careful", "sequential", "stacked", "batch 512"]
    yield f"{'ms a round':<10}" + "".join(f"{h:>12}" for h in heads) + f"{'careful/stacked':>18}{'stacked/512':>14}"
    for load in loads:
        rows = load.rows()
        ways = {
            "tutorial": tutorial(load, rows),
            "careful": careful(load, rows),
            "sequential": ours(load, rows, Sequential),
            "stacked": ours(load, rows, Stacked),
            "batch 512": centralised(load, rows),
        }
        taken = milliseconds(ways, repeats)
        ratio, over = taken["careful"] / taken["stacked"], taken["stacked"] / taken["batch 512"]
        yield f"{load.name:<10}" + "".join(f"{taken[h]:>12.2f}" for h in heads) + f"{ratio:>17.2f}x{over:>13.2f}x"


def federation_of(load: Workload) -> tuple[fl.Federation, Workload]:
    """Owners with a quarter of rows more, about so many of which are held out; and the workload of what is trained."""
    rng, names = np.random.default_rng(0), [f"x{i}" for i in range(load.inputs)]
    declared = {
        "bounds": dict.fromkeys(names, (-6.0, 6.0)),
        "categories": {"y": [f"class {c}" for c in range(load.classes)]},
    }
    owners = []
    for i, n in enumerate(round(1.25 * size) for size in load.sizes):
        frame = pd.DataFrame(rng.normal(size=(n, load.inputs)), columns=names)
        frame["y"] = [f"class {c}" for c in rng.integers(0, load.classes, n)]
        owners.append(fl.DataOwner(f"{load.name} {i}", frame, target="y", held_out=0.2, **declared))
    trained = [o._inside(lambda rows: len(rows.training[1]), stage="bench") for o in owners]
    return fl.Federation(owners), replace(load, sizes=tuple(trained))


def whole(load: Workload, repeats: int) -> str:
    """A round with ledger, journal, scores and record beside the training alone, by the careful loop and by ours."""
    federation, real = federation_of(load)
    made = load.build()
    strategy = fl.FedAvg(lambda *_: copy.deepcopy(made), lr=LR, local_epochs=load.epochs, batch_size=load.batch)
    if load.classes == 2:  # two classes have one output
        strategy = replace(strategy, model=fl.models.mlp(64))
    history = fl.rounds(federation, strategy, num_rounds=1_000_000)
    rows = real.rows()
    ways = {
        "careful": careful(real, rows),
        "stacked": ours(real, rows, Stacked),
        "round": lambda: next(history) and None,
    }
    taken = milliseconds(ways, repeats)
    ratio = taken["careful"] / taken["round"]
    return f"{load.name:<10}" + "".join(f"{taken[name]:>12.2f}" for name in ways) + f"{ratio:>17.2f}x"


def private(load: Workload, rows: list[tuple[np.ndarray, np.ndarray]], repeats: int) -> str:
    """One step on all rows of each owner: plain, with every row's gradient clipped, and with each owner's noise too."""
    module = load.build()
    start, stacked = flat_weights(module), Stacked(module, "multiclass")
    jobs = [Job((0, 1, i), X, y, start) for i, (X, y) in enumerate(rows)]

    def noised(total: np.ndarray) -> np.ndarray:
        return total + gaussian_share(noise_source(None), total.size, 1.0, len(jobs))

    def drained(results: Callable[[], Iterator[object]]) -> Callable[[], None]:
        return lambda: deque(results(), maxlen=0) and None

    ways = {
        "plain": drained(lambda: stacked.run(jobs, SGD(LR), epochs=1, batch_size=None)),
        "clipped": drained(lambda: stacked.clipped(jobs, 1.0)),
        "noised": drained(lambda: map(noised, stacked.clipped(jobs, 1.0))),
    }
    taken = milliseconds(ways, repeats)
    ratios = "".join(f"{taken[name] / taken['plain']:>11.2f}x" for name in ("clipped", "noised"))
    return f"{load.name:<10}" + "".join(f"{taken[name]:>12.2f}" for name in ways) + ratios


def first_round(load: Workload, rows: list[tuple[np.ndarray, np.ndarray]], repeats: int) -> str:
    """How much longer the first round of a new engine takes, with its trial, than the later ones."""
    module, firsts, later = load.build(), [], []
    start = flat_weights(module)
    for _ in range(repeats):
        engine = Engine(module, "multiclass")
        for times in (firsts, later):
            jobs = [Job((0, 1, i), X, y, start) for i, (X, y) in enumerate(rows)]
            began = time.process_time()
            deque(engine.run(jobs, SGD(LR), epochs=load.epochs, batch_size=load.batch), maxlen=0)
            times.append(1e3 * (time.process_time() - began))
    how = f"{engine.card.name}, {engine.card.faster or 0:.1f}x in its trial"
    return f"{load.name:<10}{min(firsts):>12.2f}{min(later):>12.2f}   {how}"


def crowd_of(owners: int) -> Workload:
    """Many owners of 50 rows."""
    return Workload("crowd", (50,) * owners, 30, 2, 32, 1, partial(mlp, 30, 64, 2))


def crowd(owners: int) -> Iterator[str]:
    """Many owners: a round's training, its plan, and the memory that it takes above the data."""
    load = crowd_of(owners)
    one_round = ours(load, load.rows(), Stacked)
    one_round()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    keys = [(0, 1, i) for i in range(owners)]
    ways = {"round": one_round, "plan": lambda: plan.orders(keys, 0, [50] * owners) is None or None}
    taken = milliseconds(ways, 3)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1e3
    yield f"{owners:,} owners of 50 rows: {taken['round']:.0f} ms to train them, its plan {taken['plan']:.1f} ms,"
    yield f"  {grown:.0f} MB more at most in later rounds than in the first"


def main() -> None:
    """Print the tables."""
    torch.set_num_threads(1)
    names, repeats = set(sys.argv[1:]), 7
    loads = [load for load in WORKLOADS if not names or load.name in names]
    for line in table(loads, repeats):
        sys.stdout.write(line + "\n")
    sys.stdout.write(f"\n{'ms':<10}{'careful':>12}{'stacked':>12}{'whole round':>12}{'careful/round':>18}\n")
    for load in loads:
        sys.stdout.write(whole(load, repeats) + "\n")
    if not names or "crowd" in names:
        sys.stdout.write(whole(crowd_of(2_000), 3) + "  (2,000 owners of 50 rows)\n")
    sys.stdout.write(f"\n{'ms a step':<10}{'plain':>12}{'clipped':>12}{'and noise':>12}{'over plain':>12}\n")
    for load in loads:
        sys.stdout.write(private(load, load.rows(), repeats) + "\n")
    sys.stdout.write(f"\n{'ms':<10}{'first round':>12}{'later':>12}\n")
    for load in loads:
        sys.stdout.write(first_round(load, load.rows(), repeats) + "\n")
    if not names or "crowd" in names:
        sys.stdout.write("\n" + "\n".join(crowd(10_000)) + "\n")


if __name__ == "__main__":
    main()
