"""An envelope that is not whole, not sound or not for this sum is refused before TenSEAL sees a byte of it."""

import dataclasses
import json

import pytest

from fedlab_nb.crypto import CKKS, Sealed
from fedlab_nb.crypto.envelope import MAGIC, Header
from fedlab_nb.crypto.seal import SERVER
from tests.crypto.common import draw, vouched

FIELDS = [field.name for field in dataclasses.fields(Header)]
DIGITS = ["", "-1", "0", "-00000000001", "999999999999", "9" * 30, "9" * 5000, "1e3", " 1", "+1", "\u0661"]
OTHERS = [*DIGITS, None, 3, -1, 2.5, True, [], ["A", 1], {}, [[]], "\ud800"]


def framed(head: bytes, rest: bytes) -> bytes:
    """An envelope whose header says what we like, sizes to match."""
    return MAGIC + len(head).to_bytes(4, "little") + (32).to_bytes(4, "little") + head + rest


@pytest.fixture
def letter(make_cast):
    """One sound envelope from an owner to the server, what it is for, and how the server takes bytes."""
    cast = make_cast(CKKS())
    manifest = cast.manifest(CKKS().plan(bound=1.0, owners=2), 100)
    (sealed, _) = cast.seal(draw(2, 100), manifest)
    return sealed, b"".join(sealed.parts), lambda data: cast.server.mailbox.take(Sealed.read(data), manifest)


def test_what_is_written_is_what_is_read(letter):
    sealed, data, take = letter
    again = Sealed.read(data)
    assert (again.header, again.mac, again.chunks) == (sealed.header, sealed.mac, sealed.chunks)
    assert len(data) == sealed.nbytes
    assert take(data) == sealed.chunks


def test_every_truncation_and_every_addition_is_refused(letter, close_tenseal, refuses):
    sealed, data, take = letter
    close_tenseal()
    for size in (*range(len(sealed.parts[0]) + 20), len(data) // 2, len(data) - 1):
        refuses("that are not an envelope", take, data[:size])
    for more in (b"\0", data, sealed.chunks[0]):
        refuses("that are not an envelope", take, data + more)


@pytest.mark.parametrize(
    "data", [b"", b"\0", b"\n", MAGIC, MAGIC + b"\xff" * 8, b"\0" * 200_000, b"fedlab", MAGIC + b"\0" * 200_000]
)
def test_bytes_that_are_no_envelope_are_refused(letter, refuses, data):
    refuses(f"{len(data):,} bytes were received that are not an envelope", letter[2], data)


@pytest.mark.parametrize("field", FIELDS)
def test_an_edited_field_of_the_header_is_refused(letter, refuses, close_tenseal, field):
    sealed, _, take = letter
    close_tenseal()
    facts = json.loads(sealed.header.data)
    others = [value for value in OTHERS if value != facts[field]]
    assert len(others) >= len(OTHERS) - 1
    for value in others:
        head = json.dumps({**facts, field: value}, sort_keys=True, separators=(",", ":")).encode()
        for rest in (sealed.mac + sealed.chunks[0], sealed.mac):
            refuses(None, take, framed(head, rest))


@pytest.mark.parametrize("field", FIELDS)
def test_a_missing_an_additional_and_a_repeated_field_are_refused(letter, refuses, field):
    sealed, _, take = letter
    facts, rest = json.loads(sealed.header.data), sealed.mac + sealed.chunks[0]
    fewer = {name: value for name, value in facts.items() if name != field}
    twice = sealed.header.data[:-1] + f",{json.dumps(field)}:{json.dumps(facts[field])}}}".encode()
    for head in (json.dumps(fewer).encode(), json.dumps({**facts, field + "s": "1"}).encode(), twice):
        refuses("that are not an envelope", take, framed(head, rest))


@pytest.mark.parametrize(
    "head",
    [b"", b"null", b"[]", b"7", b"{}", b"{", b"\xff\xfe", b"NaN", b'{"a":' * 50_000, b"[" * 100_000, b" " * (2 << 20)],
    ids=lambda head: repr(head)[:12],
)
def test_a_header_of_another_form_is_refused(letter, refuses, head):
    sealed, _, take = letter
    refuses("that are not an envelope", take, framed(head, sealed.mac + sealed.chunks[0]))


@pytest.mark.parametrize(
    ("facts", "match"),
    [
        ({"length": 101}, "a length of 101 where 100"),
        ({"round": 0}, "round 0 where"),
        ({"kind": "counts"}, "kind 'counts' where 'update'"),
        ({"fingerprint": "0" * 16}, "the key '0000000000000000' where"),
        ({"manifest": "0" * 64}, "a manifest '0000000000000000' where"),
        ({"chunks": 2}, "a number of ciphertexts of 2 where 1"),
        ({"chunks": 0}, "a number of ciphertexts of 0 where 1"),
        ({"chunk_bytes": 65_537}, "a ciphertext size of 65537 where 65536"),
        ({"sequence": 0}, "has been received before"),
        ({"payload": "0" * 64}, "is damaged inside"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_a_sender_who_vouches_for_another_sum_is_refused_by_name(make_cast, refuses, close_tenseal, facts, match):
    cast = make_cast(CKKS())
    manifest = cast.manifest(CKKS().plan(bound=1.0, owners=2), 100)
    sealed = cast.seal(draw(2, 100), manifest)
    close_tenseal()
    liar = vouched(sealed[0], cast.sealers["owner 0"].mailbox, **facts)
    assert "'owner 0'" in refuses(match, cast.add, [liar, sealed[1]], manifest)


def test_a_sender_whose_ciphertexts_have_another_number_or_size_is_refused_by_name(make_cast, refuses, close_tenseal):
    cast = make_cast(CKKS())
    manifest = cast.manifest(CKKS().plan(bound=1.0, owners=2), 5000)
    a, b, c = cast.seal(draw(2, 5000), manifest)[0].chunks
    close_tenseal()
    mailbox = cast.sealers["owner 0"].mailbox
    for chunks in ((a, b), (a, b, c, c), (), (a, b, c[:-1]), (a, b, b""), (a, b + c[:8], c[8:])):
        sent = mailbox.send(SERVER, manifest, chunks, inside=("owner 0",))
        for claimed in {len(chunks), manifest.chunks}:
            liar = vouched(sent, mailbox, chunks=claimed)
            text = refuses("number of ciphertexts|does not hold what it says", cast.server.mailbox.take, liar, manifest)
            assert "'owner 0'" in text
