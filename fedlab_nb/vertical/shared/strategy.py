"""The round that the protocols of this room share: align, let each owner read its columns, one step, joint scores."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.data.encoding import CategoryCode, NumberCode
from fedlab_nb.errors import RoundError, RuleError, SettingError
from fedlab_nb.parties import Federation, Rows
from fedlab_nb.parties.columns.alignment import Alignment
from fedlab_nb.parties.columns.fitting import check_products, check_vertical
from fedlab_nb.parties.columns.road import charge, own, road_of
from fedlab_nb.parties.shown.trust import UPDATE, spending
from fedlab_nb.places import NotHere
from fedlab_nb.records import Column, Round, Schema, Scores, Spending, State
from fedlab_nb.records.schema import Task
from fedlab_nb.vertical.align import FEWEST, align
from fedlab_nb.vertical.shared.meeting import Meeting, Mine, Setup, classes_of, task_of
from fedlab_nb.vertical.shared.reading import check_known, standard_reading, target_code
from fedlab_nb.vertical.shared.scores import metrics, scored
from fedlab_nb.vertical.shared.task import told_to_all
from fedlab_nb.vertical.shared.words import strategy_card, strategy_words

if TYPE_CHECKING:
    import pandas as pd

    from fedlab_nb.vertical.model import VerticalModel

Floats = NDArray[np.float64]

SCORES = "scores"
COURSE = "course"
"""In a state's memory: the number of rounds, and what tells this course of them from another one (2,)."""


