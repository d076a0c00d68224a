"""What scores mean: classes, probabilities or numbers, and how good they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.data.encoding import Encoding, decode, usable
from fedlab_nb.errors import SchemaError
from fedlab_nb.learn.metrics import probabilities
from fedlab_nb.vertical.shared.meeting import Setup, labels_of
from fedlab_nb.vertical.shared.scores import metrics

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]


def said(scores: Floats, setup: Setup) -> NDArray[Any]:
    """The class or the number (n,) that scores (n, outputs) mean."""
    return decode(scores, Encoding((), setup.target))


def probable(scores: Floats, setup: Setup) -> Floats:
    """The probability of each class (n, classes); (n, 0) where a number is predicted."""
    return probabilities(scores) if setup.classes else np.zeros((len(scores), 0))


def table(scores: Floats, ids: pd.Index, setup: Setup) -> pd.DataFrame:
    """What scores (n, outputs) of the rows ``ids`` mean: "prediction", and of classes the "probability of" each."""
    import pandas as pd

    chances = probable(scores, setup)
    found: dict[str, Any] = {"prediction": said(scores, setup)}
    found |= {f"probability of {name}": chances[:, place] for place, name in enumerate(setup.classes)}
    return pd.DataFrame(found, index=ids)


def graded(scores: Floats, target: pd.Series, setup: Setup) -> dict[str, float]:
    """How good scores (n, outputs) are, on the rows with a label that was known in training.

    Raises:
        SchemaError: there is no such row.
    """
    known = usable(target, Encoding((), setup.target))
    if not known.any():
        raise SchemaError(
            f"None of the {len(target)} rows has a known target {setup.target.name!r}.",
            "Scores compare predictions with targets, and no rows have no score.",
            "Give rows with that column filled in, spelled as in training.",
        )
    return metrics(scores[known], labels_of(target[known], setup.target), setup)
