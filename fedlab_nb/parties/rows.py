"""The rows of one owner, as work beside them sees them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.data.table import Table, present, target_values, tidy_features, tidy_target
from fedlab_nb.errors import SchemaError
from fedlab_nb.records import Schema

if TYPE_CHECKING:
    import pandas as pd

Part = tuple["pd.DataFrame", "pd.Series"]


class Rows:
    """What work sees beside the rows of one owner; it never leaves the owner.

    ``training`` and ``held_out`` are (features, target) of disjoint rows: numbers as 64-bit floats with NaN where a
    value is missing, categories as plain values with None. ``content`` is a hash, equal for equal content,
    whatever the owner's name or the order of rows and columns; only a vault's keyed hash of it leaves the owner.
    ``cache`` keeps what is computed once per owner. ``ids`` are those of the training and of the held-out rows, where
    owners hold different columns.
    """

    __slots__ = ("cache", "content", "held_out", "ids", "training")

    def __init__(
        self, training: Part, held_out: Part, content: bytes, ids: tuple[list[bytes], list[bytes]] | None = None
    ) -> None:
        self.training, self.held_out, self.content, self.ids = training, held_out, content, ids
        self.cache: dict[object, object] = {}

    def __repr__(self) -> str:
        return "Rows(private)"


def divide(data: pd.DataFrame | Table, schema: Schema, name: str, share: float) -> Rows:
    """The rows with a known target, divided by a hash of each row's content: about ``share`` of them held out.

    Identical rows are told apart by their number among themselves, so that adding or removing a row never moves
    another kind of row to the other side: what is spent on one side is then not spent on the other. A small owner may
    so have no row to train on, or none held out; its part of a sum is then zero.

    Raises:
        SchemaError: if no row has a known target.
    """
    table = Table.of(data)
    kept = present(target_values(table, schema))
    away = _lots(table.hashes) < share
    if not kept.any():
        raise SchemaError(
            f"{name!r} has no row left after rows without a known target are left out.",
            "An owner without rows cannot take part.",
            "Check the target's values against its declared categories, or leave this owner out.",
        )
    sides = [np.flatnonzero(kept & ~away), np.flatnonzero(kept & away)]
    training, held_out = zip(tidy_features(table, schema, sides), tidy_target(table, schema, sides), strict=True)
    return Rows(training, held_out, _content(table))


def _lots(hashes: NDArray[np.uint64]) -> NDArray[np.float64]:
    """An evenly distributed number in [0, 1) for each row (n,), from its hash and its number among identical rows."""
    twin = _numbered(hashes)
    # Splitmix64's finalizer: neighbouring inputs give unrelated outputs. Overflow is meant.
    mixed = hashes + twin * np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return (mixed >> np.uint64(11)).astype(np.float64) / 2.0**53


def _numbered(hashes: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """For each row (n,) how many equal ones come before it."""
    order = np.argsort(hashes, kind="stable")
    ordered = hashes[order]
    first = np.concatenate([[True], ordered[1:] != ordered[:-1]])
    places = np.arange(len(hashes))
    numbers = np.empty(len(hashes), dtype=np.uint64)
    numbers[order] = places - np.maximum.accumulate(np.where(first, places, 0))
    return numbers


def content_of(data: pd.DataFrame | Table) -> bytes:
    """A hash of the content of a whole frame (32 bytes)."""
    return _content(Table.of(data))


def _content(table: Table) -> bytes:
    """A hash of the content (32 bytes): the same for any order of rows and columns, any target and any declaration."""
    digest = hashlib.blake2b(digest_size=32)
    digest.update(repr(sorted(table.names)).encode())
    digest.update(np.sort(table.hashes).tobytes())
    return digest.digest()
