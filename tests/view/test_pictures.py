"""SVG, panels, pages and sentences: for every kind of run complete, small, escaped and free of nonsense."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest

from fedlab_nb.records import Access, History, Message, OwnerLine, Peek
from fedlab_nb.units import bytes_text, delta_text, epsilon_text, number, seconds_text
from fedlab_nb.view.draw.picture import snapshot_svg
from fedlab_nb.view.panels import report_html, static_html
from fedlab_nb.view.panels.budget import budget_panel
from fedlab_nb.view.panels.head import header_panel
from fedlab_nb.view.panels.owners import owners_panel
from fedlab_nb.view.words import sentence, text_progress
from tests.view.fake import EVIL, evil, fake, spending

RUNS = {
    "running": fake(),
    "noisy": fake(20, sd=0.03, state="finished"),
    "regression": fake(9, metric="rmse", private=False, encrypted=False),
    "failed": fake(6, fail=(5, 6), state="failed"),
    "all rounds failed": fake(2, fail=(1, 2), state="failed"),
    "empty": fake(0, state="preparing"),
    "one round": fake(1),
    "one noisy round": fake(1, sd=0.1),
    "long": fake(500, 500, owners=50),
    "endless": fake(120, 5000, state="paused"),
    "budget spent": fake(12, state="budget spent"),
    "interrupted": fake(3, state="interrupted", private=False),
    "evil": evil(fake()),
}
every_run = pytest.mark.parametrize("snapshot", RUNS.values(), ids=RUNS.keys())
NONSENSE = re.compile(r"\b(nan|inf|infinity|none|null|undefined)\b", re.IGNORECASE)


def words(page: str) -> str:
    """What a reader sees of a page: text outside style sheets."""

    class Reader(HTMLParser):
        text = ""
        skip = False

        def handle_starttag(self, tag, attrs):
            self.skip = tag == "style"

        def handle_endtag(self, tag):
            self.skip = False

        def handle_data(self, data):
            self.text += "" if self.skip else " " + data

    reader = Reader()
    reader.feed(page)
    return reader.text.replace("none has been released yet", "")


@every_run
def test_the_picture_is_well_formed_small_and_made_of_plain_shapes(snapshot) -> None:
    svg = snapshot_svg(snapshot)
    tags = {element.tag.rpartition("}")[2] for element in ET.fromstring(svg).iter()}
    assert tags <= {"svg", "path", "polygon", "polyline", "circle", "text", "tspan"}
    assert len(svg.encode()) < 20_000
    root = ET.fromstring(svg)
    assert root.get("role") == "img"
    assert root.get("aria-label") == sentence(snapshot)
    for line in root.iter("{http://www.w3.org/2000/svg}polyline"):
        assert len((line.get("points") or "").split()) <= 80


@every_run
def test_nothing_nonsensical_is_ever_shown(snapshot) -> None:
    svg = snapshot_svg(snapshot)
    assert not re.search(r"nan|inf\b", svg, re.IGNORECASE)
    for text in (words(static_html(snapshot)), words(svg), sentence(snapshot), text_progress(snapshot)):
        assert not NONSENSE.search(text), NONSENSE.search(text)


@every_run
def test_the_saved_page_needs_nothing_and_stays_below_its_size(snapshot) -> None:
    page = static_html(snapshot)
    assert len(page.encode()) + len(snapshot_svg(snapshot).encode()) < 100_000
    assert "<script" not in page
    assert not re.search(r'(href|src)="(?!data:)|url\(|@import', page)
    report = report_html(snapshot, EVIL)
    assert report.startswith("<!doctype html>")
    assert report.endswith("</html>")
    assert "onerror=" not in re.sub(r"&lt;.*?&gt;", "", report)


@every_run
def test_every_opened_element_is_closed(snapshot) -> None:
    class Balance(HTMLParser):
        open: list[str] = []  # noqa: RUF012

        def handle_starttag(self, tag, attrs):
            if tag not in ("meta", "img"):
                self.open = [*self.open, tag]

        def handle_endtag(self, tag):
            assert self.open[-1] == tag
            self.open = self.open[:-1]

    balance = Balance()
    balance.feed(static_html(snapshot))
    assert balance.open == []


def test_no_string_of_a_user_becomes_an_element() -> None:
    page = static_html(RUNS["evil"])
    assert page.count("<img") == 2, "the picture itself, wide and narrow, and nothing else"
    assert EVIL not in page


def test_the_page_can_be_read_by_its_marks() -> None:
    page = header_panel(fake(14))
    assert '<b class="fl-big" data-testid="header-round">14</b>' in page
    assert '<span data-testid="header-state">running</span>' in page


@pytest.mark.parametrize("spent", [None, float("inf"), 3.0])
def test_without_a_guarantee_there_is_no_number(spent: float | None) -> None:
    snapshot = fake(private=False)
    snapshot = replace(snapshot, spending=replace(snapshot.spending, spent=spent))
    page = words(budget_panel(snapshot))
    assert "No guarantee" in page
    assert "nothing limits what the updates say about a row" in page
    assert not re.search(r"\d|inf|ε", page.replace("Privacy budget", ""))
    assert "no privacy guarantee" in sentence(snapshot)


def test_with_a_guarantee_spent_agreed_delta_and_unit_are_shown() -> None:
    snapshot = replace(fake(), spending=spending(7.24, left=1))
    page = words(budget_panel(snapshot))
    for part in ("7.24", "of 8 agreed", "δ = 0.001", "per row", "1 more round would fit"):
        assert part in page


def test_the_sentence_says_it_all() -> None:
    assert sentence(fake(20, state="finished")) == (
        "Round 20 of 20, accuracy 0.969, epsilon 8 of 8 (delta 0.001, per row), 39.7 MB sent encrypted (40×)"
    )
    assert "accuracy about" in sentence(RUNS["noisy"])
    assert "RMSE" in sentence(RUNS["regression"])
    assert sentence(RUNS["failed"]).endswith("2 failed rounds, the run failed")


def test_a_failed_round_is_told_with_owner_and_stage() -> None:
    assert "Round 6 failed · Owner 2, train: Owner 2 sent" in header_panel(RUNS["failed"])
    assert "failed at Owner 2, train" in text_progress(RUNS["failed"])
    assert "1 failed round, marked on the chart" in header_panel(fake(9, fail=(4,)))


def test_numbers_are_said_in_words_that_compare() -> None:
    assert [bytes_text(n) for n in (0, 999, 1000, 331_000, 6_600_000, 2e12)] == [
        "0 B", "999 B", "1 kB", "331 kB", "6.6 MB", "2000 GB",
    ]  # fmt: skip
    assert [seconds_text(s) for s in (0.4, 59, 130, 3900, float("nan"))] == [
        "0 s",
        "59 s",
        "2 min 10 s",
        "1 h 5 min",
        "0 s",
    ]
    assert [delta_text(d) for d in (None, 1e-3, 1e-5, 2e-5)] == ["–", "0.001", "10⁻⁵", "2e-05"]
    assert [epsilon_text(e) for e in (None, float("inf"), 0.004, 8.0, 7.236)] == ["–", "–", "0.004", "8", "7.24"]
    assert [number(v) for v in (None, float("nan"), 0.9634, 1234.5, 2.5e9)] == ["–", "–", "0.963", "1234", "2.500e+09"]


def test_a_round_in_which_nobody_took_part_says_so() -> None:
    snapshot = fake(4)
    empty = replace(snapshot, history=History((*snapshot.history[:-1], replace(snapshot.history[-1], cohort=()))))
    assert "nobody took part in round 4" in words(static_html(empty))
    assert "5 of 5 took part in round 4" in words(static_html(snapshot))
    assert "keep their rows" in words(static_html(fake(0)))


def test_the_owners_table_leaves_out_what_nobody_may_see_and_says_why() -> None:
    page = words(owners_panel(fake()))
    assert all(part in page for part in ("5 owners", "rows", "contribution", "dropped out: it sent no update"))
    assert not any(part in page for part in ("seconds", "ε left")), "nobody has told any"
    hidden = replace(fake(), lines=tuple(OwnerLine(f"Owner {i}", 3, present=True, dropped=False) for i in range(3)))
    page = words(static_html(hidden))
    assert "Numbers of rows were not released" in page
    assert "No owner's own accuracy has been released yet" in page
    assert "single updates are sealed" in page


def test_the_budget_says_where_it_is_going_and_what_other_noise_would_do() -> None:
    snapshot = replace(fake(), spending=spending(7.24, left=4))
    page = words(budget_panel(snapshot))
    assert "4 more rounds would fit. The budget ends the run at round 18 of 20." in page
    assert "ends at round 16" in page, "with half the noise two rounds fit"
    enough = words(budget_panel(replace(fake(), spending=spending(7.24, left=6))))
    assert "After round 20: ε 6.10. 6 more rounds would fit." in enough
    assert "1.000 (now)" in page
    assert "any" in page, "more noise than any number of rounds needs"


def test_what_happened_is_told_newest_first() -> None:
    page = words(static_html(fake()))
    assert page.index("Paused.") < page.index("Training began.")


def test_a_message_opens_to_what_each_party_finds_in_it() -> None:
    sealed = Message(
        7, 3, "A", "server", "update", 65_700, 4_100, True, Peek(False, "5e10a1", (513,), "note"), "d", "p"
    )
    access = (Access("one owner's update", "own", "sealed", "never", (sealed, sealed, None)),)
    page = words(static_html(replace(fake(), access=access)))
    assert "round 3: A → server, 65.7 kB" in page
    for part in ("its own numbers, before they leave", "sealed: 5e10a1… (note)", "nothing of the kind"):
        assert part in page
