"""The live dashboard: widgets that are fed from the kernel's main loop, at a pace the page can follow."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from threading import Thread
from typing import Any

from fedlab_nb.records import Snapshot
from fedlab_nb.view import panels
from fedlab_nb.view.draw.figures import load_plotly, progress_layout, progress_numbers, progress_traces, worth_plotly
from fedlab_nb.view.draw.picture import snapshot_svg
from fedlab_nb.view.style import full_sheet, static
from fedlab_nb.view.terminal import in_kernel
from fedlab_nb.view.words import sentence

WIDGET = "application/vnd.jupyter.widget-view+json"
CARDS_EVERY, CHART_EVERY, UNANSWERED_EVERY = 0.1, 0.4, 1.0
# After a redraw of c seconds the next one of its kind waits c / SHARE: cards and chart together stay below 2 %.
SHARE, LONGEST_WAIT = 0.005, 8.0


@cache
def _link_class() -> Any:
    """The widget without a face: the page says that it is there, seen, and done with the last push."""
    import anywidget
    import traitlets

    starts = {"ready": 0, "visible": 1, "drawn": 0, "seq": 0, "ack": 0}
    traits = {name: traitlets.Int(start).tag(sync=True) for name, start in starts.items()}
    return type("PageLink", (anywidget.AnyWidget,), {"_esm": static("pagelink.js"), **traits})


class Dashboard:
    """A run, live: shown once, drawn as often as you like, at most as fast as the page can follow.

    Call ``show`` and ``draw`` on the kernel's main loop only: widget messages from other threads can be lost.
    ``draw`` throttles itself: cards at most ten times a second, the chart at most 2.5 times and only after the page
    has drawn the last push (once a second where no page answers), nothing while nobody looks, and, but for single
    redraws slower than 20 ms, never more than 2 % of the time.
    ``cost`` is the seconds of processor time that redraws took so far; ``opening`` that of building the page.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        *,
        on_pause: Callable[[], None],
        on_resume: Callable[[], None],
        on_step: Callable[[], None],
        on_stop: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.cost = self.opening = 0.0
        self._snapshot = snapshot
        self._calls = {"pause": on_pause, "resume": on_resume, "step": on_step, "stop": on_stop}
        self._clock = clock
        self._handle: Any = None
        self._page: Page | None = None
        self._watched = False
        self._frozen: tuple[str, int] | None = None
        self._next_cards = self._next_chart = self._pushed_at = float("-inf")
        self._drawn_rounds, self._drawn_state, self._cards_rounds = len(snapshot.history), "", -1

    @property
    def watched(self) -> bool:
        """Whether a page has shown this dashboard at least once."""
        return self._watched if self._page is None else self._page.watched

    def show(self) -> None:
        """Put the dashboard into the output of the running cell; without a notebook kernel nothing happens."""
        if self._handle is not None or not in_kernel():
            return
        from IPython.display import display

        put: Callable[..., Any] = display
        started = time.thread_time()
        self._page = Page(self._snapshot, self._calls)
        self._handle = put({**self._static(), **self._page.view()}, raw=True, display_id=True)
        self.opening += time.thread_time() - started

    def draw(self, snapshot: Snapshot, *, final: bool = False) -> None:
        """Bring the page up to date if it is time to; ``final`` puts what the saved file keeps in its place."""
        self._snapshot = snapshot
        page = self._page
        if final:
            self.freeze()
        elif page is not None and page.seen:
            self._open(page)
            self._draw_cards(page)
            self._draw_chart(page)

    def freeze(self) -> None:
        """Put static HTML, picture and sentence in the place of the widgets: readable in any viewer, without a kernel.

        JupyterLab shows a notebook that was saved with a live widget in it, and opened again without its kernel, as
        "model not found", whatever stands beside the widget. After this call nothing of the kind is in the file. Where
        no page watched, it does so each time it is asked: under nbclient only what the waiting cell sends arrives.
        """
        end = (self._snapshot.state, len(self._snapshot.history))
        if self._watched and end == self._frozen:
            return
        self._frozen = end
        self._timed(lambda _: self._keep())
        if self._page is not None:
            self._watched = self._page.watched
            self._page.close()
            self._page = None

    def _open(self, page: Page) -> None:
        started = time.thread_time()
        page.open_figure(self._snapshot)
        self.opening += time.thread_time() - started

    def _keep(self) -> None:
        if self._handle is not None:
            self._handle.update({**self._static(), "text/html": panels.static_html(self._snapshot)}, raw=True)

    def _static(self) -> dict[str, Any]:
        return {"image/svg+xml": snapshot_svg(self._snapshot), "text/plain": sentence(self._snapshot)}

    def _timed(self, work: Callable[[Snapshot], None]) -> float:
        """Seconds of processor time that ``work`` took; waiting for a training thread is not a cost of drawing."""
        started = time.thread_time()
        work(self._snapshot)
        spent = time.thread_time() - started
        self.cost += spent
        return spent

    def _draw_cards(self, page: Page) -> None:
        now, state = self._clock(), self._snapshot.state
        held = state == "paused" and len(self._snapshot.history) == self._cards_rounds
        if state != self._drawn_state or (now >= self._next_cards and not held):
            self._cards_rounds = len(self._snapshot.history)
            self._next_cards = now + _pause(CARDS_EVERY, self._timed(page.draw_cards))
            self._drawn_state = state

    def _draw_chart(self, page: Page) -> None:
        now, rounds = self._clock(), len(self._snapshot.history)
        answered = page.answered or now - self._pushed_at >= UNANSWERED_EVERY
        # While a run is paused there is no training that a redraw could hold up.
        due = now >= self._next_chart or self._snapshot.state == "paused"
        if rounds != self._drawn_rounds and due and answered:
            self._next_chart = now + _pause(CHART_EVERY, self._timed(page.draw_chart))
            self._drawn_rounds, self._pushed_at = rounds, now


