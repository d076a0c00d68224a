"""FedDyn: each owner's loss gets a linear term that moves with the rounds, until all owners agree on one optimum.

Source: Acar et al. 2021, "Federated learning based on dynamic regularization", Algorithm 1.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.horizontal.averaging import Averaging, Memory
from fedlab_nb.horizontal.drift.scaffold import check_equal
from fedlab_nb.horizontal.prepare import Setup
from fedlab_nb.horizontal.side.local import LocalRound
from fedlab_nb.horizontal.side.ranges import check_number
from fedlab_nb.learn import SGD
from fedlab_nb.parties import Federation
from fedlab_nb.records import Round, State

Floats = NDArray[np.float64]


@dataclass(frozen=True, repr=False)
class FedDyn(Averaging):
    """Owner i lowers  loss_i(v) - <h_i, v> + alpha / 2 * |v - w|^2,  from the model w that was sent.

        h_i <- h_i - alpha * (v - w),  h <- h - alpha * came * mean(v - w),  w <- mean(v) - h / alpha

    h_i (p,) stays with owner i: at its optimum it is the gradient of its own loss. h (p,) stays at the server, the mean
    of all h_i; both begin at zero. came is the part of all owners that took part, and owners count the same. Only
    the change v - w is sent, so a round costs what one of ``fl.FedAvg`` does. Running statistics of batch normalisation
    are averaged plainly. A small ``alpha`` steps far; where lr * alpha is near 1, local models hardly leave w.

    With ``fl.OwnerLevelDP`` the change is clipped; h_i is built from the whole of it and never leaves its owner.
    """

    weighting: Literal["rows", "equal"] | None = "equal"
    alpha: float = field(default=0.1, kw_only=True)

    title: ClassVar[str] = "FedDyn: dynamic regularisation"
    formula: ClassVar[str] = "an owner lowers loss(v) − ⟨own h, v⟩ + alpha/2 · |v − w|²;  w ← mean(v) − h / alpha"
    one_step: ClassVar[bool] = False
    stateless: ClassVar[bool] = False

    @property
    def needs(self) -> tuple[str, ...]:
        """Something that each owner keeps, and what averaging needs."""
        return (*super().needs, "owner state")

    def rule(self, lr: float) -> SGD:
        """One local step, with the pull back to the model that was sent."""
        return SGD(lr, self.momentum, self.weight_decay, prox=self.alpha)

    def local(self, at: LocalRound) -> dict[str, Floats]:
        """Beside the rows: train on the loss with both terms, move the own h, send the change."""
        own, sent = at.own("h", np.zeros(at.parameters)), {}
        for name, end in at.train(self.rule(at.lr), offset={name: -h for name, h in own.items()}).items():
            sent[name] = end.weights - at.weights
            at.keep(name, h=own[name] - self.alpha * sent[name][: at.parameters])
        return sent

    def serve(self, state: State, mean: Floats, came: float) -> tuple[Floats, Memory]:
        """At the server: the mean model, moved on by what all owners' terms add up to."""
        setup: Setup = state.context  # type: ignore[assignment]
        p = self._learner(setup).parameters
        h = state.memory.get("h", np.zeros(p)) - self.alpha * came * mean[:p]
        return state.weights["server"] + np.append(mean[:p] - h / self.alpha, mean[p:]), {"h": h}

    def check(self, federation: Federation, num_rounds: int, *, seed: int = 0, after: Round | None = None) -> None:
        """Refuse owners that count by their rows, an ``alpha`` that is not above zero, and what averaging refuses.

        Raises:
            SettingError, RuleError, BudgetExceededError.
        """
        check_equal(self, "the server's h is the plain mean over all owners")
        why = "It says how strongly local models are pulled to the common one, and the server divides by it."
        check_number(self, "alpha", above=True, why=why, example="0.1")
        super().check(federation, num_rounds, seed=seed, after=after)
