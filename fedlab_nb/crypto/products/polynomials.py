"""Polynomials with whole coefficients as SEAL's ciphertexts and plaintexts, and back.

A polynomial modulo all primes that travel is (primes, ring) words. SEAL transforms them; what goes through its encoder
stays below 2**40, where floating point has whole numbers exactly.
"""

from __future__ import annotations

import math
import os
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.crypto.ciphertexts import native
from fedlab_nb.crypto.ciphertexts.native import guarded
from fedlab_nb.crypto.ciphertexts.words import Wire, Words, seal_words
from fedlab_nb.crypto.schemes.ckks import CKKS
from fedlab_nb.crypto.threshold.ring import slots

Floats = NDArray[np.float64]

# A word below 2**60 can be moved up by so many bits before it has to be reduced.
_BITS_AT_ONCE = 4


@lru_cache(maxsize=2)
def evaluator(scheme: CKKS) -> Any:
    """SEAL's arithmetic on ciphertexts; it needs no key."""
    import tenseal.sealapi as seal

    return seal.Evaluator(native.seal_context(scheme))


def moved_up(coefficients: Floats, bits: int, wire: Wire) -> Words:
    """Whole numbers (n,) times 2**bits modulo each prime: (primes, n) words, exact."""
    words = np.empty((len(wire.primes), len(coefficients)), dtype=np.uint64)
    for row, prime in zip(words, wire.primes, strict=True):
        row[:] = np.mod(coefficients.astype(np.int64), prime).astype(np.uint64)
        for start in range(0, bits, _BITS_AT_ONCE):
            np.left_shift(row, np.uint64(min(_BITS_AT_ONCE, bits - start)), out=row)
            np.mod(row, np.uint64(prime), out=row)
    return words


def uniform(wire: Wire) -> Words:
    """(primes, ring) words, all equally likely, from the operating system: what is added to them cannot be told."""
    words = np.empty((len(wire.primes), wire.ring), dtype=np.uint64)
    for row, prime in zip(words, wire.primes, strict=True):
        mask, filled = np.uint64((1 << prime.bit_length()) - 1), 0
        while filled < wire.ring:
            drawn = np.frombuffer(os.urandom(8 * wire.ring), dtype="<u8") & mask
            kept = drawn[drawn < prime][: wire.ring - filled]  # a remainder would make small words likelier
            row[filled : filled + kept.size] = kept
            filled += kept.size
    return words


def packed_with(cipher: Any, coefficients: Words, scheme: CKKS) -> bytes:
    """A ciphertext plus the polynomial (primes, ring) in the clear, as it travels; ``cipher`` is used up."""
    wire, arithmetic = native.wire_of(scheme), evaluator(scheme)
    pair = _read(_beside_ones(coefficients), scheme, transformed=False)
    guarded("transform", "a polynomial", arithmetic.transform_to_ntt_inplace, pair)
    guarded("add", "a polynomial", arithmetic.add_inplace, cipher, pair)
    guarded("add", "a polynomial", arithmetic.sub_inplace, cipher, _ones(scheme))
    return wire.pack(wire.words_of_seal(native.saved(cipher)))


def plaintext(coefficients: Floats, scheme: CKKS) -> Any:
    """SEAL's plaintext of a polynomial (ring,) with whole coefficients, for products with ciphertexts; exact."""
    import tenseal.sealapi as seal

    plain = seal.Plaintext()
    guarded("encode", "numbers", native.encoder(scheme).encode, slots(coefficients).tolist(), 1.0, plain)
    return plain


def unpacked(chunk: bytes, scheme: CKKS) -> Any:
    """SEAL's ciphertext of what came, its length and coefficients checked."""
    return _read(native.wire_of(scheme).unpack(chunk), scheme, transformed=True)


def coefficients_of(plain: Any, places: NDArray[np.int64], scheme: CKKS) -> list[int]:
    """The coefficients at ``places`` of a decrypted polynomial, as whole numbers around zero."""
    wire = native.wire_of(scheme)
    words = seal_words(native.saved(plain), len(wire.primes) * wire.ring).reshape(len(wire.primes), wire.ring)
    pair = _read(_beside_ones(words), scheme, transformed=True)
    guarded("transform", "a polynomial", evaluator(scheme).transform_from_ntt_inplace, pair)
    found = wire.words_of_seal(native.saved(pair))[0]
    return [centred(lifted(found[:, place], scheme), scheme) for place in places]


@lru_cache(maxsize=2)
def modulus(scheme: CKKS) -> int:
    """The product of all primes that travel."""
    return math.prod(native.wire_of(scheme).primes)


def lifted(words: Words, scheme: CKKS) -> int:
    """The whole number in [0, modulus) with these remainders (primes,)."""
    whole = modulus(scheme)
    lifts = ((whole // p) * pow(whole // p, -1, p) for p in native.wire_of(scheme).primes)
    return sum(int(word) * lift for word, lift in zip(words, lifts, strict=True)) % whole


def centred(number: int, scheme: CKKS) -> int:
    """The same number modulo the modulus, taken around zero."""
    whole = modulus(scheme)
    return (number + whole // 2) % whole - whole // 2


@lru_cache(maxsize=2)
def _ones(scheme: CKKS) -> Any:
    """What ``_beside_ones`` stands beside, to be taken away again: 0 with a second half of ones."""
    wire = native.wire_of(scheme)
    pair = _read(_beside_ones(np.zeros((len(wire.primes), wire.ring), dtype=np.uint64)), scheme, transformed=False)
    guarded("transform", "a polynomial", evaluator(scheme).transform_to_ntt_inplace, pair)
    return pair


def _beside_ones(polynomial: Words) -> Words:
    """A polynomial as the first half of a ciphertext; SEAL refuses one whose second half is zero."""
    return np.stack([polynomial, np.ones_like(polynomial)])


def _read(words: Words, scheme: CKKS, *, transformed: bool) -> Any:
    import tenseal.sealapi as seal

    cipher, wire = seal.Ciphertext(), native.wire_of(scheme)
    data = wire.to_seal(words, transformed=transformed)
    native.load(cipher, native.seal_context(scheme), data, "a ciphertext")
    return cipher
