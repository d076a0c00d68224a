"""Questions tried before they leave the notebook: on invented rows, under the settings that were agreed on."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fedlab_nb.analytics import PrivateFrame
from fedlab_nb.data.samples import invented
from fedlab_nb.errors import FedLabError, SettingError
from fedlab_nb.flower.survey.answers import answers_of
from fedlab_nb.flower.survey.asking import advice
from fedlab_nb.parties import DataOwner, Federation
from fedlab_nb.records import Schema
from fedlab_nb.units import counted

if TYPE_CHECKING:
    from fedlab_nb.flower.project.parties import Parties, Taking

# Enough that groups of some size are there, and few enough that nobody waits for them.
_ROWS = 200
_UNTRIED = (
    "Questions that only invented rows make fail can be exported with the owners' names in place of the federation: "
    "then they are not tried."
)


def tried(function: Callable[[Any], Any], parties: Parties) -> float | None:
    """What all questions together cost an owner on invented rows, as epsilon; None where no epsilon would hold.

    Where nobody here knows the columns, or the values of one, nothing is tried: what is invented would not be alike.

    Raises:
        SettingError: a question that would be refused, or costs more than was agreed on; or what is no answer.
    """
    owners = [_invented(owner, owner.schema) for owner in parties.owners if owner.schema is not None]
    if len(owners) < len(parties.owners) or any(map(_is_open, owners)):
        return None
    house = parties.house
    settings = {name: getattr(house, name) for name in house.__dataclass_fields__}
    federation = Federation(owners, **settings)
    answers = []
    try:
        for name, _ in answers_of(function, PrivateFrame(federation)):
            answers.append(name)
    except FedLabError as error:
        raise SettingError(f"{_failed(answers)}. {error.what}", error.why, f"{advice(error)} {_UNTRIED}") from error
    except Exception as error:
        raise SettingError(
            f"{_failed(answers)}, with {type(error).__name__}: {str(error).rstrip('.')}.",
            "At the sites they would fail as well, and what was spent until then would stay spent.",
            f"Correct the function. {_UNTRIED}",
        ) from error
    return federation.epsilon()


def _failed(answers: list[str]) -> str:
    return f"The questions failed after {counted(len(answers), 'answer')} on invented rows with the same columns"


def _invented(owner: Taking, schema: Schema) -> DataOwner:
    """An owner with as many columns of the same kinds, declared in the same way; no two have equal rows, ever."""
    columns = [*schema.features, schema.target]
    return DataOwner(
        owner.name,
        invented(schema, _ROWS, secrets.randbits(32)),
        target=schema.target.name,
        held_out=owner.held_out,
        bounds={column.name: column.bounds for column in columns if column.bounds is not None},
        categories={column.name: column.categories for column in columns if column.categories is not None},
        budget=owner.budget,
    )


def _is_open(owner: DataOwner) -> bool:
    columns = [*owner.schema.features, owner.schema.target]
    return any(c.kind == "category" and c.categories is None and c.dtype not in ("bool", "boolean") for c in columns)
