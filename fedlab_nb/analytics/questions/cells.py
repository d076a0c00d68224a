"""Counting rows in cells: categories, bins, and tables of several of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.analytics.questions.question import Floats, Question, parts
from fedlab_nb.analytics.questions.small import hide
from fedlab_nb.data.columns import as_numbers, as_values
from fedlab_nb.errors import SettingError

if TYPE_CHECKING:
    import pandas as pd

Codes = NDArray[np.int64]


@dataclass(frozen=True)
class Categories:
    """One cell for each of the ``values`` of a column; rows with another value or none are in no cell."""

    column: str
    values: tuple[object, ...]

    @property
    def size(self) -> int:
        """How many cells."""
        return len(self.values)

    @property
    def labels(self) -> list[object]:
        """What the cells are called."""
        return list(self.values)

    @property
    def text(self) -> str:
        """The cells, completely."""
        return f"{self.column!r} in {list(self.values)!r}"

    def codes(self, table: pd.DataFrame) -> Codes:
        """The cell of each row (n,), -1 for none."""
        place = {value: number for number, value in enumerate(self.values)}
        return np.fromiter((place.get(v, -1) for v in as_values(table[self.column])), np.int64, len(table))


@dataclass(frozen=True)
class Bins:
    """One cell for each bin between ``edges``; missing values are in no cell.

    Bins hold their lower edge, like numpy.histogram's, or with ``right`` their upper one, like pandas.cut's; the outer
    edges are held in any case. With ``open_ended`` the outer bins also take what lies beyond them.
    """

    column: str
    edges: tuple[float, ...]
    right: bool = False
    open_ended: bool = False

    @property
    def size(self) -> int:
        """How many cells."""
        return len(self.edges) - 1

    @property
    def labels(self) -> list[object]:
        """What the cells are called."""
        left, right = ("(", "]") if self.right else ("[", ")")
        shown = [f"{left}{a:.6g}, {b:.6g}{right}" for a, b in zip(self.edges[:-1], self.edges[1:], strict=True)]
        if self.right:
            shown[0] = "[" + shown[0][1:]
        else:
            shown[-1] = shown[-1][:-1] + "]"
        return list(shown)

    @property
    def text(self) -> str:
        """The cells, completely."""
        how = ("upper" if self.right else "lower") + " edge held" + (", ends open" if self.open_ended else "")
        return f"{self.column!r} in bins {[float(e) for e in self.edges]!r} ({how})"

    def codes(self, table: pd.DataFrame) -> Codes:
        """The cell of each row (n,), -1 for none."""
        values = as_numbers(table[self.column])
        edges = np.asarray(self.edges)
        found = np.searchsorted(edges[1:-1], values, side="left" if self.right else "right").astype(np.int64)
        outside = np.isnan(values)
        if not self.open_ended:
            outside |= (values < edges[0]) | (values > edges[-1])
        found[outside] = -1
        return found


@dataclass(frozen=True)
class Outcome:
    """Two cells: rows where a column is ``event``, and rows where it is something else; missing ones are in neither."""

    column: str
    event: object
    size: ClassVar[int] = 2

    @property
    def labels(self) -> list[object]:
        """What the cells are called."""
        return ["events", "others"]

    @property
    def text(self) -> str:
        """The cells, completely."""
        return f"{self.column!r} being {self.event!r} or not"

    def codes(self, table: pd.DataFrame) -> Codes:
        """The cell of each row (n,), -1 for none."""
        absent = table[self.column].isna().to_numpy()
        same = np.fromiter((v == self.event for v in as_values(table[self.column])), np.bool_, len(table))
        return np.where(absent, -1, np.where(same, 0, 1)).astype(np.int64)


class Test(Protocol):
    """A condition on rows, as far as counting needs to know it."""

    @property
    def text(self) -> str:
        """The condition, completely."""

    def holds(self, table: pd.DataFrame) -> NDArray[np.bool_]:
        """Where it holds (n,)."""


@dataclass(frozen=True)
class Split:
    """Two cells: rows that meet a condition, and rows that do not."""

    test: Test
    size: ClassVar[int] = 2

    @property
    def labels(self) -> list[object]:
        """What the cells are called."""
        return [True, False]

    @property
    def text(self) -> str:
        """The cells, completely."""
        return f"{self.test.text} or not"

    def codes(self, table: pd.DataFrame) -> Codes:
        """The cell of each row (n,)."""
        return np.where(self.test.holds(table), 0, 1).astype(np.int64)


Axis = Categories | Bins | Outcome | Split


def joint_codes(axes: Sequence[Axis], table: pd.DataFrame) -> Codes:
    """The cell (n,) of each row in the table that several axes span, the last one fastest; -1 for none."""
    codes = np.zeros(len(table), dtype=np.int64)
    nowhere = np.zeros(len(table), dtype=np.bool_)
    for axis in axes:
        own = axis.codes(table)
        nowhere |= own < 0
        codes = codes * axis.size + own
    codes[nowhere] = -1
    return codes


def shape(axes: Sequence[Axis]) -> tuple[int, ...]:
    """How many cells along each axis."""
    return tuple(axis.size for axis in axes)


def count_cells(
    kind: str, *tables: Sequence[Axis], hidden: Callable[[Floats, tuple[int, ...]], Floats] | None = None
) -> Question:
    """How many rows are in each cell of one or several tables, one after the other.

    A row adds one count to each table at most: the L2 sensitivity of each is 1. ``hidden`` says how small cells of a
    table of some shape are kept back; left out, as ``hide_cells`` does.
    """
    keep_back = hidden or hide_cells
    sizes = [math.prod(shape(axes)) for axes in tables]

    def vector(table: pd.DataFrame) -> Floats:
        counted = []
        for axes, size in zip(tables, sizes, strict=True):
            codes = joint_codes(axes, table)
            counted.append(np.bincount(codes[codes >= 0], minlength=size).astype(np.float64))
        return np.concatenate(counted)

    def guard(values: Floats) -> Floats:
        return np.concatenate(
            [keep_back(part, shape(axes)).ravel() for part, axes in zip(cut(values, sizes), tables, strict=True)]
        )

    text = "; ".join(" by ".join(axis.text for axis in axes) for axes in tables)
    return Question(kind, f"rows with {text}", vector, parts(*((size, 1.0) for size in sizes)), guard)


def hide_cells(counts: Floats, sizes: tuple[int, ...]) -> Floats:
    """A table of counts without its small cells, nor what they could be worked out from along any of its axes."""
    return hide(counts.reshape(sizes))


def cut(values: Floats, sizes: Sequence[int]) -> list[Floats]:
    """A vector cut into parts of these sizes."""
    return np.split(values, np.cumsum(sizes)[:-1])


def count_missing(columns: Sequence[str]) -> Question:
    """How many rows there are, and how many lack a value in each of c columns (1 + c,).

    A row moves each number by at most 1, so the L2 sensitivity is sqrt(1 + c).
    """

    def vector(table: pd.DataFrame) -> Floats:
        return np.array([float(len(table)), *(float(table[column].isna().sum()) for column in columns)])

    def guard(values: Floats) -> Floats:
        rows, absent = values[0], values[1:]
        shown = [hide(np.array([count, rows - count]))[0] for count in absent]
        return np.array([hide(np.array([rows]))[0], *shown])

    scale = parts((1 + len(columns), math.sqrt(1 + len(columns))))
    return Question("missing count", f"rows, and missing values of {list(columns)!r}", vector, scale, guard)


def count_rows() -> Question:
    """How many rows there are (1,); a row moves it by 1."""

    def vector(table: pd.DataFrame) -> Floats:
        return np.array([float(len(table))])

    return Question("row count", "rows", vector, np.ones(1), hide)


def check_events(outcome: Outcome, total: float) -> None:
    """Refuse an outcome that no row has, where it is not known from a declaration that rows can have it.

    Raises:
        SettingError: if ``total``, the exact number of rows with the event, is 0.
    """
    if abs(total) < 0.5:
        raise SettingError(
            f"No row that was asked has {outcome.event!r} in {outcome.column!r}, which has no declared list of values.",
            "Nothing would have happened to anybody, and a misspelt value looks just the same.",
            "Check the value, or declare the list at its owners: "
            f'fl.DataOwner(..., categories={{"{outcome.column}": [...]}}), at a site under [categories] in site.toml.',
        )


def adjacent(counts: Floats, edges: Sequence[float], bins: int) -> tuple[list[int], tuple[float, ...]]:
    """Neighbouring fine bins put together into about ``bins`` of about equal count: where each starts, and their edges.

    Works on what was released, so it costs nothing; negative noisy counts count as none.
    """
    mass = np.cumsum(np.clip(counts, 0.0, None))
    wanted = mass[-1] * np.arange(1, bins) / bins
    starts = sorted({0, *(int(s) + 1 for s in np.searchsorted(mass, wanted) if s + 1 < len(counts))})
    return starts, (*(float(edges[s]) for s in starts), float(edges[-1]))
