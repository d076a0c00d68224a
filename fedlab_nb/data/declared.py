"""Encodings from declarations alone, and an encoding written out as a message."""

from __future__ import annotations

from fedlab_nb.data.encoding import CategoryCode, Encoding, NumberCode
from fedlab_nb.records import Column, Schema


def declared_encoding(schema: Schema) -> Encoding:
    """The encoding that needs nothing from any row: numbers from the middle of their bounds, in half widths.

    Every numeric column must have declared bounds, every category column a declared list. Each number gets an input
    that says "missing", since whether any value is missing is not known either.
    """

    def code(column: Column) -> NumberCode | CategoryCode:
        if column.kind == "category":
            return CategoryCode(column.name, tuple(column.categories or ()))
        low, high = column.bounds or (-1.0, 1.0)
        return NumberCode(column.name, (low + high) / 2, (high - low) / 2, low, high, indicator=True)

    return Encoding(tuple(code(column) for column in schema.features), code(schema.target))


def describe(encoding: Encoding) -> str:
    """The encoding as JSON: what the server tells the owners before the first round."""
    return encoding.words
