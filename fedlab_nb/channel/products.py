"""Sealed products: an owner's columns go sealed to another, which multiplies; a key holder opens sums and nothing else.

Who learns what, if all follow the protocol:
    the owner that multiplies    that there are so many columns, of so many rows; no number in them.
    the key holder    the sums that it opens, and no row of either owner.
    the server    nothing here: it passes on public identities.
Together, the key holder and the owner that multiplies could open every sealed number; so could the key holder with
whoever overhears.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.channel.traffic import joined
from fedlab_nb.crypto import CKKS, KeyHolder, Mailbox, Sealed
from fedlab_nb.crypto.products import ProductPlan, Shipment, multiplied, sealed_columns
from fedlab_nb.crypto.seal import KEY_HOLDER, SERVER, keyless_context
from fedlab_nb.ledger import Ledger

Floats = NDArray[np.float64]


class ProductSession:
    """One session of sealed products: identities and the public key are handed out when it begins."""

    def __init__(self, scheme: CKKS, owners: Sequence[str], ledger: Ledger, number: int) -> None:
        self._ledger, self.scheme, self.session = ledger, scheme, secrets.token_hex(16)
        with ledger.stage("keys"):
            self._holder = KeyHolder(scheme, session=self.session)
            self._mailboxes = {name: Mailbox(name, session=self.session) for name in owners}
            self._introduce(number)
        self.fingerprint = self._holder.fingerprint

    def seal(self, plan: ProductPlan, columns: Floats, *, number: int, kind: str, sender: str, to: str) -> Sealed:
        """At ``sender``: its columns (rows, left), for the owner ``to`` to multiply."""
        with self._ledger.stage("encrypt"):
            context = keyless_context(self._holder.public_key)
            chunks = sealed_columns(columns, plan, context, sender=sender)
        return self._mailboxes[sender].send(
            to, self._shipment(plan, number, kind, sums=False), chunks, inside=(sender,)
        )

    def multiply(
        self, plan: ProductPlan, sealed: Sealed, columns: Floats, *, number: int, kind: str, sender: str
    ) -> Sealed:
        """At ``sender``: the sums of products of what came with its own columns (rows, right), for the key holder.

        Raises:
            EncryptionError: the envelope is refused.
        """
        chunks = self._mailboxes[sender].take(sealed, self._shipment(plan, number, kind, sums=False))
        with self._ledger.stage("multiply"):
            context = keyless_context(self._holder.public_key)
            answers = multiplied(chunks, columns, plan, context, sender=sender)
        inside = (*sealed.senders, sender)
        shipment = self._shipment(plan, number, kind, sums=True)
        return self._mailboxes[sender].send(KEY_HOLDER, shipment, answers, inside=inside)

    def open(self, plan: ProductPlan, sealed: Sealed, *, number: int, kind: str) -> Floats:
        """At the key holder: the sums (left, right), exact on the grid.

        Raises:
            EncryptionError: the envelope is refused, was opened before, or holds no such sums. Nothing is released.
        """
        with self._ledger.stage("decrypt"):
            return self._holder.open_products(sealed, self._shipment(plan, number, kind, sums=True))

    def _shipment(self, plan: ProductPlan, number: int, kind: str, *, sums: bool) -> Shipment:
        return Shipment(
            session=self.session, round=number, kind=kind, plan=plan, fingerprint=self.fingerprint, sums=sums
        )

    def _introduce(self, number: int) -> None:
        """Everybody sends the server its public identity, and gets those of all; owners get the public key."""
        everybody = {**self._mailboxes, KEY_HOLDER: self._holder.mailbox}
        public = {name: mailbox.public for name, mailbox in everybody.items()}
        for name, identity in public.items():
            self._ledger.post(number, name, SERVER, "identity", identity)
        for name, mailbox in everybody.items():
            self._ledger.post(number, SERVER, name, "identities", joined(public))
            mailbox.meet(public)
        for name in self._mailboxes:
            self._ledger.post(number, KEY_HOLDER, name, "public key", self._holder.public_key)
