"""Transfer learning over few rows in common: labels of one owner teach another owner's own model, on other columns.

One round, for each unit k of the representation; A has labels and columns of many rows, B other columns, N are common:
    A to B    what B's gradient takes of A, a number for each row in common and each unit, sealed under A's own key.
    B to A    products with B's numbers, added up: sums for B's inputs, each plus a pad that only B knows.
    A to B    what it opens, random numbers; B takes its pads off: its gradient at unit k.
    B to A, A to B, B to A    the same the other way round, for A's gradient.
Then each takes a step down its own gradient.

Who learns what, if all follow the protocol:
    A    in each round its own gradient: inputs times units sums over the rows in common, of no single row; and the
        score of each row that is held out and in common, which is a weighted sum of B's representation of it.
    B    in each round its own gradient: inputs times units sums over the rows in common, in which labels and A's
        representation of these rows are mixed. Where these are more sums than rows, or come to more over the rounds, B
        can solve them for labels: with 10 inputs, 8 units and closeness of .01 or less all 60 of 60 after three rounds
        (with 0 after one). A larger closeness mixes in more that B does not know; it is no proof. There must be more
        rows in common than inputs, which keeps only the simplest way shut. Scores of B's own rows, where it asks for
        them: with as many as there are units it knows the direction p as well, a mean over A's rows.
    the key holder    nothing: each owner has a key of its own here.
    the server    each round's score on the rows held out.

Source: Liu, Kang, Chen, Yang 2018, "Secure federated transfer learning", sections 4 and 5 (encrypted gradients, masks).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.errors import RoundError, RuleError, SettingError
from fedlab_nb.parties import Federation, Rows
from fedlab_nb.parties.columns.road import charge, drop_keys, own
from fedlab_nb.records import Round, Schema, State
from fedlab_nb.records.schema import Task
from fedlab_nb.settings import check_setting, is_real, is_whole
from fedlab_nb.vertical.align import align
from fedlab_nb.vertical.overlap import Side, Sums, labelled, side, sums_for
from fedlab_nb.vertical.overlap.labels import all_labelled
from fedlab_nb.vertical.overlap.sides import direction, represent
from fedlab_nb.vertical.overlap.sums import SCORES as SCORES_APART
from fedlab_nb.vertical.shared import Meeting, Mine, Setup, VerticalStrategy
from fedlab_nb.vertical.shared.reading import standard_reading
from fedlab_nb.vertical.shared.strategy import SCORES

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]


@dataclass(frozen=True, repr=False)
class Transfer(VerticalStrategy):
    """The owner of the labels (A) teaches a second owner (B) to tell two classes apart from B's own columns.

    Both make of a row a representation of ``width`` units, tanh(x W), that is to be alike where they have the row both:
    ``closeness`` weighs that. A row of B has the score p . u^B, with p the mean of label times representation over all
    rows that A has, also those that B has not. Law: each round is one step of rate ``lr`` down the gradient of the loss
    in overlap/sides.py, as if all numbers were in one place; ``penalty`` is its weight of squared weights.

    Who learns what stands on the card that a notebook shows of it, and in ``learns``. Source: Liu et al. 2018.

    Raises:
        SettingError: for settings that cannot work.
    """

    width: int = 8
    lr: float = 2.0
    closeness: float = 0.1
    penalty: float = 1e-3

    title: ClassVar[str] = "Federated transfer learning"
    formula: ClassVar[str] = "f(x_B) = p . tanh(x_B W_B), p = mean of y tanh(x_A W_A); W ← W − lr · dL/dW"
    tasks: ClassVar[tuple[Task, ...]] = ("binary",)
    learns: ClassVar[tuple[tuple[str, str], ...]] = (
        (
            "the owner of the labels",
            (
                "each round its own gradient, sums over rows in common; of each held-out row in common the score, a "
                "weighted sum of the other's representation of it"
            ),
        ),
        (
            "the other owner",
            (
                "each round its own gradient, inputs times units sums over rows in common in which labels are mixed: "
                "if few rows are in common, or closeness is small, it can work out labels; with scores of its own "
                "rows, the direction that labels give"
            ),
        ),
        ("the key holder", "nothing: each owner seals under a key of its own"),
        ("the server", "each round's score on the rows held out"),
    )

    def __post_init__(self) -> None:
        check = partial(check_setting, type(self).__name__)
        check("width", self.width, fits=is_whole(self.width, 1), wanted="a whole number from 1 up",
              why="It is how many units a representation has.", example="8")  # fmt: skip
        check("lr", self.lr, fits=is_real(self.lr, above=0.0), wanted="a number above 0",
              why="It is how far a step goes down the gradient.", example="2.0")  # fmt: skip
        for name in ("closeness", "penalty"):
            value = getattr(self, name)
            check(name, value, fits=is_real(value, most=1e3) and value >= 0.0, wanted="a number from 0 to 1000",
                  why="It is a weight in the loss.", example="0.1")  # fmt: skip

    def check(self, federation: Federation, num_rounds: int, *, seed: int = 0, after: Round | None = None) -> None:
        """Refuse, before anything leaves, what cannot work.

        Raises:
            SettingError, RuleError.
        """
        super().check(federation, num_rounds, seed=seed, after=after)
        if after is not None:
            self._check_fits(after.state)
        if len(federation.names) != 2:
            raise RuleError(
                f"Transfer was given {len(federation.names)} owners.",
                "It goes from the owner of the labels to one other owner.",
                "Make a federation of these two; one after the other, where there are more.",
            )

    def settings(self, federation: Federation, state: State | None) -> dict[str, float]:  # noqa: ARG002
        """What may be changed between rounds."""
        return {"lr": self.lr, "closeness": self.closeness, "penalty": self.penalty}

    def read(self, features: pd.DataFrame, schema: Schema, owner: str) -> Any:  # noqa: ARG002
        """Nothing yet: an owner reads its columns by all its rows, as the rows in common are few; see ``begin``."""
        return None

    def begin(self, at: Meeting) -> State:
        """Each owner's reading of its columns, and its first weights."""
        schemas = {owner.name: owner.schema for owner in at.federation.owners}

        def reading(rows: Rows, name: str) -> Any:
            return standard_reading(rows.training[0], schemas[name], name)

        readings = {
            name: own(at.federation, "reading of the columns", partial(reading, name=name), at=name)
            for name in at.names
        }
        setup = replace(at.setup, readings=readings)
        meeting = Meeting(at.federation, at.alignment, setup, at.number)
        weights = {name: meeting.own("first weights", partial(self._start, setup), at=name) for name in at.names}
        work = partial(self._direction, meeting, weights[self.labels_at])
        weights[self.labels_at] = own(at.federation, "direction of labels", work, at=self.labels_at)
        return State(weights, {}, setup)

    def advance(self, at: Meeting, state: State, *, last: bool) -> State:  # noqa: ARG002
        """Each owner's gradient at the weights in force, then a step of each."""
        here, (there,) = self.labels_at, at.others
        before = {name: self._matrix(state.weights[name], at.setup, name) for name in at.names}
        own(at.federation, "representation", partial(self._labelled, at, before[here]), at=here)
        at.own("representation", partial(self._side, before[there]), at=there)
        steps = {
            taker: self._gradient(at, giver, taker, before[taker]) for giver, taker in ((here, there), (there, here))
        }
        weights = {n: at.own("step", partial(self._down, at, before[n], steps[n]), at=n) for n in at.names}
        weights[here] = own(at.federation, "direction of labels", partial(self._direction, at, weights[here]), at=here)
        return replace(state, weights=weights)

    def foretell(self, at: Meeting, state: State) -> None:
        """The owner of the labels seals the direction, the other one multiplies: it has scores, and nothing else."""
        here, (there,) = self.labels_at, at.others
        p = state.weights[here][-self.width :]
        trip = Sums(at, here, there, f"scores, {at.part}", self.width, at.rows, padded=False)
        weights = self._matrix(state.weights[there], at.setup, there)
        try:
            sealed = at.send("direction of labels", partial(trip.seal, given=lambda _: p), sender=here, to=there)
            multiply = partial(trip.multiply, sealed=sealed, taken=lambda mine: represent(mine.X, weights).T)
            summed = at.send("sealed scores", multiply, sender=there, to=here)
            scores = trip.session.open(trip.plan, summed, number=at.number, kind=trip.label)
        except BaseException:
            drop_keys(at.federation)
            raise
        at.own("scores", lambda mine: mine.memory.update({SCORES: scores.reshape(-1, 1)}), at=here)

    def predict_at_other(self, federation: Federation, record: Round, frame: pd.DataFrame) -> pd.DataFrame:
        """What the model after the round ``record`` says of rows that the other owner has, and A need not have.

        The direction of labels goes sealed to B, products padded to A, and opened back: B has its scores, A nothing.
        ``frame`` has B's columns; whoever calls this plays B.

        Returns:
            One row for each of its rows: "prediction" is the class, "score" is above 0 for the second class.

        Raises:
            SchemaError: a column is missing.
            RoundError, EncryptionError: nothing was released.
        """
        import pandas as pd

        setup: Setup = record.state.context  # type: ignore[assignment]
        here, (there,) = self.labels_at, setup.others
        p, parts = record.state.weights[here][-self.width :], record.state.weights[there]
        X = setup.readings[there].read(frame)
        u = represent(X, self._matrix(parts, setup, there))
        with federation.in_use():
            number = federation.turn()
            charge(federation, "scores of the other owner's rows", federation.names, number=number)
            at = Meeting(federation, align(federation), setup, number)
            trip = Sums(at, here, there, "scores of own rows", self.width, len(X), kinds=SCORES_APART)
            scores = at.own("scores", sums_for(trip, lambda _: p, lambda _: u.T), at=there)
        said = np.array(setup.classes, dtype=object)[(scores > 0.0).astype(int)]
        return pd.DataFrame({"prediction": said, "score": scores}, index=frame.index)

    def merged_scores(self, state: State, inputs: Mapping[str, Floats]) -> Floats:
        """The scores (n, 1) of rows whose inputs (n, d) of the other owner are in one pair of hands with both parts."""
        setup: Setup = state.context  # type: ignore[assignment]
        (there,) = setup.others
        u = represent(inputs[there], self._matrix(state.weights[there], setup, there))
        return np.asarray(u @ state.weights[self.labels_at][-self.width :])[:, None]

    def _gradient(self, at: Meeting, giver: str, taker: str, weights: Floats) -> Floats:
        """The gradient (d, width) of one owner at its own weights, which only it learns."""
        found = []
        bound = 0.5 + self.closeness if giver == self.labels_at else 1.0
        for k in range(self.width):
            label = f"gradient of {taker}, unit {k + 1}"
            trip = Sums(at, giver, taker, label, at.rows + self.width, len(weights), bound)
            sums = sums_for(trip, partial(self._given, k), partial(self._taken, k))

            def whole(mine: Mine, k: int = k, sums: Any = sums) -> Floats:
                return np.asarray(sums(mine) + mine.memory["side"].own(k, self.closeness)) / at.rows

            found.append(at.own("gradient", whole, at=taker))
        return np.column_stack(found) + self.penalty * weights

    def _down(self, at: Meeting, weights: Floats, gradient: Floats, mine: Mine) -> Floats:
        """An owner's next weights, flat."""
        with np.errstate(over="ignore", invalid="ignore"):
            moved = (weights - self.lr * gradient).ravel()
        if not np.isfinite(moved).all():
            raise RoundError(
                mine.name,
                "step",
                f"The weights of {mine.name!r} after round {at.number} are no finite numbers.",
                "Steps were so long that they left the range of numbers: nothing can be learned from there.",
                f"Start anew with a smaller rate than lr={self.lr:g}.",
            )
        return np.asarray(moved)

    def _given(self, k: int, mine: Mine) -> Floats:
        mine_side: Side = mine.memory["side"]
        return mine_side.given(k, self.closeness)

    def _taken(self, k: int, mine: Mine) -> Floats:
        mine_side: Side = mine.memory["side"]
        return mine_side.taken(k, self.closeness)

    def _side(self, weights: Floats, mine: Mine) -> None:
        mine.memory["side"] = side(mine.X, weights)

    def _labelled(self, at: Meeting, weights: Floats, rows: Rows) -> None:
        mine = self._mine(at, rows)
        mine.memory["side"] = labelled(mine.X, 2.0 * mine.y - 1.0, *all_labelled(mine, rows, at.setup), weights)

    def _direction(self, at: Meeting, weights: Floats, rows: Rows) -> Floats:
        """At the owner of the labels: its weights, and behind them the direction (width,) that they give."""
        every = all_labelled(self._mine(at, rows), rows, at.setup)
        return np.append(weights, direction(*every, weights.reshape(-1, self.width)))

    def _mine(self, at: Meeting, rows: Rows) -> Mine:
        return Mine(at.alignment.of(rows), self.labels_at, at.setup, at.part)

    def _start(self, setup: Setup, mine: Mine) -> Floats:
        """An owner's first weights, flat; refused where sums over rows could be solved for rows."""
        rows, inputs = mine.X.shape
        if rows <= inputs:
            raise RoundError(
                mine.name,
                "start",
                f"{mine.name!r} has {inputs} inputs, and {rows} rows are in common to train on.",
                "A gradient has a sum for each input: as many as rows could be solved for what is in single rows.",
                "Bring owners together that have more rows in common, or leave columns out.",
            )
        lots = np.random.default_rng(np.random.SeedSequence([setup.seed, setup.owners.index(mine.name)]))
        return np.asarray(lots.normal(size=inputs * self.width) / np.sqrt(inputs))

    def _check_fits(self, state: State) -> None:
        """Refuse to go on with representations of another width."""
        setup: Setup = state.context  # type: ignore[assignment]
        inputs = len(setup.readings[setup.others[0]].inputs)
        if len(state.weights[setup.others[0]]) != inputs * self.width:
            raise SettingError(
                f"width={self.width} was given for a run that began with another one.",
                "A run goes on with the weights that there are.",
                "Use the width that it began with, or start anew without after=.",
            )

    def _matrix(self, weights: Floats, setup: Setup, name: str) -> Floats:
        """An owner's weights (inputs, width)."""
        inputs = len(setup.readings[name].inputs)
        return weights[: inputs * self.width].reshape(inputs, self.width)
