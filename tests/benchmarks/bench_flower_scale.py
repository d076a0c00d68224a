"""How the cost of a sum grows with its owners: printed to be read, never a pass or a fail.

python run.py bench flower_scale [most owners] [numbers] [repeats]

All in this process, one thread, processor time: what a party's own steps cost, without network and without Flower's
processes. fedlab_nb/flower/scale.md extrapolates from these curves.
"""

from __future__ import annotations

import os
import secrets
import statistics
import sys
import tempfile
import time
import tracemalloc
from functools import partial
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np

from fedlab_nb.crypto import BFV, CKKS, Adder, Identity, KeyHolder, Manifest, Request, Sealer, SecAgg
from fedlab_nb.crypto.masks import MaskingOwner, masked_steps, unmask
from fedlab_nb.crypto.seal import KEY_HOLDER, SERVER
from fedlab_nb.crypto.threshold import JointOwner, OpeningRequest, fuse, parameters
from fedlab_nb.flower.codec import Allowed, decode, encode
from fedlab_nb.flower.orders.line import Order, Ref, Reply
from fedlab_nb.ledger import Ledger

BOUND = 1.0
POLLS = 200
MOST_TOGETHER = 32
NODES = (10, 100, 1000)


def seconds(act):
    """The processor's seconds of one call, and what it gave."""
    began = time.process_time()
    given = act()
    return time.process_time() - began, given


def medians(runs):
    """The median of each figure over several runs, which give them by name."""
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}


def named(count):
    return [f"Owner {number}" for number in range(1, count + 1)]


def keyed(scheme, count, numbers):
    """Owners and a server with the keys of a key holder, and the sum that they agree on."""
    names, session = named(count), secrets.token_hex(16)
    holder, adder = KeyHolder(scheme, session=session), Adder()
    sealers = [Sealer(name, session=session) for name in names]
    adder.begin(session)
    everybody = {s.name: s.mailbox.public for s in sealers} | {KEY_HOLDER: holder.mailbox.public, SERVER: adder.public}
    for mailbox in (*(sealer.mailbox for sealer in sealers), holder.mailbox, adder.mailbox):
        mailbox.meet(everybody)
    adder.take_parameters(holder.parameters)
    for sealer in sealers:
        sealer.take_key(holder.public_key)
    facts = {"session": session, "round": 1, "kind": "update", "owners": tuple(names), "length": numbers}
    plan = scheme.plan(bound=BOUND, owners=count)
    return holder, adder, sealers, Manifest(**facts, plan=plan, fingerprint=holder.fingerprint)


def sealed_sum(scheme, count, numbers):
    """Microseconds of one sum under a key holder's key, by party; the peak of the server's memory in envelopes."""
    holder, adder, sealers, manifest = keyed(scheme, count, numbers)
    vector = np.random.default_rng(0).uniform(-BOUND, BOUND, numbers)
    seal, made = seconds(lambda: [sealer.seal(vector, manifest) for sealer in sealers])
    written = [encode(Reply(1, "p", (item,)), Allowed()) for item in made]
    tracemalloc.start()
    read, replies = seconds(lambda: [decode(data, Allowed()) for data in written])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    came = [reply.values[0] for reply in replies]
    add, (total,) = seconds(lambda: adder.add(came, manifest, to=(KEY_HOLDER,)))
    request = Request.of(came, total)
    pairs = list(zip(sealers, made, strict=True))
    vouch, said = seconds(lambda: [sealer.vouch(request, manifest, item) for sealer, item in pairs])
    witnesses = {sealer.name: one for sealer, one in zip(sealers, said, strict=True)}
    opened, summed = seconds(lambda: holder.open(total, manifest, request, witnesses))
    if not np.array_equal(summed, count * manifest.plan.grid(vector)):
        raise AssertionError(f"{scheme.name} did not give the sum")
    each = 1e6 / count
    return {
        "owner: seal": seal * each,
        "owner: vouch": vouch * each,
        "server: read a reply": read * each,
        "server: add one": add * each,
        "key holder: open": opened * each,
        "server: peak, envelopes": (sum(map(len, written)) + peak) / sum(item.nbytes for item in made),
    }


