"""Law: what all owners open together, rounded, is the sum of their numbers, bit for bit; fewer open nothing."""

import itertools
import math

import numpy as np
import pytest
import tenseal
import tenseal.sealapi as seal

from fedlab_nb.crypto.threshold import OPENING_BYTES, RING, SLOTS, bits_lost, openings_limit, sigma
from fedlab_nb.crypto.threshold.opening import _unpacked
from fedlab_nb.crypto.threshold.parameters import rings, wire
from fedlab_nb.crypto.threshold.ring import mulmod, slots
from fedlab_nb.errors import EncryptionError


@pytest.mark.parametrize("count", range(2, 11))
def test_an_opened_sum_rounded_to_the_grid_is_the_sum_of_the_owners_numbers(make_epoch, count):
    epoch = make_epoch(count)
    numbers, sealed = epoch.sealed(chunks=2, seed=count)
    found = epoch.numbers(*epoch.opened(sealed)).real
    assert np.array_equal(epoch.grid(found), sum(numbers.values()))


@pytest.mark.parametrize("count", [2, 10])
@pytest.mark.parametrize("bound", [1.0, -1.0])
def test_a_sum_of_numbers_that_are_all_at_the_bound_does_not_wrap(make_epoch, count, bound):
    epoch = make_epoch(count)
    sealed = {name: epoch.seal(np.full((1, SLOTS), bound)) for name in epoch.names}
    assert np.array_equal(epoch.grid(epoch.numbers(*epoch.opened(sealed)).real), np.full((1, SLOTS), bound * count))


def test_more_ciphertexts_than_are_worked_on_at_once_come_out_in_order(epoch):
    numbers, sealed = epoch.sealed(chunks=35, seed=9)
    assert np.array_equal(epoch.grid(epoch.numbers(*epoch.opened(sealed)).real), sum(numbers.values()))


def test_two_numbers_in_a_complex_slot_come_out_too(epoch):
    context = tenseal.context_from(epoch.key.public_key, n_threads=1)
    under = context.seal_context().data
    encoder, encryptor = seal.CKKSEncoder(under), seal.Encryptor(under, context.public_key().data)
    rng, numbers, sealed = np.random.default_rng(8), {}, {}
    for name in epoch.names:
        pair = epoch.grid(rng.uniform(-1, 1, (2, SLOTS)))
        numbers[name] = pair[0] + 1j * pair[1]
        plain, cipher = seal.Plaintext(), seal.Ciphertext()
        encoder.encode(numbers[name].tolist(), epoch.scale, plain)
        encryptor.encrypt(plain, cipher)
        sealed[name] = [epoch.packed(np.array([cipher[i] for i in range(2 * RING)], dtype=np.int64).reshape(2, RING))]
    found = epoch.numbers(*epoch.opened(sealed))[0]
    assert np.array_equal(epoch.grid(found.real) + 1j * epoch.grid(found.imag), sum(numbers.values()))


@pytest.mark.parametrize("count", [2, 3, 10])
def test_the_noise_of_an_opened_sum_is_as_large_as_planned(make_epoch, count):
    epoch = make_epoch(count)
    numbers, sealed = epoch.sealed(chunks=2, seed=20 + count)
    noise = (epoch.numbers(*epoch.opened(sealed)) - sum(numbers.values())) * epoch.scale
    for part in (noise.real, noise.imag):
        assert 0.9 < part.std() / sigma(count) < 1.1
        assert np.abs(part).max() < 8 * sigma(count)


@pytest.mark.parametrize("count", [2, 10])
def test_the_noise_of_the_ciphertexts_themselves_is_as_large_as_the_bound_on_what_leaks_takes_it_to_be(
    make_epoch, count
):
    epoch, ring = make_epoch(count), rings()[0]
    sealed = {name: epoch.seal(np.zeros((4, SLOTS))) for name in epoch.names}
    secret = sum(epoch.secret(name) for name in epoch.names) % ring.prime
    total = np.stack([epoch.words(chunk) for chunk in epoch.add(sealed.values())])
    noise = ring.centred(ring.intt((total[:, 0] + mulmod(total[:, 1], secret, ring.prime)) % ring.prime))
    assert 0.9 < noise.std() / math.sqrt(count * (1 + 2 * RING * count / 3) / 12) < 1.1


def test_any_missing_opening_is_an_error_and_never_a_number(make_epoch):
    epoch = make_epoch(4)
    request, total, openings = epoch.opened(epoch.sealed()[1])
    for size in range(4):
        for present in itertools.combinations("ABCD", size):
            missing = sorted(set("ABCD") - set(present))
            with pytest.raises(EncryptionError, match=f"partial opening of '{missing[0]}'.* is missing"):
                epoch.numbers(request, total, {name: openings[name] for name in present})
    with pytest.raises(EncryptionError, match="'E' does not belong"):
        epoch.numbers(request, total, {**openings, "E": openings["A"]})


