"""What cannot be agreed on as a joint prediction, refused before anything is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from fedlab_nb.errors import SettingError
from fedlab_nb.flower.survey.questions import asks
from fedlab_nb.parties.columns.fitting import check_vertical
from fedlab_nb.units import listed
from fedlab_nb.vertical import JointPrediction, ModelPart
from fedlab_nb.vertical.model.joint import check_encryption

if TYPE_CHECKING:
    from fedlab_nb.flower.project.parties import Parties


def check_prediction(
    asked: JointPrediction, taking: Parties, *, target: str, num_rounds: object, seed: object, driven: bool
) -> None:
    """Refuse settings that a prediction does not have, and owners who cannot make it.

    Raises:
        SettingError, RuleError: naming what cannot be.
    """
    given = {"target": target or None, "num_rounds": num_rounds, "seed": seed, "driven": driven or None}
    for setting, value in given.items():
        if value is not None:
            raise SettingError(
                f"{setting}={value!r} was given with a joint prediction.",
                _MEANINGLESS[setting],
                f"Leave {setting} out.",
            )
    schema = taking.without_rows.schema
    check_vertical(schema, "A joint prediction")
    if asked.labels_at not in taking.names:
        raise SettingError(
            f"The predictions are for labels_at={asked.labels_at!r}, and the owners are {', '.join(taking.names)}.",
            "The owner of the labels gets them, and nobody else.",
            "Give the strategy that the model was trained with, and the same owners under the same names.",
        )
    check_encryption(asked.strategy, taking.house.encrypt, len(taking.names))


def has_rounds(what: object) -> bool:
    """Whether ``what`` is trained in rounds: neither questions nor a joint prediction."""
    return not asks(what) and not isinstance(what, JointPrediction)


def check_parts(what: object, parts: Mapping[str, ModelPart] | None, names: Sequence[str]) -> None:
    """Refuse to rehearse a joint prediction without a fitting part of each of the owners, or anything else with them.

    Raises:
        SettingError: naming whose is missing, of another kind, or of another model.
    """
    if not isinstance(what, JointPrediction):
        if parts is not None:
            raise SettingError(
                f"parts= was given, and what is rehearsed is of type {type(what).__name__}.",
                "Parts of a model are there to predict with.",
                "Leave parts out, or rehearse fl.vertical.JointPrediction(model.strategy).",
            )
        return
    given = {} if parts is None else parts
    _check_kinds(given)
    known = {name for name, part in given.items() if part.owner == name}
    if known != {*names} or known != {*given}:
        lacking = [name for name in names if name not in known]
        raise SettingError(
            "The parts given for a joint prediction are not one for each owner"
            + (f": that of {listed(map(repr, lacking))} is missing." if lacking else f": {listed(map(repr, given))}."),
            "Each site predicts with the part of its owner, and nobody else has it.",
            "Give all of a model, by the owners' names: parts=run.model.parts.",
        )
    for part in given.values():
        _check_of(part, what, names)


def _check_kinds(given: object) -> None:
    """Refuse what holds no parts by the owners' names: a list, files, or classes."""
    if isinstance(given, Mapping):
        wrong = [f"{_kind(part)} for {name!r}" for name, part in given.items() if not isinstance(part, ModelPart)]
    else:
        wrong = [_kind(given)]
    if wrong:
        raise SettingError(
            f"parts= was given {listed(wrong)}, and parts of a model, by their owners' names, belong there.",
            "Each site predicts with the part of its owner; the name of a file is none, and a list says not whose.",
            "Give parts=run.model.parts; from files read them first: "
            'parts={"bank": fl.vertical.load_part("bank.safetensors"), ...}.',
        )


def _kind(given: object) -> str:
    return f"the class {given.__name__}" if isinstance(given, type) else f"something of type {type(given).__name__}"


def _check_of(part: ModelPart, asked: JointPrediction, names: Sequence[str]) -> None:
    """Refuse the part of a model that is trained by another strategy, or by other owners."""
    differs = ""
    if not asked.fits(part):
        differs = f"was trained by {part.strategy!r}, and the prediction is by {asked.strategy!r}"
    elif {*part.origin.owners} != {*names}:
        differs = f"is of a model of {listed(part.origin.owners)}, and the owners here are {listed(names)}"
    if differs:
        raise SettingError(
            f"The part of {part.owner!r} {differs}.",
            "What its weights mean depends on how they were trained, and with whose columns: every site would refuse.",
            "Rehearse the prediction of the model that the parts are of, by the same owners: "
            "fl.vertical.JointPrediction(run.model.strategy) with parts=run.model.parts.",
        )


_MEANINGLESS = {
    "target": "What is predicted stands in the part of the owner of the labels; rows to predict need no label.",
    "num_rounds": "The owners predict once; a setting without a meaning cannot be agreed on.",
    "seed": "Nothing of a prediction is drawn; a setting without a meaning cannot be agreed on.",
    "driven": "A prediction has no rounds between which a notebook could hold or change anything.",
}
