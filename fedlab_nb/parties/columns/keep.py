"""Owners with some of their columns only: a selection, carried out by each owner behind its own wall."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from fedlab_nb.errors import SettingError
from fedlab_nb.parties.owner import _ROWS, DataOwner
from fedlab_nb.parties.rows import Part, Rows
from fedlab_nb.units import listed


def keep(owners: Sequence[DataOwner], columns: Iterable[str]) -> list[DataOwner]:
    """The same owners with these ``columns`` only; ids and the target stay. For a new Federation.

    Rows, and which of them are held out, are what they were; so is the account: it is the same data, whose budget goes
    on. Nothing crosses: the list of names is public.

    Raises:
        SettingError: a column that no owner has, or an owner that none would be left of.

    >>> import fedlab_nb as fl
    >>> table = fl.data.breast_cancer()
    >>> lab, clinic = fl.split_columns(table, lab=["mean_radius", "diagnosis"], clinic=["mean_texture", "mean_area"])
    >>> keep([lab, clinic], ["mean_radius", "mean_area"])[1]
    DataOwner('clinic', 1 numeric and 0 categorical columns, no target, id 'id', rows private)
    """
    wanted = [columns] if isinstance(columns, str) else list(columns)
    held = {owner.name: [column.name for column in owner.schema.features] for owner in owners}
    strangers = [name for name in wanted if not any(name in names for names in held.values())]
    if strangers:
        raise SettingError(
            f"The columns {listed(map(repr, strangers))} were to be kept, and no owner has them.",
            "Ids and the target stay by themselves; a misspelt feature would be lost without a word.",
            f"Name some of: {listed((name for names in held.values() for name in names), most=40)}.",
        )
    for owner, names in held.items():
        if not set(names) & set(wanted):
            raise SettingError(
                f"None of the {len(names)} columns of {owner!r} was to be kept.",
                "An owner takes part with columns that the others lack.",
                f"Keep at least one of {listed(names)}; or leave {owner!r} out, and keep columns of the others.",
            )
    return [_narrowed(owner, [name for name in held[owner.name] if name in set(wanted)]) for owner in owners]


def _narrowed(owner: DataOwner, names: list[str]) -> DataOwner:
    """The owner with these features; its rows go from one to the other inside."""
    made = object.__new__(DataOwner)

    def part(whole: Part) -> Part:
        return whole[0][names], whole[1]

    def inside(rows: Rows) -> None:
        _ROWS[made] = Rows(part(rows.training), part(rows.held_out), rows.content, rows.ids)

    owner._inside(inside, stage="keep columns")  # noqa: SLF001 - one wall, two files
    features = tuple(column for column in owner.schema.features if column.name in names)
    made._facts = (owner.name, owner.target, replace(owner.schema, features=features), owner.held_out, owner.budget)
    return made
