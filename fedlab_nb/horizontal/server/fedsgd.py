"""Federated gradient descent: every owner makes one step on all of its rows, the server takes their mean.

Source: McMahan et al. 2017, "Communication-efficient learning of deep networks from decentralized data", section 2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.errors import SettingError
from fedlab_nb.horizontal.averaging import Averaging
from fedlab_nb.horizontal.side.local import LocalRound
from fedlab_nb.parties import Federation
from fedlab_nb.records import Round, State


@dataclass(frozen=True, repr=False)
class FedSGD(Averaging):
    """w <- w - lr * sum_i weight_i * gradient_i / sum_i weight_i, over the owners i of a round.

    gradient_i (d,) is that of owner i's mean loss over all of its training rows; weight_i is its share of the rows, or
    1 ("equal"). Where all owners take part and count by their rows, a round is one step of gradient descent on the
    rows of all of them: what ``fl.FedAvg`` is with one local epoch and batches of all rows.

    It is the slowest in rounds, and what the others are measured against: it has no local steps, so no client drift.
    """

    title: ClassVar[str] = "Federated gradient descent"
    formula: ClassVar[str] = "w ← w − lr · Σ weight · gradient / Σ weight, over the owners of a round"

    def local(self, at: LocalRound) -> dict[str, NDArray[np.float64]]:
        """Beside the rows: one step on all of them, and what it did to the weights."""
        at.batch_size = None  # all rows of an owner in one step
        return at.changes(self.rule(at.lr), epochs=1)

    def check(self, federation: Federation, num_rounds: int, *, seed: int = 0, after: Round | None = None) -> None:
        """Refuse what would need several local steps, and what no strategy could do.

        Raises:
            SettingError, RuleError, BudgetExceededError.
        """
        for name, without in (("local_epochs", None), ("batch_size", None), ("momentum", 0.0)):
            if getattr(self, name) != without:
                raise SettingError(
                    f"FedSGD has {name}={getattr(self, name)!r}.",
                    "An owner makes one step a round, on all of its rows: there is nothing that this could change.",
                    f"Leave {name} out; fl.FedAvg makes several local steps, fl.FedAvgM has momentum at the server.",
                )
        super().check(federation, num_rounds, seed=seed, after=after)

    def settings(self, federation: Federation, state: State | None) -> dict[str, float]:
        """Those of averaging, without local epochs."""
        return {k: v for k, v in super().settings(federation, state).items() if k != "local_epochs"}
