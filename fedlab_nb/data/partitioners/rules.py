"""What all partitioners share: how they are called, which labels they read, and what every division must keep to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.cards import card
from fedlab_nb.data.columns import as_numbers, as_values, kind_of
from fedlab_nb.errors import SchemaError, SettingError
from fedlab_nb.settings import check_setting, is_whole

if TYPE_CHECKING:
    import pandas as pd

Parts = list[NDArray[np.intp]]

TENTHS = 10
MOST_LABELS = 20
FEWEST = 2
MISSING_NAME = "missing"


class Partitioner(Protocol):
    """Anything that divides the rows of a frame among owners: those of ``fl.partition``, or a function of your own."""

    def __call__(self, frame: pd.DataFrame, owners: int, rng: np.random.Generator, /) -> Parts:
        """For each owner the positions of its rows; every row goes to exactly one owner."""


class Described:
    """One line and a card for a partitioner: its name, its first setting, and those that somebody changed."""

    def __repr__(self) -> str:
        chosen = (
            f"{f.name}={getattr(self, f.name)!r}"
            for number, f in enumerate(fields(self))  # type: ignore[arg-type]
            if number == 0 or getattr(self, f.name) != f.default
        )
        return f"{type(self).__name__}({', '.join(chosen)})"

    def _repr_html_(self) -> str:
        settings: list[Any] = list(fields(self))  # type: ignore[arg-type]
        rows = [(_SETTINGS[f.name], self._said(f.name)) for f in settings]
        use = f"fl.split_rows(frame, by=fl.partition.{self!r}) divides by it; fl.partition.show draws it."
        first = (type(self).__doc__ or "").partition("\n")[0]
        return card(f"{type(self).__name__}: a way to divide rows", [("What it does", first), *rows], use)

    def _said(self, name: str) -> object:
        value = getattr(self, name)
        return "the target" if value is None else value


_SETTINGS = {
    "alpha": "alpha (concentration)",
    "by": "by (column)",
    "min_rows": "fewest rows an owner gets",
    "per_owner": "shards per owner",
    "classes_per_owner": "labels per owner",
    "strictness": "strictness (0 at random, 1 in order)",
}


@dataclass(frozen=True)
class Labels:
    """A column as label numbers: ``codes`` (n,) count from 0 in the order of ``names``."""

    codes: NDArray[np.int64]
    names: tuple[str, ...]


def target_of(frame: pd.DataFrame) -> str:
    """The column to predict: frame.attrs["target"], else the last column."""
    return str(frame.attrs.get("target") or frame.columns[-1])


def column_of(frame: pd.DataFrame, by: str | None) -> pd.Series:
    """The column named ``by``, or the target.

    Raises:
        SchemaError: if there is none of that name.
    """
    name = target_of(frame) if by is None else by
    if name not in frame.columns:
        known = ", ".join(map(repr, list(frame.columns)[:40]))
        raise SchemaError(
            f"The table has no column {name!r}; it has {known}{' and more' if frame.shape[1] > 40 else ''}.",
            "Its values decide which owner gets which row.",
            "Name one of the table's columns.",
        )
    return frame[name]


def labels_of(frame: pd.DataFrame, by: str | None = None) -> Labels:
    """The labels of a column (default: the target) in their own order; missing values are one more label, the last.

    Where there are more than 20 different numbers, those in the same tenth of the distribution are one label.

    Raises:
        SchemaError: if there is no such column, or it holds dates, lists or other objects.

    >>> import pandas as pd
    >>> labels_of(pd.DataFrame({"ill": ["yes", "no", "yes"]}))
    Labels(codes=array([1, 0, 1]), names=('no', 'yes'))
    """
    import pandas as pd

    column = column_of(frame, by)
    if kind_of(column) == "numeric":
        numbers = as_numbers(column)
        if np.unique(numbers[~np.isnan(numbers)]).size > MOST_LABELS:
            tenths, ends = pd.qcut(pd.Series(numbers), TENTHS, labels=False, duplicates="drop", retbins=True)
            names = [f"{low:.4g} to {high:.4g}" for low, high in pairwise(ends)]
            return _with_missing(tenths.fillna(-1).to_numpy(dtype=np.int64), names)
        codes, sizes = pd.factorize(pd.Series(numbers), sort=True)
        return _with_missing(codes, [f"{size:.10g}" for size in sizes])
    values = in_order(column)
    place = {value: number for number, value in enumerate(values)}
    codes = np.array([-1 if value is None else place[value] for value in as_values(column)], dtype=np.int64)
    return _with_missing(codes, [str(value) for value in values])


def _with_missing(codes: NDArray[np.generic], names: Sequence[str]) -> Labels:
    found = np.asarray(codes, dtype=np.int64)
    absent = found < 0
    if not absent.any():
        return Labels(found, tuple(names))
    return Labels(np.where(absent, len(names), found), (*names, MISSING_NAME))


def in_order(column: pd.Series) -> list[object]:
    """The values of a column, each once: in the order of its pandas categories, else by size or alphabet."""
    import pandas as pd

    seen = {value for value in as_values(column) if value is not None}
    if isinstance(column.dtype, pd.CategoricalDtype):
        return [value for value in as_values(pd.Series(column.cat.categories)) if value in seen]
    return sorted(seen, key=lambda value: (type(value).__name__, value))


def check_owners(owners: object, rows: int) -> int:
    """``owners`` as a plain whole number, if there are enough rows for as many.

    Raises:
        SettingError: if it is no whole number from 1 to the number of rows.
    """
    if not is_whole(owners, least=1) or owners > rows:
        raise SettingError(
            f"{rows} rows were to be divided among owners={owners!r}.",
            "Rows need someone to hold them, and an owner without rows has nothing to learn from.",
            f"Choose a whole number from 1 to {rows}." if rows else "Give a table with rows.",
        )
    return int(owners)


def check_count(partitioner: object, setting: str, value: object, example: int) -> None:
    """Refuse a setting that is no whole number from 1 up.

    Raises:
        SettingError: naming the partitioner and the setting.
    """
    check_setting(
        type(partitioner).__name__,
        setting,
        value,
        fits=is_whole(value, least=1),
        wanted="a whole number from 1 up",
        why="It counts whole things, of which an owner has at least one.",
        example=str(example),
    )


def check_column(partitioner: object, by: object) -> None:
    """Refuse a column's name that is no text.

    Raises:
        SettingError: naming the partitioner.
    """
    check_setting(
        type(partitioner).__name__,
        "by",
        by,
        fits=isinstance(by, str),
        wanted="the name of a column",
        why="The values of that column decide which owner gets which row.",
        example='"region"',
    )


def check_parts(parts: object, rows: int, owners: int, who: str) -> Parts:
    """``parts`` sorted, if they are one for each owner and hold every row exactly once.

    Raises:
        SettingError: if a partitioner, ``who``, returned anything else.
    """
    listed = list(parts) if isinstance(parts, list | tuple) else []
    arrays = [np.asarray(part) for part in listed]
    whole = all(part.ndim == 1 and (part.size == 0 or part.dtype.kind in "iu") for part in arrays)
    together = np.sort(np.concatenate(arrays)) if whole and arrays else np.zeros(0)
    if len(listed) != owners or not np.array_equal(together, np.arange(rows)):
        raise SettingError(
            f"{who} returned {len(listed)} parts with {together.size} row positions, for {owners} owners and "
            f"{rows} rows.",
            "Each row belongs to exactly one owner: one left out is lost, and one given twice counts twice.",
            f"Return a list of {owners} arrays of row positions that hold each of 0 to {rows - 1} exactly once.",
        )
    return [np.sort(part).astype(np.intp) for part in arrays]


def fill_up(parts: Sequence[NDArray[np.intp]], fewest: int) -> Parts:
    """The parts, sorted; whoever has fewer than ``fewest`` rows is given some, one at a time, by whoever has most.

    With fewer rows than that for everyone, each part gets at least as many as an even division would give.
    """
    lists = [list(part) for part in parts]
    for needy in lists:
        while len(needy) < min(fewest, sum(map(len, lists)) // len(lists)):
            needy.append(max(lists, key=len).pop())
    return [np.sort(np.array(rows, dtype=np.intp)) for rows in lists]
