"""The Kaplan-Meier curve, of all rows or of each group, from events and losses per time bin."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from fedlab_nb.analytics.answers import NOISE, Answer, answered
from fedlab_nb.analytics.apart.asked import question
from fedlab_nb.analytics.asking import Inquiry, inquire
from fedlab_nb.analytics.questions.cells import Bins, Categories, Outcome, check_events
from fedlab_nb.analytics.questions.question import DRAWS, Floats, Total
from fedlab_nb.analytics.questions.small import shown_bins
from fedlab_nb.analytics.questions.survival import count_survival, distances, log_rank, read_curve
from fedlab_nb.analytics.replies.counts import bins_of
from fedlab_nb.analytics.source import Source
from fedlab_nb.analytics.values import members


@question("Kaplan-Meier curve")
def kaplan_meier(
    source: Source, duration: str, outcome: Outcome, by: str | None, bins: object, epsilon: float | None
) -> Answer:
    """Survival at the end of each time bin, with Greenwood's standard error; by group with the log-rank test."""
    within = f" by {by}" if by else ""
    with inquire(source, f"Kaplan-Meier curve of {duration}{within}", epsilon) as inquiry:
        groups = [Categories(by, inquiry.known([by])[by])] if by else []
        time = Bins(duration, bins_of(inquiry, duration, bins).edges, right=True, open_ended=not members(bins))
        question = count_survival(time, outcome, groups)
        total = inquiry.sum(question)
        if inquiry.exact and source.values_of(source.column(outcome.column)) is None:
            check_events(outcome, float(total.values[::2].sum()))
        shape = (groups[0].size if groups else 1, time.size, 2)
        counts = inquiry.shown(question, total).reshape(shape)
        shown = shown_bins(counts)
        inquiry.hidden = 0  # nothing is hidden: time is coarser instead
        times = np.asarray(time.edges)[1:][shown]
        curves = [_table(group[shown], times) for group in counts]
        if not inquiry.exact:
            for row, table in enumerate(curves):
                table[NOISE] = _noise(total, shape, row)
        table = pd.concat(curves, keys=groups[0].labels, names=[by]) if groups else curves[0]
        coarser = time.size - len(shown)
        note = f"{coarser} time bins were put together with the next, so that no cell is small." if coarser else ""
        answer = answered(table, inquiry, "survival", note)
        answer.attrs.update(_test(inquiry, counts[:, shown], total, shape) if groups else {})
        return answer


def _table(counts: Floats, times: Floats) -> pd.DataFrame:
    curve = read_curve(counts)
    facts = {"at risk": curve.at_risk, "events": curve.events, "survival": curve.survival, "greenwood se": curve.error}
    return pd.DataFrame(facts, index=pd.Index(times, name="time"))


def _noise(total: Total, shape: tuple[int, int, int], row: int) -> Floats:
    return total.noise_se(lambda values: read_curve(values.reshape(shape)[row]).survival)


def _test(inquiry: Inquiry, counts: Floats, total: Total, shape: tuple[int, int, int]) -> dict[str, Any]:
    """The log-rank test of the groups; where noise was added, its covariance widens that of the events."""
    if counts.shape[1] == 0:
        return {}
    noise: Floats | float = 0.0
    if not inquiry.exact:
        rng = np.random.default_rng(1)
        size = total.values.size
        draws = [total.values + total.noise_sd * rng.standard_normal(size) for _ in range(DRAWS)]
        noise = np.atleast_2d(np.cov(np.array([distances(draw.reshape(shape))[0] for draw in draws]).T))
    statistic, p = log_rank(counts, noise)
    return {"log-rank": statistic, "p value": p}
