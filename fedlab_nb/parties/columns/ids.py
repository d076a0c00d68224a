"""Ids: the column, or columns, by which owners of different columns find the rows that they have in common."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.crypto.linkage import fields
from fedlab_nb.errors import SchemaError
from fedlab_nb.records import Column, Schema

if TYPE_CHECKING:
    import pandas as pd

Ids = list[bytes]

KINDS = {"numeric": "whole numbers", "category": "text"}
_LOT = b"fedlab lot"


def take_ids(values: pd.Series, owner: str) -> tuple[Column, Ids]:
    """The id column as it is declared in public, and its ids in one form (n,), equal for equal ids of all owners.

    Whole numbers as their digits; text without spaces around it, in Unicode's composed form (NFC). Capital and small
    letters are told apart.

    Raises:
        SchemaError: missing ids, the same one twice, or ids that are neither whole numbers nor text; never quotes one.
    """
    import pandas as pd

    name = str(values.name)
    missing = int(values.isna().sum())
    if missing:
        raise _unfit(owner, name, f"is missing in {missing:,} of {len(values):,} rows", "fill it in or drop these rows")
    if pd.api.types.is_integer_dtype(values.dtype):
        column = Column(name, "numeric", str(values.dtype))
        ids = [str(int(value)).encode() for value in values]
    else:
        plain = values.astype(object)
        if not all(isinstance(value, str) for value in plain):
            kinds = ", ".join(sorted({type(value).__name__ for value in plain}))
            fix = f"convert it: frame[{name!r}].astype('int64') or .astype(str)"
            raise _unfit(owner, name, f"holds {kinds} ({values.dtype})", fix)
        column = Column(name, "category", str(values.dtype))
        ids = [unicodedata.normalize("NFC", value.strip()).encode() for value in plain]
    if not all(ids):
        raise _unfit(owner, name, "is empty text in some rows", "fill it in or drop these rows")
    twice = len(ids) - len(set(ids))
    if twice:
        raise _unfit(owner, name, f"repeats earlier ids in {twice:,} of {len(ids):,} rows", "keep one row for each id")
    return column, ids


def take_fields(table: pd.DataFrame, owner: str) -> tuple[tuple[Column, ...], pd.DataFrame, list[bytes | None]]:
    """Columns that only together tell whose row it is: as declared in public, as they are read, and in one form (n,).

    What is compared are letters and digits alone: accents, capital letters and everything else do not count; a date is
    its digits, year first. A row that lacks one of the columns has None as its form.

    Raises:
        SchemaError: columns that are neither text, nor whole numbers, nor dates; no row that has all of them.
    """
    texts = table.apply(lambda values: _read(values, owner)).astype(object)
    columns = tuple(Column(str(name), "category", str(table[name].dtype)) for name in table)
    ids = [fields(row) if all(row) else None for row in texts.itertuples(index=False, name=None)]
    if not any(ids):
        raise SchemaError(
            f"Every row of {owner!r} lacks one of the columns {', '.join(map(repr, table))}.",
            "Rows are linked by all of them together, and rows that lack one are left out.",
            "Name columns that are filled in: fl.DataOwner(..., id=[...]).",
        )
    return columns, texts, ids


def _read(values: pd.Series, owner: str) -> list[str]:
    """One column as it is compared, "" where a value is missing."""
    missing = values.isna()
    found = ["" if absent else _letters(value) for value, absent in zip(values.astype(object), missing, strict=True)]
    odd = sorted({type(value).__name__ for value, text in zip(values, found, strict=True) if text is None})
    if odd:
        name = str(values.name)
        raise SchemaError(
            f"The column {name!r} of {owner!r}, which is to tell rows apart, holds {', '.join(odd)}.",
            "Rows are linked by how alike their columns are, read as text, and this has no one way of writing it.",
            f"Convert it at {owner!r}: frame[{name!r}].astype(str), or .astype('int64'), or pd.to_datetime(...).",
        )
    return [text or "" for text in found]


def _letters(value: object) -> str | None:
    """The letters and digits of a field, in lower case and without accents; None for what has no one way of writing."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, str | int | float | np.number | date):
        return None
    if isinstance(value, date):
        return f"{value:%Y%m%d}"
    if not isinstance(value, str):
        return str(int(value)) if np.isreal(value) and float(value).is_integer() else None
    plain = unicodedata.normalize("NFKD", value.casefold())
    return "".join(letter for letter in plain if letter.isalnum())


def lots(ids: Sequence[bytes], key: bytes = _LOT) -> NDArray[np.float64]:
    """A number in [0, 1) for each id (n,), the same at every owner: it orders rows in common, and says who is held out.

    It follows from the id alone (a hash), so that rows are in no owner's own order, and on the same side in every run.
    With another ``key`` than that of all owners, only who knows it can tell.
    """
    digests = (hashlib.blake2b(each, digest_size=8, key=key).digest() for each in ids)
    return np.array([int.from_bytes(digest, "little") >> 11 for digest in digests], dtype=np.float64) / 2.0**53


def with_invented_ids(mock: pd.DataFrame, schema: Schema) -> pd.DataFrame:
    """Invented rows with ids before them where the schema has some: 1, 2, 3, or "id 1", "id 2", "id 3"."""
    columns = schema.linked_by or ((schema.id,) if schema.id else ())
    for place, column in enumerate(columns):
        word = column.name if schema.linked_by else "id"
        numbers = range(1, len(mock) + 1)
        ids = list(numbers) if column.kind == "numeric" else [f"{word} {number}" for number in numbers]
        mock.insert(place, column.name, ids)
    return mock


def _unfit(owner: str, name: str, what: str, fix: str) -> SchemaError:
    return SchemaError(
        f"The id column {name!r} of {owner!r} {what}.",
        "Rows of different owners are found by their ids, so each row needs one of its own: a whole number or a text.",
        f"At {owner!r}, {fix}.",
    )
