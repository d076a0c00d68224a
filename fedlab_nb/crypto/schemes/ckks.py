"""CKKS: approximate homomorphic encryption, used so that sums come out exact; its presets and who may hold its key.

CKKS decrypts to the sum plus a little noise that depends on the secret key. Whoever holds the ciphertexts and sees that
noise can compute the key (IND-CPA-D; ``fedlab_nb.crypto.lesson`` does it). Grid and rounding (plan.py) remove it.

Source: Cheon, Kim, Kim, Song, "Homomorphic encryption for arithmetic of approximate numbers", Asiacrypt 2017, section
3; Li, Micciancio, "On the security of homomorphic encryption on approximate numbers", Eurocrypt 2021, section 3.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

import numpy as np

from fedlab_nb.crypto.schemes.plan import FINEST_GRID, Layout, Plan
from fedlab_nb.errors import SettingError

Keys = Literal["authority", "owners", "threshold"]


class Parameters(NamedTuple):
    """Sizes of a preset: ring degree, bits of each prime (the last never travels), bits of the largest scale."""

    ring: int
    prime_bits: tuple[int, ...]
    largest_scale: int


PRESETS = {
    "default": Parameters(4096, (60, 40), 57),
    "compact": Parameters(4096, (40, 20), 37),
    "deep": Parameters(8192, (60, 40, 40, 60), 40),
}
# Nobody holds this key: the noise that hides each owner's part of it in an opening needs a prime of its own size.
THRESHOLD = Parameters(4096, (54, 54), 51)
SMUDGE_BITS = 20
# What the homomorphic encryption standard allows for 128-bit security against classical attacks.
_STANDARD_BITS = {4096: 109, 8192: 218}

# Variance of SEAL's errors: the difference of two sums of 21 coins.
_ERROR = 10.5
# Bits of a sum that are kept free below q: a wrap is silent.
_FREE_BITS = 3
# A scaled sum beyond this is no longer encoded exactly in 64-bit floating point.
_EXACT_BITS = 57
# Half a grid step in standard deviations of the noise in the noisiest slot: a number is then wrong with probability
# below 2**-180.
SAFETY = 16
# How much noisier than on average the noisiest slot is. What the key is in a slot stays as long as the key, and some
# slots have much of it: of 2048 the noisiest has more than four times the average with one key in four thousand, and
# more than six times (the rounding then still errs with probability below 2**-80) with one in 2**41.
_NOISIEST = 4.0

KEYS = {
    "authority": "one key holder",
    "owners": "all owners",
    "threshold": "nobody: each owner has a share",
}


@dataclass(frozen=True)
class CKKS:
    """Approximate homomorphic encryption (CKKS, through TenSEAL and Microsoft SEAL), used so that sums come out exact.

    ``preset``: "default" (finest grid), "compact" (least bytes), "deep" (ring 8192, room for two products).
    ``complex_slots``: two numbers a slot, so half the bytes and half the time.
    ``keys``: who holds the secret key: "authority" (a key holder apart), "owners" (all of them: they trust each other),
    "threshold" (nobody: a sum opens only if every owner of the round agrees).
    ``rounds_per_key``: fresh keys after so many rounds, and with every run.

    Example:
        >>> CKKS()
        CKKS(preset='default': ring 4096, primes of 60 and 40 bits, 2048 numbers a ciphertext)
        >>> CKKS("compact", complex_slots=True).plan(bound=1.0, owners=10)
        Plan(numbers within ±1, sums of up to 10 owners, grid 2**-14, 10.0 bytes a number)

    Raises:
        SettingError: a setting that does not exist, or two that do not go together.
    """

    preset: str = "default"
    complex_slots: bool = False
    keys: Keys = "authority"
    rounds_per_key: int = 100

    column: ClassVar[Literal["CKKS"]] = "CKKS"

    def __post_init__(self) -> None:
        if self.preset not in PRESETS:
            raise SettingError(
                f"There is no encryption preset {self.preset!r}.",
                "A preset fixes the sizes that security and exactness rest on, so there is nothing to fall back to.",
                f"Use one of {', '.join(map(repr, PRESETS))}: CKKS(preset='default').",
            )
        if self.keys not in KEYS:
            raise SettingError(
                f"keys is {self.keys!r}.",
                "Who can open sums, and who could open single updates, depends on it.",
                f"Use one of {', '.join(map(repr, KEYS))}.",
            )
        if self.keys == "threshold" and self.preset != "default":
            raise SettingError(
                f"The preset is {self.preset!r} and the key is shared by threshold.",
                "An opening in shares needs room for the noise that hides each share, so it has sizes of its own.",
                "Use CKKS(keys='threshold'); complex_slots=True halves its bytes.",
            )
        if not isinstance(self.complex_slots, bool):
            raise SettingError(
                f"complex_slots is {self.complex_slots!r}.",
                "It says whether two numbers share a slot, and is either so or not.",
                "Use complex_slots=True or False.",
            )
        check_rounds_per_key(self.rounds_per_key)

    @property
    def parameters(self) -> Parameters:
        """Ring, primes and largest scale in force."""
        return THRESHOLD if self.keys == "threshold" else PRESETS[self.preset]

    @property
    def ring(self) -> int:
        """Degree of the polynomial ring."""
        return self.parameters.ring

    @property
    def prime_bits(self) -> tuple[int, ...]:
        """Bits of each prime of the modulus; the last one never travels."""
        return self.parameters.prime_bits

    @property
    def lean(self) -> bool:
        """Whether numbers are sealed modulo the primes that travel and no others: faster, with more noise.

        The grid of "default" is far above either noise. "compact" and "deep" need the smaller one, and so do openings
        in shares, since the larger noise would tell more about the shares.
        """
        return self.preset == "default" and self.keys != "threshold"

    @property
    def slots(self) -> int:
        """Slots of one ciphertext."""
        return self.ring // 2

    @property
    def numbers(self) -> int:
        """How many numbers fit into one ciphertext, tags included."""
        return self.slots * (2 if self.complex_slots else 1)

    @property
    def chunk_bytes(self) -> int:
        """Bytes of one ciphertext on the wire: two polynomials, each coefficient in whole bytes for each prime."""
        return 2 * self.ring * sum(-(-bits // 8) for bits in self.prime_bits[:-1])

    @property
    def name(self) -> str:
        """What cards and tables call it."""
        slots = ", complex slots" if self.complex_slots else ""
        return f"CKKS, {'threshold' if self.keys == 'threshold' else f'preset {self.preset}'}{slots}"

    @property
    def security(self) -> str:
        """What the parameters promise, in one sentence for a card."""
        return security(self.ring, self.prime_bits)

    def plan(self, *, bound: float, owners: int) -> Plan:
        """Fix scale and grid for sums of vectors within ±``bound`` from at most ``owners`` owners (see Plan)."""
        return Plan(scheme=self, bound=bound, owners=owners)

    def noise(self, owners: int, *, noisiest: bool = False) -> float:
        """Standard deviation of the noise of a sum of ``owners`` in a slot, in units of 1/scale; ``noisiest``: at most.

        A slot adds up ring/2 coefficients. Sealed ``lean``, each has the errors of the two halves and of the public
        key, one times the ternary key and one times the ternary randomness of the ciphertext (two thirds of either are
        not zero). Else these errors are divided by the last prime, and what counts is that the division rounds both
        halves: errors of variance 1/12, one of them times the key; with a joint key the sum of as many keys. Opening in
        shares adds the noise that hides each share.
        """
        keys, spread = owners if self.keys == "threshold" else 1, _NOISIEST**2 if noisiest else 1.0
        each = _ERROR * (1 + 4 * self.ring / 3) if self.lean else (1 + keys * 2 * self.ring / 3) / 12
        smudging = 4.0**SMUDGE_BITS if self.keys == "threshold" else 0.0
        return math.sqrt(self.slots * owners * (spread * each + smudging))

    def layout(self, bound: float, owners: int) -> Layout:
        """What it makes of numbers within ±``bound`` from up to ``owners`` owners."""
        room = sum(self.prime_bits[:-1])
        largest = max(math.ceil(math.log2(bound) + math.log2(owners)), 0)
        scale_bits = min(self.parameters.largest_scale, min(room - _FREE_BITS, _EXACT_BITS) - largest)
        # In logarithms throughout, because for a hopeless range the sigma itself can overflow.
        above_noise = scale_bits - math.log2(2 * SAFETY * self.noise(owners, noisiest=True))
        return Layout(
            scale_bits=scale_bits,
            grid_bits=min(FINEST_GRID, math.floor(above_noise)),
            capacity=math.ldexp(1.0, room - 1 - scale_bits),
            sigma=float(np.ldexp(self.noise(owners), -scale_bits)),
            noisiest=float(np.ldexp(self.noise(owners, noisiest=True), -scale_bits)),
            numbers=self.numbers,
            chunk_bytes=self.chunk_bytes,
            lean=self.lean,
        )

    def __repr__(self) -> str:
        bits = ", ".join(map(str, self.prime_bits[:-1])) + f" and {self.prime_bits[-1]}"
        kind = "keys='threshold'" if self.keys == "threshold" else f"preset={self.preset!r}"
        kind += ", keys='owners'" if self.keys == "owners" else ""
        kind += ", complex_slots=True" if self.complex_slots else ""
        return f"CKKS({kind}: ring {self.ring}, primes of {bits} bits, {self.numbers} numbers a ciphertext)"

    def _repr_html_(self) -> str:
        from fedlab_nb.crypto.schemes.card import ckks_card

        return ckks_card(self)


def security(ring: int, prime_bits: tuple[int, ...]) -> str:
    """What ring and modulus promise, in one sentence."""
    return (
        f"128-bit security against classical attacks: a {sum(prime_bits)}-bit modulus at ring {ring}, where the "
        f"homomorphic encryption standard allows up to {_STANDARD_BITS[ring]} bits."
    )


def check_rounds_per_key(rounds: object) -> None:
    """Refuse what is not a whole number of rounds.

    Raises:
        SettingError: not a whole number from 1 up.
    """
    if not isinstance(rounds, (int, np.integer)) or isinstance(rounds, bool) or rounds < 1:
        raise SettingError(
            f"rounds_per_key is {rounds!r}.",
            "After so many rounds there are fresh keys, so that a lost one gives little away.",
            "Use a whole number from 1 up, such as rounds_per_key=100.",
        )
