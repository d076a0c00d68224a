"""What the oracles share: a small network in plain numpy, and what the owners of a federation have, for tests only."""

import numpy as np
import pandas as pd

import fedlab_nb as fl
from fedlab_nb.horizontal.prepare import encoded
from fedlab_nb.learn.engine import plan

HIDDEN = 3
MODEL = fl.models.mlp(HIDDEN)
LR, EPOCHS, BATCH = 0.2, 2, 16


def owners(many=3, rows=70, columns=4, flipped=0):
    """Owners of a two-class problem, of different sizes and means; of the first ``flipped`` the classes are swapped."""
    made = []
    for i in range(many):
        rng = np.random.default_rng(i)
        x = rng.normal(0.3 * i, 1.0, size=(rows + 11 * i, columns))
        ill = x @ np.arange(1, columns + 1) + rng.normal(0, 0.5, len(x)) > 3 * i * 0.3
        frame = pd.DataFrame(x, columns=[f"x{j}" for j in range(columns)])
        frame["ill"] = np.where(ill ^ (i < flipped), "yes", "no")
        made.append(fl.DataOwner(f"Owner {i + 1}", frame, target="ill", held_out=0.3))
    return made


class Paper:
    """A federation's owners as an algorithm in a paper sees them: numbered, with rows as arrays, at known weights."""

    def __init__(self, federation, state):
        self.setup, self.w0 = state.context, state.weights["server"].copy()
        self.names = federation.names
        self.data = [
            owner._inside(lambda rows: encoded(rows, state.context.encoding, "training"), stage="oracle")
            for owner in federation.owners
        ]
        self.inputs = self.data[0][0].shape[1]
        self.shares = np.array([len(y) for _, y in self.data]) / sum(len(y) for _, y in self.data)

    @property
    def head(self):
        """Which weights belong to the last layer."""
        return np.arange(self.w0.size) >= self.w0.size - (HIDDEN + 1)

    def batches(self, number, i, epochs=EPOCHS, size=BATCH):
        """The minibatches (X, y) of owner ``i`` in round ``number``."""
        X, y = self.data[i]
        for epoch in range(epochs):
            order = plan.orders([(self.setup.seed, number, i)], epoch, [len(y)])[0]
            for start in range(0, len(y), size):
                rows = order[start : start + size]
                yield X[rows].astype(float), y[rows].astype(float)

    def parts(self, w):
        cut = HIDDEN * self.inputs
        return w[:cut].reshape(HIDDEN, self.inputs), w[cut : cut + HIDDEN], w[cut + HIDDEN : -1], w[-1]

    def loss(self, w, X, y):
        W, b, v, c = self.parts(w)
        score = np.maximum(X @ W.T + b, 0) @ v + c
        return np.mean(np.logaddexp(0, score) - y * score)

    def gradient(self, w, X, y):
        W, b, v, c = self.parts(w)
        before = X @ W.T + b
        after = np.maximum(before, 0)
        d = (1 / (1 + np.exp(-(after @ v + c))) - y) / len(y)
        back = np.outer(d, v) * (before > 0)
        return np.concatenate([(back.T @ X).ravel(), back.sum(0), after.T @ d, [d.sum()]])

    def curved(self, w, v, X, y, apart=1e-6):
        """The Hessian of the loss times ``v``."""
        return (self.gradient(w + apart * v, X, y) - self.gradient(w - apart * v, X, y)) / (2 * apart)

    def sgd(self, w, number, i, epochs=EPOCHS, lr=LR, only=1.0):
        for X, y in self.batches(number, i, epochs):
            w = w - lr * only * self.gradient(w, X, y)
        return w


def played(strategy, federation, num_rounds=3, seed=0):
    """The states of a run, the first before any round; and the owners as a paper sees them."""
    states = [strategy.start(federation, num_rounds=num_rounds, seed=seed)]
    federation.begin(1, anew=True)
    for number in range(1, num_rounds + 1):
        federation.round_begins(federation.names)
        cohort = federation.cohort(number, seed)
        states.append(strategy.step(states[-1], federation, number, cohort, last=False))
    return states, Paper(federation, states[0])
