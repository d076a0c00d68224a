"""What may be known about a private frame without asking its rows: names, kinds and declared ranges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

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


@dataclass(frozen=True)
class Schema:
    """The public description of a private frame: its feature columns and its target."""

    features: tuple[Column, ...]
    target: Column

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
            f"target {self.target.name!r} ({self.target.kind}))"
        )
