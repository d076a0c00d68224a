"""Quantiles of columns: between exact means of neighbouring values, or from one noisy histogram."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from fedlab_nb.analytics.answers import NOISE, Answer, Number, answered
from fedlab_nb.analytics.apart.asked import question
from fedlab_nb.analytics.asking import Inquiry, inquire
from fedlab_nb.analytics.questions.cells import Bins, count_cells, cut
from fedlab_nb.analytics.questions.quantiles import exact_quantiles, fine_bins, own_quantiles, read_quantiles
from fedlab_nb.analytics.questions.question import Floats, Total
from fedlab_nb.analytics.source import Source
from fedlab_nb.analytics.values import plain_number
from fedlab_nb.errors import SettingError

BETWEEN = "Quantiles are read between means of five or more neighbouring values, so that none is a single row's."


@question("quantiles")
def quantile(source: Source, columns: Sequence[str], given: Sequence[object], epsilon: float | None) -> Answer:
    """The quantiles of some columns: one row for each level, one column for each column."""
    levels = checked_levels(given)
    with inquire(source, f"quantiles of {', '.join(columns)}", epsilon) as inquiry:
        if inquiry.exact:
            found, errors = exact(inquiry, columns, levels), None
        else:
            bins = [fine_bins(name, source.bounds_of(name)) for name in columns]
            total = inquiry.sum(count_cells("quantile count", *([axis] for axis in bins)))
            found, errors = noisy(total, bins, levels)
        table = pd.DataFrame(found.T, index=pd.Index(list(levels), name="quantile"), columns=list(columns))
        answer = answered(table, inquiry, "lines", BETWEEN if inquiry.exact else "")
    if errors is not None:
        answer.attrs[NOISE] = errors.T.tolist()
    return answer


def one_quantile(source: Source, column: str, level: object, epsilon: float | None) -> Number:
    """One quantile of one column."""
    answer = quantile(source, [column], [level], epsilon)
    errors = answer.attrs.get(NOISE)
    return Number(float(answer.to_numpy()[0, 0]), errors[0][0] if errors else 0.0, answer.attrs)


def exact(inquiry: Inquiry, columns: Sequence[str], levels: Sequence[float]) -> Floats:
    """The quantiles (c, q) without noise, none of them a row's own; NaN where fewer than five rows lie on one side."""
    limits = {name: inquiry.source.bounds_of(name) for name in columns}
    if inquiry.source.owner is not None:
        found = inquiry.sum(own_quantiles(columns, levels, limits)).values.reshape(len(columns), -1)
    else:
        found = exact_quantiles(columns, levels, limits, lambda question: inquiry.sum(question).values)
    inquiry.hidden += int(np.isnan(found).sum())
    return found


def noisy(total: Total, bins: Sequence[Bins], levels: Sequence[float]) -> tuple[Floats, Floats]:
    """The quantiles (c, q) from noisy counts, all columns' bins in a row, and the noise's standard errors."""
    sizes, noise_sd = [axis.size for axis in bins], float(total.noise_sd[0])

    def read(values: Floats) -> Floats:
        lines = zip(cut(values, sizes), bins, strict=True)
        return np.array([read_quantiles(counts, axis.edges, levels, noise_sd) for counts, axis in lines])

    return read(total.values), total.noise_se(read)


def checked_levels(levels: Sequence[object]) -> list[float]:
    """The quantiles asked for as plain numbers, the smallest and the largest value not among them.

    Raises:
        SettingError: for a level that does not lie between 0 and 1.
    """
    found = []
    for level in levels:
        number = plain_number(level)
        if number is None or not 0.0 < number < 1.0:
            raise SettingError(
                f"The quantile {level!r} was asked for.",
                "A quantile is a share of the rows between 0 and 1; at the ends it would be the value of one row.",
                "Ask for .01 or .99, for example, in place of the smallest or the largest value.",
            )
        found.append(float(number))
    if not found:
        raise SettingError("No quantile was named.", "A quantile is a share of the rows.", "Ask for [.25, .5, .75].")
    return found
