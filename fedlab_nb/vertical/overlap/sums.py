"""Sums of products of one owner's sealed numbers with another's, of which only the one that multiplied learns any.

Three messages for a sum:
    giver to taker    its numbers, sealed under a key that nobody else has.
    taker to giver    their products with the taker's numbers, added up, each sum plus a pad that only the taker knows.
    giver to taker    what it opened: random numbers, from which the taker takes its pads.

Who learns what: the taker its sums, exactly; the giver, the key holder and the server nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

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

BITS = 20
# What the ledger calls the three messages.
GRADIENT = "representation pieces", "padded gradient", "padded gradient, opened"
SCORES = "direction of labels", "padded scores", "padded scores, opened"
_RANDOM = "random numbers: each sum plus a pad that only the owner who multiplied knows"


@dataclass(frozen=True)
class Sums:
    """One such trip: ``rows`` products are added up to each of ``width`` sums; ``label`` tells trips of a round apart.

    ``bound`` is what the giver's numbers keep to, known to both. ``kinds`` is what the ledger calls the messages.
    """

    at: Meeting
    giver: str
    taker: str
    label: str
    rows: int
    width: int
    bound: float = 1.0
    padded: bool = True
    kinds: tuple[str, str, str] = GRADIENT

    @cached_property
    def session(self) -> ProductSession:
        """The keys in force: the giver's own."""
        scheme = check_products(self.at.federation.house.encrypt, "Transfer learning")
        return product_session(self.at.federation, scheme, self.at.number, self.giver)

    @cached_property
    def plan(self) -> ProductPlan:
        """Public facts of the products."""
        return ProductPlan(scheme=self.session.scheme, rows=self.rows, left=1, right=self.width, left_bits=BITS,
                           right_bits=BITS, padded=self.padded)  # fmt: skip

    @property
    def scale(self) -> float:
        """The power of two that the giver's numbers are divided by: their mean square is then at most 1."""
        return float(2.0 ** max(np.ceil(np.log2(self.bound)), 0.0))

    def seal(self, mine: Mine, given: Work) -> Sealed:
        """At the giver: its numbers (rows,), sealed."""
        column = given(mine)[:, None] / self.scale
        return self.session.seal(
            self.plan, column, number=self.at.number, kind=self.label, sender=self.giver, to=self.taker
        )

    def multiply(self, mine: Mine, sealed: Sealed, taken: Work) -> Sealed:
        """At the taker: the sums with its own numbers (rows, width); how these were scaled and padded stays here."""
        columns = taken(mine)
        largest = float(np.sqrt(np.mean(columns**2, axis=0)).max())
        power = float(2.0 ** np.ceil(np.log2(largest))) if self.padded and largest > 1.0 else 1.0
        factors = self.session.factors(self.plan, columns / power, sender=self.taker)
        made = self.session.multiply(
            self.plan, [(sealed, factors)], number=self.at.number, kind=self.label, sender=self.taker
        )
        mine.memory[self.label] = made.pads, power * self.scale
        return made.sealed

    def take(self, mine: Mine, shown: bytes) -> Floats:
        """At the taker: its sums (width,), without the pads."""
        pads, scale = mine.memory.pop(self.label)
        return np.asarray(self.session.unpad(self.plan, shown, pads)[0] * scale)


def sums_for(trip: Sums, given: Work, taken: Work) -> Callable[[Mine], Floats]:
    """The trip itself; what comes back gives, beside the taker's rows, the sums (width,).

    Raises:
        RoundError, EncryptionError: nothing was released.
    """
    at, giver, taker, (pieces, padded, opened) = trip.at, trip.giver, trip.taker, trip.kinds
    try:
        sealed = at.send(pieces, lambda mine: trip.seal(mine, given), sender=giver, to=taker)
        sums = at.send(padded, lambda mine: trip.multiply(mine, sealed, taken), sender=taker, to=giver)
        shown = trip.session.open_padded(trip.plan, sums, number=at.number, kind=trip.label)
    except BaseException:
        drop_keys(at.federation)  # keys of sums that failed are not used again
        raise
    at.tell(opened, Opaque(shown, _RANDOM, plain_nbytes=8 * trip.width), sender=giver, to=taker)
    return lambda mine: trip.take(mine, shown)
