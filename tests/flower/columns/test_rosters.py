"""A server that tells a party of other parties than there are, or puts in keys of its own: nobody meets anybody."""

import hashlib
from dataclasses import replace

import pytest

from fedlab_nb.crypto import Identity
from fedlab_nb.flower.columns.talk import read_roster, written
from fedlab_nb.flower.orders.trust import fingerprint_of
from tests.flower.columns.attacked import FIRST, SECOND, Attacked, refused


def changed_roster(change):
    def lie(name, said):
        return replace(said, roster=written(change(name, read_roster(said.roster)))) if said.roster else said

    return lie


def schema_of(guest):
    return replace(guest.schema, features=guest.schema.features[1:])


def with_guest(roster, who, **changes):
    guests = tuple(replace(g, **changes) if g.name == who else g for g in roster.guests)
    return replace(roster, guests=guests)


def signed_by_the_server(name, said):
    """A key of the server's own in the place of an owner's, with a signature that looks like one."""
    if not said.roster:
        return said
    roster, key = read_roster(said.roster), Identity().public
    other = FIRST if name == SECOND else SECOND
    vouched = {**said.vouched, hashlib.sha256(key).hexdigest(): (other, b"s" * 64)}
    roster = replace(roster, publics={**roster.publics, other: key})
    return replace(said, roster=written(roster), vouched=vouched)


SWAP = {FIRST: SECOND, SECOND: FIRST}
ROSTERS = {
    "keys of its own": (signed_by_the_server, "The signature of"),
    "keys that nobody signed": (
        changed_roster(lambda n, r: replace(r, publics={**r.publics, SWAP[n]: Identity().public})),
        "that it did not sign",
    ),
    "keys that change places": (
        changed_roster(lambda n, r: replace(r, publics={SWAP[k]: v for k, v in r.publics.items()})),
        "something else of itself",
    ),
    "another owner": (
        changed_roster(lambda n, r: with_guest(r, FIRST, name="owner 7")),
        "other parties than those of the agreement",
    ),
    "an owner more": (
        changed_roster(lambda n, r: replace(r, guests=(*r.guests, replace(r.guests[0], name="owner 7")))),
        "other parties",
    ),
    "an owner twice": (changed_roster(lambda n, r: replace(r, guests=(*r.guests, r.guests[0]))), "other parties"),
    "an owner less": (changed_roster(lambda n, r: replace(r, guests=r.guests[:1])), "other parties"),
    "a party more": (
        changed_roster(lambda n, r: replace(r, publics={**r.publics, "owner 7": Identity().public})),
        "other parties",
    ),
    "a party less": (
        changed_roster(lambda n, r: replace(r, publics={n: r.publics[n]})),
        "other parties",
    ),
    "columns of its own": (
        changed_roster(lambda n, r: with_guest(r, n, schema=schema_of(r.guests[0]))),
        "something else of itself",
    ),
    "other rows held out": (changed_roster(lambda n, r: with_guest(r, n, held_out=0.5)), "something else of itself"),
    "columns of another, told to one": (
        changed_roster(lambda n, r: with_guest(r, FIRST, schema=schema_of(r.guests[0])) if n == SECOND else r),
        "not as its sender sealed it",
    ),
    "no roster": (changed_roster(lambda n, r: r.guests), "is none"),
    "guests that are none": (changed_roster(lambda n, r: replace(r, guests=("owner 0", "owner 1"))), "is none"),
    "bytes": (lambda n, said: replace(said, roster=b"roster") if said.roster else said, "could not be read"),
    "nothing": (lambda n, said: replace(said, roster=b""), "could not be read"),
}


@pytest.mark.parametrize("what", ROSTERS)
def test_another_roster_than_is_true_is_refused_before_anything_is_sent(what):
    lie, words = ROSTERS[what]
    apart = Attacked()
    apart.to_site = lie
    _, federation = refused(apart, words)
    assert {m.kind for m in federation.ledger.messages} <= {"masked ids"}
    assert all(m.payload is None for m in federation.ledger.messages)


IDENTITIES = {
    "of its own": ({FIRST: Identity().public}, "knows 'owner 0' by the identity"),
    "of a stranger": ({"owner 7": Identity().public}, "who takes no part"),
}


@pytest.mark.parametrize("what", IDENTITIES)
@pytest.mark.parametrize("serial", [1, 2, 5])
def test_other_lasting_identities_than_noted_or_shown_are_refused(what, serial):
    told, words = IDENTITIES[what]
    apart = Attacked()
    apart.trusts[SECOND]._known[FIRST] = fingerprint_of(apart.trusts[FIRST].public)
    apart.to_site = lambda name, said: (
        replace(said, identities=told) if (name, said.serial) == (SECOND, serial) else said
    )
    refused(apart, words)


def test_who_was_shown_nobodys_identity_meets_nobody():
    apart = Attacked()
    apart.to_site = lambda _, said: replace(said, identities={})
    refused(apart, "that it did not sign")
