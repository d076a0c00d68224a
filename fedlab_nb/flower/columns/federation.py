"""A vertical federation as the server of a run knows it: owners who are elsewhere, and the hub between them."""

from __future__ import annotations

from collections.abc import Sequence

from fedlab_nb.flower.columns.hub import Hub
from fedlab_nb.parties import Federation
from fedlab_nb.parties.absent import absent_owner
from fedlab_nb.parties.columns.road import go_by, link_by
from fedlab_nb.parties.house import House


class ColumnsFederation(Federation):
    """Owners of different columns, who run the protocol themselves; the books here follow what they debit.

    ``linkage`` is the threshold by which they link rows, where they have no id.
    """

    def __init__(self, hub: Hub, house: House, linkage: float | None = None) -> None:
        told = hub.introductions
        owners = [absent_owner(who.name, who.schema, who.held_out, who.budget, who.content) for who in told]
        settings = {name: getattr(house, name) for name in house.__dataclass_fields__}
        super().__init__(owners, **settings)
        self.introductions, self.sites = told, hub
        self.books = self.books.apart({who.name: who.account for who in told})
        self.ledger = hub.ledger
        self._round, self._most = 0, 0
        go_by(self, hub)
        link_by(self, linkage)

    def begin(self, number: int, *, anew: bool) -> None:
        """Rounds are played from ``number`` on."""
        super().begin(number, anew=anew)
        self._round = number - 1

    def round_begins(self, cohort: Sequence[str]) -> None:
        """Every party may go on with the next round; with the one after it while this one's score is on its way."""
        super().round_begins(cohort)
        self._round += 1
        self.sites.allow(self._round, ahead=max(self._round, min(self._round + 1, self._most)))

    def go_ahead(self, num_rounds: int) -> None:
        """From now on every party may begin a round, of so many, while the one before is scored."""
        self._most = num_rounds

    def round_ends(self) -> None:
        """Whatever is still on its way between parties arrives: now, or with what crosses for the next round.

        Where there was no score to wait for, nobody has begun the next one, and this one is not over before that.
        """
        if self.sites.allowed <= self._round:
            self.sites.deliver()
