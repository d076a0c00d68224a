"""The guarded frame: what a data scientist would try on a table, answered privately or refused with what to ask."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from fedlab_nb.analytics.answers import Answer, Number, Standardiser
from fedlab_nb.analytics.column import Groups, Mask, PrivateColumn, condition_of
from fedlab_nb.analytics.conditions import parse
from fedlab_nb.analytics.guards import Guarded, refusal
from fedlab_nb.analytics.replies import columns, counts, evidence, quantiles, relations, survival
from fedlab_nb.analytics.replies import groups as grouped
from fedlab_nb.analytics.source import Source, make_source
from fedlab_nb.analytics.values import members
from fedlab_nb.cards import folded, framed, pairs_html, panel
from fedlab_nb.data.samples import invented
from fedlab_nb.parties import Federation
from fedlab_nb.parties.columns.fitting import is_vertical
from fedlab_nb.records import Schema
from fedlab_nb.records.schema import columns_html
from fedlab_nb.units import counted, epsilon_text

if TYPE_CHECKING:
    import pandas as pd

Names = str | Sequence[str] | None


class PrivateFrame(Guarded):
    """All rows of a federation's owners, or of one of them, as a frame that answers and never shows.

    It looks like a pandas DataFrame: ``frame["age"].mean()``, ``frame.describe()``, ``frame[frame["age"] > 50]``. Every
    answer is a sum over the owners, through the federation's encryption, ledger and budgets. Training and held-out rows
    take part alike; rows without a target do not.

    Without a mechanism answers are exact: counts from 1 to 4, and statistics of so few rows, are not shown, but whoever
    opens the sums has seen them. Exact answers count as not protected, and two of them can differ by one row: asking a
    question with and without a condition that one person meets tells that person's values. With ``fl.RowLevelDP`` every
    answer has Gaussian noise, and its "noise se" says how much.

    Args:
        federation: whom to ask.
        owner: the name of the only owner to ask. Its answer is readable: nobody else's rows hide it. Where owners hold
            different columns, it is about the rows that all of them have.
        epsilon: what each question may cost; left out, a twentieth of the budget that binds the owners.
        bounds: the lowest and the highest value of numeric columns, public; values beyond are clipped.
        categories: the list of values of columns, public.

    Raises:
        SettingError: for an unknown owner, or a declaration that cannot be true.

    >>> import fedlab_nb as fl
    >>> owners = fl.split_rows(fl.data.breast_cancer(), owners=3)
    >>> frame = PrivateFrame(fl.Federation(owners))
    >>> frame["mean_radius"].mean()
    14.1273
    """

    _name = "This frame"

    def __new__(cls, federation: object = None, *, owner: str | None = None, **_: object) -> PrivateFrame:
        """This, or a VerticalFrame where the owners hold different columns and all of them are asked."""
        if cls is PrivateFrame and owner is None and isinstance(federation, Federation):
            from fedlab_nb.analytics.vertical.frame import VerticalFrame

            cls = VerticalFrame if is_vertical(federation.schema) else cls  # noqa: PLW0642 - as pathlib.Path does
        return object.__new__(cls)

    def __init__(
        self,
        federation: Federation,
        *,
        owner: str | None = None,
        epsilon: float | None = None,
        bounds: Mapping[str, tuple[float, float]] | None = None,
        categories: Mapping[str, Sequence[object]] | None = None,
    ) -> None:
        self._source = make_source(federation, owner, epsilon, bounds, categories)

    @classmethod
    def _of(cls, source: Source) -> PrivateFrame:
        made = cls.__new__(cls)
        made._source = source  # noqa: SLF001
        return made

    def _columns(self) -> Collection[str]:
        return self._source.columns

    @property
    def columns(self) -> pd.Index[str]:
        """The columns' names, the target last; public."""
        import pandas as pd

        return pd.Index(list(self._source.columns))

    @property
    def dtypes(self) -> pd.Series[str]:
        """The columns' types; public."""
        import pandas as pd

        return pd.Series({name: column.dtype for name, column in self._source.columns.items()}, dtype=object)

    def mock(self, rows: int = 5, seed: int = 0) -> pd.DataFrame:
        """Invented rows with the same columns, to try code on: nothing in them comes from real rows."""
        *features, target = self._source.columns.values()
        return invented(Schema(tuple(features), target), rows, seed)

    def __getitem__(self, key: object) -> PrivateColumn | PrivateFrame:
        if isinstance(key, Mask):
            return self._of(self._source.where(condition_of(key)))
        if isinstance(key, str):
            return PrivateColumn(self._source, self._source.column(key))
        if isinstance(key, list) and key:
            chosen = {self._source.column(name).name: self._source.column(name) for name in key}
            return self._of(replace(self._source, columns=chosen))
        raise refusal(self._name, f"[...] with an object of type {type(key).__name__}")

    def __contains__(self, name: object) -> bool:
        return name in self._source.columns

    def query(self, condition: str) -> PrivateFrame:
        """The rows that meet a condition such as ``"age > 50 and sex == 'male'"``; owners check it beside them."""
        return self._of(self._source.where(parse(condition, self._source.columns)))

    def count(self, *, epsilon: float | None = None) -> Number:
        """How many rows there are."""
        return counts.rows(self._source, "the number of rows", epsilon)

    def describe(self, names: Names = None, *, epsilon: float | None = None) -> Answer:
        """Count, mean, standard deviation and quartiles of numeric columns."""
        return columns.describe(self._source, self._source.numeric(names), epsilon)

    def value_counts(self, column: str, *, epsilon: float | None = None) -> Answer:
        """How many rows have each value of a column, the most frequent first."""
        return counts.value_counts(self._source, self._source.column(column).name, epsilon)

    def histogram(self, column: str, bins: int | Sequence[float] = 10, *, epsilon: float | None = None) -> Answer:
        """How many values of a column lie in each bin: a number of bins, or their edges."""
        return counts.histogram(self._source, self._source.column(column).name, bins, epsilon)

    def quantile(
        self, names: Names = None, q: float | Sequence[float] = (0.25, 0.5, 0.75), *, epsilon: float | None = None
    ) -> Answer:
        """Quantiles of numeric columns: one row for each ``q``. Noisy ones of a column without bounds are coarse.

        Exact ones are read between means of five or more neighbouring values, so that none is a single row's.
        """
        levels = members(q) if isinstance(q, Sequence | np.ndarray) else [q]
        return quantiles.quantile(self._source, self._source.numeric(names), levels, epsilon)

    def corr(self, names: Names = None, *, epsilon: float | None = None) -> Answer:
        """Pearson correlations, over rows that are complete in all of the columns."""
        return relations.correlation(self._source, self._source.numeric(names), epsilon)

    def cov(self, names: Names = None, *, epsilon: float | None = None) -> Answer:
        """Covariances, over rows that are complete in all of the columns."""
        return relations.covariance(self._source, self._source.numeric(names), epsilon)

    def vif(self, names: Names = None, *, epsilon: float | None = None) -> Answer:
        """The variance inflation factor of each column: 1 if no other foretells it; above 10 is high."""
        return relations.inflation(self._source, self._source.numeric(names), epsilon)

    def crosstab(self, first: str, second: str, *, epsilon: float | None = None) -> Answer:
        """How many rows have each pair of values of two columns."""
        names = [self._source.column(name).name for name in (first, second)]
        return counts.crosstab(self._source, names[0], names[1], epsilon)

    def groupby(self, by: str | Sequence[str]) -> Groups:
        """Groups by the values of columns: ``groupby("sex")["age"].mean()``, ``groupby("sex").size()``."""
        return Groups(self._source, tuple(self._source.named(() if by is None else by)))

    def missing(self, *, epsilon: float | None = None) -> Answer:
        """Missing values by owner and column. Each owner's counts leave by themselves, readable for the server."""
        return counts.missing(self._source, list(self._source.columns), epsilon)

    def drift(self, names: Names = None, bins: int = 10, *, epsilon: float | None = None) -> Answer:
        """How far each owner's distribution of each column is from that of all: PSI and Jensen-Shannon distance.

        Each owner's counts leave by themselves, readable for the server.
        """
        return evidence.drift(self._source, self._source.named(names), bins, epsilon)

    def standardise(self, names: Names = None, *, epsilon: float | None = None) -> Standardiser:
        """Centre and scale of numeric columns, with ``transform(frame)`` for frames of one's own."""
        return columns.standardise(self._source, self._source.numeric(names), epsilon)

    def woe(
        self, target: str, event: object, bins: int = 10, names: Names = None, *, epsilon: float | None = None
    ) -> Answer:
        """Weight of evidence of each bin, and information value of each column, for ``target`` being ``event``.

        ``event`` has to be a value that the target can have: a declared one, or, without noise, one that rows have.
        """
        outcome = self._source.outcome(target, event, "event")
        wanted = [name for name in self._source.named(names) if name != outcome.column]
        return evidence.weigh(self._source, outcome, wanted, bins, epsilon)

    def ttest(
        self, column: str, by: str, groups: Sequence[object] | None = None, *, epsilon: float | None = None
    ) -> Answer:
        """Welch's test of whether a column has the same mean in two groups."""
        name = self._source.numeric([column])[0]
        return grouped.ttest(self._source, name, self._source.column(by).name, groups, epsilon)

    def kaplan_meier(
        self,
        duration: str,
        event: str,
        by: str | None = None,
        bins: int | Sequence[float] = 12,
        happened: object = True,
        *,
        epsilon: float | None = None,
    ) -> Answer:
        """The Kaplan-Meier curve of ``duration``; ``event`` says whether it ended with the event (``happened``).

        ``happened`` has to be a value that the column can have: a declared one, or, without noise, one that rows have.
        Time is cut into ``bins`` (their number or edges) that hold their upper edge. Exact curves have coarser time
        where a cell would be small. With ``by`` there is a curve for each group, and ``attrs["p value"]`` is that of
        the log-rank test; under noise it takes the noise into account, the Greenwood error does not.
        """
        outcome = self._source.outcome(event, happened, "happened")
        name = self._source.numeric([duration])[0]
        group = None if by is None else self._source.column(by).name
        return survival.kaplan_meier(self._source, name, outcome, group, bins, epsilon)

    def __dir__(self) -> Iterable[str]:
        return sorted(name for name in {*vars(type(self))} if not name.startswith("_"))

    def _ipython_key_completions_(self) -> list[str]:
        return list(self._source.columns)

    def __repr__(self) -> str:
        whose = self._source.owner or counted(len(self._source.names), "owner")
        return (
            f"PrivateFrame({whose}, {counted(len(self._source.columns), 'column')}, {self._source.text}, rows private)"
        )

    def _repr_html_(self) -> str:
        source = self._source
        mode = "exact sums; counts under 5 are not shown" if source.exact else "Gaussian noise in every answer"
        rows = [("Rows of", source.owner or ", ".join(source.names)), ("Which", source.text), ("Answers", mode)]
        if source.epsilon is not None and not source.exact:
            rows.append(("Epsilon a question", epsilon_text(source.epsilon)))
        body = pairs_html(rows) + folded("Columns", columns_html(list(source.columns.values())))
        note = "Ask .describe(), .corr(), .groupby(...), frame['column'].mean(); .mock() gives invented rows."
        return framed(panel("Private frame", body, note=note))
