"""Split neural network: each owner a bottom model of its columns, the owner of the labels the top model over all.

One batch, line by line; a round is one pass over the rows in common:
    each other owner to the owner of the labels    activations: what its bottom makes of each row (n, cut).
    the owner of the labels    its own bottom, the top, the loss, and its step down.
    the owner of the labels to each other owner    activation gradients: of the loss at what it sent (n, cut).
    each other owner    the gradient at its own weights by the chain rule, and its step down.

Who learns what, if all follow the protocol; nothing is encrypted between owners:
    the owner of the labels    of every row, in every round and prediction, each other owner's activations. They are
        made from all of its columns: rows that are alike there are alike here, and with the seed, from which the first
        weights follow, or with some rows whose columns it knows it can try to work back to columns.
    every other owner    of every row, in every round, the gradient at its activations. From that alone rows fall into
        groups by label almost without error: ``label_leak`` shows it, and a ``defence`` is about it.
    the server    each round's score on the rows held out, and the number of classes.
Other owners that put together what they got know more of labels than each alone, the more so as noise of a defence is
drawn for each of them by itself; what LabelDP promises holds against all of them together.

Source: Vepakomma, Gupta, Swedish, Raskar 2018, "Split learning for health", section 3 (several owners of columns).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.errors import RoundError, RuleError, SettingError
from fedlab_nb.learn.engine.plan import batches
from fedlab_nb.learn.split import descend, lead
from fedlab_nb.parties import Federation
from fedlab_nb.places import NotHere
from fedlab_nb.records import Round, State
from fedlab_nb.settings import check_setting, is_real, is_whole
from fedlab_nb.units import listed
from fedlab_nb.vertical.cut import Defence
from fedlab_nb.vertical.cut.noise import Noise, secret_from
from fedlab_nb.vertical.cut.order import ACTIVATIONS, GRADIENTS, batch_order
from fedlab_nb.vertical.cut.plain import plain_scores
from fedlab_nb.vertical.cut.shape import Shape, columns_read
from fedlab_nb.vertical.shared import Meeting, Mine, Setup, VerticalStrategy
from fedlab_nb.vertical.shared.strategy import COURSE, SCORES

Floats = NDArray[np.float64]
Order = NDArray[np.intp]


class _Batch(NamedTuple):
    """Which rows a step is about: their places among the rows in common, and the batch's number in its round."""

    number: int
    rows: Order


