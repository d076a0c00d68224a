"""A linkage in which an owner or the server does not keep to the protocol: it is refused, and who is meant is named."""

from dataclasses import replace

import numpy as np
import pytest

from fedlab_nb.channel import Opaque
from fedlab_nb.crypto import Identity
from fedlab_nb.crypto.linkage import FILTER_BYTES, Filters, Partner
from fedlab_nb.crypto.seal import SERVER
from fedlab_nb.flower.codec import Allowed, decode, encode
from fedlab_nb.flower.columns.parcel import Facts, Parcel
from fedlab_nb.flower.columns.talk import read_roster, written
from fedlab_nb.parties.columns.road import alignment_of
from fedlab_nb.vertical import linkage
from tests.flower.columns.attacked import Attacked, Once, in_place, lying, refused
from tests.flower.columns.linked import BANK, SHOP, STRATEGY, parts

__all__ = ["lying"]
DATA = Allowed(work=frozenset(), helpers=frozenset())
HALF, ORDER, LINKED, FILTERS = linkage.HALF, linkage.ORDER, linkage.LINKED, linkage.FILTERS


def attacked():
    return Attacked(STRATEGY, parts(80, 50), linkage=0.85)


def flipped(parcel):
    return replace(parcel, body=parcel.body[:-9] + bytes([parcel.body[-9] ^ 1]) + parcel.body[-8:])


BETWEEN = {"an identity": ("identity", SHOP), "half of the key": (HALF, BANK), "the order": (ORDER, SHOP)}


@pytest.mark.parametrize("what", BETWEEN)
def test_what_owners_send_each_other_and_the_server_changes_is_refused(what):
    kind, to = BETWEEN[what]
    other = {BANK: SHOP, SHOP: BANK}[to]
    apart = attacked()
    apart.to_site = lie = Once(in_place(flipped), kind=kind, to=to)
    refused(apart, f"'{to}' refuses {kind!r} from '{other}': it is not as its sender sealed it")
    assert lie.told


@pytest.mark.parametrize("kind", ["identity", HALF])
def test_an_identity_or_a_half_that_the_server_puts_in_the_others_place_is_refused(kind):
    """What one owner sent comes back to it as if it were from the other."""
    apart, kept = attacked(), []

    def lie(name, said):
        mine = [p for p in said.parcels if p.facts.kind == kind]
        kept.extend(mine)
        if name != BANK or not mine or len(kept) < 2:
            return said
        facts = mine[0].facts
        return replace(said, parcels=tuple(replace(kept[0], facts=facts) if p in mine else p for p in said.parcels))

    apart.to_site = lie
    refused(apart, "it is not as its sender sealed it")
    assert {p.facts.sender for p in kept} == {BANK, SHOP}


def test_identities_of_the_servers_own_are_met_by_nobody():
    """It could read the halves of the key, if owners sealed for it."""
    apart = attacked()

    def lie(name, said):
        if not said.roster:
            return said
        roster, other = read_roster(said.roster), {BANK: SHOP, SHOP: BANK}[name]
        publics = {**roster.publics, other: Identity().public}
        return replace(said, roster=written(replace(roster, publics=publics)))

    apart.to_site = lie
    _, federation = refused(apart, "that it did not sign")
    assert len(federation.ledger) == 0


def told(change):
    """Other places than the server's comparison gave, to the shop."""

    def changed(parcel):
        facts, payload = parcel.facts, change(decode(parcel.body, DATA))
        true = Facts.of(payload, facts.number, facts.sender, facts.to, facts.kind, facts.index)
        return Parcel(true, encode(payload, DATA))

    return Once(in_place(changed), kind=LINKED, sender=SERVER, to=SHOP)


NO_LINKS = "named rows in common that no comparison of lists gives"
PLACES = {
    "one row again and again": (lambda found: np.full_like(found, found[0]), NO_LINKS),
    "a row that is not there": (lambda found: np.append(found[1:], 1e6), NO_LINKS),
    "half of a row": (lambda found: found + 0.5, NO_LINKS),
    "four rows": (lambda found: found[:4], NO_LINKS),
    "a table": (lambda found: found.reshape(1, -1), NO_LINKS),
    "a number": (lambda found: found[:1].reshape(()), NO_LINKS),
    "numbers that are none": (lambda found: np.append(found[1:], np.nan), NO_LINKS),
    "text": (lambda _: "all of them", NO_LINKS),
    "a row less": (lambda found: found[:-1], "'bank' sent an order of"),
}


