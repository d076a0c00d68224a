"""What crosses beside the numbers: keys, signatures, shares; and how the ledger shows what only one owner can read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fedlab_nb.errors import EncryptionError

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


class Once:
    """Each owner's memory of what it has helped to sum: the difference of two sums can be one owner's update."""

    def __init__(self) -> None:
        self._summed: dict[tuple[int, str], set[str]] = {}

    def check(self, number: int, kind: str, owners: Iterable[str]) -> None:
        """Refuse a sum over an owner that is in one of this round and kind already, under whatever key.

        Raises:
            EncryptionError: naming one of these owners.
        """
        before, now = self._summed.setdefault((number, kind), set()), set(owners)
        again = min(before & now, default=None)
        if again is not None:
            raise EncryptionError(
                f"{again!r} has helped to sum {kind!r} in round {number} before.",
                "The difference of two sums over nearly the same owners is a single owner's update.",
                "Sum each kind once a round, or over groups of owners that do not overlap.",
            )
        before |= now


def joined(parts: dict[str, bytes]) -> bytes:
    """Several parties' bytes as one message, in the order of the dictionary."""
    return b"".join(len(name.encode()).to_bytes(2, "little") + name.encode() + part for name, part in parts.items())


def parted(data: bytes, each: int) -> dict[str, bytes]:
    """What ``joined`` made one message of, where every party's part has ``each`` bytes.

    Raises:
        EncryptionError: it is no such message.

    >>> parted(joined({"A": b"12", "B": b"34"}), 2)
    {'A': b'12', 'B': b'34'}
    """
    parts, at = dict[str, bytes](), 0
    while at < len(data):
        begin = at + 2 + int.from_bytes(data[at : at + 2], "little")
        name, part, at = data[at + 2 : begin].decode(errors="replace"), data[begin : begin + each], begin + each
        parts[name] = part
    if at != len(data):
        raise EncryptionError(
            f"{len(data):,} bytes came as the parts of several parties, and do not divide into parts of {each} bytes.",
            "A party that is mistaken for another could read what is sealed for it.",
            "Nothing is used; ask who runs the server what it passes on.",
        )
    return parts
