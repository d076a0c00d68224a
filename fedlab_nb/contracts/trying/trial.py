"""A strategy of anybody's own on trial: rounds of made-up owners, played verb by verb or by the loop, and watched."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np

from fedlab_nb.contracts.report import Broken
from fedlab_nb.contracts.trying.looking import digest, scattered_chance, touched
from fedlab_nb.contracts.trying.made_up import Asked, Door, Village, Watched
from fedlab_nb.errors import FedLabError
from fedlab_nb.parties.rules import is_number
from fedlab_nb.records import Message, Round, Scores, Spending, State
from fedlab_nb.rounds import rounds

ROUNDS = 3
SEED = 1
BY_HAND = "Train it for a round on a federation of your own, list(fl.rounds(federation, strategy, num_rounds=1))."
FIRST = "Before the first round"
OTHERS = "If it is made for other owners or columns: check_strategy(strategy, federation) makes up such."


@dataclass(frozen=True)
class Step:
    """One round played verb by verb: what it was given and gave, and what crossed and was asked meanwhile."""

    number: int
    cohort: tuple[str, ...]
    gave: State
    altered: bool
    scores: Scores
    messages: tuple[Message, ...]
    asked: tuple[Asked, ...]


@dataclass
class Trial:
    """A strategy and made-up owners: every play is by a fresh copy of the strategy, in a fresh federation."""

    strategy: Any
    village: Village
    door: Door = field(default_factory=Door)

    def fresh(self) -> Any:
        """The strategy as it was given: the same object only where it cannot be copied."""
        try:
            return copy.deepcopy(self.strategy)
        except Exception:  # noqa: BLE001 - what somebody's own object may hold is anything
            return self.strategy

    def federation(self, *, without_rows: bool = False, turned: bool = False, **house: Any) -> Watched:
        """A federation of the made-up owners."""
        owners = [self.village.without_rows(self.door), *self._owners[1:]] if without_rows else self._owners
        return Watched(owners, self.door, turned=turned, **house)

    @cached_property
    def _owners(self) -> list[Any]:
        return self.village.owners(self.door)

    @cached_property
    def walk(self) -> tuple[State, list[Step]]:
        """The state before the first round, and the rounds after it, with every verb's answer looked at."""
        strategy, federation = self.fresh(), self.federation()
        self.door.forced.clear()
        with self.told(FIRST):
            strategy.check(federation, ROUNDS, seed=SEED)
            numbers_by_name("settings", strategy.settings(federation, None))
            federation.begin(1, anew=True)
            start = state = looked_at("start", strategy.start(federation, num_rounds=ROUNDS, seed=SEED))
        steps = []
        for number in range(1, ROUNDS + 1):
            with self.told(f"In round {number}"):
                steps.append(_step(strategy, federation, state, number))
                state = steps[-1].gave
                check_finite(state, start, f"After round {number}")
        with self.told("After the last round"):
            _look_at_end(strategy, federation, state)
        return start, steps

    @cached_property
    def plain(self) -> tuple[Any, Watched, list[Round]]:
        """The plain run, which others are compared with: the strategy and the federation afterwards, and its rounds."""
        strategy, federation = self.fresh(), self.federation()
        return strategy, federation, self.play(strategy, federation)

    @property
    def base(self) -> list[Round]:
        """The rounds of the plain run."""
        return self.plain[2]

    @cached_property
    def twin(self) -> tuple[list[Round], Sequence[str]]:
        """The rounds of the same run once more, and which shared generators moved meanwhile."""
        before = scattered_chance()
        again = self.play(stop=2)
        return again, touched(before)

    def play(
        self,
        strategy: Any = None,
        federation: Watched | None = None,
        *,
        num_rounds: int = ROUNDS,
        seed: int = SEED,
        stop: int | None = None,
        after: Round | None = None,
        where: str = "",
    ) -> list[Round]:
        """Rounds of the loop, up to ``stop``; a failed one is ``Broken``, saying ``where``."""
        strategy, federation = strategy or self.fresh(), federation or self.federation()
        with self.told(where or "In the loop"):
            played = [*islice(rounds(federation, strategy, num_rounds=num_rounds, seed=seed, after=after), stop)]
        for record in played:
            if record.failed is not None:
                said = self.raised_beside_rows()
                error = record.failed.error
                what = getattr(error, "what", str(error))
                start = f"{where}, round {record.number}" if where else f"Round {record.number}"
                raise Broken(f"{start} failed: {said or what}", BY_HAND if said else getattr(error, "do", BY_HAND))
        return played

    def raised_beside_rows(self) -> str:
        """What was last raised beside rows, in full: these rows are nobody's. "" where nothing was."""
        if not self.door.raised:
            return ""
        error = self.door.raised[-1]
        self.door.raised.clear()
        return f"beside the rows it raised {named(error)}."

    @contextmanager
    def told(self, where: str) -> Iterator[None]:
        """Whatever is raised inside is ``Broken``, saying ``where``."""
        self.door.raised.clear()
        try:
            yield
        except Broken:
            raise
        except FedLabError as error:
            said = self.raised_beside_rows()
            do = BY_HAND if said else f"{error.do} {OTHERS if where == FIRST else ''}".rstrip()
            raise Broken(f"{where} {said or f'it refused: {error.what}'}", do) from error
        except Exception as error:
            raise Broken(f"{where} it raised {named(error)}.", BY_HAND) from error


