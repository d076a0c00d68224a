"""Who takes part in what is exported, and under which settings: read off a federation, or given by names."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypedDict

from fedlab_nb.channel.opening import Encryption
from fedlab_nb.errors import SettingError
from fedlab_nb.parties import Federation
from fedlab_nb.parties.absent import absent_owner
from fedlab_nb.parties.columns.fitting import is_vertical
from fedlab_nb.parties.columns.intake import check_settings
from fedlab_nb.parties.house import House
from fedlab_nb.privacy import Budget
from fedlab_nb.protect import OwnerLevelDP, RowLevelDP
from fedlab_nb.records import Column, Schema


class HouseSettings(TypedDict, total=False):
    """Settings of a federation of which only names are known, as for ``fl.Federation``."""

    encrypt: Encryption | None
    protect: RowLevelDP | OwnerLevelDP | None
    budget: Budget | None
    sample_rate: float
    dropout: float
    noise_seed: int | None
    min_owners: int | None


@dataclass(frozen=True)
class Taking:
    """One owner that takes part; ``schema`` is None where nothing but its name is known.

    ``file`` is what files about it are called: letters, digits and hyphens.
    """

    name: str
    file: str
    schema: Schema | None = None
    held_out: float = 0.2
    budget: Budget | None = None


@dataclass(frozen=True)
class Parties:
    """All owners, in order, and the settings that they agree on; ``target`` is "" where nobody said what it is."""

    owners: tuple[Taking, ...]
    house: House
    target: str

    @property
    def names(self) -> tuple[str, ...]:
        """The owners' names."""
        return tuple(owner.name for owner in self.owners)

    @property
    def has_key_holder(self) -> bool:
        """True if somebody apart holds the key."""
        return self.house.hiding == "authority"

    @property
    def without_rows(self) -> Federation:
        """A federation of these owners in which nobody has rows: for what follows from names and settings alone."""
        return _without_rows(self.owners, self.house, self.target)


def parties_of(given: Federation | Sequence[str], target: str, settings: Mapping[str, Any]) -> Parties:
    """Who takes part.

    Raises:
        SettingError: neither a federation nor names, or settings given twice.
        RuleError: a combination of settings whose privacy claim would be false.
    """
    if isinstance(given, Federation):
        return _of_federation(given, target, settings)
    names = [*given] if isinstance(given, Sequence) and not isinstance(given, str) else [given]
    for name in names:
        check_settings(name, target or "the target", None, 0.2, None)
    unknown = sorted(settings.keys() - HouseSettings.__annotations__.keys())
    if unknown:
        raise SettingError(
            f"export() was given {unknown[0]!r}.",
            "A setting that is not understood cannot be agreed on.",
            f"Give some of: {', '.join(HouseSettings.__annotations__)}.",
        )
    owners = tuple(Taking(name, file) for name, file in zip(names, _files(names), strict=True))
    # Making it checks names and settings, and fills in what was left out.
    federation = _without_rows(owners, House(**settings), target)
    return Parties(owners, federation.house, target)


def _of_federation(federation: Federation, target: str, settings: Mapping[str, Any]) -> Parties:
    if settings or target:
        raise SettingError(
            f"export() was given a federation and {next(iter(settings), 'target')!r} besides.",
            "The settings of a federation are its own; two of a kind could contradict each other.",
            "Make the Federation with this setting, or pass the owners' names in its place.",
        )
    if is_vertical(federation.schema):
        raise SettingError(
            "A federation whose owners have different columns cannot be exported to Flower yet.",
            "Its owners send messages to each other; in this version only what goes between owners and server does.",
            "Train it in the notebook, or export a federation whose owners have the same columns.",
        )
    files = _files(federation.names)
    owners = tuple(
        Taking(owner.name, file, owner.schema, owner.held_out, owner.budget)
        for owner, file in zip(federation.owners, files, strict=True)
    )
    # Where ciphertexts are added is no question here: always in the server's process, which never has a key.
    return Parties(owners, replace(federation.house, server="kernel"), federation.schema.target.name)


def _without_rows(owners: Sequence[Taking], house: House, target: str) -> Federation:
    # A column for those who said nothing of theirs: declared, so that nothing is found wrong with it.
    unknown = Schema(
        (Column("x", "numeric", "float64", bounds=(0.0, 1.0)),),
        Column(target or "y", "category", "object", categories=("no", "yes")),
    )
    stand_ins = [
        absent_owner(owner.name, owner.schema or unknown, owner.held_out, owner.budget, owner.name.encode())
        for owner in owners
    ]
    return Federation(
        stand_ins,
        encrypt=house.encrypt,
        protect=house.protect,
        budget=house.budget,
        sample_rate=house.sample_rate,
        dropout=house.dropout,
        noise_seed=house.noise_seed,
        min_owners=house.min_owners,
    )


def _files(names: Sequence[str]) -> list[str]:
    """What each owner's files are called, no two alike.

    >>> _files(["Clinic A", "Clinic-A", "Klinik Süd", "北"])
    ['clinic-a', 'clinic-a-2', 'klinik-sud', 'owner-4']
    """
    found: list[str] = []
    for number, name in enumerate(names, 1):
        plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
        plain = re.sub(r"[^a-z0-9]+", "-", plain).strip("-") or f"owner-{number}"
        taken = {*found, "key-holder"}
        found.append(
            plain if plain not in taken else next(f for n in range(2, 10**6) if (f := f"{plain}-{n}") not in taken)
        )
    return found
