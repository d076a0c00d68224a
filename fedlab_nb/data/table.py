"""Many columns at a time: their numbers as one block, one column below the other, and a hash of each row.

Each number is the one that ``columns`` gives for that column alone; a block only takes fewer steps to make.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.data.columns import as_numbers, as_values, is_plain, kind_of
from fedlab_nb.records import Column, Schema

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]
# So many numbers at a time: few enough for the processor's cache, and for the memory beside a large table.
PIECE = 2**18


@lru_cache(maxsize=256)
def index_of(names: tuple[str, ...]) -> pd.Index:
    """Column names as an Index, the same one for the same names: whether two frames have them shows at a glance."""
    import pandas as pd

    return pd.Index(names)


def as_block(frame: pd.DataFrame, names: Sequence[str]) -> Floats:
    """Several columns as 64-bit floats (c, n), NaN where a value is missing.

    It may share its memory with the frame: it is not to be written to.

    Raises:
        SchemaError: if some value is not a number.
    """
    if not names:
        return np.empty((0, len(frame)))
    chosen = frame if frame.columns.equals(index_of(tuple(names))) else frame[list(names)]
    # Of no rows first where there are many: columns of other things would make a large array of objects, for nothing.
    if chosen.size <= PIECE or is_plain(chosen.iloc[:0].to_numpy().dtype):
        values = chosen.to_numpy()
        if is_plain(values.dtype) and values.shape[1] == len(names):
            return np.ascontiguousarray(values.T, dtype=np.float64)
    return np.stack([as_numbers(frame[name]) for name in names])


def pieces(names: Sequence[str], rows: int) -> Iterator[slice]:
    """Parts of ``names`` so small that a block of each has about PIECE numbers."""
    few = max(1, PIECE // max(1, rows))
    for start in range(0, len(names), few):
        yield slice(start, min(start + few, len(names)))


class Table:
    """A frame with text as column names, each once, and what is asked of it more than once while it is taken in."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self.frame = frame
        self.names: list[str] = frame.columns.tolist()
        self.dtypes = dict(zip(self.names, frame.dtypes.tolist(), strict=True))

    @classmethod
    def of(cls, frame: pd.DataFrame | Table) -> Table:
        """The table of a frame; a table itself."""
        return frame if isinstance(frame, Table) else cls(frame)

    def __len__(self) -> int:
        return len(self.frame)

    @cached_property
    def plain(self) -> dict[str, int]:
        """The columns of NumPy's numbers, each with its place among them."""
        known = {dtype for dtype in set(self.dtypes.values()) if is_plain(dtype)}
        names = (
            self.names
            if len(known) == len(set(self.dtypes.values()))
            else [name for name, dtype in self.dtypes.items() if dtype in known]
        )
        return dict(zip(names, range(len(names)), strict=True))

    @cached_property
    def _small(self) -> Floats | None:
        """All plain columns as one block, if that is no burden to keep."""
        if len(self.plain) * len(self) > PIECE:
            return None
        places = [place for place, name in enumerate(self.names) if name in self.plain]
        frame = self.frame if len(places) == len(self.names) else self.frame.iloc[:, places]
        return np.ascontiguousarray(frame.to_numpy(dtype=np.float64).T)

    def block(self, names: Sequence[str]) -> Floats:
        """Several columns as as_block gives them."""
        places = [self.plain.get(name, -1) for name in names]
        if self._small is None or min(places, default=0) < 0:
            return as_block(self.frame, names)
        return self._small[: len(places)] if places == list(range(len(places))) else self._small[places]

    @cached_property
    def infinite(self) -> frozenset[str]:
        """The plain columns with an infinite value."""
        names = list(self.plain)
        found: list[str] = []
        for part in pieces(names, len(self)):
            block = self._small if self._small is not None else self.block(names[part])
            found += [names[part][place] for place in np.flatnonzero(np.isinf(block).any(axis=1))]
        return frozenset(found)

    @cached_property
    def hashes(self) -> NDArray[np.uint64]:
        """A hash of each row's content (n,): the same for any order of columns and any way of storing the values.

        It is what pandas' hash_pandas_object gives for the columns in plain form, ordered by name: owners' vaults know
        rows by it, and which rows are held out follows from it.
        """
        names = sorted(self.names)
        hashed = np.full(len(self), 0x345678, dtype=np.uint64)
        factors = _factors(len(names))
        for part in pieces(names, len(self)):
            for values, factor in zip(self._hashed(names[part]), factors[part], strict=True):
                hashed ^= values
                hashed *= factor
        return hashed + np.uint64(97531)

    def _hashed(self, names: Sequence[str]) -> NDArray[np.uint64]:
        """A hash of each value (c, n): of all plain columns in one go."""
        import pandas as pd

        plain = [name for name in names if name in self.plain]
        numbers = pd.util.hash_array(self.block(plain).ravel()).reshape(len(plain), len(self))
        if len(plain) == len(names):
            return numbers
        hashed = np.empty((len(names), len(self)), dtype=np.uint64)
        hashed[[name in self.plain for name in names]] = numbers
        for row, name in enumerate(names):
            if name not in self.plain:
                column = self.frame[name]
                values = as_numbers(column) if kind_of(column) == "numeric" else as_values(column)
                hashed[row] = pd.util.hash_pandas_object(pd.Series(values), index=False)
        return hashed