def named(error: BaseException) -> str:
    """An error in a few words."""
    return f"{type(error).__name__}: {error}"[:200].rstrip(": .")


def _step(strategy: Any, federation: Watched, state: State, number: int) -> Step:
    cohort = federation.cohort(number, SEED)
    federation.round_begins(cohort)
    numbers_by_name("settings", strategy.settings(federation, state))
    before, asked, crossed = digest(state), len(federation.asked), len(federation.ledger)
    gave = looked_at("step", strategy.step(state, federation, number, cohort, last=number == ROUNDS))
    messages, questions = federation.ledger.messages[crossed:], federation.asked[asked:]
    after = digest(gave)
    scores = strategy.evaluate(gave, federation, number, last=number == ROUNDS)
    if not isinstance(scores, Scores):
        raise Broken(
            f"evaluate gave {_kind(scores)}, not Scores.",
            'Give Scores(metrics={"accuracy": 0.9}), from fedlab_nb.records; Scores() where nothing is released.',
        )
    for values in (scores.metrics, scores.noise, *scores.by_owner.values()):
        numbers_by_name("evaluate", values)
    altered = digest(state) != before or digest(gave) != after
    return Step(number, cohort, gave, altered, scores, messages, tuple(questions))


def _look_at_end(strategy: Any, federation: Watched, state: State) -> None:
    model = strategy.model_of(state)
    if not callable(getattr(model, "predict", None)):
        raise Broken(
            f"model_of gave {_kind(model)}, which cannot predict.", "Give a TrainedModel, or what has predict."
        )
    spent = strategy.spending(federation, Round(ROUNDS, state, federation.names), ROUNDS)
    if not isinstance(spent, Spending):
        raise Broken(
            f"spending gave {_kind(spent)}, not Spending.",
            "Give spending(federation), from fedlab_nb.parties.shown.trust.",
        )


def looked_at(verb: str, state: object) -> State:
    """A state that a verb gave, once it was seen to be one."""
    if not isinstance(state, State):
        raise Broken(f"{verb} gave {_kind(state)}, not a State.", f"Let {verb} give State(weights, memory, context).")
    for name, arrays in (("weights", state.weights), ("memory", state.memory)):
        if not isinstance(arrays, Mapping) or (name == "weights" and not arrays):
            raise Broken(f"{verb} gave a State whose {name} are {_kind(arrays)}.", 'Give {"server": an array (d,)}.')
        for key, array in arrays.items():
            if not isinstance(array, np.ndarray):
                raise Broken(
                    f"{verb} gave a State whose {name}[{key!r}] is {_kind(array)}.", "Keep NumPy arrays in it."
                )
            if name == "weights" and (array.ndim != 1 or array.dtype.kind != "f"):
                raise Broken(
                    f"{verb} gave weights of shape {array.shape} and type {array.dtype}.",
                    "Weights are one flat vector (d,) of 64-bit numbers.",
                )
    return state


def numbers_by_name(verb: str, found: object) -> None:
    """Refuse what is not numbers by name, as settings and scores are."""
    if not isinstance(found, Mapping):
        raise Broken(f"{verb} gave {_kind(found)}, not numbers by name.", 'Give a dictionary such as {"lr": 0.1}.')
    for name, value in found.items():
        if not isinstance(name, str) or not is_number(value):
            raise Broken(
                f"{verb} gave {name!r} as {_kind(value)}, not as a number.",
                "Leave out what is no number: it could neither be drawn nor changed between rounds.",
            )


def _kind(value: object) -> str:
    return "nothing (None)" if value is None else f"a {type(value).__name__}"


def weights_of(state: State) -> np.ndarray:
    """All weights (d,) of a state, of one holder after the other."""
    return np.concatenate([state.weights[holder] for holder in sorted(state.weights)])


def check_finite(state: State, like: State, where: str) -> None:
    """Refuse weights that are no numbers, or more or fewer than those of ``like``."""
    weights, before = weights_of(state), weights_of(like)
    if not np.isfinite(weights).all():
        raise Broken(
            f"{where} {np.count_nonzero(~np.isfinite(weights))} of {weights.size} weights were not finite.",
            "Look for a division by zero, or for a step that grows without end.",
        )
    if weights.size != before.size:
        raise Broken(f"{where} it had {weights.size} weights, not {before.size}.", "Keep the model's size.")
