"""The rounds of one run, computed one after the other, with what is known of them at every moment. It draws nothing.

A change of settings and a rewind are nothing but a new ``rounds(..., after=...)``: the loop itself knows of neither.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import fields, is_dataclass, replace

from fedlab_nb.controls import Controls
from fedlab_nb.errors import BudgetExceededError, FedLabError, SettingError
from fedlab_nb.parties import Federation
from fedlab_nb.parties.house import House
from fedlab_nb.parties.rules import check_house, is_number
from fedlab_nb.parties.trust import access, spending, threats
from fedlab_nb.records import Branch, History, Note, Round, Snapshot, Spending
from fedlab_nb.records.snapshot import RunState, Tone
from fedlab_nb.rounds import Strategy, rounds
from fedlab_nb.scene import headline, owner_lines

LIVE = ("preparing", "running", "paused")


class Worker:
    """Takes rounds while the controls allow it; ``ended`` is set when no more will come.

    ``work`` may run in any thread, everything else is safe to call meanwhile. The federation is taken at once and
    given back at the end, with the settings that it had: two runs at once would mix their messages in one ledger.

    Raises:
        SettingError, RuleError, BudgetExceededError: what cannot work, or a federation that is training already.
    """

    def __init__(
        self,
        federation: Federation,
        strategy: Strategy,
        *,
        num_rounds: int,
        seed: int = 0,
        after: Round | None = None,
        branches: tuple[Branch, ...] = (),
    ) -> None:
        self.federation, self.strategy, self.num_rounds = federation, strategy, num_rounds
        self.seed, self.after, self.branches = seed, after, branches
        self._stream = self._from(after)
        self.controls, self.ended = Controls(), threading.Event()
        self.error: BaseException | None = None
        self.note = ""
        self.notes: list[Note] = []
        self._records: list[Round] = []
        self._state: RunState = "preparing"
        self._began, self._finished = time.monotonic(), 0.0
        self._wanted: dict[str, float] = {}
        self._target: int | None = None
        self._facts: tuple[object, dict[str, object]] = (None, {})
        self._claim = ExitStack()
        self._claim.enter_context(federation.in_use())
        house = federation.house
        self._claim.callback(lambda: setattr(federation, "house", house))

    @property
    def history(self) -> History:
        """The rounds so far, oldest first; those that a rewind left behind are in ``branches``."""
        return History(self._records)

    @property
    def last(self) -> Round | None:
        """The round that the next one will follow."""
        return self._records[-1] if self._records else self.after

    @property
    def state(self) -> RunState:
        """Where the run is."""
        return "paused" if self.controls.paused and not self.ended.is_set() else self._state

    @property
    def title(self) -> str:
        """What is trained by whom, in a few words."""
        return f"{type(self.strategy).__name__} over {len(self.federation.names)} owners"

    @property
    def settings(self) -> dict[str, float]:
        """What the next round will run under, asked-for changes included."""
        state = self.last.state if self.last is not None and self.last.state.context is not None else None
        return {**self.strategy.settings(self.federation, state), **self._wanted}

    def change(self, settings: Mapping[str, float]) -> None:
        """Other settings from the next round on.

        Raises:
            SettingError, RuleError: what cannot work; nothing is changed then.
        """
        self._refuse_if_over("Its settings can no longer be changed.")
        known = self.settings
        for name, value in settings.items():
            if name not in known or not is_number(value):
                raise SettingError(
                    f"{name}={value!r} was asked for.",
                    f"What may be changed in this run are numbers: {', '.join(known)}.",
                    f"For example run.change({next(iter(known))}={known[next(iter(known))]:g}).",
                )
        wanted = {**self._wanted, **settings}
        self._tried(wanted)
        self._wanted = wanted
        self.controls.nudge()

    def rewind(self, to: int) -> None:
        """Go back to how things were after round ``to``; what was released stays released and paid for.

        Raises:
            SettingError: if there is no such round to go back to.
        """
        self._refuse_if_over("It can be forked instead: run.fork(after=...).")
        first = self.after.number if self.after is not None else 1
        last = self._records[-1].number if self._records else first
        if not is_number(to, whole=True) or not first <= to < last:
            raise SettingError(
                f"Rewinding to round {to!r} was asked for.",
                f"The run is at round {last}, so it can go back to round {first} to {last - 1}."
                if first < last
                else "There is no earlier round to go back to yet.",
                "Rewind to one of these; to begin anew, train anew.",
            )
        self._target = int(to)
        self.controls.nudge()

    def work(self, before: Callable[[], None], after_each: Callable[[], None]) -> None:
        """All rounds; ``before`` is called before the first, ``after_each`` after every one. Never raises."""
        try:
            before()
            self._state = "running"
            self._state = self._play(after_each)
        except KeyboardInterrupt:
            self._state, self.note = "interrupted", "Interrupted; the rounds so far are kept."
        except Exception as error:  # noqa: BLE001 - whatever ends the thread must reach the one who waits for it
            self.error, self._state, self.note = error, "failed", _told(error, self.last)
        finally:
            self._finished = time.monotonic()
            self.say(self.note or f"The run has ended: {self._state}.", "bad" if self._state == "failed" else "plain")
            self._look()
            self._claim.close()
            self.ended.set()

    def _play(self, after_each: Callable[[], None]) -> RunState:
        while (move := self.controls.next_move()) != "end":
            self._take_over()
            if move == "look":
                continue
            record = next(self._stream, None)
            if record is None:
                return "finished"
            broke = record.failed is not None and isinstance(record.failed.error, BudgetExceededError)
            if broke and (self._records or self.after):
                self.note = str(record.failed.error) if record.failed else ""
                return "budget spent"
            self._records.append(record)
            after_each()
            if record.failed is not None:
                self.error, self.note = record.failed.error, str(record.failed)
                return "failed"
        return "failed" if self.error is not None else self.controls.ended_by

    def _take_over(self) -> None:
        """Between two rounds: go back, and change settings, if that was asked for."""
        target, self._target = self._target, None
        wanted, self._wanted = self._wanted, {}
        if target is not None and self._records and self._records[-1].number > target:
            self._go_back(target)
        if wanted and (self.last is None or self.last.number < self.num_rounds):
            before = self.strategy, self.federation.house
            try:
                self.strategy, self.federation.house = self._tried(wanted)
                self._stream = self._from(self.last)
            except FedLabError as error:
                self.strategy, self.federation.house = before
                self.say(f"A change was refused: {error}", "warning")
                return
            self.say("From the next round on: " + ", ".join(f"{n} {v:g}" for n, v in wanted.items()) + ".")

    def _go_back(self, to: int) -> None:
        kept = [record for record in self._records if record.number <= to]
        left = History(self._records[max(len(kept) - 1, 0) :])
        self.branches = (*self.branches, Branch(f"before rewinding to round {to}", left))
        self._records = kept
        self._stream = self._from(self.last)
        self.say(f"Rewound from round {left[-1].number} to round {to}. What was released stays released, and paid for.")

    def _from(self, after: Round | None) -> Iterator[Round]:
        return rounds(self.federation, self.strategy, num_rounds=self.num_rounds, seed=self.seed, after=after)

    def _tried(self, changes: Mapping[str, float]) -> tuple[Strategy, House]:
        """The strategy and the house with these settings, if they can work."""
        strategy, house = self.strategy, self.federation.house
        own: set[str] = {f.name for f in fields(strategy)} if is_dataclass(strategy) else set()
        mine = {name: value for name, value in changes.items() if name in own}
        changed: Strategy = replace(strategy, **mine) if mine else strategy  # type: ignore[type-var]
        others = {name: value for name, value in changes.items() if name not in own}
        house = check_house(house.adjusted(others), self.federation.schema, len(self.federation.owners))
        if self.last is not None and self.last.state.context is not None:
            changed.check(self.federation, self.num_rounds, self.last)
        return changed, house

    def _refuse_if_over(self, instead: str) -> None:
        if self.ended.is_set():
            raise SettingError(f"The run has ended ({self._state}).", "No further round will come of it.", instead)

    def say(self, words: str, tone: Tone = "plain") -> None:
        """Keep a line of what happened."""
        at = self._records[-1].number if self._records else 0
        self.notes.append(Note(at, (self._finished or time.monotonic()) - self._began, words, tone))

    def interrupt(self) -> None:
        """End after the round that is being computed, and wait for that."""
        self.note = "Interrupted; the rounds so far are kept."
        self.controls.stop("interrupted")
        self.ended.wait()

    def spent_by_now(self) -> Spending:
        """The budgets as they are: other runs on the same data count, also when they came later."""
        if self._records:
            return self.strategy.spending(self.federation, self._records[-1], self.num_rounds)
        return spending(self.federation, None)

    def _look(self) -> dict[str, object]:
        """What has to be asked of the federation, once a round; after the end as it was then. It never raises."""
        key = (len(self.federation.ledger), len(self._records), self.federation.house)
        if self._facts[0] == key or self.ended.is_set():
            return self._facts[1]
        facts: dict[str, object] = {
            "access": access(self.federation),
            "threats": threats(self.federation),
            "lines": owner_lines(self.federation, self.history),
        }
        try:
            facts |= {"spending": self.spent_by_now(), "settings": self.settings}
        except Exception as error:  # noqa: BLE001 - a strategy that cannot say what it spends must not go on unseen
            self.error = self.error or error
            self.note = _told(error, self.last)
            self.controls.stop()
            facts |= {"spending": spending(self.federation, None), "settings": {}}
        self._facts = (key, facts)
        return facts

    def snapshot(self) -> Snapshot:
        """The run at this moment, as plain facts."""
        history, live = self.history, self.state in LIVE
        recent = [sum(r.seconds.values()) for r in history[-20:]]
        rest = self.num_rounds - (history[-1].number if history else 0)
        facts = self._look()
        return Snapshot(
            title=self.title,
            state=self.state,
            num_rounds=self.num_rounds,
            history=history,
            metric=headline(history),
            note=self.note,
            elapsed=(self._finished or time.monotonic()) - self._began,
            left=rest * sum(recent) / len(recent) if recent and self.state == "running" else None,
            owners=self.federation.names,
            notes=tuple(self.notes),
            branches=self.branches,
            **{**facts, "settings": {**facts["settings"], **self._wanted} if live else facts["settings"]},  # type: ignore[arg-type, dict-item]
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
