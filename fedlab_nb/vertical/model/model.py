"""The model that a vertical run leaves: it predicts new rows together, and comes apart into one part for each owner."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.cards import Card, framed, one_line, pairs_html, panel, table_html
from fedlab_nb.errors import RuleError, SchemaError
from fedlab_nb.parties import DataOwner, Federation
from fedlab_nb.records import State
from fedlab_nb.records.schema import Task
from fedlab_nb.units import listed
from fedlab_nb.vertical.model.joint import Asked, Joint, federation_of, joint_scores
from fedlab_nb.vertical.model.merged import MergedModel, merged
from fedlab_nb.vertical.model.outcome import graded, probable, table
from fedlab_nb.vertical.model.parts import ModelPart, parts_of, together
from fedlab_nb.vertical.shared.meeting import Setup
from fedlab_nb.vertical.shared.strategy import VerticalStrategy

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class VerticalModel:
    """A model of owners of different columns, each of which keeps its own part of it.

    ``predict`` is a protocol among the owners, over the channel: what it gives is the result of the labels' owner.
    ``parts`` has each owner's part, ``of`` puts a model together again, ``merge`` gives one that needs no protocol, if
    every owner consents. Here all owners live in one process, so that this object has all parts; in a real federation
    each lies at its owner.
    """

    strategy: VerticalStrategy
    state: State = field(repr=False)

    @classmethod
    def of(cls, parts: Iterable[ModelPart]) -> VerticalModel:
        """The model that the parts of all owners make up, to predict with together.

        Raises:
            SettingError: parts of different runs or rounds, a part twice, or one that is missing, naming whose.
        """
        return cls(*together(parts))

    @property
    def parts(self) -> Mapping[str, ModelPart]:
        """Each owner's part of the model, by its name."""
        return MappingProxyType(parts_of(self.strategy, self.state))

    @property
    def setup(self) -> Setup:
        """What was fixed before the first round: who has the labels, and how columns are read."""
        setup: Setup = self.state.context  # type: ignore[assignment]
        return setup

    @property
    def owners(self) -> tuple[str, ...]:
        """The owners whose columns the model reads."""
        return self.setup.owners

    @property
    def labels_at(self) -> str:
        """The owner that has the labels, and gets the predictions."""
        return self.setup.labels_at

    @property
    def task(self) -> Task:
        """What is predicted: "binary" and "multiclass" are classes, "regression" a number."""
        return self.setup.task

    @property
    def classes(self) -> tuple[object, ...]:
        """The classes in order; empty where a number is predicted."""
        return self.setup.classes

    @property
    def target(self) -> str:
        """The column that is predicted."""
        return self.setup.target.name

    def predict(self, rows: Federation | Sequence[DataOwner] | None = None, /, **frames: pd.DataFrame) -> pd.DataFrame:
        """What the owners predict together for all rows that they have in common: the result of the labels' owner.

        ``rows`` is a federation of the same owners, whose ledger then has what crossed; or a list of DataOwners; or
        frames by the owners' names, with the id called as in training: ``predict(bank=new_bank, shop=new_shop)``. No
        target is needed. Owners find their rows in common first; fewer than five are refused, as all else is.

        Returns:
            One row for each, in the order and with the ids of the owner of the labels: "prediction" is the class or
            the number, and of classes there is the "probability of" each. Where rows were linked, the ids are the
            fields as they were compared: without spaces, signs and capital letters.

        Raises:
            SettingError, SchemaError, RuleError: other owners or columns than the model was trained with.
            RoundError, EncryptionError: naming who failed; there is no prediction then.
        """
        joint = self._joint(rows, frames)
        return table(joint.scores, joint.ids, self.setup)

    def predict_proba(
        self, rows: Federation | Sequence[DataOwner] | None = None, /, **frames: pd.DataFrame
    ) -> pd.DataFrame:
        """The probability of each class, a column for each, for the same rows as ``predict``; for numbers no column.

        Raises:
            FedLabError: as ``predict``.
        """
        import pandas as pd

        joint = self._joint(rows, frames)
        return pd.DataFrame(probable(joint.scores, self.setup), index=joint.ids, columns=list(self.classes))

    def evaluate(
        self, rows: Federation | Sequence[DataOwner] | None = None, /, **frames: pd.DataFrame
    ) -> dict[str, float]:
        """How good joint predictions of these rows are, as the owner of the labels finds: accuracy, loss, AUC; or RMSE.

        All rows in common count, those that the federation trained on too: bring new ones. Rows with a label that was
        not known in training are left out. Nobody else is told.

        Raises:
            SchemaError: the owner of the labels has no such target, or none that is known.
            FedLabError: as ``predict``.
        """
        federation = self._federation(rows, frames, labelled=True)
        holder = next((owner for owner in federation.owners if owner.name == self.labels_at), None)
        if holder is not None and holder.target != self.target:
            raise SchemaError(
                f"{self.labels_at!r} has {f'the target {holder.target!r}' if holder.target else 'no target'} there.",
                f"Predictions are compared with {self.target!r}, which this owner knows.",
                f'Name it: fl.DataOwner({self.labels_at!r}, ..., target="{self.target}"), or use predict.',
            )
        joint = joint_scores(self.strategy, self.state, federation)
        return graded(joint.scores, joint.target, self.setup)

    def merge(self, federation: Federation, *, consent: Sequence[str]) -> MergedModel:
        """The whole model in the hands of the owner of the labels, with every owner's consent.

        ``consent`` names the owners that agree: all have to. Each of the others then sends its part, weights and how it
        reads its columns, to the owner of the labels, as the ledger of ``federation`` records; the model needs all
        columns of a row in one place, and no protocol.

        Raises:
            RuleError: an owner does not consent, naming it; or the strategy's parts make up no plain model.
            SettingError: a federation of other owners.
        """
        return merged(self.parts, federation, consent)

    def tree(self, number: int = 0, *, shown: Collection[str] | None = None) -> Card:
        """A picture of tree ``number`` of SecureBoost, as those see it who have the parts of the owners ``shown``.

        Left out, that is the owner of the labels: others' questions are handles then.

        Raises:
            RuleError: a model without trees.
            SettingError: there is no such tree.
        """
        card: Card = self._of_trees("tree")(self.state, number, shown=shown)
        return card

    def importance(self, federation: Federation, *, hide_names: bool = True) -> pd.DataFrame:
        """What the splits of each column have won in SecureBoost's trees, as their owners tell; the greatest first.

        Others' columns are numbers ("shop feature 3") unless all agree not to hide their names.

        Raises:
            RuleError: a model without trees.
            RoundError: naming the owner that fails.
        """
        found: pd.DataFrame = self._of_trees("importance")(federation, self.state, hide_names=hide_names)
        return found

    def _of_trees(self, asked: str) -> Any:
        """What the strategy has for it; only one that grows trees does."""
        if not hasattr(self.strategy, asked):
            raise RuleError(
                f"{asked} was asked for, and this is a model of {type(self.strategy).__name__}, which has no trees.",
                "Gains and pictures are of the splits that trees are made of.",
                "Train with fl.vertical.SecureBoost; of others, run.model.parts has each owner's weights.",
            )
        return getattr(self.strategy, asked)

    def _joint(self, rows: Asked, frames: Mapping[str, pd.DataFrame]) -> Joint:
        return joint_scores(self.strategy, self.state, self._federation(rows, frames, labelled=False))

    def _federation(self, rows: Asked, frames: Mapping[str, pd.DataFrame], *, labelled: bool) -> Federation:
        return federation_of(self.strategy, self.setup, rows, frames, labelled=labelled)

    def __repr__(self) -> str:
        held = ", ".join(f"{name}: {self.state.weights[name].size}" for name in self.owners)
        return one_line(
            f"VerticalModel({type(self.strategy).__name__}, weights by owner: {held}, predicts {self.target!r})"
        )

    def _repr_html_(self) -> str:
        kind = f"classes: {listed(self.classes, most=12)}" if self.classes else "a number"
        facts = [
            ("Predicts", f"{self.target}, {kind}"),
            ("Strategy", self.strategy.title),
            ("Labels, and predictions, at", self.labels_at),
        ]
        parts = [
            (part.owner, f"{part.weights.size:,}", f"{len(part.inputs):,}", "yes" if part.target else "no")
            for part in self.parts.values()
        ]
        table = table_html(("Who keeps a part", "Weights", "Inputs", "Knows the labels"), parts)
        note = (
            ".predict(federation) is worked out by all owners together; .parts has each owner's part, to .save(path); "
            ".merge(federation, consent=[...]) needs every owner's consent. Here all parts lie in one process."
        )
        return framed(panel("Model of owners of different columns", pairs_html(facts) + table, note=note))
