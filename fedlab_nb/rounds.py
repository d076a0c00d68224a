"""The loop. A round: some owners take part, the strategy makes one step, the model is scored, a record comes out.

Everything else consumes this iterator: the dashboard, a CSV, a test, your own ``for``. Stop by not asking for more;
go on later with ``after=history[-1]``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

from fedlab_nb.errors import FedLabError, SettingError
from fedlab_nb.learn import TrainedModel
from fedlab_nb.parties import Federation
from fedlab_nb.parties.columns.fitting import check_strategy_columns
from fedlab_nb.parties.rules import check_strategy, is_number, is_seed
from fedlab_nb.records import Failure, Round, Scores, Spending, State

if TYPE_CHECKING:
    from fedlab_nb.vertical.model import VerticalModel


class Strategy(Protocol):
    """What the literature calls an FL algorithm: where to start, one round from here to there, and how good it is.

    One that needs more than a sum over owners also has ``needs``, a tuple of names from ``parties/matrix.py``, such as
    ``needs = ("single updates",)``: under protections that do not allow it, it is refused.
    """

    def check(self, federation: Federation, num_rounds: int, *, seed: int = 0, after: Round | None = None) -> None:
        """Refuse what cannot work, before anything leaves; ``after`` is the round that a run goes on from."""

    def start(self, federation: Federation, *, num_rounds: int, seed: int) -> State:
        """The state before the first round."""

    def step(self, state: State, federation: Federation, number: int, cohort: Sequence[str], *, last: bool) -> State:
        """The state after round ``number``; it charges the owners' budgets before anything leaves."""

    def settings(self, federation: Federation, state: State | None) -> Mapping[str, float]:
        """What the next round will run under: what may be changed between rounds, by name."""

    def model_of(self, state: State) -> TrainedModel | VerticalModel:
        """The model in this state: for frames of one's own, or for owners of different columns to predict together."""

    def spending(self, federation: Federation, record: Round, num_rounds: int) -> Spending:
        """Where the budgets stand after ``record``."""

    def evaluate(self, state: State, federation: Federation, number: int, *, last: bool) -> Scores:
        """The scores that round ``number`` releases."""


def rounds(
    federation: Federation, strategy: Strategy, *, num_rounds: int = 10, seed: int = 0, after: Round | None = None
) -> Iterator[Round]:
    """Train: one ``Round`` for every ``next()``, until round ``num_rounds``.

    Equal seeds give equal bits, and a run that goes on with ``after`` equals the uninterrupted one (noise that
    protects somebody comes from no seed, so only rehearsals repeat it; dropout repeats unless other code draws from
    torch's global generator at the same moment). A failed round is a record that says so, and
    the last one; ``after`` a failed round, that round is tried again. A run that goes on keeps its first ``seed``.

    Raises:
        SettingError, RuleError, BudgetExceededError: at once, before anything leaves.
    """
    _check_parts(federation, strategy, after)
    check_strategy(strategy, federation.house)
    check_strategy_columns(strategy, federation.schema)
    if after is not None and after.failed is not None and after.state.context is None:
        after = None  # it failed before anything was agreed on, so that round is the first once more
    first = after.number + (after.failed is None) if after else 1
    if not is_number(num_rounds, whole=True) or num_rounds < first:
        raise SettingError(
            f"num_rounds is {num_rounds!r}, and the first round would be number {first}.",
            "It is the number of the last round, so nothing would be trained.",
            f"Ask for at least num_rounds={first}.",
        )
    if not is_seed(seed):
        raise SettingError(
            f"The seed is {seed!r}.",
            "All randomness of a run but the noise follows from it, and only whole numbers from 0 up can be seeds.",
            "Use seed=0, for example.",
        )
    final, seed = int(num_rounds), int(seed)
    if after is None:
        strategy.check(federation, final, seed=seed)
        return _play(federation, strategy, None, first, final, seed)
    _check_continuation(federation, after)
    strategy.check(federation, final, seed=seed, after=after)
    return _play(federation, strategy, after.state, first, final, after.state.context.seed)  # type: ignore[attr-defined]


