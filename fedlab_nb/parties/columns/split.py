"""One table in the analyst's hands, its columns divided into owners who share most of its rows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.data.intake import load, make_schema
from fedlab_nb.errors import SettingError
from fedlab_nb.parties.columns.intake import PARTIES
from fedlab_nb.parties.owner import DataOwner
from fedlab_nb.parties.rules import is_number, is_seed
from fedlab_nb.parties.split import observed

if TYPE_CHECKING:
    import pandas as pd

ID = "id"


def split_columns(
    frame: pd.DataFrame,
    *,
    overlap: float = 0.8,
    shuffle: bool = True,
    id: str | Sequence[str] | None = None,  # noqa: A002 - the field's word
    target: str | None = None,
    seed: int = 0,
    bounds: Mapping[str, tuple[float, float]] | None = None,
    **owners: Sequence[str],
) -> list[DataOwner]:
    """Data owners who hold different columns: ``split_columns(frame, bank=["age", "default"], shop=["visits"])``.

    Each keyword is an owner's name, with the columns that it holds; columns that nobody is given are left out.
    ``overlap`` is the share of rows that all owners have; each of the others is at one owner only, in turn. With
    ``shuffle`` every owner has its rows in an order of its own. ``id`` names the column that tells rows apart, by
    default whole numbers that are made up; or a list of columns that do so together (see DataOwner). ``target`` is the
    column to predict, by default frame.attrs["target"], else the last one that is no id: who holds it has the
    labels. Equal seeds divide equally.

    Whoever calls this has seen the whole table, so the values of its category columns and the classes of its target
    are declared as public; ``bounds`` of numbers are declared only if given here.

    Raises:
        SettingError: if owners, columns and rows do not fit, or a setting cannot work.
        SchemaError: if the frame has no usable columns, ids or target.

    >>> import fedlab_nb.data.samples as samples
    >>> table = samples.breast_cancer()
    >>> [o.name for o in split_columns(table, lab=["mean_radius", "diagnosis"], clinic=["mean_texture"])]
    ['lab', 'clinic']
    """
    _check_settings(overlap, shuffle, seed)
    table = load(frame)
    named = [ID] if id is None else [id] if isinstance(id, str) else list(id)
    target = target or getattr(frame, "attrs", {}).get("target") or str(*table.columns.drop(named, "ignore")[-1:])
    if id is not None:
        _check_id(table, named)
    held = _columns_by_owner(table, owners, named)
    rows = _with_target(table, target, held, named)
    rng = np.random.default_rng(seed)
    if id is None:
        rows = rows.assign(**{ID: rng.permutation(len(rows)) + 10 ** len(str(len(rows)))})
    declared = _declared(rows.drop(columns=named), target, bounds)
    parts = _parts(len(rows), len(held), overlap, shuffle, rng)
    made = []
    for (name, columns), part in zip(held.items(), parts, strict=True):
        lists = {column: values for column, values in declared.items() if column in columns}
        limits = {column: pair for column, pair in (bounds or {}).items() if column in columns}
        labels = target if target in columns else None
        mine = rows.iloc[part][[*named, *columns]]
        made.append(DataOwner(name, mine, target=labels, id=ID if id is None else id, bounds=limits, categories=lists))
    return made


def _check_settings(overlap: float, shuffle: bool, seed: int) -> None:
    if not is_number(overlap) or not 0.0 <= overlap <= 1.0:
        raise SettingError(
            f"overlap={overlap!r} was asked for.",
            "It is the share of the rows that all owners have in common.",
            "Choose a number from 0 to 1, such as 0.8.",
        )
    if not isinstance(shuffle, bool):
        raise SettingError(
            f"shuffle={shuffle!r} was asked for.",
            "It says whether every owner has its rows in an order of its own, and is either so or not.",
            "Use shuffle=True or False.",
        )
    if not is_seed(seed):
        raise SettingError(
            f"seed={seed!r} was asked for.",
            "Rows are dealt out at random, and the same seed must deal them out the same way again.",
            "Choose a whole number from 0 up, such as seed=0.",
        )


def _columns_by_owner(table: pd.DataFrame, owners: Mapping[str, object], ids: Sequence[str]) -> dict[str, list[str]]:
    """Which columns each owner holds, each at one owner at most."""
    held: dict[str, list[str]] = {}
    taken = dict.fromkeys(ids, "every owner, as the id")
    for name, given in owners.items():
        columns = list(given) if isinstance(given, list | tuple) else []
        if not columns or name in PARTIES:
            raise SettingError(
                f"The owner {name!r} was given {given!r} as its columns.",
                "Every keyword but overlap, shuffle, id, target, seed and bounds is an owner with a list of columns.",
                'Write fl.split_columns(frame, bank=["age", "default"], shop=["visits"]).',
            )
        for column in columns:
            if column not in table.columns or column in taken:
                where = f"is at {taken[column]} already" if column in taken else "is not in the frame"
                raise SettingError(
                    f"Column {column!r} was given to {name!r}, and {where}.",
                    "Each column lies at one owner, and the id at all of them.",
                    "Name columns of the frame, each once; rename a column that is called like the id.",
                )
            taken[column] = repr(name)
        held[name] = columns
    if len(held) < 2:
        raise SettingError(
            f"{len(held)} owner{'s were' if len(held) != 1 else ' was'} named.",
            "Columns are divided among owners, of whom there must be two or more.",
            'Name them with their columns: fl.split_columns(frame, bank=["age", "default"], shop=["visits"]).',
        )
    return held


def _check_id(table: pd.DataFrame, names: Sequence[str]) -> None:
    for name in names:
        if name not in table.columns:
            raise SettingError(
                f"The id {name!r} was named, and it is not in the frame.",
                "By their ids owners find which rows they have in common.",
                "Name a column of the frame, or leave id= out: whole numbers are then made up.",
            )


def _with_target(
    table: pd.DataFrame, target: str, held: Mapping[str, Sequence[str]], ids: Sequence[str]
) -> pd.DataFrame:
    """The rows that have a label, if some owner has the labels."""
    import pandas as pd

    if not any(target in columns for columns in held.values()):
        return table
    rows = table[table[target].notna()].reset_index(drop=True)
    whole = pd.api.types.is_numeric_dtype(rows[target].dtype)
    plain = rows.drop(columns=ids, errors="ignore")
    # Few different whole numbers at the owner of labels must not turn a number into classes.
    a_number = whole and make_schema(plain, "x", target).target.kind == "numeric"
    return rows.astype({target: float}) if a_number else rows


def _declared(
    rows: pd.DataFrame, target: str, bounds: Mapping[str, tuple[float, float]] | None
) -> dict[str, list[object]]:
    """The values of category columns, as whoever has the whole table knows them."""
    schema = make_schema(rows, "The table", target, bounds)
    columns = [c.name for c in (*schema.features, schema.target) if c.kind == "category"]
    return {name: values for name in columns if (values := observed(rows[name]))}


def _parts(rows: int, owners: int, overlap: float, shuffle: bool, rng: np.random.Generator) -> list[NDArray[np.intp]]:
    """Positions of each owner's rows: the common ones, and every so many of the others."""
    order = rng.permutation(rows)
    common = math.floor(overlap * rows + 0.5)
    parts = [np.concatenate([order[:common], order[common + place :: owners]]) for place in range(owners)]
    return [rng.permutation(part) if shuffle else np.sort(part) for part in parts]
