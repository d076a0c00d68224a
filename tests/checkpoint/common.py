"""What tests of checkpoints share: runs that end in the middle, and what must be equal of two histories."""

import hashlib

import numpy as np

import fedlab_nb as fl
from tests.rounds.common import forget


class Dies(BaseException):
    """As if the process ended here, whatever it was about to do."""


def arrays_of(record):
    """Every array of a round's state, by name and bits."""
    state = record.state
    both = {**{f"weights {n}": a for n, a in state.weights.items()}, **state.memory}
    return {name: (array.dtype, array.shape, array.tobytes()) for name, array in both.items()}


def facts_of(history, *, exact=True):
    """All of a history that must be equal: everything but seconds; without ``exact`` also not what crossed and cost."""
    return [
        (
            r.number,
            arrays_of(r),
            r.state.context,
            r.cohort,
            r.dropped,
            dict(r.metrics),
            dict(r.noise),
            {name: dict(own) for name, own in r.owner_metrics.items()},
            dict(r.settings),
            (dict(r.traffic), r.epsilon) if exact else None,
            r.failed is None,
        )
        for r in history
    ]


def content(folder):
    """Name and hash of every file of a folder."""
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.iterdir())}


def new_kernel():
    """As if the kernel had been restarted: memory knows of no budget."""
    forget()


def run_of(federation, strategy, folder, num_rounds=4, **settings):
    """A run that is kept in ``folder``, to its end, without a word."""
    return fl.train(federation, strategy, num_rounds=num_rounds, checkpoint=folder, **settings)


def same_bits(a, b):
    """Whether two arrays are the same, NaN and the sign of zero included."""
    return (a.dtype, a.shape) == (b.dtype, b.shape) and np.asarray(a).tobytes() == np.asarray(b).tobytes()
