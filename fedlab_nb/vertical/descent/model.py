"""The round that logistic, linear and Poisson regression share: every owner's own gradient, and a step with it."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.crypto.seal import KEY_HOLDER, SERVER
from fedlab_nb.errors import RuleError
from fedlab_nb.parties import Federation
from fedlab_nb.places import here
from fedlab_nb.records import Round, State
from fedlab_nb.settings import check_setting, is_real, is_whole
from fedlab_nb.units import counted
from fedlab_nb.vertical.align import FEWEST
from fedlab_nb.vertical.descent.gradients import READY, Places, Step, labels_of, own_gradients, reaches, with_ones
from fedlab_nb.vertical.descent.links import Link
from fedlab_nb.vertical.descent.masks import add_up_scores
from fedlab_nb.vertical.descent.plain import plain_scores
from fedlab_nb.vertical.descent.steps import Descent
from fedlab_nb.vertical.shared.meeting import Meeting, Mine, Setup
from fedlab_nb.vertical.shared.strategy import SCORES, VerticalStrategy

Floats = NDArray[np.float64]
INPUTS = "numbers of inputs"
"""In a state's memory: how many inputs each owner has (owners,), which all of them know."""

_SUMS = (
    "no residual by itself, but the fewer rows there are for each of its inputs, the more of labels and partial scores "
    "can be worked out from so many sums, also of several runs"
)
_REACH = (
    "roughly how far the others' partial scores reach (for sines in steps from 2.5 to 40; else the power of two at or "
    "above their root mean square)"
)
_SCORES = (
    "the other owners' partial scores in sum (with one other owner its own), in every round: after as many rounds as "
    "these have inputs, the held-out inputs but for an unknown matrix"
)


def step_words(residual: str) -> str:
    """A step in a line, for the card of a strategy whose residual this is, with u for a row's score."""
    step = f"w ← w − lr · S · (mean over rows of ({residual}) · columns + l2 · w)"
    return f"each owner: {step}; S: how long a step is that fits its columns"


