"""What one party of a federation holds: rows, columns, keys; and what it can do with what reaches it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fedlab_nb.cards import card
from fedlab_nb.units import listed

Role = Literal["owner", "server", "key holder"]
Key = Literal["none", "public key", "parameters", "secret key", "key share", "mask secrets"]
Power = Literal["seal", "mask", "add", "read", "open", "help open"]

# What each power means, in words for a reader.
POWERS: dict[Power, str] = {
    "seal": "can seal its updates",
    "mask": "can mask its updates",
    "help open": "helps to open sums",
    "add": "adds sealed numbers",
    "read": "reads every update",
    "open": "opens sums only",
}


@dataclass(frozen=True)
class Holding:
    """What one party has, and has been given so far.

    ``rows`` are in words, because their number is private; ``columns`` are its feature columns, ``target`` the column
    to predict if it holds that. ``may`` is what it can do with updates, ``key`` the kind of key that it holds and
    ``material`` the same in words, ``sends`` what leaves it.
    """

    party: str
    role: Role
    rows: str = "no rows"
    columns: tuple[str, ...] = ()
    target: str | None = None
    may: tuple[Power, ...] = ()
    key: Key = "none"
    material: str = "no key"
    sends: str = ""

    @property
    def powers(self) -> str:
        """What it can do with updates, in words."""
        return ", ".join(POWERS[power] for power in self.may)

    def __repr__(self) -> str:
        columns = f"{len(self.columns)} columns" if self.columns else "no columns"
        return f"Holding({self.party!r}, {self.role}: {self.rows}, {columns}, {self.material})"

    def _repr_html_(self) -> str:
        rows = [
            ("Role", self.role),
            ("Rows", self.rows),
            ("Columns", f"{len(self.columns):,}: {listed(self.columns)}" if self.columns else "none"),
            ("Target", self.target or "none"),
            ("Keys", self.material),
            ("With updates it", self.powers or "can do nothing"),
            ("Sends", self.sends or "nothing"),
        ]
        return card(f"What {self.party} holds", rows)
