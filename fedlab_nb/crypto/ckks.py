"""The encryption a user chooses, and the public arithmetic that makes sealed sums exact to the last bit.

CKKS decrypts to the sum plus a little noise that depends on the secret key. Whoever holds the ciphertexts and sees that
noise can compute the key (IND-CPA-D). So owners round their numbers to a fixed grid before sealing, and the key holder
rounds the sum to the same grid: what leaves it is a function of the numbers alone, and equals the sum in the clear.

Source: Cheon, Kim, Kim, Song, "Homomorphic encryption for arithmetic of approximate numbers", Asiacrypt 2017, section
3; Li, Micciancio, "On the security of homomorphic encryption on approximate numbers", Eurocrypt 2021, section 3.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fedlab_nb.errors import EncryptionError, SettingError

RING = 4096
PRIME_BITS = (60, 40)
SLOTS = RING // 2

# Only the first prime travels (the last one serves key switching), so a sum lives modulo about 2**60. Sums are kept
# below 2**57 times the scale: four times smaller than q/2, because a wrap is silent.
_SUM_BITS = 57

# Standard deviation of one fresh ciphertext's noise in a slot, in units of 1/scale. Dropping the last prime rounds both
# halves, which leaves uniform errors of variance 1/12, one of them multiplied by the ternary key (two thirds of it not
# zero); a slot adds RING/2 of them. Gives 682.8. Measured with TenSEAL 0.3.18 (2048 numbers, 1 to 100 owners, scales
# 2**30 to 2**57): 681-690 with one key; single sums under 24 keys 0.95-1.06 of it, on average 1.000.
_NOISE = math.sqrt(SLOTS * (1 + 2 * RING / 3) / 12)

# Half a grid step in standard deviations of the noise: a slot is then wrong with probability below 2**-180.
_SAFETY = 16
_FINEST_GRID = 30
_FEWEST_STEPS = 256

# Two polynomials of one 64-bit word a coefficient, and the headers that TenSEAL and SEAL write around them.
_CIPHERTEXT_BYTES = 2 * RING * 8 + 140


@dataclass(frozen=True)
class CKKS:
    """Approximate homomorphic encryption (CKKS, through TenSEAL and Microsoft SEAL), used so that sums come out exact.

    The only preset is "default": ring 4096, primes of 60 and 40 bits, public-key encryption, additions only.

    Example:
        >>> CKKS()
        CKKS(preset='default': ring 4096, primes of 60 and 40 bits, 2048 numbers a ciphertext)

    Raises:
        SettingError: ``preset`` is not one that exists.
    """

    preset: str = "default"

    def __post_init__(self) -> None:
        if self.preset != "default":
            raise SettingError(
                f"There is no encryption preset {self.preset!r}.",
                "A preset fixes the sizes that security and exactness rest on, so there is nothing to fall back to.",
                "Use CKKS(preset='default'); it is the only preset that exists.",
            )

    @property
    def ring(self) -> int:
        """Degree of the polynomial ring."""
        return RING

    @property
    def prime_bits(self) -> tuple[int, ...]:
        """Bits of each prime of the modulus; the last one never travels."""
        return PRIME_BITS

    @property
    def slots(self) -> int:
        """How many numbers fit into one ciphertext."""
        return SLOTS

    @property
    def security(self) -> str:
        """What the parameters promise, in one sentence for a card."""
        return (
            f"128-bit security against classical attacks: a {sum(PRIME_BITS)}-bit modulus at ring {RING}, where the "
            "homomorphic encryption standard allows up to 109 bits."
        )

    def plan(self, *, bound: float, owners: int) -> Plan:
        """Fix scale and grid for sums of vectors within ±``bound`` from at most ``owners`` owners (see Plan)."""
        return Plan(bound=bound, owners=owners)

    def __repr__(self) -> str:
        bits = " and ".join(str(b) for b in PRIME_BITS)
        return f"CKKS(preset={self.preset!r}: ring {RING}, primes of {bits} bits, {SLOTS} numbers a ciphertext)"

    def _repr_html_(self) -> str:
        from fedlab_nb.crypto.card import ckks_card

        return ckks_card(self)


@dataclass(frozen=True, kw_only=True, repr=False)
class Plan:
    """Public facts for one kind of vector: every number lies within ±``bound`` and up to ``owners`` of them are added.

    All other facts follow from these two, so that every party computes the same ones. The worst case (all owners at
    the bound) fits four times over, half a grid step is at least 16 sigma of the noise of the full sum, and sums of
    grid numbers are exact in 64-bit floating point, whatever the order of the additions.

    Example:
        >>> CKKS().plan(bound=1.0, owners=10)
        Plan(numbers within ±1, sums of up to 10 owners, grid 2**-30, 32.1 bytes a number)
        >>> CKKS().plan(bound=1.0, owners=10).grid([0.1, -0.0, 1 / 3])
        array([0.1       , 0.        , 0.33333333])

    Raises:
        SettingError: ``bound`` is not finite and positive, or ``owners`` not a whole number from 1 up.
        EncryptionError: no grid fits the range.
    """

    bound: float
    owners: int

    def __post_init__(self) -> None:
        _check_settings(self.bound, self.owners)
        object.__setattr__(self, "bound", float(self.bound))
        object.__setattr__(self, "owners", int(self.owners))
        if self.grid_bits < 0:
            raise EncryptionError(
                f"Sums of {self.owners} owners with numbers within ±{self.bound:g} are too large to be sealed exactly.",
                "The noise of the encryption would be larger than a rounding to whole numbers can remove.",
                "Use a smaller bound (clip or rescale the numbers), or fewer owners in one sum.",
            )
        if math.ldexp(self.bound, self.grid_bits) < _FEWEST_STEPS:
            raise EncryptionError(
                f"Numbers within ±{self.bound:g} are too small for the grid of 2**-{self.grid_bits}.",
                f"Fewer than {_FEWEST_STEPS} steps lie between zero and the bound, so most would be rounded away.",
                "Rescale the numbers so that their bound is near 1, and undo it after opening.",
            )

    @property
    def scale_bits(self) -> int:
        """Binary logarithm of the scale: 57 less the bits of the largest sum."""
        largest = math.ceil(math.log2(self.bound) + math.log2(self.owners))
        return _SUM_BITS - max(largest, 0)

    @property
    def scale(self) -> float:
        """What numbers are multiplied by before they become integers; a power of two."""
        return math.ldexp(1.0, self.scale_bits)

    @property
    def capacity(self) -> float:
        """The largest sum that does not wrap: q / (2 scale) with q about 2**60; at least 4 owners x bound."""
        return math.ldexp(1.0, PRIME_BITS[0] - 1 - self.scale_bits)

    @property
    def sigma(self) -> float:
        """Standard deviation of the encryption noise in the sum of all ``owners``, in value units."""
        return math.ldexp(_NOISE * math.sqrt(self.owners), -self.scale_bits)

    @property
    def grid_bits(self) -> int:
        """Bits after the point of the finest grid whose half step is at least 16 sigma; at most 30.

        Sums then stay below 2**43 steps, so float64 adds them exactly.
        """
        # In logarithms throughout, because for a hopeless range the sigma itself can overflow.
        above_noise = self.scale_bits - math.log2(2 * _SAFETY * _NOISE) - math.log2(self.owners) / 2
        return min(_FINEST_GRID, math.floor(above_noise))

    @property
    def bytes_per_value(self) -> float:
        """Bytes one number takes on the wire in a full ciphertext."""
        return _CIPHERTEXT_BYTES / SLOTS

    def ciphertexts(self, length: int) -> int:
        """How many ciphertexts a vector of ``length`` numbers takes."""
        return -(-length // SLOTS)

    def grid(self, values: ArrayLike) -> NDArray[np.float64]:
        """Round ``values`` (any shape) to multiples of 2**-grid_bits, with one zero only (no -0.0).

        Owners call it with and without encryption, so that both roads give equal bits.
        """
        steps = np.rint(np.ldexp(np.asarray(values, dtype=np.float64), self.grid_bits))
        rounded: NDArray[np.float64] = np.ldexp(steps, -self.grid_bits) + 0.0
        return rounded

    def check(self, values: ArrayLike, *, sender: str) -> NDArray[np.float64]:
        """``values`` as (d,) float64, if they may be sealed under this plan.

        Raises:
            EncryptionError: empty, not one row of numbers, not finite, or beyond the bound. Names the sender and how
                many numbers are at fault, never a number.
        """
        vector = np.asarray(values)
        if vector.ndim != 1 or not vector.size or vector.dtype.kind not in "biuf":
            raise EncryptionError(
                f"{sender!r} gave an array of shape {vector.shape} and type {vector.dtype} to be sealed.",
                "Only one row of at least one real number can be sealed and added to others.",
                "Give a flat array (d,) of numbers.",
            )
        vector = vector.astype(np.float64)
        wild = int(np.count_nonzero(~np.isfinite(vector)))
        if wild:
            raise EncryptionError(
                f"{wild} of {vector.size} numbers from {sender!r} are NaN or infinite.",
                "One of them would turn the sum of all owners into garbage.",
                "Look for a diverging model or a division by zero at this owner, and leave it out of the round.",
            )
        beyond = int(np.count_nonzero(np.abs(vector) > self.bound))
        if beyond:
            raise EncryptionError(
                f"{beyond} of {vector.size} numbers from {sender!r} are beyond the planned bound of ±{self.bound:g}.",
                "A sum outside the planned range wraps, and every number in it is then wrong without any sign.",
                "Clip before sealing, or plan with a larger bound.",
            )
        return vector

    def __repr__(self) -> str:
        return (
            f"Plan(numbers within ±{self.bound:g}, sums of up to {self.owners} owners, grid 2**-{self.grid_bits}, "
            f"{self.bytes_per_value:.1f} bytes a number)"
        )

    def _repr_html_(self) -> str:
        from fedlab_nb.crypto.card import plan_card

        return plan_card(self)


def _check_settings(bound: float, owners: int) -> None:
    number = isinstance(bound, (int, float, np.integer, np.floating)) and not isinstance(bound, bool)
    if not number or not 0 < bound <= sys.float_info.max:
        raise SettingError(
            f"bound is {bound!r}.",
            "It says how large one owner's numbers can be, and a sum beyond the planned range would wrap unnoticed.",
            "Give a finite number above zero, such as the clip norm.",
        )
    whole = isinstance(owners, (int, np.integer)) and not isinstance(owners, bool)
    if not whole or owners < 1:
        raise SettingError(
            f"owners is {owners!r}.",
            "It says how many owners one sum can hold, which fixes the room that the sum needs.",
            "Give a whole number of 1 or more.",
        )
