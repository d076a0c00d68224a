"""A sum is opened only if it is that of what each owner sealed, coefficient by coefficient: no other is decrypted."""

import numpy as np
import pytest

from fedlab_nb.crypto import Request
from fedlab_nb.crypto.ciphertexts import codec
from fedlab_nb.crypto.ciphertexts.native import wire_of
from fedlab_nb.crypto.seal import KEY_HOLDER
from fedlab_nb.crypto.vouching.linear import HASHES, LinearHash, moduli
from tests.crypto.common import CASES, KINDS, SCHEMES, Round, scaled, summed

NOT_SEALED = "is not the sum of what the owners of this round sealed"


@pytest.fixture
def sealed_shut(monkeypatch):
    """From here on nothing may be decrypted."""

    def reached(*_):
        pytest.fail("a ciphertext was decrypted")

    for kind in (codec.RealSlots, codec.ComplexSlots, codec.Fields):
        monkeypatch.setattr(kind, "decrypt", reached)


def anew(one):
    """Let the key holder forget the last try: a sum that was refused is not looked at again."""
    one.cast.holder._KeyHolder__opened.clear()
    return one.open


def times_polynomial(scheme, chunks, factors):
    """Ciphertexts times a public polynomial with small whole coefficients, which keeps their noise small.

    Multiplying by X**k turns coefficients round; done on the decrypted side it moves slots. Here on the words in SEAL's
    order it is enough that the result is another ciphertext that decrypts to something: any linear map of words.
    """
    wire = wire_of(scheme)
    primes = np.array(wire.primes, dtype=object)[:, None]
    turned = []
    for chunk in chunks:
        words = wire.unpack(chunk).astype(object)
        total = sum(factor * np.roll(words, shift, axis=-1) for shift, factor in factors.items()) % primes
        turned.append(wire.pack(total.astype(np.uint64)))
    return tuple(turned)


@pytest.mark.parametrize("case", CASES)
def test_the_hash_of_a_sum_is_the_sum_of_the_hashes_and_that_of_plain_arithmetic(make_cast, case):
    scheme, _ = CASES[case]
    wire, rng = wire_of(scheme), np.random.default_rng(0)
    primes = np.array(wire.primes, dtype=np.uint64)
    top = primes[:, None] - np.uint64(1)
    vectors = [rng.integers(0, primes[:, None], (2, 2, len(primes), wire.ring), dtype=np.uint64) for _ in range(3)]
    vectors.append(np.broadcast_to(top, (2, 2, len(primes), wire.ring)))

    def hashed(chunks):
        linear = LinearHash(b"challenge", wire)
        for words in chunks:
            linear.add(words)
        return linear.value

    total = sum(v.astype(object) for v in vectors) % primes.astype(object)[:, None]
    found = hashed(total.astype(np.uint64))
    parts = [hashed(v) for v in vectors]
    assert found == tuple(sum(own) % p for p, *own in zip(moduli(wire), *parts, strict=True))
    assert len(found) == HASHES * len(primes)
    other = total.astype(np.uint64).copy()
    other[1, 1, -1, -1] ^= np.uint64(1)
    assert all(a != b for a, b in zip(hashed(other)[-HASHES:], found[-HASHES:], strict=True))


@pytest.mark.parametrize("who", [0, 1, 2])
def test_an_owner_that_is_left_out_is_named_before_anything_is_decrypted(one, refuses, sealed_shut, who):
    rest = [chunks for i, chunks in enumerate(one.chunks) if i != who]
    refuses(f"^'owner {who}' is missing from the sum", one.open, one.slipped(*rest))


@pytest.mark.parametrize("times", [2, 3, 8])
def test_an_owner_that_is_counted_or_scaled_is_named_before_anything_is_decrypted(one, refuses, sealed_shut, times):
    a, b, c = one.chunks
    total = one.slipped(a, b, scaled(one.scheme, c, times))
    refuses(f"^'owner 2' is in the sum {times} times", one.open, total)


def test_one_owner_with_anything_of_the_others_is_refused_before_anything_is_decrypted(one, refuses, sealed_shut):
    a, b, c = one.chunks
    others = summed(one.scheme, [b, c])
    for factors in ({0: 2, 1: -1}, {1: 1}, {0: 1, 7: 3, 9: -4}):
        total = one.slipped(a, times_polynomial(one.scheme, others, factors))
        refuses(NOT_SEALED, anew(one), total)


def test_ciphertexts_in_another_order_or_of_an_earlier_round_are_refused(one, refuses, sealed_shut):
    a, b, c = one.chunks
    earlier = Round(one.cast).chunks[0]
    for total in (one.slipped(a, b, c[::-1]), one.slipped(earlier, b, c), one.slipped(a, b, c, earlier)):
        refuses(NOT_SEALED, anew(one), total)


def said(one, request):
    return {
        item.header.sender: one.cast.sealers[item.header.sender].vouch(request, one.manifest, item)
        for item in one.sealed
    }


def test_what_owners_say_is_bound_to_one_sum_and_to_each_of_them(one, refuses, sealed_shut):
    total = one.slipped(*one.chunks)
    request = Request.of(one.sealed, total)
    honest = said(one, request)
    a, b = one.manifest.owners[:2]
    other = said(one, Request(request.sealed, "0" * 64))
    flipped = bytes([honest[a][0] ^ 1]) + honest[a][1:]
    wrong = [
        {**honest, a: flipped},
        {**honest, a: honest[b]},
        {**honest, a: b""},
        {**honest, a: honest[a][:-1]},
        {name: code for name, code in honest.items() if name != a},
        {**honest, a: other[a]},
    ]
    for witnesses in wrong:
        anew(one)
        sum_again = one.slipped(*one.chunks)
        refuses(f"^'{a}' does not vouch", one.cast.holder.open, sum_again, one.manifest, request, witnesses)


def test_another_sum_than_was_announced_is_refused(one, refuses, sealed_shut):
    announced = one.slipped(*one.chunks)
    request = Request.of(one.sealed, announced)
    other = one.slipped(*one.chunks[:2])
    refuses("another one than was announced", one.cast.holder.open, other, one.manifest, request, said(one, request))


def test_an_owner_does_not_vouch_for_what_it_has_not_sealed(one, refuses):
    a, b, _ = one.manifest.owners
    request = Request.of(one.sealed, one.slipped(*one.chunks))
    sealer, mine = one.cast.sealers[a], one.sealed[0]
    changed = {**request.sealed, a: "0" * 64}
    refuses("sealed something else", sealer.vouch, Request(changed, request.total), one.manifest, mine)
    twice = {**request.sealed, b: request.sealed[a]}
    refuses("other vectors than one from each", sealer.vouch, Request(twice, request.total), one.manifest, mine)
    fewer = {name: text for name, text in request.sealed.items() if name != b}
    refuses("other vectors than one from each", sealer.vouch, Request(fewer, request.total), one.manifest, mine)


@pytest.mark.parametrize("kind", KINDS)
def test_the_honest_sum_is_opened(make_cast, kind):
    assert Round(make_cast(SCHEMES[kind])).honest()


def test_nobody_but_owner_and_key_holder_can_make_a_witness(one):
    a = one.manifest.owners[0]
    server, holder = one.cast.server.mailbox, one.cast.holder.mailbox
    assert holder.secret_with(a, "witness") == one.cast.sealers[a].mailbox.secret_with(KEY_HOLDER, "witness")
    assert server.secret_with(a, "witness") != holder.secret_with(a, "witness")
