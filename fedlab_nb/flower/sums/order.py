"""Messages in the order of rounds: where one round is scored while the next is on its way, both cross at once."""

from __future__ import annotations

from dataclasses import replace

from fedlab_nb.ledger import GENESIS, Ledger
from fedlab_nb.payloads import digest_again
from fedlab_nb.records import Message, Round


class InOrder:
    """A ``ledger`` of what crossed for the rounds that were told: of each, in the order in which it crossed.

    So all of a round stands before the next one, as in a notebook, whatever crossed meanwhile.
    """

    def __init__(self) -> None:
        self.ledger = Ledger()
        self._seen, self._later = 0, list[Message]()

    def entered(self, record: Round, crossed: Ledger) -> Round:
        """The record, with the traffic of its own round, once that stands in the ledger.

        After a round that failed none is told, so that what crossed for the next one by then is entered with it.
        """
        there, before = crossed.messages, len(self.ledger)
        new, self._seen = [*self._later, *there[self._seen :]], len(there)
        self._later = [message for message in new if message.round > record.number]
        for message in new:
            if message.round <= record.number:
                self._enter(message)
        traffic = self.ledger.traffic(since=before)
        if record.failed is not None:
            for message in self._later:
                self._enter(message)
            self._later = []
        return replace(record, traffic=traffic)

    def _enter(self, message: Message) -> None:
        """Enter it, numbered and chained anew."""
        at = len(self.ledger)
        head = self.ledger.messages[-1].digest if at else GENESIS
        again = replace(message, number=at, previous=head, payload=None)
        self.ledger.enter([replace(again, digest=digest_again(again))])
