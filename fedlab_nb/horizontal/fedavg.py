"""Federated averaging: every owner trains on its own rows, the server averages what they learned.

Source: McMahan et al. 2017, "Communication-efficient learning of deep networks from decentralized data", Algorithm 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from fedlab_nb.cards import card, code, one_line
from fedlab_nb.errors import RoundError
from fedlab_nb.horizontal.checks import check, starting_weights
from fedlab_nb.horizontal.evaluate import evaluate, score_events
from fedlab_nb.horizontal.prepare import Setup, encoded, event, prepare
from fedlab_nb.horizontal.trained import trained
from fedlab_nb.learn import Architecture, Learner, TrainedModel
from fedlab_nb.parties import Federation, Rows
from fedlab_nb.parties.shown.trust import UPDATE, spending
from fedlab_nb.protect import OwnerLevelDP, RowLevelDP
from fedlab_nb.records import PrivacyEvent, Round, Scores, Spending, State, Update

# The largest change of one weight that an owner may send where nothing is clipped.
LARGEST_CHANGE = 64.0


@dataclass(frozen=True)
class FedAvg:
    """w <- w + sum_i weight_i * change_i / sum_i weight_i, over the owners i of a round.

    change_i is what ``local_epochs`` passes of gradient descent with learning rate ``lr`` over mini-batches of
    ``batch_size`` rows do to the weights at owner i; weight_i is its share of the rows, or 1 ("equal").

    With ``fl.RowLevelDP`` an owner makes one step a round instead, on the sum of its rows' clipped gradients: the noise
    then goes on the sum over all owners, and under encryption is little more than if the rows lay in one place.

    Left out, ``lr`` is 0.1 (2.0 at row level, where gradients are clipped), ``local_epochs`` 2, ``batch_size`` 16.
    """

    model: Architecture
    lr: float | None = None
    local_epochs: int | None = None
    batch_size: int | None = None
    weighting: Literal["rows", "equal"] | None = None

    @property
    def needs(self) -> tuple[str, ...]:
        """What it needs beyond a sum: row weights, where they were asked for."""
        return ("row weights",) if self.weighting == "rows" else ()

    def check(self, federation: Federation, num_rounds: int, after: Round | None = None) -> None:
        """Refuse, before anything leaves, what cannot work or could not keep its privacy claim.

        Raises:
            SettingError, RuleError, BudgetExceededError.
        """
        check(self, federation, num_rounds, after)

    def start(self, federation: Federation, *, num_rounds: int, seed: int) -> State:
        """Agree on how columns are read and how much noise there will be; begin with weights from ``seed``."""
        setup = prepare(federation, num_rounds, seed)
        weights = starting_weights(self.model, setup, seed)
        return State({"server": weights}, context=setup)

    def step(self, state: State, federation: Federation, number: int, cohort: Sequence[str], *, last: bool) -> State:
        """One round: the model goes out, changes come back as one sum, the server adds their mean."""
        setup: Setup = state.context  # type: ignore[assignment]
        weights, protect = state.weights["server"], federation.house.protect
        noise = self._noise(setup, protect)
        debits = self._debits(setup, federation, number, cohort, noise, last=last)
        if not cohort:
            federation.charge(debits)
            return state
        federation.tell("model", weights.astype(np.float32), number=number, to=cohort)
        learner, absent = self._learner(setup), federation.dropouts(number, setup.seed)
        noise_sd = noise * protect.clip if protect else 0.0
        if isinstance(protect, RowLevelDP):
            rows = setup.rows * len(cohort) / len(federation.names)
            total = federation.gather(
                "update",
                lambda _, owner: self._clipped(learner, weights, owner, setup, protect.clip),
                number=number,
                cohort=cohort,
                bound=1.0 + protect.clip * (2.0 * setup.rows + 100.0),
                noise_sd=noise_sd,
                debits=debits,
                absent=absent,
                tensors=learner.tensors,
            )
            return _moved(state, weights - self._lr(federation) * total.value / rows)
        total = federation.gather(
            "update",
            lambda name, owner: self._trained(learner, weights, owner, setup, federation, number, name),
            number=number,
            cohort=cohort,
            bound=1.0 + protect.clip if protect else LARGEST_CHANGE,
            noise_sd=noise_sd,
            clip=protect.clip if protect else None,
            debits=debits,
            absent=absent,
            tensors=learner.tensors,
        )
        return _moved(state, weights + total.mean)

    def settings(self, federation: Federation, state: State | None) -> dict[str, float]:
        """Learning rate, local epochs, sample rate, clip norm, noise multiplier and drop-out of the next round.

        At row level an owner makes one step a round, so that there are no local epochs to choose.
        """
        one_step = isinstance(federation.house.protect, RowLevelDP)
        own = {"lr": self._lr(federation)} | ({} if one_step else {"local_epochs": self.local_epochs or 2})
        setup = state.context if state is not None else None
        protect = federation.house.protect
        noise = {"noise_multiplier": self._noise(setup, protect)} if protect and isinstance(setup, Setup) else {}
        return {**own, **federation.house.settings, **noise}

    def evaluate(self, state: State, federation: Federation, number: int, *, last: bool) -> Scores:
        """The scores of the model on the rows that were held out."""
        setup: Setup = state.context  # type: ignore[assignment]
        return evaluate(federation, setup, self._learner(setup), state.weights["server"], number, last=last)

    def model_of(self, state: State) -> TrainedModel:
        """The model in this state, with the way it reads columns."""
        setup: Setup = state.context  # type: ignore[assignment]
        return trained(self.model, state.weights["server"], setup.encoding)

    def spending(self, federation: Federation, record: Round, num_rounds: int) -> Spending:
        """Where the budgets stand after ``record``, the verdict after round ``num_rounds`` set aside."""
        setup = record.state.context
        if not isinstance(setup, Setup) or setup.plan is None:
            return spending(federation)
        promised = [e for e in score_events(federation, setup, num_rounds, last=True) if e.mechanism == "geometric"]
        return spending(
            federation,
            self.releases(setup, federation, record.number + 1),
            promised if record.number < num_rounds else [],
            rounds_to_come=max(num_rounds - record.number, 0),
        )

    def releases(self, setup: Setup, federation: Federation, number: int, *, last: bool = False) -> list[PrivacyEvent]:
        """What an owner that takes part in round ``number`` will release."""
        noise = self._noise(setup, federation.house.protect)
        name = federation.names[0]
        return self._debits(setup, federation, number, [name], noise, last=last)[name]

    def _trained(
        self, learner: Learner, weights: np.ndarray, rows: Rows, setup: Setup, fed: Federation, number: int, name: str
    ) -> Update:
        """Beside the rows: local training; the change, times this owner's weight."""
        X, y = encoded(rows, setup.encoding, "training")
        rng = np.random.default_rng([setup.seed, number, fed.names.index(name), 2])
        change = learner.train(
            weights, X, y, lr=self._lr(fed), epochs=self.local_epochs or 2, batch_size=self.batch_size or 16, rng=rng
        )
        equal = isinstance(fed.house.protect, OwnerLevelDP) or self.weighting == "equal"
        weight = 1.0 if equal else len(X) / setup.rows
        return Update(change * weight, weight)

    def _clipped(self, learner: Learner, weights: np.ndarray, rows: Rows, setup: Setup, clip: float) -> Update:
        """Beside the rows: the sum of clipped row gradients. Its weight is public; the number of rows is not."""
        X, y = encoded(rows, setup.encoding, "training")
        return Update(learner.clipped_gradient(weights, X, y, clip=clip), 1.0)

    def _debits(
        self, setup: Setup, federation: Federation, number: int, cohort: Sequence[str], noise: float, *, last: bool
    ) -> dict[str, list[PrivacyEvent]]:
        scores = score_events(federation, setup, number, last=last)
        rows = "all" if setup.plan and setup.plan.unit == "owner" else "training"
        training = event(federation, number, UPDATE, rows, noise)
        return {name: [training, *scores] if name in cohort else scores for name in federation.names}

    @staticmethod
    def _noise(setup: Setup, protect: RowLevelDP | OwnerLevelDP | None) -> float:
        """The noise multiplier in force: the one that was chosen, else the one that the budget was calibrated to."""
        if setup.plan is None or protect is None:
            return 0.0
        return protect.noise_multiplier or setup.plan.training

    def __repr__(self) -> str:
        asked = {name: getattr(self, name) for name in ("lr", "local_epochs", "batch_size", "weighting")}
        chosen = "".join(f", {name}={value!r}" for name, value in asked.items() if value is not None)
        return one_line(f"FedAvg({self.model!r}{chosen})")

    def _repr_html_(self) -> str:
        return _strategy_card(self)

    def _lr(self, federation: Federation) -> float:
        return self.lr or (2.0 if isinstance(federation.house.protect, RowLevelDP) else 0.1)

    def _learner(self, setup: Setup) -> Learner:
        return Learner(self.model, setup.encoding.n_inputs, setup.encoding.n_outputs, setup.encoding.task)


