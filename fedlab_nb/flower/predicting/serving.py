"""The server's part of a joint prediction: it passes on what owners send, and tells how many rows are in common."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from fedlab_nb.errors import FedLabError
from fedlab_nb.flower import news
from fedlab_nb.flower.survey.asking import spent_of
from fedlab_nb.parties.columns.road import alignment_of
from fedlab_nb.records import Message
from fedlab_nb.vertical import JointPrediction
from fedlab_nb.vertical.model.prediction import predicted_apart

if TYPE_CHECKING:
    from fedlab_nb.flower.columns.federation import ColumnsFederation


def predicted(federation: ColumnsFederation, prediction: JointPrediction) -> Iterator[news.Predicted]:
    """What there is to tell once the owner of the labels has its predictions, or of one that came to nothing.

    Raises:
        FedLabError: why there are none; what crossed is told before.
    """
    failure: FedLabError | None = None
    federation.sites.allow(1)
    try:
        predicted_apart(prediction, federation, None)
        federation.sites.flush()
    except FedLabError as error:
        failure = error
    found = alignment_of(federation)
    rows = found.rows if found is not None and failure is None else None
    messages = tuple(map(Message.without_payload, federation.ledger.messages))
    yield news.Predicted(rows, messages, spent_of(federation), federation.sites.trips)
    if failure is not None:
        raise failure