def masked_sum(count, numbers):
    """Microseconds of one sum under masks, of one owner for each other owner, and of the server for each owner."""
    names, occasion = named(count), {"session": b"bench", "context": "update of round 1"}
    identities = {name: Identity() for name in names}
    public, scheme = {name: identity.public for name, identity in identities.items()}, SecAgg()
    needed, plan = scheme.needed(count), scheme.plan(bound=BOUND, owners=count)
    owners = {name: MaskingOwner(name, identity, **occasion) for name, identity in identities.items()}
    vector = np.random.default_rng(0).uniform(-BOUND, BOUND, numbers)
    adverts = {name: owner.advertise() for name, owner in owners.items()}
    share, shares = seconds(lambda: {n: owner.share(adverts, public, needed) for n, owner in owners.items()})
    received = {name: {by: given[name] for by, given in shares.items() if by != name} for name in names}
    mask, masked = seconds(lambda: {n: masked_steps(owners[n], vector, plan, received[n]) for n in names})
    confirm, confirmed = seconds(lambda: {name: owner.confirm(names) for name, owner in owners.items()})
    reveal, revealed = seconds(lambda: {name: owner.reveal(confirmed) for name, owner in owners.items()})
    take_off, total = seconds(
        lambda: unmask(masked, adverts, revealed, needed, **occasion, names=names, identities=public)
    )
    steps = np.rint(np.ldexp(plan.grid(vector), plan.grid_bits)).astype(np.int64).astype(np.uint32)
    if not np.array_equal(total, steps * np.uint32(count)):
        raise AssertionError("masks did not give the sum")
    each = 1e6 / count**2
    return {
        "owner: share, each other": share * each,
        "owner: mask, each other": mask * each,
        "owner: confirm and reveal, each other": (confirm + reveal) * each,
        "server: take off, each owner": take_off * 1e6 / count,
    }


def joint_sum(count, numbers):
    """Milliseconds of one sum under a key that nobody holds: of one owner, and of the server."""
    scheme, names, session = CKKS(keys="threshold"), named(count), secrets.token_hex(16)
    sealers = {name: Sealer(name, session=session, own_tags=True) for name in names}
    public = {name: sealer.mailbox.public for name, sealer in sealers.items()}
    adder = Adder()
    adder.begin(session)
    for mailbox in (*(sealer.mailbox for sealer in sealers.values()), adder.mailbox):
        mailbox.meet({**public, SERVER: adder.public})

    def make_key():
        made = {n: JointOwner(n, s.mailbox.identity, session=bytes.fromhex(session)) for n, s in sealers.items()}
        commitments = {name: owner.commitment for name, owner in made.items()}
        parts = {name: owner.reveal(commitments, public) for name, owner in made.items()}
        return made, {name: owner.join(parts) for name, owner in made.items()}

    keys, (owners, joint) = seconds(make_key)
    key = joint[names[0]]
    for sealer in sealers.values():
        sealer.take_key(key.public_key)
    plan = scheme.plan(bound=BOUND, owners=count)
    facts = {"session": session, "round": 1, "kind": "update", "owners": tuple(names), "length": numbers}
    manifest = Manifest(**facts, plan=plan, fingerprint=key.fingerprint)
    made = {name: sealer.seal(np.full(numbers, 0.25), manifest) for name, sealer in sealers.items()}
    adder.take_parameters(parameters())
    total = adder.add([*made.values()], manifest, to=tuple(names))[0].chunks
    request = OpeningRequest.of(1, "update", {name: item.chunks for name, item in made.items()}, total)
    vouch, said = seconds(lambda: {n: owner.witness(request, made[n].chunks) for n, owner in owners.items()})
    take_part, openings = seconds(lambda: {n: owner.open(request, total, said) for n, owner in owners.items()})
    put_together, _ = seconds(lambda: fuse(key, request, total, openings, scale=plan.scale))
    each = 1e3 / count
    return {
        "owner: a key": keys * each,
        "owner: vouch": vouch * each,
        "owner: open": take_part * each,
        "server: put together": put_together * 1e3,
    }


