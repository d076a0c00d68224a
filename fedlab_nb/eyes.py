"""What shows a run while it goes on: a dashboard where a page can live, printed lines elsewhere.

In a notebook kernel the rounds are computed in a worker thread, and only the kernel's own loop touches widgets: so the
cell returns at once, buttons work, and a closed tab changes nothing. In a script the loop simply runs and prints.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from fedlab_nb.records import Snapshot
from fedlab_nb.view.frontend import in_kernel, prepare_front_end, say
from fedlab_nb.view.live.dashboard import Dashboard
from fedlab_nb.view.words import sentence, text_progress
from fedlab_nb.worker import Worker

# How long training waits for a page to show the dashboard, so that a short run can be watched from its first round.
PAGE_WAIT = 1.5
TICK = 0.05
# How often, in seconds and at most, a waiting cell prints how far the run is where no page shows it.
TELL_EVERY = 5.0


class Eyes:
    """The eyes of one run; ``act(name, facts)`` is called for what a person does on the page."""

    def __init__(self, worker: Worker, act: Callable[[str, Mapping[str, Any]], None]) -> None:
        self._worker, self._act = worker, act
        self._dashboard: Dashboard | None = None
        self._drawing: asyncio.Task[None] | None = None
        self._printing: threading.Thread | None = None
        self._begun, self._said = time.monotonic(), ""
        self._next_line = self._begun + TELL_EVERY

    @property
    def watched(self) -> bool:
        """Whether a page has shown the run at least once: only then can its buttons be pressed."""
        return self._dashboard is not None and self._dashboard.watched

    @property
    def cost(self) -> float:
        """Seconds of processor time that showing the run took, in the kernel's loop and beside the rounds."""
        drawing = self._dashboard.cost if self._dashboard is not None else 0.0
        return drawing + sum(self._worker.costs)

    def start(self, *, beside: bool = False) -> None:
        """Begin the run: in a kernel beside everything else; in a script until its end, or ``beside`` the script."""
        if not in_kernel():
            if beside:
                self._printing = threading.Thread(target=self._print, name="fedlab-rounds", daemon=True)
                self._printing.start()
            else:
                self._print()
            return
        steps = (self._await_page, lambda: None)
        thread = threading.Thread(target=self._worker.work, args=steps, name="fedlab-rounds", daemon=True)
        try:
            prepare_front_end()
            self._dashboard = Dashboard(self._worker, self._act)
            self._dashboard.show()
            thread.start()
        except BaseException:
            self._worker.abandon()
            raise
        with suppress(RuntimeError):
            self._drawing = asyncio.get_running_loop().create_task(self._keep_drawing())

    def show(self) -> bool:
        """Show the run in the output of the running cell too, live; False where that cannot be."""
        if self._dashboard is None or self._worker.ended.is_set():
            return False
        self._dashboard.show()
        return True

    def look(self) -> None:
        """One look while a cell waits: bring the page up to date, or print how far the run is where there is none."""
        self._draw()
        if self._dashboard is None or self.watched or time.monotonic() < self._next_line:
            return
        self._worker.ask()
        snapshot = self._worker.snapshot()
        if snapshot.history:
            self._tell(snapshot)

    def leave(self) -> None:
        """The run has ended, or is waited for no longer: leave a static picture in its cells, or a last line."""
        if self._dashboard is not None:
            self._dashboard.freeze()
        elif self._printing is not None and self._worker.ended.is_set():
            self._printing.join()  # a script that ends now would cut its last line off
        elif self._printing is not None:
            say(self._worker.note)

    def _await_page(self) -> None:
        until = time.monotonic() + PAGE_WAIT
        while not self.watched and time.monotonic() < until:
            time.sleep(TICK)

    async def _keep_drawing(self) -> None:
        try:
            while not self._worker.ended.is_set():
                self._draw()
                await asyncio.sleep(TICK)
        except Exception as error:  # noqa: BLE001 - the rounds go on without a picture, and it is said why
            self._worker.say(f"The page can no longer be drawn ({type(error).__name__}: {error}).", "bad")
            await asyncio.to_thread(self._worker.ended.wait)
        finally:
            if self._worker.ended.is_set():
                self.leave()

    def _print(self) -> None:
        self._worker.work(lambda: None, self._print_round)
        say(sentence(self._worker.snapshot()))

    def _print_round(self) -> None:
        self._worker.refresh()
        say(text_progress(self._worker.snapshot()))

    def _draw(self) -> None:
        if self._dashboard is not None:
            if self._dashboard.seen:
                self._worker.ask()
            self._dashboard.draw(self._worker.mark, moving=self._worker.state in ("preparing", "running"))

    def _tell(self, snapshot: Snapshot) -> None:
        """Now and then, and never many lines."""
        said = text_progress(snapshot)
        if said != self._said:
            say(said)
            self._said = said
        self._next_line = time.monotonic() + max(TELL_EVERY, (time.monotonic() - self._begun) / 8)
