"""Federated averaging with momentum at the server: a round goes on in the direction of the rounds before it.

Source: Hsu, Qi and Brown 2019, "Measuring the effects of non-identical data distribution for federated visual
classification", section 4.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.horizontal.averaging import Averaging, Memory
from fedlab_nb.horizontal.prepare import Setup
from fedlab_nb.horizontal.side.ranges import check_number, check_server_lr
from fedlab_nb.parties import Federation
from fedlab_nb.records import Round, State


@dataclass(frozen=True, repr=False)
class FedAvgM(Averaging):
    """m <- server_momentum * m + change,  w <- w + server_lr * m;  change as in ``fl.FedAvg``.

    change (d,) is the weighted mean of what a round's owners send; m (p,) stays at the server and begins at zero, so
    nothing more is sent than in federated averaging. Running statistics of batch normalisation are averaged plainly.
    ``momentum`` is that of the owners' local steps, another thing. With ``server_momentum`` 0 and ``server_lr`` 1 it is
    ``fl.FedAvg``; in the long run a step is up to server_lr / (1 - server_momentum) times as long.
    """

    server_lr: float = field(default=1.0, kw_only=True)
    server_momentum: float = field(default=0.9, kw_only=True)

    title: ClassVar[str] = "Federated averaging with server momentum"
    formula: ClassVar[str] = "m ← server_momentum · m + change,  w ← w + server_lr · m"

    def serve(self, state: State, mean: NDArray[np.float64], came: float) -> tuple[NDArray[np.float64], Memory]:  # noqa: ARG002
        """At the server: gather momentum, and move by it."""
        setup: Setup = state.context  # type: ignore[assignment]
        p = self._learner(setup).parameters
        momentum = self.server_momentum * state.memory.get("momentum", np.zeros(p)) + mean[:p]
        return state.weights["server"] + np.append(self.server_lr * momentum, mean[p:]), {"momentum": momentum}

    def check(self, federation: Federation, num_rounds: int, *, seed: int = 0, after: Round | None = None) -> None:
        """Refuse a server step that leads nowhere or grows for ever, and what no strategy could do.

        Raises:
            SettingError, RuleError, BudgetExceededError.
        """
        check_server_lr(self, example="1.0")
        why = "It is the part of its last step that the server goes on with; from 1 up steps would never shrink."
        check_number(self, "server_momentum", below=1.0, why=why, example="0.9")
        super().check(federation, num_rounds, seed=seed, after=after)
