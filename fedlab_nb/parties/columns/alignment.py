"""The rows that owners of different columns have in common, once they have found them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from fedlab_nb.cards import card
from fedlab_nb.errors import SettingError
from fedlab_nb.parties.columns.ids import lots
from fedlab_nb.parties.rows import Part, Rows
from fedlab_nb.units import listed

# What each party knows after an alignment, in words; who learns more than it must is named too.
LEARNED = (
    ("Every owner learns", "which of its own ids all owners have, and how many ids each of the others has"),
    ("No owner learns", "which of its other ids some owner has, or any id that it did not have"),
    ("The server learns", "no id: how many each owner has, and how many are common to which of them"),
    (
        "Together",
        "two of three owners or more could tell which ids both have; the server with one, which of its ids others have",
    ),
)


@dataclass(frozen=True)
class Alignment:
    """Which rows ``owners`` have in common, in the same order at each; where they are, every owner knows of its own.

    ``rows`` is their number. ``key`` is what the owners find their places under.
    """

    owners: tuple[str, ...]
    rows: int
    key: str = field(repr=False)

    def note(self, rows: Rows, positions: list[int]) -> None:
        """One owner keeps, beside its rows, which of its ids (training rows first) are in common."""
        ids = [each for side in rows.ids or () for each in side]
        drawn = lots([ids[place] for place in positions])
        ordered = np.asarray(positions, dtype=np.int64)[np.argsort(drawn, kind="stable")]
        trained = len((rows.ids or ([], []))[0])
        sides = ordered[ordered < trained], ordered[ordered >= trained] - trained
        rows.cache[self.key] = Rows(_taken(rows.training, sides[0]), _taken(rows.held_out, sides[1]), rows.content)

    def of(self, rows: Rows) -> Rows:
        """The rows in common of one owner, training and held-out ones, beside it: the same places at every owner.

        Raises:
            SettingError: if this owner has not taken part.
        """
        found = rows.cache.get(self.key)
        if not isinstance(found, Rows):
            raise SettingError(
                "An owner was asked for rows in common that it has not looked for.",
                "Which rows these are it can only know from taking part in the alignment.",
                "Align the owners of this federation: fl.vertical.align(federation).",
            )
        return found

    def _repr_html_(self) -> str:
        rows = [("Owners", listed(self.owners)), ("Rows in common", f"{self.rows:,}"), *LEARNED]
        note = "Ids crossed masked by every owner's secret number. Every later step shows that a row is in common."
        return card("Alignment by private set intersection", rows, note)


def _taken(part: Part, places: np.ndarray) -> Part:
    features, target = part
    return features.iloc[places].reset_index(drop=True), target.iloc[places].reset_index(drop=True)
