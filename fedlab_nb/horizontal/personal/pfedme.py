"""pFedMe: an owner's own model is the best one near the common model, and the common model moves towards it.

Source: Dinh, Tran and Nguyen 2020, "Personalized federated learning with Moreau envelopes", Algorithm 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np

from fedlab_nb.horizontal.averaging import Memory
from fedlab_nb.horizontal.personal.kept import Floats, Personal
from fedlab_nb.horizontal.side.local import LocalRound
from fedlab_nb.horizontal.side.ranges import check_number
from fedlab_nb.learn import Batch
from fedlab_nb.parties import Federation
from fedlab_nb.records import Round, State
from fedlab_nb.settings import check_setting, is_whole

# A torch tensor; only the room "learn" knows torch.
Tensor = Any


@dataclass(frozen=True)
class Envelope:
    """One local step of pFedMe, for a minibatch B and the local model w.

    theta <- about the lowest point of  loss(theta; B) + lam / 2 * |theta - w|^2,  by ``inner_steps`` steps from w
    w     <- w - lr * lam * (w - theta)
    """

    lr: float
    lam: float
    inner_lr: float
    inner_steps: int

    def begin(self, w: Tensor) -> dict[str, Tensor]:
        """The own model theta (K, p)."""
        return {"theta": w.clone()}

    def step(self, w: Tensor, batch: Batch, kept: Mapping[str, Tensor]) -> None:
        """One step of K owners at once."""
        theta = kept["theta"]
        theta.copy_(w)
        for _ in range(self.inner_steps):
            theta.sub_(batch.gradient(theta).add_(theta - w, alpha=self.lam), alpha=self.inner_lr)
        w.sub_(w - theta, alpha=self.lr * self.lam)


@dataclass(frozen=True, repr=False)
class PFedMe(Personal):
    """Lowers the mean over owners of F_i(w) = min over theta of  loss_i(theta) + lam / 2 * |theta - w|^2.

        theta_i <- the inner minimum on a minibatch, by ``inner_steps`` steps of size ``inner_lr``
        w_i     <- w_i - lr * lam * (w_i - theta_i), for each minibatch;  w <- w + beta * mean(w_i - w)

    The last theta_i is the owner's own model, and stays with it; only w_i - w is sent. As in the paper, owners count
    the same unless ``weighting`` says "rows", and ``lr`` is small; each minibatch takes ``inner_steps`` gradients.
    Owners of the round alone take steps: in the paper all do, and the server asks some of them.
    """

    lr: float | None = 0.005
    weighting: Literal["rows", "equal"] | None = "equal"
    lam: float = field(default=15.0, kw_only=True)
    inner_lr: float = field(default=0.05, kw_only=True)
    inner_steps: int = field(default=5, kw_only=True)
    beta: float = field(default=1.0, kw_only=True)

    title: ClassVar[str] = "pFedMe: own models from Moreau envelopes"
    formula: ClassVar[str] = "own theta lowers loss + lam/2 · |theta − w|²;  w ← w − lr · lam · (w − theta), averaged"

    def local(self, at: LocalRound) -> dict[str, Floats]:
        """Beside the rows: move the local model towards the own one, keep the own one, send the change."""
        sent = {}
        for name, end in at.train(Envelope(at.lr, self.lam, self.inner_lr, self.inner_steps)).items():
            # Without rows there is no step, and the own model is the common one.
            theta = end.kept["theta"] if end.steps else end.weights[: at.parameters]
            at.keep(name, personal=np.append(theta, end.weights[at.parameters :]))
            sent[name] = end.weights - at.weights
        return sent

    def serve(self, state: State, mean: Floats, came: float) -> tuple[Floats, Memory]:  # noqa: ARG002
        """At the server: go a part ``beta`` of the way to the mean of the local models."""
        return state.weights["server"] + self.beta * mean, {}

    def check(self, federation: Federation, num_rounds: int, *, seed: int = 0, after: Round | None = None) -> None:
        """Refuse numbers with which the steps overshoot, or that its steps know nothing of.

        Raises:
            SettingError, RuleError, BudgetExceededError.
        """
        super().check(federation, num_rounds, seed=seed, after=after)
        check_plain(self)
        why = "It is how strongly own models are held near the common one; from 2 / lr on, steps overshoot."
        check_number(self, "lam", above=True, below=2.0 / self._lr(federation), why=why, example="15.0")
        why = "It is the step of the own model; from 2 / lam on, steps overshoot."
        check_number(self, "inner_lr", above=True, below=2.0 / self.lam, why=why, example="0.05")
        why = "It is how far the server goes to the mean of the local models, and 1 is the whole way."
        check_number(self, "beta", above=True, why=why, example="1.0")
        check_setting(
            "PFedMe",
            "inner_steps",
            self.inner_steps,
            fits=is_whole(self.inner_steps, least=1),
            wanted="a whole number from 1 up",
            why="So many steps find the own model on each minibatch.",
            example="5",
        )


def check_plain(strategy: Personal) -> None:
    """Refuse momentum and weight decay, where local steps are the paper's own and have neither.

    Raises:
        SettingError.
    """
    for name in ("momentum", "weight_decay"):
        value = getattr(strategy, name)
        check_setting(
            type(strategy).__name__,
            name,
            value,
            fits=value == 0,
            wanted="0",
            why="Its local steps are of a kind of their own, which has none, and it would be left out in silence.",
            example="0, or leave it out",
        )
