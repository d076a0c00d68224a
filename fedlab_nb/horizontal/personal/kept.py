"""What strategies with models of each owner's own have in common: the model that an owner keeps, and the part it sends.

Source: Arivazhagan et al. 2019, "Federated learning with personalization layers", Algorithms 1 and 2, for a part of the
model that stays at home.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.aggregate import FLTrust
from fedlab_nb.channel.opening import Tensors
from fedlab_nb.errors import SettingError
from fedlab_nb.horizontal.averaging import Averaging, Memory
from fedlab_nb.horizontal.prepare import Setup
from fedlab_nb.horizontal.side.local import LocalRound, kept
from fedlab_nb.learn import Learner
from fedlab_nb.parties import Federation
from fedlab_nb.records import Round, State

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, repr=False)
class Personal(Averaging):
    """Averaging in which each owner keeps a model of its own beside the common one.

    It never leaves its owner. In a notebook, where all owners live in one process, it is part of the run's state.
    """

    one_step: ClassVar[bool] = False
    stateless: ClassVar[bool] = False

    @property
    def needs(self) -> tuple[str, ...]:
        """A model of each owner's own, and what averaging needs."""
        return (*super().needs, "personal models")

    def has_personal(self, state: State) -> bool:
        """True if an owner has taken part by now."""
        setup: Setup = state.context  # type: ignore[assignment]
        return any(kept("personal", name) in state.memory for name in setup.owners)

    def personal(self, state: State) -> Mapping[str, Floats]:
        """Each owner's own model (d,), of those that have taken part by now."""
        setup: Setup = state.context  # type: ignore[assignment]
        found = {name: state.memory.get(kept("personal", name)) for name in setup.owners}
        return {name: weights for name, weights in found.items() if weights is not None}


@dataclass(frozen=True, repr=False)
class PartAtHome(Personal):
    """Averaging of a part of the model; the other part stays at home, each owner's own, and is never sent.

    An owner's own model is the common part with its own other part. The common model has that other part as it was at
    the start: nobody trains it.
    """

    def home(self, learner: Learner) -> Mask:
        """Which of the weights (d,) stay at home; here none."""
        return np.zeros(sum(size for _, size in learner.tensors), dtype=bool)

    def refuse(self, home: Mask) -> None:
        """Refuse a division of the model that leaves nothing to send.

        Raises:
            SettingError: saying what to change.
        """
        if home.all():
            raise SettingError(
                f"In {type(self).__name__} all {home.size} weights of {self.model!r} would stay at home.",
                "Nothing would be sent, so that the owners would not learn from each other.",
                "Use a model with more layers, such as fl.models.mlp(), or keep fewer of them at home.",
            )

    def begin(self, at: LocalRound) -> dict[str, Floats]:
        """The model (d,) that each owner begins its round with: the common part that was sent, its own other part."""
        home = self.home(at.learner)
        return {name: np.where(home, own, at.weights) for name, own in at.own("personal", at.weights).items()}

    def trained(self, at: LocalRound) -> dict[str, Floats]:
        """Each owner's model (d,) after its local steps."""
        return {name: end.weights for name, end in at.train(self.rule(at.lr), start=self.begin(at)).items()}

    def local(self, at: LocalRound) -> dict[str, Floats]:
        """Beside the rows: train the own model, keep it, send what that did to the common part."""
        shared, sent = ~self.home(at.learner), {}
        for name, weights in self.trained(at).items():
            at.keep(name, personal=weights)
            sent[name] = (weights - at.weights)[shared]
        return sent

    def serve(self, state: State, mean: Floats, came: float) -> tuple[Floats, Memory]:  # noqa: ARG002
        """At the server: add the mean change to the common part."""
        new = state.weights["server"].copy()
        new[~self._home(state)] += mean
        return new, {}

    def personal(self, state: State) -> Mapping[str, Floats]:
        """Each owner's own model (d,): the newest common part, and what it keeps at home."""
        home, common = self._home(state), state.weights["server"]
        return {name: np.where(home, own, common) for name, own in super().personal(state).items()}

    def start(self, federation: Federation, *, num_rounds: int, seed: int) -> State:
        """As averaging starts, once the columns tell which weights there are.

        Raises:
            SettingError: if nothing, or everything, would stay at home.
        """
        state = super().start(federation, num_rounds=num_rounds, seed=seed)
        self.refuse(self._home(state))
        return state

    def check(self, federation: Federation, num_rounds: int, *, seed: int = 0, after: Round | None = None) -> None:
        """Refuse what averaging refuses, and another division of the model that leaves nothing to send.

        Raises:
            SettingError, RuleError, BudgetExceededError.
        """
        super().check(federation, num_rounds, seed=seed, after=after)
        if isinstance(self.aggregate, FLTrust):
            raise SettingError(
                f"{type(self).__name__} was given the rule FLTrust.",
                "The server would compare whole models of its own with updates that lack the part kept at home.",
                "Use another rule, such as fl.aggregate.Median(), or fl.FedAvg with FLTrust.",
            )
        if after is not None:
            self.refuse(self._home(after.state))

    def _home(self, state: State) -> Mask:
        setup: Setup = state.context  # type: ignore[assignment]
        return self.home(self._learner(setup))

    def _parts(self, learner: Learner) -> Tensors:
        cuts = np.cumsum([size for _, size in learner.tensors])[:-1]
        away = np.split(~self.home(learner), cuts)
        return tuple((name, size) for (name, size), sent in zip(learner.tensors, away, strict=True) if sent.all())
