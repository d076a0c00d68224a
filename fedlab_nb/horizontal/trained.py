"""From the last state of a run to a model for one's own frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.data import encoding as enc
from fedlab_nb.errors import SchemaError
from fedlab_nb.learn import Architecture, TrainedModel
from fedlab_nb.records.schema import Task

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Columns:
    """How a trained model reads the columns of a frame and names what it says: as the federation agreed."""

    encoding: enc.Encoding

    @property
    def task(self) -> Task:
        """What is predicted."""
        return self.encoding.task

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of the model's inputs, in order."""
        return self.encoding.feature_names

    @property
    def classes(self) -> tuple[object, ...]:
        """The labels in the order of the outputs; empty for numbers."""
        return self.encoding.classes

    @property
    def target(self) -> str:
        """The column that is predicted."""
        return self.encoding.target.name

    @property
    def scale(self) -> float:
        """One unit of a score for numbers, in the target's own units."""
        target = self.encoding.target
        return target.scale if isinstance(target, enc.NumberCode) else 1.0

    def read(self, frame: pd.DataFrame) -> NDArray[np.float32]:
        """The inputs (n, inputs) of each row.

        Raises:
            SchemaError: if a column that the model was trained on is missing.
        """
        return enc.encode(frame, self.encoding)

    def read_target(self, frame: pd.DataFrame) -> tuple[NDArray[np.bool_], NDArray[Any]]:
        """Which rows (n,) have a known target, and the targets of these.

        Raises:
            SchemaError: if there is no such column.
        """
        if self.target not in frame.columns:
            raise SchemaError(
                f"The frame lacks the target column {self.target!r}.",
                "Scores compare what the model says with what is true.",
                "Add the column, or call predict(), which does not need it.",
            )
        keep = enc.usable(frame[self.target], self.encoding)
        return keep, enc.encode_target(frame.loc[keep, self.target], self.encoding)

    def say(self, scores: NDArray[np.float64]) -> NDArray[Any]:
        """The class label or number (n,) that scores (n, outputs) mean."""
        return enc.decode(scores, self.encoding)


def trained(architecture: Architecture, weights: NDArray[np.float64], encoding: enc.Encoding) -> TrainedModel:
    """The model with these ``weights`` (d,), reading and naming things as the federation agreed."""
    return TrainedModel(architecture, weights, Columns(encoding))