def _play(
    federation: Federation, strategy: Strategy, state: State | None, first: int, final: int, seed: int
) -> Iterator[Round]:
    """The loop itself: prepare once, then one record a round."""
    nothing = State({})
    federation.begin(first, anew=state is None)
    for number in range(first, final + 1):
        before = _Marks.of(federation)
        cohort, scores, failed = federation.cohort(number, seed), Scores(), None
        federation.round_begins(cohort)
        settings = strategy.settings(federation, state)
        try:
            state = state or strategy.start(federation, num_rounds=final, seed=seed)
            settings = strategy.settings(federation, state)
            stepped = strategy.step(state, federation, number, cohort, last=number == final)
            with federation.ledger.stage("score"):
                scores = checked_scores(strategy.evaluate(stepped, federation, number, last=number == final))
            federation.round_ends()
            state = stepped
        except FedLabError as error:
            # Without its traceback: the frames below hold numbers of single owners.
            error.__context__ = None
            failed = Failure(
                getattr(error, "party", "federation"), getattr(error, "stage", "round"), error.with_traceback(None)
            )
        ledger, stages = federation.ledger, before.stages
        seconds, busy = _since(stages, ledger.seconds), _since(before.owners, ledger.busy_seconds)
        traffic, out = ledger.traffic(since=before.messages), federation.dropouts(number, seed)
        told = scores.metrics, scores.noise, scores.by_owner
        spent, lost = federation.epsilon(), tuple(federation.losses.failures)
        yield Round(number, state or nothing, cohort, *told, traffic, seconds, spent, failed, settings, out, busy, lost)
        if failed is not None:
            return


def checked_scores(scores: Scores) -> Scores:
    """Refuse scores that no table and no chart could show."""
    given = [scores] if not isinstance(scores, Scores) else [*scores.metrics.values(), *scores.noise.values()]
    given += [v for own in scores.by_owner.values() for v in own.values()] if isinstance(scores, Scores) else []
    wrong = [value for value in given if not is_number(value)]
    if wrong:
        raise SettingError(
            f"The strategy's evaluate gave {type(wrong[0]).__name__} where a number belongs.",
            "It could neither be drawn nor compared.",
            "Give numbers, and leave out what was not released: Scores(metrics={'accuracy': 0.9}).",
        )
    return scores


def check_made(given: object) -> None:
    """Refuse a class in place of something that was made of it.

    Raises:
        SettingError: naming the class.
    """
    if isinstance(given, type):
        raise SettingError(
            f"The class {given.__name__} was given, and nothing that was made of it.",
            "A class has no settings, and these say what is to be done, and with whom.",
            f"Call it with its settings, {given.__name__}(...), as in fl.FedAvg(fl.models.mlp()), "
            'fl.vertical.SecureBoost("bank") or fl.vertical.JointPrediction(run.model.strategy).',
        )


class _Marks(NamedTuple):
    """Where the ledger stood before a round."""

    messages: int
    stages: Mapping[str, float]
    owners: Mapping[str, float]

    @classmethod
    def of(cls, federation: Federation) -> _Marks:
        ledger = federation.ledger
        return cls(len(ledger), ledger.seconds, ledger.busy_seconds)


def _since(before: Mapping[str, float], now: Mapping[str, float]) -> dict[str, float]:
    return {name: t - before.get(name, 0.0) for name, t in now.items() if t > before.get(name, 0.0)}


def _check_parts(federation: object, strategy: object, after: object) -> None:
    """Refuse what is no federation, no strategy, or no round, before it is asked for anything."""
    parts: list[tuple[str, object, bool, str]] = [
        ("federation", federation, isinstance(federation, Federation), "fl.Federation(owners)"),
        (
            "strategy",
            strategy,
            all(hasattr(strategy, verb) for verb in ("check", "start", "step")),
            "fl.FedAvg(fl.models.mlp())",
        ),
        ("round to go on after", after, after is None or isinstance(after, Round), "after=run.history[-1]"),
    ]
    check_made(strategy)
    for name, value, fits, example in parts:
        if not fits:
            given = value.__name__ if isinstance(value, type) else type(value).__name__
            raise SettingError(
                f"The {name} is {given if not isinstance(value, type) else 'the class ' + given!s}.",
                "Without it there is nothing to train, or nothing to train with.",
                f"Pass {example}.",
            )


def _check_continuation(federation: Federation, after: Round) -> None:
    setup = after.state.context
    if setup is None or getattr(setup, "owners", None) != federation.names or setup.schema != federation.schema:  # type: ignore[attr-defined]
        raise SettingError(
            f"Round {after.number} does not belong to a federation with these owners and columns.",
            "A run goes on only where the model, its columns and its owners are the same.",
            "Pass a round of a run of this federation: after=run.history[-1], or start anew without after=.",
        )
