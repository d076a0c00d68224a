"""One secret for many holders: ``threshold`` of them can put it together, and fewer learn nothing about it.

The secret is the value at 0 of a random polynomial of degree ``threshold - 1`` over a prime field, and a share is one
other point of it. Through fewer than ``threshold`` points there is such a polynomial for every secret.

Source: Shamir, How to Share a Secret, Communications of the ACM 22(11), 1979.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from functools import lru_cache

from fedlab_nb.errors import EncryptionError, SettingError

SECRET_BYTES = 32
# The smallest prime above every secret of 32 bytes.
PRIME = 2**256 + 297
_POINT_BYTES = 2
_VALUE_BYTES = 33
SHARE_BYTES = _POINT_BYTES + _VALUE_BYTES
_MOST_SHARES = 2 ** (8 * _POINT_BYTES) - 1


def share(secret: bytes, threshold: int, count: int) -> tuple[bytes, ...]:
    """Shares of a secret at the points 1 to ``count``, any ``threshold`` of which give it back.

    Each has ``SHARE_BYTES``: the point in 2 bytes, then the value of the polynomial there in 33 (both big-endian).

    Raises:
        EncryptionError: the secret has not ``SECRET_BYTES``.
        SettingError: no such number of shares can work.

    Example:
        >>> parts = share(b"thirty-two bytes of a secret key", 2, 3)
        >>> combine(parts[1:], 2)
        b'thirty-two bytes of a secret key'
    """
    if not 1 <= threshold <= count <= _MOST_SHARES:
        raise SettingError(
            f"A secret cannot be put together from {threshold} of {count} shares.",
            f"It takes at least 1 and at most as many as there are, and there can be {_MOST_SHARES:,}.",
            "Choose a threshold between 1 and the number of shares.",
        )
    if len(secret) != SECRET_BYTES:
        raise EncryptionError(
            f"A secret of {len(secret):,} bytes was to be shared; it has to have {SECRET_BYTES}.",
            "Only numbers below the prime of the field come back unchanged.",
            f"Share a key of {SECRET_BYTES} bytes, and encrypt longer secrets with it.",
        )
    polynomial = [int.from_bytes(secret, "big"), *(secrets.randbelow(PRIME) for _ in range(threshold - 1))]
    return tuple(_written(point, _value(polynomial, point)) for point in range(1, count + 1))


def combine(shares: Sequence[bytes], threshold: int) -> bytes:
    """The secret of which these are shares; more than ``threshold`` of them are not needed and not looked at.

    Shares of different secrets give a random secret or an error: compare the result with something public.

    Raises:
        EncryptionError: too few, two with the same point, or not shares of one secret.
    """
    if threshold < 1 or len(shares) < threshold:
        raise EncryptionError(
            f"{threshold} shares are needed to put the secret together, and {len(shares)} came.",
            "Fewer shares say nothing at all about it.",
            "Ask more of the holders for their share.",
        )
    read = [read_share(item) for item in shares[:threshold]]
    points = tuple(point for point, _ in read)
    if len(set(points)) < threshold:
        raise EncryptionError(
            "Two of the shares have the same point.",
            "The second says nothing new, or contradicts the first.",
            "Ask every holder for its own share, once.",
        )
    weights = _weights_at_zero(points)
    number = sum(weight * value for weight, (_, value) in zip(weights, read, strict=True)) % PRIME
    if number >> (8 * SECRET_BYTES):
        raise EncryptionError(
            "The shares do not belong to one secret.",
            "What they give lies outside of what can be shared.",
            "Ask every holder again for its share of this one secret.",
        )
    return number.to_bytes(SECRET_BYTES, "big")


def read_share(data: bytes) -> tuple[int, int]:
    """The point and the value of one share.

    Raises:
        EncryptionError: not as long as a share, or outside of the field. Point 0 would be the secret itself.
    """
    point, value = int.from_bytes(data[:_POINT_BYTES], "big"), int.from_bytes(data[_POINT_BYTES:], "big")
    if len(data) != SHARE_BYTES or point == 0 or value >= PRIME:
        raise EncryptionError(
            f"{len(data):,} bytes were given as a share of a secret, and are none.",
            f"A share has {SHARE_BYTES} bytes: a point from 1 on, and a value below the prime of the field.",
            "Pass on shares as share() gives them.",
        )
    return point, value


def _written(point: int, value: int) -> bytes:
    return point.to_bytes(_POINT_BYTES, "big") + value.to_bytes(_VALUE_BYTES, "big")


def _value(polynomial: Sequence[int], point: int) -> int:
    # Points are short, so that the number grows slowly: one division in the end is quicker than one at each step.
    value = 0
    for coefficient in reversed(polynomial):
        value = value * point + coefficient
    return value % PRIME


@lru_cache(maxsize=16)
def _weights_at_zero(points: tuple[int, ...]) -> tuple[int, ...]:
    # Lagrange: the value at 0 is a weighted sum of the values. The secrets of one sum are shared at the same points.
    weights = []
    for one in points:
        above = below = 1
        for other in points:
            if other != one:
                above = above * other % PRIME
                below = below * (other - one) % PRIME
        weights.append(above * pow(below, -1, PRIME) % PRIME)
    return tuple(weights)
