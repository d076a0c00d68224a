"""Questions that are asked elsewhere, seen from a notebook: the answers as they come, fed from Flower's log."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Generator, Iterator
from types import MappingProxyType
from typing import Any, Literal

from fedlab_nb.cards import code, folded, framed, pairs_html, panel
from fedlab_nb.errors import FedLabError, RoundError
from fedlab_nb.flower import news
from fedlab_nb.flower.agreement import Agreement
from fedlab_nb.flower.survey.answers import together
from fedlab_nb.flower.watch import UNKNOWN, Runs, WatchedFederation, meeting
from fedlab_nb.units import counted, epsilon_text

# How often, in seconds, one who waits looks again: so that an interruption of the kernel gets through.
_LOOK = 0.1


class WatchedSurvey:
    """Questions at a SuperLink: ``number`` is Flower's number for the run; ``stop()`` ends it, ``leave()`` this.

    ``answers`` is what there is so far, by the names that the function gives, and never waits; ``wait()`` and ``await
    survey`` give all of them. They are those of ``dict(questions(fl.PrivateFrame(federation)))``: the same tables,
    numbers and cards. ``federation`` has the ledger and what each owner's data has given away. ``warning`` says whose
    keys had to be taken as the server shows them; "" if nobody's.

    Raises:
        FedLabError: why the parties did not meet.
    """

    def __init__(self, agreement: Agreement, told: Iterator[news.News], control: Runs, number: int) -> None:
        first = meeting(told)
        self.control, self.number, self.questions = control, number, agreement.strategy
        self.federation = WatchedFederation(agreement, first.introductions)
        unknown = [name for name, those in first.unknown.items() if those]
        self.warning = UNKNOWN.format(", ".join(unknown)) if unknown else ""
        self.error: Exception | None = None
        self.state: Literal["running", "finished", "failed", "stopped", "left"] = "running"
        self._answers: dict[str, Any] = {}
        self._reader = threading.Thread(target=self._read, args=(told,), name=f"survey {number}", daemon=True)
        self._reader.start()

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

    def wait(self) -> dict[str, Any]:
        """Wait for the end; all answers by name. Interrupted, the run goes on, and so does the watching.

        Raises:
            FedLabError: naming the question that was not answered; ``answers`` keeps those before it.
        """
        while self.state == "running":
            self._reader.join(_LOOK)
        return self._result()

    def __await__(self) -> Generator[object, None, dict[str, Any]]:
        return self._wait_without_blocking().__await__()

    async def _wait_without_blocking(self) -> dict[str, Any]:
        while self.state == "running":
            await asyncio.sleep(_LOOK)
        return self._result()

    def stop(self) -> None:
        """End the run at the SuperLink: no further question is asked, and the answers that came are kept."""
        self._end("stopped")
        self.control.stop(self.number)

    def leave(self) -> None:
        """Stop watching: the run goes on. ``fl.flower.attach(project, control, run.number)`` takes it up again."""
        self._end("left")

    def _end(self, state: Literal["stopped", "left"]) -> None:
        if self.state == "running":
            self.state = state

    def _result(self) -> dict[str, Any]:
        if self.error is not None:
            raise self.error
        return self.answers

    def _read(self, told: Iterator[news.News]) -> None:
        try:
            for item in told:
                if self.state != "running":
                    return
                if isinstance(item, news.Answered):
                    self._take(item)
                elif isinstance(item, news.Ended):
                    self._finish(item.error)
                    return
            self._finish(self._without_a_word())
        except Exception as error:  # noqa: BLE001 - it is raised to whoever waits
            self._finish(error)

    def _take(self, item: news.Answered) -> None:
        self.federation.take(item)
        if item.name is not None:
            self._answers = {**self._answers, item.name: together(item.answer)}

    def _finish(self, error: Exception | None) -> None:
        if self.state == "running":
            self.error, self.state = error, "finished" if error is None else "failed"

    def _without_a_word(self) -> FedLabError:
        return RoundError(
            "server",
            "ending",
            f"The run ended after {counted(len(self._answers), 'answer')} without a word.",
            "Its process at the SuperLink was ended from outside: somebody stopped it, or it ran out of memory.",
            "The answers so far are kept; control.status(run.number) says what Flower knows of its end.",
        )

    def __repr__(self) -> str:
        named = f": {', '.join(self._answers)}" if self._answers else ""
        unsure = "; see .warning" if self.warning else ""
        came = counted(len(self._answers), "answer")
        return f"WatchedSurvey({self.questions.name}: {self.state}, {came}{named}{unsure})"

    def _repr_html_(self) -> str:
        shown = [(name, code(_line(answer))) for name, answer in self._answers.items()]
        state = [("State", self.state)] + [("Why", str(self.error))] * (self.error is not None)
        spent = [(name, epsilon_text(value)) for name, value in self.spent.items()]
        body = pairs_html([*state, ("Run", self.number)]) + pairs_html(shown)
        body += folded("Epsilon spent, over all that ever left an owner's rows", pairs_html(spent))
        note = self.warning or "Each of .answers is a table or a number with its own card; .federation has the ledger."
        return framed(panel(f"Questions: {self.questions.name}", body, note=note))


def _line(answer: Any) -> str:
    """An answer in a few words."""
    if hasattr(answer, "shape") and hasattr(answer, "columns"):
        return f"{counted(answer.shape[0], 'row')}, {counted(answer.shape[1], 'column')}"
    return repr(answer).splitlines()[0][:120]
