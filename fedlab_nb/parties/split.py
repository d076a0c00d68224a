"""One table in the analyst's hands, divided into owners: the quickest way to a federation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from fedlab_nb.data.columns import as_values
from fedlab_nb.data.intake import load, make_schema
from fedlab_nb.data.partitioners import Natural, Partitioner, skewed
from fedlab_nb.data.partitioners.rules import FEWEST, Parts, check_parts
from fedlab_nb.errors import SettingError
from fedlab_nb.parties.owner import DataOwner
from fedlab_nb.parties.rules import is_number, is_seed

if TYPE_CHECKING:
    import pandas as pd

OWNERS = 5


def split_rows(
    frame: pd.DataFrame,
    owners: int | None = None,
    *,
    by: Partitioner | None = None,
    skew: float = 0.0,
    target: str | None = None,
    seed: int = 0,
    names: Sequence[str] | None = None,
    bounds: Mapping[str, tuple[float, float]] | None = None,
) -> list[DataOwner]:
    """``owners`` data owners (5 if left out) who hold the rows of ``frame`` between them, each row once.

    ``by`` says how rows are divided, such as ``fl.partition.Dirichlet(0.3)``: see ``fl.partition``, or give a function
    of your own (frame, owners, rng) -> row positions by owner. ``skew`` from 0 to 1 is short for unequal labels: 0
    deals rows out evenly at random, 0.5 is Dirichlet(1), 1 is Shards(1).

    ``target`` is the column to predict: by default frame.attrs["target"], else the last column. The owners are called
    "Owner 1", "Owner 2", ..., with ``fl.partition.Natural`` after the values of its column, or by ``names``. A column
    that only says whose row it is, or when it was written, stays out of the owners' rows. Equal seeds divide equally.

    Whoever calls this has seen the whole table, so the values of its category columns and the classes of its target
    are declared as public; ``bounds`` of numbers are declared only if given here.

    Raises:
        SettingError: if the numbers of owners, rows and names do not fit, or a setting cannot work.
        SchemaError: if the frame has no usable columns or target.

    >>> import fedlab_nb.data.samples as samples
    >>> [owner.name for owner in split_rows(samples.breast_cancer(), owners=3)]
    ['Owner 1', 'Owner 2', 'Owner 3']
    """
    _check_settings(skew, seed)
    divide = _partitioner(by, skew)
    table = load(frame)
    if target is None:
        target = getattr(frame, "attrs", {}).get("target") or str(*table.columns[-1:])
    left_out = [column for column in getattr(divide, "leaves_out", ()) if column != target]
    kept = table.drop(columns=left_out, errors="ignore")
    schema = make_schema(kept, "The table", target, bounds)
    rows = table[table[target].notna()]
    rows.attrs["target"] = target
    natural = divide.names(rows) if isinstance(divide, Natural) else None
    called = _names(len(natural or range(OWNERS)) if owners is None else owners, names, len(rows))
    columns = (*schema.features, schema.target)
    lists = {column.name: observed(table[column.name]) for column in columns if column.kind == "category"}
    lists = {name: values for name, values in lists.items() if values}
    if schema.target.kind == "numeric":
        # Few different whole numbers at one owner must not turn its part of the target into classes.
        rows = rows.astype({target: float})
    parts = _divided(rows, divide, len(called), seed)
    owned = rows.drop(columns=left_out, errors="ignore")
    return [
        DataOwner(name, owned.iloc[part], target=target, bounds=bounds, categories=lists)
        for name, part in zip(called if names is not None else natural or called, parts, strict=True)
    ]


def _divided(rows: pd.DataFrame, divide: Partitioner, owners: int, seed: int) -> Parts:
    """For each owner the positions of its rows, at least 2 of them."""
    who = getattr(divide, "__name__", repr(divide))
    parts = check_parts(divide(rows, owners, np.random.default_rng(seed)), len(rows), owners, who)
    few = sum(len(part) < FEWEST for part in parts)
    if few:
        raise SettingError(
            f"{who} leaves {few} of {owners} owners with fewer than {FEWEST} rows.",
            "Nothing can be learned from so little, and any sum over one row would be that row itself.",
            "Divide by something that fewer owners share, or leave those rows out of the table.",
        )
    return parts


def _partitioner(by: Partitioner | None, skew: float) -> Partitioner:
    if by is None:
        return skewed(skew)
    if skew != 0.0:
        raise SettingError(
            f"Both by={by!r} and skew={skew!r} were given.",
            "Each says how the rows are divided, and they say different things.",
            "Leave out skew=, which is short for by=fl.partition.Dirichlet(...).",
        )
    if not callable(by) or isinstance(by, type):
        raise SettingError(
            f"by= was given {getattr(by, '__name__', f'an object of type {type(by).__name__}')}.",
            "It is called with the table, the number of owners and a random generator, and says who gets which row.",
            'Give a partitioner with its settings, such as by=fl.partition.Dirichlet(0.3) or Natural("region").',
        )
    return by


def _check_settings(skew: float, seed: int) -> None:
    if not is_number(skew):
        raise SettingError(
            f"skew={skew!r} was asked for.",
            "It says how unequally labels are spread: 0 is evenly at random, 1 is sorted by label.",
            "Choose a number from 0 to 1, such as 0.5.",
        )
    if not is_seed(seed):
        raise SettingError(
            f"seed={seed!r} was asked for.",
            "Rows are dealt out at random, and the same seed must deal them out the same way again.",
            "Choose a whole number from 0 up, such as seed=0.",
        )


def _names(owners: int, names: Sequence[str] | None, rows: int) -> list[str]:
    if not is_number(owners, whole=True) or owners < 1 or 2 * owners > rows:
        raise SettingError(
            f"A table of {rows} rows with a target was to be split among owners={owners!r}.",
            "Each owner needs at least 2 rows, and there must be at least 1 owner.",
            f"Choose a whole number from 1 to {rows // 2}.",
        )
    if isinstance(names, str) or not isinstance(names, Iterable | None):
        raise SettingError(
            f"names={names!r} was given for {owners} owners.",
            "Messages and budgets are kept by name, and each owner has one.",
            'Give a list with one text per owner, such as names=["North", "South"], or leave names= out.',
        )
    called = [f"Owner {number}" for number in range(1, owners + 1)] if names is None else list(names)
    if not all(isinstance(name, str) for name in called):
        kinds = sorted({type(name).__name__ for name in called})
        raise SettingError(
            f"names has entries of type {' and '.join(kinds)} for {owners} owners.",
            "Messages and budgets are kept by name, and a name is a text.",
            'Give a list with one text per owner, such as names=["North", "South"], or leave names= out.',
        )
    if len(called) != owners or len(set(called)) < owners:
        raise SettingError(
            f"{len(called)} names were given for {owners} owners, {len(set(called))} of them different.",
            "Messages and budgets are kept by name.",
            "Give as many different names as owners, or leave names= out.",
        )
    return called


def observed(values: pd.Series) -> list[object]:
    """The values of a category column in their declared order, else in alphabetical or numerical order."""
    import pandas as pd

    seen = {value for value in as_values(values) if value is not None}
    if isinstance(values.dtype, pd.CategoricalDtype):
        return [value for value in as_values(pd.Series(values.cat.categories)) if value in seen]
    return sorted(seen, key=lambda value: (type(value).__name__, value))
