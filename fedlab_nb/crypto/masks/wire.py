"""The bytes of one secure sum: what is signed, how long a message is, and to which sum it belongs.

Every message but the shares, which are sealed for one reader, is a body followed by its sender's signature. What is
signed names the kind of message and the sum: a message of another sum or stage never passes for one of this.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.crypto.identity import Identity, check_signature
from fedlab_nb.crypto.masks.shamir import SHARE_BYTES
from fedlab_nb.errors import EncryptionError

KEY_BYTES = 32
DIGEST_BYTES = 32
SIGNATURE_BYTES = 64
WORD_BYTES = 4
ADVERT_BYTES = KEY_BYTES + DIGEST_BYTES + SIGNATURE_BYTES


@dataclass(frozen=True)
class Occasion:
    """Which sum a message belongs to: ``session`` names the run, ``context`` the sum within it ("round 3")."""

    session: bytes
    context: str

    def statement(self, kind: str, *about: bytes) -> bytes:
        """What a signature, a sealed message or a derived key is bound to; different inputs never give equal bytes."""
        return packed([b"fedlab_nb masks", kind.encode(), self.session, self.context.encode(), *about])

    def signed(self, identity: Identity, kind: str, body: bytes, *about: bytes) -> bytes:
        """A message: ``body``, then the signature of it and of what it is ``about``."""
        return body + identity.sign(self.statement(kind, *about, hashlib.sha256(body).digest()))

    def read(self, public: bytes, kind: str, message: bytes, *about: bytes, who: str) -> bytes:
        """The body of a message from ``who``, whose public identity is ``public``.

        Raises:
            EncryptionError: ``who`` did not sign this, for this sum and stage.
        """
        body, signature = message[:-SIGNATURE_BYTES], message[-SIGNATURE_BYTES:]
        check_signature(public, self.statement(kind, *about, hashlib.sha256(body).digest()), signature, who=who)
        return body


@dataclass(frozen=True)
class Advert:
    """What one owner says in public before a sum: a mask's public key, and the digest of the seed of its own mask."""

    mask_public: bytes
    seed_digest: bytes


def written_advert(occasion: Occasion, name: str, identity: Identity, advert: Advert) -> bytes:
    """The ``ADVERT_BYTES`` bytes of an advert: public key, digest, signature."""
    return occasion.signed(identity, "advert", advert.mask_public + advert.seed_digest, name.encode())


def read_adverts(
    occasion: Occasion, adverts: Mapping[str, bytes], identities: Mapping[str, bytes]
) -> dict[str, Advert]:
    """All adverts, in the order of the names, each signed by the one of ``identities`` that has its name.

    Raises:
        EncryptionError: names whose advert is unknown, damaged, forged, from another sum, or a copy.
    """
    read: dict[str, Advert] = {}
    for name in sorted(adverts):
        if name not in identities:
            raise EncryptionError(
                f"An advert came from {name!r}, who is not one of the parties of this sum.",
                "Whoever slips in strangers could make them stand for most of the sum.",
                "Give the public identities of all owners that may take part.",
            )
        sized(adverts[name], ADVERT_BYTES, who=name, what="an advert")
        body = occasion.read(identities[name], "advert", adverts[name], name.encode(), who=name)
        read[name] = Advert(body[:KEY_BYTES], body[KEY_BYTES:])
    owner_of: dict[bytes, str] = {}
    for name, advert in read.items():
        if owner_of.setdefault(advert.mask_public, name) != name:
            raise EncryptionError(
                f"{name!r} and {owner_of[advert.mask_public]!r} advertised the same mask key.",
                "Masks that others share with the two would be the same, and could be played against each other.",
                "Start the sum again; each owner makes a fresh key for it.",
            )
    return read


def seed_digest(occasion: Occasion, name: str, seed: bytes) -> bytes:
    """What ``name`` says in public about the seed of its own mask: enough to check the seed, not to find it."""
    return hashlib.sha256(occasion.statement("seed", name.encode(), seed)).digest()


