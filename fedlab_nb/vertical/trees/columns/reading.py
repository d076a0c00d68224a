"""How an owner reads its columns for trees: numbers as they are, a 0 or 1 for each category, and gaps stay gaps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.data.columns import as_numbers, as_values
from fedlab_nb.data.encoding import CategoryCode, Encoding, NumberCode
from fedlab_nb.errors import SchemaError
from fedlab_nb.vertical.shared.reading import check_spelling

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class TreeReading:
    """Numbers within their declared bounds, a 0 or 1 for each category; NaN where a value is missing.

    Trees need no common units, and send missing values left or right, whichever tells more about the labels.
    """

    encoding: Encoding

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of the inputs, in order: "age", "sector=trade"."""
        return tuple(name for code in self.encoding.inputs for name in _names(code))

    def read(self, features: pd.DataFrame) -> Floats:
        """The inputs (n, d) of each row.

        Raises:
            SchemaError: a column is missing, or holds something else than numbers where numbers are expected.
        """
        absent = [code.name for code in self.encoding.inputs if code.name not in features.columns]
        if absent:
            raise SchemaError(
                f"The frame lacks the columns {', '.join(map(repr, absent))}.",
                "The trees ask for the same columns that they were grown on.",
                "Add them (missing values are allowed), or rename the columns that you have.",
            )
        for code in self.encoding.inputs:
            check_spelling(features[code.name], code)
        columns = [_read(features[code.name], code) for code in self.encoding.inputs]
        return np.concatenate(columns, axis=1) if columns else np.zeros((len(features), 0))


def _names(code: NumberCode | CategoryCode) -> list[str]:
    return [f"{code.name}={value}" for value in code.values] if isinstance(code, CategoryCode) else [code.name]


def _read(values: pd.Series, code: NumberCode | CategoryCode) -> Floats:
    if isinstance(code, NumberCode):
        return np.clip(as_numbers(values), code.low, code.high)[:, None]
    given = as_values(values)
    found = np.stack([given == value for value in code.values], axis=1).astype(np.float64)
    found[values.isna().to_numpy()] = np.nan
    return found
