"""The rounds of one run, computed one after the other, with what is known of them at every moment. It draws nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack

from fedlab_nb.controls import Controls
from fedlab_nb.course import Course
from fedlab_nb.errors import BudgetExceededError, FedLabError, SettingError
from fedlab_nb.parties.trust import access, spending, threats
from fedlab_nb.records import History, Note, Round, Snapshot, Spending
from fedlab_nb.records.snapshot import RunState, Tone
from fedlab_nb.scene import headline, owner_lines
from fedlab_nb.units import setting_words


class Worker:
    """Takes rounds from ``course`` while the controls allow it; ``ended`` is set when no more will come.

    ``work`` may run in any thread, everything else is safe to call meanwhile. The federation is taken at once and
    given back at the end, with the settings that it had: two runs at once would mix their messages in one ledger.

    Raises:
        SettingError: if the federation is training already.
    """

    def __init__(self, course: Course) -> None:
        self.course, self.federation = course, course.federation
        self.controls, self.ended = Controls(), threading.Event()
        self.error: BaseException | None = None
        self.note = ""
        self.notes: list[Note] = []
        self._state: RunState = "preparing"
        self._began, self._finished = time.monotonic(), 0.0
        self._wanted: dict[str, float] = {}
        self._target: int | None = None
        self._asked = self._awaited = False
        self._claim = ExitStack()
        self._claim.enter_context(self.federation.in_use())
        house = self.federation.house
        self._claim.callback(lambda: setattr(self.federation, "house", house))
        self._facts: dict[str, object] = {}
        self.refresh()

    @property
    def history(self) -> History:
        """The rounds so far, oldest first; those that a rewind left behind are in the course's ``branches``."""
        return self.course.history

    @property
    def state(self) -> RunState:
        """Where the run is."""
        return "paused" if self.controls.paused and not self.ended.is_set() else self._state

    @property
    def title(self) -> str:
        """What is trained by whom, in a few words."""
        return f"{type(self.course.strategy).__name__} over {len(self.federation.names)} owners"

    @property
    def settings(self) -> dict[str, float]:
        """What the next round will run under, asked-for changes included."""
        return {**self.course.settings, **self._wanted}

    @property
    def mark(self) -> tuple[object, ...]:
        """It differs whenever something has changed that eyes could see."""
        last = self.course.last
        return self.state, len(self.course.records), id(last), len(self.notes), tuple(self._wanted.items())

    def pause(self) -> None:
        """Hold before the next round."""
        if not self.ended.is_set() and not self.controls.paused:
            self.controls.pause()
            self.say("Paused.")

    def resume(self) -> None:
        """Go on after a pause."""
        if self.controls.paused:
            self.controls.resume()
            self.say("Resumed.")

    def change(self, settings: Mapping[str, float]) -> None:
        """Other settings from the next round on.

        Raises:
            SettingError, RuleError: what cannot work; nothing is changed then.
        """
        self._refuse_if_over("Its settings can no longer be changed; fork it: run.fork(lr=0.05), for example.")
        wanted = {**self._wanted, **settings}
        self.course.tried(wanted)
        self._wanted = wanted
        self.controls.nudge()

    def rewind(self, to: int) -> None:
        """Go back to how things were after round ``to``; what was released stays released and paid for.

        Raises:
            SettingError: if there is no such round to go back to.
        """
        self._refuse_if_over("It can be forked instead: run.fork(after=5), for example.")
        self.course.check_rewind(to)
        self._target = int(to)
        self.controls.nudge()

    def forked(self, after: int | None, num_rounds: int | None, settings: Mapping[str, float]) -> Worker:
        """A worker that goes on from round ``after`` of this run, with the settings then in force and ``settings``.

        Raises:
            SettingError, RuleError, BudgetExceededError: what cannot work, or a run that has not ended.
        """
        if not self.ended.is_set():
            raise SettingError(
                "The run to be forked is still going on.",
                "Two runs at once would mix their messages in one ledger.",
                "Wait for its end or stop it; a run that goes on can be rewound: run.rewind(5), then run.resume().",
            )
        twin = Worker(self.course.forked(after, num_rounds))
        base = twin.course.after
        try:
            now = twin.settings
            then = {name: value for name, value in base.settings.items() if name in now} if base else {}
            changes = {name: value for name, value in {**then, **settings}.items() if now.get(name) != value}
            if changes:
                twin.course.change(changes)
        except BaseException:
            twin._claim.close()
            raise
        words = ", ".join(setting_words(name, value) for name, value in settings.items()) or "nothing changed"
        twin.say(f"Forked after round {base.number if base else 0}: {words}.")
        return twin

    def work(self, before: Callable[[], None], after_each: Callable[[], None]) -> None:
        """All rounds; ``before`` is called before the first, ``after_each`` after every one. Never raises."""
        try:
            before()
            self._state = "running"
            self._state = self._play(after_each)
        except KeyboardInterrupt:
            self._state, self.note = "interrupted", "Interrupted; the rounds so far are kept."
        except Exception as error:  # noqa: BLE001 - whatever ends the thread must reach the one who waits for it
            self.error, self._state, self.note = error, "failed", _told(error, self.course.last)
        finally:
            self._finished = time.monotonic()
            self.say(self.note or f"The run has ended: {self._state}.", "bad" if self._state == "failed" else "plain")
            self.refresh()
            self._claim.close()
            self.ended.set()

    def _play(self, after_each: Callable[[], None]) -> RunState:
        while (move := self.controls.next_move()) != "end":
            self._take_over()
            if self._asked:
                self.refresh()
            if move == "look":
                continue
            record = self.course.next()
            if record is None:
                return "finished"
            broke = record.failed is not None and isinstance(record.failed.error, BudgetExceededError)
            if broke and self.course.last is not None:
                self.note = str(record.failed.error) if record.failed else ""
                return "budget spent"
            self.course.records.append(record)
            after_each()
            if record.failed is not None:
                self.error, self.note = record.failed.error, str(record.failed)
                return "failed"
        return "failed" if self.error is not None else self.controls.ended_by

    def _take_over(self) -> None:
        """Between two rounds: go back, and change settings, if that was asked for."""
        target, self._target = self._target, None
        wanted, self._wanted = self._wanted, {}
        at = self.course.records[-1].number if self.course.records else 0
        if target is not None and target < at:
            self.course.rewind(target)
            self.say(f"Rewound from round {at} to round {target}. What was released stays released, and paid for.")
        if wanted:
            try:
                self.course.change(wanted)
            except FedLabError as error:
                self.say(f"A change was refused: {error}", "warning")
            else:
                self.say("From the next round on: " + ", ".join(setting_words(n, v) for n, v in wanted.items()) + ".")

    def _refuse_if_over(self, instead: str) -> None:
        if self.ended.is_set():
            raise SettingError(f"The run has ended ({self._state}).", "No further round will come of it.", instead)

    def say(self, words: str, tone: Tone = "plain") -> None:
        """Keep a line of what happened."""
        at = self.course.last.number if self.course.last else 0
        self.notes.append(Note(at, (self._finished or time.monotonic()) - self._began, words, tone))

    def interrupt(self) -> None:
        """End after the round that is being computed, and wait for that."""
        self.note = "Interrupted; the rounds so far are kept."
        self.controls.stop("interrupted")
        self.ended.wait()

    def spent_by_now(self) -> Spending:
        """The budgets as they are: other runs on the same data count, also when they came later."""
        last = self.course.records[-1:]
        if last:
            return self.course.strategy.spending(self.federation, last[0], self.course.num_rounds)
        return spending(self.federation, None)

    def take(self) -> Snapshot | None:
        """The run as it is, or None where that is known only when the round being computed is over: ask again then.

        Records and accounts belong together only between two rounds: while one is computed, its releases are paid
        already.
        """
        if not self.ended.is_set() and self._facts["key"] != self._key() and (self._asked or not self._awaited):
            self._asked = self._awaited = True
            if self.controls.paused:
                self.controls.nudge()
            return None
        self._awaited = False
        return self.snapshot()

    def _key(self) -> tuple[object, ...]:
        return len(self.course.records), id(self.course.last), self.course.strategy, self.federation.house

    def refresh(self) -> None:
        """Bring what ``snapshot`` tells up to the newest round. Between rounds only; it never raises."""
        self._asked = False
        facts: dict[str, object] = {
            "key": self._key(),
            "history": self.history,
            "access": access(self.federation),
            "threats": threats(self.federation),
            "lines": owner_lines(self.federation, self.history),
        }
        try:
            facts |= {"spending": self.spent_by_now(), "settings": self.course.settings}
        except Exception as error:  # noqa: BLE001 - a strategy that cannot say what it spends must not go on unseen
            self.error = self.error or error
            self.note = _told(error, self.course.last)
            self.controls.stop()
            facts |= {"spending": spending(self.federation, None), "settings": {}}
        self._facts = facts

    def snapshot(self) -> Snapshot:
        """The run as plain facts: as it was when it was last brought up, and what can be told at any moment."""
        facts = dict(self._facts)
        del facts["key"]
        history: History = facts["history"]  # type: ignore[assignment]
        recent = [sum(r.seconds.values()) for r in history[-20:]]
        rest = self.course.num_rounds - (self.course.last.number if self.course.last is not None else 0)
        settings = {**facts.pop("settings"), **self._wanted}  # type: ignore[dict-item]
        return Snapshot(
            title=self.title,
            state=self.state,
            num_rounds=self.course.num_rounds,
            metric=headline(history),
            note=self.note,
            elapsed=(self._finished or time.monotonic()) - self._began,
            left=rest * sum(recent) / len(recent) if recent and self.state == "running" else None,
            owners=self.federation.names,
            notes=tuple(self.notes),
            branches=self.course.branches,
            before=self.course.after,
            settings=settings,
            **facts,  # type: ignore[arg-type]
        )


def _told(error: Exception, last: Round | None) -> str:
    """Why the run failed, so that it teaches: our own errors do, any other is said to be the strategy's."""
    if isinstance(error, FedLabError):
        return str(error)
    after = f"after round {last.number}" if last is not None else "before the first round was complete"
    return (
        f"{type(error).__name__}: {error}. It was raised by the strategy's own code {after}; the rounds before it are "
        "kept, and the kernel is unharmed. Correct the strategy, run its cell and this one again."
    )
