"""What the literature finds on digits shows here as well: client drift on label shards, and a cure for it.

Ten owners, a network of 64-64-10, five local epochs in batches of 16, learning rate 0.1. The whole table, with all
strategies, 50 rounds and five seeds, is printed by ``python run.py bench strategies``.
"""

import pytest

import fedlab_nb as fl
from fedlab_nb.horizontal.drift import SCAFFOLD
from tests.horizontal.strategies.pictures import accuracies, digits_apart, federation_of, iid, shards

ROUNDS = 30


@pytest.mark.slow
def test_scaffold_learns_from_label_shards_what_averaging_forgets():
    train, test = digits_apart()
    local = {"model": fl.models.mlp(64), "lr": 0.1, "local_epochs": 5, "batch_size": 16}
    runs = {
        "IID": (fl.FedAvg(**local), iid),
        "shards": (fl.FedAvg(**local), shards),
        "shards, corrected": (SCAFFOLD(**local), shards),
    }
    reached = {
        name: list(accuracies(strategy, federation_of(train, divide), test, num_rounds=ROUNDS))
        for name, (strategy, divide) in runs.items()
    }
    assert reached["IID"][-1] >= 0.955
    assert reached["shards, corrected"][-1] - reached["shards"][-1] >= 0.02
    assert max(reached["shards, corrected"]) >= 0.95
