"""One column at a time: which kind it is, and its values in one plain form."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.errors import SchemaError

if TYPE_CHECKING:
    import pandas as pd

TIMES = {"datetime", "datetime64", "date", "time", "timedelta", "timedelta64", "period"}
NUMBERS = {"integer", "floating", "mixed-integer-float", "decimal"}


def kind_of(column: pd.Series) -> Literal["numeric", "category"]:
    """Whether a column is "numeric" (numbers) or "category" (booleans, strings, pandas categories), by dtype.

    An object column counts as numeric if it holds nothing but numbers.

    Raises:
        SchemaError: for dates, times, complex numbers, and cells that hold lists or other objects.
    """
    import pandas as pd

    if is_plain(column.dtype):
        return "numeric"
    if isinstance(column.dtype, pd.CategoricalDtype):
        kind_of(pd.Series(column.cat.categories, name=column.name))
        return "category"
    kind = pd.api.types.infer_dtype(column, skipna=True)
    if kind in TIMES:
        raise SchemaError(
            f"Column {column.name!r} holds dates or times ({column.dtype}).",
            "A model needs numbers or categories, and what a date should mean (an age, a season) is your decision.",
            f"Turn it into such a column first, for example frame[{column.name!r}].dt.year, and leave the date out.",
        )
    if pd.api.types.is_bool_dtype(column.dtype):
        return "category"
    if pd.api.types.is_complex_dtype(column.dtype) or not _simple(column):
        raise SchemaError(
            f"Column {column.name!r} ({column.dtype}) holds values that are neither numbers nor simple labels.",
            "Only numbers, strings and booleans can be compared between owners.",
            f"Convert it, for example frame[{column.name!r}].astype(str), or leave the column out.",
        )
    return "numeric" if pd.api.types.is_numeric_dtype(column.dtype) or kind in NUMBERS else "category"


def _simple(column: pd.Series) -> bool:
    import pandas as pd

    if pd.api.types.is_numeric_dtype(column.dtype) or isinstance(column.dtype, pd.StringDtype):
        return True
    allowed = (str, bool, int, float, Decimal, np.bool_, np.number)
    return all(isinstance(value, allowed) for value in column.dropna().astype(object))


def is_plain(dtype: object) -> bool:
    """True for NumPy's whole and floating-point numbers: nothing has to be looked at to read them."""
    return isinstance(dtype, np.dtype) and dtype.kind in "iuf"


def as_numbers(column: pd.Series) -> NDArray[np.float64]:
    """The column as 64-bit floats (n,), NaN where a value is missing.

    Raises:
        SchemaError: if some value is not a number; the value itself is not quoted.
    """
    import pandas as pd

    if is_plain(column.dtype):
        return column.to_numpy(dtype=np.float64, copy=True)
    try:
        present = column.dropna()
        values = np.full(len(column), np.nan)
        if len(present):
            values[column.notna().to_numpy()] = pd.to_numeric(present).to_numpy(dtype=np.float64)
    except (ValueError, TypeError):
        pass
    else:
        return values
    # Raised here, outside the handler, so that the message of pandas, which quotes the value, is not attached.
    raise SchemaError(
        f"Column {column.name!r} ({column.dtype}) should hold numbers, but some of its values are not numbers.",
        "The other owners' columns of that name are numeric, and the model was made for numbers.",
        f"Clean the column, for example with pd.to_numeric(frame[{column.name!r}], errors='coerce').",
    )


def as_values(column: pd.Series) -> NDArray[np.object_]:
    """The column as plain Python values (n,), None where a value is missing."""
    import pandas as pd

    values = np.empty(len(column), dtype=object)
    given = column.to_numpy() if isinstance(column.dtype, np.dtype) else column.astype(object).to_numpy()
    values[:] = [plain(value) for value in given.tolist()]
    if given.dtype.kind not in "biu":
        values[pd.isna(given)] = None
    return values


def plain(value: object) -> object:
    """The Python value behind a NumPy scalar; anything else unchanged.

    >>> plain(np.int64(3))
    3
    """
    return value.item() if isinstance(value, np.generic) else value
