"""A server that does not keep to the protocol: whatever it changes, owners refuse it, and nothing comes of it."""

import importlib
from dataclasses import replace

import numpy as np
import pytest

from fedlab_nb.channel.traffic import joined, parted
from fedlab_nb.crypto import Identity
from fedlab_nb.crypto.identity import PUBLIC_BYTES
from fedlab_nb.crypto.psi import points_in
from fedlab_nb.crypto.seal import SERVER
from fedlab_nb.flower.codec import Allowed, decode, encode
from fedlab_nb.flower.columns.parcel import Facts, Parcel
from fedlab_nb.flower.columns.talk import Delivery, read_delivery, read_return, written
from tests.flower.columns.attacked import FIRST, SECOND, WITH_HOLDER, Attacked, Once, in_place, refused, with_facts

DATA = Allowed(work=frozenset(), helpers=frozenset())
SEALED = {"kind": "residual pieces", "to": SECOND}
OWN = {"sender": SERVER, "to": SECOND}


def flipped(parcel):
    return replace(parcel, body=parcel.body[:-40] + bytes([parcel.body[-40] ^ 1]) + parcel.body[-39:])


def swapped(parcels, place):
    """This parcel and the next one, each in the other's place."""
    if len(parcels) < 2:
        return None
    first, second = parcels[:2]
    return [second, first, *parcels[2:]]


def exchanged(parcels, place):
    """Each body under the other's facts."""
    if len(parcels) < 2:
        return None
    one, two = parcels[:2]
    return [replace(one, body=two.body), replace(two, body=one.body), *parcels[2:]]


def twice(parcels, place):
    return [*parcels[: place + 1], *parcels[place:]]


def without(parcels, place):
    return [*parcels[:place], *parcels[place + 1 :]]


def own(kind, change):
    """The server's own message, made as it makes them, of another payload."""

    def changed(parcel):
        facts, payload = parcel.facts, change(decode(parcel.body, DATA))
        true = Facts.of(payload, facts.number, facts.sender, facts.to, facts.kind, facts.index)
        return Parcel(true, encode(payload, DATA))

    return Once(in_place(changed), kind=kind, **OWN)


PARCELS = {
    "a byte of what is sealed": (Once(in_place(flipped), **SEALED), "it is not as its sender sealed it"),
    "two that change places": (Once(swapped, to=SECOND, sender=FIRST), "was to get"),
    "two that change contents": (Once(exchanged, to=SECOND, sender=FIRST), "not as its sender sealed it"),
    "one that comes twice": (Once(twice, **SEALED), "was to get"),
    "ids that come twice": (Once(twice, kind="masked ids", to=SECOND), "was to get"),
    "one that is kept back": (Once(without, **SEALED), "was to get"),
    "a later one that is kept back": (Once(without, kind="reach of partial scores", to=FIRST), "came nothing, and"),
    "another round": (Once(with_facts(number=2), **SEALED), "was to get"),
    "another kind": (Once(with_facts(kind="padded gradient"), **SEALED), "was to get"),
    "another place in the order": (Once(with_facts(index=9), **SEALED), "number 9 of its sender"),
    "another receiver": (Once(with_facts(to=FIRST), **SEALED), "number"),
    "another sender": (Once(with_facts(sender="key holder"), **SEALED), "was to get"),
    "fewer bytes": (Once(with_facts(nbytes=7), **SEALED), "not as its sender sealed it"),
    "more bytes than there are": (Once(with_facts(nbytes=10**9), **SEALED), "is none"),
    "fewer numbers": (Once(with_facts(plain_nbytes=8), **SEALED), "not as its sender sealed it"),
    "another shape": (Once(with_facts(shape=(1, 2)), **SEALED), "not as its sender sealed it"),
    "readable": (Once(with_facts(readable=True), **SEALED), "not as its sender sealed it"),
    "another note": (Once(with_facts(note="nothing"), **SEALED), "not as its sender sealed it"),
    "no payload": (Once(in_place(lambda p: replace(p, body=b"{" * 9000)), kind="ids in common", **OWN), "no payload"),
    "another size of its own": (Once(with_facts(nbytes=8), kind="ids in common", **OWN), "not what was said of it"),
    "an object": (own("ids in common", lambda _: "all of them"), "no comparison of lists gives"),
    "places that are not there": (own("ids in common", lambda found: found + 1e6), "no comparison of lists gives"),
    "no identity of one": (
        own("identities", lambda told: joined({SECOND: parted(told, PUBLIC_BYTES)[SECOND]})),
        "owner",
    ),
    "no identities": (own("identities", lambda _: b""), "owner 1"),
    "half of an identity": (own("identities", lambda told: told[:-9]), "do not divide into parts of 64 bytes"),
    "an identity of its own": (
        own("identities", lambda told: joined({**parted(told, PUBLIC_BYTES), FIRST: Identity().public})),
        "a key of 'owner 0' that it did not sign",
    ),
    "identities that change places": (
        own(
            "identities",
            lambda told: joined(dict(zip([SECOND, FIRST], parted(told, PUBLIC_BYTES).values(), strict=True))),
        ),
        "that it did not sign",
    ),
}


@pytest.mark.parametrize("what", PARCELS)
def test_what_the_server_passes_on_changed_is_refused(what):
    lie, words = PARCELS[what]
    lie.told = False
    apart = Attacked()
    apart.to_site = lie
    refused(apart, words)
    assert lie.told


