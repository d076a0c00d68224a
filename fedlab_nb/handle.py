"""The run handle: what ``train`` gives back at once, and what the dashboard's buttons act on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Generator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fedlab_nb.cards import Card
from fedlab_nb.errors import FedLabError, SettingError
from fedlab_nb.eyes import TICK, Eyes
from fedlab_nb.learn import TrainedModel
from fedlab_nb.parties.shown.threats import threats
from fedlab_nb.records import Branch, History, Snapshot, State
from fedlab_nb.records.snapshot import RunState
from fedlab_nb.units import listed
from fedlab_nb.view.cards import threat_card, threat_text
from fedlab_nb.view.draw.figures import shown_figure
from fedlab_nb.view.export import save
from fedlab_nb.view.panels import alone, static_html
from fedlab_nb.view.panels.budget import budget_panel
from fedlab_nb.view.words import budget_text, sentence
from fedlab_nb.worker import Worker

if TYPE_CHECKING:
    import pandas as pd

    from fedlab_nb.vertical.model import VerticalModel


# How long, in seconds, a look at a run waits for the round that is being computed.
ROUND_WAIT = 2.0


class Run:
    """A training run: what there is so far, the end when it is there, and the buttons.

    ``history`` is what there is so far and never waits. ``frame()``, ``model``, ``wait()`` and ``await run`` wait for
    the end; while ``await run`` waits, the buttons of the dashboard work, while the others wait they do not (interrupt
    the kernel to stop). ``pause()``, ``resume()``, ``step()``, ``stop()``, ``change(lr=0.05)`` and ``rewind(5)`` act
    between rounds. ``run`` by itself, as the last line of a cell, shows the dashboard there.
    """

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._eyes = Eyes(worker, self._act)

    @property
    def history(self) -> History:
        """The rounds so far, oldest first; what a rewind left behind is in ``branches``."""
        return self._worker.history

    @property
    def branches(self) -> tuple[Branch, ...]:
        """Other courses of this run: the rounds that a rewind left behind, or those of the run it was forked from."""
        return self._worker.course.branches

    @property
    def settings(self) -> dict[str, float]:
        """What the next round will run under, and ``change`` may change."""
        return self._worker.settings

    @property
    def state(self) -> RunState:
        """Where the run is: preparing, running, paused, finished, stopped, interrupted, failed, or budget spent."""
        return self._worker.state

    @property
    def error(self) -> BaseException | None:
        """Why the run failed; None if it did not."""
        return self._worker.error

    def pause(self) -> None:
        """Hold before the next round."""
        self._worker.pause()

    def resume(self) -> None:
        """Go on after a pause."""
        self._worker.resume()

    def step(self) -> None:
        """While paused: compute exactly one more round."""
        self._worker.controls.step()

    def stop(self) -> None:
        """End after the round that is being computed; what there is stays usable."""
        self._worker.controls.stop()

    def change(self, **settings: float) -> None:
        """Other settings from the next round on, such as ``lr``, ``local_epochs``, ``sample_rate`` or ``dropout``.

        With a privacy mechanism also ``clip`` and ``noise_multiplier``. Every change is marked on the chart and stands
        in ``history``. See ``settings`` for what there is.

        Raises:
            SettingError, RuleError: what cannot work; nothing is changed then.
        """
        self._worker.change(settings)

    def rewind(self, to: int) -> None:
        """Go back to how things were after round ``to``, and take another course from there.

        The rounds left behind stay in ``branches`` and on the chart. What was released stays released: its epsilon
        stays spent, and rounds that are played again are paid for again.

        Raises:
            SettingError: if there is no such round to go back to.
        """
        self._worker.rewind(to)

    def fork(self, after: int | None = None, *, num_rounds: int | None = None, **settings: float) -> Run:
        """Another run from round ``after`` of this one (its last), with other ``settings``, drawn over this one.

        It starts from the model of that round and the settings then in force, and pays for its own rounds.

        Raises:
            SettingError, RuleError, BudgetExceededError: what cannot work, or a run that has not ended.
        """
        return start(self._worker.forked(after, num_rounds, settings))

    def wait(self) -> History:
        """Wait for the end, keep drawing, and give all rounds. Interrupting ends the run well and gives what there is.

        Raises:
            FedLabError: why the run failed, if it did; ``history`` keeps the rounds before that.
            SettingError: if the run is paused: no button works while a cell waits like this.
        """
        try:
            while not self._worker.ended.wait(TICK):
                self._look_while_waiting(buttons=False)
        except KeyboardInterrupt:
            self._worker.interrupt()
        self._eyes.leave()
        return self._result()

    def __await__(self) -> Generator[object, None, History]:
        return self._wait_without_blocking().__await__()

    async def _wait_without_blocking(self) -> History:
        try:
            while not self._worker.ended.is_set():
                self._look_while_waiting(buttons=self._eyes.watched)
                await asyncio.sleep(TICK)
        except (asyncio.CancelledError, KeyboardInterrupt):
            self._worker.interrupt()
        self._eyes.leave()
        return self._result()

    def frame(self) -> pd.DataFrame:
        """Wait for the end; one row a round, bytes and seconds included. A failed round says why in ``failed``."""
        self._wait_for_what_there_is()
        return self.history.frame()

    @property
    def model(self) -> TrainedModel | VerticalModel:
        """Wait for the end; the trained model: for frames of your own, or for owners of columns to predict together.

        Raises:
            FedLabError: if no round was completed: why not.
        """
        return self._worker.course.strategy.model_of(self._end())

    def personal(self, owner: str) -> TrainedModel | VerticalModel:
        """Wait for the end; the model that ``owner`` has for itself, where the strategy gives each owner one.

        It belongs to that owner, learned from its rows, and is sent to nobody: in a real federation nobody else could
        ask for it. Here all owners live in one process, which lets you look.

        Raises:
            SettingError: if there is no such owner, or it has no model of its own.
            FedLabError: if no round was completed: why not.
        """
        state, strategy = self._end(), self._worker.course.strategy
        own: Mapping[str, Any] = getattr(strategy, "personal", lambda _: {})(state)
        if owner not in own:
            have = f"those who have are {listed(own)}" if own else "nobody has one in this run"
            raise SettingError(
                f"{owner!r} has no model of its own: {have}.",
                "Strategies such as Ditto or FedPer give an owner one when it takes part; others have one for all.",
                "Use run.model for the model that all share, or train with such a strategy.",
            )
        return strategy.model_of(replace(state, weights={**state.weights, "server": own[owner]}))

    def _end(self) -> State:
        """Wait for the end; the state after the last round that was completed.

        Raises:
            FedLabError: if there is none: why not.
        """
        self._wait_for_what_there_is()
        rounds, before = self.history.completed, self._worker.course.after
        if last := rounds[-1] if rounds else before:
            return last.state
        if isinstance(self.error, FedLabError):
            raise self.error
        raise SettingError(
            "The run ended before its first round was complete.",
            "So there is no model yet.",
            "Train again, and let it run for a round.",
        )

    @property
    def epsilon(self) -> float | None:
        """What the owner that spent most has spent by now; None without a guarantee."""
        return self._worker.spent_by_now().spent

    @property
    def budget(self) -> Card:
        """Where the privacy budget stands, what it went on, and what may be claimed in words."""
        snapshot = replace(self.snapshot(), spending=self._worker.spent_by_now())
        return Card(budget_text(snapshot), alone(budget_panel(snapshot)))

    @property
    def threat_card(self) -> Card:
        """Who could learn what with these settings: shows as a card, prints as text."""
        lines, note = threats(self._worker.federation), self._worker.spent_by_now().claim
        return Card(threat_text(lines, note), threat_card(lines, note))

    def figure(self) -> Any:
        """The rounds so far as an interactive plotly figure: hover, zoom, ``write_html``."""
        return shown_figure(self.snapshot())

    def save(self, path: str | Path) -> Path:
        """Write the run to a file and return its path: ``.html`` a whole page, ``.svg`` or ``.png`` the picture.

        Raises:
            SettingError: for another kind of file.
        """
        return save(self.snapshot(), path, self._worker.title)

    def snapshot(self) -> Snapshot:
        """The run at this moment, as plain facts; while a round is computed, it waits a little for its end."""
        known, until = self._worker.snapshot().history, time.monotonic() + ROUND_WAIT
        while not self._worker.ask(urgent=True) and time.monotonic() < until:
            if self._worker.snapshot().history is not known:
                break
            time.sleep(TICK / 10)
        return self._worker.snapshot()

    def _act(self, name: str, facts: Mapping[str, Any]) -> None:
        """What a person did on the page. A wish that cannot be granted is told there, not raised into nowhere."""
        try:
            if name == "change":
                self.change(**{str(facts["name"]): facts["value"]})
            elif name == "rewind":
                self.rewind(int(facts["to"]))
            elif name in ("pause", "resume", "step", "stop"):
                getattr(self, name)()
        except FedLabError as error:
            self._worker.say(str(error), "warning")
        except Exception as error:  # noqa: BLE001 - a click has nobody to raise to, so that the page must say it
            self._worker.say(f"{name} failed with {type(error).__name__}: {error}", "bad")

    def _look_while_waiting(self, *, buttons: bool) -> None:
        if self.state == "paused" and not buttons:
            raise SettingError(
                "The run is paused, and while this cell waits no button could resume it.",
                "Waiting for it would never end.",
                "Call run.resume() or run.stop() first; await run waits with the dashboard's buttons alive.",
            )
        self._eyes.look()

    def _wait_for_what_there_is(self) -> None:
        """Wait for the end; that the run failed is no reason not to show what came before."""
        try:
            self.wait()
        except Exception as error:
            if error is not self.error:
                raise

    def _result(self) -> History:
        if self.error is not None:
            raise self.error
        return self.history

    def __repr__(self) -> str:
        return f"Run({self._worker.title}: {self.state}, {sentence(self.snapshot())})"

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return {"text/plain": repr(self), "text/html": static_html(self.snapshot())}

    def _ipython_display_(self) -> None:
        if self._eyes.show():
            return
        from IPython.display import display

        put: Any = display
        put(self._repr_mimebundle_(), raw=True)


def start(worker: Worker) -> Run:
    """The run of this worker, begun: in a notebook it goes on by itself, in a script it is over when this returns."""
    run = Run(worker)
    run._eyes.start()  # noqa: SLF001
    return run
