"""How an owner reads its own columns: it needs nobody else for that, and tells nobody."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.data.columns import as_numbers, as_values
from fedlab_nb.data.encoding import CategoryCode, Encoding, NumberCode, encode
from fedlab_nb.errors import SchemaError
from fedlab_nb.parties.split import observed
from fedlab_nb.records import Column, Schema

if TYPE_CHECKING:
    import pandas as pd

NOTHING = NumberCode("", 0.0, 1.0, -np.inf, np.inf)


@dataclass(frozen=True)
class Standard:
    """Numbers in standard deviations from their mean, cut off 8 of them away, and categories as 0 or 1."""

    encoding: Encoding

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of the inputs, in order."""
        return self.encoding.feature_names

    def read(self, features: pd.DataFrame) -> NDArray[np.float64]:
        """The inputs (n, d) of each row.

        Raises:
            SchemaError: a column is missing, or has numbers where there was text, or the other way round.
        """
        found = encode(features, self.encoding).astype(np.float64)
        for code in self.encoding.inputs:
            check_spelling(features[code.name], code)
        return found


def standard_reading(features: pd.DataFrame, schema: Schema, owner: str) -> Standard:
    """Numbers in standard deviations from their mean over the owner's rows in common; a 0 or 1 for each category.

    Numbers further than 8 standard deviations away are read as 8.

    A missing number counts as the mean, with a further input that is 1 there.

    Raises:
        SchemaError: naming a column that is missing in all rows, or the same in all of them.
    """
    codes = tuple(_code(features[column.name], column, owner) for column in schema.features)
    return Standard(Encoding(codes, NOTHING))


def target_code(target: pd.Series, column: Column, owner: str) -> CategoryCode | NumberCode:
    """How the owner of the labels reads them: classes in order, or numbers in standard deviations from their mean.

    Raises:
        SchemaError: fewer than two classes, or numbers that are all the same.
    """
    if column.kind == "numeric":
        return number_code(target, column, owner)
    classes = tuple(column.categories if column.categories is not None else observed(target))
    if len(classes) < 2:
        raise SchemaError(
            f"The target {column.name!r} of {owner!r} has {len(classes)} class in the rows that all owners have.",
            "A model that tells classes apart needs at least two of them.",
            "Choose another target, or bring owners together that have more rows in common.",
        )
    return CategoryCode(column.name, classes)


def check_known(target: pd.Series, code: CategoryCode | NumberCode, owner: str) -> None:
    """Refuse held-out labels of classes that no row to train on has.

    Raises:
        SchemaError: there are some; none is quoted.
    """
    if isinstance(code, CategoryCode) and not target.isin(code.values).all():
        raise SchemaError(
            f"The target {code.name!r} of {owner!r} has a class in held-out rows that no row to train on has.",
            "Models could never be right about these rows, and scores would have no number for them.",
            f"Leave such rows out at {owner!r}, or declare all classes: fl.DataOwner(..., categories="
            f"{{{code.name!r}: [...]}}).",
        )


def check_spelling(values: pd.Series, code: CategoryCode | NumberCode) -> None:
    """Refuse categories that are all numbers where they were all text, or the other way round: none would be known.

    Raises:
        SchemaError: naming the column.
    """
    if isinstance(code, NumberCode):
        return
    given, known = (_texts(each) for each in (as_values(values.dropna()), code.values))
    if len(given | known) > 1 and len(given) == len(known) == 1:
        kinds = {True: "text", False: "numbers"}
        raise SchemaError(
            f"The column {code.name!r} holds {kinds[given.pop()]}, and categories that are {kinds[known.pop()]} are "
            "known of it.",
            "The number 1 and the text '1' are no common category: every row would count as one of an unknown kind.",
            f"Convert it, for example frame[{code.name!r}].astype(str), to what it was in training.",
        )


def _texts(values: Iterable[object]) -> set[bool]:
    return {isinstance(value, str) for value in values}


def _code(values: pd.Series, column: Column, owner: str) -> NumberCode | CategoryCode:
    if column.kind == "numeric":
        return number_code(values, column, owner)
    found = observed(values)
    if not found:
        raise _empty(column.name, owner)
    if len(found) == 1 and not values.isna().any():
        raise _constant(column.name, owner)
    return CategoryCode(column.name, tuple(column.categories if column.categories is not None else found))


def number_code(values: pd.Series, column: Column, owner: str) -> NumberCode:
    """How a column of numbers is read: in standard deviations from their mean, within its declared bounds.

    Raises:
        SchemaError: it is missing in all rows, the same in all of them, or too large to be squared.
    """
    low, high = column.bounds if column.bounds is not None else (-np.inf, np.inf)
    given = np.clip(as_numbers(values), low, high)
    known = given[~np.isnan(given)]
    if not known.size:
        raise _empty(column.name, owner)
    with np.errstate(over="ignore", invalid="ignore"):
        spread = float(known.std())
    if not np.isfinite(spread):
        raise SchemaError(
            f"The column {column.name!r} of {owner!r} has numbers too large to be squared.",
            "It is measured in standard deviations, and its own has no end.",
            f"Divide it at {owner!r}, or take its logarithm.",
        )
    if spread <= 1e-12 * max(1.0, float(np.abs(known).max())):
        raise _constant(column.name, owner)
    return NumberCode(column.name, float(known.mean()), spread, low, high, indicator=known.size < given.size)


def _empty(name: str, owner: str) -> SchemaError:
    return SchemaError(
        f"The column {name!r} of {owner!r} is missing in all rows that all owners have.",
        "Nothing can be learned from it.",
        f"Leave it out at {owner!r}, or bring owners together that have more rows in common.",
    )


def _constant(name: str, owner: str) -> SchemaError:
    return SchemaError(
        f"The column {name!r} of {owner!r} is the same in all rows that all owners have.",
        "It tells no row from another, and has no spread to be measured in.",
        f"Leave it out at {owner!r}.",
    )
