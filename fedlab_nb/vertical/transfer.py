"""Transfer learning over few rows in common: labels of one owner teach another owner's own model, on other columns.

Before the first round A and B tell each other how many inputs they have. One round, for each unit k of the
representation; A has labels and columns of many rows, B other columns, N are common:
    A to B    what B's gradient takes of A, a number for each row in common and each unit, sealed under A's own key.
    B to A    products with B's numbers, added up: sums for B's inputs, each plus a pad that only B knows.
    A to B    what it opens, random numbers; B takes its pads off: its gradient at unit k.
    B to A, A to B, B to A    the same the other way round, for A's gradient.
All units, and both ways, go together, as all of it is about the weights before. Then each takes a step down its own
gradient.

Who learns what, if all follow the protocol:
    A    how many inputs B has; in each round its own gradient: inputs times units sums over the rows in common, of no
        single row; and the score of each row that is held out and in common, which is a weighted sum of B's
        representation of it.
    B    how many inputs A has; in each round its own gradient: inputs times units sums over the rows in common, in
        which labels and A's representation of these rows are mixed. Where these are more sums than rows, or come to
        more over the rounds, B can solve them for labels: with 10 inputs, 8 units and closeness of .01 or less all 60
        of 60 after three rounds (with 0 after one). A larger closeness mixes in more that B does not know; it is no
        proof. There must be more rows in common than inputs, which keeps only the simplest way shut. Scores of B's own
        rows, where it asks for them: with as many as there are units it knows the direction p as well, a mean over A's
        rows.
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

from fedlab_nb.crypto import Sealed
from fedlab_nb.errors import RoundError, RuleError, SettingError
from fedlab_nb.parties import Federation, Rows
from fedlab_nb.parties.columns.road import charge, drop_keys, own
from fedlab_nb.places import NotHere, here
from fedlab_nb.records import Round, Schema, State
from fedlab_nb.records.schema import Task
from fedlab_nb.settings import check_setting, is_real, is_whole
from fedlab_nb.vertical.align import align
from fedlab_nb.vertical.overlap import Came, Sums, Units, opened_sums, represent, session_of, with_direction
from fedlab_nb.vertical.overlap.sums import SCORES as SCORES_APART
from fedlab_nb.vertical.shared import Meeting, Mine, Setup, VerticalStrategy
from fedlab_nb.vertical.shared.reading import standard_reading
from fedlab_nb.vertical.shared.strategy import SCORES

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]
_INPUTS = "inputs: "  # in a state's memory, before an owner's name: how many it has (1,), which both owners know


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
    multiplies_scores: ClassVar[bool] = True
    learns: ClassVar[tuple[tuple[str, str], ...]] = (
        (
            "the owner of the labels",
            (
                "how many inputs the other has; each round its own gradient, sums over rows in common; of each "
                "held-out row in common the score, a weighted sum of the other's representation of it"
            ),
        ),
        (
            "the other owner",
            (
                "how many inputs the other has; each round its own gradient, inputs times units sums over rows in "
                "common in which labels are mixed: if few rows are in common, or closeness is small, it can work out "
                "labels; with scores of its own rows, the direction that labels give"
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
        """Each owner's reading of its columns, what it tells the other one of it, and its first weights."""
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
        weights[self.labels_at] = self._with_direction(meeting, weights[self.labels_at])
        told = {
            _INPUTS + name: meeting.send("number of inputs", _inputs, sender=name, to=other)
            for name, other in zip(at.names, at.names[::-1], strict=True)
        }
        return State(weights, told, setup)

    def advance(self, at: Meeting, state: State, *, last: bool) -> State:  # noqa: ARG002
        """Each owner's gradient at the weights in force, then a step of each."""
        # Nobody but the two owners was told how many inputs they have, and nobody else has a part in it.
        inputs = {name: int(here([state.memory[_INPUTS + name]], np.zeros(1))[0]) for name in at.names}
        units = Units(at, self.width, self.closeness, inputs)
        weights = {
            name: at.own("step", partial(self._down, units, state.weights[name], came), at=name)
            for name, came in units.opened(state.weights).items()
        }
        weights[self.labels_at] = self._with_direction(at, weights[self.labels_at])
        return replace(state, weights=weights)

    def foretell(self, at: Meeting, state: State) -> None:
        """The owner of the labels seals the direction, the other one multiplies: it has scores, and nothing else."""
        labels_at, (other,) = self.labels_at, at.others
        p, parts = state.weights[labels_at], state.weights[other]
        trip = Sums(
            at,
            session_of(at, labels_at),
            other,
            f"scores, {at.part}",
            rows=self.width,
            width=at.rows,
            given=lambda _: p[-self.width :],
            taken=lambda mine: represent(mine.X, parts.reshape(-1, self.width)).T,
            padded=False,
        )
        try:
            sealed = at.send("direction of labels", trip.seal, sender=labels_at, to=other)
            summed = at.send("sealed scores", partial(trip.multiply, sealed=sealed), sender=other, to=labels_at)
            at.own("scores", partial(_score, trip, summed), at=labels_at)
        except BaseException:
            drop_keys(at.federation)
            raise

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
        there, parts = setup.others[0], record.state.weights
        p = parts[self.labels_at][-self.width :]
        u = represent(setup.readings[there].read(frame), parts[there].reshape(-1, self.width))
        with federation.in_use():
            number = federation.turn()
            charge(federation, "scores of the other owner's rows", federation.names, number=number)
            at = Meeting(federation, align(federation), setup, number)
            trip = Sums(
                at,
                session_of(at, self.labels_at),
                there,
                "scores of own rows",
                rows=self.width,
                width=len(u),
                given=lambda _: p,
                taken=lambda _: u.T,
            )
            (shown,) = opened_sums(at, [trip], SCORES_APART)
            scores = at.own("scores", partial(trip.take, shown=shown), at=there)
        said = np.array(setup.classes, dtype=object)[(scores > 0.0).astype(int)]
        return pd.DataFrame({"prediction": said, "score": scores}, index=frame.index)

    def merged_scores(self, state: State, inputs: Mapping[str, Floats]) -> Floats:
        """The scores (n, 1) of rows whose inputs (n, d) of the other owner are in one pair of hands with both parts."""
        setup: Setup = state.context  # type: ignore[assignment]
        (there,) = setup.others
        u = represent(inputs[there], state.weights[there].reshape(-1, self.width))
        return np.asarray(u @ state.weights[self.labels_at][-self.width :])[:, None]

    def _down(self, units: Units, flat: Floats, came: Came, mine: Mine) -> Floats:
        """An owner's next weights, flat, from what came back opened for each unit of its gradient."""
        weights = flat.reshape(-1, self.width)[: units.inputs[mine.name]]
        gradient = units.gradient(mine, came) + self.penalty * weights
        with np.errstate(over="ignore", invalid="ignore"):
            moved = (weights - self.lr * gradient).ravel()
        if not np.isfinite(moved).all():
            raise RoundError(
                mine.name,
                "step",
                f"The weights of {mine.name!r} after round {units.at.number} are no finite numbers.",
                "Steps were so long that they left the range of numbers: nothing can be learned from there.",
                f"Start anew with a smaller rate than lr={self.lr:g}.",
            )
        return np.asarray(moved)

    def _with_direction(self, at: Meeting, flat: Floats) -> Floats:
        """The weights of the owner of the labels, flat, and behind them the direction that they give."""
        work = partial(with_direction, at, self.width, flat)
        return own(at.federation, "direction of labels", work, at=self.labels_at)

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
        """Refuse to go on with representations of another width: each owner looks at its own part."""
        setup: Setup = state.context  # type: ignore[assignment]
        parts = {name: part for name, part in state.weights.items() if not isinstance(part, NotHere)}
        numbers = {name: len(setup.readings[name].inputs) + (name == self.labels_at) for name in parts}
        if any(len(part) != numbers[name] * self.width for name, part in parts.items()):
            raise SettingError(
                f"width={self.width} was given for a run that began with another one.",
                "A run goes on with the weights that there are.",
                "Use the width that it began with, or start anew without after=.",
            )


def _inputs(mine: Mine) -> Floats:
    return np.array([float(mine.X.shape[1])])


def _score(trip: Sums, summed: Sealed, mine: Mine) -> None:
    """At the owner of the labels: the scores (n, 1) of rows, opened and kept beside them."""
    scores = trip.session.open(trip.plan, summed, number=trip.at.number, kind=trip.label)
    mine.memory[SCORES] = scores.reshape(-1, 1)
