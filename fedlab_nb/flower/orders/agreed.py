"""What a party holds the server to: the scheme and the owners that were agreed on, and no second sum of the same.

It does not follow the strategy: which round it is, and what is computed, is what the server says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from fedlab_nb.crypto import BFV, CKKS, KeyHolder, Manifest
from fedlab_nb.crypto.seal import KEY_HOLDER
from fedlab_nb.errors import EncryptionError
from fedlab_nb.parties.house import House

# What each way to hide single updates has a party make. Counts go under masks where a joint key has too few digits.
_MASKS = frozenset({"Identity", "MaskingOwner", "masked_steps"})
_MAKES: Mapping[str, frozenset[str]] = {
    "none": frozenset(),
    "masks": _MASKS,
    "authority": frozenset({"Sealer"}),
    "owners": frozenset({"Sealer", "KeyHolder", "KeyHolder.unwrapped"}),
    "threshold": frozenset({"Sealer", "JointOwner", *_MASKS}),
}


class Agreed:
    """The agreement as a party's side of the line knows it: ``names`` are all owners of the run.

    It remembers over which owners it has helped to sum each kind of each round, under whatever keys.
    """

    def __init__(self, name: str, house: House, names: Sequence[str]) -> None:
        self.name, self.house, self.names = name, house, frozenset(names)
        self._helped: dict[tuple[int, str], frozenset[str]] = {}

    @property
    def makes(self) -> frozenset[str]:
        """What may be made here."""
        return frozenset({"KeyHolder"}) if self.name == KEY_HOLDER else _MAKES[self.house.hiding]

    def check_make(self, what: str, args: Sequence[Any], named: Mapping[str, Any]) -> None:
        """Refuse to make what the agreement has no use for, or not as it says.

        Raises:
            EncryptionError.
        """
        fits = what in self.makes
        if what == "Identity":
            fits = fits and not args and not named  # its secret is made here
        elif what in ("Sealer", "MaskingOwner", "JointOwner"):
            joint = self.house.hiding == "threshold"
            fits = fits and args[:1] in ([self.name], (self.name,)) and named.get("own_tags", False) in (False, joint)
        elif what == "KeyHolder":
            fits = fits and len(args) == 1 and not named.keys() - {"session"} and self._is_scheme(args[0])
        if not fits:
            raise EncryptionError(
                f"{self.name!r} was asked to make {what} as it was not agreed on.",
                "Under another scheme, another name or a secret that somebody else chose, its numbers would be open.",
                "Nothing was made; ask who runs the server what it is doing.",
            )

    def check_open(self, holder: KeyHolder, manifest: Manifest) -> None:
        """Refuse to open a sum over others than the owners of the run, or over too few of them.

        Raises:
            EncryptionError.
        """
        self.check_owners(manifest.owners)
        if not self._is_scheme(holder.scheme):
            raise _other_scheme(self.name)

    def check_owners(self, owners: Iterable[str]) -> None:
        """Refuse a sum over others than the owners of the run, or over too few of them to hide anybody.

        Raises:
            EncryptionError.
        """
        asked, least = frozenset(owners), 2
        if not asked <= self.names or len(asked) < least:
            raise EncryptionError(
                f"{self.name!r} was asked to help with a sum over {len(asked)} parties, {len(asked - self.names)} of "
                f"whom are no owners of this run; it takes {least} of them at least.",
                "In a sum with somebody who knows its own part, or has none, one owner's numbers would be open.",
                "Nothing was released; ask who runs the server what it is doing.",
            )

    def check_sum(self, number: int, kind: str, owners: Iterable[str]) -> None:
        """Refuse a second sum of a round and kind, but the same one again after a failure, under fresh keys.

        Raises:
            EncryptionError: also where ``check_owners`` refuses.
        """
        now = frozenset(owners)
        self.check_owners(now)
        before = self._helped.setdefault((number, kind), now)
        if before != now:
            raise EncryptionError(
                f"{self.name!r} has helped to sum {kind!r} of round {number} over {len(before)} owners, and was "
                f"asked to do so over {len(now)} others.",
                "The difference of two sums over nearly the same owners is a single owner's update.",
                "Have the same owners take part once more, or begin a new run.",
            )

    def _is_scheme(self, scheme: object) -> bool:
        """True for the scheme agreed on, and for the preset that its wide numbers go under."""
        agreed = self.house.encrypt
        if isinstance(agreed, CKKS) and isinstance(scheme, CKKS):
            return scheme in (agreed, replace(agreed, preset="default"))
        return isinstance(scheme, BFV) and scheme == agreed


def _other_scheme(name: str) -> EncryptionError:
    return EncryptionError(
        f"{name!r} was asked to open a sum under another scheme than was agreed on.",
        "What owners agreed to seal is opened as they agreed, or not at all.",
        "Nothing was released; ask who runs the server what it is doing.",
    )
