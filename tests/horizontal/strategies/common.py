"""What tests of strategies share: unequal owners, their rows as numbers, and single rounds."""

import numpy as np

import fedlab_nb as fl
from fedlab_nb.horizontal.drift import MOON, SCAFFOLD, FedDyn, FedNova, FedProx
from fedlab_nb.horizontal.prepare import encoded
from fedlab_nb.horizontal.server import FedAdagrad, FedAdam, FedAvgM, FedSGD, FedYogi
from tests.rounds.common import tumours

AT_SERVER = (FedAvgM, FedAdagrad, FedAdam, FedYogi)
AGAINST_DRIFT = (FedProx, SCAFFOLD, FedNova, FedDyn, MOON)
ALL = (FedSGD, *AT_SERVER, *AGAINST_DRIFT)
LOGISTIC, HIDDEN = fl.models.logistic(), fl.models.mlp(4)


def strategy_of(kind, **settings):
    """One with a small model that fits it: MOON needs a hidden layer."""
    return kind(HIDDEN if kind is MOON else LOGISTIC, **settings)


def unequal(sizes=(20, 45, 110, 190), *, held_out=0.2, columns=5):
    """Owners with so many rows of the breast-cancer table, a few columns of it."""
    frame = tumours()
    frame = frame.iloc[:, [*range(columns), -1]].sample(frac=1.0, random_state=0)
    parts = np.split(np.arange(sum(sizes)), np.cumsum(sizes)[:-1])
    return [
        fl.DataOwner(f"Owner {i}", frame.iloc[part], target="diagnosis", held_out=held_out)
        for i, part in enumerate(parts, 1)
    ]


def begun(federation, strategy, seed=0):
    """The state before the first round."""
    return strategy.start(federation, num_rounds=1, seed=seed)


def one_round(strategy, federation, state, number=1, cohort=None):
    """The state after one more round."""
    return strategy.step(state, federation, number, federation.names if cohort is None else cohort, last=False)


def rows_of(federation, state):
    """Each owner's training rows as the model reads them: X (n, inputs) and y (n,)."""

    def look(rows):
        return encoded(rows, state.context.encoding, "training")

    return {owner.name: owner._inside(look, stage="test") for owner in federation.owners}
