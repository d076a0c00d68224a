"""What is agreed on in public before anything is sealed: range, grid, scale, tags, sizes.

Owners round their numbers to a fixed grid before they seal, and whoever opens a sum rounds it to the same grid. So a
sum is a function of the numbers alone, equals the sum in the clear bit for bit, and carries no noise of the encryption,
from which the secret key could be computed (see ckks.py).
"""

from __future__ import annotations

import hashlib
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fedlab_nb.errors import EncryptionError, SettingError

Tensors = Sequence[tuple[str, int]]
"""Names of the parts of a flat vector and how many numbers each has, in order."""

FINEST_GRID = 30
_FEWEST_STEPS = 256
_MOST_BITS = 128
# What a forger has to guess: the tags of one ciphertext have at least this many bits together.
_TAG_BITS = 64
# Noise shares of at least this many grid steps: rounding then changes the odds by less than e^-150 a number.
_STEPS_OF_NOISE = 4.0


@dataclass(frozen=True)
class Layout:
    """What a scheme makes of a range.

    ``scale_bits`` and ``grid_bits`` are bits after the point, of what is encrypted and of the grid; ``capacity`` is the
    largest sum that does not wrap, ``sigma`` the standard deviation of the encryption's noise in a full sum (0 where
    there is none), ``noisiest`` what it is at most in any one place; ``numbers`` fit into one ciphertext of
    ``chunk_bytes`` bytes, tags included (None: there are no ciphertexts, each number takes ``chunk_bytes``).
    ``lean``: numbers are sealed modulo the primes that travel and no others, which is faster and leaves more noise.
    """

    scale_bits: int
    grid_bits: int
    capacity: float
    sigma: float
    noisiest: float
    numbers: int | None
    chunk_bytes: int
    lean: bool


class Scheme(Protocol):
    """A way to hide single updates in a sum."""

    @property
    def name(self) -> str:
        """What cards and tables call it, with the settings that matter."""

    def __hash__(self) -> int:
        """Equal settings, equal hash: what follows from them is worked out once."""

    def layout(self, bound: float, owners: int) -> Layout:
        """What it makes of numbers within ±``bound`` from up to ``owners`` owners, or EncryptionError."""

    def plan(self, *, bound: float, owners: int) -> Plan:
        """Fix the grid for sums of vectors within ±``bound`` from at most ``owners`` owners (see Plan)."""


