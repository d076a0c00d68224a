"""Cross tables of columns of two owners."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd

from fedlab_nb.analytics.answers import Answer, whole
from fedlab_nb.analytics.asking import inquire
from fedlab_nb.analytics.questions.cells import Axis, Categories
from fedlab_nb.analytics.questions.question import Floats
from fedlab_nb.analytics.questions.small import hide
from fedlab_nb.analytics.source import Source, table_of
from fedlab_nb.analytics.vertical.asking import ask_jointly, check_joint, joint_answer, owner_of
from fedlab_nb.parties import Rows
from fedlab_nb.vertical import Factor


def crosstab(source: Source, sides: tuple[Source, Source], names: tuple[str, str], epsilon: float | None) -> Answer:
    """How many rows have each pair of values of two owners' columns; ``sides`` are these owners alone.

    The key holder counts pairs, and keeps back small cells and what they could be worked out from.
    """
    purpose = f"a cross table of {names[0]} and {names[1]}"
    check_joint(source, purpose, epsilon)
    axes = []
    for side, name in zip(sides, names, strict=True):
        with inquire(side, purpose, epsilon) as inquiry:
            axes.append(Categories(name, inquiry.known([name])[name]))
    factors = [counted_by(owner_of(source, name), axis) for name, axis in zip(names, axes, strict=True)]
    with ask_jointly(source, purpose, names) as joint:
        counts = joint.products("pair count", factors[0], factors[1], hide)
        index, columns = (pd.Index(axis.labels, name=axis.column) for axis in axes)
        return joint_answer(pd.DataFrame(whole(counts), index=index, columns=columns), joint, "heat")


def counted_by(owner: str, *axes: Axis) -> Factor:
    """An owner's side of a count: one column of 0 and 1 for each cell of each axis."""
    return Factor(owner, sum(axis.size for axis in axes), partial(_cells, axes=axes), bits=0)


def _cells(rows: Rows, axes: tuple[Axis, ...]) -> Floats:
    """Whether each row is in each cell (n, cells)."""
    table = table_of(rows)
    columns = [axis.codes(table)[:, None] == np.arange(axis.size) for axis in axes]
    return np.column_stack(columns).astype(np.float64)
