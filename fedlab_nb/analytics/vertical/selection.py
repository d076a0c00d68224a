"""Which columns of which owner a model should read: by information value first, then by variance inflation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from fedlab_nb.analytics.answers import Answer
from fedlab_nb.analytics.apart import came
from fedlab_nb.analytics.apart.asked import question
from fedlab_nb.analytics.apart.sides import held, owner_of
from fedlab_nb.analytics.questions.cells import Outcome
from fedlab_nb.analytics.questions.question import Floats
from fedlab_nb.analytics.source import Source
from fedlab_nb.analytics.vertical import evidence, relations
from fedlab_nb.analytics.vertical.asking import SERVER
from fedlab_nb.crypto.seal import KEY_HOLDER
from fedlab_nb.parties.columns.road import own, send
from fedlab_nb.places import here
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


@question("selection of columns")
def select(
    source: Source, outcome: Outcome, columns: Sequence[str], bins: int, iv: float, vif: float | None
) -> Selection:
    """The columns of an information value of ``iv`` or more, none of them inflated beyond ``vif``.

    Weights of evidence are asked, and where there is a ``vif`` the correlations of those numeric columns that they
    leave: the server tells all owners, and the key holder, which these are. Nobody else can check it: it could name
    others of these columns, and get their correlations.
    """
    weights = evidence.weigh(source, outcome, columns, bins, None)
    federation, correlations = source.federation, None
    if vif is not None:
        numeric = [name for name in columns if source.column(name).kind == "numeric"]
        left = _left(source, numeric, weights, iv)
        correlations = relations.correlation(source, left, None) if len(left) > 1 else None
    return own(federation, "answer", lambda _: _selected(source, weights, iv, vif, correlations), at=SERVER)


def _left(source: Source, numeric: Sequence[str], weights: Answer, iv: float) -> list[str]:
    """Those of the ``numeric`` columns whose information value is high enough, as the server tells it."""
    federation, kind = source.federation, "which columns are left"
    with federation.in_use():
        number = federation.turn()

        def chosen(_: None) -> Floats:
            found = _by_value(weights, iv)
            return np.array([float(place) for place, name in enumerate(numeric) if found[name] == KEPT])

        def read(_: object, told: Floats) -> list[str]:
            return [numeric[place] for place in came.places(SERVER, told, len(numeric))]

        known = [own(federation, kind, lambda _: read(None, chosen(None)), at=SERVER)]
        opens = [KEY_HOLDER] if len(held(source, numeric)) > 1 else []
        for party in (*federation.names, *opens):
            told = send(federation, kind, chosen, number=number, sender=SERVER, to=party)
            known.append(own(federation, kind, partial(read, told=told), at=party))
    return here(known, [])


def _by_value(weights: Answer, iv: float) -> dict[str, str]:
    """What becomes of each column by its information value, the highest first."""
    return {
        str(name): KEPT if value >= iv else f"IV below {iv:g}" if value < iv else "IV not known: too few rows in bins"
        for name, value in _values(weights).items()
    }


def _values(weights: Answer) -> pd.Series[float]:
    return weights["iv"].groupby(level="column", sort=False).first().sort_values(ascending=False, na_position="last")


def _selected(source: Source, weights: Answer, iv: float, vif: float | None, correlations: Answer | None) -> Selection:
    """What becomes of the columns of ``weights``; ``correlations`` are of those that IV leaves, if several."""
    values, outcome = _values(weights), _by_value(weights, iv)
    table = pd.DataFrame({"iv": values, "owner": [owner_of(source, str(name)) for name in values.index]})
    if vif is not None:
        left = [name for name, found in outcome.items() if found == KEPT and source.column(name).kind == "numeric"]
        alone = (dict.fromkeys(left, 1.0), set[str]())
        factors, gone = alone if correlations is None else inflated(correlations.loc[left, left], vif)
        outcome |= {name: f"VIF {number(factors[name])}, above {vif:g}" for name in gone}
        table["vif"] = pd.Series(factors, dtype=np.float64).reindex(table.index)
    table["outcome"] = pd.Series(outcome).reindex(table.index)
    made = Selection(table)
    limits = f"IV of {iv:g} or more" + ("" if vif is None else f", and then VIF of {vif:g} or less")
    note = f"Kept: {len(made.kept)} of {len(made)} columns, by {limits}."
    question = str(weights.attrs["question"]).replace("Weight of evidence", "Selection of columns by evidence")
    told: Evidence = weights.attrs["evidence"]
    kept = tuple(column for column in told.columns if column.name in made.kept)
    made.attrs.update(weights.attrs)
    made.attrs.update(question=question, figure="bars", note=note, evidence=replace(told, columns=kept))
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
