"""The whole model in one pair of hands, with the consent of every owner.

Who learns what: the owner of the labels gets every other owner's weights and how it reads its columns, which has means,
spreads and categories of that owner's rows in common. Everybody else learns that all have consented.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.cards import card, one_line
from fedlab_nb.errors import RuleError, SchemaError, SettingError
from fedlab_nb.parties import Federation
from fedlab_nb.parties.columns.road import charge
from fedlab_nb.records import State
from fedlab_nb.records.kept import taken_apart
from fedlab_nb.records.schema import Task
from fedlab_nb.units import counted, listed
from fedlab_nb.vertical.model.outcome import graded, probable, said
from fedlab_nb.vertical.model.parts import ModelPart, together
from fedlab_nb.vertical.shared.meeting import Setup
from fedlab_nb.vertical.shared.strategy import VerticalStrategy

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]

PART = "model part, given with consent"
READING = "reading of columns, given with consent"
CONSENT = "consent to a merged model"


@dataclass(frozen=True, eq=False, repr=False)
class MergedModel:
    """A model with all owners' parts in it: it predicts frames that have all columns, and needs no protocol.

    ``state`` has the weights by owner. ``sklearn()`` gives linear models to scikit-learn.
    """

    strategy: VerticalStrategy
    state: State = field(repr=False)

    @property
    def setup(self) -> Setup:
        """What was fixed before the first round."""
        setup: Setup = self.state.context  # type: ignore[assignment]
        return setup

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

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of the inputs, owner after owner."""
        return tuple(name for owner in self.setup.owners for name in self.setup.readings[owner].inputs)

    def predict(self, frame: pd.DataFrame) -> NDArray[Any]:
        """The predicted class or number (n,) for each row of ``frame``.

        Raises:
            SchemaError: if a column that the model was trained on is missing.
        """
        return said(self.scores(frame), self.setup)

    def predict_proba(self, frame: pd.DataFrame) -> Floats:
        """The probability of each class (n, classes), in the order of ``classes``; for numbers there is none."""
        return probable(self.scores(frame), self.setup)

    def evaluate(self, frame: pd.DataFrame) -> dict[str, float]:
        """Exact scores on a frame with the target: accuracy, loss, AUC; or RMSE, R2.

        Rows without a known target are left out.

        Raises:
            SchemaError: if a column is missing, or no row has a known target.
        """
        if self.target not in frame.columns:
            raise SchemaError(
                f"The frame lacks the target {self.target!r}.",
                "Scores compare predictions with targets.",
                "Add it, or use .predict(frame).",
            )
        return graded(self.scores(frame), frame[self.target], self.setup)

    def scores(self, frame: pd.DataFrame) -> Floats:
        """The scores (n, outputs) of each row of ``frame``: log-odds of classes, or numbers in units of the target."""
        inputs = {name: self.setup.readings[name].read(frame) for name in self.setup.owners}
        return self.strategy.merged_scores(self.state, inputs)

    def sklearn(self) -> Any:
        """The same model as a scikit-learn pipeline, from frames with all columns to predictions.

        Raises:
            RuleError: the model is not linear.
            SettingError: scikit-learn is not installed.
        """
        from fedlab_nb.vertical.model.plain import pipeline

        return pipeline(self.strategy, self.state)

    def __repr__(self) -> str:
        return one_line(
            f"MergedModel({type(self.strategy).__name__} of {listed(self.setup.owners)}, "
            f"{counted(len(self.inputs), 'input')}, predicts {self.target!r})"
        )

    def _repr_html_(self) -> str:
        kind = f"classes: {listed(self.classes, most=12)}" if self.classes else "a number"
        rows = [
            ("Predicts", f"{self.target}, {kind}"),
            ("Strategy", self.strategy.title),
            ("Merged with the consent of", listed(self.setup.owners, most=12)),
            ("Weights", f"{sum(part.size for part in self.state.weights.values()):,}"),
            ("Inputs", f"{len(self.inputs):,}; their names: .inputs"),
            ("Holds", "no row of anybody; of every owner how it reads its columns, such as their means"),
        ]
        return card("Merged model", rows, ".predict(frame) and .evaluate(frame) take frames with all columns.")


def merged(parts: Mapping[str, ModelPart], federation: Federation, consent: Sequence[str]) -> MergedModel:
    """What comes of all parts at the owner of the labels; what crosses for it is in the federation's ledger.

    Raises:
        RuleError: somebody does not consent, or the parts make up no plain model. Nothing has crossed then.
        SettingError: other owners.
    """
    strategy, state = together(parts.values())
    setup: Setup = state.context  # type: ignore[assignment]
    _check(strategy, setup, federation, consent)
    others = setup.others
    with federation.in_use():
        number = federation.turn()
        charge(federation, PART, others, number=number)
        agreed = f"all consent: {', '.join(setup.owners)}"
        for name in others:
            federation.ledger.post(number, setup.labels_at, name, CONSENT, agreed)
        for name in others:
            federation.ledger.post(number, name, setup.labels_at, PART, parts[name].weights)
            federation.ledger.post(number, name, setup.labels_at, READING, _told(parts[name]))
    return MergedModel(strategy, state)


def _told(part: ModelPart) -> str:
    """How an owner reads its columns, and what else predictions need of it, as it crosses."""
    plain, arrays = taken_apart({"reading": part.reading, "memory": dict(part.memory)})
    return json.dumps({"plain": plain, "arrays": {name: array.tolist() for name, array in arrays.items()}})


def _check(strategy: VerticalStrategy, setup: Setup, federation: Federation, consent: Sequence[str]) -> None:
    if not isinstance(federation, Federation) or set(federation.names) != set(setup.owners):
        given = listed(federation.names) if isinstance(federation, Federation) else type(federation).__name__
        raise SettingError(
            f"A model of {listed(setup.owners)} was to be merged in a federation of {given}.",
            "Its ledger records who has given its part away, and every owner has to be there.",
            "Pass the federation of the run, or another one of the same owners.",
        )
    agreed = {consent} if isinstance(consent, str) else set(consent)
    strangers = sorted(agreed - set(setup.owners))
    if strangers:
        raise SettingError(
            f"The consent of {listed(map(repr, strangers))} was given.",
            f"The parts belong to {listed(setup.owners)}, and only they can give them away.",
            f"Name the owners that consent: consent={list(setup.owners)!r}.",
        )
    silent = [name for name in setup.owners if name not in agreed]
    if silent:
        raise RuleError(
            f"A merged model was asked for, and {listed(map(repr, silent))} did not consent.",
            "A merged model shows an owner's weights and how it reads its columns, which it learned from its rows.",
            "Ask, and name all owners that consent; without it predict together: run.model.predict(federation).",
        )
    if type(strategy).merged_scores is VerticalStrategy.merged_scores:
        strategy.merged_scores(State({}), {})
