"""A party that does not keep to the protocol: it is named, or what it sent is refused by whoever it was for."""

import re
from dataclasses import replace

import numpy as np
import pytest

from fedlab_nb.channel import Opaque
from fedlab_nb.crypto import Identity
from fedlab_nb.crypto.seal import SERVER
from fedlab_nb.errors import RoundError
from fedlab_nb.flower.codec import Allowed, encode
from fedlab_nb.flower.columns.parcel import Facts, Parcel, Seals
from fedlab_nb.flower.columns.talk import Delivery
from tests.flower.columns.attacked import FIRST, SECOND, Attacked, Once, lying, refused, with_facts

__all__ = ["lying"]
DATA = Allowed(work=frozenset(), helpers=frozenset())
THEIRS = {"kind": "masked ids", "sender": SECOND, "to": FIRST}

FACTS = {
    "a place that is another's": ({"index": 1}, "From 'owner 1' to 'owner 0' came message 1,"),
    "a place that is to come": ({"index": 10**6}, "From 'owner 1' to 'owner 0' came message 1000000"),
    "to itself": ({"to": SECOND}, "'owner 1' sent what is no reply"),
    "to a stranger": ({"to": "owner 7"}, "'owner 1' sent what is no reply"),
    "to a party of other runs": ({"to": "key holder"}, "'owner 1' sent what is no reply"),
    "from another": ({"sender": FIRST}, "'owner 1' sent what is no reply"),
    "from the server": ({"sender": SERVER}, "'owner 1' sent what is no reply"),
    "more bytes than there are": ({"nbytes": 10**9}, "'owner 1' sent what is no reply"),
    "fewer bytes than none": ({"nbytes": -1}, "'owner 1' sent what is no reply"),
    "no number of bytes": ({"plain_nbytes": "8"}, "'owner 1' sent what is no reply"),
    "no round": ({"number": None}, "'owner 1' sent what is no reply"),
    "a shape of text": ({"shape": ("a",)}, "'owner 1' sent what is no reply"),
    "a note that is none": ({"note": b"note"}, "'owner 1' sent what is no reply"),
}


@pytest.mark.parametrize("what", FACTS)
def test_who_says_something_untrue_of_a_message_is_named(what):
    changes, words = FACTS[what]
    apart = Attacked()
    apart.to_server = lie = Once(with_facts(**changes), **THEIRS)
    error, _ = refused(apart, words)
    assert lie.told
    assert isinstance(error, RoundError)
    assert error.party == SECOND


WRONG = {
    "another round": ({"number": 3}, "got 'masked ids' of round 3"),
    "another kind": ({"kind": "task"}, "got 'task' of round 1"),
}


@pytest.mark.parametrize("what", WRONG)
def test_who_sends_what_belongs_elsewhere_is_named_by_its_receiver(what):
    changes, words = WRONG[what]
    apart = Attacked()
    apart.to_server = lie = Once(with_facts(**changes), **THEIRS)
    refused(apart, f"'owner 0' was to get 'masked ids' from 'owner 1' in round 1, and {words}")
    assert lie.told


SEALED_LIES = {
    "fewer bytes": {"nbytes": 7},
    "fewer numbers": {"plain_nbytes": 8},
    "readable": {"readable": True},
    "another shape": {"shape": (3,)},
    "another note": {"note": "a score"},
}


@pytest.mark.parametrize("what", SEALED_LIES)
def test_who_seals_something_untrue_with_a_message_is_refused_by_its_receiver(what, monkeypatch):
    true, told = Facts.of.__func__, []

    def of(cls, payload, number, sender, to, kind, index):
        facts = true(cls, payload, number, sender, to, kind, index)
        if (sender, kind) != (SECOND, "residual pieces") or told:
            return facts
        told.append(1)
        return replace(facts, **SEALED_LIES[what])

    monkeypatch.setattr(Facts, "of", classmethod(of))
    refused(Attacked(), "'owner 0' refuses 'residual pieces' from 'owner 1': it is")
    assert told


def header(payload, **changes):
    return replace(payload, header=replace(payload.header, **changes))


