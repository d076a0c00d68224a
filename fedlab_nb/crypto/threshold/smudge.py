"""The noise that owners add to their shares when they open, and what it leaves to be learned about their keys.

What is opened is the sum plus the noise of its ciphertext, and that noise depends on the secret keys. So each owner
adds Gaussian noise of standard deviation 2**20 to each coefficient of its share, thousands of times more.

How much is left? Suppose the server and all owners but one, honest but curious, put together all they know. They miss
one key s, and from each opening learn one polynomial: what they know anyway, plus r*s, plus the smudging noise of the
last owner. Here r is the sum of the rounding errors of the K ciphertexts: K/12 is the variance of its coefficients, and
2/3 that of the coefficients of s, so |r*s|**2 is about K N**2/18. Had the last owner sent noise alone, nothing about s
would be learned. The two cases differ by a shift of Gaussian noise, whose Rényi divergence of order a is
exp(a |r*s|**2 / (2 sigma**2)) for one opening, and the product of these for many. An attacker that guesses the key with
probability P in the real case then guesses it with probability Q >= P**(a/(a-1)) / R_a when it learns nothing. With
Q = 2**-128, and D = |r*s|**2 / (2 sigma**2 ln 2) summed over the openings, the best order a = sqrt(128/D) gives
P <= 2**-(128 - 2 sqrt(128 D) + D).

It is a bound for guessing keys, from honest-but-curious parties: an owner that makes ciphertexts with larger errors
than TenSEAL does would learn more. Nobody has to gain as much as a bound allows.

Source: Bai, Lepoint, Roux-Langlois, Sakzad, Stehlé, Steinfeld, "Improved security proofs in lattice-based cryptography:
using the Rényi divergence rather than the statistical distance", J. Cryptology 31 (2018), section 2.3; Boudgoust,
Scholl, "Simple threshold (fully homomorphic) encryption from LWE with polynomial modulus", Asiacrypt 2023, which does
the same for shares of keys.
"""

from __future__ import annotations

import math
import os

import numpy as np

from fedlab_nb.crypto.threshold.parameters import RING
from fedlab_nb.crypto.threshold.ring import Words
from fedlab_nb.errors import SettingError

SMUDGE_BITS = 20
# Low bits of a share that stay at home: far below its noise they say nothing, and would cost four bytes a number.
DROPPED_BITS = 14
SECURITY_BITS = 128


def smudge(count: int) -> Words:
    """``count`` whole numbers of Gaussian noise of standard deviation 2**20, from the operating system's entropy.

    No seed and no generator of ours stand between: whoever knew one could take the noise away again. Box and Muller's
    method on 63-bit numbers; it reaches to 9.3 standard deviations.
    """
    drawn = np.frombuffer(os.urandom(16 * -(-count // 2)), dtype="<u8").reshape(2, -1)
    uniform = (drawn >> np.uint64(1)).view(np.int64) + 1.0
    radius = np.sqrt(np.log(uniform[0] * 2.0**-63) * (-2 * 4.0**SMUDGE_BITS))
    angle = uniform[1] * (2 * np.pi * 2.0**-63)
    normal = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])
    return np.asarray(np.rint(normal[:count]), dtype=np.int64)


def sigma(owners: int) -> float:
    """Standard deviation of the noise in one slot of an opened sum of ``owners``, in units of 1/scale.

    A slot adds N/2 times the variance of a coefficient (in its real part, and in its imaginary part). That is, for each
    owner, the rounding of both halves of its ciphertext, one of them multiplied by the joint key (a sum of ternary
    keys); its smudging noise; and the bits that its share leaves out.

    Example:
        >>> round(math.log2(sigma(1)), 2)
        25.5
    """
    _check_owners(owners)
    ciphertext = (1 + 2 * RING * owners / 3) / 12
    return math.sqrt(RING / 2 * owners * (ciphertext + 4.0**SMUDGE_BITS + 4.0**DROPPED_BITS / 12))


def bits_lost(owners: int, openings: int) -> float:
    """By how many bits of 128 the bound on guessing one owner's key falls after ``openings`` opened ciphertexts."""
    _check_owners(owners)
    leaked = openings * _leak(owners)
    return 2 * math.sqrt(SECURITY_BITS * leaked) - leaked if leaked < SECURITY_BITS else float(SECURITY_BITS)


def openings_limit(owners: int, bits: float = 1.0) -> int:
    """How many ciphertexts may be opened under one joint key while the bound falls by at most ``bits`` of 128.

    Beyond it, make a new joint key: that takes some ten milliseconds an owner.

    Example:
        >>> openings_limit(3) > openings_limit(10) > 300
        True
    """
    _check_owners(owners)
    if not 0 < bits < SECURITY_BITS:
        raise SettingError(
            f"bits is {bits!r}.",
            "It says how far the bound on guessing a key may fall, and there are 128 bits in all.",
            "Give a number above 0 and below 128, such as 1.",
        )
    leak = (math.sqrt(SECURITY_BITS) - math.sqrt(SECURITY_BITS - bits)) ** 2
    return math.floor(leak / _leak(owners))


def _leak(owners: int) -> float:
    # D of one opening (see above), in bits.
    return owners * RING**2 / 18 / (2 * 4.0**SMUDGE_BITS * math.log(2))


def _check_owners(owners: int) -> None:
    if isinstance(owners, bool) or not isinstance(owners, (int, np.integer)) or owners < 1:
        raise SettingError(
            f"owners is {owners!r}.",
            "The noise of an opened sum grows with the number of owners.",
            "Give a whole number of 1 or more.",
        )
