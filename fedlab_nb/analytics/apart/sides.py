"""Which owner holds a column, and one owner's side of a question across owners."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from fedlab_nb.analytics.apart.training import Training
from fedlab_nb.analytics.source import Source, make_source


def owner_of(source: Source, column: object) -> str:
    """The name of the owner that holds a column; SettingError if there is no such column."""
    name = source.column(column).name
    holders = source.federation.owners
    return next(o.name for o in holders if name == o.target or any(name == c.name for c in o.schema.features))


def held(source: Source, columns: Sequence[str]) -> dict[str, list[str]]:
    """These columns by the owners that hold them, in the order in which they are named."""
    found: dict[str, list[str]] = {}
    for name in columns:
        found.setdefault(owner_of(source, name), []).append(name)
    return found


def side_of(source: Source, owner: str) -> Source:
    """One owner's columns of a source over all owners, as they are declared there.

    Raises:
        SettingError: there is no owner of this name.
    """
    made = make_source(source.federation, owner)
    side = replace(made, columns={name: source.columns[name] for name in made.columns if name in source.columns})
    return Training.of(side) if isinstance(source, Training) else side
