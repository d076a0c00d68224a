"""One column of a guarded frame, masks of rows, and groups: what stands between a frame and its answers."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from fedlab_nb.analytics.answers import Answer, Number
from fedlab_nb.analytics.conditions import Both, Condition, Missing, Not, Sign, compare, is_in
from fedlab_nb.analytics.guards import Guarded, refusal
from fedlab_nb.analytics.replies import columns, counts, groups, quantiles
from fedlab_nb.analytics.source import Source
from fedlab_nb.analytics.values import members
from fedlab_nb.cards import card, one_line
from fedlab_nb.errors import SettingError
from fedlab_nb.records import Column


class Mask(Guarded):
    """Which rows meet a condition: each owner knows it of its own rows, nobody else does.

    ``frame[mask]`` asks those rows only; ``mask.sum()`` counts them. Masks join with ``&``, ``|`` and ``~``.
    """

    _name = "A mask of private rows"

    def __init__(self, source: Source, condition: Condition) -> None:
        self._source, self.condition = source, condition

    def sum(self, *, epsilon: float | None = None) -> Number:
        """How many rows meet the condition."""
        text = f"the number of rows where {self.condition.text}"
        return counts.rows(self._source.where(self.condition), text, epsilon)

    def mean(self, *, epsilon: float | None = None) -> Number:
        """The share of rows that meet the condition."""
        return counts.share(self._source, self.condition, epsilon)

    def __and__(self, other: object) -> Mask:
        return Mask(self._source, Both(self.condition, condition_of(other)))

    def __or__(self, other: object) -> Mask:
        return Mask(self._source, Both(self.condition, condition_of(other), either=True))

    def __invert__(self) -> Mask:
        return Mask(self._source, Not(self.condition))

    def __repr__(self) -> str:
        return f"Mask({self.condition.text}; which rows, each owner knows of its own)"

    def _repr_html_(self) -> str:
        return card("Mask of private rows", [("Condition", self.condition.text)], "frame[mask] asks these rows only.")


def condition_of(mask: object) -> Condition:
    """The condition of a mask; SettingError for anything else."""
    if isinstance(mask, Mask):
        return mask.condition
    raise SettingError(
        f"A mask was joined with an object of type {type(mask).__name__}.",
        "Owners check conditions on their own columns, so both sides have to be such conditions.",
        'Put each comparison in brackets: (frame["age"] > 50) & (frame["sex"] == "male").',
    )


class PrivateColumn(Guarded):
    """A column of a guarded frame: it answers questions about all its values, and shows none of them.

    Every method takes ``epsilon=``, what the answer may cost where noise is added.
    """

    def __init__(self, source: Source, column: Column) -> None:
        self._source, self._column = source, column
        self._name = f"Column {column.name!r}"

    @property
    def name(self) -> str:
        """The column's name; public."""
        return self._column.name

    @property
    def dtype(self) -> str:
        """The column's type; public."""
        return self._column.dtype

    def mean(self, *, epsilon: float | None = None) -> Number:
        """The mean of all values."""
        return columns.statistic(self._source, self._numeric(), "mean", epsilon)

    def std(self, *, epsilon: float | None = None) -> Number:
        """The standard deviation, dividing by n - 1."""
        return columns.statistic(self._source, self._numeric(), "std", epsilon)

    def var(self, *, epsilon: float | None = None) -> Number:
        """The variance, dividing by n - 1."""
        return columns.statistic(self._source, self._numeric(), "var", epsilon)

    def sum(self, *, epsilon: float | None = None) -> Number:
        """The sum of all values."""
        return columns.statistic(self._source, self._numeric(), "sum", epsilon)

    def count(self, *, epsilon: float | None = None) -> Number:
        """How many values are there, missing ones not counted."""
        present = self._source.where(Not(Missing(self._column)))
        return counts.rows(present, f"the number of values of {self.name}", epsilon)

    def quantile(self, q: float | Sequence[float] = 0.5, *, epsilon: float | None = None) -> Number | Answer:
        """One quantile as a number, or several as a table."""
        if isinstance(q, Sequence | np.ndarray):
            return quantiles.quantile(self._source, [self._numeric()], members(q), epsilon)
        return quantiles.one_quantile(self._source, self._numeric(), q, epsilon)

    def median(self, *, epsilon: float | None = None) -> Number:
        """The value that half of the values lie below."""
        return quantiles.one_quantile(self._source, self._numeric(), 0.5, epsilon)

    def value_counts(self, *, epsilon: float | None = None) -> Answer:
        """How many rows have each value, the most frequent first."""
        return counts.value_counts(self._source, self.name, epsilon)

    def histogram(self, bins: int | Sequence[float] = 10, *, epsilon: float | None = None) -> Answer:
        """How many values lie in each bin."""
        return counts.histogram(self._source, self._numeric(), bins, epsilon)

    def describe(self, *, epsilon: float | None = None) -> Answer:
        """Count, mean, standard deviation and quartiles."""
        return columns.describe(self._source, [self._numeric()], epsilon)

    def isna(self) -> Mask:
        """The rows without a value: ``.sum()`` counts them."""
        return Mask(self._source, Missing(self._column))

    def notna(self) -> Mask:
        """The rows with a value."""
        return Mask(self._source, Not(Missing(self._column)))

    def isin(self, values: Sequence[object]) -> Mask:
        """The rows with one of these values."""
        return Mask(self._source, is_in(self._column, values))

    def between(self, low: float, high: float) -> Mask:
        """The rows with a value from ``low`` to ``high``, both included."""
        return (self >= low) & (self <= high)

    def __eq__(self, other: object) -> Mask:  # type: ignore[override]
        return self._compared("==", other)

    def __ne__(self, other: object) -> Mask:  # type: ignore[override]
        return self._compared("!=", other)

    def __lt__(self, other: object) -> Mask:
        return self._compared("<", other)

    def __le__(self, other: object) -> Mask:
        return self._compared("<=", other)

    def __gt__(self, other: object) -> Mask:
        return self._compared(">", other)

    def __ge__(self, other: object) -> Mask:
        return self._compared(">=", other)

    def __hash__(self) -> int:
        return id(self)

    def __getitem__(self, key: object) -> PrivateColumn:
        if isinstance(key, Mask):
            return PrivateColumn(self._source.where(condition_of(key)), self._column)
        raise refusal(self._name, "[...]")

    def _compared(self, sign: Sign, other: object) -> Mask:
        return Mask(self._source, compare(self._column, sign, other))

    def _numeric(self) -> str:
        return self._source.numeric(self.name)[0]

    def __repr__(self) -> str:
        return f"PrivateColumn({self.name!r}, {self.dtype}, {self._source.text}, values private)"

    def _repr_html_(self) -> str:
        rows = [("Type", self.dtype), ("Declared values", self._column.declared), ("Rows", "private")]
        return card(
            f"Private column: {self.name}", rows, "Ask for .mean(), .quantile(), .histogram(), .value_counts()."
        )


