"""The rounds of one run, computed one after the other, with what is known of them at every moment. It draws nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

from fedlab_nb.controls import Controls
from fedlab_nb.errors import BudgetExceededError
from fedlab_nb.parties import Federation
from fedlab_nb.parties.trust import access, spending, threats
from fedlab_nb.records import Access, History, Round, Snapshot, Spending
from fedlab_nb.records.snapshot import RunState
from fedlab_nb.rounds import Strategy


class Worker:
    """Takes rounds from ``stream`` while the controls allow it; ``ended`` is set when no more will come.

    ``work`` may run in any thread, everything else is safe to read meanwhile. The federation is taken at once and
    given back at the end: two runs at once would mix their messages in one ledger.

    Raises:
        SettingError: if the federation is training already.
    """

    def __init__(
        self, federation: Federation, strategy: Strategy, stream: Iterator[Round], num_rounds: int, after: Round | None
    ) -> None:
        self.federation, self.strategy, self.num_rounds, self.after = federation, strategy, num_rounds, after
        self.controls, self.ended = Controls(), threading.Event()
        self.error: BaseException | None = None
        self.note = ""
        self._stream = stream
        self._records: list[Round] = []
        self._state: RunState = "preparing"
        self._spending = spending(federation, None)
        self._access: tuple[Access, ...] = ()
        self._began, self._finished = time.monotonic(), 0.0
        self._claim = ExitStack()
        self._claim.enter_context(federation.in_use())

    @property
    def history(self) -> History:
        """The rounds so far, oldest first."""
        return History(self._records)

    @property
    def state(self) -> RunState:
        """Where the run is."""
        return "paused" if self.controls.paused and not self.ended.is_set() else self._state

    @property
    def title(self) -> str:
        """What is trained by whom, in a few words."""
        return f"{type(self.strategy).__name__} over {len(self.federation.names)} owners"

    def work(self, before: Callable[[], None], after_each: Callable[[], None]) -> None:
        """All rounds; ``before`` is called before the first, ``after_each`` after every one. Never raises."""
        try:
            before()
            self._state = "running"
            self._state = self._play(after_each)
        except KeyboardInterrupt:
            self._state, self.note = "interrupted", "Interrupted; the rounds so far are kept."
        except Exception as error:  # noqa: BLE001 - whatever ends the thread must reach the one who waits for it
            self.error, self._state, self.note = error, "failed", str(error)
        finally:
            self._claim.close()
            self._finished = time.monotonic()
            self.ended.set()

    def _play(self, after_each: Callable[[], None]) -> RunState:
        while self.controls.may_go_on():
            record = next(self._stream, None)
            if record is None:
                return "finished"
            broke = record.failed is not None and isinstance(record.failed.error, BudgetExceededError)
            if broke and (self._records or self.after):
                self.note = str(record.failed.error) if record.failed else ""
                return "budget spent"
            self._spending = self.strategy.spending(self.federation, record, self.num_rounds)
            self._access = access(self.federation)
            self._records.append(record)
            after_each()
            if record.failed is not None:
                self.error, self.note = record.failed.error, str(record.failed)
                return "failed"
        return self.controls.ended_by

    def interrupt(self) -> None:
        """End after the round that is being computed, and wait for that."""
        self.note = "Interrupted; the rounds so far are kept."
        self.controls.stop("interrupted")
        self.ended.wait()

    def spent_by_now(self) -> Spending:
        """The budgets as they are: other runs on the same data count, also when they came later."""
        last = self.history[-1:]
        if last:
            return self.strategy.spending(self.federation, last[0], self.num_rounds)
        return spending(self.federation, None)

    def snapshot(self) -> Snapshot:
        """The run at this moment, as plain facts."""
        history = self.history
        seconds = [sum(r.seconds.values()) for r in history]
        rest = self.num_rounds - history[-1].number if history else self.num_rounds
        return Snapshot(
            title=self.title,
            state=self.state,
            num_rounds=self.num_rounds,
            history=history,
            spending=self._spending,
            access=self._access,
            threats=threats(self.federation),
            metric="rmse" if any("rmse" in r.metrics for r in history) else "accuracy",
            note=self.note,
            elapsed=(self._finished or time.monotonic()) - self._began,
            left=rest * sum(seconds) / len(seconds) if seconds and self.state == "running" else None,
            owners=self.federation.names,
        )
