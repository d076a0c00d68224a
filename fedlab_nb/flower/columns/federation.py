"""A vertical federation as the server of a run knows it: owners who are elsewhere, and the hub between them."""

from __future__ import annotations

from collections.abc import Sequence

from fedlab_nb.flower.columns.hub import Hub
from fedlab_nb.parties import Federation
from fedlab_nb.parties.absent import absent_owner
from fedlab_nb.parties.columns.road import go_by
from fedlab_nb.parties.house import House


class ColumnsFederation(Federation):
    """Owners of different columns, who run the protocol themselves; the books here follow what they debit."""

    def __init__(self, hub: Hub, house: House) -> None:
        told = hub.introductions
        owners = [absent_owner(who.name, who.schema, who.held_out, who.budget, who.content) for who in told]
        settings = {name: getattr(house, name) for name in house.__dataclass_fields__}
        super().__init__(owners, **settings)
        self.introductions, self.sites = told, hub
        self.books = self.books.apart({who.name: who.account for who in told})
        self.ledger = hub.ledger
        self._round = 0
        go_by(self, hub)

    def begin(self, number: int, *, anew: bool) -> None:
        """Rounds are played from ``number`` on."""
        super().begin(number, anew=anew)
        self._round = number - 1

    def round_begins(self, cohort: Sequence[str]) -> None:
        """Every party may go on with the next round."""
        super().round_begins(cohort)
        self._round += 1
        self.sites.allow(self._round)

    def round_ends(self) -> None:
        """Whatever is still on its way between parties arrives."""
        self.sites.deliver()
