import hashlib
import hmac

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from fedlab_nb.crypto.masks.masking import add_mask, pair_mask_key, self_mask_key
from fedlab_nb.crypto.masks.wire import Occasion, packed
from fedlab_nb.errors import EncryptionError
from tests.crypto.masks.common import WORDS

HERE = Occasion(b"session", "round 1")
ALICE = bytes.fromhex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a")
BOB = bytes.fromhex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb")
ALICE_PUBLIC = bytes.fromhex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a")
BOB_PUBLIC = bytes.fromhex("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f")
AGREED = bytes.fromhex("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742")


def hkdf(secret: bytes, info: bytes) -> bytes:
    """RFC 5869 for one block of SHA-256, written out: extract with a salt of zeros, then expand."""
    extracted = hmac.digest(bytes(32), secret, "sha256")
    return hmac.digest(extracted, info + b"\x01", "sha256")


def private(raw: bytes) -> X25519PrivateKey:
    return X25519PrivateKey.from_private_bytes(raw)


def test_the_oracle_of_the_key_derivation_gives_the_vector_of_rfc_5869():
    # Appendix A.3: no salt, no info; the first of its two blocks.
    assert hkdf(b"\x0b" * 22, b"").hex() == "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"


def test_a_mask_is_the_keystream_of_rfc_8439():
    # Appendix A.1, test vectors 1 and 2: key and nonce of zeros, blocks 0 and 1.
    blocks = bytes.fromhex(
        "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7"
        "da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586"
        "9f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed"
        "29b721769ce64e43d57133b074d839d531ed1f28510afb45ace10a1f4b794d6f"
    )
    total = np.zeros(32, dtype=np.uint32)
    add_mask(total, bytes(32))
    assert total.astype("<u4").tobytes() == blocks


def test_the_shared_mask_comes_from_the_secret_of_rfc_7748_by_rfc_5869():
    info = HERE.statement("pair mask", b"Alice", b"Bob")
    assert pair_mask_key(HERE, private(ALICE), BOB_PUBLIC, "Alice", "Bob") == hkdf(AGREED, info)
    assert pair_mask_key(HERE, private(BOB), ALICE_PUBLIC, "Bob", "Alice") == hkdf(AGREED, info)


def test_the_own_mask_comes_from_its_seed_by_rfc_5869():
    assert self_mask_key(HERE, "Alice", ALICE) == hkdf(ALICE, HERE.statement("self mask", b"Alice"))


def test_no_two_masks_of_any_owners_and_sums_have_the_same_key():
    occasions = [Occasion(b"s", "t"), Occasion(b"st", ""), Occasion(b"", "st"), Occasion(b"s", "round 2")]
    keys = [self_mask_key(occasion, name, ALICE) for occasion in occasions for name in ("A", "B", "AB", "")]
    pairs = [("A", "B"), ("A", "C"), ("AB", "C"), ("A", "BC")]
    keys += [pair_mask_key(occasion, private(ALICE), BOB_PUBLIC, *pair) for occasion in occasions for pair in pairs]
    assert len(set(keys)) == len(keys) == 32


def test_a_public_key_in_disguise_does_not_give_the_mask_of_another():
    disguised = BOB_PUBLIC[:-1] + bytes([BOB_PUBLIC[-1] ^ 0x80])
    key = pair_mask_key(HERE, private(ALICE), BOB_PUBLIC, "Alice", "Bob")
    assert pair_mask_key(HERE, private(ALICE), disguised, "Alice", "Bob") == key, "the top bit is not looked at"
    assert pair_mask_key(HERE, private(ALICE), disguised, "Alice", "Mallory") != key


@pytest.mark.parametrize("public", [bytes(32), b"\x01" + bytes(31), b"short", b"\0" * 33])
def test_keys_on_which_nothing_can_be_agreed_are_refused_by_name(public):
    with pytest.raises(EncryptionError, match="mask key of 'Mallory'"):
        pair_mask_key(HERE, private(ALICE), public, "Alice", "Mallory")


@settings(deadline=None, max_examples=30)
@given(size=st.integers(1, 40_000), key=st.binary(min_size=32, max_size=32))
def test_adding_and_subtracting_a_mask_gives_the_vector_back_and_a_longer_one_begins_alike(size, key):
    vector = np.arange(size, dtype=np.uint32) * np.uint32(2_654_435_761)
    total = vector.copy()
    add_mask(total, key)
    mask, longer = np.zeros(size, dtype=np.uint32), np.zeros(size + 20_000, dtype=np.uint32)
    add_mask(mask, key)
    add_mask(longer, key)
    assert np.array_equal(total.astype(np.uint64), (vector.astype(np.uint64) + mask) % WORDS)
    assert np.array_equal(longer[:size], mask)
    add_mask(total, key, subtract=True)
    assert np.array_equal(total, vector)


@settings(max_examples=200)
@given(st.lists(st.binary(max_size=3), max_size=4), st.lists(st.binary(max_size=3), max_size=4))
def test_different_parts_never_pack_to_the_same_bytes(some, others):
    assert (packed(some) == packed(others)) == (some == others)


def test_a_digest_of_known_bytes_pins_what_is_signed():
    # Owners on different machines have to agree on every byte of it.
    statement = Occasion(b"\x00\x01", "é").statement("advert", b"A")
    assert statement == b"\0\0\0\x0ffedlab_nb masks\0\0\0\x06advert\0\0\0\x02\0\x01\0\0\0\x02\xc3\xa9\0\0\0\x01A"
    assert len(hashlib.sha256(statement).digest()) == 32
