"""What is known of a run between two rounds, for eyes that look at any moment."""

from __future__ import annotations

import time

from fedlab_nb.course import Course
from fedlab_nb.parties.shown.threats import threats
from fedlab_nb.parties.shown.trust import access, spending
from fedlab_nb.records import Spending
from fedlab_nb.scene import hops, owner_lines

# Seconds between two looks at least, and how many times longer than a look the rounds before the next one take.
EVERY, REST = 0.1, 100


class Lookout:
    """Facts of a course that belong together: records and accounts as they were between two rounds.

    While a round is computed its releases are paid already, so that accounts and records may only be read together
    between rounds: ``refresh`` does it there, ``ask`` has it done, ``facts`` can be read at any moment. ``costs`` are
    the seconds of processor time of each look.
    """

    def __init__(self, course: Course) -> None:
        self._course, self._federation = course, course.federation
        self._asked = self._urgent = False
        self._next = 0.0
        self.costs: list[float] = []
        self.facts: dict[str, object] = {}
        self._key: tuple[object, ...] = ()

    @property
    def fresh(self) -> bool:
        """Whether the facts are those of the newest round."""
        return self._key == self._now()

    def ask(self, *, urgent: bool) -> None:
        """Have the facts brought up after the round being computed; not too often, unless it is ``urgent``."""
        self._asked, self._urgent = True, self._urgent or urgent

    @property
    def due(self) -> bool:
        """Whether somebody asked, and it is time."""
        return self._urgent or (self._asked and time.monotonic() >= self._next)

    def refresh(self) -> Exception | None:
        """Bring the facts up to the newest round. Between rounds only; gives what a strategy failed with, if it did."""
        began, failure = time.thread_time(), None
        self._asked = self._urgent = False
        self._key = self._now()
        facts: dict[str, object] = {
            "history": self._course.history,
            "branches": self._course.branches,
            "settings": {},
            "threats": threats(self._federation),
            "hiding": self._federation.house.hiding,
            "between": hops(self._federation, self._course.history),
        }
        try:
            facts |= {
                "access": access(self._federation),
                "lines": owner_lines(self._federation, self._course.history),
                "settings": self._course.settings,
                "spending": self.spent_by_now(),
            }
        except Exception as error:  # noqa: BLE001 - a strategy that cannot say what it spends must not go on unseen
            facts["spending"], failure = spending(self._federation), error
        self.facts = facts
        self.costs.append(time.thread_time() - began)
        self._next = time.monotonic() + max(EVERY, REST * self.costs[-1])
        return failure

    def spent_by_now(self) -> Spending:
        """The budgets as they are: other runs on the same data count, also when they came later."""
        last = self._course.records[-1:]
        if not last:
            return spending(self._federation)
        spent = self._course.strategy.spending(self._federation, last[0], self._course.num_rounds)
        if not isinstance(spent, Spending):
            raise TypeError(f"spending() of the strategy gave {type(spent).__name__}, not a Spending")
        return spent

    def _now(self) -> tuple[object, ...]:
        course = self._course
        return len(course.records), id(course.last), course.strategy, self._federation.house
