"""What is refused before anything leaves: frames that do not fit, and settings whose privacy claim would be false."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from fedlab_nb.crypto import CKKS
from fedlab_nb.errors import RuleError, SchemaError, SettingError
from fedlab_nb.parties.owner import DataOwner
from fedlab_nb.privacy import Budget
from fedlab_nb.protect import OwnerLevelDP, RowLevelDP
from fedlab_nb.records import Column, Schema

RESERVED = ("server", "key holder", "auditor")
FEW_OWNERS = 50


@dataclass(frozen=True)
class House:
    """The settings of a federation that every strategy lives under."""

    encrypt: CKKS | None = None
    protect: RowLevelDP | OwnerLevelDP | None = None
    budget: Budget | None = None
    sample_rate: float = 1.0
    noise_seed: int | None = None


def check_owners(owners: Sequence[DataOwner]) -> Schema:
    """The owners' common schema, with every declaration that any of them made.

    Raises:
        SettingError: fewer than two owners, or names that clash.
        SchemaError: frames that do not fit together, naming the owner and the column.
    """
    if any(not isinstance(owner, DataOwner) for owner in owners):
        raise SettingError(
            "A Federation was given something that is not a DataOwner.",
            "Only a DataOwner keeps its rows private.",
            'Wrap each frame: fl.DataOwner("Clinic A", frame, target="diagnosis").',
        )
    if len(owners) < 2:
        raise SettingError(
            f"A Federation was given {len(owners)} owner{'s' if len(owners) != 1 else ''}.",
            "A sum over one owner is that owner's own contribution, so there would be nothing to hide it in.",
            "Bring at least two owners, or split one frame with fl.split_rows(frame, owners=5).",
        )
    names = Counter(owner.name for owner in owners)
    twice = next((name for name, times in names.items() if times > 1), None)
    if twice is not None:
        raise SettingError(
            f"{names[twice]} owners are called {twice!r}.",
            "The ledger and the budgets tell owners apart by their names.",
            "Give every owner a name of its own.",
        )
    reserved = next((name for name in names if name in RESERVED), None)
    if reserved is not None:
        raise SettingError(
            f"An owner is called {reserved!r}.",
            "That is the name of another party, so the ledger could not tell them apart.",
            "Choose another name for the owner.",
        )
    return _common(owners)


def _common(owners: Sequence[DataOwner]) -> Schema:
    first = owners[0]
    for owner in owners[1:]:
        mine = {column.name for column in owner.schema.features}
        theirs = {column.name for column in first.schema.features}
        for holder, others, absent in ((owner, first, theirs - mine), (first, owner, mine - theirs)):
            if absent:
                raise SchemaError(
                    f"{holder.name!r} has no column {min(absent)!r}, which {others.name!r} has.",
                    "In horizontal learning all owners describe different rows by the same columns.",
                    f"Add the column at {holder.name!r} (missing values are allowed), or drop it everywhere else.",
                )
        if owner.target != first.target:
            raise SchemaError(
                f"{owner.name!r} has the target {owner.target!r}, {first.name!r} has {first.target!r}.",
                "All owners must predict the same thing.",
                "Name the same target column at every owner.",
            )
    columns = [_merge(owners, column.name) for column in first.schema.features]
    return Schema(tuple(columns), _merge(owners, first.target))


def _merge(owners: Sequence[DataOwner], name: str) -> Column:
    """One column over all owners; declared bounds widen to cover all, declared lists join in order."""
    versions = [(owner.name, _column(owner.schema, name)) for owner in owners]
    first_name, first = versions[0]
    for owner, version in versions[1:]:
        if version.kind != first.kind:
            raise SchemaError(
                f"Column {name!r} is {version.kind} at {owner!r} ({version.dtype}) and {first.kind} at {first_name!r} "
                f"({first.dtype}).",
                "A model reads a column the same way at every owner.",
                f"Convert it at one of them, for example with frame[{name!r}].astype(...).",
            )
    bounds = [version.bounds for _, version in versions]
    lists = [version.categories for _, version in versions]
    joined = tuple(dict.fromkeys(value for values in lists for value in values or ()))
    known = [b for b in bounds if b is not None]
    return Column(
        name,
        first.kind,
        first.dtype,
        bounds=(min(b[0] for b in known), max(b[1] for b in known)) if len(known) == len(bounds) else None,
        categories=joined if all(values is not None for values in lists) else None,
    )


def _column(schema: Schema, name: str) -> Column:
    return next(column for column in (*schema.features, schema.target) if column.name == name)


def check_house(house: House, schema: Schema, owners: int) -> House:
    """The settings with their defaults filled in.

    Raises:
        SettingError: a value that cannot work.
        RuleError: a combination whose privacy claim would be false.
    """
    if not 0.0 < house.sample_rate <= 1.0:
        raise SettingError(
            f"sample_rate is {house.sample_rate!r}, not above 0 and at most 1.",
            "It is the probability with which each owner takes part in a round.",
            "Use sample_rate=1.0 for all owners in every round.",
        )
    protect = house.protect or (RowLevelDP() if house.budget else None)
    if protect is not None and house.budget is None and protect.noise_multiplier is None:
        raise SettingError(
            f"{type(protect).__name__} has neither a noise_multiplier nor a budget to be calibrated to.",
            "Without either there is no telling how much noise to add.",
            f"Pass budget=fl.Budget(epsilon=8, delta=1e-3), or {type(protect).__name__}(noise_multiplier=1.0).",
        )
    if isinstance(protect, OwnerLevelDP):
        _check_owner_level(house, schema, owners)
    return House(house.encrypt, protect, house.budget, house.sample_rate, house.noise_seed)


def _check_owner_level(house: House, schema: Schema, owners: int) -> None:
    if house.budget is not None and house.budget.delta >= 1.0 / owners:
        raise RuleError(
            f"At owner level, delta {house.budget.delta:g} is not below 1 / {owners} owners.",
            "With such a delta a mechanism could publish one whole owner and still keep its promise.",
            f"Choose a delta well below {1.0 / owners:g}, bring more owners, or protect rows with fl.RowLevelDP().",
        )
    open_column = next(
        (
            column
            for column in (*schema.features, schema.target)
            if (column.bounds if column.kind == "numeric" else column.categories) is None
        ),
        None,
    )
    if open_column is not None:
        missing = "bounds" if open_column.kind == "numeric" else "categories"
        raise RuleError(
            f"Column {open_column.name!r} has no declared {missing}, and the privacy is at owner level.",
            "Learning them from the owners would cost more of an owner-level budget than there is.",
            f"Declare them at every owner, for example {missing}={{{open_column.name!r}: ...}}, or protect rows with "
            "fl.RowLevelDP().",
        )
