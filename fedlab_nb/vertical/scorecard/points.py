"""One owner's points: what each bin, category or number of its own columns counts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.cards import one_line, table
from fedlab_nb.data.encoding import CategoryCode, NumberCode
from fedlab_nb.errors import RuleError
from fedlab_nb.units import counted
from fedlab_nb.vertical.scorecard.evidence import BinnedColumn, EvidenceReading
from fedlab_nb.vertical.shared.reading import Standard

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]
Column = BinnedColumn | NumberCode | CategoryCode
BASE = ("base points", "every row")


@dataclass(frozen=True, eq=False, repr=False)
class OwnerPoints:
    """The points of one owner's columns: ``table`` has them, ``of(frame)`` gives those of rows.

    ``weights`` (d,) are points for each unit of an input, and ``base`` what every row gets: at the owner of the labels,
    else None. A row's points are whole numbers, one for each column.

    Source: Siddiqi 2006, "Credit risk scorecards", chapter 6.
    """

    owner: str
    reading: Standard | EvidenceReading = field(repr=False)
    weights: Floats = field(repr=False)
    base: float | None = None

    def of(self, frame: pd.DataFrame) -> pd.Series:
        """The points of each row of ``frame``, which has this owner's columns: whole numbers, in its index.

        Raises:
            SchemaError: a column is missing.
        """
        import pandas as pd

        inputs = self.reading.read(frame) * self.weights
        total = np.full(len(frame), np.rint(self.base or 0.0))
        for _, places in _columns(self.reading):
            total += np.rint(inputs[:, places].sum(axis=1))
        return pd.Series(total.astype(np.int64), index=frame.index, name="points")

    @property
    def table(self) -> pd.DataFrame:
        """The points of each bin or category, by (column, attribute).

        Those of a standardised number are given for two of its values, and lie on a line.
        """
        import pandas as pd

        lines = [] if self.base is None else [(*BASE, self.base)]
        for column, places in _columns(self.reading):
            lines += [(column.name, what, points) for what, points in _attributes(column, self.weights[places])]
        index = pd.MultiIndex.from_tuples([line[:2] for line in lines], names=["column", "attribute"])
        points = np.rint([line[2] for line in lines]).astype(np.int64)
        return pd.DataFrame({"points": points}, index=index)

    def __repr__(self) -> str:
        return one_line(f"OwnerPoints({self.owner!r}, {counted(len(_columns(self.reading)), 'column')}: .table)")

    def _repr_html_(self) -> str:
        shown = self.table["points"]
        lines = [(*place, points) for place, points in zip(shown.index.tolist(), shown.tolist(), strict=True)]
        note = "A row's points are the sum over its columns, at all owners. Nobody else knows this part."
        return table(f"Points of {self.owner}'s columns", ("Column", "Attribute", "Points"), lines, note)


def points_of(owner: str, reading: object, weights: Floats, base: float | None) -> OwnerPoints:
    """One owner's points, from points for each unit of its inputs.

    Raises:
        RuleError: this owner reads its columns in a way that no points are known for.
    """
    if not isinstance(reading, Standard | EvidenceReading):
        raise RuleError(
            f"{owner!r} reads its columns as {type(reading).__name__}.",
            "Points belong to bins, categories or standardised numbers.",
            "Use a model of fl.vertical.LogisticRegression.",
        )
    return OwnerPoints(owner, reading, weights, base)


def _columns(reading: Standard | EvidenceReading) -> list[tuple[Column, slice]]:
    """Each column, and which inputs come of it."""
    codes: tuple[Column, ...] = reading.columns if isinstance(reading, EvidenceReading) else reading.encoding.inputs
    widths = [len(code.values) if isinstance(code, CategoryCode) else 1 + getattr(code, "indicator", False)
              for code in codes]  # fmt: skip
    ends = np.cumsum(widths, dtype=np.int64)
    return [(code, slice(int(end) - width, int(end))) for code, end, width in zip(codes, ends, widths, strict=True)]


def _attributes(column: Column, weights: Floats) -> Iterator[tuple[str, float]]:
    """What a row can be like in this column, and the points of it, not rounded yet."""
    if isinstance(column, BinnedColumn):
        yield from zip(column.labels, weights[0] * np.array(column.woe), strict=True)
        yield "missing, or in no bin", 0.0
    elif isinstance(column, CategoryCode):
        yield from zip(map(str, column.values), weights, strict=True)
        yield "missing, or another value", 0.0
    else:
        yield f"{column.centre:.6g} (mean)", 0.0
        yield f"{column.centre + column.scale:.6g} (one standard deviation more)", float(weights[0])
        yield "missing", float(weights[1]) if column.indicator else 0.0
