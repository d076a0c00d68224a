"""Ways to divide one table among owners, and what each of them looks like: ``fl.partition``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fedlab_nb.cards import framed, image, panel, table_html
from fedlab_nb.data.intake import load
from fedlab_nb.data.partitioners import (
    IID,
    Continuous,
    Dirichlet,
    Exponential,
    Linear,
    Natural,
    Partitioner,
    Pathological,
    Shards,
    Square,
    TimeSplit,
)
from fedlab_nb.data.partitioners.rules import Labels, check_parts, column_of, labels_of, target_of
from fedlab_nb.data.partitioners.tally import out_of_place, tally
from fedlab_nb.errors import SettingError
from fedlab_nb.settings import check_setting, is_whole
from fedlab_nb.view.draw.partitions import Division, Divisions, partitions_svg

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "IID",
    "Continuous",
    "Dirichlet",
    "Exponential",
    "Linear",
    "Natural",
    "Partitioner",
    "Partitions",
    "Pathological",
    "Shards",
    "Square",
    "TimeSplit",
    "show",
]

OWNERS = 10
TOUR = (IID(), Dirichlet(1.0), Dirichlet(0.1), Shards(2))


@dataclass(frozen=True, repr=False)
class Partitions:
    """How divisions of one table come out: shows as a picture, ``.frame()`` has the counts, ``.plot()`` is live.

    It holds counts of a table that may be looked at, never of owners' private rows.
    """

    drawn: Divisions

    def frame(self) -> pd.DataFrame:
        """Rows by partitioner, owner and label, one line each, to compute with."""
        import pandas as pd

        return pd.DataFrame(
            [
                (one.how, owner, label, int(count))
                for one in self.drawn.each
                for owner, counts in zip(one.owners, one.counts, strict=True)
                for label, count in zip(self.drawn.labels, counts, strict=True)
            ],
            columns=["partitioner", "owner", "label", "rows"],
        )

    def plot(self) -> Any:
        """The picture as an interactive plotly figure."""
        from fedlab_nb.view.draw.partitions import partitions_figure

        return partitions_figure(self.drawn)

    def __repr__(self) -> str:
        told = "; ".join(f"{one.how}: {out_of_place(one.counts):.0%} out of place" for one in self.drawn.each)
        return f"Partitions(by {self.drawn.column!r}; {told})"

    def _repr_html_(self) -> str:
        columns = ("", "Owners", "Rows of an owner", "Labels of an owner", "Rows out of place")
        body = image(partitions_svg(self.drawn), self.drawn.title)
        rows = [_facts(one) for one in self.drawn.each]
        note = (
            "Rows out of place are those that would have to change owner for every owner to have the mix of labels "
            "of the whole table: 0 % where owners are alike."
        )
        return framed(panel("Who holds which rows", body + table_html(columns, rows), note=note, name="partitions"))


def _facts(one: Division) -> tuple[object, ...]:
    sizes, labels = one.counts.sum(axis=1), (one.counts > 0).sum(axis=1)
    return (
        one.how,
        len(one.owners),
        _range(int(sizes.min()), int(sizes.max())),
        _range(int(labels.min()), int(labels.max())),
        f"{out_of_place(one.counts):.0%}",
    )


def _range(low: int, high: int) -> str:
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def show(
    frame: pd.DataFrame,
    owners: int | None = None,
    *,
    by: Partitioner | Sequence[Partitioner] = TOUR,
    label: str | None = None,
    seed: int = 0,
) -> Partitions:
    """What dividing ``frame`` would give each owner, as a picture: by one partitioner, or by several side by side.

    Nothing is made of it; ``fl.split_rows(frame, owners, by=..., seed=...)`` divides the table in just this way, if
    the target is missing nowhere.

    Args:
        frame: a table that may be looked at.
        owners: how many, 10 if left out; Natural has as many as there are values.
        by: one or more partitioners; a tour of four from even to uneven, if left out.
        label: the column that colours the rows: the one that all of ``by`` divide by, else the target.
        seed: equal seeds divide equally.

    Raises:
        SettingError, SchemaError: if a partitioner, the number of owners and the table do not fit.

    >>> import fedlab_nb.data.samples as samples
    >>> show(samples.digits(), owners=20, by=Shards(2))
    Partitions(by 'digit'; Shards(per_owner=2): 79% out of place)
    """
    check_setting(
        "fl.partition.show",
        "seed",
        seed,
        fits=is_whole(seed),
        wanted="a whole number from 0 up",
        why="Rows are dealt out at random, and the same seed must deal them out the same way again.",
        example="0",
    )
    table = load(frame)
    # A copy loses what the frame says of itself.
    table.attrs["target"] = target_of(frame) if hasattr(frame, "attrs") else target_of(table)
    several: list[Partitioner] = list(by) if isinstance(by, Sequence) else [by]
    column = str(column_of(table, label or _common(several)).name)
    labels = labels_of(table, column)
    each = tuple(_division(one, table, labels, owners, seed) for one in several)
    return Partitions(Divisions(column, labels.names, each))


def _common(several: Sequence[Partitioner]) -> str | None:
    """The one column that all partitioners divide by, if owners keep it."""
    if not several:
        raise SettingError(
            "fl.partition.show was given no partitioner.",
            "There is nothing to be drawn.",
            "Give one, such as by=fl.partition.Dirichlet(0.3), or leave by= out for a tour of four.",
        )
    found = {None if hasattr(one, "leaves_out") else getattr(one, "by", None) for one in several}
    only = found.pop() if len(found) == 1 else None
    return only if isinstance(only, str) else None


def _division(by: Partitioner, table: pd.DataFrame, labels: Labels, owners: int | None, seed: int) -> Division:
    named = by.names(table) if isinstance(by, Natural) else None
    count = (len(named) if named else OWNERS) if owners is None or named else owners
    parts = check_parts(by(table, count, np.random.default_rng(seed)), len(table), count, how(by))
    return Division(how(by), tuple(named or (f"Owner {n}" for n in range(1, count + 1))), tally(labels, parts))


def how(by: object) -> str:
    """A partitioner in a few words: its one line, or the name of a function of your own."""
    return str(getattr(by, "__name__", None) or repr(by)).removesuffix("()")
