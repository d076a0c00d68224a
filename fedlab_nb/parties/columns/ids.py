"""Ids: the column by which owners of different columns find the rows that they have in common."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.errors import SchemaError
from fedlab_nb.records import Column

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


def lots(ids: Sequence[bytes]) -> NDArray[np.float64]:
    """A number in [0, 1) for each id (n,), the same at every owner: it orders rows in common, and says who is held out.

    It follows from the id alone (a hash), so that rows are in no owner's own order, and on the same side in every run.
    """
    digests = (hashlib.blake2b(each, digest_size=8, key=_LOT).digest() for each in ids)
    return np.array([int.from_bytes(digest, "little") >> 11 for digest in digests], dtype=np.float64) / 2.0**53


def invented_ids(column: Column, rows: int) -> list[object]:
    """As many invented ids of the same kind: 1, 2, 3 or "id 1", "id 2", "id 3"."""
    numbers = range(1, rows + 1)
    return list(numbers) if column.kind == "numeric" else [f"id {number}" for number in numbers]


def _unfit(owner: str, name: str, what: str, fix: str) -> SchemaError:
    return SchemaError(
        f"The id column {name!r} of {owner!r} {what}.",
        "Rows of different owners are found by their ids, so each row needs one of its own: a whole number or a text.",
        f"At {owner!r}, {fix}.",
    )
