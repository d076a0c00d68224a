"""The group that ids are hidden in: masking commutes, foreign points are refused, masked ids tell nothing."""

import copy
import hashlib
import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nacl import bindings

from fedlab_nb.crypto.psi import POINT_BYTES, Blind, joined, points_in
from fedlab_nb.errors import EncryptionError

# A point of order 8, and one that is no point at all.
SMALL = bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05")
NOWHERE = b"\x02" + b"\x00" * 31
IDS = [str(number).encode() for number in range(20)]


def test_masking_commutes_for_any_number_of_owners():
    blinds = [Blind(name, b"session") for name in "ABC"]

    def masked(order):
        points = blinds[order[0]].begin(IDS)
        for place in order[1:]:
            points = blinds[place].mask(points, sender="A")
        return points

    assert masked([0, 1, 2]) == masked([2, 0, 1]) == masked([1, 2, 0])


def test_points_are_valid_different_and_of_prime_order():
    points = Blind("A", b"session").begin(IDS)
    assert len(set(points)) == len(IDS)
    assert all(len(point) == POINT_BYTES and bindings.crypto_core_ed25519_is_valid_point(point) for point in points)


def test_another_secret_number_or_session_gives_other_points():
    blind = Blind("A", b"session")
    assert not set(blind.begin(IDS)) & set(Blind("A", b"session").begin(IDS))
    assert blind.begin(IDS) == blind.begin(IDS)
    blind.session = b"another"
    assert not set(blind.begin(IDS)) & set(Blind("A", b"session").begin(IDS))


def test_an_id_is_hashed_to_the_group_as_the_standard_says():
    # 8 H(id) is a masked point divided by the secret number; here the number is known.
    blind = Blind("A", b"session")
    digest = hashlib.sha512(b"fedlab private set intersection" + b"session" + b"7").digest()
    halves = [bindings.crypto_core_ed25519_from_uniform(digest[at : at + 32]) for at in (0, 32)]
    expected = bindings.crypto_scalarmult_ed25519_noclamp(
        blind._Blind__secret, bindings.crypto_core_ed25519_add(*halves)
    )
    assert blind.begin([b"7"]) == [expected]


@pytest.mark.parametrize("point", [SMALL, NOWHERE, b"\x00" * 32, b"\xff" * 32])
def test_a_point_outside_the_group_is_refused_and_its_sender_named(point):
    points = [*Blind("A", b"session").begin(IDS), point]
    with pytest.raises(EncryptionError, match="'Mallory'"):
        Blind("B", b"session").mask(points, sender="Mallory")


def test_a_point_with_a_part_of_small_order_is_refused():
    honest = Blind("A", b"session").begin(IDS)[0]
    mixed = bindings.crypto_core_ed25519_add(honest, SMALL)
    with pytest.raises(EncryptionError, match="prime order"):
        Blind("B", b"session").mask([mixed], sender="A")


@given(st.binary(max_size=200))
@settings(max_examples=40)
def test_bytes_that_are_no_points_are_refused_or_split_into_them(data):
    pieces = [data[at : at + POINT_BYTES] for at in range(0, len(data), POINT_BYTES)]
    if len(data) % POINT_BYTES or len(set(pieces)) < len(pieces):
        with pytest.raises(EncryptionError):
            points_in(data, sender="A")
    else:
        assert joined(points_in(data, sender="A")) == data


def test_the_same_point_twice_is_refused():
    point = Blind("A", b"session").begin([b"7"])[0]
    with pytest.raises(EncryptionError, match="twice"):
        points_in(point + point, sender="A")


def test_the_secret_number_is_not_shown_or_copied():
    blind = Blind("A", b"session")
    assert blind._Blind__secret.hex() not in repr(blind)
    for copied in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(EncryptionError, match="copied"):
            copied(blind)


def test_progress_counts_every_point():
    seen = []
    Blind("A", b"session").begin([str(n).encode() for n in range(450)], seen.append)
    assert sum(seen) == 450
    assert len(seen) > 1
