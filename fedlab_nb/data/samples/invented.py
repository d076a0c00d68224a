"""Invented twins of private tables: rows that fit a public schema and say nothing about real ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.errors import SettingError
from fedlab_nb.records import Column, Schema

if TYPE_CHECKING:
    import pandas as pd


def invented(schema: Schema, rows: int = 5, seed: int = 0) -> pd.DataFrame:
    """A frame of ``rows`` invented rows that fits ``schema``; ``attrs`` says that they are invented.

    Values are drawn evenly from declared bounds and categories, else from standard ones.

    Raises:
        SettingError: if ``rows`` is not a positive whole number.
    """
    import pandas as pd

    if not isinstance(rows, int) or rows < 1:
        raise SettingError(
            f"{rows!r} invented rows were asked for.", "Rows come whole.", "Ask for rows=5, for example."
        )
    rng = np.random.default_rng(seed)
    columns = (*schema.features, schema.target)
    frame = pd.DataFrame({column.name: _invent_column(column, rows, rng) for column in columns})
    frame.attrs = {"invented": "These rows are invented; no value comes from real rows.", "target": schema.target.name}
    return frame


def _invent_column(column: Column, rows: int, rng: np.random.Generator) -> NDArray[np.generic] | pd.Series:
    import pandas as pd

    whole = "int" in column.dtype.lower()
    if column.kind == "numeric":
        low, high = column.bounds or ((0, 99) if whole else (0.0, 1.0))
        values = rng.uniform(low, high, rows)
        return np.rint(values).astype(np.int64) if whole else values
    standard = (0, 1) if whole else (False, True) if "bool" in column.dtype.lower() else ("A", "B", "C")
    choices = pd.Series(list(column.categories or standard))
    drawn = choices.iloc[rng.integers(len(choices), size=rows)].reset_index(drop=True)
    return drawn.astype("category") if column.dtype == "category" else drawn
