"""Federated averaging: every owner trains on its own rows, the server averages what they learned.

Source: McMahan et al. 2017, "Communication-efficient learning of deep networks from decentralized data", Algorithm 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from fedlab_nb.horizontal.averaging import Averaging, Floats, Memory
from fedlab_nb.horizontal.side.local import LocalRound
from fedlab_nb.records import State


@dataclass(frozen=True, repr=False)
class FedAvg(Averaging):
    """w <- w + sum_i weight_i * change_i / sum_i weight_i, over the owners i of a round.

    change_i is what ``local_epochs`` passes of gradient descent with learning rate ``lr`` over mini-batches of
    ``batch_size`` rows do to the weights at owner i; weight_i is its share of the rows, or 1 ("equal").

    With ``fl.RowLevelDP`` an owner makes one step a round instead, on the sum of its rows' clipped gradients: the noise
    then goes on the sum over all owners, and under encryption is little more than if the rows lay in one place. With
    ``fl.OwnerLevelDP`` the sum of the clipped changes is divided by the number of owners to be expected in a round.

    Left out, ``lr`` is 0.1 (2.0 at row level, where gradients are clipped), ``local_epochs`` 2, ``batch_size`` 16.
    ``momentum`` and ``weight_decay`` are those of the local steps. ``executor`` says how the owners of a round are
    computed: one by one ("sequential"), as one batch of models ("stacked"), or whichever is faster here ("auto").
    """

    title: ClassVar[str] = "Federated averaging"
    formula: ClassVar[str] = "w ← w + Σ weight · change / Σ weight, over the owners of a round"

    def local(self, at: LocalRound) -> dict[str, Floats]:
        """Beside the rows: train the model that was sent, and send what that did to its weights."""
        return at.changes(self.rule(at.lr))

    def serve(self, state: State, mean: Floats, came: float) -> tuple[Floats, Memory]:  # noqa: ARG002 - some need it
        """At the server: add the mean of what was sent."""
        return state.weights["server"] + mean, {}
