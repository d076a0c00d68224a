"""The rows that owners of different columns have in common, once they have found them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from fedlab_nb.cards import card
from fedlab_nb.errors import SettingError
from fedlab_nb.parties.columns.ids import lots
from fedlab_nb.parties.rows import Part, Rows
from fedlab_nb.places import NotHere
from fedlab_nb.units import counted, listed

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
# And after a linkage of rows that are alike.
LINKED = (
    ("Every owner learns", "which of its own rows the other one has as well, or has one that is alike"),
    ("No owner learns", "which row of the other one that is, or anything of the others"),
    (
        "The server learns",
        "how many rows each owner has, and a pseudonym of each: which are alike, and what is frequent in them",
    ),
    ("Together", "the server with an owner could check every guess of a name at the other one: it would have the key"),
)


@dataclass(frozen=True)
class Doubts:
    """How sure a linkage is: of the linked pairs ``near`` are little above the ``threshold``, ``missed`` little below.

    ``tied`` rows were as much like several of the other owner's, and are left out; ``margin`` says what is little.
    """

    threshold: float
    margin: float
    near: int
    missed: int
    tied: int


@dataclass(frozen=True)
class Alignment:
    """Which rows ``owners`` have in common, in the same order at each; where they are, every owner knows of its own.

    ``rows`` is their number. ``key`` is what the owners find their places under. ``doubts`` is there where rows are
    linked that are alike (``NotHere`` in the process of a party that was not told), and None where they have the same
    id.
    """

    owners: tuple[str, ...]
    rows: int
    key: str = field(repr=False)
    doubts: Doubts | NotHere | None = None

    def note(self, rows: Rows, positions: list[int]) -> None:
        """One owner keeps, beside its rows, which of its ids (training rows first) are in common."""
        ids = [each for side in rows.ids or () for each in side]
        drawn = lots([ids[place] for place in positions])
        ordered = np.asarray(positions, dtype=np.int64)[np.argsort(drawn, kind="stable")]
        trained = len((rows.ids or ([], []))[0])
        sides = ordered[ordered < trained], ordered[ordered >= trained] - trained
        named = [ids[place] for place in sides[0]], [ids[place + trained] for place in sides[1]]
        parts = _taken(rows.training, sides[0]), _taken(rows.held_out, sides[1])
        rows.cache[self.key] = Rows(*parts, rows.content, named)

    def link(self, rows: Rows, positions: Sequence[int], trained: Sequence[int], held_out: Sequence[int]) -> None:
        """One owner keeps its linked rows: at which ``positions``, and which of these are trained on, in what order."""
        found = np.asarray(positions, dtype=np.int64)
        sides = [found[np.asarray(side, dtype=np.int64)] for side in (trained, held_out)]
        ids = (rows.ids or ([], []))[0]
        named = [ids[place] for place in sides[0]], [ids[place] for place in sides[1]]
        rows.cache[self.key] = Rows(
            _taken(rows.training, sides[0]), _taken(rows.training, sides[1]), rows.content, named
        )

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
                "Align the owners of this federation, fl.vertical.align(federation), or link them if they have no id.",
            )
        return found

    def _repr_html_(self) -> str:
        rows = [("Owners", listed(self.owners)), ("Rows in common", f"{self.rows:,}")]
        if self.doubts is not None:
            doubtful = _doubtful(self.doubts) if isinstance(self.doubts, Doubts) else []
            return card("Linkage by keyed Bloom filters", [*rows, *doubtful, *LINKED], WARNING)
        note = "Ids crossed masked by every owner's secret number. Every later step shows that a row is in common."
        return card("Alignment by private set intersection", [*rows, *LEARNED], note)


WARNING = (
    "Filters are pseudonyms, not encryption: who knows which names are frequent can guess some. How many links are "
    "wrong or missing depends on the data, and nobody here can count them: try it on rows whose true pairs you know. "
    "Every later step shows that a row is in common."
)


def doubts_in_words(alignment: Alignment) -> str:
    """How many rows are linked, and how sure that is, on one line of a log.

    >>> doubts_in_words(Alignment(("bank", "shop"), 99, "key", Doubts(0.85, 0.05, 3, 1, 0)))
    'Rows linked: 99, alike by 0.85 or more; barely 3 pairs; barely not 1 pair; not told apart 0 rows'
    """
    said, found = f"Rows linked: {alignment.rows:,}", alignment.doubts
    if not isinstance(found, Doubts):
        return said
    near, missed, tied = counted(found.near, "pair"), counted(found.missed, "pair"), counted(found.tied, "row")
    return f"{said}, alike by {found.threshold:g} or more; barely {near}; barely not {missed}; not told apart {tied}"


def _doubtful(doubts: Doubts) -> list[tuple[str, object]]:
    low, high = doubts.threshold - doubts.margin, doubts.threshold + doubts.margin
    return [
        ("Linked if alike by", f"{doubts.threshold:g} or more (Dice), each the other's only best"),
        ("Barely linked", f"{counted(doubts.near, 'pair')}, alike by less than {high:.2f}: some may be wrong"),
        ("Barely not linked", f"{counted(doubts.missed, 'pair')}, alike by {low:.2f} or more: some may be right"),
        ("Not told apart", f"{counted(doubts.tied, 'row')}, as much like several of the other owner's: left out"),
    ]


def _taken(part: Part, places: np.ndarray) -> Part:
    features, target = part
    return features.iloc[places].reset_index(drop=True), target.iloc[places].reset_index(drop=True)
