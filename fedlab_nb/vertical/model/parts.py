"""What one owner keeps of a model that owners of different columns trained together, and its file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.cards import card, one_line
from fedlab_nb.data.encoding import CategoryCode, NumberCode
from fedlab_nb.errors import SettingError
from fedlab_nb.learn.export import FORM, contents, to_file
from fedlab_nb.records import Schema, State
from fedlab_nb.records.kept import put_together, taken_apart
from fedlab_nb.records.schema import Task
from fedlab_nb.units import bytes_text, counted, listed
from fedlab_nb.vertical.shared.meeting import Setup
from fedlab_nb.vertical.shared.strategy import COURSE, VerticalStrategy

Floats = NDArray[np.float64]

# Where in the file the text stands that says whose part it is; files of whole models have another word there.
_HEADER = "fedlab_nb part"
_SAVE = "run.model.parts['bank'].save('bank.safetensors')"


@dataclass(frozen=True)
class Origin:
    """Where a part comes from, which all owners of the run know: it tells whether parts belong together.

    ``course`` is the number of the round after which it was taken, and what tells that round from one of the same
    number after a rewind. What is predicted (``task``) is predicted by ``outputs`` scores a row. ``rows`` and
    ``held_out`` are how many rows all owners had in common.
    """

    run: str = field(repr=False)
    course: tuple[float, ...] = field(repr=False)
    labels_at: str
    owners: tuple[str, ...]
    schema: Schema = field(repr=False)
    seed: int
    task: Task
    outputs: int
    rows: int
    held_out: int


@dataclass(frozen=True, eq=False, repr=False)
class ModelPart:
    """One owner's part of a model: its weights (d,), how it reads its own columns, and nothing of another owner's.

    ``target`` is how labels are read; only the owner of the labels has it. ``memory`` are further arrays that this
    owner needs for predictions. ``save`` keeps it for ``fl.vertical.load_part``, and ``VerticalModel.of`` takes the
    parts of all owners.
    """

    owner: str
    strategy: VerticalStrategy
    origin: Origin
    weights: Floats
    reading: Any
    target: CategoryCode | NumberCode | None = None
    memory: Mapping[str, Floats] = field(default_factory=dict)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of this owner's inputs, in order."""
        return tuple(self.reading.inputs)

    def save(self, path: str | Path) -> Path:
        """Write the part to ``path`` as safetensors: numbers and text, no code. Returns the path.

        Raises:
            SettingError: if it cannot be written.
        """
        from safetensors.numpy import save

        plain, arrays = taken_apart(self)
        data = save(arrays, {_HEADER: json.dumps({"form": FORM, "part": plain})})
        return to_file(path, lambda place: place.write_bytes(data), what="part of the model", example=_SAVE)

    def __repr__(self) -> str:
        keeps = f"predicts {self.target.name!r}" if self.target else "labels elsewhere"
        return one_line(
            f"ModelPart({self.owner!r}, {type(self.strategy).__name__}, {counted(self.weights.size, 'weight')}, "
            f"{counted(len(self.inputs), 'input')}, {keeps})"
        )

    def _repr_html_(self) -> str:
        others = listed(name for name in self.origin.owners if name != self.owner)
        rows = [
            ("Owner", self.owner),
            ("Strategy", f"{self.strategy.title}, {counted(int(self.origin.course[0]), 'round')}"),
            ("Weights", f"{self.weights.size:,}, {bytes_text(self.weights.nbytes)}"),
            ("Inputs", f"{len(self.inputs):,}; their names: .inputs"),
            ("Predicts", self.target.name if self.target else f"nothing by itself: {self.origin.labels_at} has labels"),
            ("Needs, to predict", f"the parts of {others}"),
            ("Holds", "no row of anybody, and nothing of another owner's part"),
        ]
        return card("Part of a model", rows, ".save(path) keeps it; it belongs to this owner and is sent to nobody.")


def load_part(path: str | Path) -> ModelPart:
    """The part that ``ModelPart.save`` wrote.

    Raises:
        SettingError: if the file cannot be read, or is of something else.
    """
    about, arrays = contents(path, header=_HEADER, what="part of a model", example=_SAVE)
    return cast("ModelPart", put_together(about["part"], arrays))


