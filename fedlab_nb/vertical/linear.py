"""Vertical linear and Poisson regression: numbers and counts that one owner knows, from columns of several.

Read descent/gradients.py for who sends what to whom, descent/links.py for how a residual falls into pieces.

Source: Hardy et al. 2017, arXiv 1711.10677, section 4; for counts the hetero Poisson regression of FATE, which
multiplies two owners' exponentials as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.data.columns import as_numbers
from fedlab_nb.data.encoding import CategoryCode, NumberCode
from fedlab_nb.errors import RuleError, SchemaError
from fedlab_nb.parties import Federation
from fedlab_nb.records import Column, Round, State
from fedlab_nb.records.schema import Task
from fedlab_nb.vertical.descent.links import Exponential, Identity, Link
from fedlab_nb.vertical.descent.model import LinearModel, step_words
from fedlab_nb.vertical.shared.meeting import Meeting, Mine, Setup
from fedlab_nb.vertical.shared.reading import number_code
from fedlab_nb.vertical.shared.strategy import SCORES

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]


def _counts(target: pd.Series) -> Floats | None:
    """The labels (n,) if they are numbers from 0 up, and not all 0."""
    try:
        values = as_numbers(target)
    except SchemaError:
        return None
    return values if (values >= 0.0).all() and (values > 0.0).any() else None


@dataclass(frozen=True, repr=False)
class LinearRegression(LinearModel):
    """label = sum over owners of columns @ weights + intercept, by least squares; any number of owners.

    Who learns what stands on the card that a notebook shows of it, and in ``learns``. Source: Hardy et al. 2017.

    Example:
        >>> LinearRegression(labels_at="works", l2=0.0)
        LinearRegression(labels_at='works', l2=0.0)
    """

    title: ClassVar[str] = "Vertical linear regression"
    formula: ClassVar[str] = step_words("u − y")
    tasks: ClassVar[tuple[Task, ...]] = ("regression",)

    def link(self, owners: int) -> Link:  # noqa: ARG002 - one interface
        """The residual is score less label."""
        return Identity()


@dataclass(frozen=True, repr=False)
class PoissonRegression(LinearModel):
    """log(mean label) = sum over owners of columns @ weights + intercept: counts, from the columns of two owners.

    Counts are in units of their mean, which only their owner knows. A safe step is not known beforehand where residuals
    are exponentials: if the loss rises, use a smaller ``lr``.

    Who learns what stands on the card that a notebook shows of it, and in ``learns``. Source: Hardy et al. 2017.

    Example:
        >>> PoissonRegression(labels_at="clinic", lr=0.5)
        PoissonRegression(labels_at='clinic', lr=0.5)
    """

    title: ClassVar[str] = "Vertical Poisson regression"
    formula: ClassVar[str] = step_words("exp(u) − y")
    tasks: ClassVar[tuple[Task, ...]] = ("regression",)

    def check(self, federation: Federation, num_rounds: int, *, seed: int = 0, after: Round | None = None) -> None:
        """Refuse, before anything leaves, what cannot work.

        Raises:
            SettingError, RuleError.
        """
        super().check(federation, num_rounds, seed=seed, after=after)
        if len(federation.names) > 2:
            raise RuleError(
                f"PoissonRegression was to bring {len(federation.names)} owners together.",
                "An exponential of a sum of three is a product of three owners' numbers, and sealed numbers are "
                "multiplied once.",
                "Bring two owners together, or use LinearRegression.",
            )

    def read_labels(self, target: pd.Series, column: Column, owner: str) -> CategoryCode | NumberCode:
        """Counts in units of their mean.

        Raises:
            SchemaError: labels that are no numbers, or below 0, or all 0.
        """
        values = _counts(target)
        if values is None:
            raise SchemaError(
                f"The target {column.name!r} of {owner!r} holds something else than counts from 0 up.",
                "Poisson regression predicts how often something happens.",
                "Use LinearRegression for numbers of other kinds, LogisticRegression for classes.",
            )
        code = number_code(target, column, owner)  # whole numbers, which few different ones are taken for classes
        return replace(code, centre=0.0, scale=float(np.clip(values, code.low, code.high).mean()))

    def link(self, owners: int) -> Link:  # noqa: ARG002 - one interface
        """The residual is exp(score) less count; twice the mean count bounds its slope well enough for most rows."""
        return Exponential(curvature=2.0)

    def plain(
        self, columns: Mapping[str, Floats], y: Floats, new: Mapping[str, Floats], setup: Setup, num_rounds: int
    ) -> Floats:
        """Expected counts, in units of the mean."""
        return np.exp(np.clip(super().plain(columns, y, new, setup, num_rounds), -50.0, 50.0))

    def foretell(self, at: Meeting, state: State) -> None:
        """The owner of the labels takes the exponential of the joint scores."""
        super().foretell(at, state)

        def exponentials(mine: Mine) -> None:
            mine.memory[SCORES] = np.exp(np.clip(mine.memory[SCORES], -50.0, 50.0))

        at.own("expected counts", exponentials, at=at.labels_at)

    def merged_scores(self, state: State, inputs: Mapping[str, Floats]) -> Floats:
        """The expected counts, in units of their mean, where all parts are in one pair of hands."""
        return np.asarray(np.exp(np.clip(super().merged_scores(state, inputs), -50.0, 50.0)))
