"""Who takes part in what is exported, and under which settings: read off a federation, or given by names."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypedDict

from fedlab_nb.channel.opening import Encryption
from fedlab_nb.errors import RuleError, SettingError
from fedlab_nb.flower.driving.words import NOTEBOOK
from fedlab_nb.parties import Federation
from fedlab_nb.parties.absent import absent_owner
from fedlab_nb.parties.columns.alignment import Doubts
from fedlab_nb.parties.columns.fitting import USUAL_THRESHOLD, check_threshold, is_vertical
from fedlab_nb.parties.columns.intake import check_settings
from fedlab_nb.parties.columns.road import alignment_of
from fedlab_nb.parties.house import House
from fedlab_nb.privacy import Budget
from fedlab_nb.protect import OwnerLevelDP, RowLevelDP
from fedlab_nb.records import Column, Schema
from fedlab_nb.records.schema import NO_TARGET
from fedlab_nb.rounds import check_made

# So many columns an owner is taken to have that said nothing of them.
_SOME = 16
# And these to tell rows apart, where rows are linked.
_LINKED_BY = Column("NAME", "category", "object"), Column("BORN", "category", "object")
_LINKED = Column("NAME + BORN", "category", "linked")


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
    """All owners, in order, and the settings that they agree on; ``target`` is "" where nobody said what it is.

    ``labels_at`` names the owner that has it, where owners have different columns; ``openers`` are then who else opens
    sums, and ``linkage`` is the threshold by which rows are linked, where they have no id.
    """

    owners: tuple[Taking, ...]
    house: House
    target: str
    labels_at: str = ""
    openers: tuple[str, ...] = ()
    linkage: float | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The owners' names."""
        return tuple(owner.name for owner in self.owners)

    @property
    def of_columns(self) -> bool:
        """True if owners hold different columns of the same rows."""
        return bool(self.labels_at) or any(o.schema is not None and is_vertical(o.schema) for o in self.owners)

    @property
    def has_key_holder(self) -> bool:
        """True if somebody apart holds the key."""
        return bool(self.openers) if self.labels_at else self.house.hiding == "authority"

    @property
    def without_rows(self) -> Federation:
        """A federation of these owners in which nobody has rows: for what follows from names and settings alone."""
        return _without_rows(self.owners, self.house, self.target, self.labels_at, linked=self.linkage is not None)


def parties_of(
    given: Federation | Sequence[str], target: str, settings: Mapping[str, Any], what: object, linkage: float | None
) -> Parties:
    """Who takes part in ``what``; ``linkage`` is the threshold by which owners of whom only names are known link rows.

    Raises:
        SettingError: neither a federation nor names, settings given twice, or a class in place of a strategy.
        RuleError: a combination of settings whose privacy claim would be false.
    """
    check_made(what)
    if isinstance(given, Federation):
        _check_printed(*given.names)
        return _of_federation(given, target, settings, what, linkage)
    _check_named(given, target)
    names = [given] if isinstance(given, str) else [*given]
    for name in names:
        check_settings(name, target or "the target", None, 0.2, None)
    _check_printed(*names, target)
    unknown = sorted(settings.keys() - HouseSettings.__annotations__.keys())
    if unknown:
        raise SettingError(
            f"export() was given {unknown[0]!r}.",
            "A setting that is not understood cannot be agreed on.",
            f"Give some of: {', '.join(HouseSettings.__annotations__)}.",
        )
    owners = tuple(Taking(name, file) for name, file in zip(names, _files(names), strict=True))
    # Making it checks names and settings, and fills in what was left out.
    labels_at, openers = _columns(what, len(owners))
    _check_linkage(linkage, labels_at, what)
    federation = _without_rows(owners, House(**settings), target, labels_at, linked=linkage is not None)
    return Parties(owners, federation.house, target, labels_at, openers, linkage)


def _check_named(given: object, target: object) -> None:
    """Refuse what is neither a federation nor names, and a target that is no name of a column."""
    if not isinstance(given, Sequence):
        a_class = isinstance(given, type)
        raise SettingError(
            f"export() was given {'the class' if a_class else 'a value of type'} "
            f"{given.__name__ if isinstance(given, type) else type(given).__name__} for those who take part.",
            "A project is for parties that have names, and that agree on how they are protected.",
            'Give a Federation or a list of owners\' names: fl.Federation(owners), or ["Clinic A", "Clinic B"].',
        )
    if not isinstance(target, str):
        raise SettingError(
            f"target is {target!r}.",
            "It is the name of the column to predict, by which every site finds it among its own.",
            'Give it as a text, such as target="ill", or leave it out where the sites name it.',
        )


