"""One release that depends on private rows, as its mechanism states it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fedlab_nb.cards import card
from fedlab_nb.units import delta_text

Mechanism = Literal["gaussian", "geometric", "none"]
Rows = Literal["training", "held-out", "all"]


@dataclass(frozen=True)
class PrivacyEvent:
    """What left an owner: the facts an accountant needs, and nothing about how they were computed.

    ``amount`` is the noise multiplier (noise standard deviation / L2 sensitivity) of a gaussian release, and
    epsilon itself of a geometric one. ``delta`` is the chance that the release fails outright (thresholded
    category lists). A release without a mechanism is an event too: mechanism "none".
    """

    round: int
    purpose: str
    rows: Rows
    unit: Literal["row", "owner"]
    mechanism: Mechanism
    amount: float = 0.0
    delta: float = 0.0

    @property
    def words(self) -> str:
        """How the release was protected, with the amount of it."""
        if self.mechanism == "gaussian":
            listed = f", delta {delta_text(self.delta)} for the list" if self.delta else ""
            return f"Gaussian noise, multiplier {self.amount:.3g}{listed}"
        return "not protected" if self.mechanism == "none" else f"geometric noise, epsilon {self.amount:.3g}"

    def __repr__(self) -> str:
        return f"PrivacyEvent(round {self.round}, {self.purpose!r}, {self.rows} rows, unit {self.unit}, {self.words})"

    def _repr_html_(self) -> str:
        rows = [
            ("What left the owner", self.purpose),
            ("In round", self.round or "0, before the first one"),
            ("Computed on", f"{self.rows} rows"),
            ("Protection", self.words),
            ("Hides a single", self.unit if self.mechanism != "none" else "nothing"),
        ]
        return card("Privacy event: one release that depends on private rows", rows)
