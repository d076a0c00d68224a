"""The rounds of one run, computed one after the other, with what is known of them at every moment. It draws nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from weakref import WeakSet

from fedlab_nb.controls import Controls
from fedlab_nb.course import Course
from fedlab_nb.errors import BudgetExceededError, FedLabError, SettingError
from fedlab_nb.lookout import Lookout
from fedlab_nb.records import History, Note, Snapshot, Spending
from fedlab_nb.records.snapshot import RunState, Tone
from fedlab_nb.scene import headline, told
from fedlab_nb.units import counted, setting_words

# How long an interruption waits for the round that is being computed, in seconds.
PATIENCE = 3.0
_LIVE: WeakSet[Worker] = WeakSet()


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
        self._lookout = Lookout(course)
        self._reused = self.federation.books.reused
        self._claim = ExitStack()
        self._claim.enter_context(self.federation.in_use())
        house = self.federation.house
        self._claim.callback(lambda: setattr(self.federation, "house", house))
        try:
            self.refresh()
        except BaseException:
            self._claim.close()
            raise
        self._warn_of_others()
        _LIVE.add(self)

    def _warn_of_others(self) -> None:
        """Another run on the same data, perhaps one whose cell was run again, spends the same budget."""
        mine = {id(self.federation.account(name)) for name in self.federation.names}
        for other in list(_LIVE):
            theirs = {id(other.federation.account(name)) for name in other.federation.names}
            if self.federation.house.budget is not None and mine & theirs and not other.ended.is_set():
                self.say("Another run that is still going on spends the budget of the same data: stop one.", "warning")

    @property
    def history(self) -> History:
        """The rounds so far, oldest first; those that a rewind left behind are in the course's ``branches``."""
        return self.course.history

    @property
    def state(self) -> RunState:
        """Where the run is."""
        return "paused" if self.controls.paused and not self.ended.is_set() else self._state

    @property
    def costs(self) -> list[float]:
        """Seconds of processor time that each look at the federation took, beside the rounds."""
        return self._lookout.costs

    @property
    def title(self) -> str:
        """What is trained by whom, in a few words."""
        return f"{type(self.course.strategy).__name__} over {len(self.federation.names)} owners"

    @property
    def settings(self) -> dict[str, float]:
        """What the next round will run under, asked-for changes included; after the end what the last one ran under."""
        if self.ended.is_set():
            return dict(self._lookout.facts["settings"])  # type: ignore[call-overload, no-any-return]
        return {**self.course.settings, **self._wanted}

    @property
    def mark(self) -> tuple[object, ...]:
        """It differs whenever something has changed that eyes could see."""
        return self.state, id(self._lookout.facts), len(self.notes), tuple(self._wanted.items())

    def pause(self) -> None:
        """Hold before the next round."""
        if not self.ended.is_set() and not self.controls.paused:
            self.controls.pause()
            self.controls.nudge()  # so that what is shown is brought up to the round at which it stands
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
        self._refuse_if_over("Fork it instead, from any of its rounds: run.fork(after=1, lr=0.05), for example.")
        wanted = {**self._wanted, **settings}
        self.course.tried(wanted)
        now = self.course.settings
        self._wanted = {name: value for name, value in wanted.items() if now.get(name) != value}
        self.controls.nudge()

    def rewind(self, to: int) -> None:
        """Go back to how things were after round ``to``; what was released stays released and paid for.

        Raises:
            SettingError: if there is no such round to go back to.
        """
        self._refuse_if_over("It can be forked instead, from any of its rounds: run.fork(after=1), for example.")
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
            twin.course.resume_settings({**(base.settings if base else {}), **settings}, asked=settings)
            twin.refresh()
        except BaseException:
            twin._claim.close()
            raise
        words = ", ".join(setting_words(name, value) for name, value in settings.items()) or "with the same settings"
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
        except BaseException as error:  # noqa: BLE001 - whatever ends the thread must reach the one who waits for it
            self.error, self._state, self.note = error, "failed", told(error, self.course.last)
        finally:
            self._finish()

    def _finish(self) -> None:
        """Whatever happens, whoever waits is told, and the federation is free again."""
        try:
            self._finished = time.monotonic()
            if self._wanted or self._target is not None:
                self.say("The run ended before the last changes asked for could take effect.", "warning")
            self._wanted, self._target = {}, None
            if reused := self.federation.books.reused - self._reused:
                self.say(f"{counted(reused, 'answer')} came from the vault, free: the same had been asked before.")
            self.say(self.note or f"The run has ended: {self._state}.", "bad" if self._state == "failed" else "plain")
            self.refresh()
        finally:
            self._claim.close()
            self.ended.set()

    def abandon(self) -> None:
        """Give the federation back: nobody will call ``work``."""
        self._state = "stopped"
        self._finish()

    def _play(self, after_each: Callable[[], None]) -> RunState:
        while (move := self.controls.next_move()) != "end":
            self._take_over()
            self._look()
            if move == "look":
                continue
            record = self.course.next()
            if record is None:
                return "finished"
            broke = record.failed is not None and isinstance(record.failed.error, BudgetExceededError)
            if broke and self.course.last is not None:
                self.note = str(record.failed.error) if record.failed else ""
                return "budget spent"
            self.course.keep(record)
            for words, tone in self.course.news(record):
                self.say(words, tone)
            self._look()
            after_each()
            if record.failed is not None and not self.course.goes_on:
                self.error, self.note = record.failed.error, str(record.failed)
                return "failed"
        return "failed" if self.error is not None else self.controls.ended_by

    def _take_over(self) -> None:
        """Between two rounds: go back, and change settings, if that was asked for."""
        target, self._target = self._target, None
        wanted, self._wanted = self._wanted, {}
        at = self.course.records[-1].number if self.course.records else 0
        if target is not None and target < at:
            try:
                self.course.rewind(target)
            except FedLabError as error:
                self.say(f"Rewinding was refused: {error}", "warning")
            else:
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
        """End after the round that is being computed; wait for that a little, as an endless round would hang all."""
        self.note = "Interrupted; the rounds so far are kept."
        self.controls.stop("interrupted")
        if not self.ended.wait(PATIENCE):
            self.say("Interrupted. The round that is being computed goes on; after it the run ends.", "warning")

    def spent_by_now(self) -> Spending:
        """The budgets as they are: other runs on the same data count, also when they came later."""
        return self._lookout.spent_by_now()

    def ask(self, *, urgent: bool = False) -> bool:
        """Have what ``snapshot`` tells brought up after the next round; whether it is up to the newest already."""
        fresh = self.ended.is_set() or self._lookout.fresh
        self._lookout.ask(urgent=urgent and not fresh)
        return fresh

    def _look(self) -> None:
        """Between two rounds: bring up what is shown, if somebody looks, and always when the run is held."""
        if (self._lookout.due or self.controls.paused) and not self._lookout.fresh:
            self.refresh()

    def refresh(self) -> None:
        """Bring what ``snapshot`` tells up to the newest round. Between rounds only; what fails in it ends the run."""
        failure = self._lookout.refresh()
        if failure is not None:
            self.error = self.error or failure
            self.note = told(failure, self.course.last)
            self._state = "failed" if self._finished else self._state
            self.controls.stop()

    def snapshot(self) -> Snapshot:
        """The run as plain facts: as it was when it was last brought up, and what can be told at any moment."""
        facts = dict(self._lookout.facts)
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
            before=self.course.after,
            settings=settings,
            **facts,  # type: ignore[arg-type]
        )
