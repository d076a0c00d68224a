"""What is to be opened, what each owner says to it, and the check of whoever opens.

Tags (tags.py) show whom a sum is missing; but a server could multiply ciphertexts by polynomials that are 1 where tags
are and 0 elsewhere, and so have one owner's numbers opened with everybody's tags. Here it has to show the sum of
exactly what was sealed. The server names the digest of every owner's ciphertexts and of the sum, all of them fixed
before the challenge that follows from them. Each owner finds its own digest there, and tells the key holder the linear
hashes of its ciphertexts under that challenge, with an authentication code. The hashes of the sum must be their sum.

This holds against a server that does as it likes, if identities are true: they come through the server, which could
put in its own, so that parties compare fingerprints by another way. With an owner that lies for it, the server can make
that owner's hashes fit another sum; then only the tags are left.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from fedlab_nb.crypto.ciphertexts.native import breathe, wire_of
from fedlab_nb.crypto.envelope import Sealed
from fedlab_nb.crypto.manifest import Manifest
from fedlab_nb.crypto.vouching.linear import VALUE_BYTES, LinearHash, moduli
from fedlab_nb.errors import EncryptionError

_MAC_BYTES = 32
_MOST_TIMES = 64


@dataclass(frozen=True)
class Request:
    """The digest of each owner's ciphertexts by name, and that of their sum, as their envelopes have them."""

    sealed: Mapping[str, str]
    total: str

    @classmethod
    def of(cls, sealed: Sequence[Sealed], summed: Sealed) -> Self:
        """The request to open ``summed``, as the sum of ``sealed``."""
        return cls({item.header.sender: item.header.payload for item in sealed}, summed.header.payload)

    @property
    def text(self) -> str:
        """As it crosses."""
        return json.dumps([dict(self.sealed), self.total], sort_keys=True, separators=(",", ":"))

    def challenge(self, manifest: Manifest) -> bytes:
        """32 bytes that follow from the request and the manifest, and decide what is hashed.

        Raises:
            EncryptionError: not exactly one vector of each owner, or one twice.
        """
        if tuple(sorted(self.sealed)) != tuple(sorted(manifest.owners)) or len(set(self.sealed.values())) < len(
            self.sealed
        ):
            raise EncryptionError(
                f"The sum of {manifest.kind!r} in round {manifest.round} is said to be of other vectors than one from "
                "each owner.",
                "It would no longer be the sum that all parties agreed on.",
                "Nothing was opened: begin the round anew; it has fresh keys.",
            )
        return hashlib.sha256(f"{manifest.digest} {self.text}".encode()).digest()


def witness(request: Request, manifest: Manifest, mine: Sealed, secret: bytes) -> bytes:
    """What an owner says of its own vector: its hashes under the request's challenge, and a code only it can make.

    Raises:
        EncryptionError: the request names other ciphertexts for it, or other owners.
    """
    challenge, name = request.challenge(manifest), mine.header.sender
    if request.sealed[name] != mine.header.payload or mine.header.manifest != manifest.digest:
        raise EncryptionError(
            f"{name!r} is said to have sealed something else than it did.",
            "The sum would not be that of what the owners sealed, and could show one owner's numbers.",
            "Nothing was opened: begin the round anew; it has fresh keys.",
        )
    data = b"".join(value.to_bytes(VALUE_BYTES, "little") for value in _hashed(challenge, manifest, mine.chunks))
    return data + hmac.new(secret, challenge + data, hashlib.sha256).digest()


def check_vouched(
    request: Request, manifest: Manifest, total: Sealed, witnesses: Mapping[str, bytes], secrets: Mapping[str, bytes]
) -> None:
    """Refuse a sum that is not that of what each owner vouches for; ``secrets`` are those shared with each owner.

    Raises:
        EncryptionError: naming the owner that is missing, counted more than once, or whose code does not fit, where
            that can be told.
    """
    challenge, primes = request.challenge(manifest), moduli(wire_of(manifest.plan.scheme))
    vouched: dict[str, list[int]] = {}
    for name in manifest.owners:
        data = witnesses.get(name, b"")
        values, code = data[:-_MAC_BYTES], data[-_MAC_BYTES:]
        right = hmac.new(secrets[name], challenge + values, hashlib.sha256).digest()
        if len(values) != VALUE_BYTES * len(primes) or not hmac.compare_digest(code, right):
            raise _wrong(f"{name!r} does not vouch for this sum.")
        vouched[name] = [
            int.from_bytes(values[at : at + VALUE_BYTES], "little") for at in range(0, len(values), VALUE_BYTES)
        ]
    if request.total != total.header.payload:
        raise _wrong("The sum is another one than was announced.")
    found = _hashed(challenge, manifest, total.chunks)
    off = [(h - sum(own)) % p for h, p, *own in zip(found, primes, *vouched.values(), strict=True)]
    if any(off):
        raise _wrong(_what(off, vouched, primes))


def _what(off: Sequence[int], vouched: Mapping[str, Sequence[int]], primes: Sequence[int]) -> str:
    """Who is missing or counted too often: the difference is then a small multiple of that owner's hashes."""
    for name, own in vouched.items():
        for times in (0, *range(2, _MOST_TIMES)):
            if all(d == (times - 1) * w % p for d, w, p in zip(off, own, primes, strict=True)):
                return f"{name!r} is in the sum {times} times." if times else f"{name!r} is missing from the sum."
    return "What was to be opened is not the sum of what the owners of this round sealed."


def _hashed(challenge: bytes, manifest: Manifest, chunks: Sequence[bytes]) -> tuple[int, ...]:
    wire = wire_of(manifest.plan.scheme)
    hashed = LinearHash(challenge, wire)
    for chunk in chunks:
        hashed.add(wire.unpack(chunk))
        breathe()
    return hashed.value


def _wrong(what: str) -> EncryptionError:
    return EncryptionError(
        what,
        "A ciphertext was left out, repeated, scaled, exchanged or changed after it was sealed.",
        "Nothing was opened: begin the round anew; it has fresh keys.",
    )
