"""The lesson of the raw sums: whoever holds CKKS ciphertexts and sees them decrypted exactly computes the secret key.

The server adds ciphertexts and keeps the sum (c0, c1), two polynomials modulo a prime. The key holder decrypts it to
m = c0 + c1*s, where s is the secret key, and shows the real parts of the slots. Doubled, these are the slots of
m + mirror(m), where the mirror of a polynomial has X**-1 in place of X. Shown as 64-bit numbers, they hold it exactly,
noise and all:

    c1*s + mirror(c1)*mirror(s) = (m + mirror(m)) - c0 - mirror(c0)

In the transform of the ring, products go value by value and the mirror swaps the values i and N-1-i. Each such pair is
one linear equation with two unknowns; a second sum gives another one. Two sums, and the key is known.

Rounded to a grid coarser than the noise, a sum is a function of the owners' numbers alone, and tells nothing about s.

Source: Li, Micciancio, "On the security of homomorphic encryption on approximate numbers", Eurocrypt 2021, section 3.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.cards import framed, panel, table_html
from fedlab_nb.crypto.ciphertexts.words import Wire
from fedlab_nb.crypto.threshold.ring import Ring, Words, mulmod, polynomial, reduced, slots
from fedlab_nb.errors import SettingError
from fedlab_nb.units import power_text

_SUMS = 2
_SPREAD = 0.02
# Half a step of the grid in standard deviations of the noise, as everywhere in this library.
_SAFETY = 16


@dataclass(frozen=True)
class _Preset:
    degree: int
    prime_bits: tuple[int, ...]
    scale_bits: int
    shared_key: bool
    said: str


PRESETS = {
    "compact": _Preset(4096, (40, 20), 37, False, "ring 4096, primes of 40 and 20 bits, a public key"),
    "nvflare": _Preset(8192, (60, 40, 40), 40, True, "ring 8192, primes of 60, 40 and 40 bits, one key shared by all"),
}


@dataclass(frozen=True, repr=False)
class KeyRecovery:
    """How much of a secret key two sums gave away, shown raw and shown rounded to a grid.

    ``key_from_raw`` and ``key_from_rounded`` are the shares of the key's coefficients that the attack found;
    ``read_with_raw`` and ``read_with_rounded`` the share of one owner's numbers that the found key then decrypts;
    ``seconds`` is what the attack on the raw sums took; ``rounding_is_exact`` says whether the rounded sums equal those
    of the owners' numbers bit for bit.
    """

    preset: str
    owners: int
    coefficients: int
    grid_bits: int
    key_from_raw: float
    key_from_rounded: float
    read_with_raw: float
    read_with_rounded: float
    rounding_is_exact: bool
    seconds: float

    def __repr__(self) -> str:
        return (
            f"KeyRecovery(raw sums: {self.key_from_raw:.0%} of the secret key in {self.seconds:.2f} s; "
            f"sums rounded to 2**-{self.grid_bits}: {self.key_from_rounded:.0%})"
        )

    def _repr_html_(self) -> str:
        columns = ("What the server was shown", "Of the secret key it computed", "Of one owner's numbers it then read")
        rows = (
            ("two sums, as CKKS decrypts them", f"{self.key_from_raw:.1%}", f"{self.read_with_raw:.1%}"),
            (
                f"the same, rounded to {power_text(2, -self.grid_bits)}",
                f"{self.key_from_rounded:.1%}",
                f"{self.read_with_rounded:.1%}",
            ),
        )
        note = (
            f"Real keys and ciphertexts of TenSEAL ({PRESETS[self.preset].said}), {self.owners} owners, a key of "
            f"{self.coefficients:,} coefficients; the attack on the raw sums took {self.seconds:.2f} seconds. The "
            f"rounded sums {'equal' if self.rounding_is_exact else 'differ from'} the sums of the owners' numbers. "
            "That the attack finds nothing in them is no proof of safety; the reason is that they depend on these "
            "numbers alone."
        )
        return framed(panel("A secret key from two sums", table_html(columns, rows), note=note))


def recover_key(*, owners: int = 10, preset: str = "compact", seed: int = 0) -> KeyRecovery:
    """Run the attack twice on fresh keys: on raw sums, and on the same sums rounded as this library releases them.

    Args:
        owners: how many owners seal and are added.
        preset: "compact" (ring 4096), or "nvflare" (the parameters that NVIDIA FLARE's examples use).
        seed: fixes the owners' numbers; keys and ciphertexts are different every time.

    Example:
        >>> found = recover_key(owners=3)
        >>> found.key_from_raw, found.key_from_rounded < 0.01
        (1.0, True)

    Raises:
        SettingError: an unknown preset, or not 2 to 100 owners.
    """
    _check(owners, preset)
    party = _KeyHolder(PRESETS[preset])
    grid = party.grid_bits(owners)
    size = (owners, _SUMS, party.degree // 2)
    numbers = _rounded(np.random.default_rng(seed).normal(scale=_SPREAD / owners, size=size), grid)
    sealed = [[party.seal(part) for part in own] for own in numbers]
    sums = [sum(parts[1:], start=parts[0]) for parts in zip(*sealed, strict=True)]
    shown = np.array([held.decrypt() for held in sums])

    started = time.perf_counter()
    kept = np.stack([party.words(held) for held in sums])
    from_raw = solve(party.ring, kept, shown, party.scale)
    seconds = time.perf_counter() - started
    rounded = _rounded(shown, grid)
    from_rounded = solve(party.ring, kept, rounded, party.scale)

    def read(key: Words) -> float:
        opened = _opened(party.ring, party.words(sealed[0][0]), key, party.scale)
        return float(np.mean(_rounded(opened, grid) == numbers[0, 0]))

    true = party.secret()
    return KeyRecovery(
        preset=preset,
        owners=owners,
        coefficients=party.degree,
        grid_bits=grid,
        key_from_raw=float(np.mean(from_raw == true)),
        key_from_rounded=float(np.mean(from_rounded == true)),
        read_with_raw=read(from_raw),
        read_with_rounded=read(from_rounded),
        rounding_is_exact=bool(np.array_equal(rounded, numbers.sum(axis=0))),
        seconds=seconds,
    )


def solve(ring: Ring, sums: Words, shown: NDArray[np.float64], scale: float) -> Words:
    """The secret key's coefficients (N,), from two ciphertexts (2, 2, N) and the real numbers (2, N/2) in them.

    All that it is given is public to the server: this is the whole attack.
    """
    prime = ring.prime
    both = np.rint(2 * scale * polynomial(shown)).astype(np.int64)
    c0, c1 = sums[:, 0], sums[:, 1]
    mirror = c1[:, ::-1]
    known = reduced(ring.ntt(reduced(both, prime)) - c0 - c0[:, ::-1], prime)

    def cross(left: Words, right: Words) -> Words:
        return reduced(mulmod(left[0], right[1], prime) - mulmod(left[1], right[0], prime), prime)

    # Cramer's rule for all pairs of values at once; a determinant of zero, one in 2**40, leaves its pair unknown.
    inverse = [pow(int(d), -1, prime) if d else 0 for d in cross(c1, mirror)]
    return ring.centred(ring.intt(mulmod(cross(known, mirror), np.array(inverse), prime)))


def _opened(ring: Ring, ciphertext: Words, key: Words, scale: float) -> NDArray[np.float64]:
    values = ring.ntt(reduced(key.copy(), ring.prime))
    message = reduced(ciphertext[0] + mulmod(ciphertext[1], values, ring.prime), ring.prime)
    return np.asarray(slots(ring.centred(ring.intt(message)) / scale).real, dtype=np.float64)


def _rounded(numbers: NDArray[np.float64], bits: int) -> NDArray[np.float64]:
    return np.ldexp(np.rint(np.ldexp(numbers, bits)), -bits)


class _KeyHolder:
    """A key holder as TenSEAL's tutorials make one, and what the server can take from its ciphertexts."""

    def __init__(self, preset: _Preset) -> None:
        import tenseal

        kind = tenseal.ENCRYPTION_TYPE.SYMMETRIC if preset.shared_key else tenseal.ENCRYPTION_TYPE.ASYMMETRIC
        bits = list(preset.prime_bits)
        self.__context = tenseal.context(
            tenseal.SCHEME_TYPE.CKKS, preset.degree, coeff_mod_bit_sizes=bits, encryption_type=kind, n_threads=1
        )
        self.degree, self.scale = preset.degree, math.ldexp(1.0, preset.scale_bits)
        data = self.__context.seal_context().data
        self._wire = Wire.of(data)
        # One prime is enough for the equation; of those that travel the last one is small enough for exact products.
        self._place = len(self._wire.primes) - 1
        self.ring = Ring(self._wire.primes[self._place], self.degree)

    def grid_bits(self, owners: int) -> int:
        """The finest grid whose half step is 16 standard deviations of the noise of a sum of public-key ciphertexts."""
        noise = math.sqrt(owners * self.degree / 2 * (1 + 2 * self.degree / 3) / 12) / self.scale
        return math.floor(-math.log2(2 * _SAFETY * noise))

    def seal(self, numbers: NDArray[np.float64]) -> Any:
        """A ciphertext of ``numbers``, one for each slot."""
        import tenseal

        return tenseal.ckks_vector(self.__context, numbers.tolist(), self.scale)

    def words(self, sealed: Any) -> Words:
        """Both polynomials (2, N) of a ciphertext modulo one prime: what the server holds."""
        coefficients = self._wire.unpack(self._wire.from_tenseal(sealed.serialize()))
        return coefficients[:, self._place].view(np.int64)

    def secret(self) -> Words:
        """The true key (N,), to compare with; the attack does not see it."""
        # Named, because its data are freed together with it.
        held = self.__context.secret_key().data
        data, start = held.data(), self._place * self.degree
        values = np.array([data[i] for i in range(start, start + self.degree)], dtype=np.int64)
        return self.ring.centred(self.ring.intt(values))


def _check(owners: int, preset: str) -> None:
    if preset not in PRESETS or isinstance(owners, bool) or owners not in range(2, 101):
        raise SettingError(
            f"recover_key was asked for preset {preset!r} and {owners!r} owners.",
            "The lesson makes real ciphertexts of parameters that it knows; a sum of one owner hides nothing anyway.",
            f"Use one of the presets {', '.join(map(repr, PRESETS))} and 2 to 100 owners.",
        )
