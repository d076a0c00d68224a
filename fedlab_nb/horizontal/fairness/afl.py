"""Agnostic federated learning: the model for the worst mixture of owners, whatever that mixture will be.

Source: Mohri, Sivek and Suresh 2019, "Agnostic federated learning", equation 4 and the algorithm Stochastic-AFL.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.channel.opening import Tensors
from fedlab_nb.errors import RuleError
from fedlab_nb.horizontal.averaging import Averaging, Memory
from fedlab_nb.horizontal.evaluate import nearest
from fedlab_nb.horizontal.fairness.qffl import check_sums
from fedlab_nb.horizontal.prepare import Setup
from fedlab_nb.horizontal.side.local import LocalRound
from fedlab_nb.horizontal.side.ranges import check_number
from fedlab_nb.learn import Learner
from fedlab_nb.parties import Federation, Rows
from fedlab_nb.records import Round, State
from fedlab_nb.settings import check_setting

Floats = NDArray[np.float64]


@dataclass(frozen=True, repr=False)
class AFL(Averaging):
    """Lowers the largest of all mixtures of the owners' losses: min over w, max over lambda, of sum_i lambda_i F_i(w).

        w <- w + sum_i lambda_i * change_i / sum_i lambda_i
        lambda <- nearest mixture to  lambda + lambda_lr * (F_1, ..., F_n),  F_i the loss at the w that was sent

    lambda begins even, and is never negative; it sums to 1. An owner whose loss stays high comes to count for more, in
    the end for all. With one local step on all rows, w moves as in the paper; with more of them, change_i stands for
    the gradient, as in ``fl.FedAvg``. Owners that take no part in a round count there as having no loss, and those that
    do for as much more as they are called more seldom (1 / ``sample_rate``), so that it is right on average.

    The server has to read each owner's loss: that is refused under encryption, and under a privacy mechanism, in whose
    plan it has no noise.
    """

    weighting: Literal["rows", "equal"] | None = "equal"
    lambda_lr: float = field(default=0.1, kw_only=True)

    title: ClassVar[str] = "Agnostic federated learning"
    formula: ClassVar[str] = "w ← w + Σ λ · change / Σ λ;  λ ← nearest mixture to λ + lambda_lr · losses"
    one_step: ClassVar[bool] = False
    stateless: ClassVar[bool] = False
    reach: ClassVar[float] = 1024.0

    @property
    def needs(self) -> tuple[str, ...]:
        """Each owner's loss at the server, and what averaging needs."""
        return (*super().needs, "owner losses")

    def step(self, state: State, federation: Federation, number: int, cohort: Sequence[str], *, last: bool) -> State:
        """One round: owners are told their weight, send their changes and their losses, and the weights move."""
        if not cohort:
            return super().step(state, federation, number, cohort, last=last)
        setup: Setup = state.context  # type: ignore[assignment]
        mixture, places = _mixture(state), {name: place for place, name in enumerate(federation.names)}
        for name in cohort:
            told = mixture[[places[name]]].astype(np.float32)
            federation.tell("weight in the mixture", told, number=number, to=[name])
        new = super().step(state, federation, number, cohort, last=last)
        side = self._side(self._learner(setup), state, federation, number)

        def loss(name: str, rows: Rows) -> Floats:
            return np.array([LocalRound(side, {name: rows}).losses()[name]])

        here = tuple(name for name in cohort if name not in federation.losses.names)
        losses = federation.hear("loss", loss, number=number, to=here, debits=dict.fromkeys(here, ()))
        rising = np.zeros(mixture.size)
        for name, value in losses.items():
            rising[places[name]] = np.asarray(value)[0] / federation.house.sample_rate
        moved = nearest(mixture + self.lambda_lr * rising, 1.0)
        return State(new.weights, {**new.memory, "mixture": moved}, new.context)

    def local(self, at: LocalRound) -> dict[str, Floats]:
        """Beside the rows: train; send the change and the own weight in the mixture, which also multiplies it."""
        even = dict(zip(at.setup.owners, _mixture(at.state).astype(np.float32).tolist(), strict=True))
        sent = {}
        for name, end in at.train(self.rule(at.lr)).items():
            # Times the number of owners, so that numbers do not shrink with it; it cancels.
            weight = len(even) * even[name]
            sent[name] = weight * np.append(end.weights - at.weights, 1.0)
        return sent

    def shown(self, state: State, name: str) -> dict[str, Floats]:
        """Its own weight in the mixture, and of the others nothing."""
        setup: Setup = state.context  # type: ignore[assignment]
        mine = np.array([other == name for other in setup.owners])
        return {"mixture": np.where(mine, _mixture(state), 0.0)}

    def serve(self, state: State, mean: Floats, came: float) -> tuple[Floats, Memory]:  # noqa: ARG002
        """At the server: the mean of the changes, each counted by its weight in the mixture."""
        change, weight = mean[:-1], float(mean[-1])
        return state.weights["server"] + (change / weight if weight > 0.0 else 0.0), {}

    def check(self, federation: Federation, num_rounds: int, *, seed: int = 0, after: Round | None = None) -> None:
        """Refuse a step of the mixture that leads nowhere, losses told without noise, and what averaging refuses.

        Raises:
            SettingError, RuleError, BudgetExceededError.
        """
        why = "It is how far the weights of the owners move towards those with large losses, in each round."
        check_number(self, "lambda_lr", above=True, why=why, example="0.1")
        check_sums(self)
        check_setting(
            "AFL",
            "weighting",
            self.weighting,
            fits=self.weighting == "equal",
            wanted="'equal'",
            why="Owners count by their weight in the mixture, which moves, and not by their rows.",
            example="'equal', or leave it out",
        )
        if federation.house.protect is not None:
            raise RuleError(
                f"AFL has each owner tell its loss, and in this federation {federation.house.protect!r} is in force.",
                "The loss would leave its owner without noise, and no epsilon would hold any more.",
                "Use fl.QFFL(model) with fl.OwnerLevelDP(): there no loss is told. Or leave protect= and budget= out.",
            )
        super().check(federation, num_rounds, seed=seed, after=after)

    def _parts(self, learner: Learner) -> Tensors:
        return (*learner.tensors, ("weight in the mixture", 1))


def _mixture(state: State) -> Floats:
    """The owners' weights (n,): even at first."""
    setup: Setup = state.context  # type: ignore[assignment]
    owners = len(setup.owners)
    return state.memory.get("mixture", np.full(owners, 1.0 / owners))
