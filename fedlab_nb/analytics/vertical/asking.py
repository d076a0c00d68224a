"""How a question about two owners' columns is asked: sums of products that only the key holder opens, small ones kept.

Who learns what, if all follow the protocol:
    the owners    that the question was asked; nothing about each other's columns.
    the key holder    the sums, of few rows too.
    the server    what of them is shown: the key holder keeps back what fewer than five rows stand behind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fedlab_nb.analytics.answers import Answer
from fedlab_nb.analytics.questions.question import Floats
from fedlab_nb.analytics.source import Source
from fedlab_nb.analytics.vertical.training import Training, rows_asked
from fedlab_nb.parties import Rows
from fedlab_nb.parties.columns.fitting import check_products
from fedlab_nb.parties.columns.road import charge, send
from fedlab_nb.units import counted
from fedlab_nb.vertical import Alignment, Factor, sums_of_products

if TYPE_CHECKING:
    import pandas as pd

_HIDDEN = -(2.0**60)
"""What crosses in place of a number that too few rows stand behind."""


@dataclass
class Joint:
    """One question about several owners' columns while it is asked; ``sums`` and ``hidden`` count what became of it."""

    source: Source
    purpose: str
    alignment: Alignment
    owners: tuple[str, ...]
    number: int
    sums: int = 0
    hidden: int = 0

    def products(self, kind: str, left: Factor, right: Factor, read: Callable[[Floats], Floats]) -> Floats:
        """What ``read`` makes of the sums of products (left, right) at the key holder; NaN for what it keeps back."""

        def told(sums: Floats) -> Floats:
            return np.nan_to_num(read(sums), nan=_HIDDEN)

        federation = self.source.federation
        shown = sums_of_products(federation, self.alignment, kind, left, right, told, number=self.number)
        self.sums += left.width * right.width
        return self._shown(shown)

    def own(self, kind: str, owner: str, work: Callable[[Rows], Floats], *, to: str = "server") -> Floats:
        """What one owner answers alone, about its own rows in common; NaN for what it keeps back."""

        def told(rows: Rows) -> Floats:
            return np.nan_to_num(work(self.alignment.of(rows)), nan=_HIDDEN)

        federation = self.source.federation
        return self._shown(send(federation, kind, told, number=self.number, sender=owner, to=to))

    def _shown(self, told: Floats) -> Floats:
        shown = np.where(told == _HIDDEN, np.nan, told)
        self.hidden += int(np.isnan(shown).sum())
        return shown


def check_joint(source: Source, purpose: str, epsilon: float | None) -> None:
    """Refuse a question across owners before any part of it is asked.

    Raises:
        SettingError: if an epsilon is given: there is no noise.
        RuleError: if the encryption in force has no products.
    """
    source.price(epsilon)
    check_products(source.federation.house.encrypt, f"The question ({purpose})")


@contextmanager
def ask_jointly(source: Source, purpose: str, columns: Sequence[str]) -> Iterator[Joint]:
    """Ask one question about ``columns``: their owners are charged for an answer without protection.

    Raises:
        RoundError: if the owners have too few rows in common.
        SettingError: if a run is going on.
    """
    federation = source.federation
    owners = tuple(dict.fromkeys(owner_of(source, column) for column in columns))
    with federation.in_use():
        alignment = rows_asked(source)
        charge(federation, purpose, owners)
        yield Joint(source, purpose, alignment, owners, federation.turn())


def owner_of(source: Source, column: object) -> str:
    """The name of the owner that holds a column; SettingError if there is no such column."""
    name = source.column(column).name
    holders = source.federation.owners
    return next(o.name for o in holders if name == o.target or any(name == c.name for c in o.schema.features))


def joint_answer(table: pd.DataFrame, joint: Joint, figure: str, note: str = "") -> Answer:
    """A table as an Answer that ``figure`` draws, with the facts of how it was made."""
    made = Answer(table)
    encrypt = joint.source.federation.house.encrypt
    left = (
        f"sealed columns, and from them {counted(joint.sums, 'sum')} under {encrypt!r}" if joint.sums else "own answers"
    )
    read = "the key holder reads the sums, small ones too; the server what is shown; no owner another's rows"
    facts = joint_facts(joint.source, joint.purpose, joint.alignment, left, read)
    made.attrs.update({**facts, "owners": len(joint.owners), "hidden cells": joint.hidden, "note": note})
    made.attrs["figure"] = figure
    return made


def joint_facts(source: Source, purpose: str, alignment: Alignment, left: str, read: str) -> dict[str, Any]:
    """How an answer about the rows in common was made, as what goes into its ``attrs``."""
    return {
        "question": purpose[:1].upper() + purpose[1:],
        "rows": f"the {alignment.rows:,} rows that all owners have" + " to train on" * isinstance(source, Training),
        "mode": "exact",
        "epsilon": None,
        "delta": None,
        "noise multiplier": 0.0,
        "noise of a count": 0.0,
        "rehearsal": False,
        "owners": len(source.names),
        "alone": True,
        "hidden cells": 0,
        "left": left,
        "read by": read,
        "note": "",
    }
