"""Cross tables of columns of two owners."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import pandas as pd

from fedlab_nb.analytics.answers import Answer, whole
from fedlab_nb.analytics.apart.alone import alone
from fedlab_nb.analytics.apart.asked import question
from fedlab_nb.analytics.apart.sides import owner_of, side_of
from fedlab_nb.analytics.asking import inquire
from fedlab_nb.analytics.questions.cells import Axis, Categories
from fedlab_nb.analytics.questions.question import Floats
from fedlab_nb.analytics.questions.small import hide
from fedlab_nb.analytics.source import Source, table_of
from fedlab_nb.analytics.vertical.asking import ask_jointly, check_joint, joint_answer
from fedlab_nb.parties import Rows
from fedlab_nb.vertical import Factor


@question("cross table across owners")
def crosstab(source: Source, names: Sequence[str], epsilon: float | None) -> Answer:
    """How many rows have each pair of values of two owners' columns.

    The key holder counts pairs, and keeps back small cells and what they could be worked out from.
    """
    first, second = names
    purpose = f"a cross table of {first} and {second}"
    check_joint(source, purpose, epsilon)
    owners = [owner_of(source, name) for name in names]
    axes = [_axis(side_of(source, owner), name, purpose) for owner, name in zip(owners, names, strict=True)]
    with ask_jointly(source, purpose, names, multiplied=True) as joint:
        rows = joint.sizes(owners[0], owners[1], lambda: [axes[0]], 1)
        cells = joint.sizes(owners[1], owners[0], lambda: [axes[1]], 1)
        left = counted_by(owners[0], rows, lambda: [axes[0]])
        right = counted_by(owners[1], cells, lambda: [axes[1]])
        counts = joint.products("pair count", left, right, hide, lambda: (*rows, *cells))

        def table() -> Answer:
            index, columns = (pd.Index(axis.labels, name=axis.column) for axis in axes)
            return joint_answer(pd.DataFrame(whole(counts), index=index, columns=columns), joint, "heat")

        return joint.answer(table)


def _axis(side: Source, name: str, purpose: str) -> Categories:
    """The values of one owner's column, as it and the server know them."""

    def known() -> Categories:
        with inquire(side, purpose, None) as inquiry:
            return Categories(name, inquiry.known([name])[name])

    return alone(side, known)


def counted_by(owner: str, sizes: Sequence[int], axes: Callable[[], Sequence[Axis]]) -> Factor:
    """An owner's side of a count: one column of 0 and 1 for each cell of each of its axes, of which ``sizes`` tell."""
    return Factor(owner, sum(sizes), partial(_cells, axes=axes), bits=0)


def _cells(rows: Rows, axes: Callable[[], Sequence[Axis]]) -> Floats:
    """Whether each row is in each cell (n, cells)."""
    table = table_of(rows)
    columns = [axis.codes(table)[:, None] == np.arange(axis.size) for axis in axes()]
    return np.column_stack(columns).astype(np.float64)
