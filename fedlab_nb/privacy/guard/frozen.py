"""A plan frozen beforehand: all releases of one run, debited at once before the first of them leaves.

What is chosen after seeing earlier releases may not be stopped by composing privacy loss distributions (see meters.py).
A frozen plan is not chosen like that. Its rates, noise and numbers are fixed before anything leaves, and it is one
debit, kept in full whatever comes of it:

Think of one draw from the dominating pair of each of its releases, all taken at the start. Each release, whatever is
asked of the rows and whenever, is a function of its own draw and of what was seen before, and so is leaving some out.
All that leaves is therefore post-processing of these draws, whose curve is the composition of their loss distributions.
If anything else leaves the same rows, before or after, plan and all count by the account's meter, as if there had been
no plan: what is allowed beside it is then allowed by a rule that stays true under choices, or it is the plan alone.

Source: Zhu, Dong and Wang 2022, "Optimal accounting of differential privacy via characteristic function", section 3
(dominating pairs); Vadhan and Zhang 2023, "Concurrent composition theorems for differential privacy" (in any order).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from fedlab_nb.cards import card
from fedlab_nb.privacy.tight import tight_epsilon
from fedlab_nb.records import PrivacyEvent
from fedlab_nb.units import counted

Kind = tuple[str, str, str, float, float, float]
"""rows, unit, mechanism, amount, delta, sample rate: what a release costs, whatever it is for"""

NOTE = "What has begun is used up, what has not is paid all the same, and nothing else fits beside it."


def schedule_epsilon(schedule: Mapping[PrivacyEvent, int], delta: float) -> float:
    """Epsilon at ``delta`` of a whole schedule that was fixed beforehand: that of its training or its held-out rows.

    The larger of both, as they are different rows; each by composing privacy loss distributions (see tight_epsilon).
    """
    lanes = [{e: n for e, n in schedule.items() if e.rows in (rows, "all")} for rows in ("training", "held-out")]
    return max(tight_epsilon(lane, delta) for lane in lanes)


@dataclass(frozen=True)
class FrozenPlan:
    """The releases that were debited for one ``run``, ``begun`` ones among them, and who goes on with it.

    ``events`` are one for each kind of release, with its ``times``. A release that has begun is used up, also where a
    crash lost its answer: nobody can tell whether it was seen. ``holders`` are those who began releases of it, the one
    who goes on last: whoever comes new takes it over, and whom it was taken from cannot begin any more.
    """

    run: str
    held_out: float
    events: tuple[PrivacyEvent, ...] = ()
    begun: Mapping[Kind, int] = field(default_factory=dict)
    holders: tuple[str, ...] = ()

    def left(self, event: PrivacyEvent, held_out: float) -> int:
        """How many releases like ``event`` have not begun yet; 0 where other rows are held out than was planned."""
        if held_out != self.held_out or event.mechanism == "none":
            return 0
        kind = _kind(event)
        planned = sum(one.times for one in self.events if _kind(one) == kind)
        return (planned - self.begun.get(kind, 0)) // event.times

    def due(self, events: Sequence[PrivacyEvent], held_out: float) -> tuple[list[PrivacyEvent], FrozenPlan]:
        """Those of ``events`` that it has not, or not any more; and the plan once it has given the others."""
        rest, plan = [], self
        for event in events:
            if plan.left(event, held_out):
                plan = plan.with_begun(event)
            else:
                rest.append(event)
        return rest, plan

    def rounds_left(self, each: Sequence[PrivacyEvent], held_out: float) -> int:
        """How many more rounds that release ``each`` the plan has; 0 if it has none of them at all."""
        needed = Counter(_kind(event) for event in each)
        return min((self.left(event, held_out) // needed[_kind(event)] for event in each), default=0)

    def with_reserved(self, event: PrivacyEvent) -> FrozenPlan:
        """The plan with one more kind of release, while it is written down."""
        return replace(self, events=(*self.events, replace(event, round=0)))

    def with_begun(self, event: PrivacyEvent, holder: str = "") -> FrozenPlan:
        """The plan after ``holder`` has begun this release."""
        kind, new = _kind(event), holder and holder not in self.holders
        begun = {**self.begun, kind: self.begun.get(kind, 0) + event.times}
        return replace(self, begun=begun, holders=(*self.holders, holder) if new else self.holders)

    def is_taken_from(self, holder: str) -> bool:
        """True if somebody else goes on with the run that ``holder`` had begun."""
        return holder in self.holders[:-1]

    @property
    def schedule(self) -> Counter[PrivacyEvent]:
        """How often each of the ``events`` was planned."""
        return Counter(self.events)

    @property
    def words(self) -> str:
        """How many releases were planned, and how many of them have begun."""
        planned, begun = sum(event.times for event in self.events), sum(self.begun.values())
        return f"{counted(planned, 'release')}, paid as a whole before the first one; {begun:,} have begun"

    def __repr__(self) -> str:
        return f"FrozenPlan({self.words})"

    def _repr_html_(self) -> str:
        rows = [(event.purpose, f"{event.times:,} on {event.rows} rows: {event.words}") for event in self.events]
        return card("Frozen plan of one run", [("Releases", self.words), *rows], NOTE)


def _kind(event: PrivacyEvent) -> Kind:
    return event.rows, event.unit, event.mechanism, event.amount, event.delta, event.sample_rate
