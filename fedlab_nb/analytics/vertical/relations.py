"""Correlations between columns of different owners."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import pandas as pd

from fedlab_nb.analytics.answers import Answer
from fedlab_nb.analytics.apart import came
from fedlab_nb.analytics.apart.asked import question
from fedlab_nb.analytics.apart.sides import held
from fedlab_nb.analytics.questions.question import Floats
from fedlab_nb.analytics.questions.small import MIN_COUNT
from fedlab_nb.analytics.source import Source, table_of
from fedlab_nb.analytics.vertical.asking import SERVER, Joint, ask_jointly, check_joint, joint_answer
from fedlab_nb.crypto.seal import KEY_HOLDER
from fedlab_nb.data.columns import as_numbers
from fedlab_nb.errors import RoundError
from fedlab_nb.parties import Rows
from fedlab_nb.parties.columns.road import own, send
from fedlab_nb.places import here
from fedlab_nb.vertical import Factor

_ALMOST = 1e-3
KIND = "correlation"
NOTE = "Each over the rows in common that have both values."


@question("correlations across owners")
def correlation(source: Source, columns: Sequence[str], epsilon: float | None) -> Answer:
    """Pearson correlations (c, c), each over the rows that have both values, as pandas computes them.

    Within one owner's columns the owner computes them itself. Between two owners, the key holder computes them from
    sums of products of standardised values, and tells nothing else; where values are missing, of their indicators and
    squares too: the server tells who has a part in it at which owners some are. Columns that do not vary have none
    (NaN).
    """
    by_owner = held(source, columns)
    source.price(epsilon)
    purpose = "correlations of the columns"
    if len(by_owner) > 1:
        check_joint(source, purpose, epsilon)
    with ask_jointly(source, purpose, columns, multiplied=len(by_owner) > 1) as joint:
        within = {
            owner: joint.own(f"own {KIND}", owner, partial(_own, names=names), len(names) ** 2 + 1)
            for owner, names in by_owner.items()
        }
        owners = list(by_owner)
        complete = _complete(joint, within, by_owner) if len(owners) > 1 else {}
        joint.hidden = 0
        between = {
            (left, right): _between(joint, (left, by_owner[left]), (right, by_owner[right]), complete)
            for first, left in enumerate(owners)
            for right in owners[first + 1 :]
        }
        return joint.answer(lambda: joint_answer(_table(columns, by_owner, within, between), joint, "matrix", NOTE))


def _table(
    columns: Sequence[str],
    by_owner: Mapping[str, list[str]],
    within: Mapping[str, Floats],
    between: Mapping[tuple[str, str], Floats],
) -> pd.DataFrame:
    """The matrix (c, c) of what owners told of their own columns, and what the key holder told between two."""
    table = pd.DataFrame(np.nan, index=list(columns), columns=list(columns))
    for owner, names in by_owner.items():
        table.loc[names, names] = within[owner][:-1].reshape(len(names), len(names))
    for (left, right), found in between.items():
        rows, cells = by_owner[left], by_owner[right]
        # A column that does not vary has no correlation with itself either.
        found[np.isnan(np.diag(table.loc[rows, rows]))] = np.nan
        found[:, np.isnan(np.diag(table.loc[cells, cells]))] = np.nan
        table.loc[rows, cells] = found
        table.loc[cells, rows] = found.T
    return table


def _complete(joint: Joint, within: Mapping[str, Floats], by_owner: Mapping[str, list[str]]) -> dict[str, bool]:
    """By owner whether none of its values is missing, as the server tells the owners and the key holder; {} elsewhere.

    Raises:
        RoundError: an owner is told something else of its own columns than is true.
    """
    federation, kind, owners = joint.source.federation, "which columns are complete", list(by_owner)

    def flags(_: None) -> Floats:
        return np.array([float(within[owner][-1] == 1.0) for owner in owners])

    def read(_: Rows | None, told: Floats) -> dict[str, bool]:
        return dict(zip(owners, map(bool, came.numbers(SERVER, told, (len(owners),))), strict=True))

    def check(rows: Rows, told: Floats, owner: str) -> dict[str, bool]:
        found = read(rows, told)
        if found[owner] != bool(_own(joint.alignment.of(rows), by_owner[owner])[-1]):
            raise RoundError(
                SERVER,
                kind,
                f"The server told {owner!r} that its columns are {'' if found[owner] else 'not '}complete, and they "
                f"are{' not' if found[owner] else ''}.",
                "Sums would be made of other numbers than the other parties take them for.",
                "Nothing of it was sent; ask who runs the server which code it runs.",
            )
        return found

    known = [own(federation, kind, lambda _: read(None, flags(None)), at=SERVER)]
    for party in (*owners, KEY_HOLDER):
        told = send(federation, kind, flags, number=joint.number, sender=SERVER, to=party)
        taken = partial(check, owner=party) if party in owners else read
        known.append(own(federation, kind, partial(taken, told=told), at=party))
    return here(known, {})


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


def _between(joint: Joint, left: Side, right: Side, complete: Mapping[str, bool]) -> Floats:
    """At the server: the correlations (p, q) of one owner's columns with another's.

    Who has a part in none of them, and so is not told what is ``complete``, passes both of the ways alike.
    """
    p, q = len(left[1]), len(right[1])
    if all(complete.get(owner, True) for owner, _ in (left, right)):
        sides = [Factor(owner, len(names), partial(_numbers, names=names)) for owner, names in (left, right)]
        rows = joint.alignment.rows
        return joint.products(KIND, sides[0], sides[1], lambda sums: np.clip(sums / rows, -1.0, 1.0), lambda: (p, q))
    exponents = [
        joint.own("scale", owner, partial(_exponents, names=names), len(names), to=KEY_HOLDER)
        for owner, names in (left, right)
    ]
    sides = [Factor(owner, 3 * len(names), partial(_moments, names=names)) for owner, names in (left, right)]

    def read(sums: Floats) -> Floats:
        scale = [np.append(np.ones(2 * len(each)), 2.0**each) for each in exponents]
        return _read(sums * np.outer(scale[0], scale[1]), p, q)

    return joint.products(KIND, sides[0], sides[1], read, lambda: (p, q))


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
