import numpy as np
import pytest
import tenseal.sealapi as seal
from hypothesis import given
from hypothesis import strategies as st

from fedlab_nb.crypto.threshold.parameters import RING, rings, seal_context
from fedlab_nb.crypto.threshold.ring import Ring, mulmod, polynomial, reduced, slots
from fedlab_nb.errors import EncryptionError

# The largest primes below 2**54 and 2**55 that are 1 modulo 8192, a middle one, and a tiny one.
PRIMES = (18014398509293569, 36028797018652673, 1099511480321, 97)


def is_prime(n: int) -> bool:
    odd, twos = n - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for base in (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37):
        power = pow(base, odd, n)
        if base % n and power != 1 and all(pow(power, 1 << i, n) != n - 1 for i in range(twos)):
            return False
    return True


@pytest.mark.parametrize("prime", PRIMES)
def test_products_equal_those_of_whole_numbers_of_any_size(prime):
    assert is_prime(prime)
    rng = np.random.default_rng(1)
    edges = np.array([0, 1, 2, prime // 2, prime // 2 + 1, prime - 2, prime - 1, 1 - prime, -1])
    a = np.concatenate([np.repeat(edges, edges.size), rng.integers(0, prime, 4000), prime - rng.integers(1, 90, 1000)])
    b = np.concatenate([np.tile(edges, edges.size), rng.integers(0, prime, 4000), prime - rng.integers(1, 90, 1000)])
    expected = [x * y % prime for x, y in zip(a.tolist(), b.tolist(), strict=True)]
    assert mulmod(a, b, prime).tolist() == expected


@given(st.sampled_from(PRIMES), st.data())
def test_products_equal_those_of_whole_numbers(prime, data):
    a, b = (data.draw(st.integers(0, prime - 1)) for _ in range(2))
    assert mulmod(np.array([a]), np.array([b]), prime).tolist() == [a * b % prime]


def test_reducing_agrees_with_whole_numbers_on_both_sides_of_zero():
    prime = PRIMES[0]
    numbers = np.array([0, prime, prime - 1, -1, -prime, 40 * prime + 3, -40 * prime - 3, (1 << 62) - 1, 1 - (1 << 62)])
    assert reduced(numbers.copy(), prime).tolist() == [n % prime for n in numbers.tolist()]


@pytest.mark.parametrize("prime", PRIMES)
@pytest.mark.parametrize("many", [(), (1,), (3,), (2, 35)])
def test_the_transform_turns_products_of_polynomials_into_products_of_values(prime, many):
    degree = 16
    ring, rng = Ring(prime, degree), np.random.default_rng(2)
    a, b = rng.integers(0, prime, (2, *many, degree))
    product = ring.intt(mulmod(ring.ntt(a), ring.ntt(b), prime))
    for left, right, found in zip(*(x.reshape(-1, degree).tolist() for x in (a, b, product)), strict=True):
        expected = [0] * degree
        for i, x in enumerate(left):
            for j, y in enumerate(right):
                # X**16 is -1.
                expected[(i + j) % degree] += x * y * (1 if i + j < degree else -1)
        assert found == [value % prime for value in expected]


def test_transforming_forth_and_back_changes_nothing_and_keeps_what_was_given():
    ring = rings()[0]
    given_words = np.random.default_rng(3).integers(0, ring.prime, (70, RING))
    kept = given_words.copy()
    assert np.array_equal(ring.intt(ring.ntt(given_words)), kept)
    assert np.array_equal(given_words, kept)


def test_values_are_in_the_order_in_which_seal_has_them():
    numbers = np.random.default_rng(4).normal(size=RING // 2) + 1j * np.random.default_rng(5).normal(size=RING // 2)
    plain, scale = seal.Plaintext(), 2.0**40
    seal.CKKSEncoder(seal_context()).encode(numbers.tolist(), scale, plain)
    for place, ring in enumerate(rings()[:1]):
        values = np.array([plain[place * RING + i] for i in range(RING)], dtype=np.int64)
        coefficients = ring.centred(ring.intt(values))
        assert np.abs(coefficients - polynomial(numbers) * scale).max() <= 1
        assert np.array_equal(ring.ntt(coefficients % ring.prime), values)
        assert np.abs(slots(coefficients / scale) - numbers).max() < 1e-9


def test_slots_are_those_that_seal_decodes():
    encoder, plain, scale = seal.CKKSEncoder(seal_context()), seal.Plaintext(), 2.0**40
    encoder.encode(np.random.default_rng(6).normal(size=RING // 2).tolist(), scale, plain)
    values = np.array([plain[i] for i in range(RING)], dtype=np.int64)
    mine = slots(rings()[0].centred(rings()[0].intt(values)) / scale)
    assert np.abs(mine - np.array(encoder.decode_complex(plain))).max() < 1e-9


def test_a_polynomial_has_the_slots_it_was_made_of():
    rng = np.random.default_rng(7)
    numbers = rng.normal(size=(3, 8)) + 1j * rng.normal(size=(3, 8))
    assert np.allclose(slots(polynomial(numbers)), numbers)
    zeta, made = np.exp(1j * np.pi / 16), polynomial(numbers)
    powers = np.array([[zeta ** (n * pow(3, j, 32)) for n in range(16)] for j in range(8)])
    assert np.allclose(made @ powers.T, numbers), "slot j is the value at zeta**(3**j)"


def test_random_words_are_below_the_prime_equally_likely_and_the_same_for_all_who_have_the_seed():
    ring = Ring(97, 16)
    drawn = ring.uniform(b"seed", 97_000)
    counts = np.bincount(drawn, minlength=97)
    assert counts.size == 97
    # A count has mean 1000 and standard deviation 31; with a fixed seed this passes always or never.
    assert np.abs(counts - 1000).max() < 6 * 32
    assert np.array_equal(drawn[:50], ring.uniform(b"seed", 50))
    assert not np.array_equal(drawn[:50], ring.uniform(b"Seed", 50))


@pytest.mark.parametrize(("prime", "degree"), [(18014398509293569, 12), (101, 16), ((1 << 55) + 1, 16), (13, 16)])
def test_a_ring_without_an_exact_transform_is_refused(prime, degree):
    with pytest.raises(EncryptionError, match="no exact transform"):
        Ring(prime, degree)
