"""What the server does with the parties that have met: a training's rounds, a survey's questions, a prediction."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, cast

from fedlab_nb.flower import news
from fedlab_nb.flower.agreement import Agreement
from fedlab_nb.flower.columns.federation import ColumnsFederation
from fedlab_nb.flower.columns.hub import Hub
from fedlab_nb.flower.driving.asking import Asking
from fedlab_nb.flower.federation import RemoteFederation
from fedlab_nb.flower.orders.hooks import ServersWriting
from fedlab_nb.flower.orders.sites import Exchange, Sites
from fedlab_nb.flower.predicting.serving import predicted
from fedlab_nb.flower.sums.going_on import rounds_that_go_on
from fedlab_nb.flower.sums.scoring import RoundsAhead, ScoredRounds, scores_ride
from fedlab_nb.flower.survey.asking import asked, spent_of
from fedlab_nb.flower.survey.federation import AskedFederation
from fedlab_nb.flower.survey.questions import Questions
from fedlab_nb.ledger import Ledger
from fedlab_nb.parties.columns.alignment import Doubts
from fedlab_nb.parties.columns.road import alignment_of
from fedlab_nb.records import Message, Round
from fedlab_nb.vertical import JointPrediction

T = TypeVar("T")


def federation_of(
    agreement: Agreement, identities: Mapping[str, bytes], exchange: Exchange
) -> RemoteFederation | ColumnsFederation:
    """The owners as the server reaches them: it orders steps of those who have the same columns; others run them."""
    if agreement.vertical:
        hub = Hub(agreement.names, identities, exchange, agreement.digest)
        return ColumnsFederation(hub, agreement.house, agreement.linkage)
    writing = ServersWriting(agreement.strategy, agreement.allowed)
    sites = Sites(identities, exchange, writing)
    kind = AskedFederation if isinstance(agreement.strategy, Questions) else RemoteFederation
    return kind(agreement.names, agreement.house, sites, writing)


def doings(
    federation: RemoteFederation | ColumnsFederation, agreement: Agreement, app: Path, asking: Asking | None
) -> Generator[news.Played | news.Answered | news.Unasked | news.Predicted, None, Exception | None]:
    """What was agreed on, step by step; gives why it came to no good end. ``app`` is the folder with the agreement."""
    if isinstance(agreement.strategy, Questions):
        yield from asked(federation, agreement.strategy, app)
        return None
    if isinstance(agreement.strategy, JointPrediction) and isinstance(federation, ColumnsFederation):
        yield from predicted(federation, agreement.strategy)
        return None
    return (yield from _played(federation, agreement, asking))


def with_links(
    federation: RemoteFederation | ColumnsFederation, doing: Generator[T, None, Exception | None]
) -> Generator[T | news.Linked, None, Exception | None]:
    """The same, and how sure the links are of rows that were linked for it, before what was done with them."""
    told = False
    while True:
        try:
            said = next(doing)
        except StopIteration as end:
            return cast("Exception | None", end.value)
        found = alignment_of(federation)
        if not told and found is not None and isinstance(found.doubts, Doubts):
            told = True
            yield news.Linked(found)
        yield said


class Way(NamedTuple):
    """How rounds are played, the ledger with what crossed for those that were told, and what they have spent."""

    rounds: Callable[..., Iterator[Round]]
    ledger: Ledger
    spent: Callable[[], news.Spent]


def way_to_play(federation: RemoteFederation | ColumnsFederation, strategy: Any, asking: Asking | None = None) -> Way:
    """How rounds are played: as the notebook at the wheel wishes, or scored on the way."""
    spent = partial(spent_of, federation)
    if asking is not None:
        return Way(asking.rounds, federation.ledger, spent)
    if isinstance(federation, ColumnsFederation):
        ahead = RoundsAhead()
        return Way(ahead.rounds, ahead.ledger, spent)
    if scores_ride(federation.house, strategy, len(federation.names)):
        scored = ScoredRounds()
        return Way(scored.rounds, scored.ledger, lambda: scored.spent)
    return Way(rounds_that_go_on, federation.ledger, spent)


def _played(
    federation: RemoteFederation | ColumnsFederation, agreement: Agreement, asking: Asking | None
) -> Generator[news.Played, None, Exception | None]:
    """The rounds of a training, as the notebook at the wheel wishes; gives why the last of them failed."""
    error: Exception | None = None
    seen, known = 0, None
    facts: dict[str, Any] = {"num_rounds": agreement.num_rounds, "seed": agreement.seed}
    way = way_to_play(federation, agreement.strategy, asking)
    for record in way.rounds(federation, agreement.strategy, **facts):
        messages = tuple(map(Message.without_payload, way.ledger.messages[seen:]))
        seen += len(messages)
        context = record.state.context
        bare = replace(record, state=replace(record.state, context=None))
        fresh, known = (context if context is not known else None), context
        yield news.Played(bare, fresh, messages, way.spent(), federation.sites.trips)
        error = record.failed.error if record.failed else None
    if error is None and isinstance(federation, ColumnsFederation):
        federation.sites.flush()  # what still waits for a party belongs to its part of the last round
    return error
