import copy
import pickle
from pathlib import Path

import numpy as np
import pytest
import tenseal

import fedlab_nb
from fedlab_nb.crypto import Adder, KeyHolder, Sealer
from fedlab_nb.crypto.keys import keyless_context
from fedlab_nb.errors import EncryptionError

SOURCES = sorted(Path(fedlab_nb.__file__).parent.rglob("*.py"))


def fields(message: bytes) -> set[int]:
    """Numbers of the top-level fields of a protobuf message with short fields only."""
    found, at = set(), 0
    while at < len(message):
        number, wire = message[at] >> 3, message[at] & 7
        found.add(number)
        at += {0: 2, 1: 9, 2: 2 + message[at + 1], 5: 5}[wire]
    return found


def private_bytes(holder) -> bytes:
    context = holder._KeyHolder__context
    everything = context.serialize(
        save_public_key=False, save_secret_key=True, save_galois_keys=False, save_relin_keys=False
    )
    return everything[len(everything) // 2 :][:64]


def test_the_server_gets_parameters_without_any_key(trio):
    parameters = trio.holder.parameters
    assert len(parameters) < 200
    assert 3 not in fields(parameters), "field 3 is the private part"
    context = keyless_context(parameters)
    assert not context.is_private()
    assert not context.has_public_key()
    for method in ("secret_key", "decryptor", "encryptor"):
        with pytest.raises(ValueError, match="context"):
            getattr(context, method)()


@pytest.mark.parametrize("part", ["parameters", "public_key"])
def test_neither_owners_nor_the_server_can_decrypt(trio, plan, part):
    context = keyless_context(getattr(trio.holder, part))
    assert not context.is_private()
    sealed = trio.owner.seal([0.5], plan, sender="A")
    with pytest.raises(ValueError, match="hold a secret_key"):
        tenseal.ckks_vector_from(context, sealed.chunks[0]).decrypt()
    with pytest.raises(ValueError, match="Secret key"):
        context.secret_key()


def test_nothing_that_travels_holds_the_secret_key(trio, plan):
    secret = private_bytes(trio.holder)
    sealed = trio.owner.seal(np.zeros(3000), plan, sender="A")
    for thing in (trio.server, trio.owner, sealed, trio.server.add([sealed], plan), trio.holder.public_key):
        assert secret not in pickle.dumps(thing)
    assert len(pickle.dumps(trio.server)) < 500


def test_owner_and_server_survive_the_trip_to_another_process(trio, plan):
    owner, server = pickle.loads(pickle.dumps((trio.owner, trio.server)))
    total = server.add([owner.seal([0.5], plan, sender="A"), trio.owner.seal([0.25], plan, sender="B")], plan)
    assert trio.holder.open(total, plan, expected=2).tolist() == [0.75]


@pytest.mark.parametrize("leak", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_key_holder_is_neither_copied_nor_pickled(trio, leak):
    with pytest.raises(EncryptionError, match="cannot be copied or pickled"):
        leak(trio.holder)


def test_shown_objects_are_one_line_and_show_no_key(trio, plan):
    sealed = trio.owner.seal(np.zeros(530), plan, sender="A")
    assert repr(sealed) == f"Sealed(530 numbers in 1 ciphertext, {sealed.nbytes:,} bytes)"
    assert repr(trio.holder) == f"KeyHolder(key {trio.holder.fingerprint}, opens sums only)"
    assert not hasattr(trio.holder, "__dict__")
    for thing in (trio.owner, trio.server, sealed):
        assert "\n" not in repr(thing)


def test_equal_numbers_give_different_ciphertexts(trio, plan):
    one, two = (trio.owner.seal(np.full(2048, 0.5), plan, sender="A") for _ in range(2))
    assert one.chunks != two.chunks
    assert one.head != two.head
    assert len(one.head) == 48
    assert len(one.chunks[0]) == len(two.chunks[0])
    assert np.full(4, 0.5).tobytes() not in one.chunks[0]


def test_every_key_holder_has_its_own_key_and_a_stable_name(trio):
    other = KeyHolder.create()
    assert other.fingerprint != trio.holder.fingerprint
    assert Sealer(other.public_key).fingerprint == other.fingerprint
    assert len(other.fingerprint) == 16


def test_owners_share_one_context(trio):
    again = Sealer(bytes(bytearray(trio.holder.public_key)))
    assert keyless_context(again._public_key) is keyless_context(trio.owner._public_key)


def test_the_server_refuses_any_key(trio):
    with pytest.raises(EncryptionError, match="more than bare encryption parameters"):
        Adder(trio.holder.public_key)


def test_an_owner_without_a_public_key_is_refused(trio):
    with pytest.raises(EncryptionError, match="no public key"):
        Sealer(trio.holder.parameters)


@pytest.mark.parametrize("data", [b"", b"not a key"])
def test_bytes_that_are_no_key_are_refused(data):
    with pytest.raises(EncryptionError, match="could not read the key"):
        Sealer(data)


def test_a_secret_key_given_as_public_is_refused(trio):
    context = trio.holder._KeyHolder__context
    with pytest.raises(EncryptionError, match="hold a secret key"):
        Sealer(context.serialize(save_secret_key=True))


@pytest.mark.parametrize("word", ["save_secret_key=True", "secret_key(", "make_context_public"])
def test_no_source_outside_the_key_room_touches_a_secret_key(word):
    users = [path.name for path in SOURCES if word in path.read_text(encoding="utf-8")]
    allowed = [] if word == "make_context_public" else ["keys.py"]
    assert set(users) <= set(allowed)
