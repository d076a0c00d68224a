"""Vertical logistic regression: who has the labels and who has further columns of the same people train one model.

Read descent/gradients.py for who sends what to whom, descent/links.py for how a residual falls into pieces.

Who learns what is said there, and on the card of the strategy. No owner's columns, partial scores of rows to train on,
residuals or labels are readable for anybody else.

Source: Hardy et al. 2017, arXiv 1711.10677, section 4; links.py has what stands for its Taylor series.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from fedlab_nb.errors import RuleError
from fedlab_nb.parties import Federation
from fedlab_nb.records import Round, Schema, State
from fedlab_nb.records.schema import Task
from fedlab_nb.settings import check_setting
from fedlab_nb.vertical.descent.links import Link, Sigmoid, Straight
from fedlab_nb.vertical.descent.model import LinearModel, step_words
from fedlab_nb.vertical.scorecard.evidence import Evidence

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, repr=False)
class LogisticRegression(LinearModel):
    """P(label) = sigmoid(sum over owners of columns @ weights + intercept); of several classes each against the rest.

    ``sigmoid`` says how residuals are worked out from sealed numbers: "sines" (two owners; within .0065 of the
    sigmoid, but for the one row in a thousand whose scores reach furthest, and scores beyond 40), or "straight"
    (any number of owners; a straight line, as in Hardy et al.). Left out, it is the first where there are two
    owners. Probabilities of predictions are the sigmoid's own.

    ``woe`` is an answer of ``frame.training.woe`` or ``frame.training.select``: each owner then reads its columns in it
    as the weight of evidence of the bin that a value lies in, and no other columns (for ``fl.vertical.scorecard``).

    Who learns what stands on the card that a notebook shows of it, and in ``learns``. Source: Hardy et al. 2017.

    Example:
        >>> LogisticRegression(labels_at="bank", l2=0.01).l2
        0.01
    """

    sigmoid: Literal["sines", "straight"] | None = None
    woe: Evidence | None = None

    title: ClassVar[str] = "Vertical logistic regression"
    formula: ClassVar[str] = step_words("sigmoid(u) − y")
    tasks: ClassVar[tuple[Task, ...]] = ("binary", "multiclass")
    learns: ClassVar[tuple[tuple[str, str], ...]] = (
        *LinearModel.learns,
        ("an owner with woe=", "how frequent the event is in each bin of its own columns"),
        (
            "the owner of the labels with woe=",
            "of held-out and predicted rows perhaps the bins: a sum of few known weights can be taken apart",
        ),
    )

    def __post_init__(self) -> None:
        if self.woe is not None:
            object.__setattr__(self, "woe", Evidence.of(self.woe))

    def check(self, federation: Federation, num_rounds: int, *, seed: int = 0, after: Round | None = None) -> None:
        """Refuse, before anything leaves, what cannot work.

        Raises:
            SettingError, RuleError.
        """
        super().check(federation, num_rounds, seed=seed, after=after)
        if self.woe is not None:
            self.woe.check(federation, self.labels_at)
        check_setting(
            "LogisticRegression", "sigmoid", self.sigmoid, fits=self.sigmoid in (None, "sines", "straight"),
            wanted='"sines" or "straight"', why="It is how residuals are worked out from sealed numbers.",
            example='"sines"',
        )  # fmt: skip
        if self.sigmoid == "sines" and len(federation.names) > 2:
            raise RuleError(
                f'sigmoid="sines" was given, and there are {len(federation.names)} owners.',
                "A sine of a sum of three is made of products of three owners' numbers, and sealed numbers are "
                "multiplied once.",
                'Leave sigmoid out: with three owners or more it is "straight".',
            )

    def start(self, federation: Federation, *, num_rounds: int, seed: int) -> State:
        """Begin; with ``woe`` the server first tells every owner the weights of its own bins."""
        if self.woe is not None:
            self.woe.tell(federation)
        return super().start(federation, num_rounds=num_rounds, seed=seed)

    def read(self, features: pd.DataFrame, schema: Schema, owner: str) -> Any:
        """How an owner reads its own columns: standardised, or as the weights of evidence of their bins."""
        return self.woe.reading(schema) if self.woe is not None else super().read(features, schema, owner)

    def kept_with_parts(self) -> LogisticRegression:
        """Without weights of evidence: each owner has those of its own columns in its reading, and no others."""
        return replace(self, woe=None)

    def link(self, owners: int) -> Link:
        """Sines for two owners, else a straight line."""
        lines = self.sigmoid == "straight" or owners > 2
        return Straight() if lines else Sigmoid()
