"""q-FFL: owners whose loss is larger count for more, by a power of their loss.

Source: Li et al. 2020, "Fair resource allocation in federated learning", equation 2 and Algorithm 2 (q-FedAvg).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.channel.opening import Tensors
from fedlab_nb.horizontal.averaging import Averaging, Memory
from fedlab_nb.horizontal.side.local import LocalRound
from fedlab_nb.horizontal.side.ranges import check_number
from fedlab_nb.learn import Learner
from fedlab_nb.parties import Federation
from fedlab_nb.records import Round, State
from fedlab_nb.settings import check_setting

Floats = NDArray[np.float64]

# A loss of 0 has no negative power.
SMALLEST_LOSS = 1e-10
# Powers of losses, in units of what is usual among the owners: an outlier may lie far above.
LARGEST_POWER = 1024.0


@dataclass(frozen=True, repr=False)
class QFFL(Averaging):
    """Lowers  sum_i weight_i * F_i(w)^(q + 1) / (q + 1),  with F_i(w) owner i's mean loss over its training rows.

        D_i = F_i^q * (w_i - w),  h_i = q * F_i^(q - 1) * |w_i - w|^2 / lr + F_i^q
        w <- w + sum_i weight_i * D_i / sum_i weight_i * h_i

    w_i is what local steps from w lead to, F_i the loss at w, and 1 / lr stands for how curved the losses are. With
    ``q=0`` it is ``fl.FedAvg``; the larger ``q``, the more alike the owners' losses, at the cost of the mean of all.
    ``round.spread`` has the lowest and the highest score among the owners.

    The server adds up D_i and h_i as one vector and reads no owner's loss. Losses count in units of what was usual in
    the round before, which cancels in the step; owners are told that unit. With ``fl.OwnerLevelDP`` D_i and h_i are
    clipped together; where noise leaves no positive sum of h_i, the model stays as it is.
    """

    q: float = field(default=1.0, kw_only=True)

    title: ClassVar[str] = "q-FFL: larger losses count for more"
    formula: ClassVar[str] = "w ← w + Σ loss^q · change / Σ (q · loss^(q−1) · |change|²/lr + loss^q)"
    one_step: ClassVar[bool] = False
    stateless: ClassVar[bool] = False
    reach: ClassVar[float] = LARGEST_POWER

    @property
    def needs(self) -> tuple[str, ...]:
        """Owners that count by their own loss, and what averaging needs."""
        return (*super().needs, "loss weights")

    def step(self, state: State, federation: Federation, number: int, cohort: Sequence[str], *, last: bool) -> State:
        """One round of averaging, after the owners were told in which unit losses count."""
        federation.tell("unit of losses", np.array([_unit(state)], dtype=np.float32), number=number, to=cohort)
        return super().step(state, federation, number, cohort, last=last)

    def shown(self, state: State, name: str) -> dict[str, Floats]:  # noqa: ARG002 - the same for all
        """The unit that losses count in."""
        return {"unit of losses": np.array([_unit(state)])}

    def local(self, at: LocalRound) -> dict[str, Floats]:
        """Beside the rows: train; send the change and its weight, both times a power of the own loss."""
        unit, losses, sent = _unit(at.state), at.losses(), {}
        for name, end in at.train(self.rule(at.lr)).items():
            change = end.weights - at.weights
            length = float(np.sum(change[: at.parameters] ** 2))
            loss = max(losses[name] / unit, SMALLEST_LOSS)
            h = self.q * loss ** (self.q - 1.0) * length / (at.lr * unit) + loss**self.q
            sent[name] = np.append(loss**self.q * change, h)
        return sent

    def serve(self, state: State, mean: Floats, came: float) -> tuple[Floats, Memory]:  # noqa: ARG002
        """At the server: divide the one sum by the other."""
        change, h = mean[:-1], float(mean[-1])
        if h <= 0.0:
            return state.weights["server"], {}
        # A power mean of the owners' losses, a little above it for the first term of h.
        unit = _unit(state) * (h ** (1.0 / self.q) if self.q else 1.0)
        return state.weights["server"] + change / h, {"unit of losses": np.array([np.float32(unit)], dtype=np.float64)}

    def check(self, federation: Federation, num_rounds: int, *, seed: int = 0, after: Round | None = None) -> None:
        """Refuse a ``q`` that is no number from 0 up, what cannot be divided, and what averaging refuses.

        Raises:
            SettingError, RuleError, BudgetExceededError.
        """
        check_number(self, "q", why="It is the power by which an owner counts for its loss.", example="1.0")
        check_sums(self)
        super().check(federation, num_rounds, seed=seed, after=after)

    def _parts(self, learner: Learner) -> Tensors:
        return (*learner.tensors, ("weight by loss", 1))


def _unit(state: State) -> float:
    """What losses are divided by before powers are taken: they stay in range so, and the step is the same."""
    return float(state.memory.get("unit of losses", np.ones(1))[0])


def check_sums(strategy: Averaging) -> None:
    """Refuse rules and compressors, where what owners send is two sums, of which one divides the other.

    Raises:
        SettingError.
    """
    for name in ("aggregate", "groups", "compress"):
        check_setting(
            type(strategy).__name__,
            name,
            getattr(strategy, name),
            fits=getattr(strategy, name) is None,
            wanted="None",
            why="Its step is one sum over owners divided by another, and a rule or a compressor would part the two.",
            example="None, or leave it out",
        )
