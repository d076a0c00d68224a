"""Whether a site's settings fit each other, and what the parties agreed on about owners of different columns."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

from fedlab_nb.errors import SettingError
from fedlab_nb.flower.survey.questions import Questions
from fedlab_nb.vertical import JointPrediction

if TYPE_CHECKING:
    from fedlab_nb.flower.agreement import Agreement
    from fedlab_nb.flower.party.settings import SiteSettings

_FILES = ("data", "identity", "vault", "part", "predictions")


def check_files(settings: SiteSettings, path: Path) -> None:
    """Refuse a file that is named for two things, or is the settings' own: ``path``.

    Raises:
        SettingError: naming both.
    """
    named = {name: settings.folder / getattr(settings, name) for name in _FILES if getattr(settings, name)}
    places = {name: file.resolve() for name, file in {**named, path.name: path}.items()}
    for one, other in combinations(places, 2):
        if places[one] == places[other]:
            raise SettingError(
                f"The settings {path.name!r} of a site: {one} and {other} are the same file, {places[one].name!r}.",
                "What is kept for one of them would be written over the other, be it rows, a key or what was spent.",
                "Give each a file of its own, such as those that the exported site.toml names.",
            )


def check_columns(settings: SiteSettings, agreement: Agreement) -> None:
    """Refuse what does not fit where owners have different columns: how rows are found, labels, and the part kept.

    Raises:
        SettingError: what is missing, or is another owner's.
    """
    if not agreement.vertical:
        return
    _check_id(settings, linked=agreement.linkage is not None)
    labels_at = getattr(agreement.strategy, "labels_at", None)
    if labels_at is not None and settings.name != labels_at and settings.target is not None:
        raise SettingError(
            f"{settings.name!r} names the target {settings.target!r}, and the parties agreed on labels of "
            f"{labels_at!r}.",
            "One owner has the labels; at every other one each column is a feature.",
            "Remove the line target = ... from site.toml.",
        )
    if isinstance(agreement.strategy, Questions | JointPrediction):
        return
    if settings.name == labels_at and settings.target is None:
        raise SettingError(
            f"{settings.name!r} names no target, and the parties agreed on labels of this owner.",
            "Without labels there is nothing to learn to predict.",
            'Name the column in site.toml: target = "default".',
        )
    if not settings.part:
        raise SettingError(
            f"{settings.name!r} names no file for its part of the model that is to be trained.",
            "Nobody else has this part: it would be gone with the run, and the other owners' parts be of no use.",
            'Name one in site.toml: part = "part.safetensors".',
        )


def _check_id(settings: SiteSettings, *, linked: bool) -> None:
    """Refuse an owner that finds its rows in another way than was agreed on, or in none."""
    if settings.id is not None and isinstance(settings.id, list) == linked:
        return
    said = "names no id" if settings.id is None else f"tells its rows apart by id = {settings.id!r}"
    raise SettingError(
        f"{settings.name!r} {said}, and the parties agreed "
        + ("to link rows that are alike." if linked else "to find rows by an id that no two of them share."),
        "Its rows have to be found by what the other owners find theirs by.",
        'Name the columns to link by in site.toml, id = ["name", "born"].'
        if linked
        else 'Name the one column in site.toml, id = "customer"; or export owners whose id is a list.',
    )
