"""What is refused before anything leaves: frames that do not fit, and settings whose privacy claim would be false."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from fedlab_nb.crypto import BFV, CKKS, SecAgg
from fedlab_nb.errors import RuleError, SchemaError, SettingError
from fedlab_nb.parties.columns.fitting import check_columns_house, joined_schema
from fedlab_nb.parties.house import House
from fedlab_nb.parties.matrix import IN_FORCE, NEEDS, columns
from fedlab_nb.parties.owner import DataOwner
from fedlab_nb.privacy import Budget, Vault, stricter
from fedlab_nb.protect import OwnerLevelDP, RowLevelDP
from fedlab_nb.records import Column, Schema

Owners = tuple[DataOwner, ...]


def check_owners(given: object) -> tuple[Owners, Schema]:
    """The owners, and their common schema with every declaration that all of them made.

    Raises:
        SettingError: fewer than two owners, or names that clash.
        SchemaError: frames that do not fit together, naming the owner and the column.
    """
    several = isinstance(given, Iterable) and not isinstance(given, DataOwner)
    owners: Owners = tuple(given) if several else (given,)  # type: ignore[arg-type, assignment]
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
    schema = joined_schema(owners) if any(owner.id for owner in owners) else _common(owners)
    if schema.target.categories is not None and len(schema.target.categories) < 2:
        raise SchemaError(
            f"The target {schema.target.name!r} has {len(schema.target.categories)} declared class.",
            "A model that tells classes apart needs at least two of them.",
            "Choose another target, or declare all of its classes at every owner.",
        )
    return owners, schema


def _common(owners: Owners) -> Schema:
    first = owners[0]
    for owner in owners[1:]:
        if owner.target != first.target:
            raise SchemaError(
                f"{owner.name!r} has the target {owner.target!r}, {first.name!r} has {first.target!r}.",
                "All owners must predict the same thing.",
                "Name the same target column at every owner.",
            )
        mine = {column.name for column in owner.schema.features}
        theirs = {column.name for column in first.schema.features}
        for holder, others, absent in ((owner, first, theirs - mine), (first, owner, mine - theirs)):
            if absent:
                raise SchemaError(
                    f"{holder.name!r} has no column {min(absent)!r}, which {others.name!r} has.",
                    "In horizontal learning all owners describe different rows by the same columns.",
                    f"Add the column at {holder.name!r} (missing values are allowed), or drop it everywhere else.",
                )
    held = [(owner.name, {c.name: c for c in (*owner.schema.features, owner.schema.target)}) for owner in owners]
    columns = [_merge(held, column.name) for column in first.schema.features]
    return Schema(tuple(columns), _merge(held, first.target))


def _merge(held: Sequence[tuple[str, Mapping[str, Column]]], name: str) -> Column:
    """One column over all owners; declared bounds widen to cover all, declared lists join in order."""
    different: dict[int, tuple[str, Column]] = {}
    for owner, own in held:
        # Many owners of many columns share what they declare alike: it is looked at once.
        different.setdefault(id(own[name]), (owner, own[name]))
    versions = list(different.values())
    first_name, first = versions[0]
    for owner, version in versions[1:]:
        if version.kind != first.kind:
            raise SchemaError(
                f"Column {name!r} is {version.kind} at {owner!r} ({version.dtype}) and {first.kind} at {first_name!r} "
                f"({first.dtype}).",
                "A model reads a column the same way at every owner.",
                f"Convert it at one of them, for example frame[{name!r}].astype(float), or declare classes at all: "
                f"categories={{{name!r}: [...]}}.",
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


def check_house(house: House, schema: Schema, owners: Owners, vault: object = None) -> House:
    """The settings with their defaults filled in.

    Raises:
        SettingError: a value that cannot work.
        RuleError: a combination whose privacy claim would be false.
    """
    _check_kinds(house, vault)
    if not 0.0 < house.sample_rate <= 1.0:
        raise SettingError(
            f"sample_rate is {house.sample_rate!r}, not above 0 and at most 1.",
            "It is the probability with which each owner takes part in a round.",
            "Use sample_rate=1.0 for all owners in every round.",
        )
    if not is_number(house.dropout) or not 0.0 <= house.dropout < 1.0:
        raise SettingError(
            f"dropout is {house.dropout!r}, not a number from 0 to below 1.",
            "It is the probability with which an owner that was chosen for a round drops out of it.",
            "Use dropout=0.0 for none, or dropout=0.3 to lose about a third.",
        )
    _check_least(house.min_owners, len(owners))
    agreed = [stricter(owner.budget, house.budget) for owner in owners]
    if schema.id is not None:
        check_columns_house(house, any(agreed))
    protect = house.protect or (RowLevelDP() if any(agreed) else None)
    if protect is not None and protect.noise_multiplier is None and not all(agreed):
        raise SettingError(
            f"{type(protect).__name__} has neither a noise_multiplier nor a budget to be calibrated to.",
            "Without either there is no telling how much noise to add.",
            f"Pass budget=fl.Budget(epsilon=8, delta=1e-3), or {type(protect).__name__}(noise_multiplier=1.0).",
        )
    if protect is not None and protect.colluding >= len(owners):
        raise RuleError(
            f"{type(protect).__name__} has colluding={protect.colluding}, and there are {len(owners)} owners.",
            "Nobody would be left whose share of the noise the others do not know, so nothing would hide a row.",
            f"Use colluding={len(owners) - 1} or less, or bring more owners.",
        )
    if isinstance(protect, OwnerLevelDP):
        _check_owner_level([budget for budget in agreed if budget is not None], schema, len(owners))
    return replace(house, protect=protect)


def _check_least(least: object, owners: int) -> None:
    if least is not None and not (is_number(least, whole=True) and 1 <= int(least) <= owners):  # type: ignore[call-overload]
        raise SettingError(
            f"min_owners is {least!r}, and there are {owners} owners.",
            "A round counts if at least so many owners come through it.",
            f"Use a whole number from 1 to {owners}, or leave it out: then a round needs all that it called.",
        )


def _check_kinds(house: House, vault: object) -> None:
    wanted: list[tuple[str, object, bool, str]] = [
        ("encrypt", house.encrypt, isinstance(house.encrypt, CKKS | BFV | SecAgg), "encrypt=fl.CKKS()"),
        ("protect", house.protect, isinstance(house.protect, RowLevelDP | OwnerLevelDP), "protect=fl.RowLevelDP()"),
        ("budget", house.budget, isinstance(house.budget, Budget), "budget=fl.Budget(epsilon=8, delta=1e-3)"),
        ("noise_seed", house.noise_seed, is_seed(house.noise_seed), "noise_seed=0"),
        ("vault", vault, isinstance(vault, Vault), 'vault=fl.Vault("budgets.vault")'),
    ]
    for name, value, fits, example in wanted:
        if value is not None and not fits:
            raise SettingError(
                f"{name} is {value if isinstance(value, int | float | str | type) else type(value).__name__!r}.",
                "A setting that is not understood cannot be kept, and the cards would claim it.",
                f"Write {example}, or leave {name} out.",
            )
    if house.server != "kernel" and (house.server != "process" or not isinstance(house.encrypt, CKKS | BFV)):
        raise SettingError(
            f"server is {house.server!r}, and the updates are {'not ' if house.encrypt is None else ''}hidden by "
            f"{house.encrypt.name if house.encrypt else 'anything'}.",
            "A process apart is where ciphertexts are added, so that nothing in them can end the notebook's kernel.",
            "Use server='kernel', or encrypt=fl.CKKS() or fl.BFV() with server='process'.",
        )
    if not is_number(house.sample_rate):
        raise SettingError(
            f"sample_rate is {house.sample_rate!r}, not a number.",
            "It is the probability with which each owner takes part in a round.",
            "Use sample_rate=1.0 for all owners in every round.",
        )


def is_number(value: object, *, whole: bool = False) -> bool:
    """True for a real number, or for a ``whole`` one; True and False are none."""
    kinds = (int, np.integer) if whole else (int, float, np.integer, np.floating)
    return isinstance(value, kinds) and not isinstance(value, bool)


def is_seed(value: object) -> bool:
    """True for a whole number from 0 up."""
    return is_number(value, whole=True) and int(value) >= 0  # type: ignore[call-overload]


def check_strategy(strategy: object, house: House) -> None:
    """Refuse a strategy that needs what the protections of a house do not allow: see ``matrix.MATRIX``.

    Raises:
        SettingError: needs that are not a tuple of known names.
        RuleError: naming what is needed and what is in force, with the reason and what to do instead.
    """
    name, needs = type(strategy).__name__, getattr(strategy, "needs", ())
    if not isinstance(needs, tuple) or not all(isinstance(need, str) and need in NEEDS for need in needs):
        raise SettingError(
            f"{name} has needs={needs!r}.",
            "What a strategy needs beyond a sum decides under which protections it may run, and only known names can "
            "be looked up.",
            f'Give a tuple such as needs=("single updates",), or () for none, of these names: {", ".join(NEEDS)}.',
        )
    for need in needs:
        for protection in columns(house):
            cell = NEEDS[need].under(protection)
            if not cell.works:
                raise RuleError(
                    f"{name} needs {need} ({NEEDS[need].meaning}), and in this federation {IN_FORCE[protection]}.",
                    cell.why,
                    cell.do,
                )


def _check_owner_level(agreed: Sequence[Budget], schema: Schema, owners: int) -> None:
    delta = max((budget.delta for budget in agreed), default=0.0)
    if delta >= 1.0 / owners:
        raise RuleError(
            f"At owner level, delta {delta:g} is not below 1 / {owners} owners.",
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
