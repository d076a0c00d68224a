"""Questions tried before they leave the notebook: on invented rows, under the settings that were agreed on."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from fedlab_nb.analytics import PrivateFrame
from fedlab_nb.analytics.apart.asked import Asked, listen
from fedlab_nb.data.samples import invented
from fedlab_nb.errors import FedLabError, SettingError
from fedlab_nb.flower.survey.agreed import Noted
from fedlab_nb.flower.survey.answers import answers_of
from fedlab_nb.parties import DataOwner, Federation
from fedlab_nb.parties.columns.road import link_by
from fedlab_nb.records import Schema
from fedlab_nb.records.schema import NO_TARGET
from fedlab_nb.units import counted

if TYPE_CHECKING:
    from fedlab_nb.flower.project.parties import Parties, Taking

# Enough that groups of some size are there, and few enough that nobody waits for them.
_ROWS = 200
# Of all columns that tell a row apart: of longer texts filters would be too full to be linked by.
_LETTERS = 24
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
    federation = _federation(owners, parties)
    _try(function, federation, _UNTRIED)
    return federation.epsilon()


def agreed_on(function: Callable[[Any], Any], parties: Parties) -> tuple[Asked, ...]:
    """The questions that the function asks owners of different columns, in order, as it asks them on invented rows.

    Raises:
        SettingError: a question that would be refused, or what is no answer; or there is no question.
    """
    owners = [_invented(owner, owner.schema) for owner in parties.owners if owner.schema is not None]
    federation, noted = _federation(owners, parties), Noted()
    link_by(federation, parties.linkage)
    listen(federation, noted)
    _try(function, federation, "")
    if not noted.asked:
        raise SettingError(
            f"The function {getattr(function, '__name__', '')!r} asked no question.",
            "Owners of different columns agree on a list of questions, and there would be nothing to agree on.",
            'Ask something of the frame: yield "rows", frame.count().',
        )
    return tuple(noted.asked)


def _federation(owners: Sequence[DataOwner], parties: Parties) -> Federation:
    house = parties.house
    return Federation(owners, **{name: getattr(house, name) for name in house.__dataclass_fields__})


def _try(function: Callable[[Any], Any], federation: Federation, advice: str) -> None:
    answers = []
    try:
        for name, _ in answers_of(function, PrivateFrame(federation)):
            answers.append(name)
    except FedLabError as error:
        do = f"{error.do} {advice}".strip()
        raise SettingError(f"{_failed(answers)}. {error.what}", error.why, do) from error
    except Exception as error:
        raise SettingError(
            f"{_failed(answers)}, with {type(error).__name__}: {str(error).rstrip('.')}.",
            "At the sites they would fail as well, and what was spent until then would stay spent.",
            f"Correct the function. {advice}".strip(),
        ) from error


def _failed(answers: list[str]) -> str:
    return f"The questions failed after {counted(len(answers), 'answer')} on invented rows with the same columns"


def _invented(owner: Taking, schema: Schema) -> DataOwner:
    """An owner with as many columns of the same kinds, declared in the same way; no two have equal rows, ever.

    Where owners hold different columns, all of them have the same ids.
    """
    columns = [each for each in (*schema.features, schema.target) if each != NO_TARGET]
    frame = invented(schema, _ROWS, secrets.randbits(32)).drop(columns=NO_TARGET.name, errors="ignore")
    ids = schema.linked_by or ((schema.id,) if schema.id is not None else ())
    for place, column in enumerate(ids):
        frame[column.name] = _ids(place, _LETTERS // len(ids)) if column.kind == "category" else range(_ROWS)
    names = [column.name for column in ids]
    return DataOwner(
        owner.name,
        frame,
        target=schema.target.name or None,
        id=names if schema.linked_by else names[0] if names else None,
        held_out=owner.held_out,
        bounds={column.name: column.bounds for column in columns if column.bounds is not None},
        categories={column.name: column.categories for column in columns if column.categories is not None},
        budget=owner.budget,
    )


def _ids(place: int, letters: int) -> list[str]:
    """Texts of so many letters, of which no two are alike."""
    return [hashlib.sha256(f"{place} {row}".encode()).hexdigest()[:letters] for row in range(_ROWS)]


def _is_open(owner: DataOwner) -> bool:
    columns = [*owner.schema.features, owner.schema.target]
    return any(c.kind == "category" and c.categories is None and c.dtype not in ("bool", "boolean") for c in columns)