def roster(occasion: Occasion, threshold: int, adverts: Mapping[str, bytes], names: Iterable[str]) -> bytes:
    """A digest of who takes part in the sum, with which adverts, and of how many are needed to take masks off."""
    rows = [packed([name.encode(), adverts[name]]) for name in sorted(names)]
    return hashlib.sha256(occasion.statement("roster", str(threshold).encode(), *rows)).digest()


def written_masked(
    occasion: Occasion, name: str, identity: Identity, group: bytes, vector: NDArray[np.uint32]
) -> bytes:
    """The 4 d bytes of a masked vector (d,), little-endian, and the signature of ``name``; ``group`` is the roster."""
    return occasion.signed(identity, "masked", vector.astype("<u4", copy=False).tobytes(), name.encode(), group)


def read_masked(occasion: Occasion, name: str, public: bytes, group: bytes, message: bytes) -> NDArray[np.uint32]:
    """The masked vector (d,) of ``name``.

    Raises:
        EncryptionError: damaged, forged, or made for another sum or other owners.
    """
    body = occasion.read(public, "masked", message, name.encode(), group, who=name)
    sized(body, max(1, len(body) // WORD_BYTES) * WORD_BYTES, who=name, what="a masked vector")
    return np.frombuffer(body, dtype="<u4")


def written_confirmation(occasion: Occasion, identity: Identity, group: bytes, survivors: bytes) -> bytes:
    """The ``SIGNATURE_BYTES`` bytes with which an owner stands by one list of survivors (packed names)."""
    return occasion.signed(identity, "survivors", b"", group, survivors)


def check_confirmation(
    occasion: Occasion, name: str, public: bytes, group: bytes, survivors: bytes, message: bytes
) -> None:
    """Refuse a confirmation of another list, or of another sum.

    Raises:
        EncryptionError: ``name`` did not sign this.
    """
    sized(message, SIGNATURE_BYTES, who=name, what="a confirmation")
    occasion.read(public, "survivors", message, group, survivors, who=name)


def written_revealed(
    occasion: Occasion, name: str, identity: Identity, group: bytes, survivors: bytes, shares: bytes
) -> bytes:
    """One share for every owner of the roster, in the order of names, and the signature of ``name``."""
    return occasion.signed(identity, "revealed", shares, name.encode(), group, survivors)


def read_revealed(
    occasion: Occasion,
    name: str,
    public: bytes,
    group: bytes,
    survivors: bytes,
    message: bytes,
    *,
    owners: int,
) -> list[bytes]:
    """The shares that ``name`` revealed, one for each of ``owners``, in the order of names.

    Raises:
        EncryptionError: damaged, forged, or for another list of survivors.
    """
    sized(message, owners * SHARE_BYTES + SIGNATURE_BYTES, who=name, what="revealed shares")
    body = occasion.read(public, "revealed", message, name.encode(), group, survivors, who=name)
    return [body[start : start + SHARE_BYTES] for start in range(0, len(body), SHARE_BYTES)]


def packed(parts: Iterable[bytes]) -> bytes:
    """The parts one after the other, each with its length before it: other parts never give the same bytes."""
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def packed_names(names: Iterable[str]) -> bytes:
    """The names in order, packed."""
    return packed(name.encode() for name in sorted(names))


def sized(data: bytes, size: int, *, who: str, what: str) -> bytes:
    """``data``, which has ``size`` bytes.

    Raises:
        EncryptionError: it has not; names ``who`` sent it as ``what``.
    """
    if len(data) != size:
        raise EncryptionError(
            f"{who!r} is said to have sent {what} of {len(data):,} bytes; it has to have {size:,}.",
            "A message of another length was cut, changed, or belongs to something else.",
            "Nothing was released; start the sum again.",
        )
    return data


def shown(names: Iterable[str]) -> str:
    """Names as an error shows them: sorted, the first three of them."""
    listed = sorted(names)
    text = ", ".join(repr(name) for name in listed[:3])
    return text if len(listed) <= 3 else f"{text} and {len(listed) - 3} more"
