"""BFV: exact homomorphic encryption of whole numbers; smaller and faster than CKKS, and coarser.

Source: Fan, Vercauteren, "Somewhat practical fully homomorphic encryption", IACR eprint 2012/144; batching: Smart,
Vercauteren, "Fully homomorphic SIMD operations", Designs, Codes and Cryptography 2014.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

from fedlab_nb.crypto.schemes.ckks import KEYS, check_rounds_per_key, security
from fedlab_nb.crypto.schemes.plan import Layout, Plan
from fedlab_nb.errors import EncryptionError, SettingError

# A prime below 2**40 that is 1 modulo 2 * ring, so that each of the ring's slots holds a number of its own; the largest
# but one, as the largest is a prime of the ciphertexts already.
PLAIN_MODULUS = 1099511390209
FIELD_BITS = 20
# A fresh ciphertext has a noise budget of 12 bits or more, and 256 times the same one, the worst case of a sum, has 4
# left (measured with TenSEAL 0.3.18, 100 ciphertexts).
MOST_OWNERS = 256
# Sealed modulo the prime that travels and no other, which is faster, it has 8 bits or more when fresh, and 16 times the
# same one leave 4 (measured likewise, 600 ciphertexts under 6 keys).
LEAN_OWNERS = 16
# Two numbers share a slot where that leaves a grid at least so fine.
_FINE_ENOUGH = 6


@dataclass(frozen=True)
class BFV:
    """Exact homomorphic encryption (BFV, through TenSEAL and Microsoft SEAL). It is not CKKS: it knows whole numbers.

    Owners round to a grid that is coarse enough for two numbers to share a slot (20 bits each), or one number of 39
    bits where two would be too coarse: the plan decides and shows it. Sums have no noise at all.

    ``keys`` is "authority" or "owners" and ``rounds_per_key`` as for ``fl.CKKS``.

    Example:
        >>> BFV().plan(bound=1.0, owners=10)
        Plan(numbers within ±1, sums of up to 10 owners, grid 2**-15, 8.0 bytes a number)

    Raises:
        SettingError: a setting that does not exist.
    """

    keys: Literal["authority", "owners"] = "authority"
    rounds_per_key: int = 100

    column: ClassVar[Literal["CKKS"]] = "CKKS"
    ring: ClassVar[int] = 4096
    prime_bits: ClassVar[tuple[int, ...]] = (60, 40)

    def __post_init__(self) -> None:
        if self.keys not in ("authority", "owners"):
            shares = " Opening in shares is built for CKKS only." if self.keys in KEYS else ""
            raise SettingError(
                f"keys is {self.keys!r}.",
                f"BFV's key is held by a key holder apart, or by all owners.{shares}",
                "Use BFV(keys='authority') or BFV(keys='owners'); for shares CKKS(keys='threshold').",
            )
        check_rounds_per_key(self.rounds_per_key)

    @property
    def slots(self) -> int:
        """Slots of one ciphertext."""
        return self.ring

    @property
    def chunk_bytes(self) -> int:
        """Bytes of one ciphertext on the wire."""
        return 2 * self.ring * -(-self.prime_bits[0] // 8)

    @property
    def name(self) -> str:
        """What cards and tables call it."""
        return "BFV, exact"

    @property
    def security(self) -> str:
        """What the parameters promise, in one sentence for a card."""
        return security(self.ring, self.prime_bits)

    def plan(self, *, bound: float, owners: int) -> Plan:
        """Fix the grid for sums of vectors within ±``bound`` from at most ``owners`` owners (see Plan)."""
        return Plan(scheme=self, bound=bound, owners=owners)

    def layout(self, bound: float, owners: int) -> Layout:
        """What it makes of numbers within ±``bound`` from up to ``owners`` owners."""
        if owners > MOST_OWNERS:
            raise EncryptionError(
                f"{owners} owners are to be added under BFV, and {MOST_OWNERS} can be.",
                "With more additions its noise budget could run out, and every number of the sum would be wrong.",
                "Use fl.CKKS(), or fewer owners in one sum.",
            )
        bits = FIELD_BITS
        grid_bits = exact_grid(bound, owners, bits)
        if grid_bits < _FINE_ENOUGH:
            bits = 2 * FIELD_BITS - 1
            grid_bits = exact_grid(bound, owners, bits)
        return Layout(
            scale_bits=grid_bits,
            grid_bits=grid_bits,
            capacity=math.ldexp(2.0 ** (bits - 1) - 1, -grid_bits),
            sigma=0.0,
            noisiest=0.0,
            numbers=self.slots * (2 if bits == FIELD_BITS else 1),
            chunk_bytes=self.chunk_bytes,
            lean=owners <= LEAN_OWNERS,
        )

    def __repr__(self) -> str:
        kind = "keys='owners': " if self.keys == "owners" else ""
        return f"BFV({kind}exact, not CKKS; ring {self.ring}, two numbers of {FIELD_BITS} bits a slot)"

    def _repr_html_(self) -> str:
        from fedlab_nb.crypto.schemes.card import bfv_card

        return bfv_card(self)


def exact_grid(bound: float, owners: int, bits: int, *, finest: int = 30) -> int:
    """Bits after the point of the finest grid on which sums of all owners fit into signed numbers of ``bits`` bits."""
    room = 2 ** (bits - 1) - 1
    guess = min(finest, math.floor(bits - 1 - math.log2(bound) - math.log2(owners)))
    # Rounding can lift the bound by half a step at every owner.
    while guess > -64 and owners * round(math.ldexp(bound, guess)) > room:
        guess -= 1
    return guess
