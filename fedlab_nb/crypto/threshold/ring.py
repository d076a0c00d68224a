"""Exact arithmetic in the ring of the ciphertexts, in numpy: products modulo a prime, SEAL's transform, the slots.

A polynomial modulo X**N + 1 and a prime p is an int64 array whose last axis has N numbers in [0, p). All functions work
on many polynomials at once, whatever axes stand before the last.

Source: Harvey, "Faster arithmetic for number-theoretic transforms", J. Symb. Comput. 60 (2014), whose order of the
values Microsoft SEAL uses; Cheon, Kim, Kim, Song, Asiacrypt 2017, section 3.2 (slots).
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.errors import EncryptionError

Words = NDArray[np.int64]

_LARGEST = 1 << 55
# Polynomials transformed together: two megabytes of them stay in a processor's cache.
_BLOCK = 32


def mulmod(a: Words, b: Words, prime: int) -> Words:
    """The products of ``a`` and ``b`` modulo ``prime``, exact; |a|, |b| < prime < 2**55, results in [0, prime).

    Example:
        >>> p = 18014398509293569
        >>> int(mulmod(np.array([p - 1]), np.array([p - 2]), p)[0]) == (p - 1) * (p - 2) % p
        True
    """
    return _product(a, b, np.multiply(b, 1 / prime, dtype=np.float64), prime)


def _product(a: Words, b: Words, share: NDArray[np.float64], prime: int) -> Words:
    # Exact, with share = b/prime in floats. Five roundings (a, b, 1/prime, two products), each with a relative error of
    # at most 2**-53, leave the quotient a*b/prime, which is below 2**55, wrong by less than 20.1, and cutting it to a
    # whole number by less than 1 more. So a*b - quotient*prime lies within 22 prime < 2**60 of zero: 64-bit integers,
    # which wrap in both products, hold the difference exactly.
    quotient = (a * share).astype(np.int64)
    quotient *= prime
    return reduced(np.subtract(a * b, quotient, out=quotient), prime)


def reduced(numbers: Words, prime: int) -> Words:
    """``numbers``, any below 2**62 in size, modulo ``prime``; changed in place."""
    # numpy's own remainder is eight times slower: it divides number by number.
    whole = numbers // prime
    whole *= prime
    numbers -= whole
    return numbers


class Ring:
    """Polynomials modulo X**``degree`` + 1 and ``prime``, and the transform that makes their products slot by slot.

    Raises:
        EncryptionError: the prime is too large for exact products, or has no transform of this degree.
    """

    def __init__(self, prime: int, degree: int) -> None:
        if not degree < prime < _LARGEST or (prime - 1) % (2 * degree) or degree & (degree - 1):
            raise EncryptionError(
                f"There is no exact transform of degree {degree} modulo {prime}.",
                "Products are exact below 2**55 only, and the transform needs roots of unity.",
                "Use a degree that is a power of two, and a prime below 2**55 that is 1 modulo twice the degree.",
            )
        self.prime, self.degree = prime, degree
        root = _smallest_root(prime, 2 * degree)
        self._forth = self._powers(root)
        self._back = self._powers(pow(root, -1, prime))
        self._shrink = np.full(1, pow(degree, -1, prime))

    def ntt(self, coefficients: Words) -> Words:
        """The values of polynomials (.., N) at the odd powers of the root, in SEAL's (bit-reversed) order."""
        return self._in_blocks(self._transform, coefficients)

    def intt(self, values: Words) -> Words:
        """The coefficients (.., N) in [0, p) of polynomials given by their values; undoes ``ntt``."""
        return self._in_blocks(self._untransform, values)

    def centred(self, words: Words) -> Words:
        """The same numbers modulo p, taken between -p/2 and p/2."""
        return words - (words > self.prime // 2) * np.int64(self.prime)

    def uniform(self, seed: bytes, count: int) -> Words:
        """``count`` numbers of [0, p), all equally likely, that everyone with ``seed`` gets; from SHAKE-256."""
        bits, drawn = self.prime.bit_length(), count + 64
        while True:
            words = np.frombuffer(hashlib.shake_256(seed).digest(8 * drawn), dtype="<i8") & ((1 << bits) - 1)
            # Taking the remainder would make small numbers likelier; numbers from p up are dropped instead.
            kept = words[words < self.prime]
            if kept.size >= count:
                return kept[:count].astype(np.int64)
            drawn *= 2

    def _powers(self, root: int) -> tuple[Words, NDArray[np.float64]]:
        powers = [1]
        for _ in range(self.degree - 1):
            powers.append(powers[-1] * root % self.prime)
        ordered = np.array(powers, dtype=np.int64)[_bit_reversed(self.degree)]
        return ordered, ordered / self.prime

    def _in_blocks(self, step: Callable[[Words], Words], polynomials: Words) -> Words:
        rows = polynomials.reshape(-1, self.degree)
        result = np.empty_like(rows)
        for start in range(0, len(rows), _BLOCK):
            # The polynomials become the last axis, so that the short steps of a transform run along it.
            # They are copied: a step works in place.
            columns = np.array(rows[start : start + _BLOCK].T, order="C")
            result[start : start + _BLOCK] = step(columns).T
            time.sleep(0)
        return result.reshape(polynomials.shape)

    def _transform(self, columns: Words) -> Words:
        (powers, shares), half = self._forth, self.degree // 2
        groups = 1
        while half:
            pairs = columns.reshape(groups, 2, -1)
            left, right = pairs[:, 0], pairs[:, 1]
            now = slice(groups, 2 * groups)
            turned = _product(right, powers[now, None], shares[now, None], self.prime)
            np.subtract(left, turned, out=right)
            left += turned
            columns = reduced(columns, self.prime)
            groups, half = 2 * groups, half // 2
        return columns

    def _untransform(self, columns: Words) -> Words:
        (powers, shares), groups = self._back, self.degree // 2
        while groups:
            pairs = columns.reshape(groups, 2, -1)
            left, right = pairs[:, 0], pairs[:, 1]
            now = slice(groups, 2 * groups)
            apart = left - right
            left += right
            right[...] = _product(apart, powers[now, None], shares[now, None], self.prime)
            columns = reduced(columns, self.prime)
            groups //= 2
        return mulmod(columns, self._shrink, self.prime)


def slots(coefficients: NDArray[np.float64]) -> NDArray[np.complex128]:
    """The complex numbers (.., N/2) that real polynomials (.., N) hold: slot j is the value at zeta**(3**j)."""
    degree = coefficients.shape[-1]
    twisted = coefficients * _twist(degree)
    return np.asarray(degree * np.fft.ifft(twisted, axis=-1)[..., _slot_order(degree)], dtype=np.complex128)


def polynomial(values: NDArray[np.complex128] | NDArray[np.float64]) -> NDArray[np.float64]:
    """The real polynomials (.., N) that hold ``values`` (.., N/2) in their slots; undoes ``slots``."""
    degree = 2 * values.shape[-1]
    spread = np.zeros((*values.shape[:-1], degree), dtype=np.complex128)
    order = _slot_order(degree)
    spread[..., order] = values
    spread[..., degree - 1 - order] = np.conj(values)
    twisted = np.fft.fft(spread, axis=-1) / degree
    return np.ascontiguousarray((twisted * np.conj(_twist(degree))).real)


@lru_cache(maxsize=4)
def _twist(degree: int) -> NDArray[np.complex128]:
    # zeta**n turns values at odd powers of zeta into an ordinary Fourier transform.
    return np.asarray(np.exp(1j * np.pi * np.arange(degree) / degree), dtype=np.complex128)


@lru_cache(maxsize=4)
def _slot_order(degree: int) -> NDArray[np.int64]:
    return np.array([(pow(3, j, 2 * degree) - 1) // 2 for j in range(degree // 2)], dtype=np.int64)


def _bit_reversed(degree: int) -> NDArray[np.int64]:
    order = np.zeros(1, dtype=np.int64)
    while order.size < degree:
        order = np.concatenate([2 * order, 2 * order + 1])
    return order


def _smallest_root(prime: int, order: int) -> int:
    power = (prime - 1) // order
    # A root of the full order is one whose half power is -1; SEAL takes the smallest of them.
    some = next(r for r in (pow(g, power, prime) for g in range(2, 200)) if pow(r, order // 2, prime) == prime - 1)
    square, smallest, odd = some * some % prime, some, some
    for _ in range(order // 2):
        odd = odd * square % prime
        smallest = min(smallest, odd)
    return smallest