@dataclass(frozen=True, repr=False)
class SplitNN(VerticalStrategy):
    """One neural network over all owners' columns, cut after a bottom model at each owner.

    A bottom is fully connected: its owner's inputs, ``hidden`` layers with ReLU, then ``cut`` numbers a row through
    tanh; the top has ``hidden`` layers over all of these, then the scores. Law: it takes the very steps of that network
    in one piece on the joined table, by gradient descent with rate ``lr`` over the same batches of ``batch_size`` rows
    (None: all at once). Noise of a ``defence`` is drawn anew in every run, so that only without one, or in a rehearsal,
    equal seeds give equal bits. Past one machine a batch takes two trips, one after the other: fewer batches make
    rounds shorter.

    Who has the activations could read columns from them if they were as many: so ``cut`` has to be smaller than the
    number of columns of each other owner (left out: 8, and at owners of few columns one fewer than they are), there is
    a hidden layer at least, and an owner with a single column is refused. That keeps columns from crossing as they are.
    It is no proof that nothing of them can be worked out.

    Who learns what stands on the card that a notebook shows of it, and in ``learns``. Source: Vepakomma et al. 2018.

    Raises:
        SettingError: for settings that cannot work.
    """

    cut: int | None = None
    hidden: tuple[int, ...] = (16,)
    lr: float = 0.1
    batch_size: int | None = 32
    defence: Defence | None = None

    title: ClassVar[str] = "Split neural network"
    formula: ClassVar[str] = "f(x) = top(tanh bottom_1(x_1), ..., tanh bottom_k(x_k)); w_k ← w_k − lr · dloss/dw_k"
    multiplies: ClassVar[bool] = False
    learns: ClassVar[tuple[tuple[str, str], ...]] = (
        (
            "the owner of the labels",
            (
                "in the clear, in every round and prediction, each other owner's activations of each row: rows alike "
                "there are alike here, and with the seed, or rows that it knows, it can try to work back to columns"
            ),
        ),
        (
            "every other owner",
            (
                "in the clear, of every row and round, the gradient of the loss at its activations: without a defence "
                "that groups rows by label almost without error"
            ),
        ),
        ("the server", "each round's score on the rows held out, and the number of classes"),
    )

    def __post_init__(self) -> None:
        hidden = self.hidden if isinstance(self.hidden, tuple) else (self.hidden,)
        object.__setattr__(self, "hidden", hidden)
        check = partial(check_setting, type(self).__name__)
        check("cut", self.cut, fits=self.cut is None or is_whole(self.cut, 1), wanted="a whole number from 1 up",
              why="It is how many numbers of a row each other owner sends.", example="4")  # fmt: skip
        check("hidden", self.hidden, fits=bool(hidden) and all(is_whole(width, 1) for width in hidden),
              wanted="the widths of one hidden layer or more",
              why="Without one, what crosses is each column times a weight, added up: columns can be read from it.",
              example="(16,)")  # fmt: skip
        check("lr", self.lr, fits=is_real(self.lr, above=0.0), wanted="a number above 0",
              why="It is how far a step goes down the gradient.", example="0.1")  # fmt: skip
        check("batch_size", self.batch_size, fits=self.batch_size is None or is_whole(self.batch_size, 1),
              wanted="a whole number from 1 up, or None", why="It is how many rows one step is about.",
              example="32")  # fmt: skip
        check("defence", self.defence, fits=self.defence is None or isinstance(self.defence, Defence),
              wanted="a defence, or None", why="Gradients go through it before they cross.",
              example="fl.vertical.Marvell()")  # fmt: skip

    def check(self, federation: Federation, num_rounds: int, *, seed: int = 0, after: Round | None = None) -> None:
        """Refuse, before anything leaves, what cannot work, and owners whose columns would cross.

        Raises:
            SettingError, RuleError.
        """
        super().check(federation, num_rounds, seed=seed, after=after)
        if after is not None:
            self._check_fits(federation, after.state)
        for owner in federation.owners:
            columns = len(owner.schema.features)
            if owner.name != self.labels_at and columns < 2:
                raise RuleError(
                    f"{owner.name!r} has {columns} column in a split network.",
                    "Whatever a model makes of a single column tells its values apart: activations would hand it over.",
                    "Give that owner more columns, or leave it out; fl.vertical.SecureBoost sends no activations.",
                )
            if owner.name != self.labels_at and self.cut is not None and self.cut >= columns:
                raise SettingError(
                    f"cut={self.cut} was given, and {owner.name!r} has {columns} columns.",
                    "As many activations as columns have room for all of them, only mixed.",
                    f"Use cut={columns - 1} or less, or leave it out.",
                )

    def settings(self, federation: Federation, state: State | None) -> dict[str, float]:  # noqa: ARG002
        """What may be changed between rounds."""
        return {"lr": self.lr} | ({} if self.batch_size is None else {"batch_size": self.batch_size})

    def begin(self, at: Meeting) -> State:
        """Each owner's first weights, and the secret from which the owner of the labels draws a defence's noise."""
        setup = at.setup
        if self.defence is not None and setup.task not in self.defence.tasks:
            raise RuleError(
                f"{type(self.defence).__name__} was to defend labels of the kind {setup.task!r}.",
                f"It is made for {listed(self.defence.tasks)} ones.",
                "Use fl.vertical.MaxNormNoise(), or another target.",
            )
        here, shape = self.labels_at, self._shape(at.federation, setup)
        weights = {
            name: at.own("first weights", lambda mine: shape.start(mine.name, setup.owners), at=name)
            for name in at.names
        }
        secret = at.own("secret", lambda _: secret_from(at.federation.noise(0, here, "defence")), at=here)
        return State(weights, {here: secret}, setup)

    def advance(self, at: Meeting, state: State, *, last: bool) -> State:  # noqa: ARG002
        """One pass over the rows in common, batch by batch."""
        here, parts, order = self.labels_at, dict(state.weights), batch_order(at.setup, at.number)
        course = state.memory[COURSE].tolist()
        noise = at.own("noise", lambda _: Noise.of_round(state.memory[here], self, at.number, course), at=here)
        for number, (start, stop) in enumerate(batches(at.rows, self.batch_size)):
            self._step(at, parts, _Batch(number, order[start:stop]), noise)
        return replace(state, weights=parts)

    def _step(self, at: Meeting, parts: dict[str, Floats], batch: _Batch, noise: Noise) -> None:
        """One batch: every line is one owner's work, on its own part alone and on what was sent to it."""
        here = self.labels_at
        sent = self._sent(at, parts, batch.rows)
        led = at.own("step", partial(self._lead, at, parts[here], sent, batch, noise), at=here)
        parts[here] = at.own("step", lambda _: led.weights, at=here)
        back = {
            name: at.send(GRADIENTS, partial(_given, led, place), sender=here, to=name)
            for place, name in enumerate(at.others)
        }
        for name, gradient in back.items():
            parts[name] = at.own("step", partial(self._down, at, parts[name], batch.rows, gradient), at=name)

    def _sent(self, at: Meeting, parts: Mapping[str, Floats], rows: Order | slice) -> list[Floats]:
        """The activations (n, cut) of these rows from each of the others, at the owner of the labels."""
        work = {name: partial(self._activations, at, parts[name], rows) for name in at.others}
        return [at.send(ACTIVATIONS, work[name], sender=name, to=self.labels_at) for name in at.others]

    def _activations(self, at: Meeting, weights: Floats, rows: Order | slice, mine: Mine) -> Floats:
        """At another owner: what its bottom makes of these rows."""
        return self._shape(at.federation, at.setup).bottom(mine.name).forward(weights, mine.X[rows])

    def _down(self, at: Meeting, weights: Floats, rows: Order, gradient: Floats, mine: Mine) -> Floats:
        """At another owner: its next weights, from the gradient at its activations that came back."""
        bottom = self._shape(at.federation, at.setup).bottom(mine.name)
        return _moved(weights, self.lr, descend(bottom, weights, mine.X[rows], gradient))

    def _lead(self, at: Meeting, weights: Floats, sent: list[Floats], batch: _Batch, noise: Noise, mine: Mine) -> _Led:
        """At the owner of the labels: its own step, and what goes back to each of the others."""
        setup, y = at.setup, self._labels(at.setup, noise, mine)[batch.rows]
        shape = self._shape(at.federation, setup)
        step = lead(shape.bottom(self.labels_at), shape.top, weights, mine.X[batch.rows], sent, y, setup.task)
        if not math.isfinite(step.loss):
            raise RoundError(
                self.labels_at,
                "step",
                f"The loss of a batch in round {at.number} is no finite number.",
                "Steps were so long that the weights left the range of numbers: nothing can be learned from there.",
                f"Start anew with a smaller rate than lr={self.lr:g}.",
            )
        gradients = step.activations
        if self.defence is not None:
            sources = [noise.of(batch.number, k) for k in range(len(gradients))]
            gradients = tuple(self.defence.gradients(g, y, s) for g, s in zip(gradients, sources, strict=True))
        return _Led(_moved(weights, self.lr, step.weights), gradients)

    def foretell(self, at: Meeting, state: State) -> None:
        """The others send activations of the rows; the owner of the labels has the scores of them."""
        here, parts, shape = self.labels_at, state.weights, self._shape(at.federation, at.setup)
        sent = self._sent(at, parts, slice(None))

        def score(mine: Mine) -> None:
            bottom = shape.bottom(here)
            cut = np.concatenate([bottom.forward(parts[here][: bottom.size], mine.X), *sent], axis=1)
            mine.memory[SCORES] = shape.top.forward(parts[here][bottom.size :], cut)

        at.own("scores", score, at=here)

    def plain(
        self, columns: Mapping[str, Floats], y: Floats, new: Mapping[str, Floats], setup: Setup, num_rounds: int
    ) -> Floats:
        """The same network in one place, without a defence: see cut/plain.py."""
        return plain_scores(self, columns, y, new, setup, num_rounds)

    def merged_scores(self, state: State, inputs: Mapping[str, Floats]) -> Floats:
        """The scores (n, outputs) of rows whose inputs (n, d) of all owners are in one pair of hands, as all parts."""
        setup: Setup = state.context  # type: ignore[assignment]
        here, shape = self.labels_at, Shape(setup, columns_read(setup), self.cut, self.hidden)
        own = shape.bottom(here).size
        parts = {**state.weights, here: state.weights[here][:own]}
        cut = [shape.bottom(name).forward(parts[name], inputs[name]) for name in (here, *setup.others)]
        return shape.top.forward(state.weights[here][own:], np.concatenate(cut, axis=1))

    def _check_fits(self, federation: Federation, state: State) -> None:
        """Refuse to go on with a network of another shape: each owner looks at its own part."""
        setup: Setup = state.context  # type: ignore[assignment]
        shape, parts = self._shape(federation, setup), state.weights
        if any(not isinstance(part, NotHere) and len(part) != shape.size(name) for name, part in parts.items()):
            raise SettingError(
                f"cut={self.cut} and hidden={self.hidden} were given for a run that began with other widths.",
                "A run goes on with the weights that there are.",
                "Use the widths that it began with, or start anew without after=.",
            )

    def _shape(self, federation: Federation, setup: Setup) -> Shape:
        # Of rows to predict there may be further columns, which nobody has trained with.
        known = {column.name for column in setup.schema.features}
        columns = {o.name: sum(c.name in known for c in o.schema.features) for o in federation.owners}
        return Shape(setup, columns, self.cut, self.hidden)

    def _labels(self, setup: Setup, noise: Noise, mine: Mine) -> Floats:
        """The labels that are trained on, kept beside the rows for the run."""
        if ("labels", self.defence) not in mine.memory:
            y = mine.y if self.defence is None else self.defence.labels(mine.y, len(setup.classes), noise.of_labels())
            mine.memory["labels", self.defence] = y
        found: Floats = mine.memory["labels", self.defence]
        return found


class _Led(NamedTuple):
    """What a batch leaves at the owner of the labels: its next weights, and the gradients for each other owner."""

    weights: Floats
    gradients: tuple[Floats, ...]


def _given(led: _Led, place: int, _: Mine) -> Floats:
    return led.gradients[place]


def _moved(weights: Floats, lr: float, gradient: Floats) -> Floats:
    """A step down; where it leaves the range of numbers, the next loss is none, which is refused."""
    with np.errstate(over="ignore", invalid="ignore"):
        return weights - lr * gradient
