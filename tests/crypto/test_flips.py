"""Flipped bits are refused on the way, and behind a sound envelope never change a number that is opened."""

import numpy as np
import pytest

from fedlab_nb.crypto import CKKS, Sealed
from fedlab_nb.crypto.seal import SERVER
from fedlab_nb.errors import EncryptionError
from tests.crypto.common import CASES, KINDS, draw, flipped, summed

FLIPS = 1000


@pytest.fixture(params=KINDS.values(), ids=KINDS)
def cast(request, make_cast):
    return make_cast(request.param)


def positions(parts, seed: int):
    """Random bits, as many of them in sizes, header and seal as in the much longer ciphertexts."""
    head, whole = 8 * len(parts[0]), 8 * sum(map(len, parts))
    rng = np.random.default_rng(seed)
    return [*rng.integers(0, head, FLIPS // 2).tolist(), *rng.integers(head, whole, FLIPS // 2).tolist()]


def test_a_thousand_flipped_bits_from_owner_to_server_are_refused_and_the_whole_one_is_added(cast):
    plan = cast.scheme.plan(bound=1.0, owners=2)
    manifest = cast.manifest(plan, plan.held + 1)
    vectors = draw(2, plan.held + 1)
    sealed = cast.seal(vectors, manifest)
    data = b"".join(sealed[0].parts)
    for bit in positions(sealed[0].parts, seed=1):
        with pytest.raises(EncryptionError):
            cast.server.mailbox.take(Sealed.read(flipped(data, bit)), manifest)
    total = cast.add([Sealed.read(data), sealed[1]], manifest)
    assert np.array_equal(cast.open(total, manifest), plan.grid(vectors).sum(axis=0))


def test_a_thousand_flipped_bits_from_server_to_key_holder_are_refused_and_the_whole_one_is_opened(cast):
    plan = cast.scheme.plan(bound=1.0, owners=2)
    manifest = cast.manifest(plan, plan.held + 1)
    vectors = draw(2, plan.held + 1)
    total = cast.add(cast.seal(vectors, manifest), manifest)
    data = b"".join(total.parts)
    for bit in positions(total.parts, seed=2):
        with pytest.raises(EncryptionError):
            cast.open(Sealed.read(flipped(data, bit)), manifest)
    assert np.array_equal(cast.open(Sealed.read(data), manifest), plan.grid(vectors).sum(axis=0))


@pytest.mark.parametrize("case", CASES)
def test_bits_that_the_server_flips_in_a_sum_give_an_error_or_exactly_the_sum(only_tags, make_cast, case):
    # The server may vouch for what it likes. What BFV and rounding absorb is no damage: the sum is then right.
    scheme, bound = CASES[case]
    cast, plan = make_cast(scheme), scheme.plan(bound=bound, owners=2)
    vectors, rng, refused = draw(2, plan.held, bound=bound), np.random.default_rng(7), 0
    honest = plan.grid(vectors).sum(axis=0)
    flips = 60
    for _ in range(flips):
        manifest = cast.manifest(plan, plan.held)
        (chunk,) = summed(scheme, [item.chunks for item in cast.seal(vectors, manifest)])
        sealed = cast.slipped([flipped(chunk, int(rng.integers(8 * len(chunk))))], manifest)
        try:
            opened = cast.open(sealed, manifest)
        except EncryptionError:
            refused += 1
        else:
            assert np.array_equal(opened, honest)
    assert refused == flips if isinstance(scheme, CKKS) else 0 < refused < flips


@pytest.mark.parametrize("case", CASES)
def test_a_coefficient_beyond_its_prime_never_reaches_tenseal(only_tags, make_cast, refuses, close_tenseal, case):
    scheme, bound = CASES[case]
    cast, plan = make_cast(scheme), scheme.plan(bound=bound, owners=2)
    manifest = cast.manifest(plan, plan.held)
    sealed = cast.seal(draw(2, plan.held, bound=bound), manifest)
    close_tenseal()
    beyond = [b"\xff" * len(sealed[0].chunks[0])]
    liar = cast.sealers["owner 0"].mailbox.send(SERVER, manifest, beyond, inside=("owner 0",))
    text = refuses("coefficient beyond its prime", cast.add, [liar, sealed[1]], manifest)
    assert text.startswith("Ciphertext 1 of 'owner 0'")
    refuses("coefficient beyond its prime", cast.open, cast.slipped(beyond, manifest), manifest)
