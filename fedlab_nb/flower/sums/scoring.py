"""Rounds that are scored on the way: a score travels with the sums of the next round, and takes no trip of its own.

The loop and the strategy are those of a notebook. Only when a score is known differs: one round later. So it is done
where nothing hangs on it: nobody holds or changes the run between two rounds, and a loss ends it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fedlab_nb.channel.opening import for_range
from fedlab_nb.errors import FedLabError, RoundError
from fedlab_nb.flower.orders.arrived import SILENT
from fedlab_nb.flower.sums.order import InOrder
from fedlab_nb.flower.sums.riding import Rider
from fedlab_nb.flower.survey.asking import spent_of
from fedlab_nb.horizontal.averaging import Averaging
from fedlab_nb.horizontal.prepare import COUNT_STEP, MOST_ROWS
from fedlab_nb.ledger import Ledger
from fedlab_nb.parties.columns.fitting import check_strategy_columns
from fedlab_nb.parties.house import House
from fedlab_nb.parties.rules import check_strategy
from fedlab_nb.privacy import Statement
from fedlab_nb.records import Failure, Round, Scores, State
from fedlab_nb.rounds import Strategy, checked_scores, rounds

if TYPE_CHECKING:
    from fedlab_nb.flower.columns.federation import ColumnsFederation
    from fedlab_nb.flower.federation import RemoteFederation


def scores_ride(house: House, strategy: Strategy, owners: int) -> bool:
    """Whether rounds are scored on the way.

    Where owners may be missing, who was lost in a score is left out of it, and the next round is to know that before it
    begins. Of the sums that a joint key opens each is counted before the next begins; counts of rows go under masks.
    Scores of another kind may be paid for when they are asked, and what a round has spent is to be known with it.
    """
    usual = getattr(type(strategy), "evaluate", None) is Averaging.evaluate
    if house.min_owners is not None or (house.protect is not None and not usual):
        return False
    if house.encrypt is None or house.hiding != "threshold":
        return True
    return usual and for_range(house.encrypt, MOST_ROWS, owners, COUNT_STEP) != house.encrypt


class ScoredOnTheWay:
    """``strategy`` as the loop sees it: scores are only begun.

    ``begun`` are the scores that are on the way, by round, each with the state before that round.
    """

    def __init__(self, strategy: Strategy) -> None:
        self._strategy = strategy
        self.begun: dict[int, Rider[Scores]] = {}
        self.before: dict[int, State] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._strategy, name)

    def is_on_its_way(self, number: int) -> bool:
        """Whether this round's score is."""
        return number in self.begun and not self.begun[number].ended

    def step(self, state: State, federation: RemoteFederation, number: int, cohort: Any, *, last: bool) -> State:
        """As the strategy does it."""
        self.before[number] = state
        return self._strategy.step(state, federation, number, cohort, last=last)

    def evaluate(self, state: State, federation: RemoteFederation, number: int, *, last: bool) -> Scores:
        """Begin it; nothing of it is known yet."""

        def work() -> Scores:
            with federation.ledger.stage("score"):
                return checked_scores(self._strategy.evaluate(state, federation, number, last=last))

        self.begun[number] = federation.sites.riders.begin(work)
        return Scores()


