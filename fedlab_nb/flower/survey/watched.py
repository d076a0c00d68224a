"""Questions that are asked elsewhere, seen from a notebook: the answers as they come, fed from Flower's log."""

from __future__ import annotations

from collections.abc import Iterator
from types import MappingProxyType
from typing import Any

from fedlab_nb.cards import code, folded, framed, pairs_html, panel
from fedlab_nb.flower import news
from fedlab_nb.flower.agreement import Agreement
from fedlab_nb.flower.survey.answers import together
from fedlab_nb.flower.survey.following import Followed
from fedlab_nb.flower.watch import Runs
from fedlab_nb.units import counted, epsilon_text


class WatchedSurvey(Followed[dict[str, Any]]):
    """Questions at a SuperLink: ``number`` is Flower's number for the run; ``stop()`` ends it, ``leave()`` this.

    ``answers`` is what there is so far, by the names that the function gives, and never waits; ``wait()`` and ``await
    survey`` give all of them. They are those of ``dict(questions(fl.PrivateFrame(federation)))``: the same tables,
    numbers and cards. ``federation`` has the ledger and what each owner's data has given away. ``unasked`` are
    questions that owners of different columns had agreed on, and that the function came to its end without asking.
    ``warning`` names them, and says whose keys had to be taken as the server shows them; "" if there is neither.

    Raises:
        FedLabError: why the parties did not meet.
    """

    def __init__(self, agreement: Agreement, told: Iterator[news.News], control: Runs, number: int) -> None:
        self.questions = agreement.strategy
        self.unasked: tuple[str, ...] = ()
        self._answers: dict[str, Any] = {}
        super().__init__(agreement, told, control, number)

    @property
    def answers(self) -> dict[str, Any]:
        """The answers so far, in the order in which they came."""
        return dict(self._answers)

    @property
    def spent(self) -> MappingProxyType[str, float | None]:
        """By owner, the epsilon of all that its data has given away by now; None without a guarantee."""
        house, found = self.federation.house, dict[str, float | None]()
        for name in self.federation.names:
            account = self.federation.account(name)
            private = house.protect is not None and house.noise_seed is None
            known = private and account.guaranteed(house.protect.unit)  # type: ignore[union-attr]
            found[name] = account.spent(self.federation.delta) if known else None
        return MappingProxyType(found)

    @property
    def epsilon(self) -> float | None:
        """What the owner that spent most has spent by now; None without a guarantee."""
        return self.federation.epsilon()

    def _take(self, item: Any) -> None:
        if isinstance(item, news.Unasked):
            self.unasked = item.questions
            self.warning = f"{self.warning} {_missing(item.questions)}".strip()
        if not isinstance(item, news.Answered):
            return
        self.federation.take(item)
        if item.name is not None:
            self._answers = {**self._answers, item.name: together(item.answer)}

    def _so_far(self) -> dict[str, Any]:
        return self.answers

    def _kept(self) -> tuple[str, str]:
        return counted(len(self._answers), "answer"), "The answers so far are kept"

    def __repr__(self) -> str:
        named = f": {', '.join(self._answers)}" if self._answers else ""
        unsure = "; see .warning" if self.warning else ""
        came = counted(len(self._answers), "answer")
        less = f"; {counted(len(self.unasked), 'question')} never asked" if self.unasked else ""
        return f"WatchedSurvey({self.questions.name}: {self.state}, {came}{named}{less}{unsure})"

    def _repr_html_(self) -> str:
        shown = [(name, code(_line(answer))) for name, answer in self._answers.items()]
        state = [("State", self.state)] + [("Why", str(self.error))] * (self.error is not None)
        spent = [(name, self._spent_text(name, value)) for name, value in self.spent.items()]
        unasked = [("Agreed on, and never asked", "; ".join(self.unasked))] * bool(self.unasked)
        body = pairs_html([*state, *unasked, ("Run", self.number)]) + pairs_html(shown)
        body += folded("Epsilon spent, over all that ever left an owner's rows", pairs_html(spent))
        note = self.warning or "Each of .answers is a table or a number with its own card; .federation has the ledger."
        return framed(panel(f"Questions: {self.questions.name}", body, note=note))

    def _spent_text(self, name: str, epsilon: float | None) -> str:
        bare = self._unprotected(name)
        return f"no guarantee: {counted(bare, 'release')} without noise" if bare else epsilon_text(epsilon)


def _missing(questions: tuple[str, ...]) -> str:
    return f"{counted(len(questions), 'question')} agreed on had no answer, as the function never asked: " + (
        "; ".join(questions) + "."
    )


def _line(answer: Any) -> str:
    """An answer in a few words."""
    if hasattr(answer, "shape") and hasattr(answer, "columns"):
        return f"{counted(answer.shape[0], 'row')}, {counted(answer.shape[1], 'column')}"
    return repr(answer).splitlines()[0][:120]
