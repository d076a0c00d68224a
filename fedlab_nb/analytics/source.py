"""Whose rows are asked, which of them, and what was declared about their columns."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

from fedlab_nb.analytics.conditions import Both, Condition
from fedlab_nb.analytics.questions.cells import Outcome
from fedlab_nb.analytics.values import members, plain_number, plain_value, value_of, values_of
from fedlab_nb.data.sums import LARGEST
from fedlab_nb.errors import RuleError, SettingError
from fedlab_nb.parties import Federation, Rows
from fedlab_nb.parties.columns.fitting import is_vertical
from fedlab_nb.parties.columns.road import alignment_of
from fedlab_nb.protect import OwnerLevelDP
from fedlab_nb.records import Column
from fedlab_nb.units import listed

if TYPE_CHECKING:
    import pandas as pd

WIDEST = 2.0**LARGEST
"""The largest number that bounds may be, and that ranges are learned up to; beyond it sums lose their last digits."""

PART = 20
"""Without an epsilon of its own, a question takes the budget's divided by this."""


@dataclass(frozen=True, eq=False)
class Source:
    """All rows, training and held-out ones, of a federation's owners or of one of them; or those that meet a condition.

    ``columns`` are the schema's with what was declared for this frame; the target comes last.
    """

    federation: Federation
    columns: Mapping[str, Column]
    owner: str | None = None
    epsilon: float | None = None
    condition: Condition | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The owners asked."""
        return self.federation.names if self.owner is None else (self.owner,)

    @property
    def exact(self) -> bool:
        """True if no noise is added: the federation has no privacy mechanism."""
        return self.federation.house.protect is None

    @property
    def text(self) -> str:
        """Which rows are asked, completely."""
        return "all rows" if self.condition is None else f"rows where {self.condition.text}"

    def where(self, condition: Condition) -> Source:
        """The same, and only rows that also meet ``condition``."""
        return replace(self, condition=condition if self.condition is None else Both(self.condition, condition))

    def column(self, name: object) -> Column:
        """The column of this name.

        Raises:
            SettingError: if there is none.
        """
        known = plain_value(name)
        if type(known) is not str or known not in self.columns:
            raise SettingError(
                f"There is no column {name!r}.",
                "A question names the columns that it is about.",
                f"The columns are: {listed(self.columns, most=40)}.",
            )
        return self.columns[known]

    def named(self, names: object) -> list[str]:
        """The columns of these names, one or several; all of them for None; SettingError if there are none."""
        if names is None:
            return list(self.columns)
        several = isinstance(names, Iterable) and not isinstance(names, str)
        found = [self.column(name).name for name in (cast("Iterable[object]", names) if several else [names])]
        if not found:
            raise SettingError(
                "No column was named.", "A question is about one column at least.", "Name one or several columns."
            )
        twice = [name for name in dict.fromkeys(found) if found.count(name) > 1]
        if twice:
            raise SettingError(
                f"Column {twice[0]!r} was named {found.count(twice[0])} times.",
                "Each column has one place in an answer.",
                "Name every column once.",
            )
        return found

    def numeric(self, names: object = None) -> list[str]:
        """These columns (one name or several), or all numeric ones; SettingError for one that holds no numbers."""
        if names is None:
            names = [name for name, column in self.columns.items() if column.kind == "numeric"]
        wanted = self.named(names)
        for name in wanted:
            if self.column(name).kind != "numeric":
                raise SettingError(
                    f"Column {name!r} holds categories, and numbers were asked for.",
                    "Categories can be counted; they have no mean, spread or order.",
                    f'Ask for value_counts("{name}"), or group by it: groupby("{name}").',
                )
        return wanted

    def bounds_of(self, name: str) -> tuple[float, float] | None:
        """The declared bounds of a column."""
        return self.columns[name].bounds

    def categories_of(self, name: str) -> tuple[object, ...] | None:
        """The declared list of values of a column."""
        return self.column(name).categories

    def table(self, rows: Rows) -> pd.DataFrame:
        """The rows that are asked, as one table; called beside the rows of one owner."""
        alignment = alignment_of(self.federation)
        table = table_of(rows if alignment is None else alignment.of(rows))
        return table if self.condition is None else table[self.condition.holds(table)]

    def values_of(self, column: Column) -> tuple[object, ...] | None:
        """The values that a column can have: its declared list, or both booleans; None if that is not known."""
        if column.categories is None and column.dtype in ("bool", "boolean"):
            return (False, True)
        return column.categories

    def outcome(self, name: object, value: object, what: str) -> Outcome:
        """The rows whose column ``name`` is ``value``, and the others; ``what`` is the value's name in the question.

        Raises:
            SettingError: if the value is not plain, or is none that the column can have.
        """
        column, event = self.column(name), value_of(value, what)
        known = self.values_of(column)
        low, high = column.bounds or (-math.inf, math.inf)
        number = plain_number(int(event) if type(event) is bool else event)
        if known is None and column.kind == "numeric":
            possible = number is not None and low <= number <= high
        else:
            possible = known is None or event in known
        if not possible:
            raise SettingError(
                f"{what} is {event!r}, which is no value that {column.name!r} can have.",
                "No row would be counted as an event, and the answer would say nothing.",
                f"Name one of its values: {column.declared if known is None else listed(known)}.",
            )
        if known is None and not self.exact:
            raise SettingError(
                f"Column {column.name!r} has no declared list of values, and {what} is {event!r}.",
                "Under noise nobody can see whether any row has this value, or whether it is misspelt.",
                f'Declare the list at its owners: fl.DataOwner(..., categories={{"{column.name}": [...]}}), '
                "at a site under [categories] in site.toml.",
            )
        return Outcome(column.name, event)

    def price(self, epsilon: float | None) -> float | None:
        """The epsilon of one question; None where answers are exact.

        Raises:
            SettingError: if it is no positive number, nobody said what it is, or no noise is added that it could be of.
            RuleError: if whole owners are to be protected.
        """
        house = self.federation.house
        if isinstance(house.protect, OwnerLevelDP):
            raise RuleError(
                "A question about rows was asked of a federation that protects whole owners.",
                "An owner may have any number of rows, so that all of them together can move a sum as far as they "
                "like, and no noise that leaves something to see would hide an owner.",
                "Ask a federation with fl.RowLevelDP(), or one without a mechanism.",
            )
        chosen = self.epsilon if epsilon is None else epsilon
        if chosen is not None:
            _check_epsilon(chosen, exact=self.exact)
        if self.exact or chosen is not None:
            return chosen
        budgets = [self.federation.books.binding(name, house) for name in self.names]
        agreed = [budget.epsilon for budget in budgets if budget is not None]
        if not agreed:
            raise SettingError(
                "A question was asked without an epsilon, and no budget was agreed on.",
                "Epsilon decides how much noise hides each row, and nobody said how much of it this question may take.",
                "Ask with epsilon=0.5, for example, or agree on a budget: fl.Federation(owners, budget=fl.Budget(8)).",
            )
        return min(agreed) / PART


def table_of(rows: Rows) -> pd.DataFrame:
    """All rows of one owner, training and held-out ones, as one table; called beside them."""
    import pandas as pd

    if "all rows" not in rows.cache:
        parts = [x.assign(**{str(y.name): y}) for x, y in (rows.training, rows.held_out) if len(y)]
        rows.cache["all rows"] = pd.concat(parts, ignore_index=True)
    return cast("pd.DataFrame", rows.cache["all rows"])


def _check_epsilon(epsilon: object, *, exact: bool) -> None:
    if exact:
        raise SettingError(
            f"epsilon={epsilon!r} was given, and this federation adds no noise.",
            "Its answers are exact sums, so that no epsilon would hold for them.",
            "Leave epsilon out, or make a federation that protects rows: fl.Federation(owners, budget=fl.Budget(8)).",
        )
    number = plain_number(epsilon)
    if number is None or not 0.0 < number < math.inf:
        raise SettingError(
            f"epsilon is {epsilon!r}.",
            "It bounds how much one row can change an answer, so it must be a finite number above 0.",
            "Give a value such as epsilon=0.5; smaller is more private, and noisier.",
        )


def make_source(
    federation: object,
    owner: str | None = None,
    epsilon: float | None = None,
    bounds: object = None,
    categories: object = None,
) -> Source:
    """The source of a whole federation or one owner of it, with further declarations.

    Raises:
        SettingError: for something that is no federation, an unknown owner, or a declaration that cannot be true.
    """
    if not isinstance(federation, Federation):
        raise SettingError(
            f"A PrivateFrame was given an object of type {type(federation).__name__}.",
            "Questions reach owners through a federation, which protects, counts and records them.",
            "Make one first: fl.PrivateFrame(fl.Federation(owners)).",
        )
    known = plain_value(owner)
    if owner is not None and known not in federation.names:
        raise SettingError(
            f"There is no owner called {owner!r} in this federation.",
            "A frame is about all of its owners, or about one of them.",
            f"Name one of: {', '.join(federation.names)}.",
        )
    if epsilon is not None:
        _check_epsilon(epsilon, exact=federation.house.protect is None)
    schema = federation.schema
    if known is not None and is_vertical(schema):
        schema = next(each.schema for each in federation.owners if each.name == known)
    columns = {column.name: column for column in (*schema.features, schema.target) if column.name}
    source = Source(federation, columns)
    declared = {**columns, **_with_bounds(source, bounds)}
    declared |= _with_categories(replace(source, columns=declared), categories)
    return Source(federation, declared, None if known is None else str(known), epsilon)


def _with_bounds(source: Source, bounds: object) -> dict[str, Column]:
    found: dict[str, Column] = {}
    for name, pair in _declarations("bounds", bounds).items():
        column, ends = source.column(name), [plain_number(end) for end in members(pair)]
        low, high = ends if len(ends) == 2 else (None, None)
        if column.kind != "numeric" or low is None or high is None or not -WIDEST <= low < high <= WIDEST:
            raise SettingError(
                f"Bounds {pair!r} were declared for {column.name!r}.",
                "Values of a numeric column are clipped to their bounds, so the lowest must lie under the highest, and "
                f"noise grows with what lies between them, so they end at {WIDEST:.0e}.",
                f'Use two finite numbers for a numeric column, for example bounds={{"{column.name}": (0, 100)}}.',
            )
        found[column.name] = replace(column, bounds=(float(low), float(high)))
    return found


def _with_categories(source: Source, categories: object) -> dict[str, Column]:
    found: dict[str, Column] = {}
    for name, values in _declarations("categories", categories).items():
        column = source.column(name)
        listed_values = values_of(values, f"The categories of {column.name!r}")
        if len(set(listed_values)) < len(listed_values):
            raise SettingError(
                f"Categories {values!r} were declared for {column.name!r}.",
                "Rows are counted by value, so every value is listed once.",
                f'Use a list of different values, for example categories={{"{column.name}": ["no", "yes"]}}.',
            )
        found[column.name] = replace(column, categories=tuple(listed_values))
    return found


def _declarations(what: str, given: object) -> Mapping[str, object]:
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise SettingError(
            f"{what} are of type {type(given).__name__}.",
            "A declaration belongs to a column, so it comes with the column's name.",
            "Use a dictionary from names of columns to what is declared.",
        )
    return given