PAYLOADS = {
    "text": ("residual pieces", lambda _: "pieces"),
    "numbers": ("residual pieces", lambda _: np.zeros(9)),
    "other bytes": ("residual pieces", lambda _: b"0" * 64),
    "something opaque": ("residual pieces", lambda _: Opaque(b"0" * 64, "pieces")),
    "an envelope with a ciphertext less": ("residual pieces", lambda s: replace(s, chunks=s.chunks[1:])),
    "an envelope of garbage": ("residual pieces", lambda s: replace(s, chunks=tuple(bytes(len(c)) for c in s.chunks))),
    "an envelope of nothing": ("residual pieces", lambda s: replace(s, chunks=())),
    "an envelope without a mark": ("residual pieces", lambda s: replace(s, mac=bytes(32))),
    "an envelope of another round": ("residual pieces", lambda s: header(s, round=2)),
    "an envelope for another": ("residual pieces", lambda s: header(s, receiver="owner 7")),
    "ids that are none": ("masked ids", lambda s: replace(s, data=b"\xff" * len(s.data))),
    "half of an id": ("masked ids", lambda s: replace(s, data=s.data[:-7])),
    "a key that is none": ("public key", lambda _: b"0" * 99),
    "no reach": ("reach of partial scores", lambda _: "far"),
    "a reach of two": ("reach of partial scores", lambda _: np.ones(7)),
    "no partial score": ("partial score", lambda _: "score"),
    "a partial score less": ("partial score", lambda found: found[:-1]),
}


@pytest.mark.parametrize("what", PAYLOADS)
def test_another_payload_than_belongs_there_fails_the_round(what, lying):
    kind, lie = PAYLOADS[what]
    told = lying(SECOND, kind, lambda number, to, said, payload: [(number, to, said, lie(payload))])
    error, _ = refused(Attacked(), "owner")
    assert told
    assert "Traceback" not in str(error)


UNREAL = {
    "a list": lambda _: [1.0, 2.0],
    "a number": lambda _: 3.0,
    "a dictionary": lambda _: {"rows": 3},
    "an order": lambda _: Delivery(1, ""),
    "bytes that are no message": None,
}


@pytest.mark.parametrize("what", UNREAL)
def test_what_is_no_payload_is_refused_and_its_sender_named(what, monkeypatch):
    told = []

    def packed(self, number, to, kind, payload):
        if (self.name, kind) != (SECOND, "residual pieces") or told:
            return honest(self, number, to, kind, payload)
        told.append(1)
        whole = honest(self, number, to, kind, payload)
        body = bytes(whole.facts.nbytes) if UNREAL[what] is None else encode([UNREAL[what](0), bytes(20_000)], DATA)
        return Parcel(whole.facts, sealed_anew(self, whole.facts, body))

    honest = Seals.pack
    monkeypatch.setattr(Seals, "pack", packed)
    refused(Attacked(), "'owner 0' refuses 'residual pieces' from 'owner 1': it is")
    assert told


def sealed_anew(seals, facts, body):
    """Sealed as its sender seals it."""
    cipher = seals._cipher(seals.name, facts.to, facts.to)
    body += bytes(max(facts.nbytes - len(body), 0))
    return cipher.encrypt(facts.index.to_bytes(12, "big"), body, encode(facts, DATA))


UNREAD = {
    "masked ids": (SECOND, "ids"),
    "identity": (SECOND, "me"),
    "number of inputs": (SECOND, "four"),
    "task": (FIRST, np.zeros(3)),
    "score": (FIRST, "good"),
}


@pytest.mark.parametrize("kind", UNREAD)
def test_who_sends_the_server_another_kind_of_thing_is_named(kind, lying):
    name, payload = UNREAD[kind]
    told = lying(name, kind, lambda number, to, said, _: [(number, to, said, payload)], to=SERVER)
    error, _ = refused(Attacked(), f"From {name!r} to 'server' came a")
    assert told
    assert error.party == name


def test_what_fails_at_the_server_for_what_a_party_sent_fails_the_round_and_not_its_process(lying):
    told = lying(SECOND, "number of inputs", lambda number, to, kind, _: [(number, to, kind, np.zeros((2, 2)))])
    error, _ = refused(Attacked(), "The server's own step failed with")
    assert told
    assert (error.party, error.stage) == (SERVER, "numbers of inputs")


@pytest.mark.parametrize("kind", ["masked ids", "residual pieces", "partial score"])
def test_two_messages_where_one_belongs_name_who_sent_them(kind, lying):
    told = lying(SECOND, kind, lambda *one: [one, one])
    error, _, _ = Attacked().outcome()
    assert told
    assert re.search("[Ff]rom 'owner 1'.*(came|got) '" + kind, str(error)), str(error)