def _pause(least: float, spent: float) -> float:
    return min(max(least, spent / SHARE), LONGEST_WAIT)


class Page:
    """The widgets of one dashboard: cards and a light picture at once, plotly's figure once a page asks for it."""

    def __init__(self, snapshot: Snapshot, calls: dict[str, Callable[[], None]]) -> None:
        import ipywidgets

        self._calls = calls
        self._state: str = snapshot.state
        self._shown = self._closed = False
        names = ("head", "road", "title", "picture", "threats", "budget", "traffic", "access")
        self._html = {name: ipywidgets.HTML() for name in names}
        self._html["picture"].add_class("fl-stand-in")
        self._html["threats"].add_class("fl-last")
        self._figure: Any = None
        self._imports: Thread | None = None
        self._link = _link_class()()
        self._slot = ipywidgets.VBox().add_class("fl-plot")
        self._pause, self._step, self._stop = self._buttons()
        self._root = self._layout()
        self.draw_cards(snapshot)
        self.draw_chart(snapshot)

    def _buttons(self) -> tuple[Any, Any, Any]:
        import ipywidgets

        def click(name: str) -> Callable[[object], None]:
            return lambda _: self._calls["resume" if name == "pause" and self._state == "paused" else name]()

        made = []
        for name, icon in (("pause", "pause"), ("step", "step-forward"), ("stop", "stop")):
            button = ipywidgets.Button(description=name.capitalize(), icon=icon)
            button.on_click(click(name))
            made.append(button)
        return made[0], made[1], made[2]

    def _layout(self) -> Any:
        import ipywidgets

        html = self._html
        chart = ipywidgets.VBox([html["title"], html["picture"], self._slot]).add_class("fl-chartcard")
        left = ipywidgets.VBox([chart, html["access"], html["threats"]]).add_class("fl-side")
        right = ipywidgets.VBox([html["budget"], html["traffic"]]).add_class("fl-side")
        grid = ipywidgets.Box([left, right]).add_class("fl-grid")
        controls = ipywidgets.HBox([self._pause, self._step, self._stop]).add_class("fl-controls")
        sheet = ipywidgets.HTML(full_sheet()).add_class("fl-link")
        top = ipywidgets.VBox([html["head"], html["road"]]).add_class("fl-top")
        stack = ipywidgets.VBox([top, controls, grid]).add_class("fl-stack")
        root = ipywidgets.VBox([sheet, stack, self._link]).add_class("fl").add_class("fl-root")
        root.set_trait("_view_count", 0)  # front ends count their views only where the count is a number
        return root

    def view(self) -> dict[str, object]:
        """The part of an output that shows this page in a live notebook."""
        return {WIDGET: {"version_major": 2, "version_minor": 0, "model_id": self._root.model_id}}

    @property
    def watched(self) -> bool:
        """Whether a page has shown this at least once."""
        self._shown = self._shown or bool(getattr(self._root, "_view_count", 0))
        return self._shown

    @property
    def seen(self) -> bool:
        """Whether a page shows it now, in a tab that is not hidden."""
        return self.watched and bool(self._link.visible)

    @property
    def answered(self) -> bool:
        """Whether the page has drawn the last push."""
        return bool(self._link.ack >= self._link.seq)

    @property
    def waiting(self) -> bool:
        """Whether a page is there and the figure is not."""
        return bool(self._link.ready) and self._figure is None and not self._closed

    def open_figure(self, snapshot: Snapshot) -> None:
        """Make the figure if a page waits for it: first its imports, in a thread so that buttons stay alive."""
        if not self.waiting or (self._imports is None and not worth_plotly(snapshot)):
            return
        if self._imports is None:
            self._imports = Thread(target=load_plotly, name="fedlab-plotly", daemon=True)
            self._imports.start()
        if not self._imports.is_alive():
            import plotly.graph_objects as go

            self._figure = go.FigureWidget(progress_traces(snapshot), progress_layout(snapshot, title=False))
            self._figure.set_trait("_config", {"responsive": True, "displayModeBar": False})
            self._slot.children = (self._figure,)

    def close(self) -> None:
        """Free the widgets, here and in the page."""
        self._closed = True
        owned = [*self._html.values(), self._pause, self._step, self._stop, self._slot, self._link, self._root]
        for widget in [*owned, *([self._figure] if self._figure is not None else [])]:
            widget.close()

    def draw_cards(self, snapshot: Snapshot) -> None:
        """All panels but the chart; what has not changed is not sent again."""
        self._state = snapshot.state
        made = {
            "head": panels.header_panel(snapshot),
            "road": panels.road_panel(snapshot),
            "threats": panels.threats_panel(snapshot),
            "budget": panels.budget_panel(snapshot),
            "traffic": panels.traffic_panel(snapshot),
            "access": panels.access_panel(snapshot),
        }
        for name, value in made.items():
            self._html[name].value = value
        paused = snapshot.state == "paused"
        over = snapshot.state not in ("preparing", "running", "paused")
        self._pause.description, self._pause.icon = ("Resume", "play") if paused else ("Pause", "pause")
        self._pause.disabled, self._step.disabled, self._stop.disabled = over, not paused, over

    def draw_chart(self, snapshot: Snapshot) -> None:
        """The chart's newest numbers: into the figure, and into the light picture until the figure is there."""
        self._html["title"].value = panels.chart_head(snapshot)
        if not self._link.drawn:
            self._html["picture"].value = snapshot_svg(snapshot, headline=False, key=False)
        if self._figure is not None:
            self._push(snapshot)
        self._link.seq += 1

    def _push(self, snapshot: Snapshot) -> None:
        import numpy as np

        traces, ranges = progress_numbers(snapshot)
        with self._figure.batch_update():
            for trace, new in zip(self._figure.data, traces, strict=True):
                trace.update({k: np.asarray(v, float) if k in "xy" else v for k, v in new.items()})
            layout = self._figure.layout
            layout.xaxis.range, layout.yaxis.range, layout.yaxis2.range = ranges["x"], ranges["y"], ranges["bytes"]
