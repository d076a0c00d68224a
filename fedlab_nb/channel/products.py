"""Sealed products: owners' columns go sealed to another, which multiplies; whoever has the key opens sums.

Who learns what, if all follow the protocol:
    the owner that multiplies    that there are so many columns, of so many rows; no number in them.
    the opener    the sums that it opens, or of padded sums nothing; no row of any owner.
    the server    nothing here: it passes on public identities.
The opener is the key holder, or an owner whose key nobody else has. Together, the opener and the owner that multiplies
could open every sealed number; so could the opener with whoever overhears.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.channel.traffic import joined, parted
from fedlab_nb.crypto import CKKS, KeyHolder, Mailbox, Sealed
from fedlab_nb.crypto.ciphertexts.native import encrypted_zero
from fedlab_nb.crypto.identity import PUBLIC_BYTES
from fedlab_nb.crypto.products import Factors, ProductPlan, Shipment, factors_of, multiplied, sealed_columns, unpadded
from fedlab_nb.crypto.seal import SERVER, fingerprint, keyless_context
from fedlab_nb.ledger import Ledger
from fedlab_nb.places import Road

Floats = NDArray[np.float64]


class Multiplied(NamedTuple):
    """What an owner that multiplied sends to the opener, and the pads that it keeps for itself."""

    sealed: Sealed
    pads: list[int]


class ProductSession:
    """One session of sealed products: identities and the public key are handed out when it begins.

    ``opener`` has the secret key: the key holder, or one of ``owners``, which opens then what concerns it. What belongs
    to a party is made at that party; ``road`` says which of them are here.
    """

    def __init__(
        self, scheme: CKKS, owners: Sequence[str], ledger: Ledger, number: int, opener: str, road: Road
    ) -> None:
        self._ledger, self.scheme, self.opener = ledger, scheme, opener
        self.session = session = road.token()
        with ledger.stage("keys"):
            self._holder = road.own(lambda: KeyHolder(scheme, session=session, name=opener), at=opener)
            self._mailboxes = {name: self._mailbox(name, road) for name in dict.fromkeys((*owners, opener))}
            self._keys = self._introduce(number, road)

    @property
    def fingerprint(self) -> str:
        """The public key in force, in 16 hex characters; "" where nobody has it who is here."""
        return next((fingerprint(key) for key in self._keys.values() if isinstance(key, bytes)), "")

    def seal(self, plan: ProductPlan, columns: Floats, *, number: int, kind: str, sender: str, to: str) -> Sealed:
        """At ``sender``: its columns (rows, left), for the owner ``to`` to multiply."""
        with self._ledger.stage("encrypt"):
            if sender == self.opener:
                chunks = self._holder.seal_columns(columns, plan, sender=sender)
            else:
                chunks = sealed_columns(columns, plan, partial(self._zero, sender), sender=sender)
        shipment = self._shipment(plan, number, kind, sums=False)
        return self._mailboxes[sender].send(to, shipment, chunks, inside=(sender,))

    def factors(self, plan: ProductPlan, columns: Floats, *, sender: str) -> Factors:
        """At ``sender``: its columns (rows, right), ready to be multiplied with again and again."""
        with self._ledger.stage("multiply"):
            return factors_of(columns, plan, sender=sender)

    def multiply(
        self, plan: ProductPlan, pairs: Sequence[tuple[Sealed, Factors]], *, number: int, kind: str, sender: str
    ) -> Multiplied:
        """At ``sender``: the sums of products of what came with its own columns, for the opener.

        Raises:
            EncryptionError: an envelope is refused.
        """
        shipment = self._shipment(plan, number, kind, sums=False)
        taken = [self._mailboxes[sender].take(sealed, shipment) for sealed, _ in pairs]
        with self._ledger.stage("multiply"):
            products = multiplied(taken, [factors for _, factors in pairs], plan, partial(self._zero, sender))
        inside = (*(name for sealed, _ in pairs for name in sealed.senders), sender)
        sums = self._shipment(plan, number, kind, sums=True)
        return Multiplied(
            self._mailboxes[sender].send(self.opener, sums, products.chunks, inside=inside), products.pads
        )

    def open(self, plan: ProductPlan, sealed: Sealed, *, number: int, kind: str) -> Floats:
        """At the opener: the sums (left, right), or (lanes, left, right), exact on the grid.

        Raises:
            EncryptionError: the envelope is refused, was opened before, or holds no such sums. Nothing is released.
        """
        with self._ledger.stage("decrypt"):
            return self._holder.open_products(sealed, self._shipment(plan, number, kind, sums=True))

    def open_padded(self, plan: ProductPlan, sealed: Sealed, *, number: int, kind: str) -> bytes:
        """At the opener: the sums as random numbers, for the owner that has the pads.

        Raises:
            EncryptionError: as ``open``.
        """
        with self._ledger.stage("decrypt"):
            return self._holder.open_padded(sealed, self._shipment(plan, number, kind, sums=True))

    @staticmethod
    def unpad(plan: ProductPlan, shown: bytes, pads: Sequence[int]) -> Floats:
        """At the owner that multiplied: the sums (left, right), exact on the grid.

        Raises:
            EncryptionError: what came back holds no such sums.
        """
        return unpadded(shown, pads, plan)

    def shared_secret(self, mine: str, other: str, purpose: str) -> bytes:
        """At ``mine``: 32 bytes that only it and ``other`` know, for one purpose in this session."""
        return self._mailboxes[mine].secret_with(other, purpose)

    def _zero(self, sender: str) -> object:
        return encrypted_zero(keyless_context(self._keys[sender]), self.scheme)

    def _shipment(self, plan: ProductPlan, number: int, kind: str, *, sums: bool) -> Shipment:
        return Shipment(
            session=self.session, round=number, kind=kind, plan=plan, fingerprint=self.fingerprint, sums=sums
        )

    def _mailbox(self, name: str, road: Road) -> Mailbox:
        made = (lambda: self._holder.mailbox) if name == self.opener else partial(Mailbox, name, session=self.session)
        return road.own(made, at=name)

    def _introduce(self, number: int, road: Road) -> dict[str, bytes]:
        """Everybody sends the server its public identity, and gets those of all; then the public key, by its party."""
        boxes, opener = self._mailboxes, self.opener
        public = {
            name: road.send("identity", partial(_public, box), number=number, sender=name, to=SERVER)
            for name, box in boxes.items()
        }
        for name in boxes:
            told = road.send("identities", lambda: joined(public), number=number, sender=SERVER, to=name)
            road.own(partial(_meet, boxes[name], told, road), at=name)
        key = road.own(lambda: self._holder.public_key, at=opener)
        give = partial(road.send, "public key", lambda: key, number=number, sender=opener)
        return {name: key if name == opener else give(to=name) for name in boxes}


def _public(box: Mailbox) -> bytes:
    return box.public


def _meet(box: Mailbox, told: bytes, road: Road) -> None:
    """One party gets to know the others, once these are who they should be."""
    identities = parted(told, PUBLIC_BYTES)
    road.check(identities)
    box.meet(identities)
