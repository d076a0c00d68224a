"""The grid of sums in the clear, for more owners than a ciphertext has digits for."""

from __future__ import annotations

from dataclasses import dataclass

from fedlab_nb.crypto.schemes.bfv import exact_grid
from fedlab_nb.crypto.schemes.plan import Layout, Plan

# A whole number of 53 bits, and its sign: what 64-bit floating point adds exactly, in whatever order.
_BITS = 54


@dataclass(frozen=True)
class Clear:
    """No encryption: as fine a grid as sums in 64-bit floating point are exact on.

    Example:
        >>> Clear().plan(bound=2.0**20, owners=10_000)
        Plan(numbers within ±1.04858e+06, sums of up to 10000 owners, grid 2**-19, 8.0 bytes a number)
    """

    @property
    def name(self) -> str:
        """What errors call it."""
        return "sums in the clear"

    def plan(self, *, bound: float, owners: int) -> Plan:
        """Fix the grid for sums of vectors within ±``bound`` from at most ``owners`` owners (see Plan)."""
        return Plan(scheme=self, bound=bound, owners=owners)

    def layout(self, bound: float, owners: int) -> Layout:
        """What it makes of numbers within ±``bound`` from up to ``owners`` owners."""
        bits = exact_grid(bound, owners, _BITS)
        return Layout(
            scale_bits=bits,
            grid_bits=bits,
            capacity=2.0 ** (_BITS - 1 - bits),
            sigma=0.0,
            noisiest=0.0,
            numbers=None,
            chunk_bytes=8,
            lean=False,
        )
