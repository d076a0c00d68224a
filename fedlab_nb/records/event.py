"""One release that depends on private rows, as its mechanism states it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

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
