"""Handwritten digits as the literature trains on them: pixels from 0 to 1, a fixed test set, owners by label."""

from dataclasses import replace

import numpy as np

import fedlab_nb as fl
from fedlab_nb.data.encoding import Encoding, NumberCode
from fedlab_nb.learn import Learner
from fedlab_nb.records import Round
from fedlab_nb.rounds import rounds

CLASSES = list(range(10))


def digits_apart():
    """Of the 1797 digits 1437 to train on and 360 to test with, each digit alike in both."""
    from sklearn.model_selection import train_test_split

    frame = fl.data.digits()
    return train_test_split(frame, test_size=0.2, stratify=frame["digit"], random_state=0)


def iid(labels, owners, rng):
    """Rows dealt out evenly at random."""
    return np.array_split(rng.permutation(len(labels)), owners)


def shards(labels, owners, rng, each=2):
    """Rows sorted by label, cut into equal pieces, ``each`` of them for an owner: McMahan et al. 2017, section 3."""
    pieces = np.array_split(np.argsort(labels, kind="stable"), owners * each)
    order = rng.permutation(owners * each)
    return [np.concatenate([pieces[piece] for piece in mine]) for mine in order.reshape(owners, each)]


def dirichlet(alpha, least=10):
    """Each label's rows shared out in Dirichlet(alpha) parts, drawn again until every owner has ``least`` rows."""

    def divide(labels, owners, rng):
        while True:
            mine = [[] for _ in range(owners)]
            for label in np.unique(labels):
                rows = rng.permutation(np.flatnonzero(labels == label))
                cuts = (np.cumsum(rng.dirichlet(np.full(owners, alpha)))[:-1] * len(rows)).astype(int)
                for own, part in zip(mine, np.split(rows, cuts), strict=True):
                    own.append(part)
            parts = [np.concatenate(own) for own in mine]
            if min(map(len, parts)) >= least:
                return parts

    return divide


def federation_of(frame, divide, *, owners=10, seed=0, **house):
    """Owners of ``frame`` who train on all of their rows."""
    parts = divide(frame["digit"].to_numpy(), owners, np.random.default_rng(seed))
    classes = {"digit": CLASSES}
    made = [
        fl.DataOwner(f"Owner {i}", frame.iloc[part], target="digit", held_out=0.0, categories=classes)
        for i, part in enumerate(parts, 1)
    ]
    return fl.Federation(made, **house)


def accuracies(strategy, federation, test, *, num_rounds, seed=0, white=16.0):
    """The share of ``test`` that is told right after each round, one by one; pixels go from 0 to ``white``."""
    state = strategy.start(federation, num_rounds=num_rounds, seed=seed)
    codes = tuple(NumberCode(code.name, 0.0, white, 0.0, white) for code in state.context.encoding.inputs)
    encoding = Encoding(codes, state.context.encoding.target)
    state = replace(state, context=replace(state.context, encoding=encoding))
    learner = Learner.of(strategy.model, len(codes), 10, "multiclass")
    X = (test[[code.name for code in codes]].to_numpy() / white).astype(np.float32)
    y = test["digit"].to_numpy()
    for record in rounds(federation, strategy, num_rounds=num_rounds, after=Round(0, state)):
        assert record.failed is None, record.failed
        scores = learner.scores(record.state.weights["server"], X)
        yield float(np.mean(scores.argmax(1) == y))
