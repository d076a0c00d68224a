"""The live dashboard's pace, its buttons and what it leaves behind, with an invented clock and page."""

from collections.abc import Callable

import pytest

from fedlab_nb.view.dashboard import WIDGET, Dashboard, Page
from tests.view.fake import fake


def nothing() -> None:
    pass


class FakePage:
    """A page that counts what it is asked, and answers when the test says so."""

    def __init__(self) -> None:
        self.cards = self.charts = self.opened = 0
        self.watched = self.seen = self.answered = True
        self.waiting = self.closed = False

    def draw_cards(self, snapshot) -> None:
        self.cards += 1

    def draw_chart(self, snapshot) -> None:
        self.charts += 1

    def open_figure(self, snapshot) -> None:
        self.opened += 1

    def view(self) -> dict[str, object]:
        return {WIDGET: {}}

    def close(self) -> None:
        self.closed = True


class Handle:
    """An output that remembers what it was last told to show."""

    def __init__(self) -> None:
        self.bundles: list[dict[str, str]] = []

    def update(self, bundle, raw) -> None:
        assert raw
        self.bundles.append(bundle)


class Setup:
    def __init__(self) -> None:
        self.now = 0.0
        calls = dict.fromkeys(("on_pause", "on_resume", "on_step", "on_stop"), nothing)
        self.board = Dashboard(fake(0), **calls, clock=lambda: self.now)
        self.page, self.handle = FakePage(), Handle()
        self.board._page, self.board._handle = self.page, self.handle

    def watch(self, seconds: float, *, each: float = 0.01, rounds: Callable[[int], int] = lambda i: i) -> None:
        for i in range(1, round(seconds / each) + 1):
            self.now += each
            self.board.draw(fakes(rounds(i)))


def fakes(done: int, _made: dict[int, object] = {}):  # noqa: B006 - a memory between calls is the point
    if done not in _made:
        _made[done] = fake(done, 5000, owners=1)
    return _made[done]


@pytest.fixture
def setup() -> Setup:
    return Setup()


def test_cards_are_drawn_at_most_ten_times_a_second_and_the_chart_at_most_two_and_a_half(setup: Setup) -> None:
    setup.watch(2.0)
    assert 2 <= setup.page.cards <= 21
    assert 2 <= setup.page.charts <= 6


def test_the_chart_waits_for_the_page_and_gives_up_waiting_after_a_second(setup: Setup) -> None:
    setup.page.answered = False
    setup.watch(3.05)
    assert 2 <= setup.page.charts <= 4


def test_the_chart_is_not_drawn_again_without_a_new_round(setup: Setup) -> None:
    setup.watch(3.0, rounds=lambda _: 7)
    assert setup.page.charts == 1


def test_nothing_is_drawn_while_nobody_looks(setup: Setup) -> None:
    setup.page.seen = False
    setup.watch(2.0)
    assert (setup.page.cards, setup.page.charts, setup.page.opened) == (0, 0, 0)


def test_a_change_of_state_is_shown_at_once(setup: Setup) -> None:
    setup.board.draw(fake(3))
    setup.board.draw(fake(3, state="paused"))
    assert setup.page.cards == 2


def test_slow_redraws_are_spread_so_that_they_stay_below_two_percent(setup: Setup, monkeypatch) -> None:
    cpu = iter(range(100_000))
    monkeypatch.setattr("time.thread_time", lambda: next(cpu) * 0.01)  # every redraw takes ten milliseconds
    setup.watch(60.0, each=0.05, rounds=lambda i: i % 30)
    assert setup.board.cost == pytest.approx(0.01 * (setup.page.cards + setup.page.charts))
    assert setup.board.cost <= 0.02 * 60.0 * 1.05


def test_the_end_puts_a_picture_in_the_place_of_the_widgets_whatever_the_clock_says(setup: Setup) -> None:
    setup.board.draw(fake(3))
    setup.board.draw(fake(20, state="finished"), final=True)
    assert setup.page.closed
    assert set(setup.handle.bundles[-1]) == {"text/html", "text/plain", "image/svg+xml"}
    assert "finished" in setup.handle.bundles[-1]["text/html"]


