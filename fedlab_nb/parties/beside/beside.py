"""One piece of work beside each owner's rows: one owner after the other, or all of them at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from fedlab_nb.errors import RoundError
from fedlab_nb.ledger import Ledger
from fedlab_nb.parties.beside.lost import Lost
from fedlab_nb.parties.owner import DataOwner, Rows, inside_together
from fedlab_nb.records import Update


class Work(Protocol):
    """What is computed beside one owner's rows.

    It may have ``at_once``, which says whether ``together(rows by owner)`` gives the same for many owners and is
    quicker: in a notebook they live in one process. It must not mix what it computes for one owner with another's rows.
    """

    def __call__(self, name: str, rows: Rows, /) -> Update:
        """What it gives for the owner ``name``."""


def beside(
    owners: Mapping[str, DataOwner],
    ledger: Ledger,
    cohort: Sequence[str],
    kind: str,
    work: Work,
    look: Callable[[str, Update], Update],
    lost: Lost,
) -> dict[str, Update]:
    """What ``work`` gives at each owner of ``cohort`` that did not fail; ``look`` checks and clips it there."""
    found: Mapping[str, Update] = {}

    def one(name: str) -> Update:
        if name in found:
            seen = _at_first_sight(look, name, found[name])
            if seen is not None:
                return seen
            # Again, beside the rows: there an error is told without the numbers that it came from.
            return owners[name]._inside(lambda _: look(name, found[name]), stage=kind)  # noqa: SLF001
        with ledger.busy(name):
            return owners[name]._inside(lambda rows: look(name, work(name, rows)), stage=kind)  # noqa: SLF001

    with ledger.stage("local work"):
        if getattr(work, "at_once", False) and len(cohort) > 1:
            together = work.together  # type: ignore[attr-defined]
            try:
                with ledger.busy_together(cohort):
                    found = inside_together([owners[name] for name in cohort], together, stage=kind)
            except RoundError:
                # One by one, then, so that only who fails is left out; or named, where nobody may be.
                found = {}
        return _kept(cohort, one, lost)


def _at_first_sight(look: Callable[[str, Update], Update], name: str, update: Update) -> Update | None:
    """What ``look`` gives; None if it fails."""
    try:
        return look(name, update)
    except Exception:  # noqa: BLE001 - whatever it is, it comes again where it can be told
        return None


def _kept(cohort: Sequence[str], at: Callable[[str], Update], lost: Lost) -> dict[str, Update]:
    updates = {}
    for name in cohort:
        try:
            updates[name] = at(name)
        except RoundError as error:
            lost.add(error)
    return updates
