"""Linear models of owners of different columns, each at a site of its own: what a notebook gives, bit for bit."""

import numpy as np
import pytest

import fedlab_nb as fl
from tests.flower.columns.apart import kinds, parts_apart, together


def owners(n=2, rows=160):
    table = fl.data.breast_cancer().iloc[:rows]
    features = [c for c in table.columns if c != "diagnosis"][: 4 * n]
    held = {f"owner {k}": features[4 * k : 4 * k + 4] + ["diagnosis"] * (k == 0) for k in range(n)}
    return fl.split_columns(table, overlap=0.9, seed=1, **held)


STRATEGIES = {
    "logistic": (lambda: fl.vertical.LogisticRegression("owner 0"), 2),
    "without a key holder": (lambda: fl.vertical.LogisticRegression("owner 0", key_holder=False), 2),
    "batches": (lambda: fl.vertical.LogisticRegression("owner 0", batch_size=64), 2),
    "three owners": (lambda: fl.vertical.LogisticRegression("owner 0"), 3),
}


@pytest.mark.parametrize("name", STRATEGIES)
def test_apart_as_together(name):
    make, n = STRATEGIES[name]
    strategy, those = make(), owners(n)
    fed, here = together(those, strategy)
    parts, far, there, _ = parts_apart(those, strategy)
    assert there[-1].failed is None, there[-1].failed
    for part in parts.values():
        assert np.array_equal(part.weights, here[-1].state.weights[part.owner])
    assert set(parts) == set(fed.names)
    assert [r.metrics for r in there] == [r.metrics for r in here]
    assert kinds(far) == kinds(fed)
    assert far.ledger.verify()