def _check_printed(*names: str) -> None:
    """Refuse names that cannot be shown on one line as they are."""
    for name in names:
        if not name.isprintable():
            raise SettingError(
                f"{name!r} was given as a name of an owner or a column to predict.",
                "People read it in the guide and in settings: with line breaks, or characters that cannot be seen, it "
                "could pass for something else.",
                "Use letters, digits, spaces and signs that are printed, such as 'Clinic A'.",
            )


def _columns(what: Any, owners: int) -> tuple[str, tuple[str, ...]]:
    """Who has the labels, and who else takes part, where owners are to have different columns."""
    labels_at: str = getattr(what, "labels_at", "")
    return labels_at, what.openers_among(owners) if labels_at else ()


def _check_linkage(linkage: object, labels_at: str, what: object) -> None:
    """Refuse a threshold by which nothing can be linked, or where there is nothing to be linked."""
    if linkage is None:
        return
    check_threshold(linkage, "linkage")
    if not labels_at:
        raise RuleError(
            f"linkage={linkage!r} was given for a {type(what).__name__}, whose owners have the same columns.",
            "Rows are linked where two owners hold different columns about the same people; here no row is at two.",
            "Leave linkage= out, or export a strategy of fl.vertical.",
        )


def _threshold_of(federation: Federation) -> float | None:
    """By how much rows must be alike that this federation links, or has linked; None where owners have an id."""
    if not federation.schema.linked_by:
        return None
    known = alignment_of(federation)
    return known.doubts.threshold if known is not None and isinstance(known.doubts, Doubts) else USUAL_THRESHOLD


def _of_federation(
    federation: Federation, target: str, settings: Mapping[str, Any], what: object, linkage: float | None
) -> Parties:
    if linkage is not None:
        raise SettingError(
            f"export() was given a federation and linkage={linkage!r} besides.",
            "How rows are found is the federation's: by the id of its owners, or by the threshold of their linkage.",
            "Leave linkage= out; for another threshold link first: fl.vertical.link(federation, threshold=0.9).",
        )
    if settings or target:
        raise SettingError(
            f"export() was given a federation and {next(iter(settings), 'target')!r} besides.",
            "The settings of a federation are its own; two of a kind could contradict each other.",
            "Make the Federation with this setting, or pass the owners' names in its place.",
        )
    files = _files(federation.names)
    owners = tuple(
        Taking(owner.name, file, owner.schema, owner.held_out, owner.budget)
        for owner, file in zip(federation.owners, files, strict=True)
    )
    # Where ciphertexts are added is no question here: always in the server's process, which never has a key.
    house = replace(federation.house, server="kernel")
    taken = owners, house, federation.schema.target.name, *_columns(what, len(owners))
    return Parties(*taken, _threshold_of(federation))


def _without_rows(owners: Sequence[Taking], house: House, target: str, labels_at: str, *, linked: bool) -> Federation:
    stand_ins = []
    for place, owner in enumerate(owners):
        unknown = _unknown(place, target, labelled=owner.name == labels_at) if labels_at else _unknown(None, target)
        unknown = replace(unknown, id=_LINKED, linked_by=_LINKED_BY) if linked else unknown
        facts = owner.schema or unknown, owner.held_out, owner.budget, owner.name.encode()
        stand_ins.append(absent_owner(owner.name, *facts))
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


def _unknown(place: int | None, target: str, *, labelled: bool = True) -> Schema:
    """Columns of those who said nothing of theirs: declared, so that nothing is found wrong with them.

    With a ``place`` among owners of different columns they are this owner's alone, and there is an id.
    """
    label = Column(target or "y", "category", "object", categories=("no", "yes")) if labelled else NO_TARGET
    if place is None:
        return Schema((Column("x", "numeric", "float64", bounds=(0.0, 1.0)),), label)
    columns = tuple(Column(f"x{place}.{k}", "numeric", "float64", bounds=(0.0, 1.0)) for k in range(_SOME))
    return Schema(columns, label, Column("id", "category", "object"))


def _files(names: Sequence[str]) -> list[str]:
    """What each owner's files are called, no two alike.

    >>> _files(["Clinic A", "Clinic-A", "Klinik Süd", "北"])
    ['clinic-a', 'clinic-a-2', 'klinik-sud', 'owner-4']
    """
    found: list[str] = []
    for number, name in enumerate(names, 1):
        plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
        plain = re.sub(r"[^a-z0-9]+", "-", plain).strip("-") or f"owner-{number}"
        taken = {*found, "key-holder", NOTEBOOK}
        found.append(
            plain if plain not in taken else next(f for n in range(2, 10**6) if (f := f"{plain}-{n}") not in taken)
        )
    return found
