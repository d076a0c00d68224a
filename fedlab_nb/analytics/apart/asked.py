"""A question as plain data: it can be agreed on beforehand, read by people, and carried out by all who have a part.

A function that answers one is marked by ``question("name")``. Who listens to a federation is told of each question that
is asked of it, before anything is done; what a question asks in its turn is part of it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar
from weakref import WeakKeyDictionary

import numpy as np

from fedlab_nb.analytics.apart.alone import alone
from fedlab_nb.analytics.apart.training import Training
from fedlab_nb.analytics.conditions import Both, Compare, Condition, Missing, Not, compare
from fedlab_nb.analytics.questions.cells import Outcome
from fedlab_nb.analytics.source import Source, make_source
from fedlab_nb.analytics.values import value_of
from fedlab_nb.parties import Federation
from fedlab_nb.parties.columns.fitting import is_vertical

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Asked:
    """One question: which kind, to one ``owner`` or across owners, about which rows, and with what ``given``.

    ``condition`` says which rows are asked, ``training`` that held-out ones are left out.
    """

    kind: str
    owner: str | None
    training: bool
    condition: Condition | None
    given: tuple[tuple[str, object], ...]

    @classmethod
    def of(cls, kind: str, source: Source, given: dict[str, object]) -> Asked:
        """What is asked of this source.

        Raises:
            SettingError: something was given that is no plain value.
        """
        plain = tuple((name, _plain(value, name)) for name, value in given.items())
        return cls(kind, source.owner, isinstance(source, Training), source.condition, plain)

    @property
    def text(self) -> str:
        """The question, completely: two with the same text are the same one."""
        said = [f"{name} {_said(value)}" for name, value in self.given if value is not None]
        said += [f"rows where {self.condition.text}"] if self.condition is not None else []
        said += ["rows to train on"] if self.training else []
        whom = "" if self.owner is None else f" of {self.owner!r}"
        return f"{self.kind}{whom}" + (f": {'; '.join(said)}" if said else "")

    def carry_out(self, federation: Federation) -> Any:
        """What comes of it where an answer is to come; whoever has a part in it carries out its own lines.

        Raises:
            SettingError: an owner has no such column.
            FedLabError: as the question.
        """
        source = make_source(federation, self.owner)
        if self.condition is not None:
            source = source.where(_bound(self.condition, source))
        source = Training.of(source) if self.training else source
        given = {name: _bound(value, source) if isinstance(value, Condition) else value for name, value in self.given}
        return _KINDS[self.kind](source, **given)


class Listener(Protocol):
    """Who is told of each question to a federation."""

    def asks(self, federation: Federation, asked: Asked) -> AbstractContextManager[None]:
        """What is done around it."""


_KINDS: dict[str, Callable[..., Any]] = {}
_LISTENERS: WeakKeyDictionary[Federation, Listener] = WeakKeyDictionary()


def listen(federation: Federation, listener: Listener) -> None:
    """From now on ``listener`` is told of each question that is asked of this federation."""
    _LISTENERS[federation] = listener


def question(kind: str) -> Callable[[Callable[Concatenate[Source, P], T]], Callable[Concatenate[Source, P], T]]:
    """Marks a function that answers one kind of question about a source.

    Of one owner of different columns it is gone through by this owner and the server alone.
    """

    def marked(reply: Callable[Concatenate[Source, P], T]) -> Callable[Concatenate[Source, P], T]:
        names = [*inspect.signature(reply).parameters][1:]

        @wraps(reply)
        def answer(source: Source, /, *given: P.args, **named: P.kwargs) -> T:
            with _told(kind, source, dict(zip(names, given, strict=False)) | named):
                if source.owner is not None and is_vertical(source.federation.schema):
                    return alone(source, lambda: reply(source, *given, **named))
                return reply(source, *given, **named)

        _KINDS[kind] = answer
        return answer

    return marked


@contextmanager
def _told(kind: str, source: Source, given: dict[str, object]) -> Iterator[None]:
    listener = _LISTENERS.pop(source.federation, None)
    if listener is None:
        yield
        return
    try:
        with listener.asks(source.federation, Asked.of(kind, source, given)):
            yield
    finally:
        _LISTENERS[source.federation] = listener


def _plain(value: object, name: str) -> object:
    if value is None or isinstance(value, Outcome | Condition):
        return value
    if isinstance(value, list | tuple | np.ndarray):
        return tuple(_plain(part, name) for part in value)
    return value_of(value, name)


def _said(value: object) -> str:
    if isinstance(value, Outcome | Condition):
        return value.text
    return "[" + ", ".join(map(_said, value)) + "]" if isinstance(value, tuple) else repr(value)


def _bound(condition: Condition, source: Source) -> Condition:
    """The condition on the columns as they are declared here."""
    if isinstance(condition, Compare):
        return compare(source.column(condition.column.name), condition.sign, condition.value)
    if isinstance(condition, Missing):
        return Missing(source.column(condition.column.name))
    if isinstance(condition, Not):
        return Not(_bound(condition.part, source))
    return Both(_bound(condition.left, source), _bound(condition.right, source), either=condition.either)