def test_a_run_that_nobody_watched_leaves_a_picture_and_no_widget_each_time_it_is_asked(setup: Setup) -> None:
    setup.page.watched = setup.page.seen = False
    for _ in range(2):
        setup.board.draw(fake(20, state="finished"), final=True)
    assert setup.page.closed
    assert len(setup.handle.bundles) == 2, "under nbclient only the update of the waiting cell arrives"
    for bundle in setup.handle.bundles:
        assert set(bundle) == {"text/html", "text/plain", "image/svg+xml"}
        assert sum(len(part.encode()) for part in bundle.values()) < 100_000
    assert not setup.board.watched


def test_a_frozen_dashboard_remembers_that_it_was_watched(setup: Setup) -> None:
    setup.board.freeze()
    assert setup.page.closed
    assert WIDGET not in setup.handle.bundles[-1]
    assert setup.board.watched


def test_outside_a_kernel_showing_and_drawing_do_nothing(capsys) -> None:
    calls = dict.fromkeys(("on_pause", "on_resume", "on_step", "on_stop"), nothing)
    board = Dashboard(fake(0), **calls)
    board.show()
    board.draw(fake(3))
    board.draw(fake(20, state="finished"), final=True)
    assert not board.watched
    assert capsys.readouterr().out == ""


@pytest.fixture
def clicked() -> list[str]:
    return []


@pytest.fixture
def page(clicked: list[str]):
    names = ("pause", "resume", "step", "stop")
    made = Page(fake(0), {name: (lambda name=name: clicked.append(name)) for name in names})
    yield made
    made.close()


def test_buttons_call_what_they_say(page: Page, clicked: list[str]) -> None:
    page.draw_cards(fake(3))
    assert (page._pause.description, page._pause.disabled, page._step.disabled) == ("Pause", False, True)
    page._pause.click()
    page.draw_cards(fake(3, state="paused"))
    assert (page._pause.description, page._step.disabled) == ("Resume", False)
    page._pause.click()
    page._step.click()
    page._stop.click()
    assert clicked == ["pause", "resume", "step", "stop"]
    page.draw_cards(fake(20, state="finished"))
    assert page._pause.disabled
    assert page._stop.disabled


def test_plotly_is_loaded_only_once_a_page_is_there(page: Page) -> None:
    page.open_figure(fake(5, 5000))
    assert page._imports is None
    page._link.ready = 1
    page.open_figure(fake(5, 5000))
    page._imports.join()
    page.open_figure(fake(5, 5000))
    assert len(page._slot.children) == 1
    page.draw_chart(fake(9, 5000))
    assert len(page._figure.data[3].x) == 9


def test_the_light_picture_is_not_sent_any_more_once_the_page_has_drawn_the_figure(page: Page) -> None:
    page.draw_chart(fake(3))
    before = page._html["picture"].value
    page._link.drawn = 1
    page.draw_chart(fake(9))
    assert page._html["picture"].value == before


def test_what_a_redraw_sends_stays_small_in_a_long_run_of_many_owners(page: Page) -> None:
    page.draw_cards(fake(500, 500, owners=50))
    page.draw_chart(fake(500, 500, owners=50))
    assert sum(len(html.value.encode()) for html in page._html.values()) < 30_000


def test_a_pause_brings_the_chart_up_to_the_last_round_at_once(setup: Setup, monkeypatch) -> None:
    cpu = iter(range(100_000))
    monkeypatch.setattr("time.thread_time", lambda: next(cpu) * 0.05)  # redraws so slow that the next must wait long
    setup.board.draw(fake(3))
    before = setup.page.charts
    setup.board.draw(fake(5))
    assert setup.page.charts == before
    setup.board.draw(fake(5, state="paused"))
    setup.board.draw(fake(6, state="paused"))
    assert setup.page.charts == before + 2
