"""Owners that failed in a round: it goes on with the others, as long as enough of them are left."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from fedlab_nb.errors import RoundError
from fedlab_nb.records import Failure


class Lost:
    """Who failed since the round began, and why; with ``min_owners`` None the first failure ends the round."""

    def __init__(self, min_owners: int | None = None, cohort: Sequence[str] = ()) -> None:
        self.failures: list[Failure] = []
        self.min_owners, self.cohort = min_owners, tuple(cohort)

    def add(self, error: RoundError) -> None:
        """Note a failure, or raise it where no owner may be missing."""
        if self.min_owners is None:
            raise error
        self.failures.append(Failure(error.party, error.stage, error))

    @property
    def names(self) -> frozenset[str]:
        """Who failed."""
        return frozenset(failure.party for failure in self.failures)

    def check(self, here: Collection[str], cohort: Sequence[str], least: int) -> None:
        """Refuse to go on with ``here`` alone, of all of ``cohort``: those of the round, or a group of them.

        Raises:
            RoundError: if those left of the round are fewer than ``min_owners``, or those here fewer than the ``least``
                that can hide each other.
        """
        everyone = self.cohort if set(cohort) <= set(self.cohort) else cohort
        left = [name for name in everyone if name not in self.names]
        short = len(left) < (self.min_owners or 0)
        if short or len(here) < least:
            came, called = (left, everyone) if short else (here, cohort)
            needed = (self.min_owners or 0) if short else least
            last = self.failures[-1] if self.failures else None
            raise RoundError(
                "federation",
                last.stage if last else "update",
                f"{len(came)} of {len(called)} owners came through, and {needed} are needed.",
                f"The last to fail was {last.party}: {last.error}" if last else "Too few took part.",
                "Look at what failed, or make the federation with a smaller min_owners.",
            )
