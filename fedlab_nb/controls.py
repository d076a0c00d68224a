"""Pause, step, stop: a gate between rounds. It knows nothing of rounds, threads or widgets."""

from __future__ import annotations

import threading
from typing import Literal


class Controls:
    """One side presses buttons (any thread), the other asks ``may_go_on`` before each round and waits there."""

    def __init__(self) -> None:
        self._open, self._stop = threading.Event(), threading.Event()
        self._open.set()
        self._single = False
        self.paused = False
        self.ended_by: Literal["stopped", "interrupted"] = "stopped"

    def pause(self) -> None:
        """Hold before the next round."""
        self.paused = True
        self._open.clear()

    def resume(self) -> None:
        """Go on after a pause."""
        self.paused = False
        self._open.set()

    def step(self) -> None:
        """While paused: let exactly one more round through."""
        if self.paused:
            self._single = True
            self._open.set()

    def stop(self, by: Literal["stopped", "interrupted"] = "stopped") -> None:
        """Let no further round through."""
        self.ended_by = by
        self._stop.set()
        self._open.set()

    def may_go_on(self) -> bool:
        """Wait while paused; False once stopped."""
        self._open.wait()
        if self._single:
            self._single = False
            self._open.clear()
        return not self._stop.is_set()
