"""What goes on at a SuperLink without rounds, followed from a notebook: its news, how to wait for it, and to end it."""

from __future__ import annotations

import asyncio
import threading
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator
from typing import Any, Generic, Literal, TypeVar

from fedlab_nb.errors import FedLabError, RoundError
from fedlab_nb.flower import news
from fedlab_nb.flower.agreement import Agreement
from fedlab_nb.flower.watch import UNKNOWN, Runs, WatchedFederation, meeting
from fedlab_nb.parties.columns.road import keep_alignment

# How often, in seconds, one who waits looks again: so that an interruption of the kernel gets through.
_LOOK = 0.1
R = TypeVar("R")


class Followed(ABC, Generic[R]):
    """A run of which a thread reads the news: ``wait()`` gives its result, ``stop()`` ends it, ``leave()`` this.

    ``federation`` has the ledger and what each owner's data has given away; ``warning`` says whose keys had to be taken
    as the server shows them, "" if nobody's.

    Raises:
        FedLabError: why the parties did not meet.
    """

    def __init__(self, agreement: Agreement, told: Iterator[news.News], control: Runs, number: int) -> None:
        first = meeting(agreement, told)
        self.control, self.number = control, number
        self.federation = WatchedFederation(agreement, first.introductions)
        unknown = [name for name, those in first.unknown.items() if those]
        self.warning = UNKNOWN.format(", ".join(unknown)) if unknown else ""
        self.error: Exception | None = None
        self.state: Literal["running", "finished", "failed", "stopped", "left"] = "running"
        self._reader = threading.Thread(target=self._read, args=(told,), name=f"run {number}", daemon=True)
        self._reader.start()

    @abstractmethod
    def _take(self, item: Any) -> None:
        """Take up a piece of news that is neither the first nor the last."""

    @abstractmethod
    def _so_far(self) -> R:
        """The result, or what there is of it."""

    @abstractmethod
    def _kept(self) -> tuple[str, str]:
        """What there was, "3 answers", when the run ended without a word; and what of it is kept."""

    def wait(self) -> R:
        """Wait for the end, and give the result. Interrupted, the run goes on, and so does the watching.

        Raises:
            FedLabError: why it came to no good end.
        """
        while self.state == "running":
            self._reader.join(_LOOK)
        return self._result()

    def __await__(self) -> Generator[object, None, R]:
        return self._wait_without_blocking().__await__()

    async def _wait_without_blocking(self) -> R:
        while self.state == "running":
            await asyncio.sleep(_LOOK)
        return self._result()

    def stop(self) -> None:
        """End the run at the SuperLink; what came of it is kept."""
        self._end("stopped")
        self.control.stop(self.number)

    def leave(self) -> None:
        """Stop watching: the run goes on. ``fl.flower.attach(project, control, run.number)`` takes it up again."""
        self._end("left")

    def _unprotected(self, name: str) -> int:
        """How many releases without noise have left this owner's rows by now, over all runs that it knows of."""
        counts = self.federation.account(name).counts
        return sum(times for (event, _), times in counts.items() if event.mechanism == "none")

    def _end(self, state: Literal["stopped", "left"]) -> None:
        if self.state == "running":
            self.state = state

    def _result(self) -> R:
        if self.error is not None:
            raise self.error
        return self._so_far()

    def _read(self, told: Iterator[news.News]) -> None:
        try:
            for item in told:
                if self.state != "running":
                    return
                if isinstance(item, news.Ended):
                    self._finish(item.error)
                    return
                if isinstance(item, news.Linked):
                    keep_alignment(self.federation, item.alignment)
                self._take(item)
            self._finish(self._without_a_word())
        except Exception as error:  # noqa: BLE001 - it is raised to whoever waits
            self._finish(error)

    def _finish(self, error: Exception | None) -> None:
        if self.state == "running":
            self.error, self.state = error, "finished" if error is None else "failed"

    def _without_a_word(self) -> FedLabError:
        amount, kept = self._kept()
        return RoundError(
            "server",
            "ending",
            f"The run ended after {amount} without a word.",
            "Its process at the SuperLink was ended from outside: somebody stopped it, or it ran out of memory.",
            f"{kept}; control.status(run.number) says what Flower knows of its end.",
        )
