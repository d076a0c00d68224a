"""A frame over owners of different columns: the rows that all of them have, and questions across owners."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fedlab_nb.analytics.answers import Answer, Number, Standardiser
from fedlab_nb.analytics.apart.sides import owner_of, side_of
from fedlab_nb.analytics.apart.training import Training
from fedlab_nb.analytics.column import GroupedColumn, Groups, PrivateColumn
from fedlab_nb.analytics.frame import Names, PrivateFrame
from fedlab_nb.analytics.vertical import common, evidence, relations, selection, tables
from fedlab_nb.analytics.vertical.selection import Selection
from fedlab_nb.analytics.vertical.together import beside, stacked
from fedlab_nb.cards import folded, framed, pairs_html, panel
from fedlab_nb.errors import RuleError
from fedlab_nb.parties.columns.road import alignment_of
from fedlab_nb.records.schema import columns_html
from fedlab_nb.units import counted, listed
from fedlab_nb.vertical import Alignment


class VerticalFrame(PrivateFrame):
    """The rows that all owners of different columns have, as a frame that answers and never shows.

    ``fl.PrivateFrame(federation)`` makes it where owners have ids. Which rows are in common the owners find out at the
    first question. Across owners it answers ``corr``, ``crosstab``, ``woe`` and ``iv``, exactly, under
    ``encrypt=fl.CKKS("deep")``: one owner seals, another multiplies, and the key holder opens sums and keeps back what
    fewer than five rows stand behind. ``describe``, ``quantile`` and ``missing`` are about single columns, and each
    owner answers for its own; every other question is about columns of one owner. The server reads these answers.

    Exact answers count as not protected, and two of them can differ by one row. Past one machine the owners agree on
    each question beforehand: ``fl.flower.export(federation, questions, folder)``.
    """

    _name = "This frame"

    def align(self) -> Alignment:
        """Which rows all owners have: they look for them once."""
        return common.align(self._source)

    @property
    def training(self) -> VerticalFrame:
        """The same frame over the rows to train on: for what a model is made with, as it is scored on the others."""
        made = self._of(Training.of(self._source))
        assert isinstance(made, VerticalFrame)
        return made

    def of(self, owner: str) -> PrivateFrame:
        """The columns of one owner, over the rows that all owners have: for all questions that need no other owner."""
        return PrivateFrame._of(side_of(self._source, owner))  # noqa: SLF001 - one frame, two files

    def owner_of(self, column: str) -> str:
        """Who holds a column."""
        return owner_of(self._source, column)

    def __getitem__(self, key: object) -> PrivateColumn | PrivateFrame:
        if isinstance(key, str):
            return self.of(self.owner_of(key))[key]
        if isinstance(key, list):
            return super().__getitem__(key)
        raise self._condition()

    def query(self, condition: str) -> PrivateFrame:  # noqa: ARG002 - the frame's signature
        """Refused: which rows meet a condition on one owner's column is nobody else's to know."""
        raise self._condition()

    def count(self, *, epsilon: float | None = None) -> Number:
        """How many rows all owners have."""
        return common.rows(self._source, epsilon)

    def corr(self, names: Names = None, *, epsilon: float | None = None) -> Answer:
        """Pearson correlations within and across owners, each over the rows that have both values."""
        return relations.correlation(self._source, self._source.numeric(names), epsilon)

    def crosstab(self, first: str, second: str, *, epsilon: float | None = None) -> Answer:
        """How many rows have each pair of values of two columns, of one owner or of two."""
        names = self._source.column(first).name, self._source.column(second).name
        owners = [self.owner_of(name) for name in names]
        if owners[0] == owners[1]:
            return self.of(owners[0]).crosstab(*names, epsilon=epsilon)
        return tables.crosstab(self._source, names, epsilon)

    def woe(
        self, target: str, event: object, bins: int = 10, names: Names = None, *, epsilon: float | None = None
    ) -> Answer:
        """Weight of evidence of each bin of every owner's columns, for one owner's ``target`` being ``event``."""
        outcome = self._source.outcome(target, event, "event")
        wanted = [name for name in self._source.named(names) if name != outcome.column]
        return evidence.weigh(self._source, outcome, wanted, bins, epsilon)

    def iv(
        self, target: str, event: object, bins: int = 10, names: Names = None, *, epsilon: float | None = None
    ) -> Answer:
        """Information value of every owner's columns, the highest first, for one owner's ``target`` being ``event``."""
        return evidence.information(self.woe(target, event, bins, names, epsilon=epsilon))

    def select(
        self,
        target: str,
        event: object,
        *,
        iv: float = 0.02,
        vif: float | None = None,
        bins: int = 10,
        names: Names = None,
    ) -> Selection:
        """Which columns tell enough of ``target`` being ``event``: those of an information value of ``iv`` or more.

        With ``vif``, numeric columns go as well that others foretell: the highest information value first, each stays
        if no variance inflation factor of those that stay gets above ``vif`` by it. Both are asked, and charged, as
        ``woe`` and ``corr`` are. ``kept`` of the answer names the columns that stay. Ask ``frame.training`` where a
        model is to be scored on held-out rows.
        """
        selection.check_limits(iv, vif)
        outcome = self._source.outcome(target, event, "event")
        wanted = [name for name in self._source.named(names) if name != outcome.column]
        return selection.select(self._source, outcome, wanted, bins, iv, vif)

    def describe(self, names: Names = None, *, epsilon: float | None = None) -> Answer:
        """Count, mean, standard deviation and quartiles of numeric columns, each of them as its owner answers."""
        wanted = self._source.numeric(names)
        return beside([self.of(owner).describe(own, epsilon=epsilon) for owner, own in self._held(wanted)], wanted)

    def value_counts(self, column: str, *, epsilon: float | None = None) -> Answer:
        """How many rows have each value of a column, the most frequent first."""
        return self._only(column, "value_counts").value_counts(column, epsilon=epsilon)

    def histogram(self, column: str, bins: int | Sequence[float] = 10, *, epsilon: float | None = None) -> Answer:
        """How many values of a column lie in each bin: a number of bins, or their edges."""
        return self._only(column, "histogram").histogram(column, bins, epsilon=epsilon)

    def quantile(
        self, names: Names = None, q: float | Sequence[float] = (0.25, 0.5, 0.75), *, epsilon: float | None = None
    ) -> Answer:
        """Quantiles of numeric columns, each of them as its owner answers: one row for each ``q``."""
        wanted = self._source.numeric(names)
        return beside([self.of(owner).quantile(own, q, epsilon=epsilon) for owner, own in self._held(wanted)], wanted)

    def cov(self, names: Names = None, *, epsilon: float | None = None) -> Answer:
        """Covariances of numeric columns of one owner."""
        return self._only(names, "cov").cov(names, epsilon=epsilon)

    def vif(self, names: Names = None, *, epsilon: float | None = None) -> Answer:
        """The variance inflation factor of each column among those of all owners: how well the others foretell it."""
        wanted = self._source.numeric(names)
        if len(wanted) < 2 or len({self.owner_of(name) for name in wanted}) == 1:
            return self._only(wanted, "vif").vif(wanted, epsilon=epsilon)
        return relations.inflation(self.corr(wanted, epsilon=epsilon))

    def groupby(self, by: str | Sequence[str]) -> Groups:
        """Groups by the values of columns of one owner, for questions about its other columns."""
        own = self._only(by, "groupby")
        return OwnGroups(own.groupby(by).source, tuple(self._source.named(by)), self)

    def missing(self, *, epsilon: float | None = None) -> Answer:
        """Missing values by owner and column: a row for each column, with the number of rows in common."""
        answers = [self.of(owner).missing(epsilon=epsilon) for owner, _ in self._held(self._source.columns)]
        return stacked(answers)

    def standardise(self, names: Names = None, *, epsilon: float | None = None) -> Standardiser:
        """Centre and scale of numeric columns of one owner."""
        return self._only(names, "standardise").standardise(names, epsilon=epsilon)

    def ttest(
        self, column: str, by: str, groups: Sequence[object] | None = None, *, epsilon: float | None = None
    ) -> Answer:
        """Welch's test of whether a column has the same mean in two groups, both of one owner."""
        return self._only([column, by], "ttest").ttest(column, by, groups, epsilon=epsilon)

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
        """The Kaplan-Meier curve of ``duration``, where all of the columns are one owner's."""
        names = [duration, event, *([by] if by is not None else [])]
        frame = self._only(names, "kaplan_meier")
        return frame.kaplan_meier(duration, event, by, bins, happened, epsilon=epsilon)

    def drift(self, names: Names = None, bins: int = 10, *, epsilon: float | None = None) -> Answer:  # noqa: ARG002
        """Refused: it compares owners by the same columns."""
        raise RuleError(
            "drift() was asked of owners that hold different columns.",
            "It compares how one and the same column is distributed at different owners, and here each has one owner.",
            f"{self._ask_one()}, for example its histogram().",
        )

    def _only(self, names: Names, asked: str) -> PrivateFrame:
        """The frame of the one owner of these columns."""
        owners = dict.fromkeys(self.owner_of(name) for name in self._source.named(names))
        if len(owners) > 1:
            raise self._across(f"{asked}()", tuple(owners))
        return self.of(next(iter(owners)))

    def _held(self, names: Iterable[str]) -> list[tuple[str, list[str]]]:
        """These columns by their owners, in the order of the owners."""
        held = [(each, [name for name in names if self.owner_of(name) == each]) for each in self._source.names]
        return [(owner, own) for owner, own in held if own]

    def _ask_one(self, owners: Sequence[str] = ()) -> str:
        return f"Ask one owner: frame.of({json.dumps((*owners, *self._source.names)[0], ensure_ascii=False)})"

    def _across(self, asked: str, owners: tuple[str, ...]) -> RuleError:
        return RuleError(
            f"{asked} was asked about columns that lie at {listed(map(repr, owners), most=3)}.",
            "No owner has all of these columns, and this question is no sum of products of two owners' columns.",
            f"{self._ask_one(owners)}. Across owners ask corr(), vif(), crosstab(), woe() or iv().",
        )

    def _condition(self) -> RuleError:
        return RuleError(
            "Rows that meet a condition were asked for, across owners of different columns.",
            "Which rows meet a condition on one owner's column is nobody else's to know.",
            f"{self._ask_one()}, with a condition on its own columns. Across owners ask crosstab(), woe() or iv().",
        )

    def __repr__(self) -> str:
        source = self._source
        found = alignment_of(source.federation)
        rows = "rows not looked for yet" if found is None else f"{found.rows:,} rows in common"
        rows += ", those to train on" * isinstance(source, Training)
        columns = counted(len(source.columns), "column")
        return f"VerticalFrame({counted(len(source.names), 'owner')}, {columns}, {rows}, rows private)"

    def _repr_html_(self) -> str:
        source, found = self._source, alignment_of(self._source.federation)
        held = [(owner.name, [name for name in source.columns if self.owner_of(name) == owner.name])
                for owner in source.federation.owners]  # fmt: skip
        rows = [(f"Columns of {owner}", listed(names)) for owner, names in held if names]
        rows.append(("Rows in common", "looked for at the first question" if found is None else f"{found.rows:,}"))
        rows.append(("Answers", "exact; what fewer than five rows stand behind is not shown"))
        body = pairs_html(rows) + folded("Columns", columns_html(list(source.columns.values())))
        note = (
            "Across owners: .corr(), .vif(), .crosstab(a, b), .woe(target, event), .select(). Of one owner: .of(name)."
        )
        return framed(panel("Private frame over owners of different columns", body, note=note))


@dataclass(frozen=True, eq=False, repr=False)
class OwnGroups(Groups):
    """Groups by one owner's columns, which say at whom another column lies."""

    frame: VerticalFrame

    def __getitem__(self, column: str) -> GroupedColumn:
        owner, other = self.frame.owner_of(self.keys[0]), self.frame.owner_of(column)
        if owner != other:
            raise RuleError(
                f"Rows are grouped by {listed(self.keys)} at {owner!r}, and {column!r} lies at {other!r}.",
                "Which row is in which group only its owner knows, so that another owner cannot average by group.",
                f"Group by a column of {other!r}; across owners ask corr(), or crosstab() of two columns.",
            )
        return super().__getitem__(column)
