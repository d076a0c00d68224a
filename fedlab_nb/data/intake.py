"""What is checked when an owner takes its data in, and the public schema that comes of it."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np

from fedlab_nb.data.columns import as_numbers, is_plain, kind_of
from fedlab_nb.data.table import Table
from fedlab_nb.errors import FedLabError, SchemaError, SettingError
from fedlab_nb.records import Column, Schema

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")
Bounds = Mapping[str, tuple[float, float]]
Categories = Mapping[str, Sequence[object]]
MOST_CLASSES = 20


def load(data: pd.DataFrame | str | Path) -> pd.DataFrame:
    """A frame of its own, or the table in a .csv or .parquet file, with rows numbered from 0.

    What is done to it leaves ``data`` as it is. It may share memory with it: rows that are kept are copied later.

    Raises:
        SettingError: if ``data`` is none of these.
        SchemaError: if the file is missing or cannot be read, or its header has gaps or repetitions.
    """
    import pandas as pd

    if isinstance(data, pd.DataFrame):
        copy = data.reset_index(drop=True)
        copy.attrs = {}
        return copy
    path = Path(data) if isinstance(data, str | Path) else None
    if path is None or path.suffix.lower() not in {".csv", ".parquet"}:
        what = f"the file {path.name!r}" if path else f"an object of type {type(data).__name__}"
        raise SettingError(
            f"An owner's data was given as {what}.",
            "An owner takes a pandas DataFrame, or the path of a .csv or .parquet file.",
            "Read it with pandas first and pass the DataFrame.",
        )
    if not path.is_file():
        raise _file_error(path, "does not exist here", "Check the path, which counts from the notebook's folder.")
    try:
        frame = pd.read_parquet(path) if path.suffix.lower() == ".parquet" else _read_csv(path)
    except FedLabError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a reader throws may quote rows, so only its type goes on
        kind = type(error).__name__
    else:
        return frame.reset_index(drop=True)
    raise _file_error(path, f"could not be read ({kind})", "Open it with pandas yourself to see why, and repair it.")


def _read_csv(path: Path) -> pd.DataFrame:
    import pandas as pd

    # Two lines without a header: pandas would make an index of surplus values, and number repeated names, in silence.
    header = pd.read_csv(path, header=None, nrows=2, dtype=str, keep_default_na=False).iloc[0]
    if (header.str.strip() == "").any():
        raise _file_error(path, "has a column without a name", "Name it, or write the file with index=False.")
    if header.duplicated().any():
        raise _file_error(path, "has two columns of the same name", "Rename one of them.")
    return pd.read_csv(path, low_memory=False)


def _file_error(path: Path, what: str, advice: str) -> SchemaError:
    return SchemaError(f"The file {path.name!r} {what}.", "An owner needs a table with one name per column.", advice)


def make_schema(
    data: pd.DataFrame | Table,
    owner: str,
    target: str,
    bounds: Bounds | None = None,
    categories: Categories | None = None,
) -> Schema:
    """The public schema of a frame: kinds by dtype, bounds and categories as declared, nothing from values.

    One exception: a whole-number target with at most 20 different values is read as classes. Pass it as float to
    predict it as a number. A target of whole numbers with gaps (which pandas keeps as float) counts as whole.

    Raises:
        SchemaError: if the frame has no usable rows, columns or target.
        SettingError: if a declaration cannot be true.
    """
    table = Table.of(data)
    frame = table.frame
    _check_frame(table, owner, target)
    bounds, categories = _declared("bounds", bounds, owner), _declared("categories", categories, owner)
    _check_declarations(frozenset(table.names), owner, bounds, categories)
    # Of the two zeros the positive one, as a limit: they are equal, and equal columns are to be the same in all bits.
    limits = {name: (float(low) + 0.0, float(high) + 0.0) for name, (low, high) in bounds.items()}
    written = {dtype: str(dtype) for dtype in set(table.dtypes.values())}
    # Of plain numbers, which may be very many, everything is known by now.
    known = table.plain.keys() - categories.keys() - table.infinite
    columns = {
        name: _number(name, written[dtype], limits.get(name))
        if name in known
        else _column(frame[name], owner, limits, categories)
        for name, dtype in table.dtypes.items()
    }
    answer = columns.pop(target)
    if answer.kind == "numeric" and answer.bounds is None and _counts_classes(frame[target]):
        answer = Column(target, "category", answer.dtype)
    return Schema(tuple(columns.values()), answer)


def _check_frame(table: Table, owner: str, target: str) -> None:
    names, frame = table.names, table.frame
    if not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1}, key=str)
        raise SchemaError(
            f"{owner!r} has "
            + (f"more than one column named {twice[0]!r}." if twice else "column names that are no text."),
            "Owners find their common columns by name.",
            "Rename the columns, for example frame.columns = [...] with one text per column.",
        )
    if len(frame) < 2:
        raise SchemaError(
            f"{owner!r} has a frame with zero or one row.",
            "Nothing can be learned from so little, and any sum over it would be that row itself.",
            "Leave this owner out, or give it more rows.",
        )
    if target not in names:
        raise SchemaError(
            f"{owner!r} has no column {target!r}, which was named as target. {_listing(names)}",
            "Without a target there is nothing to predict.",
            "Name one of the frame's columns: target=...",
        )
    if len(names) == 1:
        raise SchemaError(
            f"{owner!r} has no column but the target {target!r}.",
            "A model needs at least one other column to predict from.",
            "Add feature columns to the frame.",
        )
    if _present(frame[target]) < 2:
        raise SchemaError(
            f"In {owner!r} the target {target!r} is missing in all rows but at most one.",
            "Rows without a target cannot be learned from.",
            "Choose another target, or fill it where it is known.",
        )


def _present(column: pd.Series) -> int:
    """How many values there are."""
    if is_plain(column.dtype):
        return int(np.count_nonzero(~np.isnan(column.to_numpy())))
    return int(column.notna().sum())


def _listing(names: Sequence[str]) -> str:
    # The first line of a file without a header is a row: names that are numbers are not repeated.
    if any(map(_is_number, names)):
        return f"It has {len(names)} columns, some named like numbers: is the header line missing?"
    shown = ", ".join(map(repr, names[:40]))
    return f"It has {shown}{' and more' if len(names) > 40 else ''}."


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _declared(what: str, given: Mapping[str, T] | None, owner: str) -> dict[str, T]:
    if given is not None and not isinstance(given, Mapping):
        raise SettingError(
            f"{owner!r} was given {what} of type {type(given).__name__}.",
            "A declaration belongs to a column, so it comes with the column's name.",
            "Use a dictionary, for example "
            + ("{'age': (0, 100)}." if what == "bounds" else "{'ill': ['no', 'yes']}."),
        )
    return dict(given or {})


def _is_range(pair: object) -> bool:
    if not isinstance(pair, tuple | list | np.ndarray) or len(pair) != 2:
        return False
    low, high = pair
    numbers = all(
        isinstance(v, int | float | np.integer | np.floating) and not isinstance(v, bool) for v in (low, high)
    )
    return numbers and math.isfinite(low) and math.isfinite(high) and bool(low < high)


def _check_declarations(columns: frozenset[str], owner: str, bounds: Bounds, categories: Categories) -> None:
    import pandas as pd

    unfit = {*bounds, *categories} - columns | (bounds.keys() & categories.keys())
    for name in (*bounds, *categories) if unfit else ():
        if name in unfit:
            problem = "both as bounds and as categories" if name in columns else "but the frame has no such column"
            raise SettingError(
                f"{owner!r} declares {name!r}, {problem}.",
                "A declaration tells the other owners what a column may hold.",
                "Declare either bounds (numbers) or categories (labels) of an existing column.",
            )
    fine: set[int] = set()  # very many columns often share one pair
    for name, pair in bounds.items():
        if id(pair) not in fine and not _is_range(pair):
            raise SettingError(
                f"{owner!r} declares bounds {pair!r} for {name!r}.",
                "Values are scaled by their bounds and clipped to them, so the lowest must lie under the highest.",
                f"Use two finite numbers, for example bounds={{{name!r}: (0, 100)}}.",
            )
        fine.add(id(pair))
    for name, values in categories.items():
        listed: list[Any] = list(values) if isinstance(values, Iterable) and not isinstance(values, str) else []
        plain = bool(listed) and all(isinstance(value, Hashable) for value in listed)
        if not plain or len(set(listed)) < len(listed) or any(pd.isna(value) for value in listed):
            raise SettingError(
                f"{owner!r} declares categories {values!r} for {name!r}.",
                "Each category becomes one input of the model, in this order, so every value is listed once.",
                f"Use a list of different values, for example categories={{{name!r}: ['no', 'yes']}}.",
            )


def _column(column: pd.Series, owner: str, bounds: Bounds, categories: Categories) -> Column:
    name = str(column.name)
    kind: Literal["numeric", "category"] = kind_of(column)
    if name in categories:
        return Column(name, "category", str(column.dtype), categories=tuple(categories[name]))
    if kind == "numeric" and np.isinf(as_numbers(column)).any():
        raise SchemaError(
            f"{owner!r} has infinite values in {name!r}.",
            "They would swallow every sum they take part in.",
            f"Missing values are allowed: frame[{name!r}].replace([np.inf, -np.inf], np.nan).",
        )
    if name not in bounds:
        return Column(name, kind, str(column.dtype))
    if kind != "numeric":
        raise SettingError(
            f"{owner!r} declares bounds for {name!r}, which does not hold numbers ({column.dtype}).",
            "Only numbers lie between a lowest and a highest value.",
            f"Declare categories={{{name!r}: [...]}} instead, or convert the column to numbers.",
        )
    return _number(name, str(column.dtype), bounds[name])


@lru_cache(maxsize=8192)
def _number(name: str, dtype: str, bounds: tuple[float, float] | None) -> Column:
    """A column of numbers, one for all owners who declare the same: thousands of them do not hold it each."""
    return Column(name, "numeric", dtype, bounds=bounds)


def _counts_classes(target: pd.Series) -> bool:
    import pandas as pd

    if isinstance(target.dtype, np.dtype) and target.dtype.kind in "iu":
        return np.unique(target.to_numpy()).size <= MOST_CLASSES
    whole = pd.api.types.is_integer_dtype(target.dtype)
    present = as_numbers(target.dropna())
    if not whole:
        # pandas turns whole numbers into floats as soon as one of them is missing.
        whole = bool(target.isna().any() and (present == np.round(present)).all())
    return whole and np.unique(present).size <= MOST_CLASSES