@dataclass(frozen=True, kw_only=True, repr=False)
class Plan:
    """Public facts for one kind of vector: every number lies within ±``bound`` and up to ``owners`` of them are added.

    All other facts follow from these and the scheme, so that every party computes the same ones. The worst case (all
    owners at the bound) fits, half a grid step is at least 16 sigma of the noise in the noisiest slot, and sums of grid
    numbers are exact in 64-bit floating point, whatever the order of the additions.

    Example:
        >>> from fedlab_nb.crypto import CKKS
        >>> CKKS().plan(bound=1.0, owners=10)
        Plan(numbers within ±1, sums of up to 10 owners, grid 2**-30, 32.0 bytes a number)
        >>> CKKS().plan(bound=1.0, owners=10).grid([0.1, -0.0, 1 / 3])
        array([0.1       , 0.        , 0.33333333])

    Raises:
        SettingError: ``bound`` is not finite and positive, or ``owners`` not a whole number from 1 up.
        EncryptionError: the range does not fit the scheme.
    """

    scheme: Scheme
    bound: float
    owners: int
    layout: Layout = field(init=False, compare=False)

    def __post_init__(self) -> None:
        _check_settings(self.bound, self.owners)
        object.__setattr__(self, "bound", float(self.bound))
        object.__setattr__(self, "owners", int(self.owners))
        # Beyond this nothing fits anyhow, and its logarithms would no longer be numbers.
        hopeless = math.log2(self.bound) + math.log2(self.owners) > _MOST_BITS
        if not hopeless:
            object.__setattr__(self, "layout", self.scheme.layout(self.bound, self.owners))
        if hopeless or self.grid_bits < 0:
            raise EncryptionError(
                f"Sums of {self.owners} owners with numbers within ±{self.bound:g} are too large for {self.scheme.name}"
                " to seal exactly.",
                "What is left for the digits is less than a rounding to whole numbers needs.",
                "Use a smaller bound (clip or rescale the numbers), or fewer owners in one sum.",
            )
        if math.ldexp(self.bound, self.grid_bits) < _FEWEST_STEPS:
            raise EncryptionError(
                f"Numbers within ±{self.bound:g} are too small for the grid of 2**-{self.grid_bits}, the finest that "
                f"{self.scheme.name} has for {self.owners} owners.",
                f"Fewer than {_FEWEST_STEPS} steps lie between zero and the bound, so most would be rounded away.",
                "Rescale the numbers so that their bound is near 1, take fewer owners, or use fl.CKKS().",
            )

    @property
    def scale_bits(self) -> int:
        """Binary logarithm of the scale."""
        return self.layout.scale_bits

    @property
    def scale(self) -> float:
        """What numbers are multiplied by before they become integers; a power of two."""
        return math.ldexp(1.0, self.layout.scale_bits)

    @property
    def grid_bits(self) -> int:
        """Bits after the point of the grid."""
        return self.layout.grid_bits

    @property
    def capacity(self) -> float:
        """The largest sum that does not wrap; more than owners x bound."""
        return self.layout.capacity

    @property
    def sigma(self) -> float:
        """Standard deviation of the encryption noise in the sum of all ``owners``, in value units; 0 if exact."""
        return self.layout.sigma

    @property
    def largest(self) -> float:
        """The largest number of one owner on the grid."""
        return float(self.grid(self.bound))

    @property
    def tags(self) -> int:
        """How many numbers in each ciphertext are tags: enough that guessing them is one in 2**64; 0 under masks."""
        if self.layout.numbers is None:
            return 0
        bits = math.log2(2.0 * math.ldexp(self.bound, self.grid_bits))
        return math.ceil(_TAG_BITS / math.floor(bits))

    @property
    def held(self) -> int | None:
        """How many numbers of a vector one ciphertext holds beside its tags; None: all of them."""
        return None if self.layout.numbers is None else self.layout.numbers - self.tags

    @property
    def bytes_per_value(self) -> float:
        """Bytes one number takes on the wire in a full ciphertext."""
        return self.layout.chunk_bytes / (self.held or 1)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all that the plan fixes, in hex: equal plans, equal digests."""
        facts = [self.scheme.name, self.bound.hex(), self.owners, self.scale_bits, self.grid_bits, self.tags]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()

    def ciphertexts(self, length: int) -> int:
        """How many ciphertexts a vector of ``length`` numbers takes."""
        return 1 if self.held is None else -(-length // self.held)

    def chunk_bytes(self, length: int) -> int:
        """Bytes of each ciphertext of a vector of ``length`` numbers."""
        return self.layout.chunk_bytes * (length if self.held is None else 1)

    def parts(self, vector: NDArray[np.float64]) -> list[NDArray[np.float64]]:
        """The vector cut into what goes into each ciphertext."""
        step = self.held or max(vector.size, 1)
        return [vector[start : start + step] for start in range(0, vector.size, step)]

    def grid(self, values: ArrayLike, out: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
        """Round ``values`` (any shape) to multiples of 2**-grid_bits, with one zero only (no -0.0).

        Owners call it with and without encryption, so that both roads give equal bits. They are written to ``out``
        (which may be ``values``), or to an array of their own.
        """
        # A product with a power of two is exact, and many times as fast as ldexp; in place, so that little is touched.
        steps = np.asarray(np.multiply(values, math.ldexp(1.0, self.grid_bits), out=out, dtype=np.float64))
        np.rint(steps, out=steps)
        steps *= math.ldexp(1.0, -self.grid_bits)
        steps += 0.0
        return steps

    def check(self, values: ArrayLike, *, sender: str, tensors: Tensors = ()) -> NDArray[np.float64]:
        """``values`` as (d,) float64, if they may be sealed under this plan.

        Raises:
            EncryptionError: empty, not one row of numbers, not finite, or beyond the bound. Names the sender, the first
                tensor at fault if ``tensors`` are given, and how many numbers are at fault; never a number.
        """
        vector = np.asarray(values)
        if vector.ndim != 1 or not vector.size or vector.dtype.kind not in "biuf":
            raise EncryptionError(
                f"{sender!r} gave an array of shape {vector.shape} and type {vector.dtype} to be sealed.",
                "Only one row of at least one real number can be sealed and added to others.",
                "Give a flat array (d,) of numbers.",
            )
        vector = vector.astype(np.float64)
        wild = ~np.isfinite(vector)
        if wild.any():
            raise EncryptionError(
                f"{wild.sum()} of {vector.size} numbers from {sender!r}{first_at_fault(wild, tensors)} are NaN or "
                "infinite.",
                "One of them would turn the sum of all owners into garbage.",
                "Look for a diverging model or a division by zero at this owner, and leave it out of the round.",
            )
        beyond = np.abs(vector) > self.bound
        if beyond.any():
            raise EncryptionError(
                f"{beyond.sum()} of {vector.size} numbers from {sender!r}{first_at_fault(beyond, tensors)} are beyond "
                f"the planned bound of ±{self.bound:g}.",
                "A sum outside the planned range wraps, and every number in it is then wrong without any sign.",
                "Clip before sealing, or plan with a larger bound.",
            )
        return vector

    def check_noise(self, share_sd: float) -> None:
        """Refuse privacy noise that the grid would swallow: ``share_sd`` is the standard deviation of one share.

        Rounding noisy numbers is harmless while a share spans several steps: the sum of rounded Gaussians then differs
        from a rounded sum of Gaussians by a factor of less than 1 + e^(-2 pi^2 sd^2), sd in steps.

        Source: Kairouz, Liu, Steinke, "The distributed discrete Gaussian mechanism", ICML 2021, section 4.

        Raises:
            EncryptionError: the grid is too coarse.
        """
        step = math.ldexp(1.0, -self.grid_bits)
        if 0.0 < share_sd < _STEPS_OF_NOISE * step:
            raise EncryptionError(
                f"An owner's share of the privacy noise has standard deviation {share_sd:.2g}, and {self.scheme.name} "
                f"rounds to steps of {step:.2g}.",
                "Noise that is rounded away hides nothing, so epsilon would be understated.",
                "Use fl.CKKS(), whose grid is finer, or more noise.",
            )

    def __repr__(self) -> str:
        return (
            f"Plan(numbers within ±{self.bound:g}, sums of up to {self.owners} owners, grid 2**-{self.grid_bits}, "
            f"{self.bytes_per_value:.1f} bytes a number)"
        )

    def _repr_html_(self) -> str:
        from fedlab_nb.crypto.schemes.card import plan_card

        return plan_card(self)


def first_at_fault(at_fault: NDArray[np.bool_], tensors: Tensors) -> str:
    """The first tensor at fault, in words; nothing where ``tensors`` are not known."""
    first, start = int(np.argmax(at_fault)), 0
    for name, size in tensors:
        if first < start + size:
            return f" (the first in {name!r})"
        start += size
    return ""


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