@lru_cache(maxsize=64)
def _factors(columns: int) -> NDArray[np.uint64]:
    """What pandas multiplies with after each column of ``columns`` (c,), as Python does where it hashes a tuple."""
    steps = 82520 + 2 * (columns - np.arange(columns - 1, dtype=np.uint64))
    return np.cumsum(np.concatenate([[np.uint64(1000003)], steps]), dtype=np.uint64)


def tidy(frame: pd.DataFrame, schema: Schema) -> tuple[pd.DataFrame, pd.Series]:
    """Features and target as 64-bit floats (NaN where missing) and plain Python values (None where missing).

    A target outside its declared categories becomes missing.
    """
    everything = [np.arange(len(frame))]
    return tidy_features(frame, schema, everything)[0], tidy_target(frame, schema, everything)[0]


def tidy_target(data: pd.DataFrame | Table, schema: Schema, parts: Sequence[NDArray[np.intp]]) -> list[pd.Series]:
    """For each part, given as row numbers, the target of these rows, as ``tidy`` has it, numbered from 0."""
    import pandas as pd

    values = target_values(data, schema)
    return [pd.Series(values[part], name=schema.target.name, dtype=values.dtype) for part in parts]


def target_values(data: pd.DataFrame | Table, schema: Schema) -> Floats | NDArray[np.object_]:
    """The target (n,): numbers, NaN where there is none; or classes, None where there is none or no known one."""
    column = Table.of(data).frame[schema.target.name]
    if schema.target.kind == "numeric":
        return as_numbers(column)
    known, found = schema.target.categories, as_values(column).tolist()
    whole = [int(v) if isinstance(v, float) and v.is_integer() else v for v in found]
    classes = np.empty(len(whole), dtype=object)
    classes[:] = whole if known is None else [v if v in known else None for v in whole]
    return classes


def present(values: Floats | NDArray[np.object_]) -> NDArray[np.bool_]:
    """Which of a target's values (n,) are there."""
    if values.dtype == np.float64:
        return ~np.isnan(values)
    return np.array([value is not None for value in values.tolist()], dtype=np.bool_)


def tidy_features(data: pd.DataFrame | Table, schema: Schema, parts: Sequence[NDArray[np.intp]]) -> list[pd.DataFrame]:
    """For each part, given as row numbers, the features of these rows, as ``tidy`` has them, numbered from 0."""
    import pandas as pd

    table = Table.of(data)
    names = [column.name for column in schema.features if column.kind == "numeric"]
    blocks = [np.empty((len(names), len(part))) for part in parts]
    for place in pieces(names, len(table)):
        whole = table.block(names[place])
        for block, part in zip(blocks, parts, strict=True):
            np.take(whole, part, axis=1, out=block[place])
    if len(names) == len(schema.features):
        return [pd.DataFrame(block.T, columns=index_of(tuple(names)), copy=False) for block in blocks]
    others = {c.name: _plain(table.frame, c) for c in schema.features if c.kind != "numeric"}
    made = []
    for block, part in zip(blocks, parts, strict=True):
        columns: dict[str, object] = dict(zip(names, block, strict=True))
        columns |= {name: values.iloc[part].reset_index(drop=True) for name, values in others.items()}
        made.append(pd.DataFrame({column.name: columns[column.name] for column in schema.features}))
    return made


def _plain(frame: pd.DataFrame, column: Column) -> pd.Series:
    import pandas as pd

    values = as_numbers(frame[column.name]) if column.kind == "numeric" else as_values(frame[column.name])
    return pd.Series(values, name=column.name)
