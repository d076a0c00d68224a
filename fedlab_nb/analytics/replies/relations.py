"""How numeric columns go together: correlation, covariance, variance inflation."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd

from fedlab_nb.analytics.answers import NOISE, Answer, answered
from fedlab_nb.analytics.apart.asked import question
from fedlab_nb.analytics.asking import Inquiry, inquire
from fedlab_nb.analytics.questions.moments import read_correlation, read_covariance, read_inflation, sum_products
from fedlab_nb.analytics.questions.question import Floats, Range
from fedlab_nb.analytics.source import Source
from fedlab_nb.errors import SettingError

Read = Callable[[Floats, dict[str, Range], float], Floats]
COMPLETE = "Over rows that are complete in all of these columns."


@question("correlations")
def correlation(source: Source, columns: Sequence[str], epsilon: float | None) -> Answer:
    """Pearson correlations over rows that are complete in all of the columns."""
    return _matrix(source, columns, read_correlation, "correlations of the columns", epsilon)


@question("covariances")
def covariance(source: Source, columns: Sequence[str], epsilon: float | None) -> Answer:
    """Covariances over rows that are complete in all of the columns."""
    return _matrix(source, columns, read_covariance, "covariances of the columns", epsilon)


@question("variance inflation")
def inflation(source: Source, columns: Sequence[str], epsilon: float | None) -> Answer:
    """The variance inflation factor of each column: how well the others foretell it."""
    if len(columns) < 2:
        raise SettingError(
            f"The variance inflation of {len(columns)} column was asked for.",
            "It says how well the other columns foretell one, so there have to be others.",
            "Name two columns or more.",
        )
    with inquire(source, "variance inflation of the columns", epsilon) as inquiry:
        found, errors = _read(inquiry, columns, read_inflation)
        table = pd.DataFrame({"vif": found}, index=list(columns))
        if errors is not None:
            table[NOISE] = errors
        return answered(table, inquiry, "bars", COMPLETE)


def _matrix(source: Source, columns: Sequence[str], read: Read, name: str, epsilon: float | None) -> Answer:
    with inquire(source, name, epsilon) as inquiry:
        found, errors = _read(inquiry, columns, read)
        table = pd.DataFrame(found, index=list(columns), columns=list(columns))
        answer = answered(table, inquiry, "matrix", COMPLETE)
    if errors is not None:
        answer.attrs[NOISE] = errors.tolist()
    return answer


def _read(inquiry: Inquiry, columns: Sequence[str], read: Read) -> tuple[Floats, Floats | None]:
    """What ``read`` finds in the sums of products, and its noise's standard errors."""
    ranges = inquiry.ranges(columns)
    question = sum_products(ranges)
    total = inquiry.sum(question)
    noise_sd = float(total.noise_sd[0])
    found = read(inquiry.shown(question, total), ranges, noise_sd)
    errors = None if inquiry.exact else total.noise_se(lambda sums: read(sums, ranges, noise_sd))
    return found, errors
