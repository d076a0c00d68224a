"""Questions about the rows to train on only: what a model is made with must not know the rows that it is scored on."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import partial
from typing import TYPE_CHECKING, cast

import numpy as np

from fedlab_nb.analytics.apart import came
from fedlab_nb.analytics.source import Source, table_of
from fedlab_nb.errors import RoundError
from fedlab_nb.parties import Federation, Rows
from fedlab_nb.parties.columns.alignment import Alignment
from fedlab_nb.parties.columns.road import alignment_of, own, send
from fedlab_nb.places import here
from fedlab_nb.vertical.align import FEWEST, align

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Training(Source):
    """The rows in common to train on, without those that are held out."""

    @classmethod
    def of(cls, source: Source) -> Training:
        """The same source, and only rows to train on."""
        return cls(**{each.name: getattr(source, each.name) for each in fields(source)})

    @property
    def text(self) -> str:
        """Which rows are asked, completely."""
        return f"{super().text}, held-out ones left out"

    def table(self, rows: Rows) -> pd.DataFrame:
        """The rows that are asked, as one table; called beside the rows of one owner."""
        table = table_of(_part(rows, cast("Alignment", alignment_of(self.federation))))
        return table if self.condition is None else table[self.condition.holds(table)]


def rows_asked(source: Source) -> Alignment:
    """The rows in common that a question is about: all of them, or those to train on.

    How many these are every owner counts by itself, and one tells the server; a key holder is told where it opens sums.

    Raises:
        RoundError: there are too few.
    """
    federation = source.federation
    found = align(federation)
    return _to_train_on(federation, found) if isinstance(source, Training) else found


def _to_train_on(federation: Federation, found: Alignment) -> Alignment:
    mine = {
        name: own(federation, "rows to train on", partial(_counted, found=found), at=name) for name in federation.names
    }
    kind, number, first = "number of rows to train on", federation.turn(), federation.names[0]
    told = send(federation, kind, lambda _: np.array([float(mine[first])]), number=number, sender=first, to="server")
    checked = own(federation, kind, lambda _: int(came.numbers(first, told, (1,))[0]), at="server")
    rows: int | None = here([*mine.values(), checked])
    if rows is not None and rows < FEWEST:
        raise RoundError(
            first,
            "question",
            f"The owners have {rows} rows in common to train on.",
            f"Nothing is worked out from fewer than {FEWEST} rows: it would be about single people.",
            "Bring owners together that have more rows in common, or hold out fewer of them.",
        )
    return Alignment(found.owners, rows or 0, _key(found), found.doubts)


def _counted(rows: Rows, found: Alignment) -> int:
    return len(_part(rows, found).training[1])


def _part(rows: Rows, found: Alignment) -> Rows:
    """One owner's rows in common without those held out, made once and kept beside the others."""
    if _key(found) not in rows.cache:
        whole = found.of(rows)
        none = whole.held_out[0].iloc[:0], whole.held_out[1].iloc[:0]
        rows.cache[_key(found)] = Rows(whole.training, none, whole.content, ((whole.ids or ([], []))[0], []))
    return cast("Rows", rows.cache[_key(found)])


def _key(found: Alignment) -> str:
    return f"{found.key} training"
