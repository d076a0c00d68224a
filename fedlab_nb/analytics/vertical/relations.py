"""Correlations between columns of different owners."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd

from fedlab_nb.analytics.answers import Answer
from fedlab_nb.analytics.questions.question import Floats
from fedlab_nb.analytics.questions.small import MIN_COUNT
from fedlab_nb.analytics.source import Source, table_of
from fedlab_nb.analytics.vertical.asking import Joint, ask_jointly, check_joint, joint_answer, owner_of
from fedlab_nb.data.columns import as_numbers
from fedlab_nb.parties import Rows
from fedlab_nb.vertical import Factor

_ALMOST = 1e-3
KIND = "correlation"
NOTE = "Each over the rows in common that have both values."


def correlation(source: Source, columns: Sequence[str], epsilon: float | None) -> Answer:
    """Pearson correlations (c, c), each over the rows that have both values, as pandas computes them.

    Within one owner's columns the owner computes them itself. Between two owners, the key holder computes them from
    sums of products of standardised values, and tells nothing else; where values are missing, of their indicators and
    squares too. Columns that do not vary have none (NaN).
    """
    held: dict[str, list[str]] = {}
    for name in columns:
        held.setdefault(owner_of(source, name), []).append(name)
    source.price(epsilon)
    purpose = "correlations of the columns"
    if len(held) > 1:
        check_joint(source, purpose, epsilon)
    with ask_jointly(source, purpose, columns) as joint:
        table = pd.DataFrame(np.nan, index=list(columns), columns=list(columns))
        complete = {}
        for owner, names in held.items():
            own = joint.own(f"own {KIND}", owner, partial(_own, names=names))
            table.loc[names, names] = own[:-1].reshape(len(names), len(names))
            complete[owner] = bool(own[-1])
        joint.hidden = 0
        owners = list(held)
        for first, left in enumerate(owners):
            for right in owners[first + 1 :]:
                whole = complete[left] and complete[right]
                between = _between(joint, (left, held[left]), (right, held[right]), whole=whole)
                # A column that does not vary has no correlation with itself either.
                between[np.isnan(np.diag(table.loc[held[left], held[left]]))] = np.nan
                between[:, np.isnan(np.diag(table.loc[held[right], held[right]]))] = np.nan
                table.loc[held[left], held[right]] = between
                table.loc[held[right], held[left]] = between.T
        return joint_answer(table, joint, "matrix", NOTE)


def inflation(correlations: Answer) -> Answer:
    """The variance inflation factor of each column, 1 / (1 - R^2) of it on all others: the diagonal of inv(corr).

    Worked out from correlations that are known already. NaN where one of them is; where correlations are each over
    other rows (missing values), they may fit no table at all, and a factor below 1 says so: it is NaN as well.
    """
    matrix = correlations.to_numpy(dtype=np.float64)
    found = np.full(len(matrix), np.nan)
    if not np.isnan(matrix).any():
        try:
            found = np.diag(np.linalg.inv(matrix)).copy()
        except np.linalg.LinAlgError:
            found = np.full(len(matrix), np.inf)
        found[found < 1.0 - _ALMOST] = np.nan
    made = Answer(pd.DataFrame({"vif": found}, index=correlations.index))
    question = str(correlations.attrs["question"]).replace("Correlations", "Variance inflation")
    made.attrs.update({**correlations.attrs, "question": question, "figure": "bars"})
    return made


Side = tuple[str, list[str]]


def _between(joint: Joint, left: Side, right: Side, *, whole: bool) -> Floats:
    """The correlations (p, q) of one owner's columns with another's."""
    p, q = len(left[1]), len(right[1])
    if whole:
        sides = [Factor(owner, len(names), partial(_numbers, names=names)) for owner, names in (left, right)]
        rows = joint.alignment.rows
        return joint.products(KIND, sides[0], sides[1], lambda sums: np.clip(sums / rows, -1.0, 1.0))
    exponents = [
        joint.own("scale", owner, partial(_exponents, names=names), to="key holder") for owner, names in (left, right)
    ]
    sides = [Factor(owner, 3 * len(names), partial(_moments, names=names)) for owner, names in (left, right)]
    scale = [np.append(np.ones(2 * len(own)), 2.0**own) for own in exponents]
    return joint.products(KIND, sides[0], sides[1], lambda sums: _read(sums * np.outer(scale[0], scale[1]), p, q))


def _numbers(rows: Rows, names: Sequence[str]) -> Floats:
    """Columns (n, p), centred and scaled by the mean and deviation of their present values; NaN where missing."""
    table = table_of(rows)
    values = np.column_stack([as_numbers(table[name]) for name in names])
    present = ~np.isnan(values)
    count = np.maximum(present.sum(axis=0), 1)
    centred = values - np.where(present, values, 0.0).sum(axis=0) / count
    spread = np.sqrt((np.where(present, centred, 0.0) ** 2).sum(axis=0) / count)
    # What floating point leaves of a column that does not vary is no variation.
    level = np.abs(np.where(present, values, 0.0)).max(axis=0, initial=0.0)
    flat = spread <= 1e-12 * level
    scaled: Floats = np.where(flat, 0.0 * centred, centred / np.where(flat, 1.0, spread))
    return scaled


def _own(rows: Rows, names: Sequence[str]) -> Floats:
    """One owner's own correlations (p * p), then whether none of its values is missing."""
    values = _numbers(rows, names)
    present = (~np.isnan(values)).astype(np.float64)
    found = pd.DataFrame(values).corr().to_numpy()
    shown = np.where(present.T @ present >= MIN_COUNT, found, np.nan)
    return np.append(shown.ravel(), float(present.all()))


def _moments(rows: Rows, names: Sequence[str]) -> Floats:
    """For each of p columns whether it is there, its values and their scaled squares (n, 3p); zero where missing."""
    values = _numbers(rows, names)
    filled = np.nan_to_num(values)
    squares = filled**2 / 2.0 ** _exponents(rows, names)
    return np.column_stack([~np.isnan(values), filled, squares])


def _exponents(rows: Rows, names: Sequence[str]) -> Floats:
    """The power of two (p,) by which squares are divided, so that their mean square is at most 1."""
    squares = np.nan_to_num(_numbers(rows, names)) ** 2
    found: Floats = np.ceil(np.log2(np.maximum(np.sqrt((squares**2).mean(axis=0)), 1.0)))
    return found


def _read(sums: Floats, p: int, q: int) -> Floats:
    """The correlations (p, q) from the sums of products of indicators, values and squares (3p, 3q)."""
    blocks = sums.reshape(3, p, 3, q).transpose(0, 2, 1, 3)
    n, y, yy = blocks[0]
    x, xy, xx = blocks[1, 0], blocks[1, 1], blocks[2, 0]
    known = np.where(n >= MIN_COUNT - _ALMOST, n, np.nan)
    spread = (xx - x**2 / known) * (yy - y**2 / known)
    tiny = 1e-9 * known**2
    found: Floats = (xy - x * y / known) / np.sqrt(np.where(spread > tiny, spread, np.nan))
    return np.clip(found, -1.0, 1.0)
