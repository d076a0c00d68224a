"""What an owner takes in: its settings, its public schema and its rows; with ids if others have other columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fedlab_nb.data.intake import load, make_schema
from fedlab_nb.data.table import Table, tidy
from fedlab_nb.errors import SchemaError, SettingError
from fedlab_nb.parties.columns.ids import lots, take_fields, take_ids
from fedlab_nb.parties.rows import Part, Rows, content_of, divide
from fedlab_nb.privacy import Budget
from fedlab_nb.records import Column, Schema
from fedlab_nb.records.schema import NO_TARGET

if TYPE_CHECKING:
    import pandas as pd

PARTIES = {"server", "key holder", "auditor"}


def take_in(
    name: str,
    data: pd.DataFrame | str | Path,
    target: str | None,
    given: str | Sequence[str] | None,
    held_out: float,
    bounds: Mapping[str, tuple[float, float]] | None,
    categories: Mapping[str, Sequence[object]] | None,
) -> tuple[Schema, Rows]:
    """The public schema of ``data`` and its rows, divided into training and held-out ones.

    Raises:
        SchemaError, SettingError: if it has no usable rows, columns, target or ids.
    """
    frame = load(data)
    if given is None:
        table = Table(frame)
        schema = make_schema(table, name, target or "", bounds, categories)
        return schema, divide(table, schema, name, held_out)
    named = [given] if isinstance(given, str) else list(given)
    _check_named(frame, name, named, target)
    linked_by: tuple[Column, ...] = ()
    ids: Sequence[bytes | None]
    if isinstance(given, str):
        column, ids = take_ids(frame[given], name)
    else:
        linked_by, texts, ids = take_fields(frame[named], name)
        column = Column(" + ".join(named), "category", "linked")
        frame[named] = texts  # what counts as content: dates, for one, have none of their own
    others = frame.drop(columns=named)
    if set(others.columns) <= {target}:
        raise SchemaError(
            f"{name!r} has no column but the id{'' if target is None else ' and the target'}.",
            "An owner takes part with columns that the others lack.",
            "Add feature columns to the frame, or leave this owner out.",
        )
    if target is None:
        others = others.assign(**{NO_TARGET.name: 0.0})
    schema = make_schema(others, name, NO_TARGET.name if target is None else target, bounds, categories)
    schema = replace(schema, target=NO_TARGET if target is None else schema.target, id=column, linked_by=linked_by)
    return schema, _keyed(others, schema, ids, 0.0 if linked_by else held_out, content_of(frame))


def _check_named(frame: pd.DataFrame, name: str, named: Sequence[str], target: str | None) -> None:
    for column in named:
        if column not in frame.columns or column == target:
            problem = "is its target as well" if column in frame.columns else "is not there"
            raise SchemaError(
                f"The id column {column!r} of {name!r} {problem}.",
                "The id says which row belongs together with which one of another owner, and nothing else.",
                f"Name a column of its own: fl.DataOwner({name!r}, frame, id=...).",
            )


def _keyed(table: pd.DataFrame, schema: Schema, ids: Sequence[bytes | None], held_out: float, content: bytes) -> Rows:
    """The rows with an id and a known target, which of them are held out by their ids alone.

    Ids that are alike and not equal cannot say it: none is held out before owners have linked their rows.
    """
    features, target = tidy(table, schema)
    drawn = lots([each or b"" for each in ids])
    kept = target.notna().to_numpy() & [each is not None for each in ids]

    def part(places: np.ndarray) -> Part:
        return features.iloc[places].reset_index(drop=True), target.iloc[places].reset_index(drop=True)

    sides = [np.flatnonzero(kept & (drawn >= held_out)), np.flatnonzero(kept & (drawn < held_out))]
    named = tuple([each for place in side if (each := ids[int(place)]) is not None] for side in sides)
    return Rows(part(sides[0]), part(sides[1]), content, (named[0], named[1]))


def check_settings(name: str, target: object, id_column: object, held_out: float, budget: object) -> None:
    """Refuse settings of an owner that cannot work.

    Raises:
        SettingError: naming the setting.
    """
    if not isinstance(name, str) or not name.strip() or name.strip().lower() in PARTIES:
        raise SettingError(
            f"A data owner was named {name!r}.",
            "Messages and budgets are kept under the owner's name, beside server, key holder and auditor.",
            "Give it a text of its own, such as 'Clinic A'.",
        )
    if target is None and id_column is None:
        raise SettingError(
            f"{name!r} was given neither a target nor an id.",
            "Owners of the same columns need a column to predict; owners of different columns an id to find each "
            "other's rows by.",
            f'Write fl.DataOwner({name!r}, frame, target="...") or fl.DataOwner({name!r}, frame, id="...").',
        )
    if isinstance(id_column, list | tuple) and not _are_several(id_column):
        raise SettingError(
            f"id={id_column!r} was given for {name!r}.",
            "A list stands for an id that nobody has: columns that together tell rows apart. One alone, such as a "
            "name, many rows share; and the same one twice says nothing more.",
            'Name two columns or more, id=["name", "born"], or the one that no two rows share, id="customer".',
        )
    if isinstance(held_out, bool) or not isinstance(held_out, int | float) or not 0.0 <= held_out <= 0.5:
        raise SettingError(
            f"held_out={held_out!r} was given for {name!r}.",
            "It is the share of rows kept for testing, and most rows must stay for training.",
            "Choose a number from 0 to 0.5, such as 0.2.",
        )
    if budget is not None and not isinstance(budget, Budget):
        raise SettingError(
            f"The budget of {name!r} is of type {type(budget).__name__}.",
            "It is an epsilon with its delta, and a number alone would leave one of them open.",
            "Give budget=fl.Budget(epsilon=2, delta=1e-4), or leave it out.",
        )


def _are_several(columns: Sequence[object]) -> bool:
    return len(columns) > 1 and len({str(each) for each in columns}) == len(columns)
