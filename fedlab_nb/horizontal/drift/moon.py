"""MOON: what an owner's model makes of a row is to resemble what the common model makes of it.

Source: Li, He and Song 2021, "Model-contrastive federated learning", equation 3 and Algorithm 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.errors import SettingError
from fedlab_nb.horizontal.averaging import Averaging
from fedlab_nb.horizontal.prepare import Setup
from fedlab_nb.horizontal.side.local import LocalRound
from fedlab_nb.horizontal.side.ranges import check_number
from fedlab_nb.learn import SGD, Batch
from fedlab_nb.parties import Federation
from fedlab_nb.records import Round, State

# A torch tensor with the owners as first axis: torch itself stays in its room.
Tensor = Any

# Representations shorter than this are taken to have this length: one that is all zeros has no direction.
SHORTEST = 1e-8


@dataclass(frozen=True, repr=False)
class MOON(Averaging):
    """Owner i lowers  loss_i + mu * contrast  instead of its loss; the server averages as ``fl.FedAvg`` does.

        contrast = -log( e^(cos(z, z_glob) / T) / (e^(cos(z, z_glob) / T) + e^(cos(z, z_prev) / T)) ),  mean over rows

    z (h,) is what the last linear layer gets for a row in the model that is being trained, z_glob in the model that was
    sent, z_prev in the model that the owner had trained when it last took part; T is the ``temperature``. The previous
    model stays with its owner, and in an owner's first round it is the model that was sent: the contrast then has no
    gradient. Each local step looks at its rows with three models, and so takes about twice as long.
    """

    mu: float = field(default=1.0, kw_only=True)
    temperature: float = field(default=0.5, kw_only=True)

    title: ClassVar[str] = "MOON: model-contrastive averaging"
    formula: ClassVar[str] = (
        "an owner lowers loss + mu · contrast(z, z_glob, z_prev);  w ← w + Σ weight · change / Σ weight"
    )
    one_step: ClassVar[bool] = False
    stateless: ClassVar[bool] = False

    @property
    def needs(self) -> tuple[str, ...]:
        """Something that each owner keeps, and what averaging needs."""
        return (*super().needs, "owner state")

    def start(self, federation: Federation, *, num_rounds: int, seed: int) -> State:
        """Begin as averaging does, with a model that has something to compare.

        Raises:
            SettingError: if the model is a single layer.
        """
        state = super().start(federation, num_rounds=num_rounds, seed=seed)
        setup: Setup = state.context  # type: ignore[assignment]
        if self._learner(setup).coordinates("head")[: self._learner(setup).parameters].all():
            raise SettingError(
                f"MOON was given {self.model!r}, a model with a single layer.",
                "It compares what models make of a row before their last layer, and here that is the row itself.",
                "Use a model with a hidden layer, such as fl.models.mlp(16), or another strategy.",
            )
        return state

    def local(self, at: LocalRound) -> dict[str, NDArray[np.float64]]:
        """Beside the rows: train with the contrast, keep the trained model for next time, send the change."""
        rule = Contrast(self.rule(at.lr), self.mu, self.temperature)
        ends = at.train(rule, anchor=at.own("previous model", at.weights))
        for name, end in ends.items():
            at.keep(name, **{"previous model": end.weights})
        return {name: end.weights - at.weights for name, end in ends.items()}

    def check(self, federation: Federation, num_rounds: int, *, seed: int = 0, after: Round | None = None) -> None:
        """Refuse a contrast that would push the wrong way, and what no strategy could do.

        Raises:
            SettingError, RuleError, BudgetExceededError.
        """
        check_number(self, "mu", why="It says how much the contrast counts beside the loss.", example="1.0")
        why = "Similarities are divided by it: the smaller, the more the contrast looks at small differences."
        check_number(self, "temperature", above=True, why=why, example="0.5")
        super().check(federation, num_rounds, seed=seed, after=after)


@dataclass(frozen=True)
class Contrast:
    """One local step of MOON: that of ``sgd``, on the loss and ``mu`` times the contrast.

    A job's anchor is the owner's previous model.
    """

    sgd: SGD
    mu: float
    temperature: float

    def begin(self, w: Tensor) -> dict[str, Tensor]:
        """The model that was sent (K, p), and what ``sgd`` keeps."""
        return {"sent": w.clone(), **self.sgd.begin(w)}

    def step(self, w: Tensor, batch: Batch, kept: Mapping[str, Tensor]) -> None:
        """One step of K owners at once."""
        z_glob, z_prev = batch.representation(kept["sent"]), batch.representation(batch.anchor)

        def pull(z: Tensor) -> Tensor:
            return self.mu * contrast_gradient(z, z_glob, z_prev, self.temperature)

        self.sgd.move(w, batch.gradient(w, pull), batch, kept)


def contrast_gradient(z: Tensor, z_glob: Tensor, z_prev: Tensor, temperature: float) -> Tensor:
    """The gradient (..., h) at z of  log(1 + e^((cos(z, z_prev) - cos(z, z_glob)) / temperature)),  the contrast."""
    near, away = _unit(z_glob), _unit(z_prev)
    own, length = _unit(z), _length(z)
    apart = (own * (away - near)).sum(-1, keepdim=True)
    # Of a cosine, only what is at a right angle to z changes it.
    return (apart / temperature).sigmoid() / temperature * ((away - near) - apart * own) / length


def _length(z: Tensor) -> Tensor:
    return z.norm(dim=-1, keepdim=True).clamp(min=SHORTEST)


def _unit(z: Tensor) -> Tensor:
    return z / _length(z)