def _strategy_card(strategy: FedAvg) -> str:
    """The formula and the settings, those that were left out with their default."""

    def chosen(value: object, default: str) -> str:
        return f"{default}, by default" if value is None else f"{value}, as chosen"

    equal = "1 for every owner" if strategy.weighting == "equal" else "the owner's share of all training rows"
    rows = [
        ("The formula", code("w ← w + Σ weight · change / Σ weight, over the owners of a round")),
        ("change", "what training on its own rows does to the weights w at one owner"),
        ("weight", f"{equal} (1 for every owner under fl.OwnerLevelDP)"),
        ("Model", one_line(repr(strategy.model))),
        ("Learning rate", chosen(strategy.lr, "0.1 (2.0 under fl.RowLevelDP)")),
        ("Local epochs", chosen(strategy.local_epochs, "2")),
        ("Batch size", chosen(strategy.batch_size, "16 rows")),
    ]
    note = "Under fl.RowLevelDP an owner makes one step a round on all its rows: no local epochs, no batches."
    return card("Federated averaging", rows, note)


def _moved(state: State, weights: np.ndarray) -> State:
    """The state with new weights.

    Raises:
        RoundError: if a weight is too large for the 32-bit numbers that models are made of.
    """
    if not np.abs(weights).max(initial=0.0) <= np.finfo(np.float32).max:
        raise RoundError(
            "server",
            "update",
            "After this round's step the model has weights beyond the range of 32-bit numbers.",
            "It could neither be sent nor be scored, so the model stays as it was.",
            "Lower the learning rate: the training diverged.",
        )
    return State({"server": weights}, state.memory, state.context)
