"""Pause, step, stop: a gate between rounds. It knows nothing of rounds or widgets."""

from __future__ import annotations

import threading
from typing import Literal

Answer = Literal["go", "look", "end"]


class Controls:
    """One side presses buttons (any thread), the other asks ``next_move`` before each round and waits there.

    Whatever the order of presses, ``stop`` always ends the wait, and ``resume`` always undoes ``pause``.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._stopped = self._single = self._nudged = False
        self.paused = False
        self.ended_by: Literal["stopped", "interrupted"] = "stopped"

    def pause(self) -> None:
        """Hold before the next round."""
        with self._changed:
            self.paused = not self._stopped

    def resume(self) -> None:
        """Go on after a pause."""
        with self._changed:
            self.paused = self._single = False
            self._changed.notify_all()

    def step(self) -> None:
        """While paused: let exactly one more round through."""
        with self._changed:
            self._single = self.paused
            self._changed.notify_all()

    def nudge(self) -> None:
        """Something else was asked for: let the waiting side look, and wait again if it is still paused."""
        with self._changed:
            self._nudged = True
            self._changed.notify_all()

    def stop(self, by: Literal["stopped", "interrupted"] = "stopped") -> None:
        """Let no further round through."""
        with self._changed:
            if not self._stopped:
                self._stopped, self.paused, self.ended_by = True, False, by
            self._changed.notify_all()

    def next_move(self) -> Answer:
        """Wait while paused; then "go" for one more round, "look" after a nudge, or "end" once stopped."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or self._nudged or self._single or not self.paused)
            if self._stopped:
                return "end"
            if self._nudged:
                self._nudged = False
                return "look"
            self._single = False
            return "go"
