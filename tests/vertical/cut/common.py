"""What tests of split networks share: runs of them, and what lies beside the rows, as only a test may see it."""

import numpy as np

import fedlab_nb as fl
from fedlab_nb.parties.columns.split import split_columns
from fedlab_nb.vertical.align import align
from fedlab_nb.vertical.shared import Mine
from fedlab_nb.vertical.splitnn import SplitNN
from tests.vertical.common import owners, people

__all__ = ["SplitNN", "breast", "federated", "owners", "people", "run", "seen_beside"]


def federated(parts=None, **settings):
    """A federation that needs no encryption."""
    return fl.Federation(owners() if parts is None else parts, **settings)


def run(fed, strategy=None, rounds=3, seed=0, after=None):
    """All rounds of a run that did not fail."""
    found = list(fl.rounds(fed, strategy or SplitNN("bank"), num_rounds=rounds, seed=seed, after=after))
    assert [each.failed for each in found if each.failed] == []
    return found


def seen_beside(fed, setup, part="training"):
    """The inputs of each owner and the labels, over the rows in common in the order that all agree on."""
    alignment = align(fed)

    def look(name):
        def work(rows):
            mine = Mine(alignment.of(rows), name, setup, part)
            return mine.X.copy(), (mine.y if name == setup.labels_at else None)

        return next(owner for owner in fed.owners if owner.name == name)._inside(work, stage="test")

    found = {name: look(name) for name in fed.names}
    return {name: X for name, (X, _) in found.items()}, found[setup.labels_at][1]


def breast(malignant=40, overlap=0.9):
    """Breast cancer cells, few of them malignant: ten columns at the bank with the labels, twenty at the shop."""
    frame = fl.data.breast_cancer()
    names = [name for name in frame.columns if name != "diagnosis"]
    sick = frame["diagnosis"].astype(str).str.startswith("m").to_numpy()
    kept = frame[~sick | (np.cumsum(sick) <= malignant)]
    columns = {"bank": [*names[20:], "diagnosis"], "shop": names[:20]}
    return split_columns(kept, target="diagnosis", overlap=overlap, seed=1, **columns)
