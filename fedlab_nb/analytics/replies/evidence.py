"""Weight of evidence of every column for an event, and drift between owners."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from fedlab_nb.analytics.answers import NOISE, Answer, answered
from fedlab_nb.analytics.apart.asked import question
from fedlab_nb.analytics.asking import Inquiry, inquire
from fedlab_nb.analytics.questions.cells import (
    Axis,
    Bins,
    Categories,
    Outcome,
    adjacent,
    check_events,
    count_cells,
    cut,
)
from fedlab_nb.analytics.questions.contrasts import information_value, jensen_shannon, stability_index, woe
from fedlab_nb.analytics.questions.quantiles import fine_bins
from fedlab_nb.analytics.questions.question import Floats, Total
from fedlab_nb.analytics.questions.small import MIN_COUNT, levelled, merged, shown_bins
from fedlab_nb.analytics.replies import quantiles
from fedlab_nb.analytics.source import Source
from fedlab_nb.errors import SettingError

Merge = list[int]


@question("weights of evidence")
def weigh(source: Source, outcome: Outcome, columns: Sequence[str], bins: int, epsilon: float | None) -> Answer:
    """Weight of evidence of each bin, and information value of each column, for an event.

    Numeric columns are binned at their quantiles, all rows together; categories are bins already. Without noise,
    neighbours are put together until none has a small number of events or others, and everything is computed from the
    counts that are shown; NaN stands for a column of which not even so much can be.
    """
    check_bins(bins)
    with inquire(source, f"weight of evidence for {outcome.column} = {outcome.event}", epsilon) as inquiry:
        axes = axes_of(inquiry, columns, bins)
        question = count_cells("evidence count", *([axis, outcome] for axis in axes), hidden=together)
        total = inquiry.sum(question)
        if inquiry.exact and source.values_of(source.column(outcome.column)) is None:
            check_events(outcome, float(total.values[::2].sum()))
        sizes = [2 * axis.size for axis in axes]
        parts = zip(axes, cut(inquiry.shown(question, total), sizes), cut(total.noise_sd, sizes), strict=True)
        tables = [evidence_of(axis, Total(counts, sd), bins) for axis, counts, sd in parts]
        table = pd.concat(tables, keys=list(columns), names=["column", "bin"])
        inquiry.hidden = 2 * int(table["events"].isna().sum())
        coarser = sum(axis.size for axis in axes) - len(table) if inquiry.exact else 0
        note = f"Neighbouring bins were put together, so that no cell is small: {coarser} fewer." if coarser else ""
        return answered(table, inquiry, "evidence", note)


def together(counts: Floats, sizes: tuple[int, ...]) -> Floats:
    """Neighbouring bins put together until no cell of events and others is small."""
    return merged(counts.reshape(1, *sizes))


def evidence_of(axis: Axis, total: Total, bins: int) -> pd.DataFrame:
    """One column's bins with their events, others, weight of evidence and information value, from what is shown."""
    counts = total.values.reshape(-1, 2)
    if total.exact:
        last = shown_bins(counts[None])
        starts = [0, *map(int, last[:-1] + 1)]
        labels, counts = _joined(axis, starts), counts[last] if len(last) else np.full((1, 2), np.nan)
    else:
        coarse, starts = _coarser(axis, counts.sum(axis=1), bins, exact=False)
        labels, counts = coarse.labels, np.add.reduceat(counts, starts, axis=0)
    sd = np.sqrt(np.add.reduceat(total.noise_sd.reshape(-1, 2) ** 2, starts, axis=0))
    enough = bool((counts.sum(axis=0) >= MIN_COUNT - 1e-3).all())
    table = pd.DataFrame(counts, index=labels, columns=["events", "others"])
    table["woe"] = woe(counts, sd) if enough else np.nan
    table["iv"] = information_value(counts, sd) if enough else np.nan
    if not total.exact:
        released = Total(counts.ravel(), sd.ravel())
        table[NOISE] = released.noise_se(lambda values: woe(values.reshape(-1, 2), sd))
        table["noise se of iv"] = released.noise_se(
            lambda values: np.array([information_value(values.reshape(-1, 2), sd)])
        )[0]
    return table


def _joined(axis: Axis, starts: Merge) -> list[object]:
    """The labels of bins put together: from the first's lower to the last's upper edge, or all categories' names."""
    if isinstance(axis, Bins):
        return replace(axis, edges=(*(axis.edges[start] for start in starts), axis.edges[-1])).labels
    groups = np.split(np.arange(axis.size), starts[1:])
    names = [[axis.labels[place] for place in group] for group in groups]
    return [group[0] if len(group) == 1 else " or ".join(map(str, group)) for group in names]


