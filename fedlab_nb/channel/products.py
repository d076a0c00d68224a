"""Sealed products: owners' columns go sealed to another, which multiplies; whoever has the key opens sums.

Who learns what, if all follow the protocol:
    the owner that multiplies    that there are so many columns, of so many rows; no number in them.
    the opener    the sums that it opens, or of padded sums nothing; no row of any owner.
    the server    nothing here: it passes on public identities.
The opener is the key holder, or an owner whose key nobody else has. Together, the opener and the owner that multiplies
could open every sealed number; so could the opener with whoever overhears.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.channel.traffic import joined
from fedlab_nb.crypto import CKKS, KeyHolder, Mailbox, Sealed
from fedlab_nb.crypto.ciphertexts.native import encrypted_zero
from fedlab_nb.crypto.products import Factors, ProductPlan, Shipment, factors_of, multiplied, sealed_columns, unpadded
from fedlab_nb.crypto.seal import KEY_HOLDER, SERVER, keyless_context
from fedlab_nb.ledger import Ledger

Floats = NDArray[np.float64]


class Multiplied(NamedTuple):
    """What an owner that multiplied sends to the opener, and the pads that it keeps for itself."""

    sealed: Sealed
    pads: list[int]


class ProductSession:
    """One session of sealed products: identities and the public key are handed out when it begins.

    ``opener`` has the secret key: the key holder, or one of ``owners``, which opens then what concerns it.
    """

    def __init__(
        self, scheme: CKKS, owners: Sequence[str], ledger: Ledger, number: int, opener: str = KEY_HOLDER
    ) -> None:
        self._ledger, self.scheme, self.session, self.opener = ledger, scheme, secrets.token_hex(16), opener
        with ledger.stage("keys"):
            self._holder = KeyHolder(scheme, session=self.session, name=opener)
            self._mailboxes = {name: Mailbox(name, session=self.session) for name in owners}
            self._mailboxes[opener] = self._holder.mailbox
            self._introduce(number)
        self.fingerprint = self._holder.fingerprint

    def seal(self, plan: ProductPlan, columns: Floats, *, number: int, kind: str, sender: str, to: str) -> Sealed:
        """At ``sender``: its columns (rows, left), for the owner ``to`` to multiply."""
        with self._ledger.stage("encrypt"):
            if sender == self.opener:
                chunks = self._holder.seal_columns(columns, plan, sender=sender)
            else:
                chunks = sealed_columns(columns, plan, self._zero, sender=sender)
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
            products = multiplied(taken, [factors for _, factors in pairs], plan, self._zero)
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

    def _zero(self) -> object:
        return encrypted_zero(keyless_context(self._holder.public_key), self.scheme)

    def _shipment(self, plan: ProductPlan, number: int, kind: str, *, sums: bool) -> Shipment:
        return Shipment(
            session=self.session, round=number, kind=kind, plan=plan, fingerprint=self.fingerprint, sums=sums
        )

    def _introduce(self, number: int) -> None:
        """Everybody sends the server its public identity, and gets those of all; owners get the public key."""
        public: Mapping[str, bytes] = {name: mailbox.public for name, mailbox in self._mailboxes.items()}
        for name, identity in public.items():
            self._ledger.post(number, name, SERVER, "identity", identity)
        for name, mailbox in self._mailboxes.items():
            self._ledger.post(number, SERVER, name, "identities", joined(dict(public)))
            mailbox.meet(public)
        for name in self._mailboxes:
            if name != self.opener:
                self._ledger.post(number, self.opener, name, "public key", self._holder.public_key)
