"""What two owners agree on in public before one multiplies the other's sealed columns: places, sizes, scale.

A column of ``rows`` whole numbers a_r is cut into blocks of L, each one polynomial sum a_r X^r. The other owner's
column goes into sum b_r X^(jL + L - 1 - r): in the product, coefficient jL + L - 1 is the sum of a_r b_r over the
block, with no other term in it. So N / L columns b fit into one polynomial (j = 0, 1, ...), blocks are added up, and no
ciphertext is ever rotated: no rotation keys, and no slots of single rows that a mask would have to hide.

Source: Huang, Lu, Hong, Ding, "Cheetah: lean and fast secure two-party deep neural network inference", USENIX Security
2022, section 3.1 (products of matrices in coefficients).
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from functools import cached_property

from fedlab_nb.crypto.schemes.ckks import CKKS, SAFETY
from fedlab_nb.errors import EncryptionError

# Noise that the multiplying owner adds hides what its own numbers made of the encryption's noise, up to 2**-30.
_HIDING_BITS = 30
_FEWEST_ROWS = 64
# Columns with a mean square of up to this are as good as of 1: a grid may have rounded them up.
SLACK = 1.01


@dataclass(frozen=True, kw_only=True)
class ProductPlan:
    """Public facts of all sums of products of ``left`` columns of one owner with ``right`` columns of another.

    Both have the same ``rows``, in the same order, and columns with a mean square of at most 1, which are rounded to
    multiples of 2**-left_bits and 2**-right_bits (0 bits for columns of 0 and 1). The sums of the rounded products come
    out exactly.

    With several ``senders`` the products with each one's ``left`` columns are added up before anything is opened. Two
    ``lanes`` are two numbers a row in one whole number, for right columns of 0 and 1. ``padded`` sums are opened
    under a one-time pad that only the owner that multiplied knows.

    Raises:
        EncryptionError: so many rows and bits do not fit the scheme.

    Example:
        >>> ProductPlan(scheme=CKKS("deep"), rows=400, left=10, right=20, left_bits=20, right_bits=20)
        ProductPlan(400 rows, 10 x 20 columns, 20 ciphertexts to multiply, 10 to open)
    """

    scheme: CKKS
    rows: int
    left: int
    right: int
    left_bits: int
    right_bits: int
    senders: int = 1
    lanes: int = 1
    padded: bool = False

    def __post_init__(self) -> None:
        if self.scale_bits - 2 - math.log2(self.noise) < _HIDING_BITS:
            raise EncryptionError(
                f"Sums of products over {self.rows:,} rows with {self.left_bits} and {self.right_bits} bits do not fit "
                f"{self.scheme.name}.",
                "There would be no room to hide what one owner's numbers make of the noise in the other's ciphertexts.",
                "Ask about fewer rows.",
            )

    @cached_property
    def block(self) -> int:
        """L: how many rows go into one polynomial; as many as make the fewest ciphertexts in both directions."""
        ring = self.scheme.ring
        sizes = [1 << bits for bits in range(int(math.log2(_FEWEST_ROWS)), int(math.log2(ring)) + 1)]
        return min(sizes, key=lambda size: -(-self.rows // size) + -(-self.right // (ring // size)))

    @property
    def blocks(self) -> int:
        """Ciphertexts of one left column."""
        return -(-self.rows // self.block)

    @property
    def together(self) -> int:
        """Right columns in one polynomial, and so sums in one ciphertext that is opened."""
        return self.scheme.ring // self.block

    @property
    def answers(self) -> int:
        """Ciphertexts that hold the sums of one left column with all right ones."""
        return -(-self.right // self.together)

    @cached_property
    def lane_bits(self) -> int:
        """By how many bits the second lane stands above the first: more than the largest sum of a lane needs."""
        return self._largest_lane.bit_length() + 1

    @cached_property
    def largest(self) -> int:
        """The largest sum there can be, in whole steps, of all lanes together."""
        return sum(self._largest_lane << (lane * self.lane_bits) for lane in range(self.lanes))

    @cached_property
    def _largest_lane(self) -> int:
        """Of one lane (Cauchy and Schwarz), with room for columns rounded up."""
        return 2 * self.senders * self.rows << (self.left_bits + self.right_bits)

    @cached_property
    def noise(self) -> float:
        """The most noise that the encryption can leave in a sum, multiplied by ``right`` columns of unit mean square.

        Each coefficient is a sum of the errors of all coefficients of the sealed blocks, times numbers of the right
        columns that lie in the same polynomials; errors as in ``CKKS.noise``.
        """
        each = (1 + 2 * self.scheme.ring / 3) / 12
        packed = min(self.right, self.together)
        return SAFETY * math.sqrt(each * SLACK * packed * self.rows * self.senders) * 2.0**self.right_bits

    @cached_property
    def scale_bits(self) -> int:
        """Bits that whole numbers are moved up by before they are sealed: all that a sum leaves free."""
        return sum(self.scheme.prime_bits[:-1]) - 3 - self.largest.bit_length()

    @property
    def chunk_bytes(self) -> int:
        """Bytes of one ciphertext."""
        return self.scheme.chunk_bytes

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all that the plan fixes, in hex."""
        facts = [self.scheme.name, self.rows, self.left, self.right, self.left_bits, self.right_bits, self.block]
        facts += [self.senders, self.lanes, self.padded]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()

    def __repr__(self) -> str:
        return (
            f"ProductPlan({self.rows:,} rows, {self.left} x {self.right} columns, {self.left * self.blocks} "
            f"ciphertexts to multiply, {self.left * self.answers} to open)"
        )


@dataclass(frozen=True, kw_only=True)
class Shipment:
    """What one envelope holds: sealed columns for the owner that multiplies, or ``sums`` for whoever opens them."""

    session: str
    round: int
    kind: str
    plan: ProductPlan
    fingerprint: str
    sums: bool

    @property
    def length(self) -> int:
        """How many numbers are inside."""
        return self.plan.left * (self.plan.right if self.sums else self.plan.rows)

    @property
    def chunks(self) -> int:
        """In how many ciphertexts."""
        return self.plan.left * (self.plan.answers if self.sums else self.plan.blocks)

    @property
    def chunk_bytes(self) -> int:
        """Bytes of each ciphertext."""
        return self.plan.chunk_bytes

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all facts, in hex: parties that agree on them have the same one."""
        facts = [self.session, self.round, self.kind, self.plan.digest, self.fingerprint, self.sums]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()
