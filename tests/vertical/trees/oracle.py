"""Boosted trees on the pooled columns, as one table would have them: plain, slow, written apart from the package."""

from typing import NamedTuple

import numpy as np

import fedlab_nb as fl
from fedlab_nb.vertical.shared import Meeting


class Question(NamedTuple):
    """x <= edge at an owner, missing values left or right."""

    owner: int
    feature: int
    edge: float
    missing_left: bool

    def left(self, X):
        x = X[self.owner][:, self.feature]
        return np.where(np.isnan(x), self.missing_left, x <= self.edge)


def common_rows(fed, part="training"):
    """By owner the columns as numbers (n, d), and the labels as they are, in the order that the owners agreed on."""
    alignment = fl.vertical.align(fed)
    X, labels = [], None
    for owner in fed.owners:
        features, target = owner._inside(lambda rows: getattr(alignment.of(rows), part), stage="test")
        columns = []
        for column in owner.schema.features:
            values = features[column.name]
            if column.kind == "numeric":
                columns.append(values.to_numpy(dtype=float, na_value=np.nan))
                continue
            columns += [np.where(values.isna(), np.nan, (values == value).astype(float)) for value in column.categories]
        X.append(np.array(columns).T.reshape(len(features), len(columns)))
        labels = target.to_numpy() if owner.target else labels
    return X, labels


