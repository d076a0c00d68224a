"""The rounds of a run elsewhere as its log tells them, and what a person at this notebook wishes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from fedlab_nb.errors import SettingError
from fedlab_nb.flower.driving.changing import check_changeable
from fedlab_nb.flower.driving.wheel import Wheel
from fedlab_nb.flower.driving.words import Question
from fedlab_nb.records import Snapshot
from fedlab_nb.records.snapshot import RunState
from fedlab_nb.units import setting_words
from fedlab_nb.worker import Worker

if TYPE_CHECKING:
    from fedlab_nb.flower.watch import WatchedCourse

# What a person may do with a run elsewhere: there is no going back, as owners have helped to sum those rounds.
DRIVEN, WATCHED = frozenset({"pause", "step", "stop", "change"}), frozenset({"stop"})
_SOON = "or a round later, if the wish gets there too late: it travels for some seconds"
_GOES_ON = "Run {0} goes on: run.stop() ends it, fl.flower.attach(project, control, {0}) takes it up again."
_LATER = (
    "The run asks for wishes again within seconds, or, if no notebook listened so far, when its next round begins; "
    "this one is heard then."
)


class WatchedWorker(Worker):
    """As ``Worker``; with a ``wheel`` the run hears what is wished, without one it is only watched."""

    course: WatchedCourse

    def __init__(self, course: WatchedCourse, wheel: Wheel | None, number: int) -> None:
        self.number = number
        able = DRIVEN if course.settings else DRIVEN - {"change"}
        self.wheel, self.acts, self._held_after = wheel, able if wheel is not None else WATCHED, -1
        super().__init__(course)
        if wheel is not None:
            wheel.hear, wheel.lost = self._hear, self._lose

    @property
    def state(self) -> RunState:
        """Where the run is: paused as soon as that was wished, though the round that is going on is played.

        No longer once its end is wished: whoever waits then does not wait for ever.
        """
        wish = self.wheel.wish if self.wheel is not None else None
        held = wish is not None and wish.hold and not wish.stop and not self.ended.is_set()
        return "paused" if held else super().state

    def pause(self) -> None:
        """Hold the run before its next round, or the one after, if the wish comes too late."""
        wheel = self._wheel()
        if not wheel.closed and not wheel.wish.hold:
            self._wished(wheel.hold, f"Asked the run to hold after the round that is going on ({_SOON}).")

    def resume(self) -> None:
        """Go on after a pause."""
        wheel = self._wheel()
        if not wheel.closed and wheel.wish.hold:
            self._wished(wheel.go, "Asked the run to go on.")

    def step(self) -> None:
        """While paused: one more round."""
        wheel = self._wheel()
        if not wheel.closed and wheel.wish.hold:
            self._wished(wheel.step, "Asked the run for one more round.")

    def stop_well(self) -> None:
        """End the run after the round that is going on."""
        wheel = self._wheel()
        if not wheel.closed and not wheel.wish.stop:
            self._wished(wheel.stop, f"Asked the run to end after the round that is going on ({_SOON}).")

    def change(self, settings: Mapping[str, float]) -> None:
        """Other settings from the next round on.

        Raises:
            SettingError, RuleError: what cannot work, or what the parties agreed on; nothing is changed then.
        """
        wheel = self._wheel()
        self._refuse_if_over("Export a project with the other settings, and run it.")
        check_changeable(settings, self.federation)
        wanted = {**self._wanted, **settings}
        self.course.tried(wanted)
        now = self.course.settings
        self._wanted = {name: value for name, value in wanted.items() if now.get(name) != value}
        words = ", ".join(setting_words(name, value) for name, value in settings.items())
        self._wished(lambda: wheel.change(settings), f"Asked the run for {words} from its next round on.")

    def snapshot(self) -> Snapshot:
        """As ``Worker.snapshot``, with what may be done from here."""
        return replace(super().snapshot(), acts=self.acts)

    @property
    def mark(self) -> tuple[object, ...]:
        """As ``Worker.mark``."""
        return *super().mark, self.acts

    def _take_over(self) -> None:
        """Between two rounds nothing is changed here: a wish is done when the rounds say so."""
        now = self.course.settings
        self._wanted = {name: value for name, value in self._wanted.items() if now.get(name) != value}

    def _look(self) -> None:
        """Rounds are rare: each is shown."""
        if not self._lookout.fresh:
            self.refresh()

    def _play(self, after_each: Callable[[], None]) -> RunState:
        state = super()._play(after_each)
        done = self.course.last.number if self.course.last is not None else 0
        if state == "finished" and done < self.course.num_rounds:
            if self.wheel is not None:
                self.note = f"The run ended after round {done}, as was wished."
            return "stopped"
        return state

    def leave(self, note: str = "", by: Literal["stopped", "interrupted"] = "stopped") -> None:
        """The run hears nothing from here any more, and is watched to its next round at most; it goes on."""
        if self.ended.is_set():
            return
        self.note = note or f"Watching ended, with the next round at the latest. {_GOES_ON.format(self.number)}"
        self.course.left = True
        self.controls.stop(by)
        wheel, self.wheel, self.acts = self.wheel, None, WATCHED
        if wheel is not None:
            wheel.close()

    def interrupt(self) -> None:
        """Whoever waited waits no longer: watching ends, and not the run, which is not this notebook's to end so."""
        self.leave(by="interrupted")
        self.say(self.note, "warning")

    def _finish(self) -> None:
        try:
            super()._finish()
        finally:
            if self.wheel is not None:
                self.wheel.close()

    def _wheel(self) -> Wheel:
        if self.wheel is not None:
            return self.wheel
        raise SettingError(
            "This run at a SuperLink is watched, and not driven from here.",
            "Its parties agreed on no notebook that may do so, this one let go of the wheel, or another has taken it.",
            "Stop it with run.stop(); or export with driven=True, and attach to the run to take the wheel.",
        )

    def _wished(self, press: Callable[[], None], words: str) -> None:
        """Note it first: the answer of the run may come at once."""
        self._held_after = -1
        self.say(words)
        if self.wheel is not None and not self.wheel.asked and not self.ended.is_set():
            self.say(_LATER)
        press()

    def _hear(self, question: Question) -> None:
        """What the run says when it asks."""
        wish = self.wheel.wish if self.wheel is not None else None
        if question.refused:
            self._wanted = {}
            self.say(question.refused, "warning")
        if wish is None or question.wheel != wish.wheel or question.taken < wish.serial:
            return
        after = question.after + (not question.held)
        if not wish.hold or wish.stop or after >= self.course.num_rounds:  # after the last round nothing is held
            return
        if after != self._held_after:
            self._held_after = after
            self.say(f"The run {'is held' if question.held else 'will be held'} after round {after}.")

    def _lose(self) -> None:
        self.wheel, self.acts = None, WATCHED
        self.say("Another notebook has taken the wheel of this run; this one only watches it now.", "warning")
