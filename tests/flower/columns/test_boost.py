"""Trees over owners of different columns, each at a site of its own: those of a notebook, bit for bit."""

from collections import defaultdict

import numpy as np
import pytest

from fedlab_nb.crypto.seal import KEY_HOLDER, SERVER
from fedlab_nb.vertical.secureboost import SecureBoost
from tests.flower.columns.apart import kinds, parts_apart, together
from tests.vertical.common import owners, people, with_gaps
from tests.vertical.trees.test_lossless import amounts, grades

SMALL = {"depth": 2, "bins": 8, "min_rows": 5}
ONE_REGION = {"shop": ["region"]}


def rare(frame):
    """A shop whose only column divides no rows into parts large enough."""
    return frame.assign(region=np.where(np.arange(len(frame)) < 3, "south", "north"))


RUNS = {
    "two owners": (lambda: owners(with_gaps(160)), {}),
    "three owners, rows drawn": (lambda: owners(with_gaps(160), parties=3), {"goss": (0.3, 0.2), "lr": 1.0}),
    "several classes": (lambda: owners(grades(people(140))), {}),
    "deeper": (lambda: owners(with_gaps(200), parties=3), {"depth": 3}),
    "a number": (lambda: owners(amounts(with_gaps(160)), parties=3), {"depth": 3}),
    "the first tree asks the labels' owner alone": (lambda: owners(people(140)), {"complete_secure": True}),
    "an answer kept back": (lambda: owners(people(220), parties=3), {"min_rows": 8, "bins": 16}),
    "an owner that offers no split": (lambda: owners(rare(people(140)), parties=3, **ONE_REGION), {"patience": 1}),
}


def between(federation):
    """What crossed between each two parties, in its order."""
    found = defaultdict(list)
    for sender, receiver, facts in ((m[1], m[2], m) for m in kinds(federation)):
        found[sender, receiver].append(facts)
    return found


def check(those, strategy, num_rounds=2):
    """The same run in one process and apart; both federations, and the rounds in one process."""
    fed, here = together(those, strategy, num_rounds)
    parts, far, there, _ = parts_apart(those, strategy, num_rounds)
    assert there[-1].failed is None, there[-1].failed
    assert here[-1].failed is None, here[-1].failed
    assert set(parts) == set(fed.names)
    for name, part in parts.items():
        assert np.array_equal(part.weights, here[-1].state.weights[name])
    assert [r.metrics for r in there] == [r.metrics for r in here]
    assert between(far) == between(fed)
    assert far.ledger.verify()
    return fed, far, here


@pytest.mark.parametrize("name", RUNS)
def test_apart_as_together(name):
    make, settings = RUNS[name]
    _, far, _ = check(make(), SecureBoost("bank", **SMALL | settings))
    assert KEY_HOLDER not in {m.receiver for m in far.ledger.messages}, "nobody apart has a key"
    read = {m.kind for m in far.ledger.messages if m.receiver == SERVER}
    assert read == {"masked ids", "identity", "task", "score"}


def test_no_more_trees_are_grown_where_they_help_no_more():
    fed, far, here = check(owners(people(120)), SecureBoost("bank", **SMALL | {"lr": 1.0, "patience": 1}), 5)
    told = [m for m in fed.ledger.messages if m.kind == "what comes next"]
    assert len(told) == len(here) == 5
    assert {float(m.payload[0]) for m in told} == {0.0, 1.0}, "this run ends before its last round"
    grown = {m.round for m in far.ledger.messages if m.kind.startswith("gradients")}
    assert grown == {m.round for m in told if m.payload[0]}
