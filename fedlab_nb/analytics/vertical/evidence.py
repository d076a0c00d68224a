"""Weight of evidence and information value of columns for an event that another owner knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd

from fedlab_nb.analytics.answers import Answer
from fedlab_nb.analytics.apart.alone import alone
from fedlab_nb.analytics.apart.asked import question
from fedlab_nb.analytics.apart.sides import held, owner_of, side_of
from fedlab_nb.analytics.apart.training import Training
from fedlab_nb.analytics.asking import inquire
from fedlab_nb.analytics.questions.cells import Axis, Bins, Categories, Outcome, check_events, count_cells, cut
from fedlab_nb.analytics.questions.question import Floats, Total
from fedlab_nb.analytics.questions.small import shown_bins
from fedlab_nb.analytics.replies import evidence
from fedlab_nb.analytics.source import Source
from fedlab_nb.analytics.vertical.asking import Joint, ask_jointly, check_joint, joint_answer
from fedlab_nb.analytics.vertical.tables import counted_by
from fedlab_nb.vertical.scorecard.evidence import BinnedColumn, Evidence

Cells = tuple[Axis, Floats]
TOGETHER = "Neighbouring bins were put together, so that no cell is small."


@question("weights of evidence across owners")
def weigh(source: Source, outcome: Outcome, columns: Sequence[str], bins: int, epsilon: float | None) -> Answer:
    """Weight of evidence of each bin, and information value of each column, of several owners.

    Each owner bins its own columns at their quantiles. The owner that knows the event seals, for each row, whether it
    happened; the others add that up over the rows of each bin. The key holder opens the counts and puts neighbouring
    bins together until none is small. The owner of the event counts its own columns by itself. ``attrs["evidence"]``
    has the bins with all their digits, for models that read columns so.
    """
    evidence.check_bins(bins)
    purpose = f"weight of evidence for {outcome.column} = {outcome.event}"
    label_owner, by_owner = owner_of(source, outcome.column), held(source, columns)
    others = {owner: names for owner, names in by_owner.items() if owner != label_owner}
    if others:
        check_joint(source, purpose, epsilon)
    mine: dict[str, Cells] = {}
    if label_owner in by_owner:
        side, own_names = side_of(source, label_owner), by_owner[label_owner]
        mine = alone(side, lambda: _own(side, outcome, own_names, bins, epsilon))
    axes = {owner: _binned(side_of(source, owner), names, bins, purpose) for owner, names in others.items()}
    with ask_jointly(source, purpose, [outcome.column, *columns], multiplied=bool(others)) as joint:
        counts = {
            owner: _counted(joint, outcome, label_owner, owner, axes[owner], len(names))
            for owner, names in others.items()
        }

        def answer() -> Answer:
            cells = dict(mine)
            for owner, found in axes.items():
                parts = cut(counts[owner], [2 * axis.size for axis in found.values()])
                cells |= dict(zip(found, zip(found.values(), parts, strict=True), strict=True))
            return _answered(joint, outcome, {name: cells[name] for name in columns}, bins)

        return joint.answer(answer)


def _answered(joint: Joint, outcome: Outcome, cells: Mapping[str, Cells], bins: int) -> Answer:
    """The table of all columns' bins, as they are told."""
    tables = {name: _told(axis, counts, bins) for name, (axis, counts) in cells.items()}
    table = pd.concat(tables, names=["column", "bin"])
    joint.hidden = 2 * int(table["events"].isna().sum())
    answer = joint_answer(table, joint, "evidence", TOGETHER)
    known = [_binned_column(name, *cells[name], tables[name]) for name in cells if tables[name]["woe"].notna().all()]
    training = isinstance(joint.source, Training)
    answer.attrs["evidence"] = Evidence(outcome.column, outcome.event, tuple(known), training)
    return answer


def _own(side: Source, outcome: Outcome, names: Sequence[str], bins: int, epsilon: float | None) -> dict[str, Cells]:
    """What the owner of the event counts by itself: its columns' bins, and events and others in each."""
    with inquire(side, f"weight of evidence for {outcome.column} = {outcome.event}", epsilon) as inquiry:
        axes = evidence.axes_of(inquiry, names, bins)
        question = count_cells("evidence count", *([axis, outcome] for axis in axes), hidden=evidence.together)
        total = inquiry.sum(question)
        if side.values_of(side.column(outcome.column)) is None:
            check_events(outcome, float(np.nansum(total.values[::2])))
        counts = cut(inquiry.shown(question, total), [2 * axis.size for axis in axes])
        return dict(zip(names, zip(axes, counts, strict=True), strict=True))


def _told(axis: Axis, counts: Floats, bins: int) -> pd.DataFrame:
    return evidence.evidence_of(axis, Total(counts, np.zeros_like(counts)), bins)


def _binned_column(name: str, axis: Axis, counts: Floats, table: pd.DataFrame) -> BinnedColumn:
    """One column's bins as they are told, small ones put together, with all digits of their edges."""
    starts = [int(last) + 1 for last in shown_bins(counts.reshape(1, -1, 2))[:-1]]
    labels, weights = tuple(map(str, table.index)), tuple(map(float, table["woe"]))
    if isinstance(axis, Bins):
        return BinnedColumn(name, labels, weights, edges=tuple(float(axis.edges[start]) for start in starts))
    values = axis.values if isinstance(axis, Categories) else tuple(axis.labels)
    return BinnedColumn(
        name, labels, weights, groups=tuple(values[a:b] for a, b in pairwise([0, *starts, len(values)]))
    )


def _binned(side: Source, names: Sequence[str], bins: int, purpose: str) -> dict[str, Axis]:
    """The bins of one owner's columns, as it names them itself, and the server knows them."""

    def named() -> dict[str, Axis]:
        with inquire(side, purpose, None) as inquiry:
            return dict(zip(names, evidence.axes_of(inquiry, names, bins), strict=True))

    return alone(side, named)


def _counted(
    joint: Joint, outcome: Outcome, label_owner: str, owner: str, axes: Mapping[str, Axis], number: int
) -> Floats:
    """At the server: the numbers of events and others in the bins of all axes (2 * size,), small ones put together."""

    def its() -> list[Axis]:
        return list(axes.values())

    sizes = joint.sizes(owner, label_owner, its, number)
    known = joint.source.values_of(joint.source.column(outcome.column))

    def read(sums: Floats) -> Floats:
        if known is None:
            check_events(outcome, float(sums[0].sum()))
        parts = [evidence.together(part.ravel(), part.shape) for part in np.split(sums.T, np.cumsum(sizes)[:-1])]
        return np.concatenate([part.ravel() for part in parts])

    events = counted_by(label_owner, [outcome.size], lambda: [outcome])
    return joint.products("evidence count", events, counted_by(owner, sizes, its), read, lambda: [2 * sum(sizes)])


def information(weights: Answer) -> Answer:
    """The information value of each column, the highest first, from their weights of evidence."""
    table = weights["iv"].groupby(level="column", sort=False).first().sort_values(ascending=False).to_frame()
    made = Answer(table)
    question = str(weights.attrs["question"]).replace("Weight of evidence", "Information value")
    made.attrs.update({**weights.attrs, "question": question, "figure": "bars"})
    return made