class ScoredRounds:
    """The rounds of a training that are scored on the way; in ``ledger`` their messages are in the order of rounds."""

    def __init__(self) -> None:
        self._in_order, self._spent = InOrder(), dict[str, Statement]()

    @property
    def ledger(self) -> Ledger:
        """What crossed for the rounds that were told."""
        return self._in_order.ledger

    @property
    def spent(self) -> dict[str, Statement]:
        """What each owner's data had given away with the round that was told last, by owner; after a failure, by now.

        The next round is debited already when a round is told, and what is left would be foretold as if it were none.
        """
        return self._spent

    def rounds(
        self, federation: RemoteFederation, strategy: Strategy, *, num_rounds: int, seed: int
    ) -> Iterator[Round]:
        """As ``rounds``: the same records, each told once its score is known.

        Raises:
            SettingError, RuleError, BudgetExceededError: as ``rounds``.
        """
        # Here and not in the loop alone, which would name another class in its words.
        check_strategy(strategy, federation.house)
        check_strategy_columns(strategy, federation.schema)
        shown, waiting = ScoredOnTheWay(strategy), list[tuple[Round, dict[str, Statement]]]()
        try:
            for record in rounds(federation, shown, num_rounds=num_rounds, seed=seed):  # type: ignore[arg-type]
                waiting.append((record, spent_of(federation)))
                later = [waiting.pop()] if shown.is_on_its_way(record.number) else []
                for each, spent in waiting:
                    under_way = record if record is not each else None
                    whole = self._in_order.entered(_scored(each, shown, under_way), federation.ledger)
                    self._spent = spent if whole.failed is None else spent_of(federation)
                    yield whole
                    if whole.failed is not None:
                        return
                waiting = later
            for each, self._spent in waiting:
                before = federation.ledger.seconds
                whole = self._in_order.entered(_scored(each, shown), federation.ledger)
                yield replace(whole, seconds=_and_since(whole.seconds, before, federation.ledger.seconds))
        finally:
            federation.sites.riders.give_up()


class RoundsAhead:
    """The same over owners of different columns: each may begin a round while the one before is scored."""

    def __init__(self) -> None:
        self._in_order = InOrder()

    @property
    def ledger(self) -> Ledger:
        """What crossed for the rounds that were told."""
        return self._in_order.ledger

    def rounds(
        self, federation: ColumnsFederation, strategy: Strategy, *, num_rounds: int, seed: int
    ) -> Iterator[Round]:
        """As ``rounds``.

        Raises:
            SettingError, RuleError, BudgetExceededError: as ``rounds``.
        """
        federation.go_ahead(num_rounds)
        for record in rounds(federation, strategy, num_rounds=num_rounds, seed=seed):
            yield self._in_order.entered(record, federation.ledger)


def _scored(record: Round, shown: ScoredOnTheWay, under_way: Round | None = None) -> Round:
    """The record with its score, or saying why there is none: then the state is as it was before the round.

    ``under_way`` is the next round, with whose sums the score travelled.
    """
    before, rider = shown.before.pop(record.number, None), shown.begun.pop(record.number, None)
    if rider is None or before is None:
        return record
    try:
        scores = rider.result()
    except FedLabError as error:
        error.__context__ = None
        if isinstance(error, RoundError) and error.stage == SILENT:
            error = _silent_on_the_way(error, record.number, under_way)
        party, stage = getattr(error, "party", "federation"), getattr(error, "stage", "round")
        return replace(record, state=before, failed=Failure(party, stage, error.with_traceback(None)))
    return replace(record, metrics=scores.metrics, noise=scores.noise, owner_metrics=scores.by_owner)


def _silent_on_the_way(error: RoundError, number: int, under_way: Round | None) -> RoundError:
    """As ``error`` of a party that was silent, and what it was asked for: a score, with sums of the next round."""
    also = ""
    if under_way is not None:
        failed = under_way.failed
        same = failed is not None and (failed.party, failed.stage) == (error.party, error.stage)
        lost = f"the sums of round {under_way.number}" if same else f"round {under_way.number}"
        also = f"; {lost}, with which it travelled, {'are' if same else 'is'} lost as well"
    return RoundError(
        error.party,
        error.stage,
        f"{error.what} It was asked for its part in the score of round {number}, which is lost{also}.",
        f"A round without its score counts as failed: the model is again that before round {number}, although the "
        f"sums of round {number} had been added up.",
        error.do,
    )


def _and_since(took: Mapping[str, float], before: Mapping[str, float], now: Mapping[str, float]) -> dict[str, float]:
    """The seconds of a round by stage, with those that its score took when nothing else was under way any more."""
    later = {stage: t - before.get(stage, 0.0) for stage, t in now.items() if t > before.get(stage, 0.0)}
    return {stage: took.get(stage, 0.0) + later.get(stage, 0.0) for stage in {**took, **later}}
