"""The rows of one owner, as work beside them sees them."""

from __future__ import annotations

import hashlib
import secrets
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.data.columns import as_numbers, as_values, kind_of
from fedlab_nb.data.intake import tidy
from fedlab_nb.errors import SchemaError
from fedlab_nb.records import Schema

if TYPE_CHECKING:
    import pandas as pd

Part = tuple["pd.DataFrame", "pd.Series"]

GOLDEN = 0.6180339887498949
# Drawn anew in every process: a fingerprint can be compared here, but nobody outside can test guesses against it.
_SALT = secrets.token_bytes(32)


class Rows:
    """What work sees beside the rows of one owner; it never leaves the owner.

    ``training`` and ``held_out`` are (features, target) of disjoint rows: numbers as 64-bit floats with NaN where a
    value is missing, categories as plain values with None. ``fingerprint`` is equal for equal content, whatever
    the owner's name or the order of rows and columns. ``cache`` keeps what is computed once per owner.
    """

    __slots__ = ("cache", "fingerprint", "held_out", "training")

    def __init__(self, training: Part, held_out: Part, fingerprint: str) -> None:
        self.training, self.held_out, self.fingerprint = training, held_out, fingerprint
        self.cache: dict[object, object] = {}

    def __repr__(self) -> str:
        return "Rows(private)"


def divide(frame: pd.DataFrame, schema: Schema, name: str, share: float) -> Rows:
    """The rows with a known target, divided by their position in ``frame``: ``share`` of them held out.

    Row i is held out if the fractional part of (i + 1) * GOLDEN is below ``share``.

    Raises:
        SchemaError: if no row is left to train on.
    """
    features, target = tidy(frame, schema)
    kept = target.notna().to_numpy()
    away = np.modf(np.arange(1, len(frame) + 1) * GOLDEN)[0] < share
    if not (kept & ~away).any():
        raise SchemaError(
            f"{name!r} has no row left to train on after rows without a known target are left out.",
            "An owner without training rows cannot take part.",
            "Check the target's values against its declared categories, or leave this owner out.",
        )

    def part(mask: NDArray[np.bool_]) -> Part:
        return features[mask].reset_index(drop=True), target[mask].reset_index(drop=True)

    return Rows(part(kept & ~away), part(kept & away), _fingerprint(frame))


def _fingerprint(frame: pd.DataFrame) -> str:
    """A salted hash of the content: the same for any order of rows and columns, any target and any declaration."""
    import pandas as pd

    digest = hashlib.blake2b(key=_SALT, digest_size=16)
    names = sorted(frame.columns)
    digest.update(repr(names).encode())
    plain = {n: as_numbers(frame[n]) if kind_of(frame[n]) == "numeric" else as_values(frame[n]) for n in names}
    hashes = pd.util.hash_pandas_object(pd.DataFrame(plain), index=False).to_numpy()
    digest.update(np.sort(hashes).tobytes())
    return digest.hexdigest()
