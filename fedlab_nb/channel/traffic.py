"""What crosses beside the numbers: keys, signatures, shares; and how the ledger shows what only one owner can read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fedlab_nb.crypto import Sealed

# Kinds of messages by which parties get to know each other and open sums; none holds numbers of an owner.
HANDSHAKE = frozenset(
    {
        "identity",
        "identities",
        "public key",
        "parameters",
        "secret key",
        "mask key",
        "mask keys",
        "key shares",
        "survivors",
        "confirmation",
        "confirmations",
        "revealed shares",
        "key commitment",
        "key commitments",
        "key part",
        "key parts",
        "opening request",
        "witness",
        "witnesses",
        "partial opening",
    }
)

Post = Callable[..., object]


@dataclass(frozen=True)
class Opaque:
    """Bytes that are encrypted for one owner and hold no numbers of another: shares of secrets, a wrapped key."""

    data: bytes
    note: str
    plain_nbytes: int = 0

    @property
    def parts(self) -> tuple[bytes, ...]:
        """The bytes that cross."""
        return (self.data,)

    @property
    def head(self) -> str:
        """The first 24 bytes, in hex."""
        return self.data[:24].hex()


def joined(parts: dict[str, bytes]) -> bytes:
    """Several parties' bytes as one message, in the order of the dictionary."""
    return b"".join(len(name.encode()).to_bytes(2, "little") + name.encode() + part for name, part in parts.items())


__all__ = ["HANDSHAKE", "Opaque", "Post", "Sealed", "joined"]
