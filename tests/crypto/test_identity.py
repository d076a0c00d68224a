"""Two parties agree on secrets that nobody else has, and what a party signs or wraps is that party's alone."""

import copy
import hashlib
import hmac
import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedlab_nb.crypto import BFV, CKKS, Identity, KeyHolder, Mailbox
from fedlab_nb.crypto.identity import check_signature
from fedlab_nb.errors import EncryptionError
from tests.crypto.common import KINDS, NAMES, Cast, flipped

SEEDS = st.binary(min_size=32, max_size=32)
SESSION = "0123456789abcdef0123456789abcdef"


def agreed(scalar: bytes, u: bytes) -> bytes:
    """X25519 as RFC 7748, section 5, writes it down: slow, and independent of what the package uses."""
    p, k = 2**255 - 19, int.from_bytes(scalar, "little")
    k = (k & ~7 & (2**255 - 1)) | 2**254
    x1 = int.from_bytes(u, "little") % 2**255
    x2, z2, x3, z3, swap = 1, 0, x1, 1, 0
    for t in reversed(range(255)):
        bit = k >> t & 1
        if swap ^ bit:
            x2, z2, x3, z3 = x3, z3, x2, z2
        swap = bit
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        da, cb, e = d * a, c * b, a * a - b * b
        x3, z3 = (da + cb) ** 2 % p, x1 * (da - cb) ** 2 % p
        x2, z2 = a * a * b * b % p, e * (a * a + 121665 * e) % p
    if swap:
        x2, z2 = x3, z3
    return (x2 * pow(z2, p - 2, p) % p).to_bytes(32, "little")


def derived(secret: bytes, purpose: str) -> bytes:
    """One block of HKDF, RFC 5869, section 2."""
    return hmac.digest(hmac.digest(bytes(32), secret, "sha256"), purpose.encode() + b"\x01", "sha256")


def test_the_oracle_agrees_with_the_iterated_test_vector_of_rfc_7748():
    nine = (9).to_bytes(32, "little")
    assert agreed(nine, nine).hex() == "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079"


@settings(max_examples=10, deadline=None)
@given(SEEDS, SEEDS, st.text(max_size=9))
def test_a_secret_in_common_is_what_the_standards_say(mine, theirs, purpose):
    a, b = Identity(mine), Identity(theirs)
    scalar = derived(mine, "to agree on secrets")
    assert a.public[:32] == agreed(scalar, (9).to_bytes(32, "little"))
    assert a.secret_with(b.public, "tags " + purpose) == derived(agreed(scalar, b.public[:32]), "tags " + purpose)


@settings(max_examples=30, deadline=None)
@given(st.text(max_size=20), st.text(max_size=20))
def test_both_sides_get_equal_secrets_and_another_purpose_or_party_another_one(purpose, other):
    a, b, c = Identity(), Identity(), Identity()
    secret = a.secret_with(b.public, purpose)
    assert secret == b.secret_with(a.public, purpose)
    assert len(secret) == 32
    assert (a.secret_with(b.public, other) == secret) == (other == purpose)
    assert secret not in (c.secret_with(a.public, purpose), c.secret_with(b.public, purpose))


def test_a_seed_gives_one_identity_and_none_gives_a_fresh_one():
    assert Identity(b"s" * 32).public == Identity(b"s" * 32).public
    assert len({Identity(b"s" * 32).public, Identity(b"t" * 32).public, Identity().public, Identity().public}) == 4


@given(st.binary(max_size=60))
@settings(deadline=None)
def test_a_signature_fits_one_party_and_one_message(data):
    a, b = Identity(), Identity()
    signature = a.sign(data)
    check_signature(a.public, data, signature, who="A")
    for public, said, given_signature in (
        (b.public, data, signature),
        (a.public, data + b"!", signature),
        (a.public, data, b.sign(data)),
        (a.public, data, flipped(signature, len(data))),
        (a.public, data, signature[:-1]),
        (a.public, data, b""),
        (bytes(64), data, signature),
        (a.public[:-1], data, signature),
    ):
        with pytest.raises(EncryptionError, match=r"signature of 'A'|public identity"):
            check_signature(public, said, given_signature, who="A")


@pytest.mark.parametrize("public", [b"", bytes(31), bytes(32), bytes(63), bytes(65), bytes(200)], ids=len)
def test_bytes_of_another_length_are_no_identity(refuses, public):
    refuses(f"{len(public)} bytes were given as a party's public identity", Identity().secret_with, public, "tags")


