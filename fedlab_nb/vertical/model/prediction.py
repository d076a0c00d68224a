"""A joint prediction that is agreed on beforehand, by parties of whom each has its own part of the model alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fedlab_nb.cards import card, one_line
from fedlab_nb.errors import SettingError
from fedlab_nb.parties import Federation
from fedlab_nb.places import NotHere
from fedlab_nb.records import State
from fedlab_nb.vertical.model.joint import Joint, joint_scores
from fedlab_nb.vertical.model.outcome import table
from fedlab_nb.vertical.model.parts import ModelPart, setup_of
from fedlab_nb.vertical.shared.meeting import Setup
from fedlab_nb.vertical.shared.strategy import COURSE, VerticalStrategy

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, repr=False)
class JointPrediction:
    """What owners are to do with the parts of a model that they keep: predict rows in common, for the labels' owner.

    ``strategy`` is the one that the model was trained with, under the same settings; ``woe=``, which is about single
    owners' columns, does not matter. Of which run and round the parts are, the owners find out among themselves:
    ``fl.flower.export`` takes this in place of a strategy, from somebody who has no part.

    Raises:
        SettingError: something else than a strategy of ``fl.vertical``.

    Example:
        >>> import fedlab_nb as fl
        >>> JointPrediction(fl.vertical.LogisticRegression("bank"))
        JointPrediction(LogisticRegression(labels_at='bank'))
    """

    strategy: VerticalStrategy

    def __post_init__(self) -> None:
        given: object = self.strategy
        if isinstance(given, type):
            raise SettingError(
                f"A joint prediction was to be made of the class {given.__name__}, and not of what was made of it.",
                "A class has no settings, and these say by which protocol predictions are made, and for whom.",
                f"Call it with its settings, {given.__name__}(...), as in "
                'fl.vertical.JointPrediction(fl.vertical.SecureBoost("bank")); of a model it is model.strategy.',
            )
        if not isinstance(given, VerticalStrategy):
            raise SettingError(
                f"A joint prediction was to be made of something of type {type(given).__name__}.",
                "The owners' parts say by which strategy they were trained, and a prediction follows its protocol.",
                'Give the strategy of the training: fl.vertical.JointPrediction(fl.vertical.SecureBoost("bank")); of '
                "a model it is model.strategy.",
            )
        object.__setattr__(self, "strategy", self.strategy.kept_with_parts())

    @property
    def labels_at(self) -> str:
        """The owner that gets the predictions."""
        return self.strategy.labels_at

    def openers_among(self, owners: int) -> tuple[str, ...]:
        """Who else than so many owners takes part: the key holder, or nobody."""
        return self.strategy.openers_among(owners, predicting=True)

    def fits(self, part: ModelPart) -> bool:
        """Whether a part is of a model that this is about."""
        return part.strategy == self.strategy

    def __repr__(self) -> str:
        return one_line(f"JointPrediction({self.strategy!r})")

    def _repr_html_(self) -> str:
        rows = [
            ("Predicts by", self.strategy.title),
            ("Predictions at", f"{self.labels_at}, and nobody else"),
            ("Needs", "each owner's part of the same model, at that owner"),
        ]
        return card("Joint prediction", rows, "fl.flower.export(names, prediction, folder) has owners do it elsewhere.")


def predicted_apart(prediction: JointPrediction, federation: Federation, part: ModelPart | None) -> Joint:
    """A joint prediction as one party goes through it: an owner has its own ``part``, everybody else none.

    The result is there for the owner of the labels alone, and elsewhere ``NotHere``.

    Raises:
        FedLabError: as ``joint_scores``.
    """
    state = _bare(prediction, federation) if part is None else _own(part)
    return joint_scores(prediction.strategy, state, federation)


def _own(part: ModelPart) -> State:
    """The state as an owner knows it: its own part, and nothing of the others'."""
    memory = {COURSE: np.array(part.origin.course), **{key: value.copy() for key, value in part.memory.items()}}
    return State({**_elsewhere(part.origin.owners), part.owner: part.weights.copy()}, memory, _setup(part))


def _setup(part: ModelPart) -> Setup:
    """What was fixed before the first round, as the owner of this part knows it."""
    target: Any = NotHere((part.origin.labels_at,)) if part.target is None else part.target
    return setup_of(part.origin, target, {**_elsewhere(part.origin.owners), part.owner: part.reading})


def _elsewhere(names: tuple[str, ...]) -> dict[str, Any]:
    return {name: NotHere((name,)) for name in names}


def _bare(prediction: JointPrediction, federation: Federation) -> State:
    """The state as a party without rows knows it: who takes part."""
    names, known = federation.names, _elsewhere(federation.names)
    nothing: Any = NotHere(names)
    setup = Setup(prediction.labels_at, names, federation.schema, seed=nothing, task=nothing, outputs=nothing,
                  rows=nothing, held_out=nothing, target=nothing, readings=known, run=nothing)  # fmt: skip
    return State(known, {}, setup)


def shown(part: ModelPart, joint: Joint) -> pd.DataFrame:
    """At the owner of the labels: the table that ``VerticalModel.predict`` gives."""
    return table(joint.scores, joint.ids, _setup(part))