@dataclass(frozen=True, eq=False, repr=False)
class Groups(Guarded):
    """Rows grouped by the declared or known values of some columns: ``groups["age"].mean()``, ``groups.size()``."""

    source: Source
    keys: tuple[str, ...]
    _name = "A grouping of private rows"

    def _columns(self) -> Collection[str]:
        return self.source.columns

    def __getitem__(self, column: str) -> GroupedColumn:
        return GroupedColumn(self, self.source.numeric([column])[0])

    def size(self, *, epsilon: float | None = None) -> Answer:
        """How many rows each group has."""
        return groups.sizes(self.source, self.keys, "size", epsilon)

    def __repr__(self) -> str:
        return one_line(f"Groups(by {', '.join(self.keys)}, {self.source.text}, rows private)")

    def _repr_html_(self) -> str:
        rows = [("Grouped by", ", ".join(self.keys)), ("Rows", "private")]
        return card("Groups of private rows", rows, "Ask for .size(), or for a column: groups['age'].mean().")


@dataclass(frozen=True, eq=False, repr=False)
class GroupedColumn(Guarded):
    """One numeric column of grouped rows."""

    groups: Groups
    column: str
    _name = "A column of grouped private rows"

    def mean(self, *, epsilon: float | None = None) -> Answer:
        """The mean in each group."""
        return self._ask("mean", epsilon)

    def sum(self, *, epsilon: float | None = None) -> Answer:
        """The sum in each group."""
        return self._ask("sum", epsilon)

    def count(self, *, epsilon: float | None = None) -> Answer:
        """How many values each group has."""
        present = self.groups.source.where(Not(Missing(self.groups.source.column(self.column))))
        return groups.sizes(present, self.groups.keys, "count", epsilon)

    def std(self, *, epsilon: float | None = None) -> Answer:
        """The standard deviation in each group."""
        return self._ask("std", epsilon)

    def var(self, *, epsilon: float | None = None) -> Answer:
        """The variance in each group."""
        return self._ask("var", epsilon)

    def _ask(self, which: str, epsilon: float | None) -> Answer:
        return groups.grouped(self.groups.source, self.groups.keys, self.column, which, epsilon)

    def __repr__(self) -> str:
        return one_line(f"GroupedColumn({self.column!r} by {', '.join(self.groups.keys)}, rows private)")

    def _repr_html_(self) -> str:
        rows = [("Grouped by", ", ".join(self.groups.keys)), ("Rows", "private")]
        return card(f"Private column, grouped: {self.column}", rows, "Ask for .mean(), .sum(), .std() or .count().")