def drift(source: Source, columns: Sequence[str], bins: int, epsilon: float | None) -> Answer:
    """How each owner's distribution of each column differs from that of all owners together.

    The population stability index (under 0.1 is usually read as none, over 0.25 as a large change) and the
    Jensen-Shannon distance (0 to 1). Each owner's counts are a release of its own.
    """
    check_bins(bins)
    if source.owner is not None:
        raise SettingError(
            f"Drift was asked of {source.owner!r} alone.",
            "It compares the owners with each other.",
            "Ask the frame of the whole federation: fl.PrivateFrame(federation).drift().",
        )
    with inquire(source, "drift between owners", epsilon) as inquiry:
        axes = axes_of(inquiry, columns, bins)
        question = count_cells("drift count", *([axis] for axis in axes), hidden=lambda counts, _: levelled(counts))
        answers = inquiry.each(question)
        counts = np.array([total.values for total in answers.values()])
        noise = np.array([total.noise_sd for total in answers.values()])
        sizes = [axis.size for axis in axes]
        starts = [
            _coarser(axis, whole, bins, exact=inquiry.exact)[1]
            for axis, whole in zip(axes, cut(counts.sum(axis=0), sizes), strict=True)
        ]

        def read(values: Floats) -> Floats:
            return _distances(values.reshape(counts.shape), noise, sizes, starts)

        total = Total(counts.ravel(), noise.ravel())
        index = pd.MultiIndex.from_product([list(answers), list(columns)], names=["owner", "column"])
        table = pd.DataFrame(read(total.values), index=index, columns=["psi", "js distance"])
        if not inquiry.exact:
            errors = total.noise_se(read)
            table[NOISE], table["noise se of js distance"] = errors[:, 0], errors[:, 1]
        even = "Cells of fewer than 5 rows were evened out beside the rows." if inquiry.exact else "Noise raises both."
        return answered(table, inquiry, "drift", f"Each owner's counts left by themselves. {even}")


def _distances(counts: Floats, noise: Floats, sizes: Sequence[int], starts: Sequence[Merge]) -> Floats:
    """PSI and JS distance (owners * columns, 2) of each owner's counts (owners, d) against those of all."""
    edges = np.cumsum(sizes)[:-1]
    found = []
    for own, variance, first in zip(np.split(counts, edges, 1), np.split(noise**2, edges, 1), starts, strict=True):
        mine = np.add.reduceat(own, first, axis=1)
        sd, all_rows = np.sqrt(np.add.reduceat(variance, first, axis=1)), mine.sum(axis=0)
        found.append([stability_index(mine, all_rows, sd), jensen_shannon(mine, all_rows)])
    return np.array(found).transpose(2, 0, 1).reshape(-1, 2)


def axes_of(inquiry: Inquiry, columns: Sequence[str], bins: int) -> list[Axis]:
    """One axis for each column: quantile bins without noise, fine bins to be put together with it, or categories."""
    source = inquiry.source
    numeric = [name for name in columns if source.column(name).kind == "numeric" and not source.categories_of(name)]
    known = inquiry.known([name for name in columns if name not in numeric])
    found: dict[str, Axis] = {name: Categories(name, values) for name, values in known.items()}
    if numeric and inquiry.exact:
        levels = [i / bins for i in range(1, bins)]
        for name, inner in zip(numeric, quantiles.exact(inquiry, numeric, levels), strict=True):
            edges = np.unique(inner[~np.isnan(inner)])
            found[name] = Bins(name, (-np.inf, *map(float, edges), np.inf), right=True, open_ended=True)
        inquiry.hidden = 0
    elif numeric:
        limits = inquiry.limits(numeric)
        found |= {name: replace(fine_bins(name, limits[name]), right=True) for name in numeric}
    return [found[name] for name in columns]


def _coarser(axis: Axis, counts: Floats, bins: int, *, exact: bool) -> tuple[Axis, Merge]:
    """An axis whose fine bins are put together into ``bins`` of about equal count; others stay as they are."""
    if exact or not isinstance(axis, Bins):
        return axis, list(range(axis.size))
    starts, edges = adjacent(counts, axis.edges, bins)
    return replace(axis, edges=edges), starts


def check_bins(bins: object) -> None:
    """Refuse a number of bins that is none.

    Raises:
        SettingError: unless it is a whole number from 2 to 50.
    """
    if type(bins) is not int or not 2 <= bins <= 50:
        raise SettingError(
            f"bins is {bins!r}.",
            "Every column is cut into so many bins of about equal count.",
            "Give a whole number from 2 to 50, such as 10.",
        )
