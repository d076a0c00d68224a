"""Rounds that go on after one that failed: a party may be lost when a sum can no longer be taken anew.

Such a round is a record that says so, with the model as it was before. Its successor has another number, so that no
owner helps to sum anything twice; what the failed round had debited stays spent, as its sums may have been opened.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from fedlab_nb.course import Course
from fedlab_nb.errors import RoundError
from fedlab_nb.parties import Federation
from fedlab_nb.parties.house import House
from fedlab_nb.records import Round
from fedlab_nb.rounds import Strategy, rounds


def goes_on(house: House, records: Sequence[Round], num_rounds: int) -> bool:
    """Whether a run goes on after the last of these, which failed.

    It does where owners may be missing (``min_owners``), because a party was lost, and once: two failed rounds one
    after the other end the run, as what is missing then is not only late.
    """
    *before, last = records
    lost = last.failed is not None and isinstance(last.failed.error, RoundError) and last.failed.party != "server"
    begun = last.state.context is not None and last.number < num_rounds
    return house.min_owners is not None and lost and begun and not (before and before[-1].failed is not None)


def rounds_that_go_on(
    federation: Federation, strategy: Strategy, *, num_rounds: int, seed: int, after: Round | None = None
) -> Iterator[Round]:
    """As ``rounds``; where ``goes_on`` says so, a failed round is not the last one.

    Raises:
        SettingError, RuleError, BudgetExceededError: before anything leaves, or where the rest cannot be paid any more.
    """
    records: list[Round] = []
    while True:
        for record in rounds(federation, strategy, num_rounds=num_rounds, seed=seed, after=after):
            records = [*records[-1:], record]
            yield record
        if records[-1].failed is None or not goes_on(federation.house, records, num_rounds):
            return
        after = replace(records[-1], failed=None)


class FarCourse(Course):
    """As ``Course``, of rounds that go on."""

    def _from(self, after: Round | None) -> Iterator[Round]:
        facts: dict[str, Any] = {"num_rounds": self.num_rounds, "seed": self.seed, "after": after}
        return rounds_that_go_on(self.federation, self.strategy, **facts)