@dataclass(frozen=True, repr=False)
class VerticalStrategy(ABC):
    """Owners of different columns of the same rows train one model; each keeps its own part of it.

    ``labels_at`` names the owner that has the labels. A strategy says how it begins (``begin``), what one round is
    (``advance``), and how the owners work out the scores of rows together (``foretell``).
    """

    labels_at: str

    title: ClassVar[str] = "Vertical learning"
    formula: ClassVar[str] = ""
    tasks: ClassVar[tuple[Task, ...]] = ("binary", "multiclass", "regression")
    multiplies: ClassVar[bool] = True  # sealed numbers are multiplied, for which only one encryption has room
    multiplies_scores: ClassVar[bool] = False  # and also where scores are worked out, as for a prediction
    masks_scores: ClassVar[bool] = False  # scores of three owners or more are added up under masks, in its session
    learns: ClassVar[tuple[tuple[str, str], ...]] = ()
    """Who learns what, leaks included: pairs of a party and what it learns, for the card."""

    @abstractmethod
    def begin(self, at: Meeting) -> State:
        """The state before the first round: each owner's part of the model in ``weights``, by its name."""

    @abstractmethod
    def advance(self, at: Meeting, state: State, *, last: bool) -> State:
        """The state after the round ``at.number``: every line is one owner's work, and who gets what comes of it."""

    @abstractmethod
    def foretell(self, at: Meeting, state: State) -> None:
        """Leave the scores (n, outputs) of the rows ``at.part`` in the memory of the owner of the labels (SCORES)."""

    def merged_scores(self, state: State, inputs: Mapping[str, Floats]) -> Floats:  # noqa: ARG002
        """The scores (n, outputs) from all parts and, by owner, inputs (n, d), where both are in one pair of hands.

        Law: those that ``foretell`` leaves for the same rows.

        Raises:
            RuleError: the parts of this strategy make up no plain model.
        """
        raise RuleError(
            f"The parts of a model of {type(self).__name__} were to be used in one pair of hands.",
            "This strategy does not say how scores follow from them there.",
            "Predict together instead: run.model.predict(federation).",
        )

    @property
    def openers(self) -> tuple[str, ...]:
        """Who else than owners opens sums: the key holder, or nobody."""
        return ()

    def openers_among(self, owners: int, *, predicting: bool = False) -> tuple[str, ...]:
        """Who else takes part where there are so many owners: in a training, or in joint predictions alone."""
        return self.openers if not predicting or (self.masks_scores and owners > 2) else ()

    def kept_with_parts(self) -> VerticalStrategy:
        """The settings as every owner keeps them with its part: without what is about single owners' columns."""
        return self

    def memory_of(self, state: State, owner: str) -> Mapping[str, Floats]:
        """What of the state's memory ``owner`` keeps with its part of the model: what stands under its own name."""
        return {owner: state.memory[owner]} if owner in state.memory else {}

    def read(self, features: pd.DataFrame, schema: Schema, owner: str) -> Any:
        """How an owner reads its own columns from now on: something with ``read(frame) -> (n, d)`` and ``inputs``."""
        return standard_reading(features, schema, owner)

    def read_labels(self, target: pd.Series, column: Column, owner: str) -> CategoryCode | NumberCode:
        """How the owner of the labels reads them from now on."""
        return target_code(target, column, owner)

    def check(self, federation: Federation, num_rounds: int, *, seed: int = 0, after: Round | None = None) -> None:  # noqa: ARG002
        """Refuse, before anything leaves, what cannot work.

        Raises:
            SettingError, RuleError.
        """
        check_vertical(federation.schema, type(self).__name__)
        if self.labels_at not in federation.names:
            raise SettingError(
                f"labels_at={self.labels_at!r} was given, and the owners are {', '.join(federation.names)}.",
                "It names the owner that knows what is to be predicted.",
                f"Use labels_at={federation.names[0]!r}, if that is the owner with the target.",
            )
        holder = next((owner.name for owner in federation.owners if owner.target), None)
        if holder != self.labels_at:
            has = "no owner has one" if holder is None else f"{holder!r} has it"
            raise SettingError(
                f"labels_at={self.labels_at!r} was given, that owner has no target, and {has}.",
                "Without labels there is nothing to learn to predict.",
                f'Name the column at its owner, fl.DataOwner({self.labels_at!r}, ..., target="..."), or correct '
                "labels_at.",
            )
        self._check_foreseen(federation.schema.target)
        if self.multiplies:
            check_products(federation.house.encrypt, type(self).__name__)

    def start(self, federation: Federation, *, num_rounds: int, seed: int) -> State:  # noqa: ARG002
        """Find the rows in common, let every owner decide how to read its own columns, and begin."""
        alignment = align(federation)
        charge(federation, "what a vertical run begins with", federation.names)
        setup = self._setup(federation, alignment, seed)
        return _with_course(self.begin(Meeting(federation, alignment, setup, 0)), np.zeros(2))

    def step(self, state: State, federation: Federation, number: int, cohort: Sequence[str], *, last: bool) -> State:  # noqa: ARG002
        """One round; every owner takes part, as nobody else has its columns."""
        charge(federation, UPDATE, federation.names, number=number)
        course = _course(state, number, vars(self))
        return _with_course(self.advance(self.meeting(state, federation, number), state, last=last), course)

    def evaluate(self, state: State, federation: Federation, number: int, *, last: bool) -> Scores:  # noqa: ARG002
        """How good the model is on held-out rows in common, as the owner of the labels tells the server.

        Of fewer than five such rows there is no score: it would be about single people.
        """
        setup: Setup = state.context  # type: ignore[assignment]
        if not setup.held_out:
            return Scores()
        charge(federation, "a round's score", federation.names, number=number)
        at = Meeting(federation, align(federation), setup, number, "held_out")
        self.foretell(at, state)

        def score(mine: Mine) -> Floats:
            return np.array(list(metrics(mine.memory.pop(SCORES), mine.y, setup).values()))

        return scored(at.send("score", score, sender=self.labels_at, to="server"), setup)

    def settings(self, federation: Federation, state: State | None) -> dict[str, float]:  # noqa: ARG002
        """The strategy's own numbers."""
        return {name: value for name, value in vars(self).items() if isinstance(value, int | float)}

    def spending(self, federation: Federation, record: Round, num_rounds: int) -> Spending:  # noqa: ARG002
        """Where the owners' accounts stand: every release counts as not protected."""
        return spending(federation)

    def model_of(self, state: State) -> VerticalModel:
        """The model in this state: one part for each owner, and joint predictions.

        Raises:
            SettingError: its parts are at their owners, in processes of their own.
        """
        if any(isinstance(part, NotHere) for part in state.weights.values()):
            raise SettingError(
                "The model of a run was asked for whose owners are in processes of their own.",
                "Each part of it is at its owner, and nobody has all of them.",
                "Each site keeps its part (part = ... in site.toml): export a fl.vertical.JointPrediction; or, if all "
                "agree, put them together: fl.vertical.VerticalModel.of([fl.vertical.load_part(path), ...]).",
            )
        from fedlab_nb.vertical.model import VerticalModel

        return VerticalModel(self, state)

    def meeting(self, state: State, federation: Federation, number: int) -> Meeting:
        """The owners over the rows to train on; rows are looked for again if this federation has not done so yet.

        Raises:
            RoundError: they are other rows than the run began with.
        """
        alignment = align(federation)
        setup: Setup = state.context  # type: ignore[assignment]
        check = partial(_check_same, alignment=alignment, setup=setup)
        for name in federation.names:
            own(federation, "rows in common", partial(check, name=name), at=name)
        return Meeting(federation, alignment, setup, number)

    def _setup(self, federation: Federation, alignment: Alignment, seed: int) -> Setup:
        schemas = {owner.name: owner.schema for owner in federation.owners}

        def reading(rows: Rows, name: str) -> Any:
            return self.read(alignment.of(rows).training[0], schemas[name], name)

        def labels(rows: Rows) -> tuple[Any, int, int]:
            mine, sides = alignment.of(rows), _sides(alignment, rows)
            _check_rows(sides[0], self.labels_at)
            code = self.read_labels(mine.training[1], schemas[self.labels_at].target, self.labels_at)
            check_known(mine.held_out[1], code, self.labels_at)
            self._check_task(code.name, task_of(len(classes_of(code)))[0])
            return code, *sides

        known = own(federation, "reading of the labels", labels, at=self.labels_at)
        readings = {
            name: own(federation, "reading of the columns", partial(reading, name=name), at=name)
            for name in federation.names
        }
        task, outputs, rows, held_out = told_to_all(federation, self.labels_at, known, self.openers)
        target = own(federation, "reading of the labels", lambda _: known[0], at=self.labels_at)
        return Setup(self.labels_at, federation.names, federation.schema, seed, task, outputs, rows, held_out, target,
                     readings, road_of(federation).token()[:16])  # fmt: skip

    def _check_foreseen(self, target: Column) -> None:
        """Refuse a target of the wrong kind where its schema tells, unless the strategy reads labels in its own way."""
        if type(self).read_labels is not VerticalStrategy.read_labels:
            return
        if target.kind == "numeric":
            self._check_task(target.name, "regression")
        elif target.categories is not None and len(target.categories) > 1:
            self._check_task(target.name, "binary" if len(target.categories) == 2 else "multiclass")

    def _check_task(self, target: str, task: Task) -> None:
        if task not in self.tasks:
            raise RuleError(
                f"{type(self).__name__} was to predict {target!r}, which is {_KINDS[task]}.",
                f"It predicts {' or '.join(_KINDS[one] for one in self.tasks)}.",
                "Choose another target or strategy of fl.vertical. Few different whole numbers count as classes: "
                f'frame["{target}"].astype(float) makes numbers of them.',
            )

    def __repr__(self) -> str:
        return strategy_words(self)

    def _repr_html_(self) -> str:
        return strategy_card(self)


