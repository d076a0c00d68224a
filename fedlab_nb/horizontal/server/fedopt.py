"""Adaptive steps at the server: the mean change of a round is taken for a gradient, each coordinate by its own scale.

Source: Reddi et al. 2021, "Adaptive federated optimization", Algorithm 2.
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

Floats = NDArray[np.float64]


@dataclass(frozen=True, repr=False)
class Adaptive(Averaging):
    """m <- beta1 * m + (1 - beta1) * change,  w <- w + server_lr * m / (sqrt(v) + tau);  change as in ``fl.FedAvg``.

    How v (p,) follows change^2 is what tells ``fl.FedAdagrad``, ``fl.FedAdam`` and ``fl.FedYogi`` apart. m begins at 0
    and v at tau^2, with no correction for it; ``tau`` > 0 bounds how much a coordinate that hardly moves is magnified.
    All of it happens to the sum at the server, so nothing more is sent than in federated averaging. Running statistics
    of batch normalisation are averaged plainly.

    Under noise, v holds the variance of the noise as well, and steps get shorter: choose a larger ``tau``.

    Source: Reddi et al. 2021, Algorithm 2; the change is weighted by rows as in federated averaging, where the paper's
    pseudocode takes the plain mean (``weighting="equal"``).
    """

    server_lr: float = field(default=0.03, kw_only=True)
    beta1: float = field(default=0.9, kw_only=True)
    tau: float = field(default=1e-3, kw_only=True)

    def second(self, v: Floats, square: Floats) -> Floats:  # noqa: ARG002 - for those that say
        """The scale v (p,) after a round whose change had the squares ``square`` (p,)."""
        raise TypeError(f"{type(self).__name__} does not say how v moves: use fl.FedAdam, for example.")

    def serve(self, state: State, mean: Floats, came: float) -> tuple[Floats, Memory]:  # noqa: ARG002
        """At the server: one adaptive step along the mean change."""
        setup: Setup = state.context  # type: ignore[assignment]
        p = self._learner(setup).parameters
        change = mean[:p]
        m = self.beta1 * state.memory.get("first moment", np.zeros(p)) + (1.0 - self.beta1) * change
        v = self.second(state.memory.get("second moment", np.full(p, self.tau**2)), change**2)
        step = self.server_lr * m / (np.sqrt(v) + self.tau)
        return state.weights["server"] + np.append(step, mean[p:]), {"first moment": m, "second moment": v}

    def check(self, federation: Federation, num_rounds: int, *, seed: int = 0, after: Round | None = None) -> None:
        """Refuse settings of the server's step that cannot work, and what no strategy could do.

        Raises:
            SettingError, RuleError, BudgetExceededError.
        """
        check_server_lr(self, example=f"{type(self).server_lr:g}")
        for name in ("beta1", "beta2"):
            if hasattr(self, name):
                why = "It is the part of the past that is kept; from 1 up nothing new would be learned."
                check_number(self, name, below=1.0, why=why, example=f"{getattr(type(self), name):g}")
        why = "It keeps coordinates that hardly move from being divided by nothing."
        check_number(self, "tau", above=True, why=why, example="0.001")
        super().check(federation, num_rounds, seed=seed, after=after)


@dataclass(frozen=True, repr=False)
class FedAdagrad(Adaptive):
    """v <- v + change^2,  w <- w + server_lr * m / (sqrt(v) + tau);  m = change where ``beta1`` is 0, as by default.

    Steps only ever get shorter, those of busy coordinates first. The rest is as in ``fl.FedAdam``.

    Source: Reddi et al. 2021, "Adaptive federated optimization", Algorithm 2; beta1 = 0 as in its experiments.
    """

    server_lr: float = field(default=0.1, kw_only=True)
    beta1: float = field(default=0.0, kw_only=True)

    title: ClassVar[str] = "Federated averaging with Adagrad at the server"
    formula: ClassVar[str] = "v ← v + change²,  w ← w + server_lr · m / (√v + tau)"

    def second(self, v: Floats, square: Floats) -> Floats:
        """The sum (p,) of all squares so far."""
        return v + square


@dataclass(frozen=True, repr=False)
class FedAdam(Adaptive):
    """v <- beta2 * v + (1 - beta2) * change^2,  w <- w + server_lr * m / (sqrt(v) + tau).

    m <- beta1 * m + (1 - beta1) * change, where change (d,) is the weighted mean of what a round's owners send, as in
    ``fl.FedAvg``. m begins at 0 and v at tau^2, with no correction for it; both (p,) stay at the server, so nothing
    more is sent. ``tau`` > 0 bounds how much a coordinate that hardly moves is magnified; under noise, whose variance
    is in v too, choose a larger one.

    Source: Reddi et al. 2021, "Adaptive federated optimization", Algorithm 2.
    """

    beta2: float = field(default=0.99, kw_only=True)

    title: ClassVar[str] = "Federated averaging with Adam at the server"
    formula: ClassVar[str] = "v ← beta2 · v + (1 − beta2) · change²,  w ← w + server_lr · m / (√v + tau)"

    def second(self, v: Floats, square: Floats) -> Floats:
        """The moving mean (p,) of the squares."""
        return self.beta2 * v + (1.0 - self.beta2) * square


@dataclass(frozen=True, repr=False)
class FedYogi(Adaptive):
    """v <- v - (1 - beta2) * change^2 * sign(v - change^2),  w <- w + server_lr * m / (sqrt(v) + tau).

    As ``fl.FedAdam``, but v moves towards change^2 by an amount that does not grow with v: after a large change it
    comes down more slowly than Adam's, and steps stay short for longer.

    Source: Reddi et al. 2021, "Adaptive federated optimization", Algorithm 2.
    """

    beta2: float = field(default=0.99, kw_only=True)

    title: ClassVar[str] = "Federated averaging with Yogi at the server"
    formula: ClassVar[str] = "v ← v − (1 − beta2) · change² · sign(v − change²),  w ← w + server_lr · m / (√v + tau)"

    def second(self, v: Floats, square: Floats) -> Floats:
        """The scale v (p,), moved towards the squares by a part of these."""
        return v - (1.0 - self.beta2) * square * np.sign(v - square)
