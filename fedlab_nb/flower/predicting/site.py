"""A party of a joint prediction: the part of the model that its settings name, its rows, and its way through."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from fedlab_nb.errors import SettingError
from fedlab_nb.flower.agreement import Agreement
from fedlab_nb.flower.columns.site import ColumnsSite
from fedlab_nb.flower.columns.steps import Steps
from fedlab_nb.flower.orders.trust import Trust
from fedlab_nb.flower.predicting.keeping import check_place, keep
from fedlab_nb.parties import DataOwner, Federation, Rows
from fedlab_nb.units import listed
from fedlab_nb.vertical import JointPrediction, ModelPart, load_part
from fedlab_nb.vertical.model.prediction import predicted_apart, shown

if TYPE_CHECKING:
    from fedlab_nb.flower.party.settings import SiteSettings


def check_site(settings: SiteSettings, agreement: Agreement) -> ModelPart | None:
    """Refuse settings that do not fit what is done, before anything leaves; the part of an owner that predicts.

    Raises:
        SettingError: a setting that is missing or means nothing here; a part of another owner, strategy or model.
    """
    asked = agreement.strategy
    if not isinstance(asked, JointPrediction) or settings.name != asked.labels_at:
        _check_no_file(settings, predicts=isinstance(asked, JointPrediction))
    if not isinstance(asked, JointPrediction) or settings.role != "owner":
        return None
    if settings.name == asked.labels_at:
        _check_labels(settings)
    part = _part(settings)
    _check_part(part, settings, agreement, asked)
    return part


def of_prediction(settings: SiteSettings, agreement: Agreement, trust: Trust) -> ColumnsSite:
    """A party of a joint prediction.

    Raises:
        SettingError, SchemaError: as ``check_site``, or rows that cannot be loaded.
    """
    part = check_site(settings, agreement)
    if part is None:
        return ColumnsSite(settings.name, agreement, trust, steps=predicting(agreement))
    file = settings.folder / settings.predictions if settings.predictions else None
    owner, steps = to_predict(settings, part), predicting(agreement, part, file)
    return ColumnsSite(settings.name, agreement, trust, owner, settings.open_vault(), steps)


def to_predict(settings: SiteSettings, part: ModelPart) -> DataOwner:
    """The owner of the rows to predict, loaded now, whose columns its ``part`` can read.

    Raises:
        SettingError, SchemaError: as ``settings.owner``; a column that is missing, or holds something else.
    """
    # Rows without a label are predicted too: a column of labels is no feature, and leaves no row out.
    owner = settings.owner(without=part.target.name if part.target is not None else "")
    owner._inside(lambda rows: _try(part, rows), stage="reading rows by its part of a model")  # noqa: SLF001
    return owner


def _try(part: ModelPart, rows: Rows) -> None:
    """The part reads all rows, and nothing of it is kept: the others are not to wait for what cannot be."""
    for features, _ in (rows.training, rows.held_out):
        part.reading.read(features)


def predicting(agreement: Agreement, part: ModelPart | None = None, file: Path | None = None) -> Steps:
    """A party's way: one step, after which the owner of the labels has the predictions in its ``file``."""

    def steps(federation: Federation) -> Iterator[Exception | None]:
        joint = predicted_apart(agreement.strategy, federation, part)
        if part is not None and file is not None:
            keep(shown(part, joint), file, part.owner)
        yield None

    return steps


def _check_no_file(settings: SiteSettings, *, predicts: bool) -> None:
    if settings.predictions:
        raise SettingError(
            f"{settings.name!r} names a file for predictions, "
            + ("and they are another owner's." if predicts else "and the parties agreed on no joint prediction."),
            "The owner of the labels gets the predictions, and nobody else; the file would stay empty.",
            "Remove the line predictions = ... from site.toml.",
        )


def _check_labels(settings: SiteSettings) -> None:
    """At the owner of the labels: a file for the predictions, and no labels that rows would be left out for."""
    if not settings.predictions:
        raise SettingError(
            f"{settings.name!r} is to get the predictions, and its site.toml names no file for them.",
            "Nobody else is given them: every owner would pay for predictions that nobody has.",
            'Name it in site.toml: predictions = "predictions.csv", or a .parquet file.',
        )
    check_place(settings.folder / settings.predictions, settings.name)
    if settings.target is not None:
        raise SettingError(
            f"{settings.name!r} names the target {settings.target!r}, and rows are to be predicted.",
            "Rows without a label would be left out, and a prediction needs no label.",
            "Remove the line target = ... from site.toml; if the rows have such a column, it is not looked at.",
        )


def _part(settings: SiteSettings) -> ModelPart:
    """The part in the file that the settings name."""
    if not settings.part or not (settings.folder / settings.part).is_file():
        gives = f"names {settings.part!r}, and there is no such file" if settings.part else "names none"
        raise SettingError(
            f"{settings.name!r} is to predict with its part of a model, and its site.toml {gives}.",
            "Every owner has one part, and a prediction needs all of them.",
            'Name the file that the training kept, such as part = "part.safetensors"; a notebook keeps it with '
            "run.model.parts[name].save(path).",
        )
    return load_part(settings.folder / settings.part)


def _check_part(part: ModelPart, settings: SiteSettings, agreement: Agreement, asked: JointPrediction) -> None:
    do = "Name the file of this owner's own part of that model in site.toml: part = ..."
    if part.owner != settings.name:
        raise SettingError(
            f"The file {settings.part!r} at {settings.name!r} holds the part of {part.owner!r}.",
            "Its weights are for columns of that owner, and belong to it.",
            do,
        )
    if not asked.fits(part):
        raise SettingError(
            f"The part of {settings.name!r} was trained by {part.strategy!r}, and the parties agreed on "
            f"{asked.strategy!r}.",
            "Each strategy has a protocol of its own, and its settings say what its weights mean.",
            do + ", or export the prediction of the strategy that it was trained by.",
        )
    if {*part.origin.owners} != {*agreement.names}:
        raise SettingError(
            f"The part of {settings.name!r} is of a model of {listed(part.origin.owners)}, and the owners of the "
            f"agreement are {listed(agreement.names)}.",
            "Each owner has a part of the model for its own columns, and nobody else can use it.",
            do,
        )
