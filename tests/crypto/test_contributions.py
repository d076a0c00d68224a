"""Contributions that were tampered with on the way to the server, or not agreed on, are refused by name."""

import dataclasses
import hashlib

import pytest

from fedlab_nb.crypto import CKKS
from fedlab_nb.crypto.seal import KEY_HOLDER
from tests.crypto.common import NAMES, Cast, Round, scaled, vouched

A, B, C = NAMES[:3]


def payload(chunks) -> str:
    return hashlib.sha256(b"".join(chunks)).hexdigest()


def with_chunks(sealed, chunks, **facts):
    """An envelope with other ciphertexts, as somebody on the way makes it."""
    return dataclasses.replace(sealed, chunks=chunks, header=dataclasses.replace(sealed.header, **facts))


@pytest.mark.parametrize(
    ("match", "attack"),
    [
        ("'owner 1' sent nothing", lambda one, b: []),
        ("'owner 1' would be added more often", lambda one, b: [b, b]),
        (
            "'owner 1' would be added more often",
            lambda one, b: [b, one.cast.sealers[B].seal(one.vectors[1], one.manifest)],
        ),
        ("'owner 1' is damaged inside", lambda one, b: [with_chunks(b, scaled(one.scheme, b.chunks, 2))]),
        ("'owner 1' is damaged inside", lambda one, b: [with_chunks(b, scaled(one.scheme, b.chunks, 4))]),
        ("'owner 1' is damaged inside", lambda one, b: [with_chunks(b, b.chunks[::-1])]),
        ("'owner 1' does not hold what it says", lambda one, b: [with_chunks(b, b.chunks[:1])]),
        (
            "'owner 1' does not carry its sender's seal",
            lambda one, b: [with_chunks(b, b.chunks[::-1], payload=payload(b.chunks[::-1]))],
        ),
        (
            "'owner 1' does not carry its sender's seal",
            lambda one, b: [vouched(one.sealed[2], one.cast.sealers[C].mailbox, sender=B, inside=(B,))],
        ),
        ("'owner X' would be added more often", lambda one, b: [b, with_chunks(b, b.chunks, sender="owner X")]),
        ("'owner 1' is for 'key holder'", lambda one, b: [with_chunks(b, b.chunks, receiver=KEY_HOLDER)]),
    ],
)
def test_tampering_on_the_way_to_the_server_is_refused_by_name(one, refuses, close_tenseal, match, attack):
    a, b, c = one.sealed
    close_tenseal()
    refuses(match, one.cast.add, [a, c, *attack(one, b)], one.manifest)


def test_contributions_of_an_earlier_round_are_refused_by_name(one, refuses, close_tenseal):
    one.cast.add(one.sealed, one.manifest)
    never_taken = one.cast.seal(one.vectors, one.manifest)[1]
    now = Round(one.cast)
    a, _, c = now.sealed
    close_tenseal()
    rounds = f"round {one.manifest.round} where {now.manifest.round} was agreed on"
    refuses(f"'owner 1' has {rounds}", now.cast.server.mailbox.take, never_taken, now.manifest)
    refuses("'owner 1' has been received before", now.cast.add, [a, one.sealed[1], c], now.manifest)


def test_contributions_to_another_session_and_from_strangers_are_refused_by_name(one, refuses, close_tenseal):
    stranger = Round(Cast(one.scheme, NAMES[:3]))
    a, b, c = one.sealed
    close_tenseal()
    refuses("'owner 1' is for 'server' in session", one.cast.add, [a, stranger.sealed[1], c], one.manifest)
    take = one.cast.server.mailbox.take
    lie = vouched(stranger.sealed[1], stranger.cast.sealers[B].mailbox, session=one.cast.session)
    refuses("'owner 1' does not carry its sender's seal", take, lie, one.manifest)
    unknown = with_chunks(b, b.chunks, sender="owner X")
    refuses("'server' does not know 'owner X'", take, unknown, one.manifest)


def test_the_same_contributions_are_not_added_a_second_time(one, refuses, close_tenseal):
    one.cast.add(one.sealed, one.manifest)
    close_tenseal()
    refuses("'owner 0' has been received before", one.cast.add, one.sealed, one.manifest)


def test_owner_and_server_do_not_seal_or_add_what_was_not_agreed_on(one, refuses):
    sealer, vector = one.cast.sealers[A], one.vectors[0]
    refuses("'owner 0' was to seal", sealer.seal, vector[:-1], one.manifest)
    other = dataclasses.replace(one.manifest, fingerprint="0" * 16)
    refuses("for key 0000000000000000 were agreed on", sealer.seal, vector, other)
    refuses(
        "'owner 0' has a manifest", one.cast.add, one.sealed, dataclasses.replace(one.manifest, tensors=(("w", 1),))
    )


@pytest.mark.parametrize(
    ("facts", "match"),
    [
        ({"owners": ()}, "over 0 owners"),
        ({"owners": (A, B, A)}, "over 3 owners .*'owner 0'"),
        ({"owners": NAMES[:9]}, "over 9 owners .* and 6 more.*up to 8"),
        ({"length": 0}, "without any number"),
    ],
)
def test_a_sum_that_cannot_be_agreed_on_is_refused(one, refuses, facts, match):
    refuses(match, dataclasses.replace, one.manifest, **facts)


@pytest.mark.parametrize(
    "facts",
    [
        {"session": "0" * 32},
        {"round": 99},
        {"kind": "counts"},
        {"owners": (B, A, C)},
        {"owners": (A, B)},
        {"length": 7},
        {"plan": CKKS("deep").plan(bound=1.0, owners=8)},
        {"plan": CKKS().plan(bound=1.5, owners=8)},
        {"fingerprint": "0" * 16},
        {"tensors": (("w", 7),)},
    ],
    ids="".join,
)
def test_every_fact_of_a_sum_is_in_the_digest_that_parties_compare(one, facts):
    other = dataclasses.replace(one.manifest, **facts)
    assert other.digest != one.manifest.digest
    assert dataclasses.replace(one.manifest).digest == one.manifest.digest
