"""What local training costs: one thread, processor time, all in one process and by turns. For a person to read.

python run.py bench engine
"""

import copy
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from fedlab_nb.learn.engine import SGD, Job, Sequential, Stacked, plan
from fedlab_nb.learn.engine.flat import flat_weights

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


def ragged(owners: int, rows: int, seed: int = 0) -> tuple[int, ...]:
    """Sizes of at least two rows that add up to about ``rows``, as uneven as a Dirichlet split by label makes them."""
    shares = np.random.default_rng(seed).dirichlet(np.full(owners, 2.0))
    return tuple(int(n) for n in np.maximum(2, np.round(shares * rows)))


WORKLOADS = [
    Workload("A-mlp", (30, 34, 39, 43, 48, 52, 57, 61, 66, 70), 30, 2, 32, 1, partial(mlp, 30, 64, 2)),
    Workload("B-mlp", ragged(100, 1797), 64, 10, 16, 2, partial(mlp, 64, 128, 10)),
    Workload("B-cnn", ragged(100, 1797), 64, 10, 16, 2, cnn),
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
        number, mean, part = next(numbers), np.zeros_like(start), np.empty_like(start)
        jobs = [Job((0, number, i), X, y, start) for i, (X, y) in enumerate(rows)]
        done = executor.run(jobs, SGD(LR), epochs=load.epochs, batch_size=load.batch)
        for job, trained in zip(jobs, done, strict=True):
            mean += np.multiply(trained.weights, len(job) / total, out=part)

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


def main() -> None:
    """Print the tables."""
    torch.set_num_threads(1)
    names, repeats = set(sys.argv[1:]), 7
    for line in table([load for load in WORKLOADS if not names or load.name in names], repeats):
        sys.stdout.write(line + "\n")


if __name__ == "__main__":
    main()
