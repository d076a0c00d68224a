"""One column at a time: mean, spread, sum; and describe, all numeric columns at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd

from fedlab_nb.analytics.answers import Answer, Number, Standardiser, answered, facts_of
from fedlab_nb.analytics.apart.asked import question
from fedlab_nb.analytics.asking import Inquiry, inquire
from fedlab_nb.analytics.questions.cells import count_cells
from fedlab_nb.analytics.questions.moments import read_powers, sum_powers, whole_range
from fedlab_nb.analytics.questions.quantiles import fine_bins
from fedlab_nb.analytics.questions.question import Floats, Range, Total, joined
from fedlab_nb.analytics.replies import quantiles
from fedlab_nb.analytics.source import Source

Statistic = Literal["mean", "std", "var", "sum"]
POWER = {"mean": 1, "sum": 1, "var": 2, "std": 2}
QUARTERS = (0.25, 0.5, 0.75)


@question("statistic")
def statistic(source: Source, column: str, which: Statistic, epsilon: float | None) -> Number:
    """One statistic of one numeric column, with the noise's standard error."""
    with inquire(source, f"the {which} of {column}", epsilon) as inquiry:
        ranges = inquiry.ranges([column])
        if which == "sum":
            ranges = {column: whole_range(ranges[column])}
        question = sum_powers(ranges, POWER[which])
        total = inquiry.sum(question)
        values = inquiry.shown(question, total)

        def read(sums: Floats) -> Floats:
            return read_statistic(sums, ranges, which, total.noise_sd[0])

        found, error = read(values)[0, 0], total.noise_se(read)[0, 0]
        return Number(float(found), float(error), facts_of(inquiry))


def read_statistic(sums: Floats, ranges: dict[str, Range], which: str, noise_sd: float) -> Floats:
    """One statistic (c, g) from sums of powers; a sum needs ranges around zero."""
    if which == "sum":
        half = np.array([high for _, high in ranges.values()])[:, None]
        return half * sums.reshape(len(ranges), -1, 2)[:, :, 1]
    return read_powers(sums, ranges, POWER[which], noise_sd)[which]


@question("description")
def describe(source: Source, columns: Sequence[str], epsilon: float | None) -> Answer:
    """Count, mean, standard deviation and quartiles of numeric columns, oriented as pandas does."""
    with inquire(source, "a description of the columns", epsilon) as inquiry:
        table = _exact(inquiry, columns) if inquiry.exact else _noisy(inquiry, columns)
        return answered(table, inquiry, "boxes", quantiles.BETWEEN if inquiry.exact else "")


def _exact(inquiry: Inquiry, columns: Sequence[str]) -> pd.DataFrame:
    ranges = inquiry.ranges(columns)
    question = sum_powers(ranges)
    read = read_powers(inquiry.shown(question, inquiry.sum(question)), ranges, 2)
    return _description(columns, read, quantiles.exact(inquiry, columns, QUARTERS))


def _noisy(inquiry: Inquiry, columns: Sequence[str]) -> pd.DataFrame:
    """Sums and histograms in one release, half of its privacy each."""
    ranges = inquiry.ranges(columns)
    bins = [fine_bins(name, ranges[name]) for name in columns]
    powers = sum_powers(ranges)
    question = joined("description", powers, count_cells("bin count", *([axis] for axis in bins)))
    total = inquiry.sum(question)
    size = powers.scale.size
    sums = Total(total.values[:size], total.noise_sd[:size])
    counts = Total(total.values[size:], total.noise_sd[size:])

    def read(values: Floats) -> Floats:
        found = read_powers(values, ranges, 2, sums.noise_sd[0])
        return np.stack([found[key][:, 0] for key in ("count", "mean", "std")])

    errors = sums.noise_se(read)
    errors[0] = sums.noise_sd[0]
    found, quarters = quantiles.noisy(counts, bins, QUARTERS)
    table = _description(columns, read_powers(sums.values, ranges, 2, sums.noise_sd[0]), found)
    for row, name in enumerate(table.index[:6].tolist()):
        table.loc[f"noise se of {name}"] = errors[row] if row < 3 else quarters[:, row - 3]
    return table


def _description(columns: Sequence[str], read: dict[str, Floats], quarters: Floats) -> pd.DataFrame:
    lines = [*(read[key][:, 0] for key in ("count", "mean", "std")), *quarters.T]
    return pd.DataFrame(lines, index=["count", "mean", "std", "25%", "50%", "75%"], columns=list(columns))


@question("centre and scale")
def standardise(source: Source, columns: Sequence[str], epsilon: float | None) -> Standardiser:
    """Mean and standard deviation of numeric columns, to scale frames of one's own by."""
    with inquire(source, "centre and scale of the columns", epsilon) as inquiry:
        ranges = inquiry.ranges(columns)
        question = sum_powers(ranges)
        total = inquiry.sum(question)

        def read(sums: Floats) -> Floats:
            found = read_powers(sums, ranges, 2, total.noise_sd[0])
            return np.column_stack([found["mean"][:, 0], found["std"][:, 0]])

        table = pd.DataFrame(read(inquiry.shown(question, total)), index=list(columns), columns=["centre", "scale"])
        if not inquiry.exact:
            errors = total.noise_se(read)
            table["noise se of centre"], table["noise se of scale"] = errors[:, 0], errors[:, 1]
        return Standardiser(answered(table, inquiry, "bars"))