def questions(X, owner, bins, least):
    """All questions that this owner may ask, in no order that matters."""
    found = set()
    for feature in range(X[owner].shape[1]):
        x = X[owner][:, feature]
        known = sorted(x[~np.isnan(x)])
        values = sorted(set(known))
        if len(values) > bins:
            picked = {known[-(-len(known) * share // bins) - 1] for share in range(1, bins)}
            values = sorted(value for value in values if value in picked)
        last = 0
        for value in values:
            upto = sum(each <= value for each in known)
            if upto - last >= least and len(known) - upto >= least:
                edge = (value + min(each for each in known if each > value)) / 2
                found.add(Question(owner, feature, edge, False))
                if len(x) - len(known) >= least:
                    found.add(Question(owner, feature, edge, True))
                last = upto
        if len(x) - len(known) >= least and len(known) >= least:
            found.add(Question(owner, feature, np.inf, False))
    return found


class Settings(NamedTuple):
    """As those of the strategy."""

    depth: int = 3
    bins: int = 32
    lr: float = 0.3
    reg_lambda: float = 1.0
    gamma: float = 0.0
    min_rows: int = 5
    goss: tuple[float, float] | None = None
    complete_secure: bool = False


class Oracle:
    """Trees grown row by row; ``order`` has all questions in the order in which the first of equals wins."""

    def __init__(self, X, y, task, classes, order, settings, labels_at, seed=0):
        self.X, self.y, self.task, self.order, self.settings = X, y, task, order, settings
        self.labels_at, self.seed = labels_at, seed
        self.masks = [question.left(X) for question in order]
        n = len(y)
        if task == "regression":
            self.base = np.zeros(1)
        elif task == "binary":
            self.base = np.array([np.log((y.sum() + 0.5) / (n - y.sum() + 0.5))])
        else:
            counts = np.array([(y == k).sum() + 0.5 for k in range(classes)])
            self.base = np.log(counts / counts.sum())
        self.scores = np.tile(self.base, (n, 1))
        self.trees, self.weights = [], {}

    def boost(self, number):
        g, h = self.slopes()
        if self.settings.goss and number > 1 / self.settings.lr:
            weights = self.weights[number] = self.sample(np.abs(g).sum(axis=1), number)
            g, h = self.grid(*(weights[:, None] * each for each in self.slopes(raw=True)), weights > 0)
        allowed = [
            i for i, q in enumerate(self.order) if not (self.settings.complete_secure and number == 1)
            or q.owner == self.labels_at
        ]  # fmt: skip
        for k in range(self.scores.shape[1]):
            leaves = {}
            self.trees.append(self.grow(g[:, k], h[:, k], np.arange(len(self.y)), 0, 0, allowed, leaves))
            for places, value in leaves.values():
                self.scores[places, k] += value

    def slopes(self, *, raw=False):
        if self.task == "regression":
            g, h = self.scores - self.y[:, None], np.ones_like(self.scores)
        elif self.task == "binary":
            p = 1 / (1 + np.exp(-self.scores))
            g, h = p - self.y[:, None], p * (1 - p)
        else:
            e = np.exp(self.scores - self.scores.max(axis=1, keepdims=True))
            p = e / e.sum(axis=1, keepdims=True)
            g, h = p - (self.y[:, None] == np.arange(p.shape[1])), p * (1 - p)
        return (g, h) if raw else self.grid(g, h, np.ones(len(g), dtype=bool))

    def grid(self, g, h, counts):
        """Whole numbers of steps of 2**-20, or coarser by a power of two where the mean square is above 1."""
        found = []
        for values in (g, h):
            step = 2.0**-20
            while (np.mean((values * 2.0**-20 / step) ** 2, axis=0) > 1).any():
                step *= 2
            steps = np.rint(values / step)
            if values is h:
                steps[counts] = np.maximum(steps[counts], 1)
            found.append(steps * step)
        return found

    def sample(self, size, number):
        top, other = self.settings.goss
        order = np.argsort(-size, kind="stable")
        first = int(top * len(size))
        weights = np.zeros(len(size))
        weights[order[:first]] = 1
        rng = np.random.default_rng([self.seed, number])
        weights[rng.choice(order[first:], int(other * len(size)), replace=False)] = (1 - top) / other
        return weights

    def grow(self, g, h, rows, node, level, allowed, leaves):
        """{node: (question, gain)} of the subtree; what its leaves are goes into ``leaves``."""
        s = self.settings
        G, H = g[rows].sum(), h[rows].sum()
        best, gain = None, 0.0
        if level < s.depth and len(rows) >= 2 * s.min_rows:
            for i in allowed:
                left = rows[self.masks[i][rows]]
                if min(len(left), len(rows) - len(left)) < s.min_rows:
                    continue
                GL, HL = g[left].sum(), h[left].sum()
                GR, HR = G - GL, H - HL
                if HL <= 0 or HR <= 0:
                    continue
                parts = GL**2 / (HL + s.reg_lambda) + GR**2 / (HR + s.reg_lambda) - G**2 / (H + s.reg_lambda)
                if 0.5 * parts - s.gamma > gain:
                    best, gain = i, 0.5 * parts - s.gamma
        if best is None:
            leaves[node] = rows, (-s.lr * G / (H + s.reg_lambda) if H > 0 else 0.0)
            return {node: leaves[node][1]}
        left = self.masks[best][rows]
        found = {node: (self.order[best], gain)}
        for child, part in ((2 * node + 1, rows[left]), (2 * node + 2, rows[~left])):
            found |= self.grow(g, h, part, child, level + 1, allowed, leaves)
        return found

    def predict(self, X):
        scores = np.tile(self.base, (len(X[0]), 1))
        for number, tree in enumerate(self.trees):
            node = np.zeros(len(scores), dtype=int)
            for _ in range(self.settings.depth):
                for at, fact in tree.items():
                    here = node == at
                    if isinstance(fact, tuple) and here.any():
                        left = fact[0].left([x[here] for x in X])
                        node[here] = np.where(left, 2 * at + 1, 2 * at + 2)
            scores[:, number % scores.shape[1]] += [tree[at] for at in node]
        return scores


def scores_of(fed, strategy, state, part="held_out"):
    """The joint scores of rows in common, as they lie with the owner of the labels."""
    at = Meeting(fed, fl.vertical.align(fed), state.context, 99, part)
    strategy.foretell(at, state)
    return at.own("test", lambda mine: mine.memory["scores"], at=strategy.labels_at)
