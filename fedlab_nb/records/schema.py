"""What may be known about a private frame without asking its rows: names, kinds and declared ranges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from fedlab_nb.cards import framed, panel, table_html
from fedlab_nb.units import counted, listed

MOST_COLUMNS = 60

Task = Literal["binary", "multiclass", "regression"]


@dataclass(frozen=True)
class Column:
    """One column of a private frame, as its owner declares it.

    ``bounds`` (lowest, highest) and ``categories`` are public declarations; where they are None, a
    federation learns what it needs from sums over all owners, and charges for it.
    """

    name: str
    kind: Literal["numeric", "category"]
    dtype: str
    bounds: tuple[float, float] | None = None
    categories: tuple[object, ...] | None = None

    @property
    def declared(self) -> str:
        """What its owner declared about its values, in words."""
        if self.categories is not None:
            return listed(self.categories)
        return "not declared" if self.bounds is None else f"{self.bounds[0]:g} to {self.bounds[1]:g}"

    def __repr__(self) -> str:
        kind = "numeric" if self.kind == "numeric" else "categories"
        return f"Column({self.name!r}, {kind}, {self.dtype}, values {self.declared!r})"

    def _repr_html_(self) -> str:
        return framed(panel(f"Column: {self.name}", columns_html([self])))


NO_TARGET = Column("", "numeric", "float64")
"""Stands for the target where an owner of columns has none: nothing is called like this, and it holds no numbers."""


@dataclass(frozen=True)
class Schema:
    """The public description of a private frame: its feature columns and its target.

    ``id`` is the column by which owners of different columns find the same rows; None where all have the same columns.
    Where no column says which row is which, ``linked_by`` are those that say it together, and ``id`` stands for them.
    """

    features: tuple[Column, ...]
    target: Column
    id: Column | None = None
    linked_by: tuple[Column, ...] = ()

    @property
    def numeric(self) -> tuple[Column, ...]:
        """The numeric feature columns, in frame order."""
        return tuple(column for column in self.features if column.kind == "numeric")

    @property
    def categorical(self) -> tuple[Column, ...]:
        """The categorical feature columns, in frame order."""
        return tuple(column for column in self.features if column.kind == "category")

    def __repr__(self) -> str:
        return (
            f"Schema({len(self.numeric)} numeric and {len(self.categorical)} categorical columns, "
            + (f"target {self.target.name!r} ({self.target.kind})" if self.target != NO_TARGET else "no target")
            + (f", id {self.id.name!r})" if self.id else ")")
        )

    def _repr_html_(self) -> str:
        named = f"the target {self.target.name}" if self.target != NO_TARGET else "no target"
        title = f"Schema: {counted(len(self.features), 'feature column')} and {named}"
        return framed(panel(title, self.columns_html(), note="Declared values are public. Rows are not part of it."))

    def columns_html(self) -> str:
        """The table of all columns, the target first, without a frame."""
        if self.target == NO_TARGET:
            return columns_html(self.features)
        return columns_html([self.target, *self.features], target=self.target.name)


def columns_html(columns: Sequence[Column], target: str = "") -> str:
    """A table of columns: kind, type and declared values; of very many, the first ones."""
    rows = [
        (
            f"{column.name} (target)" if column.name == target else column.name,
            "number" if column.kind == "numeric" else "category",
            column.dtype,
            column.declared,
        )
        for column in columns[:MOST_COLUMNS]
    ]
    more = f"<p>and {len(columns) - MOST_COLUMNS} more</p>" if len(columns) > MOST_COLUMNS else ""
    return table_html(("Column", "Kind", "Type", "Declared values"), rows) + more
