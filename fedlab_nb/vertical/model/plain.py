"""A merged linear model in scikit-learn's terms."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.data.encoding import NumberCode
from fedlab_nb.errors import RuleError, SettingError
from fedlab_nb.records import State
from fedlab_nb.vertical.descent.model import LinearModel
from fedlab_nb.vertical.linear import PoissonRegression
from fedlab_nb.vertical.shared.meeting import Setup
from fedlab_nb.vertical.shared.strategy import VerticalStrategy

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]


def pipeline(strategy: VerticalStrategy, state: State) -> Any:
    """A fitted pipeline: from a frame with all columns to inputs, from these to predictions.

    Law: it predicts what the merged model does, and for classes the same probabilities.

    Raises:
        RuleError: the model is not linear.
        SettingError: scikit-learn is not installed.
    """
    if not isinstance(strategy, LinearModel):
        raise RuleError(
            f"A merged model of {type(strategy).__name__} was to become one of scikit-learn.",
            "Only linear models have the same form there: one weight for each input.",
            "Use .predict(frame) of the merged model; its weights are in .state.weights.",
        )
    if find_spec("sklearn") is None:
        raise SettingError(
            "A model of scikit-learn was asked for, and it is not installed.",
            "This package does not need it otherwise.",
            "Install it with: pip install scikit-learn. Or use .predict(frame) of the merged model.",
        )
    from sklearn.pipeline import Pipeline  # type: ignore[import-untyped]
    from sklearn.preprocessing import FunctionTransformer  # type: ignore[import-untyped]

    setup: Setup = state.context  # type: ignore[assignment]
    reader = FunctionTransformer(partial(all_inputs, {name: setup.readings[name] for name in setup.owners}))
    weights, intercept = strategy.coefficients(state)
    return Pipeline([("inputs", reader), ("model", _estimator(strategy, setup, weights, intercept))])


def all_inputs(readings: Mapping[str, Any], frame: pd.DataFrame) -> Floats:
    """The inputs (n, d) of all owners side by side."""
    return np.hstack([reading.read(frame) for reading in readings.values()])


def _estimator(strategy: LinearModel, setup: Setup, weights: Floats, intercept: Floats) -> Any:
    """A fitted estimator with ``weights`` (d, outputs) and ``intercept`` (outputs,)."""
    from sklearn.linear_model import (  # type: ignore[import-untyped]
        LinearRegression,
        LogisticRegression,
        PoissonRegressor,
    )

    code = setup.target
    if isinstance(code, NumberCode) and isinstance(strategy, PoissonRegression):
        counts = PoissonRegressor(alpha=strategy.l2)
        counts.coef_, counts.intercept_ = weights[:, 0], float(intercept[0] + np.log(code.scale))
        counts._base_loss = counts._get_loss()  # noqa: SLF001 - what its own fit sets, and its predict needs
        made: Any = counts
    elif isinstance(code, NumberCode):
        made = LinearRegression()
        made.coef_, made.intercept_ = weights[:, 0] * code.scale, float(intercept[0] * code.scale + code.centre)
    else:
        made = LogisticRegression()
        made.coef_, made.intercept_, made.classes_ = weights.T.copy(), intercept.copy(), np.array(code.values)
    made.n_features_in_ = len(weights)
    return made