def written_orders(count, numbers):
    """Microseconds and bytes of what the server writes for each owner: the order to seal, with its manifest."""
    scheme, names, allowed = CKKS(), named(count), Allowed()
    plan = scheme.plan(bound=BOUND, owners=count)
    facts = {"session": "0" * 32, "round": 1, "kind": "update", "owners": tuple(names), "length": numbers}
    manifest = Manifest(**facts, plan=plan, fingerprint="0" * 16)
    ledger = Ledger()
    write, orders = seconds(
        lambda: [encode(Order(1, Ref(1), encode([[Ref(2), manifest], {}], allowed)), allowed) for _ in names]
    )
    read, _ = seconds(lambda: [decode(order, allowed) for order in orders])
    said = {name: secrets.token_bytes(56) for name in names}
    tracemalloc.start()
    posted, _ = seconds(lambda: [ledger.post(1, name, SERVER, "witness", told) for name, told in said.items()])
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    each = 1e6 / count
    return {
        "server: write an order": write * each,
        "owner: read it": read * each,
        "bytes of an order": len(orders[0]),
        "server: a message in the ledger": posted * each,
        "bytes of a message in memory": kept / count,
    }


def polls(count, folder):
    """Microseconds of SuperLink's state for a poll that finds nothing and for a heartbeat, ``count`` nodes known."""
    from flwr.server.superlink.linkstate import LinkStateFactory
    from flwr.supercore.object_store import ObjectStoreFactory
    from flwr.supercore.primitives.asymmetric import generate_key_pairs, sign_message, verify_signature
    from flwr.superlink.federation import NoOpFederationManager

    place = str(Path(folder) / f"{count}.db")
    state = LinkStateFactory(place, NoOpFederationManager(), ObjectStoreFactory(place)).state()
    nodes = [state.create_node("lab", "lab", number.to_bytes(8, "big"), 30.0) for number in range(count)]
    for node in nodes:
        state.activate_node(node, 30.0)
    asked = [nodes[at % count] for at in range(POLLS)]
    ask, _ = seconds(lambda: [state.get_message_ins(node, 1) for node in asked])
    beat, _ = seconds(lambda: [state.acknowledge_node_heartbeat(node, 30.0) for node in asked])
    private, public = generate_key_pairs()
    signature = sign_message(private, b"2026-01-01T00:00:00")
    check, _ = seconds(lambda: [verify_signature(public, b"2026-01-01T00:00:00", signature) for _ in asked])
    each = 1e6 / POLLS
    return {"state: a poll": ask * each, "state: a heartbeat": beat * each, "check who asks": check * each}


def curve(title, act, counts, repeats):
    """One table: a line a number of owners, each figure the median of runs by turns."""
    runs = {count: [] for count in counts}
    for _ in range(repeats):
        for count in counts:
            runs[count].append(act(count))
    found = {count: medians(each) for count, each in runs.items()}
    heads = [*found[counts[0]]]
    yield title
    yield "  ".join(["owners", *heads])
    for count, row in found.items():
        yield "  ".join([str(count).rjust(6), *(f"{row[head]:,.1f}".rjust(len(head)) for head in heads)])
    yield ""


def tables(most, numbers, repeats):
    """All tables, line by line."""
    counts = [count for count in (4, 8, 16, 32, 64, 128, 256) if count <= most]
    yield f"{numbers:,} numbers, {repeats} runs by turns, {os.cpu_count()} cores; processor time, microseconds.\n"
    for scheme in (CKKS(), CKKS(complex_slots=True), BFV()):
        yield from curve(scheme.name, partial(sealed_sum, scheme, numbers=numbers), counts, repeats)
    yield from curve("masks (SecAgg)", partial(masked_sum, numbers=numbers), counts, repeats)
    few = [count for count in counts if count <= MOST_TOGETHER]
    yield from curve("threshold, milliseconds", partial(joint_sum, numbers=numbers), few, repeats)
    yield from curve("orders and ledger", partial(written_orders, numbers=numbers), counts, repeats)
    try:
        with tempfile.TemporaryDirectory() as folder:
            yield from curve("SuperLink's state (SQLite)", partial(polls, folder=folder), NODES, 1)
    except ImportError as missing:
        yield f"SuperLink's state was not measured: {missing}"


def main(most: int = 64, numbers: int = 100_000, repeats: int = 3) -> None:
    """Print the tables."""
    for line in tables(most, numbers, repeats):
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:4]))
