"""No message of a split network holds a column of an owner: neither as it is, nor as a line through it."""

import numpy as np
import pytest

from fedlab_nb.vertical.cut import MaxNormNoise
from fedlab_nb.vertical.cut.order import batch_order
from tests.vertical.common import with_gaps
from tests.vertical.cut.common import SplitNN, federated, owners, run, seen_beside

PARTIES = ["server", "bank", "shop", "post"]


@pytest.fixture(scope="module")
def trained():
    fed = federated(owners(with_gaps(), parties=3))
    records = run(fed, SplitNN("bank", batch_size=40), 4)
    assert not any(message.payload is None for message in fed.ledger.messages), "all of it is kept, and scanned"
    setup = records[0].state.context
    return fed, setup, *seen_beside(fed, setup), *seen_beside(fed, setup, "held_out")


def strongest(numbers, columns):
    """The largest |correlation| of any column of ``numbers`` with any of ``columns``, where both vary."""

    def standard(values):
        spread = values.std(0)
        return ((values - values.mean(0)) / np.where(spread > 0, spread, 1.0))[:, spread > 0]

    return float(np.abs(standard(numbers).T @ standard(columns) / len(numbers)).max(initial=0.0))


def by_rows(trained, party):
    """What a party got of rows: for each kind, round and sender, in the order in which owners have the rows."""
    fed, setup, *_ = trained
    found = {}
    for message in fed.seen_by(party):
        if isinstance(message.payload, np.ndarray) and message.payload.ndim == 2:
            found.setdefault((message.kind, message.round, message.sender, message.receiver), []).append(
                message.payload
            )
    for (kind, number, sender, receiver), parts in found.items():
        whole = np.concatenate(parts)
        training = np.empty_like(whole[: setup.rows])
        training[batch_order(setup, number)] = whole[: setup.rows]
        yield kind, sender, receiver, training, whole[setup.rows :]


def test_the_scan_looks_at_everything_that_has_rows(trained):
    assert {kind for kind, *_ in by_rows(trained, "bank")} == {"activations", "activation gradients"}
    assert all(len(held_out) == (kind == "activations") * trained[1].held_out
               for kind, _, _, _, held_out in by_rows(trained, "shop"))  # fmt: skip


@pytest.mark.parametrize("party", PARTIES)
def test_no_message_is_a_line_through_any_column(trained, party):
    fed, _, inputs, _, held_out, _ = trained
    for kind, sender, _, training, other in by_rows(trained, party):
        for owner in fed.names:
            assert strongest(training, inputs[owner]) < 0.999, (kind, sender, owner)
            if len(other):
                assert strongest(other, held_out[owner]) < 0.999, (kind, sender, owner)


@pytest.mark.parametrize("party", PARTIES)
def test_no_message_holds_a_value_of_any_column(trained, party):
    fed, _, inputs, _, held_out, _ = trained
    for message in fed.seen_by(party):
        if isinstance(message.payload, np.ndarray) and message.payload.size:
            numbers = message.payload.ravel()
            for owner in fed.names:
                values = np.concatenate([inputs[owner].ravel(), held_out[owner].ravel()])
                telling = np.unique(values[np.abs(values - np.rint(values)) > 1e-6])
                near = telling[np.clip(np.searchsorted(telling, numbers), 0, len(telling) - 1)]
                assert not np.isclose(near, numbers, rtol=1e-9, atol=0).any() or message.kind == "score"


def test_gradients_are_no_line_through_the_labels_though_they_leak_them(trained):
    y = trained[3]
    for kind, _, _, training, _ in by_rows(trained, "shop"):
        if kind == "activation gradients":
            assert 0.5 < strongest(training, y[:, None]) < 0.999


def test_the_scan_finds_a_column_that_crosses():
    fed = federated()
    setup = run(fed, SplitNN("bank", defence=MaxNormNoise()), 1)[0].state.context
    inputs, _ = seen_beside(fed, setup)
    mixed = np.column_stack([inputs["shop"][:, 0] * 3 - 1, np.random.default_rng(0).normal(size=setup.rows)])
    assert strongest(mixed, inputs["shop"]) > 0.999
