"""train(): the loop tied to the eyes. The one place where both meet.

In a notebook kernel the rounds are computed in a worker thread, and only the kernel's own loop touches widgets: so the
cell returns at once, buttons work, and a closed tab changes nothing. In a script the loop simply runs and prints.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fedlab_nb.controls import Controls
from fedlab_nb.errors import BudgetExceededError, FedLabError, SettingError
from fedlab_nb.learn import TrainedModel
from fedlab_nb.parties import Federation
from fedlab_nb.parties.trust import access, spending, threats
from fedlab_nb.records import Access, History, Round, Snapshot
from fedlab_nb.records.snapshot import RunState
from fedlab_nb.rounds import Strategy, rounds
from fedlab_nb.view.cards import framed, threat_card, threat_text
from fedlab_nb.view.charts import shown_figure
from fedlab_nb.view.dashboard import Dashboard
from fedlab_nb.view.panels import budget_panel, report_html, static_html
from fedlab_nb.view.svg import budget_text, sentence, text_progress
from fedlab_nb.view.terminal import Card, in_kernel, say

if TYPE_CHECKING:
    import pandas as pd

# How long training waits for a page to show the dashboard, so that a short run can be watched from its first round.
PAGE_WAIT = 1.5
TICK = 0.05


def train(
    federation: Federation, strategy: Strategy, *, num_rounds: int = 10, seed: int = 0, after: Round | None = None
) -> Run:
    """Train for rounds 1 to ``num_rounds`` and watch: returns at once in a notebook, at the end in a script.

    ``after=run.history[-1]`` goes on with an earlier run. What cannot work is refused here, before anything leaves.

    Raises:
        SettingError, RuleError, BudgetExceededError: what cannot work, or a federation that is training already.
    """
    stream = rounds(federation, strategy, num_rounds=num_rounds, seed=seed, after=after)
    run = Run(federation, strategy, stream, num_rounds)
    run._begin()  # noqa: SLF001
    return run


class Run:
    """A training run: what there is so far, the end when it is there, and the buttons.

    ``history`` is what there is so far and never waits. ``frame()``, ``model``, ``wait()`` and ``await run`` wait for
    the end. ``pause()``, ``resume()``, ``step()`` and ``stop()`` act between rounds.
    """

    def __init__(self, federation: Federation, strategy: Strategy, stream: Iterator[Round], num_rounds: int) -> None:
        self.federation, self.strategy, self.num_rounds = federation, strategy, num_rounds
        self.error: BaseException | None = None
        self._stream = stream
        self._records: list[Round] = []
        self._state: RunState = "preparing"
        self._note = ""
        self._spending = spending(federation, None)
        self._access: tuple[Access, ...] = ()
        self._controls, self._ended = Controls(), threading.Event()
        self._began, self._finished = time.monotonic(), 0.0
        self._claim = ExitStack()
        self._dashboard: Dashboard | None = None
        self._drawing: asyncio.Task[None] | None = None

    @property
    def history(self) -> History:
        """The rounds so far, oldest first."""
        return History(self._records)

    @property
    def state(self) -> RunState:
        """Where the run is: preparing, running, paused, finished, stopped, interrupted, failed, or budget spent."""
        return "paused" if self._controls.paused and not self._ended.is_set() else self._state

    def pause(self) -> None:
        """Hold before the next round."""
        self._controls.pause()

    def resume(self) -> None:
        """Go on after a pause."""
        self._controls.resume()

    def step(self) -> None:
        """While paused: compute exactly one more round."""
        self._controls.step()

    def stop(self) -> None:
        """End after the round that is being computed; what there is stays usable."""
        self._controls.stop()

    def wait(self) -> History:
        """Wait for the end, keep drawing, and give all rounds. Interrupting ends the run well and gives what there is.

        Raises:
            FedLabError: why the run failed, if it did; ``history`` keeps the rounds before that.
            SettingError: if the run is paused and no page shows a button that could resume it.
        """
        try:
            while not self._ended.wait(TICK):
                self._draw_while_waiting()
        except KeyboardInterrupt:
            self._interrupt()
        return self._close()

    def __await__(self) -> Generator[object, None, History]:
        return self._wait_without_blocking().__await__()

    async def _wait_without_blocking(self) -> History:
        try:
            while not self._ended.is_set():
                self._draw_while_waiting()
                await asyncio.sleep(TICK)
        except (asyncio.CancelledError, KeyboardInterrupt):
            self._interrupt()
        return self._close()

    def frame(self) -> pd.DataFrame:
        """Wait for the end; one row a round, bytes and seconds included. A failed round says why in ``failed``."""
        with suppress(FedLabError):
            self.wait()
        return self.history.frame()

    @property
    def model(self) -> TrainedModel:
        """Wait for the end; the trained model, for frames of your own.

        Raises:
            FedLabError: if no round was completed: why not.
        """
        with suppress(FedLabError):
            self.wait()
        done = self.history.completed
        if done:
            return self.strategy.model_of(done[-1].state)
        if isinstance(self.error, FedLabError):
            raise self.error
        raise SettingError(
            "The run ended before its first round was complete.",
            "So there is no model yet.",
            "Train again, and let it run for a round.",
        )

    @property
    def epsilon(self) -> float | None:
        """What the owner that spent most has spent so far; None without a guarantee."""
        return self._spending.spent

    @property
    def budget(self) -> Card:
        """Where the privacy budget stands, what it went on, and what may be claimed in words."""
        snapshot = self.snapshot()
        return Card(budget_text(snapshot), framed(budget_panel(snapshot)))

    @property
    def threat_card(self) -> Card:
        """Who could learn what with these settings: shows as a card, prints as text."""
        lines, note = threats(self.federation), self._spending.claim
        return Card(threat_text(lines, note), threat_card(lines, note))

    def figure(self) -> Any:
        """The rounds so far as an interactive plotly figure: hover, zoom, ``write_html``."""
        return shown_figure(self.snapshot())

    def report(self, path: str | Path) -> Path:
        """Write the run as one HTML page that needs nothing else, and return its path."""
        path = Path(path)
        path.write_text(report_html(self.snapshot(), self._title), encoding="utf-8")
        return path

    def snapshot(self) -> Snapshot:
        """The run at this moment, as plain facts."""
        history = self.history
        seconds = [sum(r.seconds.values()) for r in history]
        rest = self.num_rounds - history[-1].number if history else self.num_rounds
        return Snapshot(
            title=self._title,
            state=self.state,
            num_rounds=self.num_rounds,
            history=history,
            spending=self._spending,
            access=self._access,
            threats=threats(self.federation),
            metric="rmse" if any("rmse" in r.metrics for r in history[:1]) else "accuracy",
            note=self._note,
            elapsed=(self._finished or time.monotonic()) - self._began,
            left=rest * sum(seconds) / len(seconds) if seconds and self.state == "running" else None,
            owners=self.federation.names,
        )

    @property
    def _title(self) -> str:
        return f"{type(self.strategy).__name__} over {len(self.federation.names)} owners"

    def _begin(self) -> None:
        self._claim.enter_context(self.federation.in_use())
        if not in_kernel():
            self._work(aloud=True)
            return
        self._dashboard = Dashboard(
            self.snapshot(), on_pause=self.pause, on_resume=self.resume, on_step=self.step, on_stop=self.stop
        )
        self._dashboard.show()
        threading.Thread(target=self._work, name="fedlab-rounds", daemon=True).start()
        with suppress(RuntimeError):
            self._drawing = asyncio.get_running_loop().create_task(self._keep_drawing())

    def _work(self, *, aloud: bool = False) -> None:
        """The rounds, one after the other: the only part that runs outside the kernel's own loop."""
        try:
            self._await_page()
            self._state = "running"
            self._state = self._play(aloud=aloud)
        except KeyboardInterrupt:
            self._state, self._note = "interrupted", "Interrupted; the rounds so far are kept."
        except Exception as error:  # noqa: BLE001 - whatever ends the thread must reach the one who waits for it
            self.error, self._state, self._note = error, "failed", str(error)
        finally:
            self._claim.close()
            self._finished = time.monotonic()
            self._ended.set()
        if aloud:
            say(sentence(self.snapshot()))

    def _play(self, *, aloud: bool) -> RunState:
        while self._controls.may_go_on():
            record = next(self._stream, None)
            if record is None:
                return "finished"
            if record.failed is not None and isinstance(record.failed.error, BudgetExceededError) and self._records:
                self._note = str(record.failed.error)
                return "budget spent"
            self._keep(record)
            if aloud:
                say(text_progress(self.snapshot()))
            if record.failed is not None:
                self.error, self._note = record.failed.error, str(record.failed)
                return "failed"
        return self._controls.ended_by

    def _keep(self, record: Round) -> None:
        self._spending = self.strategy.spending(self.federation, record, self.num_rounds)
        self._access = access(self.federation)
        self._records.append(record)

    def _await_page(self) -> None:
        until = time.monotonic() + PAGE_WAIT
        while self._dashboard is not None and not self._dashboard.watched and time.monotonic() < until:
            time.sleep(TICK)

    async def _keep_drawing(self) -> None:
        while not self._ended.is_set():
            self._draw()
            await asyncio.sleep(TICK)
        self._draw(final=True)

    def _draw(self, *, final: bool = False) -> None:
        if self._dashboard is not None:
            self._dashboard.draw(self.snapshot(), final=final)

    def _draw_while_waiting(self) -> None:
        if self.state == "paused" and (self._dashboard is None or not self._dashboard.watched):
            raise SettingError(
                "The run is paused, and no page shows a button that could resume it.",
                "Waiting for it would never end.",
                "Call run.resume() or run.stop() first.",
            )
        self._draw()

    def _interrupt(self) -> None:
        self._note = "Interrupted; the rounds so far are kept."
        self._controls.stop("interrupted")
        self._ended.wait()

    def _close(self) -> History:
        self._draw(final=True)
        if self.error is not None:
            raise self.error
        return self.history

    def __repr__(self) -> str:
        return f"Run({self._title}: {self.state}, {sentence(self.snapshot())})"

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return {"text/plain": repr(self), "text/html": static_html(self.snapshot())}
