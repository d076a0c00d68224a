"""Sums of products of one owner's sealed numbers with another's, of which only the one that multiplied learns any.

Three messages for a sum:
    giver to taker    its numbers, sealed under a key that nobody else has.
    taker to giver    their products with the taker's numbers, added up, each sum plus a pad that only the taker knows.
    giver to taker    what it opened: random numbers, from which the taker takes its pads.

Who learns what: the taker its sums, exactly; the giver, the key holder and the server nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.channel import Opaque
from fedlab_nb.channel.products import ProductSession
from fedlab_nb.crypto import Sealed
from fedlab_nb.crypto.products import ProductPlan
from fedlab_nb.parties.columns.fitting import check_products
from fedlab_nb.parties.columns.road import drop_keys, product_session
from fedlab_nb.vertical.shared import Meeting, Mine

Floats = NDArray[np.float64]
Work = Callable[[Mine], Floats]
Kinds = tuple[str, str, str]

BITS = 20
# What the ledger calls the three messages.
GRADIENT: Kinds = "representation pieces", "padded gradient", "padded gradient, opened"
SCORES: Kinds = "direction of labels", "padded scores", "padded scores, opened"
_RANDOM = "random numbers: each sum plus a pad that only the owner who multiplied knows"


def session_of(at: Meeting, giver: str) -> ProductSession:
    """The keys in force: the giver's own. All parties begin a session together, outside of any one's work."""
    scheme = check_products(at.federation.house.encrypt, "Transfer learning")
    return product_session(at.federation, scheme, at.number, giver)


@dataclass(frozen=True)
class Sums:
    """One such trip: ``rows`` products are added up to each of ``width`` sums; ``label`` tells trips of a round apart.

    ``given`` gives the giver's numbers (rows,), which keep to ``bound``, known to both; ``taken`` those of the taker
    (rows, width).
    """

    at: Meeting
    session: ProductSession
    taker: str
    label: str
    rows: int
    width: int
    given: Work
    taken: Work
    bound: float = 1.0
    padded: bool = True

    @property
    def giver(self) -> str:
        """Whose numbers are sealed, and who opens."""
        return self.session.opener

    @cached_property
    def plan(self) -> ProductPlan:
        """Facts of the products that both owners know."""
        return ProductPlan(scheme=self.session.scheme, rows=self.rows, left=1, right=self.width, left_bits=BITS,
                           right_bits=BITS, padded=self.padded)  # fmt: skip

    @property
    def scale(self) -> float:
        """The power of two that the giver's numbers are divided by: their mean square is then at most 1."""
        return float(2.0 ** max(np.ceil(np.log2(self.bound)), 0.0))

    def seal(self, mine: Mine) -> Sealed:
        """At the giver: its numbers (rows,), sealed."""
        column = self.given(mine)[:, None] / self.scale
        return self.session.seal(
            self.plan, column, number=self.at.number, kind=self.label, sender=self.giver, to=self.taker
        )

    def multiply(self, mine: Mine, sealed: Sealed) -> Sealed:
        """At the taker: the sums with its own numbers (rows, width); how these were scaled and padded stays here."""
        columns = self.taken(mine)
        largest = float(np.sqrt(np.mean(columns**2, axis=0)).max())
        power = float(2.0 ** np.ceil(np.log2(largest))) if self.padded and largest > 1.0 else 1.0
        factors = self.session.factors(self.plan, columns / power, sender=self.taker)
        made = self.session.multiply(
            self.plan, [(sealed, factors)], number=self.at.number, kind=self.label, sender=self.taker
        )
        mine.memory[self.label] = made.pads, power * self.scale
        return made.sealed

    def open(self, _: Mine, sums: Sealed) -> Opaque:
        """At the giver: random numbers."""
        shown = self.session.open_padded(self.plan, sums, number=self.at.number, kind=self.label)
        return Opaque(shown, _RANDOM, plain_nbytes=8 * self.width)

    def take(self, mine: Mine, shown: Opaque) -> Floats:
        """At the taker: its sums (width,), without the pads."""
        pads, scale = mine.memory.pop(self.label)
        return np.asarray(self.session.unpad(self.plan, shown.data, pads)[0] * scale)


def opened_sums(at: Meeting, trips: Sequence[Sums], kinds: Kinds = GRADIENT) -> list[Opaque]:
    """Of each of the trips what its taker has in the end, for it to ``take``; they go together, stage by stage.

    ``kinds`` is what the ledger calls the messages.

    Raises:
        RoundError, EncryptionError: nothing was released.
    """
    pieces, padded, opened = kinds
    try:
        sealed = [at.send(pieces, trip.seal, sender=trip.giver, to=trip.taker) for trip in trips]
        sums = [
            at.send(padded, partial(trip.multiply, sealed=came), sender=trip.taker, to=trip.giver)
            for trip, came in zip(trips, sealed, strict=True)
        ]
        return [
            at.send(opened, partial(trip.open, sums=came), sender=trip.giver, to=trip.taker)
            for trip, came in zip(trips, sums, strict=True)
        ]
    except BaseException:
        drop_keys(at.federation)  # keys of sums that failed are not used again
        raise