@pytest.mark.parametrize("point", [0, 1, 2**255 - 20, 2**255 - 19], ids=["0", "1", "p - 1", "p"])
def test_a_point_with_which_every_secret_would_be_zero_is_refused(refuses, point):
    refuses("public identity", Identity().secret_with, point.to_bytes(32, "little") + bytes(32), "tags")


@pytest.mark.parametrize("leak", [pickle.dumps, copy.copy, copy.deepcopy])
def test_an_identity_is_neither_copied_nor_pickled(refuses, leak):
    refuses("Identity cannot be copied or pickled", leak, Identity())


def test_an_identity_shows_a_short_name_that_all_parties_can_compare():
    one = Identity()
    assert repr(one) == f"Identity({one.fingerprint})"
    assert one.fingerprint == hashlib.sha256(one.public).hexdigest()[:16]
    assert not hasattr(one, "__dict__")


def test_secrets_of_another_session_are_other_ones():
    a, b = Identity(), Identity()
    secrets = []
    for session in (SESSION, SESSION[::-1]):
        mine, theirs = Mailbox("A", session=session, identity=a), Mailbox("B", session=session, identity=b)
        mine.meet({"A": b"not believed", "B": theirs.public})
        theirs.meet({"A": mine.public})
        assert mine.secret_with("B", "tags") == theirs.secret_with("A", "tags")
        secrets.append(mine.secret_with("B", "tags"))
    assert secrets[0] != secrets[1]


def test_there_is_no_secret_with_a_stranger_or_oneself(refuses):
    mailbox = Mailbox("A", session=SESSION)
    mailbox.meet({"A": mailbox.public})
    for name in ("A", "B"):
        refuses(f"'A' does not know '{name}'", mailbox.secret_with, name, "tags")


@pytest.fixture(scope="module", params=[CKKS(keys="owners"), BFV(keys="owners")], ids=["CKKS", "BFV"])
def wrapped(request):
    """The maker's secret key for B, and how a party unwraps it."""
    parties = {name: Mailbox(name, session=SESSION) for name in "ABC"}
    holder = KeyHolder(request.param, session=SESSION)
    sealed = holder.wrapped_for("B", parties["B"].public, parties["A"].identity)

    def unwrap(data=sealed, name="B", mailbox=parties["B"], maker=parties["A"].public, expected=holder.fingerprint):
        return KeyHolder.unwrapped(data, request.param, name=name, maker=maker, mailbox=mailbox, expected=expected)

    return sealed, unwrap, parties, holder


def test_a_wrapped_secret_key_makes_its_owner_the_same_key_holder(wrapped):
    _, unwrap, _, holder = wrapped
    again = unwrap()
    assert (again.fingerprint, again.public_key, again.parameters) == (
        holder.fingerprint,
        holder.public_key,
        holder.parameters,
    )
    assert again.mailbox.public == holder.mailbox.public, "and it answers to the same name"


def test_a_wrapped_secret_key_opens_for_its_owner_alone_and_under_its_own_name(wrapped, refuses):
    sealed, unwrap, parties, holder = wrapped
    elsewhere = Mailbox("B", session=SESSION[::-1], identity=parties["B"].identity)
    attempts = [
        {"mailbox": parties["C"], "name": "C"},
        {"mailbox": parties["C"]},
        {"name": "C"},
        {"maker": parties["C"].public},
        {"expected": "0" * 16},
        {"mailbox": elsewhere},
        *({"data": flipped(sealed, bit)} for bit in range(0, 8 * len(sealed), 8 * len(sealed) // 50)),
        {"data": sealed[:-1]},
        {"data": sealed + b"\0"},
        {"data": sealed[:20]},
    ]
    for attempt in attempts:
        refuses("secret key that came to '[BC]' cannot be unwrapped", unwrap, **attempt)
    assert unwrap().fingerprint == holder.fingerprint


@pytest.mark.parametrize("size", [0, 4, 11, 12])
def test_bytes_too_short_to_be_a_wrapped_key_are_refused(wrapped, refuses, size):
    sealed, unwrap, _, _ = wrapped
    refuses("cannot be unwrapped", unwrap, data=sealed[:size])


def test_an_owner_that_wraps_another_key_than_it_announced_is_found_out(refuses):
    cast = Cast(KINDS["default"], NAMES[:2])
    maker, mine = (cast.sealers[name].mailbox for name in NAMES[:2])
    other = KeyHolder(cast.scheme, session=cast.session)
    other.fingerprint = cast.holder.fingerprint
    wrapped = other.wrapped_for(NAMES[1], mine.public, maker.identity)
    facts = {"name": NAMES[1], "maker": maker.public, "mailbox": mine, "expected": cast.holder.fingerprint}
    refuses("was expected", KeyHolder.unwrapped, wrapped, cast.scheme, **facts)
