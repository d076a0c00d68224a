"""Nobody but the key holder can open, nothing that travels helps, and sizes tell nothing."""

import copy
import pickle
import re
import tempfile
from pathlib import Path

import numpy as np
import pytest
import tenseal

import fedlab_nb
from fedlab_nb.crypto import BFV, CKKS, KeyHolder, Sealer
from fedlab_nb.crypto.ciphertexts.native import wire_of
from fedlab_nb.crypto.seal import keyless_context
from tests.crypto.common import CASES, SCHEMES, draw, secret_bytes

SOURCES = sorted(Path(fedlab_nb.__file__).parent.rglob("*.py"))
# Field 3 of TenSEAL's message is the private part.
PUBLIC_FIELDS = {1, 2}
SCHEME_LIST = list(SCHEMES.values())


def fields(message: bytes) -> set[int]:
    """Numbers of the fields of a protobuf message."""
    found, at = set(), 0
    while at < len(message):
        key, at = varint(message, at)
        found.add(key >> 3)
        if key & 7 == 2:
            size, at = varint(message, at)
            at += size
        else:
            at = varint(message, at)[1] if key & 7 == 0 else at + {1: 8, 5: 4}[key & 7]
    assert at == len(message)
    return found


def varint(message: bytes, at: int) -> tuple[int, int]:
    number, shift = 0, 0
    while True:
        number |= (message[at] & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if not message[at - 1] & 0x80:
            return number, at


@pytest.mark.parametrize("scheme", SCHEME_LIST, ids=SCHEMES)
def test_the_server_gets_parameters_without_any_key(make_cast, scheme):
    holder = make_cast(scheme).holder
    assert len(holder.parameters) < 120
    assert fields(holder.parameters) <= PUBLIC_FIELDS
    context = keyless_context(holder.parameters)
    assert not context.is_private()
    assert not context.has_public_key()
    for method in ("secret_key", "decryptor", "encryptor"):
        with pytest.raises(ValueError, match="context"):
            getattr(context, method)()


def test_the_check_for_private_fields_finds_them(make_cast):
    private = make_cast(CKKS()).holder._KeyHolder__context.serialize(save_secret_key=True)
    assert fields(private) - PUBLIC_FIELDS == {3}


@pytest.mark.parametrize("part", ["parameters", "public_key"])
@pytest.mark.parametrize("scheme", SCHEME_LIST, ids=SCHEMES)
def test_neither_owners_nor_the_server_can_decrypt(make_cast, scheme, part):
    cast = make_cast(scheme)
    plan = scheme.plan(bound=1.0, owners=2)
    assert fields(getattr(cast.holder, part)) <= PUBLIC_FIELDS
    context = keyless_context(getattr(cast.holder, part))
    (sealed, _) = cast.seal(draw(2, 3), cast.manifest(plan))
    data = wire_of(scheme).to_tenseal(sealed.chunks[0], scale=plan.scale, size=3)
    read = tenseal.bfv_vector_from if isinstance(scheme, BFV) else tenseal.ckks_vector_from
    with pytest.raises(ValueError, match="hold a secret_key"):
        read(context, data).decrypt()
    for method in ("secret_key", "decryptor"):
        with pytest.raises(ValueError, match="context"):
            getattr(context, method)()


@pytest.mark.parametrize("scheme", [CKKS(), CKKS(keys="owners", complex_slots=True), BFV()])
def test_nothing_that_travels_holds_the_secret_key(make_cast, scheme):
    cast = make_cast(scheme)
    plan = scheme.plan(bound=1.0, owners=2)
    manifest = cast.manifest(plan, plan.held + 1)
    sealed = cast.seal(draw(2, plan.held + 1), manifest)
    name, identity = "owner 1", cast.sealers["owner 0"].mailbox.identity
    wrapped = cast.holder.wrapped_for(name, cast.sealers[name].mailbox.public, identity)
    messages = [b"".join(item.parts) for item in (*sealed, cast.add(sealed, manifest))]
    messages += [cast.holder.public_key, cast.holder.parameters, cast.holder.mailbox.public, wrapped]
    secrets = secret_bytes(cast.holder)
    whole = cast.holder._KeyHolder__context.serialize(save_secret_key=True)
    assert any(secret in whole for secret in secrets), "the search can find it"
    for message in messages:
        assert not any(secret in message for secret in secrets)


@pytest.mark.parametrize("leak", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_key_holder_is_neither_copied_nor_pickled(make_cast, refuses, leak):
    refuses("KeyHolder cannot be copied or pickled", leak, make_cast(CKKS()).holder)


@pytest.mark.parametrize("leak", [pickle.dumps, copy.deepcopy])
def test_owners_and_server_are_neither_copied_nor_pickled_with_their_identities(make_cast, refuses, leak):
    cast = make_cast(CKKS())
    for party in (cast.sealers["owner 0"], cast.server):
        refuses("Identity cannot be copied or pickled", leak, party)


def test_shown_objects_are_one_line_and_show_no_key(make_cast):
    cast = make_cast(CKKS())
    (sealed, _) = cast.seal(draw(2, 530), cast.manifest(CKKS().plan(bound=1.0, owners=2), 530))
    assert repr(sealed) == f"Sealed(530 numbers in 1 ciphertext, {sealed.nbytes:,} bytes)"
    assert repr(cast.holder) == f"KeyHolder(key {cast.holder.fingerprint}, opens sums only)"
    assert not hasattr(cast.holder, "__dict__")
    session = cast.session
    for thing in (cast.sealers["owner 0"], cast.server, cast.holder.mailbox, sealed):
        assert "\n" not in repr(thing)
        assert session not in repr(thing)


@pytest.mark.parametrize("scheme", SCHEME_LIST, ids=SCHEMES)
def test_equal_numbers_give_different_ciphertexts(make_cast, scheme):
    cast, plan = make_cast(scheme), scheme.plan(bound=1.0, owners=2)
    manifest = cast.manifest(plan, plan.held + 1)
    one, two = (cast.sealers["owner 0"].seal(np.full(plan.held + 1, 0.5), manifest) for _ in range(2))
    assert len({*one.chunks, *two.chunks}) == 4
    assert one.head != two.head
    assert len(one.head) == 48


@pytest.mark.parametrize("case", CASES)
def test_sizes_depend_on_the_manifest_alone(make_cast, case):
    scheme, bound = CASES[case]
    cast, plan = make_cast(scheme), scheme.plan(bound=bound, owners=2)
    rng, length = np.random.default_rng(0), plan.held + 1
    vectors = [np.zeros(length), np.full(length, bound), np.full(length, -bound), np.full(length, 1e-9)]
    vectors += [rng.uniform(-bound, bound, length) * 10.0 ** rng.integers(-9, 1) for _ in range(16)]
    sizes = {tuple(map(len, cast.sealers["owner 0"].seal(v, cast.manifest(plan, length)).parts)) for v in vectors}
    assert len(vectors) == 20
    assert len(sizes) == 1
    head, *chunks = sizes.pop()
    assert chunks == [plan.chunk_bytes(length)] * 2
    manifest = cast.manifest(plan, length)
    total = cast.add(cast.seal(vectors[:2], manifest), manifest)
    assert tuple(map(len, total.chunks)) == tuple(chunks), "a sum is as long as what went into it"
    assert head < 1000


@pytest.mark.parametrize("case", CASES)
def test_sealed_bytes_hold_no_number_that_went_in(make_cast, case):
    scheme, bound = CASES[case]
    cast, plan = make_cast(scheme), scheme.plan(bound=bound, owners=2)
    vector = draw(1, 200, bound=bound)[0]
    sealed = b"".join(cast.sealers["owner 0"].seal(vector, cast.manifest(plan, 200)).parts)
    steps = np.rint(np.ldexp(vector, plan.scale_bits)).astype(np.int64)
    for numbers in (vector, plan.grid(vector), steps):
        assert not any(number.tobytes() in sealed for number in numbers)


def test_every_key_holder_has_its_own_key_and_a_stable_name(make_cast):
    cast = make_cast(CKKS())
    other, again = KeyHolder(CKKS(), session=cast.session), Sealer("A", session=cast.session)
    again.take_key(bytes(bytearray(other.public_key)))
    assert other.fingerprint != cast.holder.fingerprint
    assert again.fingerprint == other.fingerprint
    assert re.fullmatch("[0-9a-f]{16}", other.fingerprint)
    assert other.mailbox.public != cast.holder.mailbox.public


def test_owners_share_one_context(make_cast):
    key = make_cast(CKKS()).holder.public_key
    assert keyless_context(bytes(bytearray(key))) is keyless_context(key)


def test_the_server_refuses_any_key_and_an_owner_refuses_bytes_without_one(make_cast, refuses):
    cast = make_cast(CKKS())
    private = cast.holder._KeyHolder__context.serialize(save_secret_key=True)
    sealer, server = cast.sealers["owner 99"], cast.server
    refuses("more than bare encryption parameters", server.take_parameters, cast.holder.public_key)
    refuses("more than bare encryption parameters", server.take_parameters, private)
    refuses("hold parameters, but no public key", sealer.take_key, cast.holder.parameters)
    refuses("hold a secret key", sealer.take_key, private)
    for call in (server.take_parameters, sealer.take_key):
        refuses("no bytes to read", call, b"")
        refuses("could not read the key", call, b"not a key")
    assert sealer.fingerprint == cast.holder.fingerprint, "what was refused changed nothing"


@pytest.mark.parametrize(
    ("word", "allowed"),
    [
        ("save_secret_key=True", {"keys.py"}),
        # An owner of a joint key makes its own share with SEAL; the lesson attacks a key of its own.
        (".secret_key()", {"keys.py", "joint.py", "recover.py"}),
        (".decryptor()", {"codec.py"}),
        ("make_context_public", set()),
        ("_KeyHolder__", set()),
    ],
)
def test_no_other_source_touches_a_secret_key(word, allowed):
    assert {path.name for path in SOURCES if word in path.read_text(encoding="utf-8")} <= allowed


def test_the_secret_key_leaves_no_file_behind(make_cast, monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for scheme in (CKKS(complex_slots=True), BFV(keys="owners")):
        plan = scheme.plan(bound=1.0, owners=2)
        make_cast(scheme).total(draw(2, 3), plan)
    assert list(tmp_path.iterdir()) == []
