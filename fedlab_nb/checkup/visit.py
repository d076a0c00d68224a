"""doctor(): what works here, and what a planned run will cost."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from fedlab_nb.cards import framed
from fedlab_nb.checkup.machine import Machine, machine
from fedlab_nb.checkup.plan import Planned, planned
from fedlab_nb.checkup.versions import Version, versions
from fedlab_nb.checkup.words import Line, html, place_lines, planned_lines, planned_note, text, version_words
from fedlab_nb.errors import SettingError
from fedlab_nb.parties import Federation
from fedlab_nb.rounds import Strategy
from fedlab_nb.view.frontend import FrontEnd, front_end

HERE = "Where this runs"


@dataclass(frozen=True, repr=False)
class Checkup:
    """What the doctor found: shows as a card, prints as text.

    ``front_end``, ``versions`` and ``machine`` are the facts about this place; ``planned`` is the planned run, None if
    none was given; ``to_do`` are the lines that call for something.
    """

    front_end: FrontEnd
    versions: tuple[Version, ...]
    machine: Machine
    planned: Planned | None = None

    @property
    def to_do(self) -> tuple[str, ...]:
        """What was found wanting, and what to do about it; empty if all is fine."""
        lines = self._place() + ([] if self.planned is None else planned_lines(self.planned, self.machine))
        return tuple(f"{line.what}: {line.words} {line.do}" for line in lines if line.fine is False)

    def _place(self) -> list[Line]:
        return place_lines(self.front_end, self.versions, self.machine)

    def __repr__(self) -> str:
        parts = [text(HERE, self._place(), f"Installed: {version_words(self.versions)}")]
        if self.planned is not None:
            lines = planned_lines(self.planned, self.machine)
            parts.append(text(self.planned.title, lines, planned_note(self.planned)))
        return "\n".join(parts)

    def _repr_html_(self) -> str:
        listed = f"<details><summary>Installed</summary>{escape(version_words(self.versions))}</details>"
        body = html(HERE, self._place(), name="doctor-place", more=listed)
        if self.planned is not None:
            lines, note = planned_lines(self.planned, self.machine), planned_note(self.planned)
            body += html(self.planned.title, lines, note, name="doctor-run")
        return framed(body)


def doctor(
    federation: Federation | None = None, strategy: Strategy | None = None, *, num_rounds: int = 20, rows: int = 200
) -> Checkup:
    """What works here; with a federation and a strategy also what a run of ``num_rounds`` rounds will cost.

    The cost (seconds, bytes, memory, epsilon) is measured: a twin of the federation, with the same settings and
    ``rows`` invented rows an owner, really plays the first round, two in the middle and the last one. Real rows are
    asked nothing, nothing is written into the ledger, no budget is touched. A run that would be refused is told as
    such, and so is a twin that fails.

    Raises:
        SettingError: if only one of ``federation`` and ``strategy`` is given, or ``rows`` is no number of rows.

    >>> import fedlab_nb as fl
    >>> fl.doctor().front_end.name
    'a script'
    """
    if (federation is None) != (strategy is None):
        raise SettingError(
            "The doctor was given " + ("a strategy alone." if federation is None else "a federation alone."),
            "What a run costs depends on both, and without them there is no run to look at.",
            "Call fl.doctor(federation, strategy, num_rounds=20), or fl.doctor() for this place alone.",
        )
    run = None
    if federation is not None and strategy is not None:
        run = planned(federation, strategy, num_rounds, rows)
    return Checkup(front_end(), versions(), machine(), run)
