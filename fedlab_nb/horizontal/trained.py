"""From the last state of a run to a model for one's own frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.data import encoding as enc
from fedlab_nb.errors import SchemaError
from fedlab_nb.learn import Architecture, TrainedModel

if TYPE_CHECKING:
    import pandas as pd


def trained(architecture: Architecture, weights: NDArray[np.float64], encoding: enc.Encoding) -> TrainedModel:
    """The model with these ``weights`` (d,), reading and naming things as the federation agreed."""
    target = encoding.target

    def read_target(frame: pd.DataFrame) -> tuple[NDArray[np.bool_], NDArray[Any]]:
        if target.name not in frame.columns:
            raise SchemaError(
                f"The frame lacks the target column {target.name!r}.",
                "Scores compare what the model says with what is true.",
                "Add the column, or call predict(), which does not need it.",
            )
        keep = enc.usable(frame[target.name], encoding)
        return keep, enc.encode_target(frame.loc[keep, target.name], encoding)

    return TrainedModel(
        architecture,
        weights,
        encoding.task,
        encoding.feature_names,
        encoding.classes,
        target.name,
        read=lambda frame: enc.encode(frame, encoding),
        read_target=read_target,
        say=lambda scores: enc.decode(scores, encoding),
        scale=target.scale if isinstance(target, enc.NumberCode) else 1.0,
    )
