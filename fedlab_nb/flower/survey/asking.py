"""The server's part: it runs the function of questions over owners elsewhere, and tells each answer as it comes."""

from __future__ import annotations

import linecache
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fedlab_nb.analytics import PrivateFrame
from fedlab_nb.analytics.apart.asked import listen
from fedlab_nb.errors import FedLabError, RoundError, SettingError
from fedlab_nb.flower import news, task
from fedlab_nb.flower.columns.federation import ColumnsFederation
from fedlab_nb.flower.survey.agreed import InOrder
from fedlab_nb.flower.survey.answers import answers_of
from fedlab_nb.flower.survey.questions import Questions
from fedlab_nb.parties import Federation
from fedlab_nb.records import Message

if TYPE_CHECKING:
    from fedlab_nb.flower.federation import RemoteFederation


def asked(
    federation: RemoteFederation | ColumnsFederation, questions: Questions, app: Path
) -> Iterator[news.Answered | news.Unasked]:
    """Each answer, with what crossed for it and what each owner's data has given away by then.

    ``app`` is the folder with the function. Owners of different columns are asked what they agreed on, in its order; if
    the function ends before that list does, what is left of it is told as well.

    Raises:
        FedLabError: why a question was not answered, naming it; what crossed for it is told before.
    """
    seen, failure = 0, None
    in_order = InOrder(questions.agreed)
    answers = _answers(federation, questions, app, in_order)
    while True:
        name, answer = None, None
        try:
            name, answer = next(answers, (None, None))
        except FedLabError as error:
            failure = _unanswered(error, _place(error))
        except Exception as error:  # noqa: BLE001 - whatever the function does
            failure = _failed(error, _place(error))
        messages = tuple(map(Message.without_payload, federation.ledger.messages[seen:]))
        seen += len(messages)
        if name is not None or messages:
            yield news.Answered(name, answer, messages, spent_of(federation), federation.sites.trips)
        if failure is not None:
            raise failure
        if name is None:
            break
    if in_order.left:
        yield news.Unasked(tuple(each.text for each in in_order.left))


def _answers(federation: Federation, questions: Questions, app: Path, in_order: InOrder) -> Iterator[tuple[str, Any]]:
    function = questions.function(app)
    if isinstance(federation, ColumnsFederation):
        listen(federation, in_order)
    yield from answers_of(function, PrivateFrame(federation))
    if isinstance(federation, ColumnsFederation):
        federation.sites.flush()


def spent_of(federation: Federation) -> news.Spent:
    """What each owner's data has given away by now."""
    return {name: federation.account(name).statement for name in federation.names}


def _place(error: BaseException) -> str:
    """The question as it stands in the function: its source is public, no value of it is shown. "" if it is in none."""
    for place in reversed(traceback.extract_tb(error.__traceback__)):
        if place.filename.endswith(task.FILE):
            line = linecache.getline(place.filename, place.lineno or 0)
            one = place.end_lineno == place.lineno and place.colno is not None
            # Columns are counted in bytes.
            text = line.encode()[place.colno : place.end_colno].decode(errors="replace") if one else line
            return f"{text.strip()!r} (line {place.lineno} of {task.FILE})"
    return ""


def _unanswered(error: FedLabError, question: str) -> FedLabError:
    what = f"A question was not answered: {question}. {error.what}" if question else error.what
    if isinstance(error, RoundError):
        return RoundError(error.party, error.stage, what, error.why, error.do)
    return type(error)(what, error.why, error.do)


def _failed(error: Exception, question: str) -> SettingError:
    return SettingError(
        f"The questions failed with {type(error).__name__}: {error}, at {question or task.FILE}.",
        "What was answered before is kept, and what was spent on it stays spent; nothing further was asked.",
        "Try the function in the notebook, dict(questions(fl.PrivateFrame(federation))), and export it anew.",
    )
