"""One of two owners that link their rows: the key that both know and nobody else does, and what they seal.

Each sends the other one half of the key, sealed by what the two agree on (X25519). A half follows from all that the
owner has, so that the same tables give the same filters in every run; the server has neither half.

Source: Langley, Hamburg, Turner, RFC 7748 (X25519); Arciszewski, draft-irtf-cfrg-xchacha (XChaCha20-Poly1305).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NoReturn

from fedlab_nb.crypto.identity import Identity
from fedlab_nb.crypto.linkage.filters import Filters, made
from fedlab_nb.errors import EncryptionError

_KEY_BYTES = 32


class Partner:
    """What one of two owners keeps to itself while they link: first ``meet``, then ``half`` and ``agree``.

    Raises:
        EncryptionError: if something comes that the other owner did not seal for this one.
    """

    __slots__ = ("__box", "__half", "__identity", "__key", "name", "other")

    def __init__(self, name: str) -> None:
        self.name, self.other = name, ""
        self.__identity, self.__box, self.__half, self.__key = Identity(), b"", b"", b""

    @property
    def public(self) -> bytes:
        """What everyone may know: 64 bytes, by which the other owner seals for this one."""
        return self.__identity.public

    def meet(self, other: str, public: bytes) -> None:
        """Agree with the owner ``other`` on how to seal; whoever passes ``public`` on could put in its own.

        Raises:
            EncryptionError: naming ``other``, if ``public`` is no public identity.
        """
        self.other = other
        try:
            self.__box = self.__identity.secret_with(public, f"linkage of {sorted((self.name, other))!r}")
        except EncryptionError as error:
            raise EncryptionError(
                f"What came to {self.name!r} as the identity of {other!r} is none.",
                "By it the two owners seal their halves of the key, which the server must not read.",
                f"Nothing was released: link again, and find out what {other!r} sends.",
            ) from error

    def half(self, content: bytes) -> bytes:
        """This owner's half of the key, sealed for the other; it follows from ``content``, which only this one has."""
        about = repr(("half of a linkage key", self.name, self.other)).encode()
        self.__half = hashlib.blake2b(about, digest_size=_KEY_BYTES, key=content).digest()
        return self.seal(self.__half, "half")

    def agree(self, sealed: bytes) -> None:
        """From the other owner's half and this one's comes the key, the same at both."""
        halves = {self.name: self.__half, self.other: self.open(sealed, "half")}
        self.__key = hashlib.blake2b(b"".join(halves[name] for name in sorted(halves)), digest_size=_KEY_BYTES).digest()

    def filters(self, rows: Sequence[bytes]) -> Filters:
        """The filters of ``rows`` under the key, in the same order."""
        if not self.__key:
            raise EncryptionError(
                f"Filters of {self.name!r} were asked for before it agreed on a key.",
                "Filters without a secret key can be made by anybody, from a list of names.",
                "Call meet, half and agree first.",
            )
        return made(self.__key, rows)

    def seal(self, data: bytes, purpose: str) -> bytes:
        """``data`` for the other owner, which nobody between them can read or change."""
        from nacl.secret import Aead

        return bytes(Aead(self.__box).encrypt(data, _way(self.name, self.other, purpose)))

    def open(self, sealed: bytes, purpose: str) -> bytes:
        """What the other owner sealed for this one, for the same purpose."""
        from nacl.exceptions import CryptoError
        from nacl.secret import Aead

        try:
            return Aead(self.__box).decrypt(sealed, _way(self.other, self.name, purpose))
        except (CryptoError, ValueError) as error:
            raise EncryptionError(
                f"What came to {self.name!r} as sealed by {self.other!r} was not sealed by it, or not for this.",
                "Somebody between the two changed it, or has put in keys of its own to read along.",
                "Nothing was released: link again.",
            ) from error

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise EncryptionError(
            f"The linkage key of {self.name!r} cannot be copied or pickled.",
            "Whoever has it can try out names on every filter that was made with it.",
            "Link the owners again instead.",
        )

    def __repr__(self) -> str:
        return f"Partner({self.name!r}, secret)"


def _way(sender: str, receiver: str, purpose: str) -> bytes:
    return repr((sender, receiver, purpose)).encode()
