"""SCAFFOLD: each owner corrects its local steps by how its own gradient differs from that of all.

Source: Karimireddy et al. 2020, "SCAFFOLD: stochastic controlled averaging for federated learning", Algorithm 1 with
option II, equations 3 to 5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.channel.opening import Tensors
from fedlab_nb.compress import SignSGD
from fedlab_nb.errors import SettingError
from fedlab_nb.horizontal.averaging import Averaging, Memory
from fedlab_nb.horizontal.drift.steps import reach_of
from fedlab_nb.horizontal.side.local import LocalRound
from fedlab_nb.horizontal.side.ranges import check_server_lr
from fedlab_nb.learn import Learner
from fedlab_nb.parties import Federation
from fedlab_nb.records import Round, State

Floats = NDArray[np.float64]


@dataclass(frozen=True, repr=False)
class SCAFFOLD(Averaging):
    """Local steps  v <- v - lr * (gradient_i(v) - c_i + c),  from the model w that was sent.

        c_i <- c_i - c + (w - v) / (K * lr),  w <- w + server_lr * mean(v - w),  c <- c + came * mean(change of c_i)

    K is the number of owner i's local steps (with ``momentum``: how far they reach, see ``steps.reach_of``), and came
    the part of all owners that took part. c_i (p,) stays with owner i and estimates its gradient; c (p,) is their mean.
    Both begin at zero, so that the first round is federated averaging. Owners count the same: c is the plain mean over
    all owners. Running statistics of batch normalisation are averaged plainly.

    It sends twice as much as ``fl.FedAvg``, both ways: an owner's change and that of its control variate travel as one
    vector, so that one sum hides both, and with ``fl.OwnerLevelDP`` one clip bounds both.
    """

    weighting: Literal["rows", "equal"] | None = "equal"
    server_lr: float = field(default=1.0, kw_only=True)

    title: ClassVar[str] = "SCAFFOLD: averaging with control variates"
    formula: ClassVar[str] = "v ← v − lr · (gradient − own c + c);  w ← w + server_lr · mean(v − w)"
    one_step: ClassVar[bool] = False
    stateless: ClassVar[bool] = False

    @property
    def needs(self) -> tuple[str, ...]:
        """A second vector from each owner, and something that each keeps."""
        return (*super().needs, "control variates", "owner state")

    def step(self, state: State, federation: Federation, number: int, cohort: Sequence[str], *, last: bool) -> State:
        """One round; the common control variate goes out with the model."""
        if cohort and "control" in state.memory:  # until it is there, it is zero
            federation.tell("control variate", state.memory["control"].astype(np.float32), number=number, to=cohort)
        return super().step(state, federation, number, cohort, last=last)

    def local(self, at: LocalRound) -> dict[str, Floats]:
        """Beside the rows: train with the correction, and send both the change and that of the own control variate."""
        nothing = np.zeros(at.parameters)
        common = at.state.memory.get("control", nothing).astype(np.float32).astype(np.float64)
        own, sent = at.own("control", nothing), {}
        ends = at.train(self.rule(at.lr), offset={name: common - c for name, c in own.items()})
        for name, end in ends.items():
            change = end.weights - at.weights
            reach = at.lr * reach_of(end.steps, self.momentum)
            # Without rows there is no step, and nothing to estimate.
            control = own[name] - common - change[: nothing.size] / reach if reach else own[name]
            at.keep(name, control=control)
            sent[name] = np.append(change, control - own[name])
        return sent

    def shown(self, state: State, name: str) -> dict[str, Floats]:  # noqa: ARG002 - the same for all
        """The common control variate, as it is told."""
        told = state.memory.get("control")
        return {} if told is None else {"control": told.astype(np.float32).astype(np.float64)}

    def serve(self, state: State, mean: Floats, came: float) -> tuple[Floats, Memory]:
        """At the server: move the model, and the common control variate by the part of the owners that came."""
        weights = state.weights["server"]
        change, control = np.split(mean, [weights.size])
        p = control.size
        new = weights + np.append(self.server_lr * change[:p], change[p:])
        return new, {"control": state.memory.get("control", np.zeros(p)) + came * control}

    def check(self, federation: Federation, num_rounds: int, *, seed: int = 0, after: Round | None = None) -> None:
        """Refuse owners that count by their rows, a server step that leads nowhere, and what averaging refuses.

        Raises:
            SettingError, RuleError, BudgetExceededError.
        """
        check_equal(self, "the common control variate is the plain mean over all owners")
        check_server_lr(self, example="1.0")
        if isinstance(self.compress, SignSGD):
            raise SettingError(
                "SCAFFOLD was given the compressor SignSGD.",
                "Of control variates too only signs would be left: all steps would be corrected by one size.",
                "Use another compressor, such as fl.compress.TopK(0.1), or fl.FedAvg with SignSGD.",
            )
        super().check(federation, num_rounds, seed=seed, after=after)

    def _parts(self, learner: Learner) -> Tensors:
        changes, left = learner.tensors, learner.parameters
        controls = []
        for name, size in changes:
            if left >= size:
                controls.append((f"control variate of {name}", size))
                left -= size
        return (*changes, *controls)


def check_equal(strategy: Averaging, why: str) -> None:
    """Refuse owners that count by their rows, where what they keep is only right for those that count the same.

    Raises:
        SettingError.
    """
    if strategy.weighting != "equal":
        raise SettingError(
            f"{type(strategy).__name__} has weighting={strategy.weighting!r}.",
            f"Owners count the same in it: {why}.",
            'Leave weighting out, or use weighting="equal".',
        )
