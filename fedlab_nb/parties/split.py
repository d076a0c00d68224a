"""One table in the analyst's hands, divided into owners: the quickest way to a federation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from fedlab_nb.data.columns import as_values
from fedlab_nb.data.intake import load, make_schema
from fedlab_nb.data.partition import partition
from fedlab_nb.errors import SettingError
from fedlab_nb.parties.owner import DataOwner

if TYPE_CHECKING:
    import pandas as pd


def split_rows(
    frame: pd.DataFrame,
    owners: int = 5,
    *,
    skew: float = 0.0,
    target: str | None = None,
    seed: int = 0,
    names: Sequence[str] | None = None,
    bounds: Mapping[str, tuple[float, float]] | None = None,
) -> list[DataOwner]:
    """``owners`` data owners who hold the rows of ``frame`` between them, each row once: see partition for ``skew``.

    ``target`` is the column to predict: by default frame.attrs["target"], else the last column. The owners are called
    "Owner 1", "Owner 2", ... or by ``names``. Equal seeds divide equally.

    Whoever calls this has seen the whole table, so the values of its category columns and the classes of its target
    are declared as public; ``bounds`` of numbers are declared only if given here.

    Raises:
        SettingError: if the numbers of owners, rows and names do not fit.
        SchemaError: if the frame has no usable columns or target.

    >>> import fedlab_nb.data.samples as samples
    >>> [owner.name for owner in split_rows(samples.breast_cancer(), owners=3)]
    ['Owner 1', 'Owner 2', 'Owner 3']
    """
    table = load(frame)
    if target is None:
        target = frame.attrs.get("target") or str(*table.columns[-1:])
    schema = make_schema(table, "The table", target, bounds)
    rows = table[table[target].notna()]
    called = _names(owners, names, len(rows))
    columns = (*schema.features, schema.target)
    lists = {column.name: _observed(table[column.name]) for column in columns if column.kind == "category"}
    lists = {name: values for name, values in lists.items() if values}
    if schema.target.kind == "numeric":
        # Few different whole numbers at one owner must not turn its part of the target into classes.
        rows = rows.astype({target: float})
    labels = as_values(rows[target]) if target in lists else rows[target].to_numpy(dtype=float)
    parts = partition(labels, owners, skew, np.random.default_rng(seed))
    return [
        DataOwner(name, rows.iloc[part], target=target, bounds=bounds, categories=lists)
        for name, part in zip(called, parts, strict=True)
    ]


def _names(owners: int, names: Sequence[str] | None, rows: int) -> list[str]:
    if not isinstance(owners, int) or owners < 1 or 2 * owners > rows:
        raise SettingError(
            f"A table of {rows} rows with a target was to be split among owners={owners!r}.",
            "Each owner needs at least 2 rows, and there must be at least 1 owner.",
            f"Choose a whole number from 1 to {rows // 2}.",
        )
    called = [f"Owner {number}" for number in range(1, owners + 1)] if names is None else list(names)
    if len(called) != owners or len(set(called)) < owners:
        raise SettingError(
            f"{len(called)} names were given for {owners} owners, {len(set(called))} of them different.",
            "Messages and budgets are kept by name.",
            "Give as many different names as owners, or leave names= out.",
        )
    return called


def _observed(values: pd.Series) -> list[object]:
    """The values of a category column in their declared order, else in alphabetical or numerical order."""
    import pandas as pd

    seen = {value for value in as_values(values) if value is not None}
    if isinstance(values.dtype, pd.CategoricalDtype):
        return [value for value in as_values(pd.Series(values.cat.categories)) if value in seen]
    return sorted(seen, key=lambda value: (type(value).__name__, value))
