"""The secret key and its holder. Nothing outside this file keeps it; codecs decrypt with what they are handed here.

A context without it is only ever made by writing the public parts to bytes and reading them back: TenSEAL's ways of
turning a private context into a public one in place leave a decryptor inside, and its copies keep the key.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from typing import Any, NoReturn, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from fedlab_nb.crypto.ciphertexts.codec import Floats, codec_of
from fedlab_nb.crypto.ciphertexts.native import breathe, guarded, new_context
from fedlab_nb.crypto.envelope import Mailbox, Sealed
from fedlab_nb.crypto.identity import Identity
from fedlab_nb.crypto.manifest import Manifest
from fedlab_nb.crypto.products import ProductPlan, Shipment, opened, opened_padded, sealed_columns
from fedlab_nb.crypto.schemes.bfv import BFV
from fedlab_nb.crypto.schemes.ckks import CKKS
from fedlab_nb.crypto.seal import KEY_HOLDER, SERVER, TAGS, WITNESS, fingerprint
from fedlab_nb.crypto.tags import tag_seed, untagged
from fedlab_nb.crypto.vouching import Request, check_vouched
from fedlab_nb.errors import EncryptionError

_SEED = 32
_NONCE = 12


class KeyHolder:
    """The only party that can open, and it opens only sums of two owners or more, each sum once.

    ``public_key`` (bytes) goes to the owners; ``parameters`` (about 87 bytes, no key at all) to the server;
    ``fingerprint`` names the key. Where all owners hold the key, each of them acts as the key holder in turn:
    ``wrapped_for`` passes it on. In one process this is a simulation of the walls: whoever runs code here could reach
    the secret key in memory. It is never printed, copied or written in the clear.
    """

    __slots__ = ("__context", "__opened", "__seed", "fingerprint", "mailbox", "parameters", "public_key", "scheme")

    def __init__(self, scheme: CKKS | BFV, *, session: str, name: str = KEY_HOLDER) -> None:
        self._begin(scheme, session, os.urandom(_SEED), new_context(scheme), name)

    def _begin(self, scheme: CKKS | BFV, session: str, seed: bytes, context: Any, name: str = KEY_HOLDER) -> None:
        self.scheme, self.__seed, self.__context = scheme, seed, context
        self.__opened: dict[tuple[int, str], set[str]] = {}
        self.mailbox = Mailbox(name, session=session, identity=Identity(seed))
        self.public_key: bytes = _public(context, public_key=True)
        self.parameters: bytes = _public(context, public_key=False)
        self.fingerprint: str = fingerprint(self.public_key)

    def open(self, sealed: Sealed, manifest: Manifest, request: Request, witnesses: Mapping[str, bytes]) -> Floats:
        """Decrypt the sum of ``manifest``, for which every owner vouches, and round it to the plan's grid.

        Law: equals the sum of ``plan.grid(values)`` over the owners of the manifest, bit for bit. The rounding is what
        keeps the secret key secret (see schemes/ckks.py); ``request`` and ``witnesses`` are what proves, before
        anything is decrypted, that it is the sum of exactly what each owner sealed (see vouching/); tags do so again.

        Returns:
            The sum (d,).

        Raises:
            EncryptionError: fewer than two owners, one of them is in a sum of this round and kind that has been opened
                before, the envelope is refused, or what is inside is not the sum of these owners. Nothing is released.
        """
        plan, before = manifest.plan, self.__opened.setdefault((manifest.round, manifest.kind), set())
        if len(manifest.owners) < 2 or before & set(manifest.owners):
            alone = len(manifest.owners) < 2
            raise EncryptionError(
                f"The key holder was asked to open {manifest.kind!r} of round {manifest.round} "
                + (f"of {manifest.owners[0]!r} alone." if alone else "of the same owners once more."),
                "The difference of two sums, or a sum of one owner, is a single owner's update.",
                "Ask once for each sum, over two owners or more.",
            )
        chunks = self.mailbox.take(sealed, manifest)
        if sealed.header.sender != SERVER or sealed.header.inside != manifest.owners:
            raise EncryptionError(
                f"What was to be opened comes from {sealed.header.sender!r}, or is said to hold others than agreed.",
                "Only the server adds, and only the sum that all parties agreed on.",
                "Nothing was opened: begin the round anew; it has fresh keys.",
            )
        before.update(manifest.owners)
        vouching = {name: self.mailbox.secret_with(name, WITNESS) for name in manifest.owners}
        check_vouched(request, manifest, sealed, witnesses, vouching)
        codec, context = codec_of(plan), self.__context
        parts = []
        for number, chunk in enumerate(chunks):
            parts.append(codec.decrypt(context, chunk, manifest.held(number) + plan.tags, plan))
            breathe()
        secrets = {name: self.mailbox.secret_with(name, TAGS) for name in manifest.owners}
        return untagged(parts, {name: tag_seed(secret, manifest) for name, secret in secrets.items()}, manifest)

    def open_products(self, sealed: Sealed, shipment: Shipment) -> Floats:
        """The sums (left, right) of products that one owner made of others' sealed columns, once for each round.

        Raises:
            EncryptionError: the envelope is refused, does not come from one owner about others, or such sums of the
                same owner and kind have been opened in this round. Nothing is released.
        """
        return opened(self._take_products(sealed, shipment), shipment.plan, self.__context)

    def open_padded(self, sealed: Sealed, shipment: Shipment) -> bytes:
        """The same sums under their maker's one-time pad, for it to take the pads off; they tell this party nothing.

        Raises:
            EncryptionError: as ``open_products``.
        """
        return opened_padded(self._take_products(sealed, shipment), shipment.plan, self.__context)

    def seal_columns(self, columns: Floats, plan: ProductPlan, *, sender: str) -> list[bytes]:
        """An owner's columns (rows, left) under its own key: the secret key seals in a third of the time.

        Raises:
            EncryptionError: they are not what the plan says.
        """
        return sealed_columns(columns, plan, partial(_secret_zero, _secret_encryptor(self.__context)), sender=sender)

    def _take_products(self, sealed: Sealed, shipment: Shipment) -> tuple[bytes, ...]:
        before = self.__opened.setdefault((shipment.round, f"products {shipment.kind}"), set())
        chunks, maker, inside = self.mailbox.take(sealed, shipment), sealed.header.sender, sealed.header.inside
        those = " and ".join(map(repr, inside))
        if len(inside) != shipment.plan.senders + 1 or maker in inside[:-1] or inside[-1] != maker or those in before:
            raise EncryptionError(
                f"{self.mailbox.name!r} was asked to open products of {shipment.kind!r} by {maker!r} with "
                f"{those}, and does not.",
                "Sums about one owner's columns alone, or opened twice with other factors, could be single rows.",
                "Ask once in each round, for products of different owners' columns.",
            )
        before.add(those)
        return chunks

    def wrapped_for(self, name: str, public: bytes, sender: Identity) -> bytes:
        """The secret key for the owner ``name`` with the identity ``public``: encrypted by ``sender`` for it alone."""
        whole = guarded("write", "the secret key", self.__context.serialize, save_secret_key=True)
        key = sender.secret_with(public, f"{self.mailbox.session} secret key for {name}")
        nonce = os.urandom(_NONCE)
        return nonce + ChaCha20Poly1305(key).encrypt(nonce, self.__seed + whole, self.fingerprint.encode())

    @classmethod
    def unwrapped(
        cls, wrapped: bytes, scheme: CKKS | BFV, *, name: str, maker: bytes, mailbox: Mailbox, expected: str
    ) -> Self:
        """The key that ``maker`` (a public identity) wrapped for this owner, whose fingerprint must be ``expected``.

        Raises:
            EncryptionError: it was wrapped for another, by another, or is another key.
        """
        import tenseal

        key = mailbox.identity.secret_with(maker, f"{mailbox.session} secret key for {name}")
        try:
            whole = ChaCha20Poly1305(key).decrypt(wrapped[:_NONCE], wrapped[_NONCE:], expected.encode())
        except (InvalidTag, ValueError) as error:
            raise EncryptionError(
                f"The secret key that came to {name!r} cannot be unwrapped.",
                "It was changed on the way, is for another owner, or belongs to another public key.",
                "Hand the keys out again, and compare the fingerprints of the parties.",
            ) from error
        holder = cls.__new__(cls)
        context = guarded("read", "the secret key", tenseal.context_from, whole[_SEED:], n_threads=1)
        holder._begin(scheme, mailbox.session, whole[:_SEED], context)  # noqa: SLF001 - a second way to begin
        if holder.fingerprint != expected:
            raise EncryptionError(
                f"The secret key that came to {name!r} is that of {holder.fingerprint}, and {expected} was expected.",
                "What was sealed for one key opens to garbage with another.",
                "Hand the keys out again, and compare the fingerprints of the parties.",
            )
        return holder

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise EncryptionError(
            "A KeyHolder cannot be copied or pickled.",
            "Every copy of the secret key is one more place from which all contributions can be read.",
            "Pass public_key or parameters on instead, or make a new KeyHolder.",
        )

    def __repr__(self) -> str:
        return f"KeyHolder(key {self.fingerprint}, opens sums only)"

    def _repr_html_(self) -> str:
        from fedlab_nb.crypto.card import key_holder_card

        return key_holder_card(self)


def _public(context: Any, *, public_key: bool) -> bytes:
    return bytes(
        context.serialize(
            save_public_key=public_key, save_secret_key=False, save_galois_keys=False, save_relin_keys=False
        )
    )


def _secret_encryptor(context: Any) -> Any:
    """SEAL's encryptor with the secret key."""
    import tenseal.sealapi as seal

    outer, key = context.seal_context(), context.secret_key()
    return seal.Encryptor(outer.data, key.data)


def _secret_zero(encryptor: Any) -> Any:
    """A fresh ciphertext of zero from the secret key: quicker and less noisy than from the public one."""
    import tenseal.sealapi as seal

    cipher = seal.Ciphertext()
    guarded("encrypt", "zero", encryptor.encrypt_zero_symmetric, cipher)
    return cipher