def test_a_message_too_many_at_the_very_end_is_no_good_end(lying):
    one_round = Attacked(num_rounds=1)
    told = lying(SECOND, "partial score", lambda *one: [one, one])
    error, _, _ = one_round.outcome()
    assert told
    assert "'owner 0' got 'partial score' from 'owner 1', and nothing was to come any more" in str(error)


@pytest.mark.parametrize("kind", ["masked ids", "residual pieces", "partial score"])
def test_a_message_that_never_comes_fails_the_round(kind, lying):
    told = lying(SECOND, kind, lambda *_: [])
    refused(Attacked(), "")
    assert told


NOTHING = Facts(1, SECOND, FIRST, "x", 0, 0, 0, True, (), "")


def framing(_):
    return RoundError(FIRST, "protocol", "owner 0 lies.", "It cannot be trusted.", "Leave it out.")


RETURNS = {
    "no message": lambda _: b"garbage",
    "nothing": lambda _: b"",
    "a list": lambda _: encode([1, 2], DATA),
    "a delivery": lambda back: Delivery(back.serial, ""),
    "no process": lambda back: replace(back, process=7),
    "no number": lambda back: replace(back, serial="2"),
    "another trip": lambda back: replace(back, serial=back.serial + 1),
    "no parcels": lambda back: replace(back, parcels=7),
    "parcels that are none": lambda back: replace(back, parcels=(3,)),
    "facts that are none": lambda back: replace(back, parcels=(Parcel(None, b""),)),
    "a body that is none": lambda back: replace(back, parcels=(Parcel(NOTHING, "a"),)),
    "no signatures": lambda back: replace(back, vouched=7),
    "signatures that are none": lambda back: replace(back, vouched={"0": 3}),
    "no identity": lambda back: replace(back, public="me"),
    "an error that is none": lambda back: replace(back, error="error"),
    "the blame on another": lambda back: replace(back, error=framing(back)),
    "an error without words": lambda back: replace(back, error=wordless()),
}


def wordless():
    error = framing(None)
    del error.what
    return error


@pytest.mark.parametrize("serial", [1, 3])
@pytest.mark.parametrize("what", RETURNS)
def test_who_sends_back_what_is_no_reply_is_named_and_nobody_else(what, serial):
    apart, told = Attacked(), []

    def lie(name, back):
        if (name, back.serial) != (SECOND, serial):
            return back
        told.append(1)
        return RETURNS[what](back)

    apart.to_server = lie
    error, _ = refused(apart, "")
    assert told
    assert isinstance(error, RoundError)
    assert error.party == SECOND


INTRODUCTIONS = {
    "nothing": lambda _: None,
    "another's name": lambda who: replace(who, name=FIRST),
    "a name that nobody has": lambda who: replace(who, name="owner 7"),
    "no columns": lambda who: replace(who, schema=None),
    "no share of rows": lambda who: replace(who, held_out=2.0),
    "no content": lambda who: replace(who, content="rows"),
    "no account": lambda who: replace(who, statement=None),
    "something else": lambda _: 3,
}


@pytest.mark.parametrize("what", INTRODUCTIONS)
def test_who_does_not_say_who_it_is_is_named_before_anybody_is_told_of_it(what):
    apart, heard = Attacked(), []
    apart.to_site = lambda name, said: heard.append(said.serial) or said
    apart.to_server = lambda name, back: (
        replace(back, introduction=INTRODUCTIONS[what](back.introduction)) if name == SECOND else back
    )
    error, _ = refused(apart, "'owner 1' sent")
    assert error.party == SECOND
    assert set(heard) == {1}


def test_who_shows_an_identity_that_it_did_not_sign_is_met_by_nobody():
    apart = Attacked()
    apart.to_server = lambda name, back: (
        replace(back, public=Identity().public) if (name, back.serial) == (SECOND, 1) else back
    )
    refused(apart, "'owner 1' that it did not sign")


def test_nobody_signs_for_another():
    """A signature in another's name is not passed on, and so takes no effect."""
    apart, seen = Attacked(), []
    apart.to_server = lambda name, back: (
        replace(back, vouched={**back.vouched, "0" * 64: (FIRST, b"s" * 64)}) if name == SECOND else back
    )
    apart.to_site = lambda name, said: seen.extend(said.vouched) or said
    assert apart.outcome()[0] is None
    assert seen
    assert "0" * 64 not in seen
