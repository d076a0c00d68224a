"""An owner's memory of the sums that it has helped to make, whatever keys they were made under."""

from __future__ import annotations

from fedlab_nb.errors import EncryptionError


class Sums:
    """For each round and kind: over which owners, and in which session."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._helped: dict[tuple[int, str], tuple[str, frozenset[str]]] = {}

    def check(self, number: int, kind: str, session: str, owners: frozenset[str]) -> None:
        """Refuse a second sum of a round and kind, but the same one again after a failure, under fresh keys.

        Raises:
            EncryptionError: the difference of the two sums could be a single owner's numbers.
        """
        before = self._helped.setdefault((number, kind), (session, owners))
        if before[1] != owners:
            raise EncryptionError(
                f"{self._name!r} has helped to sum {kind!r} of round {number} over {len(before[1])} owners, and was "
                f"asked to do so over {len(owners)} others.",
                "The difference of two sums over nearly the same owners is a single owner's update.",
                "Have the same owners take part once more, or begin a new run.",
            )
        self._helped[number, kind] = session, owners
