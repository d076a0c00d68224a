"""The model that came out, for use on frames of one's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.cards import card, one_line
from fedlab_nb.errors import SchemaError
from fedlab_nb.learn.local import Learner
from fedlab_nb.learn.metrics import area_under_curve, probabilities
from fedlab_nb.learn.models import Architecture, build, load_weights
from fedlab_nb.records.schema import Task
from fedlab_nb.units import bytes_text, listed

if TYPE_CHECKING:
    import pandas as pd
    from torch import nn


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """A trained model together with the way it reads columns; it holds no row of anybody.

    ``weights`` is the flat vector (d,), ``classes`` the labels in the order of the outputs (empty for numbers).
    """

    architecture: Architecture
    weights: NDArray[np.float64]
    task: Task
    inputs: tuple[str, ...]
    classes: tuple[object, ...]
    target: str
    read: Callable[[pd.DataFrame], NDArray[np.float32]] = field(repr=False)
    read_target: Callable[[pd.DataFrame], tuple[NDArray[np.bool_], NDArray[Any]]] = field(repr=False)
    say: Callable[[NDArray[np.float64]], NDArray[Any]] = field(repr=False)
    scale: float = 1.0

    def predict(self, frame: pd.DataFrame) -> NDArray[Any]:
        """The predicted class label or number (n,) for each row of ``frame``.

        Raises:
            SchemaError: if a column that the model was trained on is missing.
        """
        return self.say(self._scores(frame))

    def probabilities(self, frame: pd.DataFrame) -> NDArray[np.float64]:
        """The probability of each class (n, classes), in the order of ``classes``; for numbers there is none."""
        return probabilities(self._scores(frame)) if self.classes else np.zeros((len(frame), 0))

    def evaluate(self, frame: pd.DataFrame) -> dict[str, float]:
        """Exact scores on a frame of your own with the target column: accuracy, loss, AUC; or RMSE, R2.

        Rows without a known target are left out. Nothing is charged: these are not the owners' rows. AUC is absent
        where only one class occurs, R2 where all targets are equal.

        Raises:
            SchemaError: if a column is missing, or no row has a known target.
        """
        keep, y = self.read_target(frame)
        if not len(y):
            raise SchemaError(
                f"None of the {len(frame)} rows given has a known target {self.target!r}.",
                "Scores compare predictions with targets, and no rows have no score.",
                "Give a frame with that column filled in, spelled as in training.",
            )
        scores = self._scores(frame)[keep]
        if self.task == "regression":
            error = (scores[:, 0] - y) * self.scale
            spread = float(np.var(y)) * self.scale**2
            rmse = {"rmse": float(np.sqrt(np.mean(error**2)))}
            return rmse | ({"r2": float(1 - np.mean(error**2) / spread)} if spread > 0.0 else {})
        chances, truth = probabilities(scores), y.astype(np.int64)
        of_truth = np.clip(chances[np.arange(len(truth)), truth], 1e-12, 1.0)
        columns = range(1, 2) if self.task == "binary" else range(chances.shape[1])
        ranked = scores if self.task == "binary" else chances
        areas = [_exact_area(ranked[:, c if ranked.shape[1] > 1 else 0], truth == c) for c in columns]
        known = [area for area in areas if area is not None]
        result = {"accuracy": float(np.mean(chances.argmax(1) == truth)), "loss": float(-np.log(of_truth).mean())}
        return result | ({"auc": float(np.mean(known))} if known else {})

    def module(self) -> nn.Module:
        """The torch module with these weights; its inputs are the columns of ``inputs``, already encoded."""
        module = build(self.architecture, len(self.inputs), self._outputs)
        load_weights(module, self.weights)
        return module

    @property
    def _outputs(self) -> int:
        return len(self.classes) if self.task == "multiclass" else 1

    def _scores(self, frame: pd.DataFrame) -> NDArray[np.float64]:
        learner = Learner(self.architecture, len(self.inputs), self._outputs, self.task)
        return learner.scores(self.weights, self.read(frame))

    def __repr__(self) -> str:
        return one_line(
            f"TrainedModel({self.architecture!r}, {self.weights.size} weights, {len(self.inputs)} inputs, "
            f"predicts {self.target!r})"
        )

    def _repr_html_(self) -> str:
        kind = {"binary": "two classes", "multiclass": "classes", "regression": "a number"}[self.task]
        answers = f"{kind}: {listed(self.classes, most=12)}" if self.classes else kind
        rows = [
            ("Predicts", f"{self.target}, {answers}"),
            ("Architecture", repr(self.architecture)),
            ("Weights", f"{self.weights.size:,}, {bytes_text(4 * self.weights.size)} as 32-bit numbers"),
            ("Inputs", f"{len(self.inputs):,}: {listed(self.inputs)}"),
            ("Holds", "no row of anybody"),
        ]
        note = (
            ".predict(frame), .probabilities(frame) and .evaluate(frame) take frames of your own; .module() is torch."
        )
        return card("Trained model", rows, note)


def _exact_area(scores: NDArray[np.float64], positive: NDArray[np.bool_]) -> float | None:
    _, place = np.unique(scores, return_inverse=True)
    bins = int(place.max(initial=-1)) + 1
    counts = np.bincount(positive * bins + place, minlength=2 * bins).astype(np.float64)
    return area_under_curve(counts.reshape(2, bins))
