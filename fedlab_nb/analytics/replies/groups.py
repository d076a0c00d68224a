"""Groups of rows side by side: a statistic for each group, and Welch's test of two."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from fedlab_nb.analytics.answers import NOISE, Answer, answered, whole
from fedlab_nb.analytics.apart.asked import question
from fedlab_nb.analytics.asking import Inquiry, inquire
from fedlab_nb.analytics.questions.cells import Categories, count_cells, shape
from fedlab_nb.analytics.questions.contrasts import welch
from fedlab_nb.analytics.questions.moments import read_powers, sum_powers, whole_range
from fedlab_nb.analytics.questions.question import Floats
from fedlab_nb.analytics.replies.columns import POWER, read_statistic
from fedlab_nb.analytics.source import Source
from fedlab_nb.analytics.values import values_of
from fedlab_nb.errors import SettingError

MOST_GROUPS = 1000


@question("statistic by group")
def grouped(source: Source, keys: Sequence[str], column: str, which: str, epsilon: float | None) -> Answer:
    """One statistic of a numeric column for each group, beside how many values are behind it."""
    with inquire(source, f"the {which} of {column} by {', '.join(keys)}", epsilon) as inquiry:
        axes = _axes(inquiry, keys)
        ranges = inquiry.ranges([column])
        if which == "sum":
            ranges = {column: whole_range(ranges[column])}
        power = POWER[which]
        question = sum_powers(ranges, power, axes)
        total = inquiry.sum(question)
        values, noise_sd = inquiry.shown(question, total), float(total.noise_sd[0])
        inquiry.hidden //= power + 1  # all sums of a group are hidden together

        def read(sums: Floats) -> Floats:
            found: Floats = read_statistic(sums, ranges, which, noise_sd)[0]
            return found

        table = pd.DataFrame({which: read(values), "rows": values.reshape(-1, power + 1)[:, 0]}, index=_index(axes))
        if not inquiry.exact:
            table[NOISE] = total.noise_se(read)
        return answered(table, inquiry, "bars")


@question("sizes of groups")
def sizes(source: Source, keys: Sequence[str], name: str, epsilon: float | None) -> Answer:
    """How many rows each group has, in a column called ``name``."""
    with inquire(source, f"the {name} of groups by {', '.join(keys)}", epsilon) as inquiry:
        axes = _axes(inquiry, keys)
        question = count_cells("group count", axes)
        total = inquiry.sum(question)
        shown = inquiry.shown(question, total)
        table = pd.DataFrame({name: whole(shown) if inquiry.exact else shown}, index=_index(axes))
        if not inquiry.exact:
            table[NOISE] = total.noise_sd
        return answered(table, inquiry, "bars")


@question("Welch's t-test")
def ttest(source: Source, column: str, by: str, groups: object, epsilon: float | None) -> Answer:
    """Welch's test of whether a column has the same mean in two groups.

    Under noise the standard error holds the noise too, so that noise is not taken for an effect.
    """
    with inquire(source, f"Welch's t-test of {column} by {by}", epsilon) as inquiry:
        named = () if groups is None else values_of(groups, "The groups of a t-test")
        values = tuple(named) or inquiry.known([by])[by]
        if len(values) != 2 or values[0] == values[1]:
            raise SettingError(
                f"Welch's test compares two groups, and {by!r} has {len(values)}: {list(values)[:8]!r}.",
                "With more groups it is not said which two means are to be compared.",
                f'Name the two: ttest("{column}", by="{by}", groups=("a", "b")).',
            )
        axis, ranges = Categories(by, values), inquiry.ranges([column])
        question = sum_powers(ranges, 2, [axis])
        total = inquiry.sum(question)
        shown, noise_sd = inquiry.shown(question, total), float(total.noise_sd[0])
        inquiry.hidden //= 3
        found = {key: value[0] for key, value in read_powers(shown, ranges, 2, noise_sd).items()}

        def difference(sums: Floats) -> Floats:
            mean: Floats = read_powers(sums, ranges, 2, noise_sd)["mean"][0]
            return mean[:1] - mean[1:]

        noise = float(total.noise_se(difference)[0])
        gap, error, t, p = welch(found["count"], found["mean"], found["var"], noise**2)
        facts = {f"mean of {value}": mean for value, mean in zip(values, found["mean"], strict=True)}
        line = {**facts, "difference": gap, "standard error": error, "t": t, "p value": p}
        if not inquiry.exact:
            line[NOISE] = noise
        return answered(pd.DataFrame([line], index=[f"{values[0]} - {values[1]}"]), inquiry, "test")


def _axes(inquiry: Inquiry, keys: Sequence[str]) -> list[Categories]:
    known = inquiry.known(keys)
    axes = [Categories(name, known[name]) for name in keys]
    number = math.prod(shape(axes))
    if number > MOST_GROUPS:
        raise SettingError(
            f"Groups by {', '.join(keys)} are {number:,} in number.",
            f"With more than {MOST_GROUPS:,} groups few rows are left in each, and the table rather lists rows.",
            "Group by fewer columns, or declare fewer categories.",
        )
    return axes


def _index(axes: Sequence[Categories]) -> pd.Index:
    if len(axes) == 1:
        return pd.Index(axes[0].labels, name=axes[0].column)
    return pd.MultiIndex.from_product([axis.labels for axis in axes], names=[axis.column for axis in axes])
