import dataclasses
import hashlib

import numpy as np
import pytest
import tenseal

from fedlab_nb.crypto import CKKS, KeyHolder, Sealer
from fedlab_nb.crypto.keys import keyless_context
from fedlab_nb.errors import EncryptionError


@pytest.fixture
def refuses():
    def check(match, call, *args, **settings):
        with pytest.raises(EncryptionError, match=match) as caught:
            call(*args, **settings)
        assert all(clause.endswith(".") for clause in (caught.value.what, caught.value.why, caught.value.do))
        return str(caught.value)

    return check


@pytest.fixture
def closed_tenseal(monkeypatch):
    """From here on, no ciphertext may reach TenSEAL."""

    def reached(*_):
        pytest.fail("TenSEAL was reached")

    def close():
        monkeypatch.setattr(tenseal, "ckks_vector_from", reached)

    return close


def forged(sealed, chunk):
    """``sealed`` with another chunk and a digest to match, as a malicious sender would write it."""
    return dataclasses.replace(sealed, chunks=(chunk,), digests=(hashlib.sha256(chunk).hexdigest(),))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_refused_by_sender(trio, plan, refuses, bad):
    text = refuses("1 of 3 numbers from 'Clinic' are NaN", trio.owner.seal, [0.123, bad, 0.1], plan, sender="Clinic")
    assert "0.123" not in text


def test_numbers_beyond_the_bound_are_refused_without_quoting_them(trio, plan, refuses):
    text = refuses("2 of 3 numbers from 'Bank'", trio.owner.seal, [0.5, 1.2345, -9.75], plan, sender="Bank")
    assert "1.2345" not in text
    assert "9.75" not in text
    trio.owner.seal([1.0, -1.0], plan, sender="at the bound is fine")


@pytest.mark.parametrize("shape", [[], [[0.1, 0.2]], 0.5, ["a"], [1j], [None]])
def test_anything_but_one_row_of_numbers_is_refused(trio, plan, refuses, shape):
    refuses("'A' gave an array", trio.owner.seal, shape, plan, sender="A")


def test_one_owners_vector_is_not_opened_where_a_sum_is_expected(trio, plan, refuses):
    sealed = trio.owner.seal([0.5], plan, sender="A")
    refuses("sum of 3 owners was expected, and this one has 1", trio.holder.open, sealed, plan, expected=3)
    assert trio.holder.open(sealed, plan, expected=1).tolist() == [0.5], "the caller decides that one is enough"


@pytest.mark.parametrize("expected", [0, 1, 3])
def test_a_sum_of_other_owners_than_expected_is_not_opened(trio, plan, refuses, expected):
    total = trio.server.add(trio.seal_all([[0.5], [0.25]], plan), plan)
    refuses("was expected", trio.holder.open, total, plan, expected=expected)


def test_a_foreign_key_is_refused_by_server_and_key_holder(trio, plan, refuses, closed_tenseal):
    stranger = Sealer(KeyHolder.create().public_key).seal([0.5], plan, sender="Stranger")
    own = trio.owner.seal([0.5], plan, sender="A")
    closed_tenseal()
    assert "'Stranger'" in refuses("sealed for key", trio.server.add, [own, stranger], plan)
    refuses("sealed for key", trio.holder.open, stranger, plan, expected=1)


def test_a_foreign_ciphertext_under_a_false_name_is_never_a_number(trio, plan, refuses):
    stranger = Sealer(KeyHolder.create().public_key).seal([0.5], plan, sender="A")
    lie = dataclasses.replace(stranger, fingerprint=trio.holder.fingerprint)
    refuses("not a sum", trio.holder.open, lie, plan, expected=1)


