"""Questions to owners of different columns: a list that all have agreed on, gone through in its order.

The server orders nothing. Its function asks, and each question must be the next one of the list; a party carries out
its own lines of the list's questions, one after the other, and of nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

# A party asks no frame: questions across owners are known in its process because they are brought in here.
import fedlab_nb.analytics.vertical.frame  # noqa: F401
from fedlab_nb.analytics.apart.asked import Asked
from fedlab_nb.errors import SettingError
from fedlab_nb.flower.columns.steps import Steps
from fedlab_nb.parties import Federation
from fedlab_nb.units import counted


class Noted:
    """Who notes each question that is asked."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []

    @contextmanager
    def asks(self, _: Federation, asked: Asked) -> Iterator[None]:
        """Note it."""
        self.asked.append(asked)
        yield


class InOrder:
    """The server's side: a question begins for all parties, if it is the next one of those that were ``agreed`` on."""

    def __init__(self, agreed: Sequence[Asked]) -> None:
        self._agreed, self._place, self._over = tuple(agreed), 0, False

    @property
    def left(self) -> tuple[Asked, ...]:
        """The questions that were not asked so far."""
        return self._agreed[self._place :]

    @contextmanager
    def asks(self, federation: Federation, asked: Asked) -> Iterator[None]:
        """Begin the question, and see it to its end.

        Raises:
            SettingError: another one was agreed on, none any more, or an earlier one was not answered.
        """
        self._check(asked)
        self._place += 1
        self._over = True
        federation.round_begins(federation.names)
        yield
        federation.round_ends()
        self._over = False

    def _check(self, asked: Asked) -> None:
        if self._over:
            raise SettingError(
                f"After question {self._place} was not answered, the function asked another one: {asked.text}.",
                "The parties are somewhere inside the question that failed, and go no further.",
                "Correct what that question says, and export the function anew.",
            )
        expected = self._agreed[self._place] if self._place < len(self._agreed) else None
        if expected is None or expected.text != asked.text:
            agreed = "no further question" if expected is None else f"the question: {expected.text}"
            raise SettingError(
                f"After {counted(self._place, 'question')} the function asked: {asked.text}. Agreed on was {agreed}.",
                "The sites carry out the agreed questions in their order, and no other: what is asked must not depend "
                "on what was answered.",
                "Write the questions down with fixed columns, values and conditions, and export them anew.",
            )


def answering(agreed: Sequence[Asked]) -> Steps:
    """A party's way through the questions: of each it carries out its own lines."""

    def steps(federation: Federation) -> Iterator[Exception | None]:
        for asked in agreed:
            asked.carry_out(federation)
            yield None

    return steps
