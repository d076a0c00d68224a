"""Columns read as the weight of evidence of the bin that a value lies in, as ``frame.woe`` has told it.

Who learns what by that:
    every owner    of each bin of its own columns the weight of evidence, sent by the server: how much more frequent the
        event is there than elsewhere. Only the owner of the labels knew that before.
    the server    nothing more: it has asked for the weights of all owners.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.cards import one_line, table
from fedlab_nb.data.columns import as_numbers, as_values
from fedlab_nb.errors import RuleError, SchemaError, SettingError
from fedlab_nb.parties import Federation
from fedlab_nb.records import Schema
from fedlab_nb.units import counted, listed

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]
KIND = "weights of evidence"


@dataclass(frozen=True)
class BinnedColumn:
    """One column's bins, and the weight of evidence ``woe`` (b,) of each.

    Numbers are cut at ``edges`` (b - 1,), and a bin holds its upper edge; of categories a bin is one of ``groups`` (b,)
    of values. ``labels`` (b,) say it in words. A missing value, or one that is in no bin, counts as no evidence: 0.
    """

    name: str
    labels: tuple[str, ...]
    woe: tuple[float, ...]
    edges: tuple[float, ...] = ()
    groups: tuple[tuple[object, ...], ...] = ()

    def read(self, values: pd.Series) -> Floats:
        """The weight of evidence (n,) of the bin that each value lies in."""
        if self.groups:
            place = {value: number for number, group in enumerate(self.groups) for value in group}
            codes = np.array([place.get(value, -1) for value in as_values(values)], dtype=np.int64)
        else:
            numbers = as_numbers(values)
            codes = np.searchsorted(np.array(self.edges), numbers, side="left").astype(np.int64)
            codes[np.isnan(numbers)] = -1
        return np.append(self.woe, 0.0)[codes]


@dataclass(frozen=True, repr=False)
class Evidence:
    """Weights of evidence of several owners' columns for ``target`` being ``event``, as they were told.

    ``training``: they are of the rows to train on, and know nothing of the labels of those that are held out.
    """

    target: str
    event: object
    columns: tuple[BinnedColumn, ...]
    training: bool

    @classmethod
    def of(cls, answer: object) -> Evidence:
        """What an answer of ``frame.woe`` or ``frame.select`` says; of a part of its columns, if only they are left.

        Raises:
            SettingError: something else was given, or no column is left.
        """
        if isinstance(answer, Evidence):
            return answer
        found = getattr(answer, "attrs", {}).get("evidence")
        index = getattr(answer, "index", None)
        if not isinstance(found, Evidence) or index is None or "column" not in index.names:
            raise SettingError(
                f"woe is of type {type(answer).__name__}, and not an answer that has weights of evidence by column.",
                "Each owner reads its columns as the weights of their bins, which such an answer has told.",
                'Ask first: woe=fl.PrivateFrame(federation).training.woe("default", event="yes").',
            )
        left = set(index.get_level_values("column"))
        kept = tuple(column for column in found.columns if column.name in left)
        if not kept:
            raise SettingError(
                "woe has no column left whose weights of evidence are known.",
                "There would be nothing to learn from.",
                "Choose columns by a lower information value, or ask for fewer bins.",
            )
        return cls(found.target, found.event, kept, found.training)

    @property
    def names(self) -> tuple[str, ...]:
        """The columns whose weights are known."""
        return tuple(column.name for column in self.columns)

    def reading(self, schema: Schema) -> EvidenceReading:
        """How an owner with this schema reads those of its columns that weights are known of."""
        mine = {column.name for column in schema.features}
        return EvidenceReading(tuple(column for column in self.columns if column.name in mine))

    def check(self, federation: Federation, labels_at: str) -> None:
        """Refuse evidence that a model of this federation cannot be made of, or should not.

        Raises:
            SettingError: evidence for another target, or of columns that nobody has.
            RuleError: weights that know held-out labels, or an owner of which only one column would be read.
        """
        schema = federation.schema
        known = {column.name for column in schema.features}
        strangers = [name for name in self.names if name not in known]
        if strangers or self.target != schema.target.name:
            what = f"of {listed(map(repr, strangers))}, which no owner has" if strangers else f"for {self.target!r}"
            raise SettingError(
                f"The weights of evidence are {what}; the model is to predict {schema.target.name!r}.",
                "Each owner reads its own columns as what they tell about the very column that is predicted.",
                f'Ask these owners: fl.PrivateFrame(federation).training.woe("{schema.target.name}", event=...).',
            )
        if not self.training and any(owner.held_out > 0.0 for owner in federation.owners):
            raise RuleError(
                "The weights of evidence are of all rows, those that are held out among them.",
                "They were made with the labels of held-out rows, so that the scores of these would come out too good.",
                'Ask for those of the rows to train on: frame.training.woe("' + self.target + '", event=...).',
            )
        for owner in federation.owners:
            count = len(self.reading(owner.schema).columns)
            if owner.name != labels_at and count < 2:
                raise RuleError(
                    f"Weights of evidence are known of {counted(count, 'column')} of {owner.name!r}.",
                    "What it tells of a row to predict is a sum over its columns: of one alone, its bin."
                    if count
                    else "Its part of the model would be empty.",
                    f"Choose two columns of {owner.name!r} or more, or leave it out of the federation.",
                )

    def tell(self, federation: Federation) -> None:
        """The server sends every owner the weights of its own bins."""
        for owner in federation.owners:
            own = [weight for column in self.reading(owner.schema).columns for weight in column.woe]
            federation.ledger.post(0, "server", owner.name, KIND, np.array(own))

    def __repr__(self) -> str:
        rows = "training rows" if self.training else "all rows"
        return one_line(f"Evidence({counted(len(self.columns), 'column')} for {self.target} = {self.event!r}, {rows})")

    def _repr_html_(self) -> str:
        lines = [
            (column.name, label, f"{weight:.4f}")
            for column in self.columns
            for label, weight in zip(column.labels, column.woe, strict=True)
        ]
        title = f"Weights of evidence for {self.target} = {self.event}"
        return table(title, ("Column", "Bin", "Weight of evidence"), lines, "Missing values count as no evidence.")


@dataclass(frozen=True)
class EvidenceReading:
    """One owner's columns (n, d) as weights of evidence."""

    columns: tuple[BinnedColumn, ...]

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of the inputs: those of the columns."""
        return tuple(column.name for column in self.columns)

    def read(self, features: pd.DataFrame) -> Floats:
        """The inputs (n, d) of each row.

        Raises:
            SchemaError: a column is missing, or holds something else than numbers where numbers are expected.
        """
        check_there(features, self.inputs)
        read = [column.read(features[column.name]) for column in self.columns]
        return np.column_stack(read) if read else np.zeros((len(features), 0))


def check_there(features: pd.DataFrame, names: Iterable[str]) -> None:
    """Refuse a frame that lacks a column; SchemaError."""
    absent = [name for name in names if name not in features.columns]
    if absent:
        raise SchemaError(
            f"The frame lacks the columns {listed(map(repr, absent))}.",
            "The model reads the same columns that it was trained on.",
            "Add them (missing values are allowed), or rename the columns that you have.",
        )
