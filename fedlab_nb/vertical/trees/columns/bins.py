"""Candidates: every question that an owner's columns could ask of a row, such as "x <= 3?"; yes is left, no is right.

Only their owner knows what a candidate asks. To all others it is a number, its handle; handles are in an order that
tells neither the column nor the edge.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Places = NDArray[np.int64]

# Rows whose answers are worked out at a time, so that memory does not grow with the table.
_ROWS_AT_ONCE = 4096


@dataclass(frozen=True, eq=False, repr=False)
class Candidates:
    """An owner's candidates, (c, 3): the input's place, the edge, and 1 where missing values go left.

    A row goes left where its input is at most the edge. An infinite edge tells known values from missing ones.
    """

    table: Floats

    def __len__(self) -> int:
        return len(self.table)

    @classmethod
    def of(cls, flat: Floats) -> Candidates:
        """Those that were kept as ``table.ravel()``."""
        return cls(np.asarray(flat, dtype=np.float64).reshape(-1, 3))

    def left(self, X: Floats, handles: Sequence[int]) -> NDArray[np.bool_]:
        """Which rows of ``X`` (n, d) go left by each of these candidates (n, len(handles))."""
        found = np.empty((len(X), len(handles)), dtype=bool)
        for place, handle in enumerate(handles):
            feature, edge, missing_left = self.table[handle]
            values = X[:, int(feature)]
            found[:, place] = values <= edge
            if missing_left:
                found[:, place] |= np.isnan(values)
        return found

    def everything(self, X: Floats) -> NDArray[np.bool_]:
        """The answers (n, c) of all rows to all candidates."""
        return self.left(X, range(len(self)))

    def sums(self, X: Floats, columns: Floats) -> Floats:
        """Of each of the ``columns`` (n, k) the sum over the rows that each candidate sends left, (k, c)."""
        total = np.zeros((columns.shape[1], len(self)))
        for start in range(0, len(X), _ROWS_AT_ONCE):
            part = slice(start, start + _ROWS_AT_ONCE)
            total += columns[part].T @ self.everything(X[part]).astype(np.float64)
        return total

    def __repr__(self) -> str:
        return f"Candidates({len(self)}, private)"


def find_candidates(X: Floats, bins: int, min_rows: int, secret: str) -> Candidates:
    """The candidates of an owner's inputs ``X`` (n, d): at most ``bins`` bins each, of ``min_rows`` rows or more.

    Law: between any two candidates of one input, and on either side of each, lie at least ``min_rows`` rows; of
    candidates that divide the rows alike one is kept. Their order follows from a hash of ``X`` and of ``secret``: the
    same data give the same one again, and who does not know all of them cannot foretell it.
    """
    rows = [(feature, *each) for feature, x in enumerate(X.T) for each in _questions(x, bins, min_rows)]
    found = Candidates(np.array(rows, dtype=np.float64).reshape(-1, 3))
    kept: dict[bytes, int] = {}
    for handle in range(len(found)):
        answers = found.left(X, [handle])[:, 0]
        kept.setdefault(np.packbits(answers ^ answers[0]).tobytes(), handle)
    digest = hashlib.blake2b(X.tobytes() + secret.encode(), digest_size=16).digest()
    order = np.random.default_rng(int.from_bytes(digest, "little")).permutation(len(kept))
    return Candidates(found.table[np.array(list(kept.values()), dtype=np.int64)[order]])


def secret_of(seed: int, owner: str, names: Sequence[str]) -> str:
    """What beside an owner's numbers decides on the order of its handles."""
    return json.dumps([seed, owner, *names])


def _questions(x: Floats, bins: int, min_rows: int) -> list[tuple[float, float]]:
    """Pairs of an edge and where missing values go, for one input (n,)."""
    known = np.sort(x[~np.isnan(x)])
    missing = x.size - known.size
    edges = _edges(known, bins, min_rows)
    told = [0.0, 1.0] if missing >= min_rows else [0.0]
    found = [(edge, side) for edge in edges for side in told]
    if missing >= min_rows and known.size >= min_rows:
        found.append((np.inf, 0.0))
    return found


def _edges(known: Floats, bins: int, min_rows: int) -> list[float]:
    """Edges between sorted values (m,): half-way between neighbours, at equal shares of the rows."""
    last = np.flatnonzero(np.diff(known))  # the last place of each value but the largest
    if last.size >= bins:
        shares = np.ceil(np.arange(1, bins) * known.size / bins).astype(np.int64) - 1
        last = np.unique(last[np.minimum(np.searchsorted(last, shares), last.size - 1)])
    edges, before = [], 0
    for place in last.tolist():
        if place + 1 - before >= min_rows and known.size - place - 1 >= min_rows:
            middle = known[place] + (known[place + 1] - known[place]) / 2
            edges.append(float(middle if middle < known[place + 1] else known[place]))
            before = place + 1
    return edges