def stale(kind):
    """A parcel of an earlier run between the same parties under the same agreement."""
    before, kept = Attacked(), []
    before.to_site = lambda name, said: kept.extend(p for p in said.parcels if name == SECOND) or said
    assert before.outcome()[0] is None
    return before, next(parcel for parcel in kept if parcel.facts.kind == kind)


@pytest.mark.parametrize("kind", ["masked ids", "residual pieces", "public key"])
def test_a_parcel_of_an_earlier_run_of_the_same_agreement_is_refused(kind):
    before, old = stale(kind)
    apart = Attacked()
    for name, trust in before.trusts.items():
        apart.sites[name]._trust, apart.trusts[name] = trust, trust
    apart.to_site = lie = Once(in_place(lambda _: old), kind=kind, to=SECOND)
    refused(apart, "not as its sender sealed it")
    assert lie.told


def test_a_server_that_lets_all_rounds_begin_at_once_changes_nothing():
    known, hasty = Attacked(), Attacked()
    hasty.to_site = lambda _, said: replace(said, allowed=1 + said.serial)
    one, other = known.outcome(), hasty.outcome()
    assert (one[0], other[0]) == (None, None)
    assert [r.metrics for r in one[2]] == [r.metrics for r in other[2]]
    assert len(one[1].ledger.messages) == len(other[1].ledger.messages)


GARBAGE = {
    "no message": b"garbage",
    "nothing": b"",
    "a list": encode([1, 2], DATA),
    "an answer": lambda d: encode(replace(d, serial="2"), DATA),
    "no number": lambda d: encode(replace(d, serial=2.0), DATA),
    "no rounds": lambda d: encode(replace(d, allowed=None), DATA),
    "no parcels": lambda d: encode(replace(d, parcels=3), DATA),
    "parcels that are none": lambda d: encode(replace(d, parcels=("masked ids",)), DATA),
    "facts that are none": lambda d: encode(replace(d, parcels=(Parcel({"sender": FIRST}, b""),)), DATA),
    "a sender that is none": lambda d: encode(
        replace(d, parcels=(Parcel(Facts(1, [], SECOND, "task", 0, 1, 1, True, (1,), ""), b"x"),)), DATA
    ),
    "no signatures": lambda d: encode(replace(d, vouched={"a": 3}), DATA),
    "no identities": lambda d: encode(replace(d, identities={FIRST: "0"}), DATA),
    "numbers as a roster": lambda d: encode(replace(d, roster=np.zeros(3)), DATA),
}


@pytest.mark.parametrize("what", GARBAGE)
@pytest.mark.parametrize("serial", [2, 4])
def test_bytes_that_are_no_delivery_end_the_run_and_not_the_process(what, serial):
    garbage, apart = GARBAGE[what], Attacked()
    inner, site = apart.sites[SECOND].answer, apart.sites[SECOND]

    def answer(data):
        said = read_delivery(data)
        if said.serial != serial:
            return inner(data)
        return inner(garbage if isinstance(garbage, bytes) else garbage(said))

    site.answer = answer
    refused(apart, "")
    before = apart.spent()
    later = read_return(inner(written(Delivery(site._serial + 1, site.process, allowed=9))))
    assert later.error is not None
    assert later.parcels == ()
    assert apart.spent() == before


TRIPS = {"one is left out": 1, "many are left out": 9}


@pytest.mark.parametrize("what", TRIPS)
def test_a_trip_that_is_left_out_ends_the_run(what):
    apart = Attacked()
    apart.to_site = lambda name, said: (
        replace(said, serial=said.serial + TRIPS[what]) if name == SECOND and said.serial > 3 else said
    )
    refused(apart, "'owner 1' was at trip 3, and was sent trip")


def test_after_a_refusal_nothing_more_is_done_whatever_the_server_sends():
    apart = Attacked(WITH_HOLDER)
    honest, apart.to_site = [], Once(in_place(flipped), **SEALED)
    refused(apart, "not as its sender sealed it")
    site, before = apart.sites[SECOND], apart.spent()
    for _ in range(3):
        answer = read_return(site.answer(written(Delivery(site._serial + 1, site.process, allowed=2))))
        honest.append((answer.parcels, answer.vouched, str(answer.error)))
    assert [each[:2] for each in honest] == [((), {})] * 3
    assert all("not as its sender sealed it" in error for *_, error in honest)
    assert apart.spent() == before


def test_a_run_that_is_over_is_not_gone_on_with():
    apart = Attacked()
    assert apart.outcome()[0] is None
    site, before = apart.sites[SECOND], apart.spent()
    late = written(Delivery(site._serial + 1, site.process, allowed=99)), written(Delivery(99, site.process))
    done = [read_return(site.answer(data)) for data in late]
    assert all(answer.parcels == () and "was ended" in str(answer.error) for answer in done)
    assert apart.spent() == before


def test_a_server_that_has_one_row_scored_again_and_again_is_refused(monkeypatch):
    align = importlib.import_module("fedlab_nb.vertical.align")
    inner = align._in_common

    def repeated(lists):
        found, points = inner(lists), {n: points_in(c.data, sender=s) for n, (c, s) in lists.items()}
        one = points[FIRST][int(found[FIRST][14])]
        return {n: np.append(found[n], np.full(400, points[n].index(one))) for n in found}

    monkeypatch.setattr(align, "_in_common", repeated)
    refused(Attacked(), "named rows in common that no comparison of lists gives")
