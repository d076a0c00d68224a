"""One release that depends on private rows, as its mechanism states it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fedlab_nb.cards import card
from fedlab_nb.errors import SettingError
from fedlab_nb.units import counted, delta_text

Mechanism = Literal["gaussian", "laplace", "none"]
Rows = Literal["training", "held-out", "all"]


@dataclass(frozen=True)
class PrivacyEvent:
    """What left an owner: the facts an accountant needs, and nothing about how they were computed.

    ``amount`` is the noise multiplier (noise standard deviation / L2 sensitivity) of a gaussian release, noise scale /
    L1 sensitivity of a laplace one. ``delta`` is the chance that the release fails outright (thresholded category
    lists). A release without a mechanism is an event too: mechanism "none".

    ``sample_rate`` is the probability with which each row took part, drawn for every row by itself (Poisson sampling),
    anew for every release and known to nobody but the owner. Lots of a fixed size and shuffled batches are no such
    sampling: state them with rate 1. ``times`` stands for so many equal releases. All amounts are for neighbouring data
    sets that differ by one row (or one owner) added or removed; where one row is replaced by another, the sensitivity
    doubles, and so the mechanism has to halve its amount.

    Raises:
        SettingError: if one of the numbers is outside its range, or an owner-level release claims sampled rows.
    """

    round: int
    purpose: str
    rows: Rows
    unit: Literal["row", "owner"]
    mechanism: Mechanism
    amount: float = 0.0
    delta: float = 0.0
    sample_rate: float = 1.0
    times: int = 1

    def __post_init__(self) -> None:
        # Not one of these comparisons holds for a value that is not a number.
        if not (self.amount >= 0.0 and 0.0 <= self.delta <= 1.0):
            raise SettingError(
                f"A release ({self.purpose}) has the amount {self.amount!r} and the delta {self.delta!r}.",
                "An amount below 0, or a delta that is no probability, would make the releases before it look cheaper.",
                "State the noise multiplier or scale (0 or more) and a delta between 0 and 1.",
            )
        if not 0.0 < self.sample_rate <= 1.0:
            raise SettingError(
                f"A release ({self.purpose}) has the sample rate {self.sample_rate!r}.",
                "It is the probability with which each row took part, and a smaller one makes a release cheaper.",
                "State a number above 0 and at most 1; 1 means that every row took part.",
            )
        if self.sample_rate < 1.0 and self.unit == "owner":
            raise SettingError(
                f"A release ({self.purpose}) that hides a whole owner has the sample rate {self.sample_rate!r}.",
                "Which of its rows took part does not hide an owner: it took part with the others.",
                'State it with sample_rate=1, or with unit="row" if it hides single rows.',
            )
        if not (self.times >= 1 and self.times == int(self.times)):
            raise SettingError(
                f"A release ({self.purpose}) is said to have happened {self.times!r} times.",
                "Each time counts against the budget, so their number has to be right.",
                "State a whole number, 1 or more.",
            )

    @property
    def words(self) -> str:
        """How the release was protected, with the amount of it."""
        if self.mechanism == "none":
            return "not protected"
        protected = {
            "gaussian": f"Gaussian noise, multiplier {self.amount:.3g}",
            "laplace": f"Laplace noise, scale {self.amount:.3g} × sensitivity",
        }.get(self.mechanism, f"{self.mechanism}, {self.amount:.3g}")
        sampled = f", each row with probability {self.sample_rate:.3g}" if self.sample_rate < 1.0 else ""
        listed = f", delta {delta_text(self.delta)} for the list" if self.delta else ""
        return protected + sampled + listed

    def __repr__(self) -> str:
        often = f", {self.times:,} times" if self.times > 1 else ""
        return (
            f"PrivacyEvent(round {self.round}, {self.purpose!r}, {self.rows} rows, unit {self.unit}, "
            f"{self.words}{often})"
        )

    def _repr_html_(self) -> str:
        rows = [
            ("What left the owner", self.purpose),
            ("In round", self.round or "0, before the first one"),
            ("Computed on", f"{self.rows} rows"),
            ("Protection", self.words),
            ("Hides a single", self.unit if self.mechanism != "none" else "nothing"),
        ]
        if self.times > 1:
            rows.append(("Happened", counted(self.times, "time")))
        return card("Privacy event: one release that depends on private rows", rows)
