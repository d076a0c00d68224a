"""Federated averaging: every owner trains on its own rows, the server averages what they learned.

Source: McMahan et al. 2017, "Communication-efficient learning of deep networks from decentralized data", Algorithm 1.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from fedlab_nb.cards import card, code, one_line
from fedlab_nb.data.declared import describe
from fedlab_nb.errors import RoundError
from fedlab_nb.horizontal.checks import check, starting_weights
from fedlab_nb.horizontal.evaluate import VERDICT, evaluate, score_events
from fedlab_nb.horizontal.noise import event, noise_plan
from fedlab_nb.horizontal.owner_level import check_adaptive, clip_setting, owners_step
from fedlab_nb.horizontal.prepare import Setup, encoded, prepare
from fedlab_nb.horizontal.trained import trained
from fedlab_nb.learn import Architecture, Learner, TrainedModel
from fedlab_nb.learn.models import Layers
from fedlab_nb.parties import Federation, Rows
from fedlab_nb.parties.shown.trust import UPDATE, spending
from fedlab_nb.protect import OwnerLevelDP, RowLevelDP, row_lot
from fedlab_nb.records import PrivacyEvent, Round, Scores, Spending, State, Update

# The largest change of one weight that an owner may send where nothing is clipped.
LARGEST_CHANGE = 64.0


@dataclass(frozen=True)
class FedAvg:
    """w <- w + sum_i weight_i * change_i / sum_i weight_i, over the owners i of a round.

    change_i is what ``local_epochs`` passes of gradient descent with learning rate ``lr`` over mini-batches of
    ``batch_size`` rows do to the weights at owner i; weight_i is its share of the rows, or 1 ("equal").

    With ``fl.RowLevelDP`` an owner makes one step a round instead, on the sum of its rows' clipped gradients: the noise
    then goes on the sum over all owners, and under encryption is little more than if the rows lay in one place. With
    ``fl.OwnerLevelDP`` the sum of the clipped changes is divided by the number of owners to be expected in a round.

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

    def check(self, federation: Federation, num_rounds: int, *, seed: int = 0, after: Round | None = None) -> None:
        """Refuse, before anything leaves, what cannot work or could not keep its privacy claim.

        Raises:
            SettingError, RuleError, BudgetExceededError.
        """
        check(self, federation, num_rounds, seed, after)
        if clip_setting(federation.house.protect, None):
            setup = after.state.context if after else None
            run = self.asked(num_rounds, seed)
            plan = setup.plan if isinstance(setup, Setup) else noise_plan(federation, num_rounds, run)[0]
            check_adaptive(federation, plan)

    def start(self, federation: Federation, *, num_rounds: int, seed: int) -> State:
        """Agree on how columns are read and how much noise there will be; begin with weights from ``seed``."""
        setup = prepare(federation, num_rounds, seed, self.asked(num_rounds, seed))
        weights = starting_weights(self.model, setup, seed)
        return State({"server": weights}, context=setup)

    def step(self, state: State, federation: Federation, number: int, cohort: Sequence[str], *, last: bool) -> State:
        """One round: the model goes out, changes come back as one sum, the server adds their mean."""
        setup: Setup = state.context  # type: ignore[assignment]
        weights, protect = state.weights["server"], federation.house.protect
        noise = self._noise(setup, protect)
        debits, ahead = self._debits(setup, federation, number, cohort, noise, last=last)
        if not cohort:
            federation.charge(ahead)
            return state
        federation.tell("model", weights.astype(np.float32), number=number, to=cohort)
        learner = self._learner(setup)
        gather = partial(
            federation.gather,
            "update",
            number=number,
            cohort=cohort,
            debits=debits,
            ahead=ahead,
            absent=federation.dropouts(number, setup.seed),
            asked=self._asked(setup, weights),
        )
        if isinstance(protect, RowLevelDP):
            total = gather(
                partial(self._clipped, learner, setup, federation, number, weights),
                bound=1.0 + protect.clip * (2.0 * setup.rows + 100.0),
                noise_sd=noise * protect.clip,
                tensors=learner.tensors,
            )
            # Of those that take part, as many rows as are to be expected: how many there were is for nobody to know.
            rows = protect.row_rate * setup.rows * len(cohort) / len(federation.names)
            return _moved(state, weights - self._lr(federation) * total.value / rows)
        train = partial(self._trained, learner, setup, federation, number, weights)
        if isinstance(protect, OwnerLevelDP):
            change, memory = owners_step(state, federation, protect, noise, gather, train, learner.tensors)
            return _moved(state, weights + change, memory)
        return _moved(state, weights + gather(train, bound=LARGEST_CHANGE, tensors=learner.tensors).mean)

    def settings(self, federation: Federation, state: State | None) -> dict[str, float]:
        """Learning rate, local epochs, sample rate, clip norm, noise multiplier and drop-out of the next round.

        At row level an owner makes one step a round, so that there are no local epochs to choose. A clip norm that
        follows the updates is called "adaptive_clip": it is not for people to change.
        """
        one_step = isinstance(federation.house.protect, RowLevelDP)
        own = {"lr": self._lr(federation)} | ({} if one_step else {"local_epochs": self.local_epochs or 2})
        setup = state.context if state is not None else None
        protect = federation.house.protect
        noise = {"noise_multiplier": self._noise(setup, protect)} if protect and isinstance(setup, Setup) else {}
        return {**own, **federation.house.settings, **clip_setting(protect, state), **noise}

    def evaluate(self, state: State, federation: Federation, number: int, *, last: bool) -> Scores:
        """The scores of the model on the rows that were held out."""
        setup: Setup = state.context  # type: ignore[assignment]
        weights = state.weights["server"]
        asked = self._asked(setup, weights)
        return evaluate(federation, setup, self._learner(setup), weights, number, last=last, asked=asked)

    def asked(self, num_rounds: int, seed: int) -> str:
        """What run this is, equal for equal runs; "" for a strategy or model of one's own, which no words tell."""
        known = type(self) is FedAvg and type(self.model) is Layers
        return f"{self!r}, {num_rounds} rounds from seed {seed}" if known else ""

    def _asked(self, setup: Setup, weights: np.ndarray) -> str:
        """What is asked of the rows in one round."""
        weighed = hashlib.sha256(weights.tobytes()).hexdigest()
        run = self.asked(0, setup.seed)
        reading = f"{describe(setup.encoding)} {setup.encoding.feature_names}"
        return run and f"{run}, weights {weighed}, {setup.rows!r} rows read as {reading}"

    def model_of(self, state: State) -> TrainedModel:
        """The model in this state, with the way it reads columns."""
        setup: Setup = state.context  # type: ignore[assignment]
        return trained(self.model, state.weights["server"], setup.encoding)

    def spending(self, federation: Federation, record: Round, num_rounds: int) -> Spending:
        """Where the budgets stand after ``record``, the verdict after round ``num_rounds`` set aside."""
        setup = record.state.context
        if not isinstance(setup, Setup) or setup.plan is None:
            return spending(federation)
        promised = [e for e in score_events(federation, setup, num_rounds, last=True) if e.purpose == VERDICT]
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
        debits, ahead = self._debits(setup, federation, number, [name], noise, last=last)
        return [*debits[name], *ahead[name]]

    def _trained(
        self, learner: Learner, setup: Setup, fed: Federation, number: int, weights: np.ndarray, name: str, rows: Rows
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

    def _clipped(
        self, learner: Learner, setup: Setup, fed: Federation, number: int, weights: np.ndarray, name: str, rows: Rows
    ) -> Update:
        """Beside the rows: the sum of clipped row gradients. Its weight is public; the number of rows is not."""
        protect, (X, y) = fed.house.protect, encoded(rows, setup.encoding, "training")
        assert isinstance(protect, RowLevelDP)
        if protect.row_rate < 1.0:
            # From the source of the noise, not from the run's seed: whoever knew who takes part would void the credit.
            lot = row_lot(fed.noise(number, name, "rows"), len(X), protect.row_rate)
            X, y = X[lot], y[lot]
        return Update(learner.clipped_gradient(weights, X, y, clip=protect.clip, seed=number), 1.0)

    def _debits(
        self, setup: Setup, federation: Federation, number: int, cohort: Sequence[str], noise: float, *, last: bool
    ) -> tuple[dict[str, list[PrivacyEvent]], dict[str, list[PrivacyEvent]]]:
        """What a round's update costs those who take part, and what its scores will cost all owners."""
        scores = score_events(federation, setup, number, last=last)
        rows = "all" if setup.plan and setup.plan.unit == "owner" else "training"
        rate = getattr(federation.house.protect, "row_rate", 1.0)
        training = event(federation, number, UPDATE, rows, noise, sample_rate=rate)
        return {name: [training] for name in cohort}, dict.fromkeys(federation.names, scores)

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
    note = (
        "Under fl.RowLevelDP an owner makes one step a round, no local epochs, no batches. Under fl.OwnerLevelDP the "
        "sum is divided by the number of owners to be expected in a round."
    )
    return card("Federated averaging", rows, note)


def _moved(state: State, weights: np.ndarray, memory: Mapping[str, float] | None = None) -> State:
    """The state with new weights, and with what is to be remembered.

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
    kept = {**state.memory, **{name: np.array([value]) for name, value in (memory or {}).items()}}
    return State({"server": weights}, kept, state.context)
