"""How large the pieces of a split network are: fixed by what each owner's columns are, and a few widths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.learn.engine.plan import seed_of
from fedlab_nb.learn.split import Piece
from fedlab_nb.vertical.shared import Setup

Floats = NDArray[np.float64]

# The most activations of a row, where nobody says how many.
MOST = 8


@dataclass(frozen=True)
class Shape:
    """The pieces under one ``setup``: ``cut`` activations of a row at most, ``hidden`` layers in each piece.

    ``columns`` is how many each owner has, which all of them know.
    """

    setup: Setup
    columns: Mapping[str, int]
    cut: int | None
    hidden: tuple[int, ...]

    def width(self, name: str) -> int:
        """How many activations of a row an owner has: fewer than columns, where they cross."""
        wanted = self.cut or MOST
        return wanted if name == self.setup.labels_at else min(wanted, self.columns[name] - 1)

    def bottom(self, name: str) -> Piece:
        """The bottom model of one owner: its first size only this owner knows, and who knows how it reads columns."""
        return Piece((len(self.setup.readings[name].inputs), *self.hidden, self.width(name)), bounded=True)

    @property
    def top(self) -> Piece:
        """The top model: it reads its own bottom's activations, then those of the other owners in order."""
        return Piece((sum(map(self.width, self.setup.owners)), *self.hidden, self.setup.outputs))

    def size(self, name: str) -> int:
        """How many weights an owner has: the one of the labels has those of its bottom, then those of the top."""
        return self.bottom(name).size + (self.top.size if name == self.setup.labels_at else 0)

    def start(self, name: str, owners: Sequence[str]) -> Floats:
        """The first weights of one of a run's ``owners``; those of the top come behind, where labels are."""
        seed, place = self.setup.seed, owners.index(name)
        bottom = self.bottom(name).start(seed_of(seed, place))
        top = [self.top.start(seed_of(seed, len(owners)))] if name == self.setup.labels_at else []
        return np.concatenate([bottom, *top])


def columns_read(setup: Setup) -> dict[str, int]:
    """How many columns each owner has, where it is known how all of them read theirs."""
    return {name: len(setup.readings[name].encoding.inputs) for name in setup.owners}
