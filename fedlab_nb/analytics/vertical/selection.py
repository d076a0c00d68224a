"""Which columns of which owner a model should read: by information value first, then by variance inflation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from fedlab_nb.analytics.answers import Answer
from fedlab_nb.analytics.questions.question import Floats
from fedlab_nb.settings import check_setting, is_real
from fedlab_nb.units import number

if TYPE_CHECKING:
    from fedlab_nb.vertical.scorecard.evidence import Evidence

KEPT = "kept"
# Keeps the correlations of columns that foretell each other completely invertible; it caps factors at 1e10 or so.
_RIDGE = 1e-10


class Selection(Answer):
    """A table of columns with their owner, information value, variance inflation factor, and what became of each.

    ``kept`` has the names of those that stay, for ``fl.vertical.keep(owners, selection.kept)``; and models that read
    weights of evidence take the selection itself: ``fl.vertical.LogisticRegression(labels_at=..., woe=selection)``.
    """

    @property
    def kept(self) -> list[str]:
        """The columns that stay, the highest information value first."""
        return [str(name) for name in self.index[self["outcome"] == KEPT]]


def check_limits(iv: object, vif: object) -> None:
    """Refuse limits that are none; SettingError."""
    check_setting("A selection", "iv", iv, fits=is_real(iv) and iv >= 0.0, wanted="a number from 0 up",
                  why="Columns with a lower information value are left out.", example="0.02")  # fmt: skip
    check_setting("A selection", "vif", vif, fits=vif is None or is_real(vif, above=1.0),
                  wanted="a number above 1, or None",
                  why="Columns that the others foretell so well are left out.", example="10")  # fmt: skip


def selected(
    weights: Answer,
    owners: Mapping[str, str],
    numeric: Sequence[str],
    iv: float,
    vif: float | None,
    correlate: Callable[[list[str]], Answer],
) -> Selection:
    """The columns of ``weights`` of an information value of ``iv`` or more, none of them inflated beyond ``vif``.

    ``correlate`` asks for the correlations of those of the ``numeric`` columns that are left after the first step.
    """
    values = weights["iv"].groupby(level="column", sort=False).first().sort_values(ascending=False, na_position="last")
    outcome = {
        str(name): KEPT if value >= iv else f"IV below {iv:g}" if value < iv else "IV not known: too few rows in bins"
        for name, value in values.items()
    }
    table = pd.DataFrame({"iv": values, "owner": [owners[str(name)] for name in values.index]})
    if vif is not None:
        left = [name for name, found in outcome.items() if found == KEPT and name in numeric]
        factors, gone = inflated(correlate(left), vif) if len(left) > 1 else (dict.fromkeys(left, 1.0), set())
        outcome |= {name: f"VIF {number(factors[name])}, above {vif:g}" for name in gone}
        table["vif"] = pd.Series(factors, dtype=np.float64).reindex(table.index)
    table["outcome"] = pd.Series(outcome).reindex(table.index)
    made = Selection(table)
    limits = f"IV of {iv:g} or more" + ("" if vif is None else f", and then VIF of {vif:g} or less")
    note = f"Kept: {len(made.kept)} of {len(made)} columns, by {limits}."
    question = str(weights.attrs["question"]).replace("Weight of evidence", "Selection of columns by evidence")
    evidence: Evidence = weights.attrs["evidence"]
    kept = tuple(column for column in evidence.columns if column.name in made.kept)
    made.attrs.update(weights.attrs)
    made.attrs.update(question=question, figure="bars", note=note, evidence=replace(evidence, columns=kept))
    made.attrs["hidden cells"] = 0
    return made


def inflated(correlations: pd.DataFrame, limit: float) -> tuple[dict[str, float], set[str]]:
    """Variance inflation factors by column, and the columns that go so that no factor is above ``limit``.

    Columns come with the highest information value first, and one after the other stays, if no factor among those that
    stay gets too high by it. Of one that goes the factor is the highest that it would have led to. Those without a
    correlation with some other one, as of too few rows or no variation, have no factor (NaN), and stay.
    """
    known = correlations.notna().to_numpy()
    varies = np.diag(known)
    usable = varies & (known | ~varies).all(axis=1)
    factors, stay, gone = dict.fromkeys(map(str, correlations.index), np.nan), list[str](), set[str]()
    for name in map(str, correlations.index[usable]):
        tried = [*stay, name]
        found = _factors(correlations.loc[tried, tried].to_numpy(dtype=np.float64))
        if found.max() <= limit:
            stay = tried
            factors |= dict(zip(stay, map(float, found), strict=True))
        else:
            gone.add(name)
            factors[name] = float(found.max())
    return factors, gone


def _factors(matrix: Floats) -> Floats:
    """The diagonal of the inverse of correlations (c, c)."""
    found: Floats = np.diag(np.linalg.inv(matrix + _RIDGE * np.eye(len(matrix))))
    return np.maximum(found, 1.0)
