"""FedProx: an owner's local steps are held near the model that it was sent.

Source: Li et al. 2020, "Federated optimization in heterogeneous networks", equation 2 and Algorithm 2.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from fedlab_nb.horizontal.averaging import Averaging
from fedlab_nb.horizontal.side.ranges import check_number
from fedlab_nb.learn import SGD
from fedlab_nb.parties import Federation
from fedlab_nb.records import Round


@dataclass(frozen=True, repr=False)
class FedProx(Averaging):
    """Owner i lowers  loss_i(v) + mu / 2 * |v - w|^2  instead of its loss; the server averages as ``fl.FedAvg`` does.

    w (d,) is the model that was sent. A larger ``mu`` holds local models closer to it and to each other, and learns
    less a round; with ``mu`` 0 it is ``fl.FedAvg``. Where owners make few local steps it changes little, and the
    accuracy that is reached is often no better than that of federated averaging.
    """

    mu: float = field(default=0.1, kw_only=True)

    title: ClassVar[str] = "FedProx: federated averaging with a proximal term"
    formula: ClassVar[str] = "an owner lowers loss(v) + mu/2 · |v − w|²;  w ← w + Σ weight · (v − w) / Σ weight"
    one_step: ClassVar[bool] = False

    def rule(self, lr: float) -> SGD:
        """One local step, with the pull back to the model that was sent."""
        return SGD(lr, self.momentum, self.weight_decay, prox=self.mu)

    def check(self, federation: Federation, num_rounds: int, *, seed: int = 0, after: Round | None = None) -> None:
        """Refuse a ``mu`` that would push away, and what no strategy could do.

        Raises:
            SettingError, RuleError, BudgetExceededError.
        """
        check_number(self, "mu", why="It says how strongly local models are pulled to the common one.", example="0.1")
        super().check(federation, num_rounds, seed=seed, after=after)
