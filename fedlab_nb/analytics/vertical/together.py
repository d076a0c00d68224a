"""Answers of single owners about their own columns, put together into one table."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from fedlab_nb.analytics.answers import Answer
from fedlab_nb.units import listed


def beside(answers: Sequence[Answer], names: Sequence[str]) -> Answer:
    """Answers (k, columns of one owner) side by side, their columns in the order of ``names``."""
    if len(answers) == 1:
        return answers[0]
    return _with_facts(pd.concat([pd.DataFrame(each) for each in answers], axis=1)[list(names)], answers)


def stacked(answers: Sequence[Answer]) -> Answer:
    """Counts of missing values, by owner and column: a row for each column, as owners have no column in common."""
    tables = []
    for answer in answers:
        (owner,) = answer.index
        counts = pd.DataFrame(answer).drop(columns="rows").loc[owner]
        index = pd.MultiIndex.from_product([[owner], counts.index], names=["owner", "column"])
        tables.append(pd.DataFrame({"missing": counts.to_numpy(), "rows": answer.loc[owner, "rows"]}, index))
    made = _with_facts(pd.concat(tables), answers)
    made.attrs["figure"] = "bars"
    return made


def _with_facts(table: pd.DataFrame, answers: Sequence[Answer]) -> Answer:
    """The table with how its parts were made: all of them exact, each by its owner alone."""
    made, facts = Answer(table), [answer.attrs for answer in answers]
    made.attrs.update(facts[0])
    made.attrs["owners"] = len(answers)
    made.attrs["hidden cells"] = sum(each["hidden cells"] for each in facts)
    made.attrs["left"] = listed(each["left"] for each in facts)
    if len({each["question"] for each in facts}) > 1:
        made.attrs["question"] = f"{facts[0]['question'].split(' of ')[0]} of {listed(map(str, table.columns))}"
    return made