@pytest.mark.parametrize("what", PLACES)
def test_links_that_no_comparison_gives_are_refused(what):
    change, words = PLACES[what]
    apart = attacked()
    apart.to_site = lie = told(change)
    error, _ = refused(apart, words)
    assert lie.told
    assert "server" in str(error)


PAYLOADS = {
    "an identity that is none": (BANK, "identity", lambda _: bytes(64), "as the identity of 'bank' is none"),
    "an identity that is short": (SHOP, "identity", lambda got: got[:-1], "as the identity of 'shop' is none"),
    "an identity of text": (SHOP, "identity", lambda _: "me" * 32, "as the identity of 'shop' is none"),
    "half of the key that is not sealed": (
        BANK,
        HALF,
        lambda got: got.data,
        "as sealed by 'bank' was not sealed by it",
    ),
    "half of the key of nothing": (SHOP, HALF, lambda got: replace(got, data=b""), "as sealed by 'shop' was not"),
    "half of the key for something else": (
        SHOP,
        HALF,
        lambda _: Opaque(bytes(72), "half"),
        "as sealed by 'shop' was not sealed by it",
    ),
    "filters that are none": (BANK, FILTERS, lambda _: np.zeros(FILTER_BYTES), "From 'bank' to 'server' came a"),
    "part of a filter": (SHOP, FILTERS, lambda got: Filters(got.payload[:-1]), "from 'shop', which is no whole number"),
    "filters that are full": (BANK, FILTERS, lambda got: Filters(b"\xff" * len(got.payload)), "of 'bank' have 100% of"),
    "filters of nothing": (SHOP, FILTERS, lambda got: Filters(bytes(len(got.payload))), "no row alike by 0.85"),
    "filters of nobody": (BANK, FILTERS, lambda _: Filters(b""), "no row alike by 0.85"),
    "an order that is not sealed": (BANK, ORDER, lambda _: np.arange(9.0), "as sealed by 'bank' was not sealed by it"),
}


@pytest.mark.parametrize("what", PAYLOADS)
def test_what_an_owner_sends_that_does_not_belong_there_is_refused(what, lying):
    name, kind, lie, words = PAYLOADS[what]
    sent = lying(name, kind, lambda number, to, said, payload: [(number, to, said, lie(payload))])
    _, federation = refused(attacked(), words)
    assert sent
    assert kind == ORDER or LINKED not in {m.kind for m in federation.ledger.messages}


def test_more_filters_than_can_be_compared_are_refused_before_they_are_compared(lying, monkeypatch):
    monkeypatch.setattr(linkage, "MOST_ROWS", 100)
    sent = lying(SHOP, FILTERS, lambda n, to, said, got: [(n, to, said, Filters(got.payload * 2))])
    monkeypatch.setattr(linkage, "best_pairs", lambda *_: pytest.fail("they are compared"))
    refused(attacked(), "'shop' has more than 100 rows to be linked")
    assert sent


def without_the_first_place(plain):
    """Without the largest one it would be the order of fewer rows."""
    return plain[:4] + b"".join(plain[at : at + 4] for at in range(4, len(plain), 4) if any(plain[at : at + 4]))


ORDERS = {
    "one place twice": lambda plain: plain[:-4] + plain[-8:-4],
    "a place too few": without_the_first_place,
    "a place that is not there": lambda plain: plain[:-4] + b"\xff" * 4,
    "half of a place": lambda plain: plain[:-2],
    "nothing": lambda _: b"",
    "more to train on than there are": lambda plain: b"\xff" * 4 + plain[4:],
}


@pytest.mark.parametrize("what", ORDERS)
def test_an_order_that_is_none_is_refused_and_its_sender_named(what, monkeypatch):
    seal, sent = Partner.seal, []

    def sealed(self, data, purpose):
        if purpose != "order":
            return seal(self, data, purpose)
        sent.append(self.name)
        return seal(self, ORDERS[what](data), purpose)

    monkeypatch.setattr(Partner, "seal", sealed)
    refused(attacked(), "What 'bank' sent as the order of")
    assert sent == [BANK]


def test_an_owner_that_is_lost_while_rows_are_linked_ends_the_run():
    apart = attacked()

    def lose(name, said):
        if any(p.facts.kind == HALF for p in said.parcels):
            apart.lost.add(SHOP)
        return said

    apart.to_site = lose
    error, federation = refused(apart, "'shop'")
    assert error.party == SHOP
    assert alignment_of(federation) is None
