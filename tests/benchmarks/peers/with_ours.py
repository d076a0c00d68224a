"""FedAvg by this package: whole rounds with ledger, scores and history, its engine alone, and the careful loop.

Row-level privacy too. All by turns, in the environment of this package.
"""

from dataclasses import replace
from itertools import count

import numpy as np
import pandas as pd
import torch
from bench_engine import WORKLOADS, careful, ours
from work import WARM, Laps, Work, tell

import fedlab_nb as fl
from fedlab_nb.data.encoding import Encoding, NumberCode
from fedlab_nb.learn import Learner
from fedlab_nb.learn.engine import Job, Stacked
from fedlab_nb.learn.engine.flat import flat_weights
from fedlab_nb.protect import gaussian_share, noise_source
from fedlab_nb.records import Round
from fedlab_nb.records.history import History

MODELS = {
    "A-mlp": fl.models.mlp(64),
    "B-mlp": fl.models.mlp(128),
    "B-cnn": fl.models.cnn(),
    "C-mlp": fl.models.mlp(200),
}
FAR = 8.0
# More rows than any owner has: one step on all of them.
ALL_ROWS = 10**6
CLIP = 1.0


def owners_of(work):
    """Owners who train on the rows of the work, and hold out a quarter as many besides, for scores."""
    names = [f"x{i:03d}" for i in range(work.X.shape[1])]
    stored = np.load(work.folder / "held_out.npz")
    cuts = np.cumsum(stored["sizes"])[:-1]
    held_out = zip(np.split(stored["X"], cuts), np.split(stored["y"], cuts), strict=True)
    declared = {"bounds": dict.fromkeys(names, (-FAR, FAR)), "categories": {"y": list(range(int(work.y.max()) + 1))}}
    owners = []
    for i, ((X, y), (other_X, other_y)) in enumerate(zip(work.owners, held_out, strict=True), 1):
        frame = pd.DataFrame(np.concatenate([X, other_X]).astype(np.float64), columns=names)
        frame["y"] = np.concatenate([y, other_y])
        owners.append(fl.DataOwner(f"Owner {i}", frame, target="y", **declared))
    return owners


class Run:
    """A run of whole rounds, its history kept."""

    def __init__(self, work, owners, protect=None, **local):
        self.strategy = fl.FedAvg(MODELS[work.name], lr=work.lr, **local)
        fed, rounds = fl.Federation(owners, protect=protect), work.rounds + WARM + 1
        state = self.strategy.start(fed, num_rounds=rounds, seed=0)
        if not protect and state.context.rows != len(work.X):
            raise SystemExit(f"{state.context.rows:.0f} rows are trained on, and {len(work.X)} were to be.")
        # Rows are read as the peers read them, and training starts where theirs does.
        codes = tuple(NumberCode(code.name, 0.0, 1.0, -FAR, FAR) for code in state.context.encoding.inputs)
        context = replace(state.context, encoding=Encoding(codes, state.context.encoding.target))
        start = np.concatenate([part.ravel() for part in work.start]).astype(np.float64)
        weights = start if start.size == state.weights["server"].size else state.weights["server"]
        state = replace(state, context=context, weights={**state.weights, "server": weights})
        self.rounds = fl.rounds(fed, self.strategy, num_rounds=rounds, after=Round(0, state))
        self.history = History()

    def __call__(self):
        """The next round."""
        record = next(self.rounds)
        if record.failed is not None:
            raise record.failed.error
        self.history += (record,)

    def loss(self, work):
        """The mean loss on all rows."""
        state = self.history[-1].state
        encoding = state.context.encoding
        learner = Learner.of(MODELS[work.name], encoding.n_inputs, encoding.n_outputs, encoding.task)
        scores = learner.scores(state.weights["server"], work.X)
        if scores.shape[1] == 1:
            scores = np.hstack([np.zeros_like(scores), scores])
        own = scores[np.arange(len(work.y)), work.y]
        return float(np.mean(np.logaddexp.reduce(scores, axis=1) - own))


def clipped_alone(work):
    """What Opacus does, by the engine: each owner's rows clipped in one step, its noise on the sum, all added up."""
    module, owners = work.module(), len(work.sizes)
    start, stacked, numbers = flat_weights(module), Stacked(module, "multiclass"), count(1)

    def one_round():
        number, total = next(numbers), np.zeros(start.size)
        jobs = [Job((0, number, i), X, y, start) for i, (X, y) in enumerate(work.owners)]
        for summed in stacked.clipped(jobs, CLIP):
            total += summed
            total += gaussian_share(noise_source(None), start.size, CLIP, owners)
        start[:] -= work.lr / len(work.X) * total

    return one_round


def main():
    """Train, and tell."""
    torch.set_num_threads(1)
    work = Work.given()
    owners = owners_of(work)
    load = next(each for each in WORKLOADS if each.name == work.name)
    one_step = {"local_epochs": 1, "batch_size": ALL_ROWS}
    ways = {
        "ours, whole round": Run(work, owners, local_epochs=work.epochs, batch_size=work.batch),
        "ours, engine alone": ours(load, work.owners, Stacked),
        "careful sequential loop": careful(load, work.owners),
        "ours, row level": Run(work, owners, fl.RowLevelDP(clip=CLIP, noise_multiplier=1.0)),
        "ours, row level, engine alone": clipped_alone(work),
        "ours, the same step without privacy": Run(work, owners, **one_step),
    }
    laps = {name: Laps() for name in ways}
    for _ in range(work.rounds + WARM):
        for name, way in ways.items():
            laps[name].time(way)
    losses = {name: way.loss(work) for name, way in ways.items() if isinstance(way, Run)}
    found = {name: laps[name].told(losses.get(name)) for name in ways}
    tell(found, version=f"torch {torch.__version__}")


if __name__ == "__main__":
    main()
