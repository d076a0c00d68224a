"""Owners who differ in what a column says: whose row it is, when it was written, or how large its value is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fedlab_nb.data.columns import NUMBERS, TIMES, as_numbers, as_values, kind_of
from fedlab_nb.data.partitioners.rules import Described, Parts, check_column, check_owners, column_of, in_order
from fedlab_nb.errors import SchemaError, SettingError
from fedlab_nb.settings import check_setting, is_real

if TYPE_CHECKING:
    import pandas as pd


def _complete(frame: pd.DataFrame, by: str, why: str) -> pd.Series:
    """The column ``by``, if no value is missing in it."""
    column = column_of(frame, by)
    absent = int(column.isna().sum())
    if absent:
        raise SchemaError(
            f"Column {by!r} is missing in {absent} of {len(frame)} rows.",
            why,
            f"Fill the gaps, or leave those rows out: frame.dropna(subset=[{by!r}]).",
        )
    return column


@dataclass(frozen=True, repr=False)
class Natural(Described):
    """One owner for each value of a column, such as the hospital, the writer or the shop a row came from.

    ``fl.split_rows(frame, by=Natural("hospital"))`` names the owners after the values and leaves the column out of
    their rows, as it is the same in all rows of an owner. Called ``NaturalIdPartitioner`` in Flower Datasets.

    Args:
        by: the column that says whose row it is.

    Raises:
        SettingError: if the number of owners is not that of the values.
        SchemaError: if there is no such column, or some row has no value in it.

    >>> import pandas as pd
    >>> frame = pd.DataFrame({"clinic": ["North", "East", "North"], "ill": [1, 0, 0]})
    >>> Natural("clinic").names(frame)
    ['East', 'North']
    >>> [part.tolist() for part in Natural("clinic")(frame, 2, np.random.default_rng(0))]
    [[1], [0, 2]]
    """

    by: str

    def __post_init__(self) -> None:
        check_column(self, self.by)

    @property
    def leaves_out(self) -> tuple[str, ...]:
        """The column that owners do not keep: it says whose row it is, and nothing about the row."""
        return (self.by,)

    def names(self, frame: pd.DataFrame) -> list[str]:
        """What the owners are called: the values of the column, in order."""
        return [str(value) for value in in_order(_complete(frame, self.by, "Such a row belongs to no owner."))]

    def __call__(self, frame: pd.DataFrame, owners: int, rng: np.random.Generator) -> Parts:  # noqa: ARG002 - no chance
        """For each value of the column, in order, the sorted positions of its rows."""
        column = _complete(frame, self.by, "Such a row belongs to no owner.")
        values = in_order(column)
        if check_owners(owners, len(frame)) != len(values):
            raise SettingError(
                f"Column {self.by!r} has {len(values)} different values, and owners={owners!r} were asked for.",
                "Each value is one owner, so that their numbers are equal.",
                f"Leave owners= out, or write owners={len(values)}.",
            )
        held = as_values(column)
        return [np.flatnonzero(held == value) for value in values]


@dataclass(frozen=True, repr=False)
class TimeSplit(Described):
    """Rows in order of time, cut into equal periods: the first owner has the oldest rows, the last one the newest.

    No owner's row is older than any row of the owners before it. ``fl.split_rows`` leaves the column out of the
    owners' rows, as what a date should mean to a model is not said.

    Args:
        by: a column of dates, times or numbers.

    Raises:
        SchemaError: if there is no such column, a row has no value in it, or it holds text.
    """

    by: str

    def __post_init__(self) -> None:
        check_column(self, self.by)

    @property
    def leaves_out(self) -> tuple[str, ...]:
        """The column that owners do not keep: it says in whose period a row lies."""
        return (self.by,)

    def __call__(self, frame: pd.DataFrame, owners: int, rng: np.random.Generator) -> Parts:
        """For each of ``owners``, oldest first, the sorted positions of its rows; ties are cut at random."""
        import pandas as pd

        owners = check_owners(owners, len(frame))
        column = _complete(frame, self.by, "A row without a time lies in no period.")
        if pd.api.types.infer_dtype(column) not in TIMES | NUMBERS:
            raise SchemaError(
                f"Column {self.by!r} ({column.dtype}) holds neither dates nor numbers.",
                "Text is ordered by its letters, which is not the order of time: 10 May comes before 2 May.",
                f"Turn it into dates first: frame[{self.by!r}] = pd.to_datetime(frame[{self.by!r}]).",
            )
        when, _ = pd.factorize(column, sort=True)
        order = rng.permutation(len(frame))
        return [np.sort(part) for part in np.array_split(order[np.argsort(when[order], kind="stable")], owners)]


@dataclass(frozen=True, repr=False)
class Continuous(Described):
    """Rows sorted by a number and cut into equal parts (feature skew): owners of the young, of the old, and between.

    Rows are sorted by strictness × z + (1 − strictness) × e, where z is the standardised column and e standard normal
    noise: 1 sorts exactly, 0 deals rows out at random. Called ``ContinuousPartitioner`` in Flower Datasets.

    Args:
        by: a column of numbers.
        strictness: from 0 to 1.

    Raises:
        SettingError: if ``strictness`` is outside [0, 1].
        SchemaError: if there is no such column, it does not hold numbers, some are missing, or all are equal.
    """

    by: str
    strictness: float = 1.0

    def __post_init__(self) -> None:
        check_column(self, self.by)
        check_setting(
            "Continuous",
            "strictness",
            self.strictness,
            fits=is_real(self.strictness, most=1.0) and self.strictness >= 0.0,
            wanted="a number from 0 to 1",
            why="It says how much the column decides: 0 leaves all to chance, 1 sorts exactly.",
            example="0.8",
        )

    def __call__(self, frame: pd.DataFrame, owners: int, rng: np.random.Generator) -> Parts:
        """For each of ``owners``, smallest values first, the sorted positions of its rows; ties are cut at random."""
        owners = check_owners(owners, len(frame))
        column = _complete(frame, self.by, "A row without a value cannot be put in order.")
        if kind_of(column) != "numeric":
            raise SchemaError(
                f"Column {self.by!r} ({column.dtype}) does not hold numbers.",
                "Rows are put in order by the size of its values.",
                f"Name a column of numbers, or use fl.partition.Dirichlet(0.3, by={self.by!r}) for labels.",
            )
        values = as_numbers(column)
        spread = float(values.std())
        if not 0.0 < spread < np.inf:
            raise SchemaError(
                f"Column {self.by!r} has no spread that could be measured: its values are all equal, or not finite.",
                "There is no order to divide them by.",
                "Name another column, or use fl.partition.IID().",
            )
        z, noise = (values - values.mean()) / spread, rng.normal(size=len(frame))
        order = rng.permutation(len(frame))
        score = self.strictness * z + (1.0 - self.strictness) * noise
        return [np.sort(part) for part in np.array_split(order[np.argsort(score[order], kind="stable")], owners)]
