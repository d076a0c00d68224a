"""FedNova: what an owner learned is divided by how far its steps reach, so that more steps do not count for more.

Source: Wang et al. 2020, "Tackling the objective inconsistency problem in heterogeneous federated optimization",
equation 9 and section 4.1.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.channel.opening import Tensors
from fedlab_nb.errors import RuleError, SettingError
from fedlab_nb.horizontal.averaging import Averaging, Memory
from fedlab_nb.horizontal.drift.steps import reach_of
from fedlab_nb.horizontal.prepare import Setup
from fedlab_nb.horizontal.side.local import LocalRound
from fedlab_nb.horizontal.side.ranges import check_number
from fedlab_nb.learn import SGD, Learner
from fedlab_nb.parties import Federation
from fedlab_nb.protect import OwnerLevelDP
from fedlab_nb.records import Round, State

Floats = NDArray[np.float64]

# An owner's steps travel as a part of so many times the usual: the range of updates then has room for far more rows.
ROOM = 16.0


@dataclass(frozen=True, repr=False)
class FedNova(Averaging):
    """w <- w + steps * sum_i weight_i * change_i / a_i / sum_i weight_i,  with a_i how far owner i's steps reach.

    a_i = |a_i|_1 is the number of its local steps, more with ``momentum``, less with a proximal term ``mu`` (as in
    ``fl.FedProx``); see ``steps.reach_of``. ``steps`` left out is sum_i weight_i * a_i / sum_i weight_i, which owners
    send as one more number in their sum. Owners with more rows make more steps in as many epochs: in federated
    averaging they pull the model towards their own optimum by more than their weight, here they do not. Where all
    owners' steps reach equally far it is ``fl.FedAvg``. Running statistics of batch normalisation are averaged plainly.

    With ``fl.OwnerLevelDP`` a sum of step counts would tell of rows, and a clip norm could not fit both: there
    ``steps`` has to be given. Each owner clips  steps * change / a,  which is about as long as a change.
    """

    mu: float = field(default=0.0, kw_only=True)
    steps: float | None = field(default=None, kw_only=True)

    title: ClassVar[str] = "FedNova: normalised averaging"
    formula: ClassVar[str] = "w ← w + steps · Σ weight · (change / a) / Σ weight,  a: how far an owner's steps reach"
    one_step: ClassVar[bool] = False

    @property
    def needs(self) -> tuple[str, ...]:
        """Updates divided by step counts, and what averaging needs."""
        return (*super().needs, "local step counts")

    def rule(self, lr: float) -> SGD:
        """One local step, with the proximal term if there is one."""
        return SGD(lr, self.momentum, self.weight_decay, prox=self.mu)

    def local(self, at: LocalRound) -> dict[str, Floats]:
        """Beside the rows: train, and divide what came out by how far the steps reach."""
        sent, p, steps = {}, at.parameters, self.steps or self._usual(at.setup)
        for name, end in at.train(self.rule(at.lr)).items():
            change, reach = end.weights - at.weights, reach_of(end.steps, self.momentum, at.lr * self.mu)
            change[:p] *= steps / (reach or 1.0)  # without rows there is no step, and no change
            sent[name] = change if self.steps is not None else np.append(change, reach / steps / ROOM)
        return sent

    def serve(self, state: State, mean: Floats, came: float) -> tuple[Floats, Memory]:  # noqa: ARG002
        """At the server: as many steps of the mean direction as owners make on average, or as were given."""
        if self.steps is not None:
            return state.weights["server"] + mean, {}
        setup: Setup = state.context  # type: ignore[assignment]
        p, more = self._learner(setup).parameters, ROOM * mean[-1]  # by how much steps reach further than usual
        return state.weights["server"] + np.append(more * mean[:p], mean[p:-1]), {}

    def check(self, federation: Federation, num_rounds: int, *, seed: int = 0, after: Round | None = None) -> None:
        """Refuse settings that cannot work, step counts that would have to hide in noise, and what averaging refuses.

        Raises:
            SettingError, RuleError, BudgetExceededError.
        """
        check_number(self, "mu", why="It says how strongly local models are pulled to the common one.", example="0.1")
        if self.steps is not None:
            check_number(self, "steps", above=True, why="It is how many local steps a round counts for.", example="20")
        elif isinstance(federation.house.protect, OwnerLevelDP):
            raise RuleError(
                "FedNova has no steps=, and the privacy is at owner level.",
                "It would send each owner's number of local steps, which tells how many rows it has, and which no clip "
                "norm for updates fits.",
                "Say in the open how many local steps a round counts for, such as steps=20.",
            )
        if self.steps is None and self.compress is not None:
            raise SettingError(
                "FedNova was given a compressor and no steps=.",
                "It would send each owner's number of steps as one more number, and packing would drop or bend it.",
                "Say how many local steps a round counts for, such as steps=20: then the change alone is sent.",
            )
        super().check(federation, num_rounds, seed=seed, after=after)

    def _usual(self, setup: Setup) -> float:
        """How far the steps of an owner with an average number of rows reach: public, so what it scales hides nothing.

        Scaled by it, what owners send is as large as their changes, and no finer than the grid of the sum.
        """
        steps = (self.local_epochs or 2) * setup.rows / len(setup.owners) / (self.batch_size or 16)
        return reach_of(max(round(steps), 1), self.momentum, (self.lr or 0.1) * self.mu)

    def _parts(self, learner: Learner) -> Tensors:
        return learner.tensors if self.steps is not None else (*learner.tensors, ("local steps", 1))