def test_two_hundred_flipped_bits_are_all_refused_before_tenseal(trio, plan, refuses, closed_tenseal):
    good, other = trio.seal_all(np.full((2, 100), 0.5), plan)
    closed_tenseal()
    for bit in np.random.default_rng(0).choice(len(good.chunks[0]) * 8, 200, replace=False):
        chunk = bytearray(good.chunks[0])
        chunk[bit // 8] ^= 1 << (bit % 8)
        bad = dataclasses.replace(good, chunks=(bytes(chunk),))
        refuses("Ciphertext 1 of 1 from 'owner 0' is damaged", trio.server.add, [other, bad], plan)
        refuses("is damaged", trio.holder.open, bad, plan, expected=1)


def test_flipped_bits_with_a_forged_digest_are_never_numbers(trio, plan, refuses):
    good = trio.owner.seal(np.full(100, 0.5), plan, sender="A")
    for position in np.random.default_rng(0).choice(np.arange(131, 65_000), 30, replace=False):
        chunk = bytearray(good.chunks[0])
        chunk[position] ^= 1
        refuses("not a sum|could not", trio.holder.open, forged(good, bytes(chunk)), plan, expected=1)


@pytest.mark.parametrize(
    "edit",
    [
        lambda c: b"",
        lambda c: b"\x0a",
        lambda c: c[:-1],
        lambda c: c + b"\x00",
        lambda c: c + c,
        lambda c: c[:40_000],
        lambda c: c.replace(b"\x0a\x01\x64", b"\x0a\x01\x65", 1),
        lambda c: c.replace(b"\x0a\x01\x64", b"\x0a\x05\xff\xff\xff\xff\x0f", 1),
        lambda c: c[3:],
        lambda c: c[:-8] + b"\x00" * 8,
        lambda c: b"\x00" * 200_000,
    ],
)
def test_what_can_kill_the_process_never_reaches_tenseal_even_with_a_forged_digest(
    trio, plan, refuses, closed_tenseal, edit
):
    good = trio.owner.seal(np.full(100, 0.5), plan, sender="A")
    assert good.chunks[0].startswith(b"\x0a\x01\x64"), "the count of numbers, which TenSEAL believes"
    closed_tenseal()
    bad = forged(good, edit(good.chunks[0]))
    refuses("from 'A' is damaged", trio.server.add, [bad], plan)
    refuses("from 'A' is damaged", trio.holder.open, bad, plan, expected=1)


def test_an_owner_is_never_added_twice(trio, plan, refuses, closed_tenseal):
    once, again = trio.owner.seal([0.5], plan, sender="A"), trio.owner.seal([0.1], plan, sender="A")
    pair = trio.server.add([once, trio.owner.seal([0.2], plan, sender="B")], plan)
    closed_tenseal()
    refuses("'A' would be added more than once", trio.server.add, [once, again], plan)
    refuses("'A' would be added more than once", trio.server.add, [pair, again], plan)


def test_more_owners_than_planned_are_not_added(trio, plan, refuses, closed_tenseal):
    sealed = trio.seal_all([[0.5]] * 5, plan)
    closed_tenseal()
    refuses("5 owners are to be added, where the plan allows 4", trio.server.add, sealed, plan)


def test_different_lengths_are_not_added(trio, plan, refuses, closed_tenseal):
    sealed = trio.seal_all([[0.5, 0.5], [0.5]], plan)
    closed_tenseal()
    assert "'owner 1' sent 1 numbers" in refuses("different lengths", trio.server.add, sealed, plan)


def test_another_plan_is_refused_by_server_and_key_holder(trio, plan, refuses, closed_tenseal):
    sealed = trio.owner.seal([0.5], plan, sender="A")
    closed_tenseal()
    for other in (CKKS().plan(bound=100.0, owners=4), CKKS().plan(bound=0.9, owners=4)):
        refuses("'A' was sealed under another plan", trio.server.add, [sealed], other)
        refuses("'A' was sealed under another plan", trio.holder.open, sealed, other, expected=1)


def test_missing_swapped_or_additional_ciphertexts_are_refused(trio, plan, refuses, closed_tenseal):
    good = trio.owner.seal(np.zeros(5000), plan, sender="A")
    a, b, c = good.chunks
    closed_tenseal()
    for chunks in ((a, b), (a, b, c, c), ()):
        bad = dataclasses.replace(good, chunks=chunks)
        refuses("ciphertexts for 5000 numbers", trio.server.add, [bad], plan)
    refuses("is damaged", trio.server.add, [dataclasses.replace(good, chunks=(b, a, c))], plan)
    refuses("for 0 numbers", trio.server.add, [dataclasses.replace(good, length=0, chunks=(), digests=())], plan)


def test_false_claims_about_who_is_inside_are_refused(trio, plan, refuses, closed_tenseal):
    good = trio.owner.seal([0.5], plan, sender="A")
    closed_tenseal()
    for added, senders in ((2, ("A",)), (2, ("A", "A")), (0, ()), (5, tuple("ABCDE"))):
        bad = dataclasses.replace(good, added=added, senders=senders)
        refuses("claims", trio.holder.open, bad, plan, expected=added)


def test_a_sum_beyond_what_the_owners_inside_can_send_is_not_opened(trio, plan, refuses):
    total = trio.server.add(trio.seal_all([[1.0], [1.0]], plan), plan)
    lie = dataclasses.replace(total, added=1, senders=("owner 0",))
    refuses("not a sum that 1 owners can have sent", trio.holder.open, lie, plan, expected=1)


def test_numbers_off_the_grid_are_not_opened(trio, plan, refuses):
    # Their rounding would depend on the noise, and so would tell something about the secret key.
    good = trio.owner.seal([0.25], plan, sender="A")
    off = 0.25 + 0.4 * 2.0**-plan.grid_bits
    chunk = tenseal.ckks_vector(keyless_context(trio.holder.public_key), [off], plan.scale).serialize()
    refuses("off the grid", trio.holder.open, forged(good, chunk), plan, expected=1)


def test_nothing_to_add_is_refused(trio, plan, refuses):
    refuses("nothing to add", trio.server.add, [], plan)


def test_a_failure_inside_tenseal_names_the_step_and_the_sender(trio, plan, refuses, monkeypatch):
    def broken(*_):
        raise ValueError("encoded values are too large")

    monkeypatch.setattr(tenseal, "ckks_vector", broken)
    refuses("could not encrypt the numbers of 'A'", trio.owner.seal, [0.5], plan, sender="A")
