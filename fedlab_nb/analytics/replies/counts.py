"""How many: rows, categories, bins, cross tables, missing values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fedlab_nb.analytics.answers import NOISE, Answer, Number, answered, facts_of, whole
from fedlab_nb.analytics.apart.asked import question
from fedlab_nb.analytics.asking import Inquiry, inquire
from fedlab_nb.analytics.conditions import Both, Condition
from fedlab_nb.analytics.questions.cells import Axis, Bins, Categories, Split, count_cells, count_missing, count_rows
from fedlab_nb.analytics.questions.question import Floats
from fedlab_nb.analytics.source import Source
from fedlab_nb.analytics.values import members, plain_number, plain_value
from fedlab_nb.errors import SettingError


@question("number of rows")
def rows(source: Source, purpose: str, epsilon: float | None) -> Number:
    """How many rows there are.

    Without noise, a count under a condition is hidden too where it leaves a small rest of what is counted without it:
    the one minus the other would be that rest. So rows in and outside the condition are counted as one table.
    """
    condition = source.condition if source.exact else None
    asked = source if condition is None else replace(source, condition=None)
    with inquire(asked, purpose, epsilon) as inquiry:
        question = count_rows() if condition is None else count_cells("row count", _in_and_outside(condition))
        total = inquiry.sum(question)
        shown = inquiry.shown(question, total)
        inquiry.hidden = int(np.isnan(shown[0]))
        facts = {**facts_of(inquiry), "rows": source.text}
        return Number(float(shown[0]), float(total.noise_sd[0]), facts)


def _in_and_outside(condition: Condition) -> list[Axis]:
    """The cells in and outside a condition; of one that joins two by "and", those of both."""
    if isinstance(condition, Both) and not condition.either:
        return [Split(condition.left), Split(condition.right)]
    return [Split(condition)]


@question("share of rows")
def share(source: Source, condition: Condition, epsilon: float | None) -> Number:
    """The share of rows that meet a condition."""
    with inquire(source, f"the share of rows where {condition.text}", epsilon) as inquiry:
        question = count_cells("split count", [Split(condition)])
        total = inquiry.sum(question)
        noise_sd = float(total.noise_sd[0])

        def read(counts: Floats) -> Floats:
            whole = counts.sum()
            return counts[:1] / whole if whole > max(4.0 * noise_sd, 0.5) else np.array([np.nan])

        value = read(inquiry.shown(question, total))[0]
        return Number(float(value), float(total.noise_se(read)[0]), facts_of(inquiry))


@question("value counts")
def value_counts(source: Source, column: str, epsilon: float | None) -> Answer:
    """How many rows have each value of a column, the most frequent first."""
    with inquire(source, f"value counts of {column}", epsilon) as inquiry:
        axis = Categories(column, inquiry.known([column])[column])
        table = _counted(inquiry, "value count", [axis])
        table.index = pd.Index(axis.labels, name=column)
        return answered(table.sort_values("count", ascending=False, kind="stable"), inquiry, "bars")


@question("histogram")
def histogram(source: Source, column: str, bins: object, epsilon: float | None) -> Answer:
    """How many values of a column lie in each bin; bins hold their lower edge, the last one both."""
    with inquire(source, f"a histogram of {column}", epsilon) as inquiry:
        axis = bins_of(inquiry, column, bins)
        table = _counted(inquiry, "bin count", [axis])
        table.insert(0, "left", axis.edges[:-1])
        table.insert(1, "right", axis.edges[1:])
        table.index = pd.Index(axis.labels, name=column)
        return answered(table, inquiry, "histogram")


@question("cross table")
def crosstab(source: Source, first: str, second: str, epsilon: float | None) -> Answer:
    """How many rows have each pair of values of two columns."""
    if first == second:
        raise SettingError(
            f"A cross table of {first!r} with itself was asked for.",
            "Every row would be on its diagonal.",
            f'Ask for value_counts("{first}"), or name two different columns.',
        )
    with inquire(source, f"a cross table of {first} and {second}", epsilon) as inquiry:
        known = inquiry.known([first, second])
        axes = [Categories(name, known[name]) for name in (first, second)]
        question = count_cells("pair count", axes)
        total = inquiry.sum(question)
        shape = axes[0].size, axes[1].size
        counts = _whole(inquiry, inquiry.shown(question, total)).reshape(shape)
        index, columns = (pd.Index(axis.labels, name=axis.column) for axis in axes)
        answer = answered(pd.DataFrame(counts, index=index, columns=columns), inquiry, "heat")
    if not inquiry.exact:
        answer.attrs[NOISE] = total.noise_sd.reshape(shape).tolist()
    return answer


@question("missing values")
def missing(source: Source, columns: Sequence[str], epsilon: float | None) -> Answer:
    """Missing values by owner and column, and of all owners together; each owner's counts are its own release."""
    with inquire(source, "missing values by owner", epsilon) as inquiry:
        answers = inquiry.each(count_missing(columns))
        counts = np.array([total.values for total in answers.values()])
        inquiry.hidden += int(np.isnan(counts).sum())
        if len(answers) > 1:
            counts = np.vstack([counts, counts.sum(axis=0)])
        index = [*answers, *["all owners"] * (len(answers) > 1)]
        table = pd.DataFrame(_whole(inquiry, counts), pd.Index(index, name="owner"), ["rows", *columns])
        answer = answered(table, inquiry, "missing", "Each owner's counts left by themselves.")
    if not inquiry.exact:
        errors = np.array([total.noise_sd for total in answers.values()])
        whole = np.sqrt((errors**2).sum(axis=0))
        answer.attrs[NOISE] = [*errors.tolist(), *([whole.tolist()] if len(answers) > 1 else [])]
    return answer


def bins_of(inquiry: Inquiry, column: str, bins: object) -> Bins:
    """Bins of a numeric column: a number of them between its limits, or their edges.

    Raises:
        SettingError: if ``bins`` is neither.
    """
    inquiry.source.numeric([column])
    number = plain_value(bins)
    if type(number) is int and 1 <= number <= 1000:
        edges = np.linspace(*inquiry.limits([column])[column], number + 1)
        return Bins(column, tuple(map(float, edges)), open_ended=True)
    ends = [plain_number(end) for end in members(bins)]
    edges = np.array([np.nan if end is None else float(end) for end in ends])
    if edges.size < 2 or not np.isfinite(edges).all() or (np.diff(edges) <= 0).any():
        raise SettingError(
            f"The bins of {column!r} are {bins!r}.",
            "Owners count their values in bins that are the same for all of them.",
            "Give a number of bins from 1 to 1000, or a list of rising edges such as [0, 18, 65, 120].",
        )
    return Bins(column, tuple(map(float, edges)))


def _counted(inquiry: Inquiry, kind: str, axes: Sequence[Axis]) -> pd.DataFrame:
    question = count_cells(kind, axes)
    total = inquiry.sum(question)
    table = pd.DataFrame({"count": _whole(inquiry, inquiry.shown(question, total))})
    if not inquiry.exact:
        table[NOISE] = total.noise_sd
    return table


def _whole(inquiry: Inquiry, counts: Floats) -> Floats | NDArray[np.int64]:
    return whole(counts) if inquiry.exact else counts
