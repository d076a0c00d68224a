"""What the server does to contributions is refused by their tags, and named where that is knowable.

Owners also vouch for every sum (test_vouching.py); here nobody does.
"""

import dataclasses

import numpy as np
import pytest

from fedlab_nb.crypto.ciphertexts.codec import codec_of
from fedlab_nb.crypto.seal import SERVER, keyless_context
from fedlab_nb.crypto.tags import tagged
from tests.crypto.common import KINDS, NAMES, Cast, Round, draw, scaled, summed, vouched

A, B, C = NAMES[:3]
NOT_THE_SUM = "is not the sum of the owners of this round"
SPENT = "noise budget of a BFV ciphertext is spent"


pytestmark = pytest.mark.usefixtures("only_tags")


@pytest.fixture
def earlier(one) -> Round:
    """Another round, that was summed and opened."""
    past = Round(one.cast)
    past.total = past.cast.add(past.sealed, past.manifest)
    past.open(past.total)
    return past


@pytest.mark.parametrize("who", [0, 1, 2])
def test_an_owner_that_the_server_leaves_out_is_named(one, refuses, who):
    rest = [chunks for i, chunks in enumerate(one.chunks) if i != who]
    refuses(f"^'owner {who}' is missing from the sum", one.open, one.slipped(*rest))
    assert one.honest()


@pytest.mark.parametrize("times", [2, 3, 4])
def test_an_owner_that_the_server_counts_more_than_once_is_named(one, refuses, times):
    a, b, c = one.chunks
    refuses(f"^'owner 1' is in the sum {times} times", one.open, one.slipped(a, *[b] * times, c))
    assert one.honest()


@pytest.mark.parametrize("times", [2, 4])
def test_an_owner_whose_ciphertext_the_server_scales_is_named(one, refuses, times):
    a, b, c = one.chunks
    refuses(f"^'owner 2' is in the sum {times} times", one.open, one.slipped(a, b, scaled(one.scheme, c, times)))
    assert one.honest()


@pytest.mark.parametrize("times", [2, 4, 64])
def test_a_scaled_contribution_that_leaves_the_planned_range_is_refused(make_cast, refuses, times):
    for scheme in KINDS.values():
        cast, plan = make_cast(scheme), scheme.plan(bound=1.0, owners=3)
        manifest = cast.manifest(plan, plan.held, 3)
        a, b, c = (item.chunks for item in cast.seal(draw(3, plan.held), manifest))
        total = summed(scheme, [a, b, scaled(scheme, c, times)])
        refuses(f"{NOT_THE_SUM}|{SPENT}|'owner 2' is in the sum", cast.open, cast.slipped(total, manifest), manifest)


def test_a_sum_that_the_server_scales_as_a_whole_is_refused(one, refuses):
    refuses(NOT_THE_SUM, one.open, one.slipped(*one.chunks, *one.chunks))
    assert one.honest()


def test_what_one_owner_sealed_is_not_opened_as_a_sum(one, refuses):
    for chunks in one.chunks:
        again = Round(one.cast)
        refuses(NOT_THE_SUM, again.open, again.cast.slipped(chunks, again.manifest))
    refuses("is for 'server'", one.open, one.sealed[0])
    assert one.honest()


def test_a_pair_of_owners_is_not_opened_under_the_name_of_three(one, refuses):
    a, b, _ = one.chunks
    refuses("'owner 2' is missing", one.open, one.slipped(a, b))


def test_an_owners_ciphertext_of_an_earlier_round_is_refused_instead_of_or_beside_the_new_one(one, earlier, refuses):
    a, _, c = one.chunks
    refuses(NOT_THE_SUM, one.open, one.slipped(a, earlier.chunks[1], c))
    again = Round(one.cast)
    refuses(NOT_THE_SUM, again.open, again.slipped(*again.chunks, earlier.chunks[1]))
    again = Round(one.cast)
    refuses(NOT_THE_SUM, again.open, again.slipped(*earlier.chunks))
    assert one.honest()


def test_a_sum_of_an_earlier_round_is_not_opened_again(one, earlier, refuses):
    refuses("of the same owners once more", earlier.open, earlier.total)
    refuses("has been received before", one.open, earlier.total)
    late = vouched(earlier.total, one.cast.server.mailbox, sequence=10**9)
    refuses("has round", one.open, late)


def test_a_ciphertext_for_another_key_is_refused(one, refuses):
    stranger = Round(Cast(one.scheme, NAMES[:3]))
    a, _, c = one.chunks
    refuses(f"{NOT_THE_SUM}|{SPENT}", one.open, one.slipped(a, stranger.chunks[1], c))
    again = Round(one.cast)
    refuses(f"{NOT_THE_SUM}|{SPENT}", again.open, again.slipped(*stranger.chunks))
    assert one.honest()


