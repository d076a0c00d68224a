"""A row as a Bloom filter: each pair of neighbouring letters of each field sets 15 of 1,024 bits, under a key.

Two texts with a typo between them share most pairs of letters, so that their filters share most bits. A filter is a
pseudonym and no encryption: rows with equal fields have equal filters, and frequent names make frequent bits, by which
whoever has many filters and knows which names are frequent can guess some of them, without the key. With the key, every
guess can be checked.

Source: Schnell, Bachteler, Reiher, "Privacy-preserving record linkage using Bloom filters", BMC Medical Informatics and
Decision Making 9:41, 2009 (pairs of letters, 15 hash functions); Niedermeyer, Steinmetzer, Kroll, Schnell,
"Cryptanalysis of basic Bloom filters used for privacy preserving record linkage", Journal of Privacy and
Confidentiality 6(2), 2014: two hash functions combined into 15 can be told apart by their pattern, so that here all 15
bits are drawn by themselves.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.errors import EncryptionError

BITS = 1024
FILTER_BYTES = BITS // 8
HASHES = 15
_BETWEEN = "\x1f"
_ROWS_AT_ONCE = 500


@dataclass(frozen=True, repr=False)
class Filters:
    """Filters as they cross, ``FILTER_BYTES`` each: whoever receives them can read every bit."""

    payload: bytes

    def restore(self) -> NDArray[np.float64]:
        """The bytes as numbers from 0 to 255, as the ledger shows their beginning."""
        return np.frombuffer(self.payload, dtype=np.uint8).astype(np.float64)

    def __repr__(self) -> str:
        return f"Filters({len(self.payload) // FILTER_BYTES:,} rows of {BITS:,} bits)"


def fields(texts: Sequence[str]) -> bytes:
    """The fields of one row in one piece, as filters are made from."""
    return _BETWEEN.join(texts).encode()


def texts_in(row: bytes) -> tuple[str, ...]:
    """The fields of one row, from what ``fields`` made of them."""
    return tuple(row.decode().split(_BETWEEN))


def made(key: bytes, rows: Sequence[bytes]) -> Filters:
    """The filters of ``rows`` (n,), each the ``fields`` of one row, in the same order.

    Law: the key, the number of the field and the pair of letters decide the bits, and nothing else does.
    """

    @cache
    def places(number: int, pair: str) -> list[int]:
        digest = hmac.digest(key, bytes([number]) + pair.encode(), "sha512")
        return [int(place) % BITS for place in np.frombuffer(digest, dtype="<u4")[:HASHES]]

    bits = np.zeros((len(rows), BITS), dtype=np.uint8)
    for row, whole in enumerate(rows):
        if row % _ROWS_AT_ONCE == 0:
            time.sleep(0)
        texts = enumerate(whole.decode().split(_BETWEEN))
        bits[row, [place for number, text in texts for pair in _pairs(text) for place in places(number, pair)]] = 1
    return Filters(np.packbits(bits, axis=1).tobytes())


def filters_in(data: bytes, *, sender: str) -> NDArray[np.uint8]:
    """The filters (n, FILTER_BYTES) in what came from ``sender``.

    Raises:
        EncryptionError: the bytes are no whole number of filters.
    """
    if len(data) % FILTER_BYTES:
        raise EncryptionError(
            f"{len(data):,} bytes came from {sender!r}, which is no whole number of filters of {FILTER_BYTES} bytes.",
            "Nobody could say which bits belong to which row.",
            f"Nothing was released: link again, and find out what {sender!r} sends.",
        )
    return np.frombuffer(data, dtype=np.uint8).reshape(-1, FILTER_BYTES)


def _pairs(text: str) -> set[str]:
    """Pairs of neighbouring letters, the ends of the text included."""
    padded = f" {text} "
    return {padded[at : at + 2] for at in range(len(padded) - 1)}