def test_the_server_with_all_owners_but_one_cannot_open(make_epoch):
    epoch, ring = make_epoch(4), rings()[0]
    numbers, sealed = epoch.sealed(seed=30)
    _, total, openings = epoch.opened(sealed)
    exact = sum(numbers.values())[0]

    def put_together(names: str) -> np.ndarray:
        value = ring.intt(epoch.words(total[0])[0]) + sum(_unpacked(openings[name].chunks)[0] for name in names)
        return slots(ring.centred(value % ring.prime) / epoch.scale).real

    assert np.abs(put_together("ABCD") - exact).max() < 1e-3
    uniform = ring.prime / math.sqrt(12) * math.sqrt(RING / 2) / epoch.scale
    for names in itertools.combinations("ABCD", 3):
        found = put_together("".join(names))
        assert 0.9 < found.std() / uniform < 1.1, "as large as words drawn at random would make it"
        assert abs(np.corrcoef(found, exact)[0, 1]) < 0.15


def test_shares_of_one_and_the_same_sum_are_other_bytes_every_time(epoch):
    sealed = epoch.sealed(seed=31)[1]
    total = epoch.add(sealed.values())
    first, second = (epoch.opened(sealed, total)[2]["A"] for _ in range(2))
    apart = _unpacked(first.chunks) - _unpacked(second.chunks)
    assert np.abs(apart).min() < np.abs(apart).max()
    assert 0.9 < rings()[0].centred(apart % rings()[0].prime).std() / (math.sqrt(2) * 2**20) < 1.1
    assert first.signature != second.signature


def test_a_share_has_the_size_that_follows_from_the_number_of_ciphertexts(epoch):
    _, _, openings = epoch.opened(epoch.sealed(chunks=2, seed=32)[1])
    for opening in openings.values():
        assert [len(chunk) for chunk in opening.chunks] == [OPENING_BYTES] * 2
        assert opening.nbytes == 2 * OPENING_BYTES + 64
    assert repr(openings["A"]) == "PartialOpening(of 'A', 2 ciphertexts, 41,024 bytes)"


def test_a_sum_of_a_round_and_kind_is_opened_once(make_epoch):
    epoch = make_epoch(2)
    sealed = epoch.sealed(seed=33)[1]
    total = epoch.add(sealed.values())
    request = epoch.request(sealed, total, kind="once", number=7)
    witnesses = epoch.witnesses(request, sealed)
    assert epoch.openings(request, total, witnesses)
    with pytest.raises(EncryptionError, match=r"'A' has opened 'once' of round 7 before"):
        epoch.owners["A"].open(request, total, witnesses)
    other_sealed = epoch.sealed(seed=34)[1]
    other_total = epoch.add(other_sealed.values())
    other = epoch.request(other_sealed, other_total, kind="once", number=7)
    with pytest.raises(EncryptionError, match=r"'A' has opened 'once' of round 7 before"):
        epoch.owners["A"].witness(other, other_sealed["A"])
    for kind, number in (("twice", 7), ("once", 8)):
        again = epoch.request(other_sealed, other_total, kind=kind, number=number)
        assert epoch.openings(again, other_total, epoch.witnesses(again, other_sealed))


def test_an_owner_counts_the_ciphertexts_it_opened_and_refused_ones_do_not_count(make_epoch):
    epoch = make_epoch(2)
    owner, sealed = epoch.owners["A"], epoch.sealed(chunks=2, seed=35)[1]
    before, total = owner.opened_ciphertexts, epoch.add(sealed.values())
    request = epoch.request(sealed, total)
    with pytest.raises(EncryptionError):
        owner.open(request, sealed["A"], epoch.witnesses(request, sealed))
    assert owner.opened_ciphertexts == before
    epoch.openings(request, total, epoch.witnesses(request, sealed))
    assert owner.opened_ciphertexts == before + 2
    assert bits_lost(2, owner.opened_ciphertexts) < 1 < openings_limit(2)


def test_ciphertexts_as_they_travel_can_be_read_by_tenseal_again(epoch):
    chunk = epoch.seal(np.ones((1, SLOTS)))[0]
    context = tenseal.context_from(epoch.key.public_key, n_threads=1)
    loaded = tenseal.ckks_vector_from(context, wire().to_tenseal(chunk, scale=epoch.scale, size=SLOTS))
    assert wire().from_tenseal(loaded.serialize()) == chunk
