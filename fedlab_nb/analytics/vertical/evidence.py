"""Weight of evidence and information value of columns for an event that another owner knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd

from fedlab_nb.analytics.answers import Answer
from fedlab_nb.analytics.asking import inquire
from fedlab_nb.analytics.questions.cells import Axis, Bins, Categories, Outcome, check_events, count_cells, cut
from fedlab_nb.analytics.questions.question import Floats, Total
from fedlab_nb.analytics.questions.small import shown_bins
from fedlab_nb.analytics.replies import evidence
from fedlab_nb.analytics.source import Source
from fedlab_nb.analytics.vertical.asking import Joint, ask_jointly, check_joint, joint_answer, owner_of
from fedlab_nb.analytics.vertical.tables import counted_by
from fedlab_nb.analytics.vertical.training import Training
from fedlab_nb.vertical.scorecard.evidence import BinnedColumn, Evidence

Cells = tuple[Axis, Floats]
TOGETHER = "Neighbouring bins were put together, so that no cell is small."


def weigh(
    source: Source,
    sides: Mapping[str, Source],
    outcome: Outcome,
    columns: Sequence[str],
    bins: int,
    epsilon: float | None,
) -> Answer:
    """Weight of evidence of each bin, and information value of each column; ``sides`` are the owners one by one.

    Each owner bins its own columns at their quantiles. The owner that knows the event seals, for each row, whether it
    happened; the others add that up over the rows of each bin. The key holder opens the counts and puts neighbouring
    bins together until none is small. The owner of the event counts its own columns by itself. ``attrs["evidence"]``
    has the bins with all their digits, for models that read columns so.
    """
    evidence.check_bins(bins)
    purpose = f"weight of evidence for {outcome.column} = {outcome.event}"
    label_owner = owner_of(source, outcome.column)
    held: dict[str, list[str]] = {}
    for name in columns:
        held.setdefault(owner_of(source, name), []).append(name)
    if any(owner != label_owner for owner in held):
        check_joint(source, purpose, epsilon)
    cells: dict[str, Cells] = {}
    if label_owner in held:
        cells |= _own(sides[label_owner], outcome, held[label_owner], bins, epsilon)
    others = {
        owner: _binned(sides[owner], names, bins, purpose) for owner, names in held.items() if owner != label_owner
    }
    with ask_jointly(source, purpose, [outcome.column, *columns]) as joint:
        for owner, axes in others.items():
            found = _counted(joint, outcome, label_owner, owner, list(axes.values()))
            cells |= dict(zip(axes, zip(axes.values(), found, strict=True), strict=True))
        tables = {name: _told(*cells[name], bins) for name in columns}
        table = pd.concat(tables, names=["column", "bin"])
        joint.hidden = 2 * int(table["events"].isna().sum())
        answer = joint_answer(table, joint, "evidence", TOGETHER)
        known = [
            _binned_column(name, *cells[name], tables[name]) for name in columns if tables[name]["woe"].notna().all()
        ]
        answer.attrs["evidence"] = Evidence(outcome.column, outcome.event, tuple(known), isinstance(source, Training))
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
    """The bins of one owner's columns, as it names them itself."""
    with inquire(side, purpose, None) as inquiry:
        return dict(zip(names, evidence.axes_of(inquiry, names, bins), strict=True))


def _counted(joint: Joint, outcome: Outcome, label_owner: str, owner: str, axes: Sequence[Axis]) -> list[Floats]:
    """For each axis the numbers of events and others in its bins (2 * size,), small ones put together."""
    sizes = [axis.size for axis in axes]
    known = joint.source.values_of(joint.source.column(outcome.column))

    def read(sums: Floats) -> Floats:
        if known is None:
            check_events(outcome, float(sums[0].sum()))
        parts = [evidence.together(part.ravel(), part.shape) for part in np.split(sums.T, np.cumsum(sizes)[:-1])]
        return np.concatenate([part.ravel() for part in parts])

    counts = joint.products("evidence count", counted_by(label_owner, outcome), counted_by(owner, *axes), read)
    return cut(counts, [2 * size for size in sizes])


def information(weights: Answer) -> Answer:
    """The information value of each column, the highest first, from their weights of evidence."""
    table = weights["iv"].groupby(level="column", sort=False).first().sort_values(ascending=False).to_frame()
    made = Answer(table)
    question = str(weights.attrs["question"]).replace("Weight of evidence", "Information value")
    made.attrs.update({**weights.attrs, "question": question, "figure": "bars"})
    return made
