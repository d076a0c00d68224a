"""Which owners of different columns fit together, under which settings, and for which questions and strategies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fedlab_nb.crypto import CKKS
from fedlab_nb.errors import RuleError, SchemaError, SettingError
from fedlab_nb.parties.columns.ids import KINDS
from fedlab_nb.parties.owner import DataOwner
from fedlab_nb.records import Schema
from fedlab_nb.records.schema import NO_TARGET

if TYPE_CHECKING:
    from fedlab_nb.parties.house import House

# How alike rows are that are linked, unless it is said; those of different people are often alike by a half.
USUAL_THRESHOLD, _LEAST_THRESHOLD = 0.85, 0.5


def joined_schema(owners: Sequence[DataOwner]) -> Schema:
    """All owners' columns side by side, the target of the one owner that has one, and the id.

    Raises:
        SchemaError: an owner without an id, ids of different kinds, a column at two owners, or two targets.
        SettingError: owners that hold out different shares of the rows.
    """
    without = next((owner for owner in owners if owner.schema.id is None), None)
    if without is not None:
        other = next(owner for owner in owners if owner.schema.id is not None)
        raise SchemaError(
            f"{other.name!r} has an id and {without.name!r} has none.",
            "Owners of different columns find their rows by ids; owners of the same columns have no need of them.",
            f"Name the id column at {without.name!r} as well, fl.DataOwner(..., id=...), or at no owner.",
        )
    _check_ids(owners)
    _check_links(owners)
    _check_names(owners)
    labelled = [owner for owner in owners if owner.target]
    if len(labelled) > 1:
        raise SchemaError(
            f"{labelled[0].name!r} has the target {labelled[0].target!r} and {labelled[1].name!r} the target "
            f"{labelled[1].target!r}.",
            "In vertical learning one owner has the labels and the others help it to predict them.",
            "Leave target= out at all owners but one; the column is then a feature like any other.",
        )
    features = tuple(column for owner in owners for column in owner.schema.features)
    target = labelled[0].schema.target if labelled else NO_TARGET
    return Schema(features, target, owners[0].schema.id, owners[0].schema.linked_by)


def _check_names(owners: Sequence[DataOwner]) -> None:
    holders: dict[str, DataOwner] = {}
    for owner in owners:
        for name in _named(owner):
            if name in holders:
                raise _both_have(name, holders[name], owner)
            holders[name] = owner


def _named(owner: DataOwner) -> list[str]:
    return [column.name for column in owner.schema.features] + [owner.target] * bool(owner.target)


def _both_have(name: str, first: DataOwner, other: DataOwner) -> SchemaError:
    """With the line that renames all columns of one of them but its id; that of an owner without a target."""
    both = [each for each in _named(first) if each in _named(other)]
    at = first if other.target and not first.target else other
    kept = f"c in {list(at.id)!r}" if isinstance(at.id, tuple) else f"c == {at.id!r}"
    prefixed = "f" + repr(f"{at.name} ".replace("{", "{{").replace("}", "}}") + "{c}")
    return SchemaError(
        f"{first.name!r} and {other.name!r} both have a column {name!r}"
        + (f", and {len(both) - 1} more of the same names." if len(both) > 1 else "."),
        "Questions and models name columns, and would not know whose is meant.",
        f"Rename those of {at.name!r}: frame = frame.rename(columns=lambda c: c if {kept} else {prefixed})"
        + (f"; its target is then {f'{at.name} {at.target}'!r}." if at.target else "."),
    )


def _check_ids(owners: Sequence[DataOwner]) -> None:
    first = owners[0]
    for owner in owners[1:]:
        kinds = [KINDS[each.schema.id.kind] for each in (first, owner) if each.schema.id is not None]
        if kinds[0] != kinds[1]:
            raise SchemaError(
                f"The ids of {first.name!r} ({first.id!r}) are {kinds[0]}, those of {owner.name!r} ({owner.id!r}) are "
                f"{kinds[1]}.",
                "The number 7 and the text '007' are no common id, and guessing would join wrong rows.",
                f"Convert one of them, for example frame[{owner.id!r}].astype(str), so that equal rows have equal ids.",
            )
        if owner.held_out != first.held_out:
            raise SettingError(
                f"{first.name!r} holds out {first.held_out:g} of its rows, {owner.name!r} {owner.held_out:g}.",
                "A row in common is either trained on by all owners or by none.",
                "Give all owners the same held_out.",
            )


def _check_links(owners: Sequence[DataOwner]) -> None:
    """Refuse owners whose rows cannot be linked by how alike they are."""
    numbers = [len(owner.schema.linked_by) for owner in owners]
    if len(set(numbers)) > 1:
        first, other = owners[0], next(owner for owner in owners if len(owner.schema.linked_by) != numbers[0])
        raise SchemaError(
            f"The id of {first.name!r} is {first.id!r}, that of {other.name!r} is {other.id!r}.",
            "Columns that together tell rows apart are compared one by one: the first with the first, and so on.",
            "Name as many at each owner, in the same order; or, at all of them, the one column that no two rows share.",
        )
    if numbers[0] and len(owners) > 2:
        raise RuleError(
            f"{len(owners)} owners are to find their rows by how alike they are.",
            "A row may be like one of a second owner, and that one like one of a third, while the first and the third "
            "are not alike: nobody could say whose it is.",
            "Link two owners; for more, agree on an id that all of them have.",
        )


def check_exact(schema: Schema, what: str) -> None:
    """Refuse ``what`` where owners have no id in common, and have not linked their rows yet.

    Raises:
        RuleError: naming ``what``.
    """
    if schema.linked_by:
        raise RuleError(
            f"{what} was asked for, and the owners have no id: they tell rows apart by "
            f"{schema.id.name if schema.id else ''}.",
            "Rows that are only alike are linked by a threshold, and wrong links spoil whatever is made of them.",
            "Link them first, and look at the card: fl.vertical.link(federation, threshold=0.85).",
        )


def check_linked_by(schema: Schema) -> None:
    """Refuse to link rows of owners that named no columns for it.

    Raises:
        RuleError: they have the same columns, or an id.
    """
    check_vertical(schema, "A linkage")
    if not schema.linked_by:
        raise RuleError(
            "A linkage was asked for, and these owners have an id that no two rows share.",
            "By equal ids rows are found without a threshold, without wrong links, and without showing pseudonyms.",
            "Use fl.vertical.align(federation); or name columns to link by at each owner, "
            'fl.DataOwner(..., id=["name", "born"]).',
        )


def check_threshold(threshold: object, name: str = "threshold") -> None:
    """Refuse a threshold by which no rows can be linked; ``name`` is what it was given as.

    Raises:
        SettingError: it is no number above 0.5 and up to 1.
    """
    number = isinstance(threshold, int | float) and not isinstance(threshold, bool)
    if not number or not _LEAST_THRESHOLD < float(threshold) <= 1.0:  # type: ignore[arg-type]
        raise SettingError(
            f"{name}={threshold!r} was asked for.",
            "It says how alike two rows must be to be linked: 1 for equal ones; rows of different people are often "
            "alike by a half.",
            "Choose a number above 0.5 and up to 1; 0.85 is usual.",
        )


def check_columns_house(house: House, agreed: bool) -> None:
    """Refuse settings that have no meaning, or a false one, for owners of different columns.

    Raises:
        RuleError: a privacy mechanism or a budget.
        SettingError: owners that may stay away.
    """
    if house.protect is not None or agreed:
        raise RuleError(
            "A privacy mechanism or a budget was given, and the owners hold different columns of the same rows.",
            "What owners of columns work out together is released without noise, and every row is in all of their "
            "data: an epsilon for one owner's data would be false.",
            "Leave protect= and budget= out, of the owners too; each release is counted as not protected.",
        )
    if house.sample_rate != 1.0 or house.dropout != 0.0 or house.min_owners is not None:
        raise SettingError(
            f"sample_rate={house.sample_rate:g}, dropout={house.dropout:g} and min_owners={house.min_owners} were "
            "given, and the owners hold different columns of the same rows.",
            "Nothing can be worked out while an owner of columns is away: nobody else has them.",
            "Leave all three out.",
        )


def is_vertical(schema: Schema) -> bool:
    """True if owners hold different columns of the same rows, and find them by an id."""
    return schema.id is not None


def check_strategy_columns(strategy: object, schema: Schema) -> None:
    """Refuse a strategy for the same columns where owners hold different ones, and the other way round.

    A strategy for different columns has ``labels_at``, the name of the owner that knows what is to be predicted.

    Raises:
        RuleError: naming the strategy.
    """
    name = type(strategy).__name__
    if hasattr(strategy, "labels_at"):
        check_vertical(schema, name)
    elif is_vertical(schema):
        raise RuleError(
            f"{name} needs owners with the same columns, and these hold different columns of the same rows.",
            "It adds up what each owner computes from all columns, and no owner here has all of them.",
            "Use a strategy of fl.vertical, or owners with the same columns: fl.split_rows(frame, owners=5).",
        )


def check_vertical(schema: Schema, what: str) -> None:
    """Refuse ``what`` where owners have the same columns, and it needs them to hold different ones.

    Raises:
        RuleError: naming ``what``.
    """
    if not is_vertical(schema):
        raise RuleError(
            f"{what} needs owners of different columns with an id, and these have the same columns.",
            "It brings together what different owners know about the same row, and here no row is at two owners.",
            "Name an id at each owner, fl.DataOwner(..., id=...), or use fl.split_columns(frame, bank=[...], "
            "shop=[...]); for the same columns use fl.FedAvg or fl.PrivateFrame.",
        )


def check_products(encrypt: object, what: str) -> CKKS:
    """The scheme under which one owner may multiply another's sealed numbers; refuse all others for ``what``.

    Raises:
        RuleError: no encryption, one without products, or a key that an owner has.
    """
    scheme = _with_products(encrypt)
    if scheme is not None:
        return scheme
    if encrypt is None:
        found, why = "nothing is encrypted", "One owner would get another's numbers row by row, to be read by it."
    elif not isinstance(encrypt, CKKS) or encrypt.preset != "deep":
        found = f"{encrypt!r} is in force"
        why = "It adds sealed numbers and has no room to multiply them, which joins two owners' columns."
    else:
        found, why = f"{encrypt!r} is in force", "The owner that multiplies would have the key to what it multiplies."
    raise RuleError(
        f"{what} multiplies one owner's sealed numbers with another's, and {found}.",
        why,
        'Make the federation with encrypt=fl.CKKS("deep").',
    )


def check_masks(encrypt: object, what: str) -> CKKS:
    """The scheme with whose keys owners agree on masks for their partial scores; refuse all others for ``what``.

    Raises:
        RuleError: no encryption, or one without products, for which such keys are handed out.
    """
    scheme = _with_products(encrypt)
    if scheme is not None:
        return scheme
    raise RuleError(
        f"{what} adds up the partial scores of owners under masks, and "
        f"{'nothing is encrypted' if encrypt is None else f'{encrypt!r} is in force'}.",
        "Each two owners make masks of a secret that they agree on when the keys of sealed products are handed out; "
        "without masks the owner of the labels would read what each other owner's columns say of a row.",
        'Make the federation with encrypt=fl.CKKS("deep"), whose key a key holder apart has.',
    )


def _with_products(encrypt: object) -> CKKS | None:
    """The scheme, if sealed numbers are multiplied under it, with a key that no owner has."""
    if isinstance(encrypt, CKKS) and encrypt.preset == "deep" and encrypt.keys == "authority":
        return encrypt
    return None
