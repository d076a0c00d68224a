"""What is checked when an owner takes its data in, and the public schema that comes of it."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

import numpy as np

from fedlab_nb.data.columns import as_numbers, as_values, kind_of
from fedlab_nb.errors import FedLabError, SchemaError, SettingError
from fedlab_nb.records import Column, Schema

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")
Bounds = Mapping[str, tuple[float, float]]
Categories = Mapping[str, Sequence[object]]
MOST_CLASSES = 20


def load(data: pd.DataFrame | str | Path) -> pd.DataFrame:
    """A copy of a frame, or the table in a .csv or .parquet file, with rows numbered from 0.

    Raises:
        SettingError: if ``data`` is none of these.
        SchemaError: if the file is missing or cannot be read, or its header has gaps or repetitions.
    """
    import pandas as pd

    if isinstance(data, pd.DataFrame):
        copy = data.copy(deep=True).reset_index(drop=True)
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
    frame: pd.DataFrame, owner: str, target: str, bounds: Bounds | None = None, categories: Categories | None = None
) -> Schema:
    """The public schema of a frame: kinds by dtype, bounds and categories as declared, nothing from values.

    One exception: a whole-number target with at most 20 different values is read as classes. Pass it as float to
    predict it as a number. A target of whole numbers with gaps (which pandas keeps as float) counts as whole.

    Raises:
        SchemaError: if the frame has no usable rows, columns or target.
        SettingError: if a declaration cannot be true.
    """
    _check_frame(frame, owner, target)
    bounds, categories = _declared("bounds", bounds, owner), _declared("categories", categories, owner)
    _check_declarations(frame, owner, bounds, categories)
    columns = {name: _column(frame[name], owner, bounds, categories) for name in frame.columns}
    answer = columns.pop(target)
    if answer.kind == "numeric" and answer.bounds is None and _counts_classes(frame[target]):
        answer = Column(target, "category", answer.dtype)
    return Schema(tuple(columns.values()), answer)


def _check_frame(frame: pd.DataFrame, owner: str, target: str) -> None:
    names = list(frame.columns)
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
    if frame[target].notna().sum() < 2:
        raise SchemaError(
            f"In {owner!r} the target {target!r} is missing in all rows but at most one.",
            "Rows without a target cannot be learned from.",
            "Choose another target, or fill it where it is known.",
        )


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


def _check_declarations(frame: pd.DataFrame, owner: str, bounds: Bounds, categories: Categories) -> None:
    import pandas as pd

    for name in (*bounds, *categories):
        if name not in frame.columns or (name in bounds and name in categories):
            problem = (
                "both as bounds and as categories" if name in frame.columns else "but the frame has no such column"
            )
            raise SettingError(
                f"{owner!r} declares {name!r}, {problem}.",
                "A declaration tells the other owners what a column may hold.",
                "Declare either bounds (numbers) or categories (labels) of an existing column.",
            )
    for name, pair in bounds.items():
        if not _is_range(pair):
            raise SettingError(
                f"{owner!r} declares bounds {pair!r} for {name!r}.",
                "Values are scaled by their bounds and clipped to them, so the lowest must lie under the highest.",
                f"Use two finite numbers, for example bounds={{{name!r}: (0, 100)}}.",
            )
    for name, values in categories.items():
        listed = list(values) if isinstance(values, Iterable) and not isinstance(values, str) else []
        plain = bool(listed) and all(isinstance(value, Hashable) for value in listed)
        if not plain or len(set(listed)) < len(listed) or pd.Series(listed, dtype=object).isna().any():
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
    low, high = bounds[name]
    return Column(name, "numeric", str(column.dtype), bounds=(float(low), float(high)))


def _counts_classes(target: pd.Series) -> bool:
    import pandas as pd

    whole = pd.api.types.is_integer_dtype(target.dtype)
    present = as_numbers(target.dropna())
    if not whole:
        # pandas turns whole numbers into floats as soon as one of them is missing.
        whole = bool(target.isna().any() and (present == np.round(present)).all())
    return whole and np.unique(present).size <= MOST_CLASSES


def tidy(frame: pd.DataFrame, schema: Schema) -> tuple[pd.DataFrame, pd.Series]:
    """Features and target as 64-bit floats (NaN where missing) and plain Python values (None where missing).

    A target outside its declared categories becomes missing.
    """
    import pandas as pd

    def plain(column: Column) -> pd.Series:
        values = as_numbers(frame[column.name]) if column.kind == "numeric" else as_values(frame[column.name])
        return pd.Series(values, name=column.name)

    target = plain(schema.target)
    if schema.target.kind == "category":
        whole = [int(v) if isinstance(v, float) and v.is_integer() else v for v in target]
        known = schema.target.categories
        target = pd.Series([v if known is None or v in known else None for v in whole], name=target.name, dtype=object)
    return pd.DataFrame({column.name: plain(column) for column in schema.features}), target