@dataclass(frozen=True, repr=False)
class LinearModel(VerticalStrategy):
    """Scores that are sums of columns times weights: each owner has the weights of its own columns.

    A round is one step over all rows in common, with Nesterov's momentum; with a ``batch_size`` it is one pass over
    them in batches of so many rows or a few more, one plain step each. Batches are the same in every round and run, in
    another order: sums over ever other rows could in the end be solved for the residual of each (so could those of
    runs with ever other sizes). Each step is over five rows of every class or more: of fewer, who has columns could
    tell whose rows they are from its gradient alone. ``lr`` is in parts of the longest step that is safe. ``l1`` and
    ``l2`` hold weights back, the intercept excepted. ``key_holder=False``: two owners do without one, each with a key
    of its own.
    """

    lr: float = 1.0
    l2: float = 0.001
    l1: float = 0.0
    batch_size: int | None = None
    key_holder: bool = True

    masks_scores: ClassVar[bool] = True
    learns: ClassVar[tuple[tuple[str, str], ...]] = (
        ("an owner", f"its own weights and gradient at every step: {_SUMS}; {_REACH}"),
        ("the owner of the labels", f"of held-out and predicted rows {_SCORES}"),
        ("whoever opens sums (the key holder; without one, the other owner)", "nothing: it opens random numbers"),
        ("everybody", "what is predicted, how many inputs each owner has, over how many rows steps are"),
        ("the server", "the scores"),
    )

    @abstractmethod
    def link(self, owners: int) -> Link:
        """How residuals are made."""

    @property
    def openers(self) -> tuple[str, ...]:
        """The key holder, unless each owner opens for the other."""
        return (KEY_HOLDER,) if self.key_holder else ()

    def check(self, federation: Federation, num_rounds: int, *, seed: int = 0, after: Round | None = None) -> None:
        """Refuse, before anything leaves, what cannot work.

        Raises:
            SettingError, RuleError.
        """
        super().check(federation, num_rounds, seed=seed, after=after)
        self._check_settings()
        if not self.key_holder and len(federation.names) > 2:
            raise RuleError(
                f"key_holder=False was given, and there are {len(federation.names)} owners.",
                "Without a key holder each owner opens what it sealed for the other; the pieces of several, each under "
                "another key, could not be added up before they are opened.",
                "Leave key_holder out, or bring two owners together.",
            )
        for owner in federation.owners:
            if owner.name != self.labels_at and len(owner.schema.features) < 2:
                raise RuleError(
                    f"{owner.name!r} has {len(owner.schema.features)} column to learn from.",
                    "What it tells of a row to predict is a sum over its columns: of one alone, that column itself.",
                    f"Give {owner.name!r} two columns or more.",
                )

    def _check_settings(self) -> None:
        name, size = type(self).__name__, self.batch_size
        check_setting(
            name, "lr", self.lr, fits=is_real(self.lr) and 0.0 < self.lr <= 2.0, wanted="a number above 0, up to 2",
            why="It is in parts of the longest step that is safe; beyond twice that, steps lead up again.",
            example="1.0",
        )  # fmt: skip
        for setting, value in (("l1", self.l1), ("l2", self.l2)):
            check_setting(
                name, setting, value, fits=is_real(value) and value >= 0.0, wanted="a number from 0 up",
                why="It holds weights back; below 0 it would drive them on without end.", example="0.001",
            )  # fmt: skip
        check_setting(
            name, "batch_size", size, fits=size is None or (is_whole(size) and size >= 1),
            wanted="a whole number from 1 up, or None for all rows", why="It is how many rows a step is over.",
            example="256",
        )  # fmt: skip
        check_setting(
            name, "key_holder", self.key_holder, fits=isinstance(self.key_holder, bool), wanted="True or False",
            why="It says whether a party apart opens what is sealed, or each owner for the other.", example="True",
        )  # fmt: skip

    def begin(self, at: Meeting) -> State:
        """All weights are zero."""
        sent = {name: at.send("number of inputs", _inputs, sender=name, to=SERVER) for name in at.names}
        told = [
            at.send("numbers of inputs", lambda _: np.concatenate([*sent.values()]), sender=SERVER, to=name)
            for name in (*at.names, *self.openers)
        ]
        inputs = here(told)
        widths = self._widths(at, inputs)
        for name, width in widths.items():
            _check_enough(width, min(self.batch_size or at.rows, at.rows), name)
        outputs = at.setup.outputs
        _check_hidden(sum(widths[name] for name in at.others), outputs, " and ".join(at.others))
        weights = {
            name: at.own("weights", lambda mine: np.zeros(widths[mine.name] * outputs), at=name) for name in at.names
        }
        parts = [places for _, places, _ in self.batches(at.setup.seed, 1, at.rows)]
        at.own("rows of each class", partial(_check_classes, at=at, parts=parts), at=self.labels_at)
        return State(weights, {f"before: {name}": w for name, w in weights.items()} | {INPUTS: inputs}, at.setup)

    def advance(self, at: Meeting, state: State, *, last: bool) -> State:  # noqa: ARG002 - all rounds are alike
        """A step for each batch of rows: from where its momentum carries it, every owner goes down its own gradient."""
        link = self.link(len(at.names))
        descent = Descent(self.lr, self.l1, self.l2, link.curvature, len(at.names))
        for name in at.names:
            at.own("turned columns", partial(_turned, at=at, descent=descent), at=name)
        push, widths = self.push(at.number), self._widths(at, state.memory[INPUTS])
        now, before = dict(state.weights), {name: state.memory[f"before: {name}"] for name in at.names}
        for label, places, rows in self.batches(at.setup.seed, at.number, at.rows):
            ahead = {name: at.own("step", partial(_ahead, at, now[name], before[name], push), at=name) for name in now}
            far = reaches(at, link, ahead, places, self.openers)
            steps = [
                Step(link.reaching(float(reach)), places, rows, output, f"{label}.{output}", self.key_holder)
                for output, reach in enumerate(far)
            ]
            found = own_gradients(at, steps, ahead, widths)
            before, now = (
                now,
                {
                    name: at.own("step", partial(_stepped, at, descent, ahead[name], found[name], rows), at=name)
                    for name in at.names
                },
            )
        return replace(
            state, weights=now, memory={f"before: {n}": w for n, w in before.items()} | {INPUTS: state.memory[INPUTS]}
        )

    def foretell(self, at: Meeting, state: State) -> None:
        """The owner of the labels adds its own partial scores to those of the others."""
        add_up_scores(at, state.weights, SCORES)

    def merged_scores(self, state: State, inputs: Mapping[str, Floats]) -> Floats:
        """The sum over owners of inputs @ weights, and the intercept, where all parts are in one pair of hands."""
        weights, intercept = self.coefficients(state)
        return np.hstack(list(inputs.values())) @ weights + intercept

    def coefficients(self, state: State) -> tuple[Floats, Floats]:
        """All weights (d, outputs), owner after owner, and the intercept (outputs,), from all parts together."""
        setup: Setup = state.context  # type: ignore[assignment]
        parts = {name: state.weights[name].reshape(-1, setup.outputs) for name in setup.owners}
        intercept, parts[self.labels_at] = parts[self.labels_at][-1], parts[self.labels_at][:-1]
        return np.vstack(list(parts.values())), intercept

    def plain(
        self, columns: Mapping[str, Floats], y: Floats, new: Mapping[str, Floats], setup: Setup, num_rounds: int
    ) -> Floats:
        """The same steps with all columns in one place: see descent/plain.py."""
        return plain_scores(self, columns, y, new, setup, num_rounds)

    def _widths(self, at: Meeting, inputs: Floats) -> dict[str, int]:
        """How many weights of each output every owner has: one for each input, and the intercept where labels are."""
        return {name: int(count) + (name == at.labels_at) for name, count in zip(at.names, inputs, strict=True)}

    def push(self, number: int) -> float:
        """Nesterov's momentum in round ``number``; there is none from batch to batch."""
        return 0.0 if self.batch_size else (number - 1) / (number + 2)

    def batches(self, run: int, number: int, all_rows: int) -> Iterator[tuple[str, Places, int]]:
        """Batches of round ``number``: label, places among the rows in common, number of rows. All owners know them.

        Only their order follows from the seed of the ``run``: what is in them is the same in all runs.
        """
        count = max(all_rows // self.batch_size, 1) if self.batch_size else 1
        if count == 1:
            yield "1", slice(None), all_rows
            return
        parts = np.array_split(_shuffled(all_rows, "batches"), count)
        for turn, place in enumerate(_shuffled(count, f"order {run} {number}"), 1):
            yield str(turn), parts[place], len(parts[place])


def _shuffled(count: int, purpose: str) -> NDArray[np.int64]:
    """The numbers below ``count``, in an order that follows from the purpose."""
    seed = np.frombuffer(hashlib.sha256(purpose.encode()).digest(), dtype=np.uint32)
    return np.random.default_rng(seed).permutation(count)


def _inputs(mine: Mine) -> Floats:
    return np.array([float(mine.X.shape[1])])


def _ahead(at: Meeting, now: Floats, before: Floats, push: float, _: Mine) -> Floats:
    """Where an owner's momentum carries its weights (d, outputs)."""
    here, there = _shaped(now, at), _shaped(before, at)
    return here + push * (here - there)


def _stepped(at: Meeting, descent: Descent, ahead: Floats, sums: Sequence[Floats], rows: int, mine: Mine) -> Floats:
    """An owner's weights, flat, after a step of each output down the mean of its gradient."""
    turn, own = _turned(mine, at, descent), mine.name == at.labels_at
    columns = [descent.step(ahead[:, output], each / rows, turn, intercept=own) for output, each in enumerate(sums)]
    return np.column_stack(columns).ravel()


def _turned(mine: Mine, at: Meeting, descent: Descent) -> Floats:
    """The matrix that turns an owner's columns; the turned columns stay beside its rows."""
    key = descent.l1 > 0.0, descent.l2, descent.curvature
    if mine.memory.get("turned for") != key:
        ready = descent.ready(with_ones(mine, at), intercept=mine.name == at.labels_at)
        mine.memory[READY], mine.memory["turn"], mine.memory["turned for"] = *ready, key
    found: Floats = mine.memory["turn"]
    return found


def _shaped(flat: Floats, at: Meeting) -> Floats:
    return flat.reshape(-1, at.setup.outputs)


def _check_enough(inputs: int, rows: int, owner: str) -> None:
    if rows <= inputs:
        raise RuleError(
            f"A step is over {counted(rows, 'row')}, and {owner!r} has {counted(inputs, 'input')}.",
            "Its gradient would be as many sums as there are rows or more: solved for, they tell the residual of every "
            "row, and with it the label.",
            "Use a larger batch_size, fewer columns, or owners with more rows in common.",
        )


def _check_classes(mine: Mine, at: Meeting, parts: Sequence[Places]) -> None:
    """Beside the labels: refuse steps over few rows of a class; nobody is told which class, or how many rows."""
    if at.setup.task == "regression":
        return
    y, count = labels_of(mine).astype(np.int64), len(at.setup.classes)
    there = np.bincount(y, minlength=count) > 0  # a declared class without any row has nobody to hide
    if min(int(np.bincount(y[places], minlength=count)[there].min()) for places in parts) < FEWEST:
        raise RuleError(
            f"A step is over fewer than {FEWEST} rows of a class that {mine.name!r} knows.",
            "All weights are zero at first, and a gradient is then the sum of all rows less that of the class: whoever "
            "has columns could tell whose rows these are.",
            "Leave rare classes out or put some together, use a larger batch_size, or bring owners together that have "
            "more rows in common.",
        )


def _check_hidden(inputs: int, outputs: int, owners: str) -> None:
    if inputs <= outputs:
        raise RuleError(
            f"{owners} have {inputs} inputs in all, and a row to predict has {outputs} scores.",
            "What they tell of a row is as many sums over their inputs as there are scores: solved for, these tell the "
            "inputs.",
            f"Bring more columns of {owners}, or predict fewer classes.",
        )
