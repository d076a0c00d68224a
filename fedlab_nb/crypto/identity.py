"""Who a party is in one session: keys to agree on secrets with others over a channel that others read, and to sign.

Source: Langley, Hamburg, Turner, RFC 7748 (X25519); Josefsson, Liusvaara, RFC 8032 (Ed25519); Krawczyk, Eronen, RFC
5869 (HKDF).
"""

from __future__ import annotations

import hashlib
import os
from typing import NoReturn

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from fedlab_nb.errors import EncryptionError

PUBLIC_BYTES = 64
_HALF = 32


class Identity:
    """One party's secret keys for one session, and the 64 bytes that everyone may know (``public``).

    ``seed`` (32 secret bytes) is for a group that acts as one party; left out, it is fresh.

    The first 32 bytes of ``public`` are for agreeing on secrets (X25519), the others for checking signatures (Ed25519).
    Who passes public keys on could put in its own: parties compare ``fingerprint`` by another way.

    Example:
        >>> a, b = Identity(), Identity()
        >>> a.secret_with(b.public, "tags") == b.secret_with(a.public, "tags")
        True
    """

    __slots__ = ("__agree", "__sign", "public")

    def __init__(self, seed: bytes | None = None) -> None:
        secret = seed or os.urandom(_HALF)
        self.__agree = X25519PrivateKey.from_private_bytes(_derived(secret, "to agree on secrets"))
        self.__sign = Ed25519PrivateKey.from_private_bytes(_derived(secret, "to sign"))
        self.public: bytes = self.__agree.public_key().public_bytes_raw() + self.__sign.public_key().public_bytes_raw()

    @property
    def fingerprint(self) -> str:
        """The first 16 hex characters of the SHA-256 of ``public``."""
        return hashlib.sha256(self.public).hexdigest()[:16]

    def secret_with(self, public: bytes, purpose: str) -> bytes:
        """32 bytes that only this party and the one with ``public`` know; other for each ``purpose``.

        Raises:
            EncryptionError: ``public`` is not a public identity.
        """
        try:
            shared = self.__agree.exchange(X25519PublicKey.from_public_bytes(_halves(public)[0]))
        except ValueError as error:
            raise _not_an_identity(public) from error
        return _derived(shared, purpose)

    def sign(self, data: bytes) -> bytes:
        """64 bytes that only this party can make for ``data``, and everyone can check."""
        return self.__sign.sign(data)

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise EncryptionError(
            "An Identity cannot be copied or pickled.",
            "Every copy of its secret keys is one more place from which a party can be impersonated.",
            "Pass its public part on instead.",
        )

    def __repr__(self) -> str:
        return f"Identity({self.fingerprint})"


def check_signature(public: bytes, data: bytes, signature: bytes, *, who: str) -> None:
    """Refuse ``data`` that the party with ``public`` did not sign.

    Raises:
        EncryptionError: naming ``who`` is said to have signed it.
    """
    try:
        Ed25519PublicKey.from_public_bytes(_halves(public)[1]).verify(signature, data)
    except (InvalidSignature, ValueError) as error:
        raise EncryptionError(
            f"The signature of {who!r} does not fit what is said to come from it.",
            "Somebody changed the message, or made one up in another's name.",
            "Nothing was released; start the round again, and compare the fingerprints of the parties.",
        ) from error


def _derived(secret: bytes, purpose: str) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose.encode()).derive(secret)


def _halves(public: bytes) -> tuple[bytes, bytes]:
    if len(public) != PUBLIC_BYTES:
        raise _not_an_identity(public)
    return public[:_HALF], public[_HALF:]


def _not_an_identity(public: bytes) -> EncryptionError:
    return EncryptionError(
        f"{len(public):,} bytes were given as a party's public identity, which is {PUBLIC_BYTES} bytes.",
        "Without it nobody can agree on a secret with that party or check what it signed.",
        "Give Identity.public.",
    )
