"""The widget of one run: HTML panels, a picture, buttons and sliders in one anywidget; plain JavaScript on the page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from itertools import takewhile
from typing import Any

from fedlab_nb.cards import core_css
from fedlab_nb.records import History, Snapshot
from fedlab_nb.units import metric_name
from fedlab_nb.view.draw.picture import WIDE, snapshot_svg
from fedlab_nb.view.live.knobs import sliders
from fedlab_nb.view.live.points import points
from fedlab_nb.view.panels import SLOTS, skeleton, slots
from fedlab_nb.view.style import static

WIDGET = "application/vnd.jupyter.widget-view+json"
LIVE = ("preparing", "running", "paused")
NARROWEST, WIDEST = 220, 1600
# Seen only by who opens a file that was saved while the run went on: at its end a page replaces the widget.
OVER = "<p>The run has ended. To keep this picture in the saved file, show the run once more: its name in a cell.</p>"


@cache
def _bench() -> Any:
    """The widget's class: what the kernel says is a trait, what the page says comes as messages."""
    import anywidget
    import traitlets

    texts = ("skeleton", "metric", "picture", "slot_rounds", *(f"slot_{name}" for name in SLOTS))
    traits: dict[str, Any] = {name: traitlets.Unicode().tag(sync=True) for name in texts}
    traits |= {
        "owners": traitlets.List().tag(sync=True),
        "controls": traitlets.Dict().tag(sync=True),
        "seq": traitlets.Int(0).tag(sync=True),
    }
    sheet = core_css() + static("style.css") + static("bench.css")
    return type("Bench", (anywidget.AnyWidget,), {"_esm": static("bench.js"), "_css": sheet, **traits})


class Page:
    """The widget, and what is known of the pages that show it. Use it on the kernel's main loop only.

    ``on_act(name, facts)`` is called for what a person does: pause, resume, step, stop, change, rewind.
    """

    def __init__(self, snapshot: Snapshot, on_act: Callable[[str, Mapping[str, Any]], None]) -> None:
        self._on_act = on_act
        self._pages: dict[str, bool] = {}
        self._width, self._sent = WIDE, History()
        self._answered = 0
        self._latest = snapshot
        self.watched = False
        self._widget = _bench()(
            skeleton=skeleton(lambda name: f'<div data-slot="{name}"></div>'), owners=list(snapshot.owners)
        )
        self._widget.on_msg(self._hear)
        self.draw_cards(snapshot)
        self.draw_chart(snapshot)

    def view(self) -> dict[str, object]:
        """The part of an output that shows this page in a live notebook."""
        return {WIDGET: {"version_major": 2, "version_minor": 0, "model_id": self._widget.model_id}}

    @property
    def seen(self) -> bool:
        """Whether a page shows it now, in a tab that is not hidden."""
        return any(self._pages.values())

    @property
    def answered(self) -> bool:
        """Whether a page has drawn the last push."""
        return bool(self._answered >= self._widget.seq)

    def beat(self) -> None:
        """Let the pages know that the kernel is there, whether or not there is something to show."""
        self._widget.send({})

    def close(self) -> None:
        """Free the widget, here and in the page."""
        self._widget.close()

    def draw_cards(self, snapshot: Snapshot) -> None:
        """All panels and controls but the chart; what has not changed is not sent again."""
        made = slots(snapshot)
        made.pop("title")
        with self._widget.hold_sync():
            for name, html in made.items():
                setattr(self._widget, f"slot_{name}", html)
            self._widget.controls = _controls(snapshot)
            self._widget.slot_rounds = "" if snapshot.state in LIVE else OVER

    def draw_chart(self, snapshot: Snapshot) -> None:
        """The picture and its title, and to the pages that are there the numbers of the newest rounds."""
        self._latest = snapshot
        with self._widget.hold_sync():
            self._widget.slot_title = SLOTS["title"](snapshot)
            self._widget.picture = snapshot_svg(snapshot, width=self._width, headline=False, key=False)
            self._widget.metric = metric_name(snapshot.metric)
            self._widget.seq += 1
        self._send_points(snapshot)

    def _send_points(self, snapshot: Snapshot) -> None:
        """The rounds that the pages do not have yet: after a rewind those numbers are used again by other rounds."""
        if self._pages:
            pairs = zip(self._sent, snapshot.history, strict=False)
            known = sum(1 for _ in takewhile(lambda pair: pair[0] is pair[1], pairs))
            self._widget.send({"from": known, "points": points(snapshot, known)})
            self._sent = snapshot.history

    def _hear(self, _: object, message: Mapping[str, Any], __: object) -> None:
        act, page = str(message.get("act", "")), str(message.get("id", ""))
        if act in ("ready", "seen"):
            self._pages[page], self.watched = bool(message.get("visible")), True
        if act in ("ready", "width"):
            self._resize(int(message.get("width") or 0))
        if act == "ready":
            self._sent = History()
            self._send_points(self._latest)
        elif act == "gone":
            self._pages.pop(page, None)
        elif act == "ack":
            self._answered = max(self._answered, int(message.get("seq") or 0))
        else:
            self._on_act(act, message)

    def _resize(self, width: int) -> None:
        if NARROWEST <= width <= WIDEST and width != self._width:
            self._width = width
            self._widget.picture = snapshot_svg(self._latest, width=width, headline=False, key=False)


def _controls(snapshot: Snapshot) -> dict[str, object]:
    first = snapshot.before.number if snapshot.before is not None else 1
    live = snapshot.state in LIVE
    settings = sliders(snapshot) if live and "change" in snapshot.acts else []
    return {"state": snapshot.state, "live": live, "first": first, "settings": settings, "acts": sorted(snapshot.acts)}
