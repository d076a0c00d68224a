"""Federated averaging: every owner trains on its own rows, the server averages what they learned.

Source: McMahan et al. 2017, "Communication-efficient learning of deep networks from decentralized data", Algorithm 1.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from fedlab_nb.errors import FedLabError, RoundError, RuleError, SettingError
from fedlab_nb.horizontal.evaluate import evaluate, score_events, verdict_event
from fedlab_nb.horizontal.prepare import Setup, encoded, event, noise_plan, prepare
from fedlab_nb.horizontal.trained import trained
from fedlab_nb.learn import Architecture, Learner, TrainedModel, initial_weights
from fedlab_nb.parties import Federation, Rows
from fedlab_nb.parties.rules import is_number
from fedlab_nb.parties.trust import spending
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
    then goes on the sum over all owners, and is as small as if the rows lay in one place.

    Left out, ``lr`` is 0.1 (2.0 at row level, where gradients are clipped), ``local_epochs`` 2, ``batch_size`` 16.
    """

    model: Architecture
    lr: float | None = None
    local_epochs: int | None = None
    batch_size: int | None = None
    weighting: Literal["rows", "equal"] | None = None

    def check(self, federation: Federation, num_rounds: int, after: Round | None = None) -> None:
        """Refuse, before anything leaves, what cannot work or could not keep its privacy claim.

        Raises:
            SettingError, RuleError, BudgetExceededError.
        """
        self._check_settings()
        protect = federation.house.protect
        if isinstance(protect, RowLevelDP) and (self.local_epochs, self.batch_size) != (None, None):
            raise RuleError(
                "FedAvg has local_epochs or batch_size set, and the privacy is at row level.",
                "Only the sum of one step's clipped row gradients may leave; further local steps would need noise of "
                "their own, at every owner, and the stated epsilon would be too small.",
                "Leave both out (one step a round over all rows), or protect owners with fl.OwnerLevelDP().",
            )
        if isinstance(protect, OwnerLevelDP) and self.weighting == "rows":
            raise RuleError(
                "FedAvg weighs owners by their rows, and the privacy is at owner level.",
                "An owner with many rows would move the sum by more than the clip norm: epsilon would be understated.",
                'Use weighting="equal" (the default at owner level), or protect rows with fl.RowLevelDP().',
            )
        if isinstance(protect, RowLevelDP) and self.weighting == "equal":
            raise RuleError(
                "FedAvg weighs owners equally, and the privacy is at row level.",
                "There the model moves by one sum over the rows of all owners, in which each row counts the same.",
                'Leave weighting out, or use weighting="rows".',
            )
        if after is None:
            noise_plan(federation, num_rounds)
        else:
            self._check_continuation(federation, after)

    def start(self, federation: Federation, *, num_rounds: int, seed: int) -> State:
        """Agree on how columns are read and how much noise there will be; begin with weights from ``seed``."""
        setup = prepare(federation, num_rounds, seed)
        weights = self._initial(setup, seed)
        return State({"server": weights}, context=setup)

    def step(self, state: State, federation: Federation, number: int, cohort: Sequence[str], *, last: bool) -> State:
        """One round: the model goes out, changes come back as one sum, the server adds their mean."""
        setup: Setup = state.context  # type: ignore[assignment]
        weights = state.weights["server"]
        debits = self._debits(setup, federation, number, cohort, last=last)
        if not cohort:
            federation.charge(debits)
            return state
        federation.tell("model", weights.astype(np.float32), number=number, to=cohort)
        learner, protect = self._learner(setup), federation.house.protect
        noise_sd = setup.plan.training * protect.clip if setup.plan and protect else 0.0
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
        )
        return _moved(state, weights + total.mean)

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
            return spending(federation, None)
        open_verdict = record.number < num_rounds and setup.plan.verdict
        return spending(federation, setup.plan, [verdict_event(setup.plan, num_rounds)] if open_verdict else [])

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
        self, setup: Setup, federation: Federation, number: int, cohort: Sequence[str], *, last: bool
    ) -> dict[str, list[PrivacyEvent]]:
        scores = score_events(federation, setup, number, last=last)
        rows = "all" if setup.plan and setup.plan.unit == "owner" else "training"
        training = event(federation, number, "a round's update", rows, setup.plan.training if setup.plan else 0.0)
        return {name: [training, *scores] if name in cohort else scores for name in federation.names}

    def _lr(self, federation: Federation) -> float:
        return self.lr or (2.0 if isinstance(federation.house.protect, RowLevelDP) else 0.1)

    def _learner(self, setup: Setup) -> Learner:
        return Learner(self.model, setup.encoding.n_inputs, setup.encoding.n_outputs, setup.encoding.task)

    def _initial(self, setup: Setup, seed: int) -> np.ndarray:
        inputs, outputs = setup.encoding.n_inputs, setup.encoding.n_outputs
        try:
            return initial_weights(self.model, inputs, outputs, seed)
        except FedLabError:
            raise
        except Exception as error:
            raise SettingError(
                f"The model function failed for {inputs} inputs and {outputs} outputs: {type(error).__name__}: {error}",
                "It has to make a module of whatever size the owners' columns call for.",
                "Try it by itself: it should return a torch module for these two numbers.",
            ) from error

    def _check_settings(self) -> None:
        for name, value in (("lr", self.lr), ("local_epochs", self.local_epochs), ("batch_size", self.batch_size)):
            if value is not None and not (is_number(value, whole=name != "lr") and 0 < value < float("inf")):
                raise SettingError(
                    f"FedAvg has {name}={value!r}.",
                    f"It must be a {'number' if name == 'lr' else 'whole number'} above zero, or nothing is learned.",
                    f"Leave {name} out for the usual value.",
                )
        if self.weighting not in ("rows", "equal", None):
            raise SettingError(
                f"FedAvg has weighting={self.weighting!r}.",
                "Owners count by their rows, or all the same.",
                'Use weighting="rows" or weighting="equal", or leave it out.',
            )
        if not _makes_modules(self.model):
            raise SettingError(
                "FedAvg was given a model that is no function of (number of inputs, number of outputs).",
                "How many inputs there are is only known when all owners' columns are.",
                "Use fl.models.mlp() or fl.models.logistic(), with the parentheses, or a function of your own.",
            )

    def _check_continuation(self, federation: Federation, after: Round) -> None:
        setup: Setup = after.state.context  # type: ignore[assignment]
        if setup.protect != federation.house.protect:
            raise RuleError(
                f"Round {after.number} was protected by {setup.protect or 'nothing'}, and this federation asks for "
                f"{federation.house.protect or 'nothing'}.",
                "The noise of every release was fixed before the first round, so another promise would be false.",
                "Go on under the same protection, or start anew without after=.",
            )
        if self._initial(setup, 0).size != after.state.weights["server"].size:
            raise SettingError(
                f"Round {after.number} has {after.state.weights['server'].size} weights, and {self.model!r} has "
                f"{self._initial(setup, 0).size}.",
                "A run goes on only with the model that it began with.",
                "Pass the strategy of that run, or start anew without after=.",
            )


def _makes_modules(model: object) -> bool:
    # A finished module can be called as well, but with rows rather than with sizes.
    if not callable(model) or (hasattr(model, "state_dict") and not isinstance(model, type)):
        return False
    try:
        inspect.signature(model).bind(1, 1)
    except TypeError:
        return False
    except ValueError:
        # Some callables have no signature to be asked for; building the model will tell.
        return True
    return True


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
