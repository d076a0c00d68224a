"""What one sum is of: agreed on by all parties before anything is sealed, and vouched for by every envelope."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property

from fedlab_nb.crypto.schemes.plan import Plan
from fedlab_nb.errors import EncryptionError


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The facts of one sum.

    ``session`` names the keys in force (32 hex characters), ``fingerprint`` the public key ("" where there is none),
    ``round`` and ``kind`` the place in the run, ``owners`` whose vectors are expected, each of ``length`` numbers under
    ``plan``; ``tensors`` are the names and sizes of the vector's parts, for error messages.

    Raises:
        EncryptionError: no owner, one owner twice, more than planned, or nothing to sum.
    """

    session: str
    round: int
    kind: str
    owners: tuple[str, ...]
    length: int
    plan: Plan
    fingerprint: str = ""
    tensors: tuple[tuple[str, int], ...] = ()

    def __post_init__(self) -> None:
        if not self.owners or len(set(self.owners)) != len(self.owners) or len(self.owners) > self.plan.owners:
            raise EncryptionError(
                f"A sum over {len(self.owners)} owners was to be agreed on ({names(self.owners)}), where the plan "
                f"allows each once and up to {self.plan.owners} in all.",
                "Beyond the planned range a sum wraps, and every number in it is then wrong without any sign.",
                "Name each owner of the round once, and plan for as many as take part.",
            )
        if self.length < 1:
            raise EncryptionError(
                "A sum of vectors without any number was to be agreed on.",
                "There is nothing to seal in it.",
                "Leave the sum out when there is nothing to send.",
            )

    @property
    def chunks(self) -> int:
        """Ciphertexts of each vector."""
        return self.plan.ciphertexts(self.length)

    @property
    def chunk_bytes(self) -> int:
        """Bytes of each ciphertext."""
        return self.plan.chunk_bytes(self.length)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all facts, in hex: parties that agree on a sum have the same one."""
        facts = [self.session, self.round, self.kind, list(self.owners), self.length, self.plan.digest]
        facts += [self.fingerprint, [list(part) for part in self.tensors]]
        return hashlib.sha256(json.dumps(facts, separators=(",", ":")).encode()).hexdigest()

    def held(self, chunk: int) -> int:
        """How many numbers of the vector ciphertext number ``chunk`` holds."""
        most = self.plan.held or self.length
        return min(most, self.length - chunk * most)


def names(owners: tuple[str, ...]) -> str:
    """Up to three names and how many more, for an error."""
    shown = ", ".join(repr(name) for name in owners[:3])
    return shown if len(owners) <= 3 else f"{shown} and {len(owners) - 3} more"