def parts_of(strategy: VerticalStrategy, state: State) -> dict[str, ModelPart]:
    """The part of each owner in this state, by its name."""
    setup: Setup = state.context  # type: ignore[assignment]
    return {name: part_of(strategy, state, name) for name in setup.owners}


def part_of(strategy: VerticalStrategy, state: State, name: str) -> ModelPart:
    """The part of one owner in this state."""
    setup: Setup = state.context  # type: ignore[assignment]
    course = tuple(float(each) for each in state.memory[COURSE])
    origin = Origin(setup.run, course, setup.labels_at, setup.owners, setup.schema, setup.seed, setup.task,
                    setup.outputs, setup.rows, setup.held_out)  # fmt: skip
    return ModelPart(
        name,
        strategy.kept_with_parts(),
        origin,
        _kept(state.weights.get(name, np.zeros(0))),
        setup.readings[name],
        setup.target if name == setup.labels_at else None,
        {key: _kept(value) for key, value in strategy.memory_of(state, name).items()},
    )


def together(parts: Iterable[ModelPart]) -> tuple[VerticalStrategy, State]:
    """The strategy and the state that the parts of all owners of one run make up.

    Raises:
        SettingError: parts of different runs or rounds, a part twice, or one that is missing, naming whose.
    """
    given = list(parts)
    _check(given)
    first = given[0]
    by_name = {part.owner: part for part in given}
    origin, target = first.origin, by_name[first.origin.labels_at].target
    assert target is not None
    readings = {name: by_name[name].reading for name in origin.owners}
    setup = setup_of(origin, target, readings)
    memory = {COURSE: np.array(origin.course)}
    for part in given:
        memory |= {key: value.copy() for key, value in part.memory.items()}
    return first.strategy, State({name: by_name[name].weights.copy() for name in origin.owners}, memory, setup)


def setup_of(origin: Origin, target: CategoryCode | NumberCode, readings: Mapping[str, Any]) -> Setup:
    """What was fixed before the first round of the run that parts come from."""
    return Setup(origin.labels_at, origin.owners, origin.schema, origin.seed, origin.task, origin.outputs, origin.rows,
                 origin.held_out, target, readings, origin.run)  # fmt: skip


def _check(parts: Sequence[object]) -> None:
    """Refuse what does not make up one model."""
    wrong = [type(part).__name__ for part in parts if not isinstance(part, ModelPart)]
    if wrong or not parts:
        raise SettingError(
            f"{wrong[0] if wrong else 'Nothing'} was given where parts of a model belong.",
            "A model of owners of different columns is put together from one part of each of them.",
            "Pass them all: VerticalModel.of([fl.vertical.load_part('bank.safetensors'), ...]).",
        )
    known: list[ModelPart] = list(parts)  # type: ignore[arg-type]
    first, names = known[0], [part.owner for part in known]
    for part in known[1:]:
        apart = _difference(first, part)
        if apart:
            raise SettingError(
                f"The part of {first.owner!r} and that of {part.owner!r} are of different {apart}.",
                "Weights that were not trained together make predictions that mean nothing.",
                "Take the parts of one run after the same round, from run.model.parts. A site keeps its newest alone: "
                "where a run ended in the middle of a round, train anew.",
            )
    twice = sorted({name for name in names if names.count(name) > 1})
    missing = [name for name in first.origin.owners if name not in names]
    if twice or missing:
        what = f"the part of {listed(map(repr, twice))} was given twice" if twice else "one part each was given"
        lacks = f", that of {listed(map(repr, missing))} is missing" if missing else ""
        raise SettingError(
            f"These parts do not make up a model: {what}{lacks}.",
            "Every owner has one part, and a prediction needs all of them.",
            f"Pass one part of each of {listed(first.origin.owners)}.",
        )


def _difference(one: ModelPart, other: ModelPart) -> str:
    """In what two parts do not belong together; "" if they do."""
    if one.origin.run != other.origin.run:
        return "runs"
    if one.origin.course != other.origin.course:
        mine, its = int(one.origin.course[0]), int(other.origin.course[0])
        return f"rounds: {mine} and {its}" if mine != its else f"rounds, both numbered {mine}"
    return "" if one.strategy == other.strategy else "settings"


def _kept(values: Floats) -> Floats:
    """A copy that nobody can change."""
    copy = np.array(values, dtype=np.float64)
    copy.setflags(write=False)
    return copy
