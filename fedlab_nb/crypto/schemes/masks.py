"""Masks instead of ciphertexts: each owner adds numbers to its update that cancel in the sum of all of them.

Source: Bonawitz et al., "Practical secure aggregation for privacy-preserving machine learning", CCS 2017, section 4.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

from fedlab_nb.crypto.schemes.bfv import exact_grid
from fedlab_nb.crypto.schemes.ckks import check_rounds_per_key
from fedlab_nb.crypto.schemes.plan import Layout, Plan
from fedlab_nb.errors import SettingError

WORD_BITS = 32


@dataclass(frozen=True)
class SecAgg:
    """Secure aggregation by pairwise masks: no key holder, 4 bytes a number, exact, and owners may drop out.

    Each pair of owners agrees on a secret mask (X25519, ChaCha20) that one adds and the other subtracts; the server
    adds masked updates modulo 2**32 and the masks cancel. Owners share their secrets (Shamir), so that the masks of
    those who drop out can be taken off, by ``threshold`` of them together. Left out, it is two thirds of the owners of
    a round, plus one, which also holds against a server that lies with a third of the owners on its side; the least
    that is accepted is just over half, so that more owners may drop out.

    Secrets are fresh for every sum; the keys that owners agree on them with are fresh with every run and after
    ``rounds_per_key`` rounds.

    Example:
        >>> SecAgg().plan(bound=1.0, owners=10)
        Plan(numbers within ±1, sums of up to 10 owners, grid 2**-27, 4.0 bytes a number)

    Raises:
        SettingError: ``threshold`` is not a whole number from 2 up, or ``rounds_per_key`` not one from 1 up.
    """

    threshold: int | None = None
    rounds_per_key: int = 100

    column: ClassVar[Literal["masks"]] = "masks"

    def __post_init__(self) -> None:
        whole = isinstance(self.threshold, int) and not isinstance(self.threshold, bool)
        if self.threshold is not None and (not whole or self.threshold < 2):
            raise SettingError(
                f"threshold is {self.threshold!r}.",
                "So many owners together can take masks off; one alone must never be able to.",
                "Use a whole number from 2 up, more than half of the owners of a round, or leave it out.",
            )
        check_rounds_per_key(self.rounds_per_key)

    def needed(self, owners: int) -> int:
        """How many of ``owners`` must be left for the masks of a sum to come off; more than half, at least 2."""
        return max(self.threshold or 2 * owners // 3 + 1, owners // 2 + 1, 2)

    @property
    def name(self) -> str:
        """What cards and tables call it."""
        return "masks (SecAgg)"

    def plan(self, *, bound: float, owners: int) -> Plan:
        """Fix the grid for sums of vectors within ±``bound`` from at most ``owners`` owners (see Plan)."""
        return Plan(scheme=self, bound=bound, owners=owners)

    def layout(self, bound: float, owners: int) -> Layout:
        """What it makes of numbers within ±``bound`` from up to ``owners`` owners."""
        grid_bits = exact_grid(bound, owners, WORD_BITS)
        return Layout(
            scale_bits=grid_bits,
            grid_bits=grid_bits,
            capacity=math.ldexp(2.0 ** (WORD_BITS - 1) - 1, -grid_bits),
            sigma=0.0,
            noisiest=0.0,
            numbers=None,
            chunk_bytes=WORD_BITS // 8,
            lean=False,
        )

    def __repr__(self) -> str:
        return "SecAgg()" if self.threshold is None else f"SecAgg(threshold={self.threshold})"

    def _repr_html_(self) -> str:
        from fedlab_nb.crypto.schemes.card import secagg_card

        return secagg_card(self)