_KINDS: dict[Task, str] = {"binary": "two classes", "multiclass": "several classes", "regression": "a number"}


def _with_course(state: State, course: Floats) -> State:
    return replace(state, memory={**state.memory, COURSE: course})


def _course(state: State, number: int, settings: Mapping[str, object]) -> Floats:
    """The number of the round, and a hash of it, of its settings, and of what came before; of no weight."""
    said = repr((number, sorted(settings.items()), state.memory[COURSE].tolist()))
    digest = hashlib.blake2b(said.encode(), digest_size=6).digest()
    return np.array([number, int.from_bytes(digest, "big")], dtype=np.float64)


def _sides(alignment: Alignment, rows: Rows) -> tuple[int, int]:
    """How many rows in common there are to train on, and to score; fewer than five are not scored."""
    mine = alignment.of(rows)
    held_out = len(mine.held_out[0])
    return len(mine.training[0]), held_out if held_out >= FEWEST else 0


def _check_same(rows: Rows, alignment: Alignment, setup: Setup, name: str) -> None:
    found = _sides(alignment, rows)
    if found != (setup.rows, setup.held_out):
        raise RoundError(
            name,
            "start",
            f"{name!r} has {found[0]} rows in common to train on and {found[1]} to score, and this run is about "
            f"{setup.rows} and {setup.held_out}.",
            "A round goes on with what owners found out about those rows, and would be about others.",
            "Go on with a federation of the same rows, or start anew without after=.",
        )


def _check_rows(count: int, owner: str) -> None:
    if count < FEWEST:
        raise RoundError(
            owner,
            "start",
            f"The owners have {count} rows in common to train on.",
            f"Nothing is worked out from fewer than {FEWEST} rows: it would be about single people.",
            "Bring owners together that have more rows in common, or hold out fewer of them.",
        )
