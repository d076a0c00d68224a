"""More owners than a ciphertext has digits for: they train in the clear, on a grid that adds exactly."""

import numpy as np
import pandas as pd
import pytest

import fedlab_nb as fl
from fedlab_nb.crypto.schemes.clear import Clear
from fedlab_nb.errors import EncryptionError
from fedlab_nb.parties.house import House, terms_of_sum

CROWD = 2_100
COUNTS = 2.0**20


def grid(owners, bound=COUNTS, **settings):
    return terms_of_sum(House(**settings), (owners, owners, 0), bound, 0.0, None).plan


@pytest.fixture(scope="module")
def crowd():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4 * CROWD, 2))
    rows = pd.DataFrame(x, columns=["a", "b"]).assign(c=np.where(x.sum(axis=1) > 0, "yes", "no"))
    return fl.split_rows(rows, owners=CROWD, target="c", seed=0)


def test_a_crowd_trains_in_the_clear_and_every_held_out_row_is_scored(crowd):
    federation = fl.Federation(crowd)
    (record,) = fl.rounds(federation, fl.FedAvg(fl.models.logistic(), lr=1.0), num_rounds=1)
    assert record.failed is None
    assert len(record.cohort) == CROWD
    assert record.metrics["accuracy"] > 0.8
    assert set(record.traffic) >= {"update", "score count"}


def test_under_encryption_it_is_refused_with_a_reason(crowd):
    (record,) = fl.rounds(fl.Federation(crowd, encrypt=fl.CKKS()), fl.FedAvg(fl.models.logistic()), num_rounds=1)
    assert isinstance(record.failed.error, EncryptionError)
    assert "too large for" in str(record.failed.error)


@pytest.mark.parametrize("owners", [2, 1_000, 2_048])
def test_where_ciphertexts_have_a_grid_sums_in_the_clear_have_the_same(owners):
    assert grid(owners) == fl.CKKS().plan(bound=COUNTS, owners=owners)


@pytest.mark.parametrize("owners", [2_049, 10_000, 1_000_000])
@pytest.mark.parametrize("bound", [1.0, COUNTS])
def test_sums_on_the_grid_are_exact_at_their_largest(owners, bound):
    plan = Clear().plan(bound=bound, owners=owners)
    largest = plan.largest * 2.0**plan.grid_bits  # in steps of the grid
    assert largest == int(largest)
    assert int(largest) * owners < 2**53
    assert float(int(largest) * owners) + 1.0 == int(largest) * owners + 1
    assert grid(owners).grid_bits >= 0
