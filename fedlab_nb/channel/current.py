"""The channels of a federation, each with the keys in force: those of this run, not older than ``rounds_per_key``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.channel.opening import Channel, Encryption, Place, Tensors, open_channel
from fedlab_nb.channel.products import ProductSession
from fedlab_nb.crypto import CKKS
from fedlab_nb.crypto.schemes.plan import Plan
from fedlab_nb.crypto.seal import KEY_HOLDER
from fedlab_nb.ledger import Ledger
from fedlab_nb.places import Here, Places, Road


class SumTerms(Protocol):
    """Under which scheme a sum goes, and on which grid."""

    @property
    def scheme(self) -> Encryption | None:
        """The scheme; None for sums in the clear."""

    @property
    def plan(self) -> Plan:
        """The grid and the range of its numbers."""


class Channels:
    """One channel a scheme; a new one where its keys have been in use long enough, or where rounds begin anew.

    ``names`` are all owners. Where they are elsewhere, ``reached`` gives those of them that can be handed a key now.
    """

    def __init__(
        self,
        names: Sequence[str],
        ledger: Ledger,
        server: Place,
        places: Places | None = None,
        reached: Callable[[], Sequence[str]] | None = None,
    ) -> None:
        self._parts = tuple(names), ledger
        self._server: Place = server
        self._places, self._reached = places or Here(), reached or (lambda: self._parts[0])
        self._open: dict[Encryption | None, tuple[int, Channel, frozenset[str]]] = {}
        self._products: dict[tuple[CKKS, str], tuple[int, ProductSession]] = {}
        self._newest = 0

    def begin(self, number: int, *, anew: bool) -> None:
        """Rounds are played from ``number`` on: with fresh keys if ``anew``, or if those in force have been there."""
        if anew or number <= self._newest:
            self.drop()
            self._newest = 0

    def turn(self) -> int:
        """The number for a question between runs: each owner helps to sum a kind once under one number."""
        self._newest += 1
        return self._newest

    def drop(self) -> None:
        """Use none of the keys again, as after a sum that failed."""
        self._open.clear()
        self._products.clear()

    def channel(self, scheme: Encryption | None, number: int, owners: Iterable[str] = ()) -> Channel:
        """The channel of a scheme for round ``number``, in which all these ``owners`` have a part."""
        self._newest = max(self._newest, number)
        began, channel, inside = self._open.get(scheme, (number, None, frozenset()))
        worn = scheme is not None and number // scheme.rounds_per_key > began // scheme.rounds_per_key
        if channel is None or worn or not inside.issuperset(owners):
            reached = tuple(self._reached())
            channel = open_channel(scheme, reached, self._parts[1], number, self._server, self._places)
            self._open[scheme] = number, channel, frozenset(reached)
        return channel

    def products(self, scheme: CKKS, number: int, opener: str, road: Road) -> ProductSession:
        """The session of sealed products for round ``number``, between all owners; ``opener`` has its secret key."""
        self._newest = max(self._newest, number)
        began, session = self._products.get((scheme, opener), (number, None))
        if session is None or number // scheme.rounds_per_key > began // scheme.rounds_per_key:
            session = ProductSession(scheme, *self._parts, number, opener, road)
            self._products[scheme, opener] = number, session
        return session

    def sum(
        self,
        terms: SumTerms,
        kind: str,
        vectors: Mapping[str, NDArray[np.float64]],
        number: int,
        absent: Sequence[str],
        tensors: Tensors,
    ) -> NDArray[np.float64]:
        """The sum (d,) of owners' ``vectors`` under the scheme and the plan of ``terms``; the last number is a weight.

        Raises:
            EncryptionError: naming who could not be added; the keys in force are then not used again.
        """
        parts = (*tensors, ("weight", 1)) if tensors else ()
        try:
            channel = self.channel(terms.scheme, number, (*vectors, *absent))
            return channel.sum(kind, vectors, terms.plan, number, absent=absent, tensors=parts)
        except BaseException:
            self.drop()
            raise

    def fingerprint(self, scheme: Encryption | None) -> str:
        """The public key in force, in 16 hex characters; "" while there is none."""
        found = self._open.get(scheme)
        multiplied = self._products.get((scheme, KEY_HOLDER)) if isinstance(scheme, CKKS) else None
        return found[1].fingerprint if found else multiplied[1].fingerprint if multiplied else ""
