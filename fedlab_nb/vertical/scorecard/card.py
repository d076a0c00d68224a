"""Scorecards from logistic models: points that add up, over columns and over owners, to the log-odds of a row.

Who learns what: nobody anything. Each owner turns its own weights into points, for which it needs ``points``, ``odds``,
``pdo`` and which class is the good one; nothing of its part leaves it. Scores of rows are joint predictions, whose
protocol says who learns what. What all owners' points are together, the owner of the labels sees only in a merged
model, to which every owner has consented.

Source: Siddiqi 2006, "Credit risk scorecards", chapter 6 ("Scorecard scaling").
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.cards import framed, one_line, pairs_html, panel, table_html
from fedlab_nb.errors import RuleError, SettingError
from fedlab_nb.parties import DataOwner, Federation
from fedlab_nb.settings import check_setting, is_real
from fedlab_nb.units import listed
from fedlab_nb.vertical.descent.model import LinearModel
from fedlab_nb.vertical.model import MergedModel, VerticalModel
from fedlab_nb.vertical.model.joint import federation_of, joint_scores
from fedlab_nb.vertical.scorecard.points import OwnerPoints, points_of

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class Scorecard:
    """Points for what a row is like: score = offset + factor * log-odds of the class ``good``, up to rounding.

    ``points`` is the score at odds of ``odds`` to 1, and every ``pdo`` points the odds double. ``parts`` has each
    owner's own points, with the base points at the owner of the labels. Here all parts lie in one process; in a real
    federation each lies at its owner.
    """

    model: VerticalModel | MergedModel = field(repr=False)
    points: float
    odds: float
    pdo: float
    good: object
    parts: Mapping[str, OwnerPoints] = field(repr=False)

    @property
    def factor(self) -> float:
        """Points for each unit of log-odds."""
        return self.pdo / math.log(2.0)

    @property
    def offset(self) -> float:
        """The score at odds of 1 to 1."""
        return self.points - self.factor * math.log(self.odds)

    @property
    def table(self) -> pd.DataFrame:
        """The points of all owners, from a merged model: the index is (owner, column, attribute).

        Raises:
            RuleError: the model is not merged.
        """
        import pandas as pd

        if not isinstance(self.model, MergedModel):
            raise RuleError(
                "The points of all owners were asked for in one table.",
                "They tell each owner's weights, and how it reads its columns, which are its own.",
                'Look at one part, card.parts["bank"].table; or make the card of run.model.merge(federation, '
                "consent=[...]), to which all owners agree.",
            )
        return pd.concat({name: part.table for name, part in self.parts.items()}, names=["owner"])

    def score(
        self, rows: Federation | Sequence[DataOwner] | pd.DataFrame | None = None, /, **frames: pd.DataFrame
    ) -> pd.Series:
        """The score of each row, a whole number.

        Of a merged model ``rows`` is a frame with all columns, and the score is the sum of all points. Otherwise it is
        what ``model.predict`` takes: all owners score the rows that they have in common together, and the owner of the
        labels gets the log-odds and rounds once; that is within half a point a column of the sum of points.

        Raises:
            FedLabError: as ``predict``.
        """
        import pandas as pd

        if isinstance(self.model, MergedModel):
            table = cast("pd.DataFrame", rows)
            return pd.Series(sum(part.of(table) for part in self.parts.values()), name="score")
        strategy, setup = self.model.strategy, self.model.setup
        asked = federation_of(strategy, setup, cast("Federation | None", rows), frames, labelled=False)
        joint = joint_scores(strategy, self.model.state, asked)
        scores = self.offset + self.factor * _sign(self.good, setup.classes) * joint.scores[:, 0]
        return pd.Series(np.rint(scores).astype(np.int64), index=joint.ids, name="score")

    def __repr__(self) -> str:
        scale = f"{self.points:g} points at {self.odds:g}:1, {self.pdo:g} double the odds"
        return one_line(f"Scorecard({scale} of {self.model.target} = {self.good}, parts: {listed(self.parts)})")

    def _repr_html_(self) -> str:
        facts = [
            ("Score", f"{self.offset:.5g} + {self.factor:.5g} × log-odds of {self.model.target} = {self.good}"),
            ("Scale", f"{self.points:g} points at odds of {self.odds:g} to 1; {self.pdo:g} more double them"),
        ]
        holders = [(name, len(part.table), "no" if part.base is None else "yes") for name, part in self.parts.items()]
        held = table_html(("Owner", "Attributes with points", "Has the base points"), holders)
        note = ".parts[owner] has the points of one owner's columns; .score(...) those of rows, over all owners."
        return framed(panel("Scorecard", pairs_html(facts) + held, note=note))


def scorecard(
    model: VerticalModel | MergedModel,
    *,
    points: float = 600.0,
    odds: float = 50.0,
    pdo: float = 20.0,
    good: object = None,
) -> Scorecard:
    """The scorecard of a logistic model of two classes: ``points`` at ``odds`` to 1 of the class ``good``.

    Every ``pdo`` points the odds double. ``good`` is the class that high scores stand for, by default the first one, as
    models give the probability of the second. Columns that were read as weights of evidence (``woe=``) have points for
    each bin, categories for each value, and standardised numbers points that lie on a line.

    Raises:
        RuleError: no logistic model, or one of several classes.
        SettingError: a scale that cannot be, or a class that is none of the two.
    """
    known = isinstance(model, VerticalModel | MergedModel)
    if not known or not isinstance(model.strategy, LinearModel) or model.task != "binary":
        given = f"{type(model.strategy).__name__} ({model.task})" if known else type(model).__name__
        raise RuleError(
            f"A scorecard was asked of {given}.",
            "Points add up to the log-odds of one class against another, which a logistic model of two classes has.",
            "Train fl.vertical.LogisticRegression on a target of two classes, and pass run.model.",
        )
    check = partial(check_setting, "A scorecard")
    check("points", points, fits=is_real(points), wanted="a number", why="It is the score at the odds.", example="600")
    check("odds", odds, fits=is_real(odds, above=0.0), wanted="a number above 0", why="It is so many to 1.",
          example="50")  # fmt: skip
    check("pdo", pdo, fits=is_real(pdo, above=0.0), wanted="a number above 0",
          why="So many points more double the odds.", example="20")  # fmt: skip
    wanted = model.classes[0] if good is None else good
    if wanted not in model.classes:
        raise SettingError(
            f"good={good!r} was given, and the classes are {listed(map(repr, model.classes))}.",
            "It is the class that high scores stand for.",
            f"Leave it out, or use good={model.classes[0]!r}.",
        )
    made = Scorecard(model, float(points), float(odds), float(pdo), wanted, {})
    parts = {name: _part(made, name) for name in model.setup.owners}
    return Scorecard(model, float(points), float(odds), float(pdo), wanted, MappingProxyType(parts))


def _part(card: Scorecard, owner: str) -> OwnerPoints:
    """At one owner: its own weights as points; the owner of the labels has the intercept."""
    setup, state = card.model.setup, card.model.state
    weights = card.factor * _sign(card.good, setup.classes) * state.weights[owner]
    if owner != setup.labels_at:
        return points_of(owner, setup.readings[owner], weights, None)
    return points_of(owner, setup.readings[owner], weights[:-1], card.offset + float(weights[-1]))


def _sign(good: object, classes: Sequence[object]) -> float:
    """1 where scores are the log-odds of the good class, -1 where of the other one."""
    return 1.0 if good == classes[1] else -1.0
