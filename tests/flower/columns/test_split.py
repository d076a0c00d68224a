"""Split networks and transfer learning between owners at sites of their own: what a notebook gives, bit for bit."""

import numpy as np
import pytest

import fedlab_nb as fl
from fedlab_nb.parties.house import House
from fedlab_nb.vertical.cut import LabelDP, Marvell, MaxNormNoise
from fedlab_nb.vertical.splitnn import SplitNN
from fedlab_nb.vertical.transfer import Transfer
from tests.flower.columns.apart import ColumnsApart, kinds, parts_apart, together
from tests.vertical.common import owners, people

OPEN = House()
REHEARSED = House(noise_seed=5)


def numbers():
    held = {"bank": ["income", "age", "spent"], "shop": ["visits", "region", "sector"]}
    return fl.split_columns(people(), id="customer", target="spent", overlap=0.8, seed=1, **held)


def classes():
    """The owner of the labels is the last of three."""
    held = {"shop": ["visits", "spent", "region"], "post": ["letters", "parcels"], "bank": ["income", "age", "sector"]}
    return fl.split_columns(people(), id="customer", target="sector", overlap=0.8, seed=1, **held)


def labels_last():
    held = {"shop": ["visits", "spent", "region"], "bank": ["income", "age", "default"]}
    return fl.split_columns(people(), id="customer", target="default", overlap=0.6, seed=1, **held)


RUNS = {
    "a network of two": (SplitNN("bank", batch_size=64), owners, OPEN),
    "of three": (SplitNN("bank", batch_size=None), lambda: owners(parties=3), OPEN),
    "of numbers": (SplitNN("bank", cut=2, batch_size=64), numbers, OPEN),
    "of classes": (SplitNN("bank", batch_size=64), classes, OPEN),
    "with noise": (SplitNN("bank", batch_size=64, defence=Marvell()), lambda: owners(parties=3), REHEARSED),
    "with longer gradients": (SplitNN("bank", batch_size=64, defence=MaxNormNoise()), owners, REHEARSED),
    "with other labels": (SplitNN("bank", batch_size=64, defence=LabelDP(2.0)), owners, REHEARSED),
    "transfer": (Transfer("bank", width=3), owners, None),
    "transfer from the last owner": (Transfer("bank", width=2, closeness=0.7), labels_last, None),
}


def rehearsed(those, strategy, house):
    """In one process, with the noise of the house's seed."""
    fed = fl.Federation(those, noise_seed=house.noise_seed)
    return fed, list(fl.rounds(fed, strategy, num_rounds=2))


@pytest.mark.parametrize("name", RUNS)
def test_apart_as_together(name):
    strategy, make, house = RUNS[name]
    those = make()
    fed, here = rehearsed(those, strategy, house) if house else together(those, strategy)
    parts, far, there, _ = parts_apart(those, strategy, house=house)
    assert there[-1].failed is None, there[-1].failed
    assert set(parts) == set(fed.names)
    for part in parts.values():
        assert np.array_equal(part.weights, here[-1].state.weights[part.owner])
    assert [r.metrics for r in there] == [r.metrics for r in here]
    assert kinds(far) == kinds(fed)
    assert far.ledger.verify()


def test_what_owners_tell_each_other_of_rows_is_nowhere_in_the_bytes_that_the_server_passes_on():
    strategy, those = SplitNN("bank", batch_size=64), owners()
    fed, _ = rehearsed(those, strategy, OPEN)
    _, far, _, apart = parts_apart(those, strategy, house=OPEN)
    crossed = b"".join(data for _, data in apart.crossed)
    told = {kind: [] for kind in ("activations", "activation gradients", "score")}
    for message in fed.ledger.messages:
        if message.kind in told:
            told[message.kind].append(np.ascontiguousarray(message.payload).tobytes())
    assert all(len(each) > 1 for each in told.values())
    assert all(each in crossed for each in told["score"]), "so it would be found"
    for kind in ("activations", "activation gradients"):
        assert not any(each[:16] in crossed or each[-16:] in crossed for each in told[kind]), kind
    read = {m.kind for m in far.ledger.messages if m.payload is not None}
    assert read.isdisjoint({"activations", "activation gradients"})


def trips(strategy, house):
    far, found = ColumnsApart(owners(), strategy, house, num_rounds=2).played()
    assert found[-1].failed is None
    return far.sites.trips


def test_a_batch_takes_two_trips():
    few, many = (trips(SplitNN("bank", batch_size=size), OPEN) for size in (None, 64))
    assert many - few == 2 * 2 * 1, "two rounds of two batches, not one"


def test_all_units_go_together():
    assert trips(Transfer("bank", width=1), None) == trips(Transfer("bank", width=4), None)


@pytest.mark.parametrize(
    ("strategy", "house", "words"),
    [
        (SplitNN("bank", lr=1e308, batch_size=64), OPEN, "smaller rate"),
        (Transfer("bank", width=2, lr=1e200, penalty=1e3), None, "smaller rate"),
    ],
)
def test_steps_that_are_too_long_end_the_run_and_say_so(strategy, house, words):
    _, found = ColumnsApart(owners(), strategy, house, num_rounds=3).played()
    assert found[-1].failed is not None
    assert words in str(found[-1].failed.error)


def test_a_defence_for_other_labels_is_refused_before_anything_is_trained():
    far, found = ColumnsApart(numbers(), SplitNN("bank", defence=Marvell()), OPEN).played()
    assert "It is made for" in str(found[-1].failed.error)
    assert "activations" not in {message.kind for message in far.ledger.messages}


def test_fewer_rows_than_inputs_are_refused_at_the_owner_that_has_them():
    wide = people(60).assign(**{f"w{i}": np.random.default_rng(i).normal(size=60) for i in range(20)})
    held = {"bank": ["income", "default"], "shop": ["visits", *(f"w{i}" for i in range(20))]}
    parts = fl.split_columns(wide, id="customer", target="default", overlap=0.4, **held)
    far, found = ColumnsApart(parts, Transfer("bank")).played()
    assert found[-1].failed.party == "shop"
    assert "could be solved" in str(found[-1].failed.error)
    assert "representation pieces" not in {message.kind for message in far.ledger.messages}