def test_ciphertexts_in_another_order_are_refused_in_a_sum_and_in_one_contribution(one, refuses):
    first, second = summed(one.scheme, one.chunks)
    refuses(NOT_THE_SUM, one.open, one.cast.slipped((second, first), one.manifest))
    again = Round(one.cast)
    a, b, c = again.chunks
    refuses(NOT_THE_SUM, again.open, again.slipped(a, b[::-1], c))
    again = Round(one.cast)
    first, _ = summed(one.scheme, again.chunks)
    refuses(NOT_THE_SUM, again.open, again.cast.slipped((first, first), again.manifest))


def test_an_empty_sum_and_one_of_random_coefficients_are_refused(one, refuses):
    size = one.manifest.chunk_bytes
    refuses(NOT_THE_SUM + "|could not", one.open, one.cast.slipped([bytes(size)] * 2, one.manifest))
    again = Round(one.cast)
    first, second = summed(one.scheme, again.chunks)
    refuses(f"{NOT_THE_SUM}|{SPENT}", again.open, again.cast.slipped([first, second[: size // 2] * 2], again.manifest))
    assert one.honest()


def test_a_sum_of_another_session_is_refused(one, refuses, close_tenseal):
    stranger = Round(Cast(one.scheme, NAMES[:3]))
    total = stranger.cast.add(stranger.sealed, stranger.manifest)
    close_tenseal()
    refuses(f"in session {stranger.cast.session[:8]}, and came to 'key holder' in", one.open, total)
    lie = vouched(total, stranger.cast.server.mailbox, session=one.cast.session)
    refuses("does not carry its sender's seal", one.open, lie)


def test_a_sum_of_one_owner_is_never_opened(one, refuses, close_tenseal):
    manifest = one.cast.manifest(one.plan, one.length, (A,))
    total = one.cast.add(one.cast.seal(one.vectors[:1], manifest), manifest)
    close_tenseal()
    refuses("of 'owner 0' alone", one.cast.open, total, manifest)


def test_owners_whose_sum_was_opened_are_not_opened_again_in_the_same_round_in_whatever_company(one, refuses):
    total = one.cast.add(one.sealed, one.manifest)
    one.open(total)
    for owners in ((A, B, C), (A, B), (C, NAMES[3])):
        manifest = one.cast.manifest(one.plan, one.length, owners, round=one.manifest.round)
        again = one.cast.add(one.cast.seal(one.vectors[: len(owners)], manifest), manifest)
        refuses("of the same owners once more", one.cast.open, again, manifest)
    assert one.honest()


def test_a_refused_sum_is_not_opened_in_a_second_try_either(one, refuses):
    # Or the server could try out what it likes until the tags fit.
    refuses("'owner 2' is missing", one.open, one.slipped(*one.chunks[:2]))
    refuses("of the same owners once more", one.open, one.slipped(*one.chunks))


def test_an_owner_that_lies_about_its_tags_is_noticed_by_the_key_holder(one, refuses):
    stranger = Cast(one.scheme, NAMES[:3])
    stranger.sealers[B].take_key(one.cast.holder.public_key)
    foreign = dataclasses.replace(one.manifest, session=stranger.session)
    wrong = stranger.sealers[B].seal(one.vectors[1], foreign)
    a, _, c = one.chunks
    refuses(NOT_THE_SUM, one.open, one.slipped(a, wrong.chunks, c))


def sealed_by_a_liar(one, numbers):
    """What owner 1 sends if its numbers are not checked and rounded first; its tags are right."""
    sealer, plan = one.cast.sealers[B], one.plan
    seed, context = sealer.tag_seed(one.manifest), keyless_context(one.cast.holder.public_key)
    parts = tagged(numbers, seed, one.manifest)
    chunks = [codec_of(plan).encrypt(context, part, plan) for part in parts]
    return sealer.mailbox.send(SERVER, one.manifest, chunks, inside=(B,))


@pytest.mark.parametrize("scheme", [KINDS["default"], KINDS["default, complex"]], ids=["default", "default, complex"])
def test_numbers_off_the_grid_are_not_opened(make_cast, refuses, scheme):
    # Their rounding would depend on the noise, and so would tell something about the secret key.
    one = Round(make_cast(scheme))
    off = one.plan.grid(one.vectors[1])
    off[5] += 0.4 * 2.0**-one.plan.grid_bits
    total = one.cast.add([one.sealed[0], sealed_by_a_liar(one, off), one.sealed[2]], one.manifest)
    refuses(NOT_THE_SUM, one.open, total)
    assert one.honest()


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_sum_beyond_what_its_owners_can_have_sent_is_not_opened(one, refuses, sign):
    numbers = one.plan.grid(one.vectors[1])
    numbers[5] = sign * 5.0
    total = one.cast.add([one.sealed[0], sealed_by_a_liar(one, numbers), one.sealed[2]], one.manifest)
    refuses(NOT_THE_SUM, one.open, total)
    assert one.honest()


def test_a_liar_with_numbers_like_the_others_is_not_noticed(one):
    # Encryption vouches for who sent what, never that it is true.
    numbers = one.plan.grid(-one.vectors[1])
    total = one.cast.add([one.sealed[0], sealed_by_a_liar(one, numbers), one.sealed[2]], one.manifest)
    honest = one.plan.grid(one.vectors)
    assert np.array_equal(one.open(total), honest[0] + numbers + honest[2])
