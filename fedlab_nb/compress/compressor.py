"""What a compressor is, ours or a user's own."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from fedlab_nb.compress.packed import Floats, Packed


class Compressor(Protocol):
    """Packs one owner's change: into fewer numbers, or into fewer bits for each."""

    @property
    def needs(self) -> tuple[str, ...]:
        """What it needs beyond a sum, by the names of the compatibility matrix."""

    @property
    def feedback(self) -> bool:
        """Whether an owner keeps what was not sent, and adds it to its next change."""

    def compress(self, change: Floats, rng: np.random.Generator) -> Packed:
        """The change (d,), packed; what is drawn by chance comes from ``rng``."""
