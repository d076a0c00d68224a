"""The model that came out, for use on frames of one's own."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.cards import card, one_line
from fedlab_nb.errors import SchemaError
from fedlab_nb.learn.engine.flat import load_weights
from fedlab_nb.learn.local import Learner
from fedlab_nb.learn.metrics import exact_scores, probabilities
from fedlab_nb.learn.models import Architecture, build
from fedlab_nb.records.schema import Task
from fedlab_nb.units import bytes_text, listed

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    from torch import Tensor, nn


class Reading(Protocol):
    """How a model reads the columns of a frame, and what its scores mean: fixed before the first round of a run."""

    @property
    def task(self) -> Task:
        """What is predicted."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of the inputs, in order."""

    @property
    def classes(self) -> tuple[object, ...]:
        """The labels in the order of the outputs; empty for numbers."""

    @property
    def target(self) -> str:
        """The column that is predicted."""

    @property
    def scale(self) -> float:
        """One unit of a score for numbers, in the target's own units."""

    def read(self, frame: pd.DataFrame) -> NDArray[np.float32]:
        """The inputs (n, inputs) of each row."""

    def read_target(self, frame: pd.DataFrame) -> tuple[NDArray[np.bool_], NDArray[Any]]:
        """Which rows (n,) have a known target, and the targets of these."""

    def say(self, scores: NDArray[np.float64]) -> NDArray[Any]:
        """The class label or number (n,) that scores (n, outputs) mean."""


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """A trained model together with the way it reads columns; it holds no row of anybody.

    ``weights`` is the flat vector (d,). ``save`` keeps it for ``fl.models.load``; ``module``, ``state_dict``,
    ``torchscript`` and ``onnx`` give it to other programs, which have to read columns as ``reading.read`` does.
    """

    architecture: Architecture
    weights: NDArray[np.float64]
    reading: Reading = field(repr=False)

    @property
    def task(self) -> Task:
        """What is predicted: "binary" and "multiclass" are classes, "regression" a number."""
        return self.reading.task

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of the inputs, in order: a category has one for each of its values."""
        return self.reading.inputs

    @property
    def classes(self) -> tuple[object, ...]:
        """The labels in the order of the outputs (two classes have one output); empty for numbers."""
        return self.reading.classes

    @property
    def target(self) -> str:
        """The column that is predicted."""
        return self.reading.target

    def predict(self, frame: pd.DataFrame) -> NDArray[Any]:
        """The predicted class label or number (n,) for each row of ``frame``.

        Raises:
            SchemaError: if a column that the model was trained on is missing.
        """
        return self.reading.say(self._scores(frame))

    def predict_proba(self, frame: pd.DataFrame) -> NDArray[np.float64]:
        """The probability of each class (n, classes), in the order of ``classes``; for numbers there is none."""
        return probabilities(self._scores(frame)) if self.classes else np.zeros((len(frame), 0))

    def evaluate(self, frame: pd.DataFrame) -> dict[str, float]:
        """Exact scores on a frame of your own with the target column: accuracy, loss, AUC; or RMSE, R2.

        Rows without a known target are left out. Nothing is charged: these are not the owners' rows. AUC is absent
        where only one class occurs, R2 where all targets are equal.

        Raises:
            SchemaError: if a column is missing, or no row has a known target.
        """
        keep, y = self.reading.read_target(frame)
        if not len(y):
            raise SchemaError(
                f"None of the {len(frame)} rows given has a known target {self.target!r}.",
                "Scores compare predictions with targets, and no rows have no score.",
                "Give a frame with that column filled in, spelled as in training.",
            )
        scores = self._scores(frame)[keep]
        return exact_scores(self.task, scores, y, self.reading.scale)

    def module(self) -> nn.Module:
        """The torch module with these weights, ready to predict; its inputs are those of ``reading.read(frame)``."""
        module = build(self.architecture, len(self.inputs), self._outputs)
        load_weights(module, self.weights)
        return module.eval()

    def state_dict(self) -> dict[str, Tensor]:
        """The weights by the names that torch gives them: ``your_module.load_state_dict(model.state_dict())``."""
        return dict(self.module().state_dict())

    def save(self, path: str | Path) -> Path:
        """Write the model to ``path`` for ``fl.models.load``, as safetensors: numbers and text, no code. Returns it.

        Torch reads the weights of such a file as well: ``safetensors.torch.load_file(path)`` is a state_dict.

        Raises:
            SettingError: if it cannot be written.
        """
        from fedlab_nb.learn.export import write

        return write(self, path)

    def torchscript(self, path: str | Path) -> Path:
        """Write the module as TorchScript, which runs where there is no Python; returns the path.

        It takes ``reading.read(frame)`` (n, inputs) as float32 and gives scores (n, outputs).

        Raises:
            SettingError: if torch cannot trace the module, or it cannot be written.
        """
        from fedlab_nb.learn.export import write_torchscript

        return write_torchscript(self, path)

    def onnx(self, path: str | Path) -> Path:
        """Write the module as ONNX, with the input "inputs" and the output "scores" as in ``torchscript``.

        Raises:
            SettingError: without the package ``onnx``, or if torch cannot translate the module.
        """
        from fedlab_nb.learn.export import write_onnx

        return write_onnx(self, path)

    @property
    def _outputs(self) -> int:
        return len(self.classes) if self.task == "multiclass" else 1

    def _scores(self, frame: pd.DataFrame) -> NDArray[np.float64]:
        learner = Learner.of(self.architecture, len(self.inputs), self._outputs, self.task)
        return learner.scores(self.weights, self.reading.read(frame))

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
            ".predict(frame), .predict_proba(frame) and .evaluate(frame) take frames of your own; .save(path) keeps "
            "the model, .module() is torch."
        )
        return card("Trained model", rows, note)
