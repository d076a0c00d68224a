"""How a question about two owners' columns is asked: sums of products that only the key holder opens, small ones kept.

Who learns what, if all follow the protocol:
    the owners    that the question was asked; of each other's columns into how many cells they are cut, and whether
        they lack values; nothing else about them.
    the key holder    the sums, of few rows too, and over how many rows they go.
    the server    what of them is shown: the key holder keeps back what fewer than five rows stand behind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from fedlab_nb.analytics.answers import Answer
from fedlab_nb.analytics.apart import came
from fedlab_nb.analytics.apart.sides import owner_of
from fedlab_nb.analytics.apart.training import Training, rows_asked
from fedlab_nb.analytics.questions.cells import Axis
from fedlab_nb.analytics.questions.question import Floats
from fedlab_nb.analytics.source import Source
from fedlab_nb.crypto.seal import KEY_HOLDER
from fedlab_nb.parties import Federation, Rows
from fedlab_nb.parties.columns.fitting import check_products
from fedlab_nb.parties.columns.road import charge, own, send
from fedlab_nb.places import here
from fedlab_nb.units import counted
from fedlab_nb.vertical import Alignment, Factor, sums_of_products

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")
SERVER = "server"
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

    def products(
        self,
        kind: str,
        left: Factor,
        right: Factor,
        read: Callable[[Floats], Floats],
        shape: Callable[[], Sequence[int]],
    ) -> Floats:
        """At the server: what ``read`` makes of sums of products (left, right) at the key holder, in this ``shape``.

        NaN for what the key holder keeps back.
        """

        def told(sums: Floats) -> Floats:
            return np.nan_to_num(read(sums), nan=_HIDDEN)

        def shown(_: None) -> Floats:
            self.sums += left.width * right.width
            return self._shown(came.numbers(KEY_HOLDER, opened, tuple(shape())))

        federation = self.source.federation
        opened = sums_of_products(federation, self.alignment, kind, left, right, told, number=self.number)
        return own(federation, kind, shown, at=SERVER)

    def own(self, kind: str, owner: str, work: Callable[[Rows], Floats], size: int, *, to: str = SERVER) -> Floats:
        """At ``to``: what one owner answers alone (size,), about its own rows in common; NaN for what it keeps back."""

        def told(rows: Rows) -> Floats:
            return np.nan_to_num(work(self.alignment.of(rows)), nan=_HIDDEN)

        federation = self.source.federation
        heard = send(federation, kind, told, number=self.number, sender=owner, to=to)
        return own(federation, kind, lambda _: self._shown(came.numbers(owner, heard, (size,))), at=to)

    def sizes(self, owner: str, other: str, axes: Callable[[], Sequence[Axis]], number: int) -> list[int]:
        """How many cells each of an owner's axes has, as it tells the ``other`` owner and the key holder.

        ``axes``, of which there are ``number``, are there at the owner and at the server. [] for who is not told.
        """
        federation, kind = self.source.federation, "number of cells"

        def mine() -> list[int]:
            return [axis.size for axis in axes()]

        def tell(_: Rows) -> Floats:
            return np.array(mine(), dtype=np.float64)

        known = [own(federation, kind, lambda _: mine(), at=party) for party in (owner, SERVER)]
        for party in (other, KEY_HOLDER):
            told = send(federation, kind, tell, number=self.number, sender=owner, to=party)
            known.append(own(federation, kind, lambda _, told=told: came.counts(owner, told, number), at=party))  # type: ignore[misc]
        return here(known, [])

    def answer(self, make: Callable[[], T]) -> T:
        """At the server: the answer that is made of all that it knows by now."""
        return own(self.source.federation, "answer", lambda _: make(), at=SERVER)

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
def ask_jointly(source: Source, purpose: str, columns: Sequence[str], *, multiplied: bool) -> Iterator[Joint]:
    """Ask one question about ``columns``: their owners are charged for an answer without protection.

    ``multiplied`` says that one owner's columns are multiplied with another's, so that the key holder has a part in it.

    Raises:
        RoundError: if the owners have too few rows in common.
        SettingError: if a run is going on.
    """
    federation = source.federation
    owners = tuple(dict.fromkeys(owner_of(source, column) for column in columns))
    with federation.in_use():
        alignment = rows_asked(source)
        charge(federation, purpose, owners)
        number = federation.turn()
        if multiplied:
            alignment = _with_key_holder(federation, alignment, owners[0], number)
        yield Joint(source, purpose, alignment, owners, number)


def _with_key_holder(federation: Federation, alignment: Alignment, first: str, number: int) -> Alignment:
    """The same at the key holder: over how many rows sums go it can only be told."""
    kind = "number of rows in common"
    rows = np.array([float(alignment.rows)])
    told = send(federation, kind, lambda _: rows, number=number, sender=first, to=KEY_HOLDER)
    its = own(federation, kind, lambda _: replace(alignment, rows=came.counts(first, told, 1)[0]), at=KEY_HOLDER)
    return here([its], alignment)


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
