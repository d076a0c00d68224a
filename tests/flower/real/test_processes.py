"""A SuperLink, three owners and a key holder, each in processes of its own: the same run, and no wall is crossed.

What cannot be seen from one process is seen here; everything else about such runs is in the tests beside.
"""

import os
import signal
import socket
import sys
from contextlib import contextmanager

import numpy as np
import pytest

import fedlab_nb as fl
from fedlab_nb.flower.deploy.guard.tree import lives
from tests.flower.deploy.common import until, with_flower
from tests.flower.real.capture import Capture
from tests.flower.real.common import STRATEGY, Lab, federation, frames, private
from tests.flower.real.memory import Needles

pytestmark = [with_flower, pytest.mark.slow]
LINUX = sys.platform == "linux"


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """Started once; afterwards no process of it is left, and no file."""
    with pytest.MonkeyPatch.context() as patch:
        lab = Lab(tmp_path_factory.mktemp("real"), patch)
        try:
            yield lab
            lab.note()
        finally:
            lab.close()
        assert until(lambda: not any(map(lives, lab.seen)), 30.0)
        assert len(lab.seen) > 12
        assert [path for path in lab.temporary.rglob("*") if not path.is_dir()] == []
        assert {path.name for path in lab.temporary.iterdir()} <= {f"fedlab-{os.getuid()}"}


@contextmanager
def captured():
    """A capture, or None where this user may not look at the network."""
    try:
        capture = Capture().__enter__()
    except (AttributeError, OSError):
        capture = None
    if capture is None:
        yield None
        return
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as sender:
        sender.sendall(frames()[0].to_numpy()[:, :2].astype(np.float64).tobytes())
    try:
        yield capture
    finally:
        capture.__exit__()


@pytest.fixture(scope="module")
def clean(lab):
    """A run without any fault, held up once in its second round, and what was seen there and on the way."""
    gate = lab.gate(1, 2).shut()
    with captured() as capture:
        number = lab.begin()
        owner = gate.reached()
        lab.note(owner)
        seen = looked_at(lab, number, owner) if LINUX else {}
        gate.open()
        run = lab.watch(number)
        history = run.wait()
    return run, history, seen, capture


def looked_at(lab, number, owner):
    """How many private values, and words of the secret key, the memory of each process holds in mid-round."""
    holder, server = lab.party("key-holder", number), lab.server()
    lab.note(holder, server)
    seed, words = lab.secret()
    secret, own = Needles([words.tobytes()], [seed]), private()
    pids = {"owner": owner, "key holder": holder, "server": server}
    pids |= {name: pid for name in ("superlink", "superexec") for pid in lab.rehearsal.loopback.pids()[name][:1]}
    return {name: (own.found_at(pid), secret.found_at(pid)) for name, pid in pids.items()}


def test_weights_and_ledger_equal_those_of_the_notebook_bit_for_bit(clean):
    run, history, _, _ = clean
    here = federation()
    expected = list(fl.rounds(here, STRATEGY, num_rounds=2))
    assert [record.failed for record in history] == [None, None]
    for one, other in zip(history, expected, strict=True):
        assert np.array_equal(one.state.weights["server"], other.state.weights["server"])
        assert one.cohort == other.cohort
    there = run._worker.federation.ledger
    assert there.verify()
    assert [crossing(m) for m in there.messages] == [crossing(m) for m in here.ledger.messages]
    assert len(there.messages) == 60


def crossing(message):
    """Who sent what to whom, and how large; public keys are packed, each a little differently."""
    size = None if message.kind == "public key" else message.nbytes
    return message.round, message.sender, message.receiver, message.kind, message.encrypted, size


def test_the_run_is_finished_and_can_be_seen_again(lab, clean):
    run, history, _, _ = clean
    assert run.snapshot().state == "finished"
    assert lab.rehearsal.control.status(run.number).state == "completed"
    again = lab.rehearsal.attach(run.number)
    for one, other in zip(again.wait(), history, strict=True):
        assert np.array_equal(one.state.weights["server"], other.state.weights["server"])
        assert (one.number, one.traffic, one.seconds) == (other.number, other.traffic, other.seconds)
    digests = [[m.digest for m in each._worker.federation.ledger.messages] for each in (run, again)]
    assert digests[0] == digests[1]


@pytest.mark.skipif(not LINUX, reason="looks into /proc")
def test_the_servers_memory_holds_no_private_value_and_no_secret_key(clean):
    _, _, seen, _ = clean
    rows, keys = ({name: counts[at] for name, counts in seen.items()} for at in (0, 1))
    # The search finds what is there: an owner has its rows, and the key holder its key.
    assert rows.pop("owner") > 100
    assert keys.pop("key holder") > 1000
    assert rows == dict.fromkeys(("key holder", "server", "superlink", "superexec"), 0)
    assert keys == dict.fromkeys(("owner", "server", "superlink", "superexec"), 0)


def test_what_crosses_the_network_shows_no_private_value_and_between_sites_no_model(lab, clean):
    _, history, _, capture = clean
    if capture is None:
        pytest.skip("this user may not look at the network")
    assert capture.missed == 0
    own, (seed, words) = private(), lab.secret()
    everything = capture.flows()
    # The first row of numbers was sent in the clear by this test itself, and is seen.
    assert [own.found_in(flow, step=1) > 0 for flow in everything].count(True) == 1
    secret = Needles([words.tobytes()], [seed])
    assert not any(secret.found_in(flow, step=1) for flow in everything)
    between = capture.flows(int(lab.rehearsal.loopback.address.rpartition(":")[2]))
    assert sum(map(len, between)) > 1_000_000
    model = [record.state.weights["server"] for record in history]
    sent = Needles([w.tobytes() for w in model] + [pairs.tobytes() for w in model for pairs in in_pairs(w)])
    assert not any(sent.found_in(flow, step=1) for flow in between)


def in_pairs(weights):
    """Neighbours of a model as it is sent, in 32 bits."""
    packed = weights.astype(np.float32)
    return [packed[at : at + (packed.size - at) // 2 * 2] for at in (0, 1)]


def test_a_killed_process_a_hanging_site_and_a_new_superlink(lab):
    killed, held, hanging = lab.gate(2, 2).shut(), lab.gate(1, 3).shut(), lab.gate(3, 4).shut()
    number = lab.begin(patient=True, patience=60.0)
    pid = killed.reached()
    assert pid == lab.party("owner-2", number)
    lab.note(pid)
    os.kill(pid, signal.SIGKILL)
    killed.open()
    lab.note(held.reached())
    lab.rehearsal.loopback.restart_superlink(suddenly=True)
    held.open()
    lab.note(hanging.reached())
    lab.rehearsal.loopback.pause("owner-3")
    hanging.open()
    assert lab.has_played(number, 4)
    lab.rehearsal.loopback.resume("owner-3")
    run = lab.watch(number, patient=True)
    history = run.wait()
    assert [record.failed for record in history] == [None] * 4
    lost = [[failure.party for failure in record.lost] for record in history]
    assert lost == [[], ["Owner 2"], [], ["Owner 3"]]  # who has started again takes part in the next round
    said = [failure.error.what for record in history for failure in record.lost]
    assert "ended while it worked" in said[0]
    # Whichever is first: the server's patience, or Flower, which misses signs of life after 30 to 60 seconds.
    assert said[1].startswith(("'Owner 3' sent nothing back in time", "'Owner 3' could not answer: Error: Node Unav"))
    assert lab.rehearsal.control.status(run.number).state == "completed"
    assert run._worker.federation.ledger.verify()
