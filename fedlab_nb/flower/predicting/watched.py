"""A joint prediction that goes on elsewhere, seen from a notebook: that it is done, and over how many rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fedlab_nb.cards import Card, folded, framed, pairs_html, panel, shown
from fedlab_nb.flower import news
from fedlab_nb.flower.agreement import Agreement
from fedlab_nb.flower.project.pages.joint.predictions import sealing
from fedlab_nb.flower.project.pages.trust import threats_between
from fedlab_nb.flower.project.parties import parties_of
from fedlab_nb.flower.survey.following import Followed
from fedlab_nb.flower.watch import Runs
from fedlab_nb.records import Threat
from fedlab_nb.units import bytes_text, counted
from fedlab_nb.view.cards import threat_card, threat_html, threat_text


class WatchedPrediction(Followed[int | None]):
    """A prediction at a SuperLink: ``number`` is Flower's number for the run; ``stop()`` ends it, ``leave()`` this.

    ``wait()`` and ``await prediction`` give how many rows the owners have in common: all of them are predicted, and the
    owner of the labels has the predictions in a file at its site. Nobody else is told any. It is None if the run was
    stopped or left before. ``rows`` is the same, and never waits. ``federation`` has the ledger, with kinds and sizes,
    and what each owner's data has given away. ``warning`` says whose keys had to be taken as the server shows them; ""
    if nobody's.

    Raises:
        FedLabError: why the parties did not meet.
    """

    def __init__(self, agreement: Agreement, told: Iterator[news.News], control: Runs, number: int) -> None:
        self._agreement, self.prediction = agreement, agreement.strategy
        self.rows: int | None = None
        super().__init__(agreement, told, control, number)

    @property
    def threat_card(self) -> Card:
        """Who could learn what from this prediction, as the guide of its project says it; prints as text."""
        lines, note = self._threats, self._beside
        return Card(threat_text(lines, note), threat_card(lines, note))

    def _take(self, item: Any) -> None:
        if isinstance(item, news.Predicted):
            self.federation.take(item)
            self.rows = item.rows

    def _so_far(self) -> int | None:
        return self.rows

    def _kept(self) -> tuple[str, str]:
        # What crossed is told with the end: of a run without a word nothing is known.
        return "its parties had met", "Owners may have paid for a prediction"

    def __repr__(self) -> str:
        unsure = "; see .warning" if self.warning else ""
        return f"WatchedPrediction({self.prediction!r}: {self.state}, {self._said}{unsure})"

    def _repr_html_(self) -> str:
        state = [("State", self.state)] + [("Why", str(self.error))] * (self.error is not None)
        crossed = sum(message.nbytes for message in self.federation.ledger.messages)
        facts = [
            *state,
            ("Run", self.number),
            ("Predicted", self._said),
            ("Predictions at", f"{self.prediction.labels_at}, in a file at its site"),
            ("Crossed", f"{counted(len(self.federation.ledger), 'message')}, {bytes_text(crossed)}"),
        ]
        releases = [(name, self._unprotected(name)) for name in self.federation.names]
        body = pairs_html(facts) + panel("Releases without protection, over all that ever left an owner's rows",
                                         pairs_html(releases))  # fmt: skip
        body += folded("Who could learn what", threat_html(self._threats) + f"<p>{shown(self._beside)}</p>")
        note = self.warning or "The server and this notebook saw no prediction; .federation has the ledger."
        return framed(panel("Joint prediction", body, note=note))

    @property
    def _threats(self) -> tuple[Threat, ...]:
        taking = parties_of(self.federation, "", {}, self.prediction, None)
        return threats_between(taking, self._agreement)

    @property
    def _beside(self) -> str:
        """What belongs to each such table: how messages are sealed, and what is not in it."""
        return f"{sealing(self._agreement)}. README.md in the project says what who runs a machine could learn besides."

    @property
    def _said(self) -> str:
        return "no rows so far" if self.rows is None else f"{counted(self.rows, 'row')} in common"
