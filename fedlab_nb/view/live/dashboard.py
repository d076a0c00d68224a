"""The live dashboard: one widget that is fed from the kernel's main loop, at a pace the page can follow."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Mapping
from typing import Any, Protocol

from fedlab_nb.records import Snapshot
from fedlab_nb.view.draw.picture import snapshot_svg
from fedlab_nb.view.live.page import LIVE, Page
from fedlab_nb.view.panels import static_html
from fedlab_nb.view.words import sentence

CARDS_EVERY, CHART_EVERY, UNANSWERED_EVERY = 0.1, 0.4, 1.0
# After a redraw of c seconds the next one of its kind waits c / SHARE: cards and chart together stay below 2 %.
SHARE, LONGEST_WAIT = 0.005, 8.0
BEAT_EVERY, DEAF_AFTER = 2.0, 15.0

Act = Callable[[str, Mapping[str, Any]], None]


class Source(Protocol):
    """What is drawn: a run."""

    def snapshot(self) -> Snapshot:
        """The run as it is known."""


class Dashboard:
    """A run, live: shown where you like, drawn as often as you like, at most as fast as the page can follow.

    Call everything on the kernel's main loop only: widget messages from other threads can be lost. ``draw`` throttles
    itself: panels at most ten times a second, the chart at most 2.5 times and only after the page has drawn the last
    push (once a second where no page answers), nothing while nobody looks or nothing has changed, and, but for single
    redraws slower than 20 ms, never more than 2 % of the time. ``draws`` are the seconds of processor time of each.
    """

    def __init__(self, source: Source, on_act: Act, clock: Callable[[], float] = time.monotonic) -> None:
        self.draws: list[float] = []
        self._source, self._on_act, self._clock = source, on_act, clock
        self._handles: list[Any] = []
        self._page: Page | None = None
        self._frozen: Hashable = None
        self._next_cards = self._next_chart = self._next_beat = self._pushed_at = float("-inf")
        self._waits_since = float("inf")
        self._drawn_cards: Hashable = None
        self._drawn_chart: Hashable = None

    @property
    def cost(self) -> float:
        """Seconds of processor time that drawing has taken so far."""
        return sum(self.draws)

    @property
    def watched(self) -> bool:
        """Whether a page has shown this dashboard at least once."""
        return self._page is not None and self._page.watched

    @property
    def seen(self) -> bool:
        """Whether a page shows it now, and hears what it is sent: one that is gone without a word stops being fed."""
        page = self._page
        deaf = page is not None and not page.answered and self._clock() - self._waits_since > DEAF_AFTER
        return page is not None and page.seen and not deaf

    def show(self) -> None:
        """Put the dashboard into the output of the running cell."""
        from IPython.display import display

        put: Callable[..., Any] = display
        snapshot = self._source.snapshot()
        if self._page is None and snapshot.state in LIVE:
            self._page = Page(snapshot, self._act)
        view = {} if self._page is None or snapshot.state not in LIVE else self._page.view()
        self._handles.append(put({**_static(snapshot), **view}, raw=True, display_id=True))

    def draw(self, mark: Hashable, *, moving: bool) -> None:
        """Bring the page up to date if it is time to.

        ``mark`` differs whenever something to be seen has changed; while a run is ``moving``, its clock changes too.
        """
        page = self._page
        if page is None or not self.seen:
            return
        now = self._clock()
        if now >= self._next_beat:
            self._next_beat = now + BEAT_EVERY
            page.beat()
        held = not moving  # there is no training then that a redraw could hold up
        answered = page.answered or now - self._pushed_at >= UNANSWERED_EVERY
        chart = mark != self._drawn_chart and answered and (held or now >= self._next_chart)
        changed = mark != self._drawn_cards
        cards = (changed and held) or ((changed or moving) and now >= self._next_cards)
        if not (chart or cards):
            return
        snapshot = self._source.snapshot()
        if chart:
            self._waits_since = now if page.answered else min(self._waits_since, now)
            self._drawn_chart, self._pushed_at = mark, now
            self._next_chart = now + _pause(CHART_EVERY, self._timed(lambda: page.draw_chart(snapshot)))
        if cards:
            self._drawn_cards = mark
            self._next_cards = now + _pause(CARDS_EVERY, self._timed(lambda: page.draw_cards(snapshot)))

    def freeze(self) -> None:
        """The run has ended: static HTML, picture and sentence take the widget's place, for any viewer, without kernel.

        JupyterLab shows a notebook that was saved with a live widget in it, and opened again without its kernel, as
        "model not found", whatever stands beside the widget. After this call nothing of the kind is in the file. The
        widget itself stays in the kernel, with the last state: a page that was closed before it was saved finds it.
        Where no page watched, there is nothing to be found, and the picture is sent each time it is asked for: under
        nbclient only what the waiting cell sends arrives.
        """
        snapshot = self._source.snapshot()
        end = (snapshot.state, len(snapshot.history))
        if self.watched and end == self._frozen:
            return
        self._frozen = end
        self._timed(lambda: self._leave(snapshot))

    def _leave(self, snapshot: Snapshot) -> None:
        page = self._page
        if page is not None and page.watched:
            page.draw_chart(snapshot)
            page.draw_cards(snapshot)
        elif page is not None:
            page.close()
            self._page = None
        bundle = {**_static(snapshot), "text/html": static_html(snapshot)}
        for handle in self._handles:
            handle.update(bundle, raw=True)

    def _act(self, name: str, facts: Mapping[str, Any]) -> None:
        self._on_act(name, facts)
        self._drawn_cards = self._drawn_chart = None

    def _timed(self, work: Callable[[], None]) -> float:
        """Seconds of processor time that ``work`` took; waiting for a training thread is not a cost of drawing."""
        started = time.thread_time()
        work()
        self.draws.append(time.thread_time() - started)
        return self.draws[-1]


def _static(snapshot: Snapshot) -> dict[str, Any]:
    return {"image/svg+xml": snapshot_svg(snapshot), "text/plain": sentence(snapshot)}


def _pause(least: float, spent: float) -> float:
    return min(max(least, spent / SHARE), LONGEST_WAIT)
