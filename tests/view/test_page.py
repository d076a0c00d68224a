"""The widget of one run, without a browser: what the page would send, and what it would be sent."""

import json
import re

import pytest

from fedlab_nb.records import Branch, History
from fedlab_nb.view.live.knobs import KNOBS, sliders
from fedlab_nb.view.live.page import Page
from fedlab_nb.view.live.points import points
from fedlab_nb.view.panels import SLOTS
from fedlab_nb.view.style import static
from tests.view.fake import EVIL, evil, fake, with_settings


class Wire:
    """A page on the other end: it says things to the widget, and keeps what it is sent."""

    def __init__(self, snapshot) -> None:
        self.acts: list[tuple[str, dict]] = []
        self.sent: list[dict] = []
        self.page = Page(snapshot, lambda name, facts: self.acts.append((name, dict(facts))))
        self.page._widget.send = self.sent.append

    def says(self, act: str, **facts) -> None:
        self.page._hear(None, {"act": act, "id": "one", **facts}, [])

    @property
    def rounds(self) -> list[int]:
        """The numbers of the rounds that the page has by now, put together as the page does it."""
        have: list[int] = []
        for message in self.sent:
            if "points" in message:
                have = [*have[: message["from"]], *(point["n"] for point in message["points"])]
        return have


@pytest.fixture
def wire():
    made = Wire(fake(5))
    yield made
    made.page.close()


def test_a_page_is_seen_from_when_it_is_ready_until_it_is_hidden_or_gone(wire: Wire) -> None:
    assert (wire.page.watched, wire.page.seen) == (False, False)
    wire.says("ready", visible=True, width=700)
    assert (wire.page.watched, wire.page.seen) == (True, True)
    wire.says("seen", visible=False)
    assert (wire.page.watched, wire.page.seen) == (True, False)
    wire.says("seen", visible=True)
    wire.says("gone")
    assert (wire.page.watched, wire.page.seen) == (True, False)


def test_a_page_that_comes_gets_every_round_and_then_only_new_ones(wire: Wire) -> None:
    assert wire.rounds == []
    wire.says("ready", visible=True, width=700)
    assert wire.rounds == [1, 2, 3, 4, 5]
    history = fake(8).history
    wire.page.draw_chart(replaced(fake(8), History((*fake(5).history, *history[5:]))))
    assert wire.rounds == [1, 2, 3, 4, 5, 6, 7, 8]


def replaced(snapshot, history):
    from dataclasses import replace

    return replace(snapshot, history=history)


def test_after_a_rewind_rounds_with_the_same_numbers_are_sent_anew() -> None:
    old, new = fake(8), fake(8, sd=0.1)
    wire = Wire(old)
    wire.says("ready", visible=True, width=700)
    mixed = History((*old.history[:3], *new.history[3:]))
    wire.page.draw_chart(replaced(old, mixed))
    assert wire.sent[-1]["from"] == 3
    assert [p["v"] for p in wire.sent[-1]["points"]] == [p["v"] for p in points(replaced(old, mixed), 3)]
    wire.page.close()


def test_the_page_answers_the_last_push(wire: Wire) -> None:
    assert not wire.page.answered
    wire.says("ack", seq=wire.page._widget.seq)
    assert wire.page.answered


def test_what_a_person_does_reaches_the_run(wire: Wire) -> None:
    for act, facts in (("pause", {}), ("step", {}), ("change", {"name": "lr", "value": 0.5}), ("rewind", {"to": 3})):
        wire.says(act, **facts)
        assert wire.acts[-1][0] == act
        assert wire.acts[-1][1].items() >= facts.items()


@pytest.mark.parametrize("width", [380, 1000])
def test_the_picture_is_drawn_as_wide_as_the_page(wire: Wire, width: int) -> None:
    wire.says("width", width=width)
    assert f'viewBox="0 0 {width} ' in wire.page._widget.picture


@pytest.mark.parametrize("width", [0, -5, 10**9, None])
def test_an_impossible_width_changes_nothing(wire: Wire, width: object) -> None:
    before = wire.page._widget.picture
    wire.says("width", width=width)
    assert wire.page._widget.picture == before


def test_what_has_not_changed_is_not_sent_again(wire: Wire) -> None:
    changed: list[str] = []
    wire.page._widget.observe(lambda change: changed.append(change["name"]), names=list(wire.page._widget.keys))
    wire.page.draw_cards(fake(5))
    assert changed == []


def test_what_a_redraw_sends_stays_small_in_a_long_run_of_many_owners() -> None:
    wire = Wire(fake(500, 500, owners=50))
    widget = wire.page._widget
    sent = [widget.picture, *(getattr(widget, f"slot_{name}") for name in SLOTS), json.dumps(widget.controls)]
    assert sum(len(text.encode()) for text in sent) < 60_000
    wire.says("ready", visible=True, width=700)
    wire.page.draw_chart(fake(500, 500, owners=50))
    wire.page.close()


def test_sliders_are_there_for_the_settings_of_the_run_and_hold_their_values() -> None:
    snapshot = with_settings(fake(5), lr=0.2, local_epochs=3, dropout=0.25)
    made = sliders(snapshot)
    assert [(s["name"], s["value"]) for s in made] == [("lr", 0.2), ("local_epochs", 3), ("dropout", 0.25)]
    for slider in sliders(with_settings(fake(5), **dict.fromkeys(KNOBS, 1000000.0))):
        assert slider["low"] <= slider["value"] <= slider["high"]


def test_the_numbers_of_a_round_are_those_of_its_record() -> None:
    snapshot = fake(6, fail=(4,))
    record, point = snapshot.history[4], points(snapshot)[4]
    assert point["n"] == record.number
    assert point["v"] == pytest.approx(record.metrics["accuracy"], rel=1e-4)
    assert point["o"] == pytest.approx([record.owner_metrics[name]["accuracy"] for name in snapshot.owners], rel=1e-4)
    assert point["b"] == sum(flow.nbytes for flow in record.traffic.values())
    assert "Owner 2" in points(snapshot)[3]["f"]
    assert json.loads(json.dumps(points(snapshot))) == points(snapshot)


def test_other_courses_are_named_and_drawn_faintly() -> None:
    from dataclasses import replace

    snapshot = replace(fake(6), branches=(Branch("before rewinding to round 3", fake(9, sd=0.1).history[2:]),))
    page = Page(snapshot, lambda name, facts: None)
    assert "before rewinding to round 3" in page._widget.slot_title
    assert page._widget.picture.count("<polyline") == 2
    page.close()


def test_no_string_of_a_user_becomes_an_element_on_the_page() -> None:
    page = Page(evil(fake(6)), lambda name, facts: None)
    html = "".join(getattr(page._widget, f"slot_{name}") for name in SLOTS) + page._widget.picture
    assert "<img" not in html
    assert EVIL not in html
    page.close()


def test_the_page_writes_no_html_of_its_own_but_what_the_kernel_escaped() -> None:
    """Names come to the page as data too (for its tips): they must only ever be set as text."""
    script = static("bench.js")
    written = re.findall(r"innerHTML = (.+?);", script)
    assert sorted(written) == ["html", 'model.get("picture")', 'model.get("skeleton")']
    assert not re.search(r"insertAdjacentHTML|outerHTML|document\.write|eval\(", script)
