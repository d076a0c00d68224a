"""Ciphertexts as they travel: their coefficients and nothing else, so that there is no header to tamper with.

TenSEAL believes the sizes that stand in the bytes it is given, and ends the whole process on some of them. So only
coefficients cross between parties. The receiver checks that there are as many as agreed, that each lies below its
prime, and writes the headers itself. Sizes are then also the same for all numbers: what is packed here is not
compressed.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.errors import EncryptionError

Words = NDArray[np.uint64]

# How Microsoft SEAL begins what it writes: magic number, length of this header, version, mode, length in all.
_MAGIC, _HEADER = b"\x5e\xa1", struct.Struct("<2sB2sBHQ")
_PLAIN, _ZSTD = 0, 2
# Parameters' identity, NTT form, polynomials, ring, primes, scale, correction factor.
_FACTS = struct.Struct("<32s?QQQdQ")
_COUNT = struct.Struct("<Q")
_POLYNOMIALS = 2


@dataclass(frozen=True)
class Wire:
    """The shape of one ciphertext under fixed parameters, and the way between TenSEAL's bytes and coefficients.

    ``ring`` is the degree, ``primes`` those that travel, ``identity`` SEAL's name for the parameters, ``exact`` whether
    it is BFV (coefficients as they are, no scale) or CKKS (in NTT form).
    """

    ring: int
    primes: tuple[int, ...]
    identity: bytes
    exact: bool
    version: bytes = b"\x04\x03"

    @classmethod
    def of(cls, context: Any) -> Wire:
        """The wire of SEAL's context; it needs no key."""
        import tenseal.sealapi as seal

        # Each in a variable: what SEAL's objects hand out lies in their memory, which ends with them.
        data = context.first_context_data()
        settings = data.parms()
        return cls(
            settings.poly_modulus_degree(),
            tuple(prime.value() for prime in settings.coeff_modulus()),
            struct.pack("<4Q", *context.first_parms_id()),
            settings.scheme() == seal.SCHEME_TYPE.BFV,
        )

    @cached_property
    def widths(self) -> tuple[int, ...]:
        """Bytes of a coefficient for each prime."""
        return tuple(-(-prime.bit_length() // 8) for prime in self.primes)

    @property
    def nbytes(self) -> int:
        """Bytes of one ciphertext."""
        return _POLYNOMIALS * self.ring * sum(self.widths)

    def pack(self, words: Words) -> bytes:
        """Coefficients (2, primes, ring) in as few whole bytes each as their prime needs."""
        if self._full:
            return words.astype("<u8", copy=False).tobytes()
        columns = words.astype("<u8", copy=False).view(np.uint8).reshape(_POLYNOMIALS, len(self.primes), self.ring, 8)
        return b"".join(columns[p, k, :, :w].tobytes() for p in range(_POLYNOMIALS) for k, w in enumerate(self.widths))

    def unpack(self, chunk: bytes) -> Words:
        """The coefficients (2, primes, ring) of ``chunk``.

        Raises:
            EncryptionError: another length, or a coefficient that is not below its prime.
        """
        if len(chunk) != self.nbytes:
            raise _damaged(f"a ciphertext has {len(chunk):,} bytes where {self.nbytes:,} were agreed on")
        flat = chunk if self._full else self._widened(np.frombuffer(chunk, dtype=np.uint8))
        words: Words = np.frombuffer(flat, dtype="<u8").reshape(_POLYNOMIALS, len(self.primes), self.ring)
        if any(words[:, k].max() >= prime for k, prime in enumerate(self.primes)):
            raise _damaged("a ciphertext has a coefficient beyond its prime")
        return words

    def _widened(self, given: NDArray[np.uint8]) -> NDArray[np.uint8]:
        columns, start = np.zeros((_POLYNOMIALS, len(self.primes), self.ring, 8), dtype=np.uint8), 0
        for p in range(_POLYNOMIALS):
            for k, width in enumerate(self.widths):
                end = start + self.ring * width
                columns[p, k, :, :width] = given[start:end].reshape(self.ring, width)
                start = end
        return columns

    @cached_property
    def _full(self) -> bool:
        return set(self.widths) == {8}

    def from_tenseal(self, data: bytes) -> bytes:
        """What travels of the bytes that TenSEAL wrote of a vector of one ciphertext."""
        return self.pack(self.words_of_seal(data[data.index(_MAGIC) :]))

    def words_of_seal(self, data: bytes) -> Words:
        """The coefficients (2, primes, ring) in the bytes that SEAL wrote of one ciphertext, or of a public key."""
        shape = (_POLYNOMIALS, len(self.primes), self.ring)
        return seal_words(data, math.prod(shape)).reshape(shape)

    def to_tenseal(self, chunk: bytes, *, scale: float, size: int) -> bytes:
        """What TenSEAL reads as a vector of ``size`` slots: headers of our own around checked coefficients."""
        words = self.unpack(chunk)
        count = words.size
        inner = _HEADER.size + _COUNT.size + 8 * count
        facts = _FACTS.pack(
            self.identity, not self.exact, _POLYNOMIALS, self.ring, len(self.primes), 1.0 if self.exact else scale, 1
        )
        sizes, whole = varint(size), _HEADER.size + _FACTS.size + inner
        tail = b"" if self.exact else b"\x19" + struct.pack("<d", scale)
        begins = b"\x0a" + varint(len(sizes)) + sizes + b"\x12" + varint(whole) + self._header(whole) + facts
        body = chunk if self._full else words.tobytes()
        return b"".join((begins, self._header(inner), _COUNT.pack(count), body, tail))

    def to_seal(self, words: Words, *, transformed: bool = True) -> bytes:
        """What SEAL reads as a public key (2, primes, ring): a ciphertext of zero without a scale.

        ``transformed`` says that the words are values (in NTT form) rather than coefficients.
        """
        inner = _HEADER.size + _COUNT.size + 8 * words.size
        facts = _FACTS.pack(self.identity, transformed, _POLYNOMIALS, self.ring, len(self.primes), 1.0, 1)
        begins = self._header(_HEADER.size + _FACTS.size + inner) + facts
        return b"".join((begins, self._header(inner), _COUNT.pack(words.size), words.astype("<u8").tobytes()))

    def _header(self, size: int) -> bytes:
        return _HEADER.pack(_MAGIC, _HEADER.size, self.version, _PLAIN, 0, size)


def seal_words(data: bytes, count: int) -> Words:
    """The ``count`` numbers with which all that SEAL writes ends: a ciphertext, a public or a secret key."""
    import zstandard

    _, _, _, mode, _, size = _HEADER.unpack_from(data)
    body = data[_HEADER.size : size]
    if mode == _ZSTD:
        body = zstandard.ZstdDecompressor().decompressobj().decompress(body)
    return np.frombuffer(body[-8 * count :], dtype="<u8").astype(np.uint64, copy=False)


def varint(number: int) -> bytes:
    """A whole number as protocol buffers write it."""
    groups = []
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*groups, number])


def _damaged(what: str) -> EncryptionError:
    return EncryptionError(
        f"Nothing was read, because {what}.",
        "Most damaged ciphertexts decrypt to garbage without any sign of it, and some end the whole process.",
        "Send it again; if it happens again, find out what changes bytes on the way.",
    )
