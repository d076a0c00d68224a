"""What a comparison found: one chart, one table, and all rounds behind them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from fedlab_nb.cards import one_line
from fedlab_nb.comparing.numbers import (
    Fairness,
    Mean,
    fairness,
    final,
    final_fairness,
    level,
    mean_of,
    median,
    rounds_to,
    together,
)
from fedlab_nb.comparing.references import Outcome
from fedlab_nb.records import History
from fedlab_nb.units import LOWER_IS_BETTER, counted, metric_name, number

if TYPE_CHECKING:
    import pandas as pd

    from fedlab_nb.view.compare.chart import Chart

ALONE, POOLED = "each owner alone", "pooled rows"


@dataclass(frozen=True)
class Facts:
    """One line of the table. What there is none of is None; ``reach`` is infinite where the target was not reached."""

    name: str
    runs: int
    score: Mean
    reach: float | None = None
    reached: int | None = None
    sent: float | None = None
    seconds: float | None = None
    epsilon: float | None = None
    fair: Fairness | None = None
    lost: int | None = None


@dataclass(frozen=True)
class Lane:
    """The runs of one line, one for every seed.

    ``epsilons`` are what each of them cost its owners (None without a guarantee); ``planned`` is how many rounds each
    was to have (None: as many as it has).
    """

    name: str
    runs: tuple[History, ...]
    epsilons: tuple[float | None, ...]
    planned: int | None = None

    @property
    def same(self) -> bool:
        """True if all seeds gave the same scores in every round, to the bit: then they tell nothing of chance."""
        scores = [[(record.number, dict(record.metrics)) for record in run] for run in self.runs]
        return len(scores) > 1 and any(told for _, told in scores[0]) and all(one == scores[0] for one in scores)

    @property
    def told(self) -> tuple[History, ...]:
        """The runs that an interval over seeds is about: one, where all are the same."""
        return self.runs[:1] if self.same else self.runs

    def facts(self, metric: str, target: float | None) -> Facts:
        """The line of the table."""
        reach = [] if target is None else [rounds_to(run, metric, target) for run in self.runs]
        costs = [epsilon for epsilon in self.epsilons if epsilon is not None]
        return Facts(
            self.name,
            len(self.runs),
            mean_of([final(run, metric) for run in self.told]),
            median(reach) if reach else None,
            sum(map(math.isfinite, reach)) if reach else None,
            sum(record.sent for run in self.runs for record in run) / len(self.runs),
            sum(sum(record.seconds.values()) for run in self.runs for record in run) / len(self.runs),
            max(costs) if len(costs) == len(self.runs) else None,
            together([final_fairness(run, metric) for run in self.runs]),
            sum((self.planned or len(run)) - len(run.completed) for run in self.runs),
        )

    def means(self, metric: str) -> Iterator[tuple[int, Mean]]:
        """The mean by round, over all runs in which the metric was released at all."""
        levels = [found for run in self.told if (found := level(run, metric))]
        for at in sorted(set.intersection(*(set(found) for found in levels)) if levels else ()):
            yield at, mean_of([found[at] for found in levels])

    def failures(self) -> Iterator[str]:
        """Why runs broke off."""
        for run in self.runs:
            for record in run:
                if record.failed is not None:
                    yield f"{self.name} broke off in round {record.number}: {record.failed}"


@dataclass(frozen=True)
class Reference:
    """What federated models are measured against, one outcome for every seed."""

    name: str
    outcomes: tuple[Outcome, ...]

    def facts(self, metric: str) -> Facts:
        """The line of the table."""
        scores = mean_of([outcome.score for outcome in self.outcomes])
        seconds = sum(outcome.seconds for outcome in self.outcomes) / len(self.outcomes)
        fair = together([fairness(outcome.by_owner, metric) for outcome in self.outcomes])
        return Facts(self.name, len(self.outcomes), scores, seconds=seconds, fair=fair)


@dataclass(frozen=True, repr=False)
class Comparison:
    """Several runs side by side: shows as a chart and a table, ``.frame()`` and ``.plot()`` give both to go on with.

    ``lanes`` hold the runs, ``references`` what they are measured against, ``notes`` what has to be known of them.
    Compare the same runs by another score or target with ``fl.compare(found.runs, metric="auc", target=0.99)``.
    """

    lanes: tuple[Lane, ...]
    metric: str
    target: float | None = None
    references: tuple[Reference, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def runs(self) -> Mapping[str, tuple[History, ...]]:
        """The rounds of all runs by name, one history for every seed."""
        return {lane.name: lane.runs for lane in self.lanes}

    @cached_property
    def facts(self) -> tuple[Facts, ...]:
        """The lines of the table."""
        lanes = [lane.facts(self.metric, self.target) for lane in self.lanes]
        return (*lanes, *(reference.facts(self.metric) for reference in self.references))

    @property
    def num_rounds(self) -> int:
        """The number of the last round of any run."""
        last = (lane.planned or max((run[-1].number for run in lane.runs if run), default=1) for lane in self.lanes)
        return max(last, default=1)

    @property
    def best(self) -> str | None:
        """The federated line that ends best, luck included; None where no score was released."""
        ranked = self.ranked
        return ranked[0].name if ranked else None

    @property
    def ranked(self) -> tuple[Facts, ...]:
        """The federated lines that have a score, best first."""
        known = [one for one in self.facts[: len(self.lanes)] if math.isfinite(one.score.value)]
        sign = 1.0 if self.metric in LOWER_IS_BETTER else -1.0
        return tuple(sorted(known, key=lambda one: sign * one.score.value))

    def frame(self) -> pd.DataFrame:
        """One row a line, to compute with.

        The score with its 95 % t interval over the runs (``_low``, ``_high``); with a target the median of the rounds
        to it (infinite: not reached) and how many runs reached it; means over the runs of bytes, seconds, and the
        worst and best owner's score with the standard deviation over owners; the largest epsilon that a run cost, and
        all rounds lost. NaN where there is none.
        """
        import pandas as pd

        return pd.DataFrame([self._row(one) for one in self.facts]).set_index("name")

    def _row(self, one: Facts) -> dict[str, object]:
        def nan(value: float | None) -> float:
            return math.nan if value is None else float(value)

        goal = {} if self.target is None else {"rounds_to_target": nan(one.reach), "reached_target": nan(one.reached)}
        fair = one.fair or Fairness(math.nan, math.nan, math.nan)
        return {
            "name": one.name,
            "runs": one.runs,
            self.metric: one.score.value,
            f"{self.metric}_low": nan(one.score.low),
            f"{self.metric}_high": nan(one.score.high),
            **goal,
            "bytes_sent": nan(one.sent),
            "seconds": nan(one.seconds),
            "epsilon": nan(one.epsilon),
            "worst_owner": fair.worst,
            "best_owner": fair.best,
            "owner_sd": fair.deviation,
            "lost_rounds": nan(one.lost),
        }

    def plot(self) -> Any:
        """The chart as an interactive plotly figure: hover, zoom, ``write_html``."""
        from fedlab_nb.view.compare.figure import chart_figure

        return chart_figure(self.chart)

    @property
    def chart(self) -> Chart:
        """What is drawn."""
        from fedlab_nb.comparing.words import title
        from fedlab_nb.view.compare.chart import Chart, Level, Line, Spot

        most = max((len(lane.told) for lane in self.lanes), default=1)
        lines = [
            Line(lane.name, tuple(Spot(at, m.value, m.low, m.high) for at, m in lane.means(self.metric)))
            for lane in self.lanes
        ]
        return Chart(
            title(self),
            self.metric,
            tuple(lines),
            tuple(Level(one.name, one.score.value) for one in self.facts[len(self.lanes) :]),
            self.target,
            self.num_rounds,
            f"mean of {most} runs with its 95 % t interval" if most > 1 else "",
        )

    def __repr__(self) -> str:
        scores = ", ".join(f"{one.name} {number(one.score.value)}" for one in self.facts)
        runs = counted(sum(len(lane.runs) for lane in self.lanes), "run")
        return one_line(f"Comparison({runs}: {metric_name(self.metric)} {scores})")

    def _repr_html_(self) -> str:
        from fedlab_nb.comparing.words import comparison_card

        return comparison_card(self)
