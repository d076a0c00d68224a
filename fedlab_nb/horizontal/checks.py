"""What strategies refuse before anything leaves: settings that cannot work, and promises that it could not keep."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from fedlab_nb.errors import BudgetExceededError, FedLabError, RuleError, SettingError
from fedlab_nb.horizontal.noise import noise_plan
from fedlab_nb.horizontal.prepare import Setup
from fedlab_nb.learn import Architecture, Learner, initial_weights
from fedlab_nb.parties import Federation
from fedlab_nb.parties.rules import is_number
from fedlab_nb.privacy import Budget, NoisePlan
from fedlab_nb.protect import RowLevelDP
from fedlab_nb.records import PrivacyEvent, Round

if TYPE_CHECKING:
    import numpy as np

    from fedlab_nb.horizontal.averaging import Averaging


def check(strategy: Averaging, federation: Federation, num_rounds: int, seed: int, after: Round | None) -> None:
    """Refuse what cannot work, what could not keep its privacy claim, and budgets in which nothing is left.

    Raises:
        SettingError, RuleError, BudgetExceededError.
    """
    _check_settings(strategy)
    protect = federation.house.protect
    if isinstance(protect, RowLevelDP) and not strategy.one_step:
        raise RuleError(
            f"{type(strategy).__name__} changes what happens between an owner's local steps, and the privacy is at row "
            "level.",
            "There an owner makes a single step a round, on the sum of its rows' clipped gradients: nothing would be "
            "left to change, or rows would move the model beyond their clip.",
            "Use fl.FedAvg or one that works at the server, such as fl.FedAdam, or protect owners: fl.OwnerLevelDP().",
        )
    steps = strategy.local_epochs, strategy.batch_size, strategy.momentum, strategy.weight_decay
    if isinstance(protect, RowLevelDP) and steps != (None, None, 0.0, 0.0):
        raise RuleError(
            f"{type(strategy).__name__} has local_epochs, batch_size, momentum or weight_decay set, and the privacy is "
            "at row level.",
            "Only the sum of one step's clipped row gradients may leave; further local steps would need noise of "
            "their own, at every owner, and the stated epsilon would be too small.",
            "Leave them out (one step a round over all rows), or protect owners with fl.OwnerLevelDP().",
        )
    if isinstance(protect, RowLevelDP) and strategy.weighting == "equal":
        raise RuleError(
            f"{type(strategy).__name__} weighs owners equally, and the privacy is at row level.",
            "There the model moves by one sum over the rows of all owners, in which each row counts the same.",
            'Leave weighting out, or use weighting="rows".',
        )
    if after is None:
        plan, known = noise_plan(federation, num_rounds, strategy.asked(num_rounds, seed))
        if not known:
            _check_first_round(federation, plan)
    else:
        _check_continuation(strategy, federation, after)


def _check_first_round(federation: Federation, plan: NoisePlan | None) -> None:
    """Refuse noise so small that not even one round fits: better now than after the statistics have been paid for."""
    if plan is None or getattr(federation.house.protect, "frozen", False):
        return  # a frozen plan fits as a whole, or was refused already
    unit, rows = ("owner", "all") if plan.unit == "owner" else ("row", "training")
    rate = getattr(federation.house.protect, "row_rate", 1.0)
    amounts = [(amount, 1.0) for amount in (plan.ranges, plan.moments, plan.lists) if amount]
    amounts.append((plan.training, rate))
    events = [
        PrivacyEvent(1, "the first round", rows, unit, "gaussian", amount, sample_rate=rate)  # type: ignore[arg-type]
        for amount, rate in amounts
    ]
    for owner, budget, spent in _beyond(federation, events):
        raise BudgetExceededError(
            f"With noise_multiplier={plan.training:g} the first round alone would take {owner!r} to epsilon "
            f"{spent:.3f} of the agreed {budget.epsilon:g}.",
            "Nothing would be left for a model, and the statistics before it would have been paid for in vain.",
            "Leave noise_multiplier out to have it calibrated to the budget, or agree on a larger epsilon.",
        )


def _beyond(federation: Federation, events: Sequence[PrivacyEvent]) -> Iterator[tuple[str, Budget, float]]:
    """Owners whose budget does not allow ``events``: name, budget, and the epsilon that they would reach."""
    house = federation.house
    for owner in federation.owners:
        budget = federation.books.binding(owner.name, house)
        if budget is None or house.noise_seed is not None or house.protect is None:
            continue
        spent = federation.account(owner.name).spent(budget.delta, events, owner.held_out)
        if spent > budget.epsilon * (1 + 1e-9):
            yield owner.name, budget, spent


def starting_weights(model: Architecture, setup: Setup, seed: int, protect: object = None) -> np.ndarray:
    """The flat weights (d,) that a run begins with.

    Raises:
        SettingError: if the model function fails for the sizes that the owners' columns call for.
        RuleError: if the model mixes the rows of a batch, and ``protect`` is to hide single rows.
    """
    inputs, outputs = setup.encoding.n_inputs, setup.encoding.n_outputs
    try:
        mixes = Learner.of(model, inputs, outputs, setup.encoding.task).mixes_rows
        weights = initial_weights(model, inputs, outputs, seed)
    except FedLabError:
        raise
    except Exception as error:
        raise SettingError(
            f"The model function failed for {inputs} inputs and {outputs} outputs: {type(error).__name__}: {error}",
            "It has to make a module of whatever size the owners' columns call for.",
            "Try it by itself: it should return a torch module for these two numbers.",
        ) from error
    if isinstance(protect, RowLevelDP) and mixes:
        raise RuleError(
            "The model has batch normalisation, and the privacy is at row level.",
            "It mixes the rows of a batch, so that no clip of single rows bounds what one row does.",
            "Use torch.nn.LayerNorm or torch.nn.GroupNorm instead, or protect owners with fl.OwnerLevelDP().",
        )
    return weights


def _check_settings(strategy: Averaging) -> None:
    for name in ("momentum", "weight_decay"):
        if not (is_number(getattr(strategy, name)) and 0 <= getattr(strategy, name) < float("inf")):
            raise SettingError(
                f"{type(strategy).__name__} has {name}={getattr(strategy, name)!r}.",
                "It must be a number from 0 up; 0 is without.",
                "Use momentum=0.9 or weight_decay=0.0001, for example, or leave it out.",
            )
    for name in ("lr", "local_epochs", "batch_size"):
        value = getattr(strategy, name)
        if value is not None and not (is_number(value, whole=name != "lr") and 0 < value < float("inf")):
            raise SettingError(
                f"{type(strategy).__name__} has {name}={value!r}.",
                f"It must be a {'number' if name == 'lr' else 'whole number'} above zero, or nothing is learned.",
                f"Leave {name} out for the usual value.",
            )
    if strategy.weighting not in ("rows", "equal", None):
        raise SettingError(
            f"{type(strategy).__name__} has weighting={strategy.weighting!r}.",
            "Owners count by their rows, or all the same.",
            'Use weighting="rows" or weighting="equal", or leave it out.',
        )
    if not _makes_modules(strategy.model):
        raise SettingError(
            f"{type(strategy).__name__} was given a model that is no function of (inputs, outputs), two numbers.",
            "How many inputs there are is only known when all owners' columns are.",
            "Use fl.models.mlp() or fl.models.logistic(), with the parentheses, or a function of your own.",
        )


def _check_continuation(strategy: Averaging, federation: Federation, after: Round) -> None:
    setup: Setup = after.state.context  # type: ignore[assignment]
    was = setup.plan.unit if setup.plan else None
    now = federation.house.protect.unit if federation.house.protect else None
    if was != now:
        raise RuleError(
            f"Round {after.number} protected {_promise(was)}, and this federation is to protect {_promise(now)}.",
            "The statistics before the first round were released under that promise, so another one would be false.",
            "Go on under the same protection, or start anew without after=.",
        )
    size = _size(strategy.model, setup.encoding.n_inputs, setup.encoding.n_outputs)
    if size != after.state.weights["server"].size:
        raise SettingError(
            f"Round {after.number} has {after.state.weights['server'].size} weights, {strategy.model!r} has {size}.",
            "A run goes on only with the model that it began with.",
            "Pass the strategy of that run, or start anew without after=.",
        )
    _check_next_round(federation, strategy.releases(setup, federation, after.number + 1), after.number + 1)


@lru_cache(maxsize=64)
def _size(model: Architecture, inputs: int, outputs: int) -> int:
    """How many weights a model has: asked at every change of a setting, and slow to find out while one trains."""
    return initial_weights(model, inputs, outputs, 0).size


def _check_next_round(federation: Federation, events: Sequence[PrivacyEvent], number: int) -> None:
    """Refuse to go on where not even the next round fits: nothing would be learned, and a change would end the run."""
    house = federation.house
    if getattr(house.protect, "frozen", False) and house.noise_seed is None:
        _check_planned(federation, events, number)
        return
    for owner, budget, spent in _beyond(federation, events):
        noise = next((event.amount for event in events if event.mechanism == "gaussian"), 0.0)
        raise BudgetExceededError(
            f"With noise multiplier {noise:g}, round {number} would take {owner!r} to epsilon {spent:.3f} of "
            f"the agreed {budget.epsilon:g}.",
            "A privacy budget belongs to the data: going back or starting over gives none of it back.",
            "Use more noise (a larger noise multiplier), keep the model as it is, or agree on a larger epsilon.",
        )


def _check_planned(federation: Federation, events: Sequence[PrivacyEvent], number: int) -> None:
    """Refuse to go on with what is not in the frozen plan, or not any more."""
    for name in federation.names:
        for event in federation.books.due(name, events, federation.house):
            raise RuleError(
                f"Round {number} would release {event.purpose} of {name!r} ({event.words}), which is not, or not any "
                "more, in a plan that was frozen before the first release.",
                "Such a plan is counted more tightly because its noise and its rounds are fixed: what is chosen later "
                "is not covered by it.",
                "Keep the noise and the number of rounds as they were planned, use the model as it is, or train under "
                "frozen=False on rows that were not used yet.",
            )


def _promise(unit: str | None) -> str:
    return {"row": "single rows", "owner": "whole owners", None: "nothing"}[unit]


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
