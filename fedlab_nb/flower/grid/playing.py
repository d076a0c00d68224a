"""What the server does with the parties that have met: the rounds of a training, or the questions of a survey."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from fedlab_nb.flower import news
from fedlab_nb.flower.agreement import Agreement
from fedlab_nb.flower.columns.federation import ColumnsFederation
from fedlab_nb.flower.columns.hub import Hub
from fedlab_nb.flower.driving.asking import Asking
from fedlab_nb.flower.federation import RemoteFederation
from fedlab_nb.flower.orders.hooks import ServersWriting
from fedlab_nb.flower.orders.sites import Exchange, Sites
from fedlab_nb.flower.sums.going_on import rounds_that_go_on
from fedlab_nb.flower.survey.asking import asked, spent_of
from fedlab_nb.flower.survey.federation import AskedFederation
from fedlab_nb.flower.survey.questions import Questions
from fedlab_nb.records import Message


def federation_of(
    agreement: Agreement, identities: Mapping[str, bytes], exchange: Exchange
) -> RemoteFederation | ColumnsFederation:
    """The owners as the server reaches them: it orders steps of those who have the same columns; others run them."""
    if agreement.vertical:
        return ColumnsFederation(Hub(agreement.names, identities, exchange, agreement.digest), agreement.house)
    writing = ServersWriting(agreement.strategy, agreement.allowed)
    sites = Sites(identities, exchange, writing)
    kind = AskedFederation if isinstance(agreement.strategy, Questions) else RemoteFederation
    return kind(agreement.names, agreement.house, sites, writing)


def doings(
    federation: RemoteFederation | ColumnsFederation, agreement: Agreement, app: Path, asking: Asking | None
) -> Generator[news.Played | news.Answered, None, Exception | None]:
    """What was agreed on, step by step; gives why it came to no good end. ``app`` is the folder with the agreement."""
    if isinstance(agreement.strategy, Questions):
        yield from asked(federation, agreement.strategy.function(app))
        return None
    return (yield from _played(federation, agreement, asking))


def _played(
    federation: RemoteFederation | ColumnsFederation, agreement: Agreement, asking: Asking | None
) -> Generator[news.Played, None, Exception | None]:
    """The rounds of a training, as the notebook at the wheel wishes; gives why the last of them failed."""
    error: Exception | None = None
    seen, known = 0, None
    facts: dict[str, Any] = {"num_rounds": agreement.num_rounds, "seed": agreement.seed}
    play = rounds_that_go_on if asking is None else asking.rounds
    for record in play(federation, agreement.strategy, **facts):
        messages = tuple(map(Message.without_payload, federation.ledger.messages[seen:]))
        seen += len(messages)
        context = record.state.context
        bare = replace(record, state=replace(record.state, context=None))
        fresh, known = (context if context is not known else None), context
        yield news.Played(bare, fresh, messages, spent_of(federation), federation.sites.trips)
        error = record.failed.error if record.failed else None
    if error is None and isinstance(federation, ColumnsFederation):
        federation.sites.flush()  # what still waits for a party belongs to its part of the last round
    return error
