"""The joint public key as every owner ends up with it, and the messages that owners sign under it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from fedlab_nb.crypto.identity import check_signature
from fedlab_nb.errors import EncryptionError

SIGNATURE_BYTES = 64


def message(purpose: str, *parts: bytes | str | int) -> bytes:
    """32 bytes that stand for ``purpose`` and ``parts``: their SHA-256, each behind its length."""
    whole = hashlib.sha256()
    for part in (f"fedlab_nb threshold {purpose}", *parts):
        data = part if isinstance(part, bytes) else str(part).encode()
        whole.update(len(data).to_bytes(8, "big") + data)
    return whole.digest()


@dataclass(frozen=True, eq=True, repr=False)
class JointKey:
    """A public key whose secret half nobody holds, and who must all agree to open what it sealed.

    ``public_key`` is for ``tenseal.context_from``; all owners have the same bytes, so they can compare ``fingerprint``.
    ``identities`` are the owners by name with their public identities. All of it is public.
    """

    public_key: bytes
    session: bytes
    identities: Mapping[str, bytes]

    @property
    def names(self) -> tuple[str, ...]:
        """The owners, in alphabetical order."""
        return tuple(sorted(self.identities))

    @property
    def fingerprint(self) -> str:
        """The first 16 hex characters of the SHA-256 of ``public_key``."""
        return hashlib.sha256(self.public_key).hexdigest()[:16]

    def check(self, name: str, signed: bytes, signature: bytes) -> None:
        """Refuse ``signed`` if the owner ``name`` did not sign it.

        Raises:
            EncryptionError: naming the owner.
        """
        check_signature(self.identities[name], signed, signature, who=name)

    def __repr__(self) -> str:
        return f"JointKey({self.fingerprint}, opened only by all {len(self.identities)} owners together)"


def check_names(names: Iterable[str], expected: Iterable[str], *, what: str) -> None:
    """Refuse a set of messages that is not exactly one from each expected owner.

    Raises:
        EncryptionError: naming who is missing or does not belong.
    """
    got, wanted = set(names), set(expected)
    for odd, how in ((wanted - got, "is missing"), (got - wanted, "does not belong here")):
        if odd:
            raise EncryptionError(
                f"The {what} of {listed(odd)} {how}.",
                "A joint key needs each of its owners and nobody else: with one share missing, nothing can be opened.",
                "Drop the round and make a new joint key with the owners that are present.",
            )


def split_signed(data: bytes, size: int, *, who: str, what: str) -> tuple[bytes, bytes]:
    """``data`` as a content of ``size`` bytes and a signature.

    Raises:
        EncryptionError: another length; names ``who`` sent it.
    """
    if len(data) != size + SIGNATURE_BYTES:
        raise EncryptionError(
            f"The {what} of {who!r} has {len(data):,} bytes, where {size + SIGNATURE_BYTES:,} are due.",
            "A message of another length was cut, changed, or made by another version.",
            "Nothing was released; have this owner send it again.",
        )
    return data[:size], data[size:]


def listed(names: Iterable[str]) -> str:
    """Up to three names, quoted, and how many more."""
    ordered = sorted(names)
    shown = ", ".join(repr(name) for name in ordered[:3])
    return shown if len(ordered) <= 3 else f"{shown} and {len(ordered) - 3} more"
