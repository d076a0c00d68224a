"""All rows of the owner of the labels: those that the other owner has not, too."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.errors import SchemaError
from fedlab_nb.parties import Rows
from fedlab_nb.vertical.overlap.sides import direction
from fedlab_nb.vertical.shared import Meeting, Mine, Setup
from fedlab_nb.vertical.shared.meeting import labels_of

Floats = NDArray[np.float64]


def all_labelled(mine: Mine, rows: Rows, setup: Setup) -> tuple[Floats, Floats]:
    """Inputs (n, d) and labels (n,) of -1 and 1 of all rows that their owner trains on; read once.

    Raises:
        SchemaError: they have further classes than the rows in common.
    """
    if "all" not in mine.memory:
        features, target = rows.training
        if not target.isin(setup.classes).all():
            raise SchemaError(
                f"{mine.name!r} has further classes in rows that are not in common.",
                "All its rows take part, and two classes are told apart.",
                "Leave these rows out at that owner.",
            )
        mine.memory["all"] = setup.readings[mine.name].read(features), 2.0 * labels_of(target, setup.target) - 1.0
    found: tuple[Floats, Floats] = mine.memory["all"]
    return found


def beside_labels(at: Meeting, rows: Rows) -> Mine:
    """What the owner of the labels has of the rows in common, among all of its ``rows``."""
    return Mine(at.alignment.of(rows), at.labels_at, at.setup, at.part)


def with_direction(at: Meeting, width: int, flat: Floats, rows: Rows) -> Floats:
    """The weights of the owner of the labels, flat, and behind them the direction (width,) that they give."""
    every = all_labelled(beside_labels(at, rows), rows, at.setup)
    return np.append(flat, direction(*every, flat.reshape(-1, width)))
