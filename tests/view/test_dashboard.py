"""The live dashboard's pace and what it leaves behind, with an invented clock and page."""

from collections.abc import Callable

import pytest

from fedlab_nb.view.live.dashboard import Dashboard
from fedlab_nb.view.live.page import WIDGET
from tests.view.fake import fake


class FakePage:
    """A page that counts what it is asked, and answers when the test says so."""

    def __init__(self) -> None:
        self.cards = self.charts = self.beats = 0
        self.watched = self.seen = self.answered = True
        self.closed = False

    def draw_cards(self, snapshot) -> None:
        self.cards += 1

    def draw_chart(self, snapshot) -> None:
        self.charts += 1

    def view(self) -> dict[str, object]:
        return {WIDGET: {}}

    def close(self) -> None:
        self.closed = True

    def beat(self) -> None:
        self.beats += 1


class Handle:
    """An output that remembers what it was last told to show."""

    def __init__(self) -> None:
        self.bundles: list[dict[str, str]] = []

    def update(self, bundle, raw) -> None:
        assert raw
        self.bundles.append(bundle)


class Setup:
    def __init__(self) -> None:
        self.now, self.run = 0.0, fake(0)
        self.taken: list[object] = []
        self.board = Dashboard(self, lambda name, facts: None, clock=self.clock)
        self.page, self.handle = FakePage(), Handle()
        self.board._page, self.board._handles = self.page, [self.handle]

    def snapshot(self):
        self.taken.append(self.run)
        return self.run

    def clock(self) -> float:
        self.now += 1e-6
        return self.now

    def draw(self, mark: object, *, moving: bool = True) -> None:
        self.board.draw(mark, moving=moving)

    def watch(self, seconds: float, *, each: float = 0.01, mark: Callable[[int], int] = lambda i: i) -> None:
        for i in range(1, round(seconds / each) + 1):
            self.now += each
            self.draw(mark(i))


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


def test_the_chart_is_not_drawn_again_without_anything_new(setup: Setup) -> None:
    setup.watch(3.0, mark=lambda _: 7)
    assert setup.page.charts == 1


def test_the_clock_in_the_header_goes_on_while_the_run_does_and_rests_with_it(setup: Setup) -> None:
    setup.watch(1.0, mark=lambda _: 7)
    moving = setup.page.cards
    assert moving > 1
    for _ in range(100):
        setup.now += 0.1
        setup.draw(7, moving=False)
    assert setup.page.cards == moving


def test_the_page_hears_from_the_kernel_every_two_seconds_whether_or_not_anything_happens(setup: Setup) -> None:
    for _ in range(100):
        setup.now += 0.1
        setup.draw(7, moving=False)
    assert 5 <= setup.page.beats <= 6


def test_nothing_is_asked_of_the_run_when_nothing_is_due(setup: Setup) -> None:
    setup.draw("round 3", moving=False)
    for _ in range(50):
        setup.now += 0.1
        setup.draw("round 3", moving=False)
    assert len(setup.taken) == 1


def test_a_page_that_went_without_a_word_is_no_longer_fed_until_it_is_heard_again(setup: Setup) -> None:
    setup.draw("round 3")
    setup.page.answered = False
    setup.watch(10.0)
    assert setup.page.charts > 1
    setup.watch(10.0)
    went = setup.page.charts
    setup.watch(5.0)
    assert setup.page.charts == went
    setup.page.answered = True
    setup.watch(1.0)
    assert setup.page.charts > went


def test_nothing_is_drawn_while_nobody_looks(setup: Setup) -> None:
    setup.page.seen = False
    setup.watch(2.0)
    assert (setup.page.cards, setup.page.charts) == (0, 0)


def test_what_happens_while_a_run_is_held_is_shown_at_once(setup: Setup, monkeypatch) -> None:
    cpu = iter(range(100_000))
    monkeypatch.setattr("time.thread_time", lambda: next(cpu) * 0.05)  # redraws so slow that the next must wait long
    setup.draw("round 3")
    setup.draw("round 5")
    assert (setup.page.cards, setup.page.charts) == (1, 1)
    setup.draw("round 5, paused", moving=False)
    setup.draw("rewound to round 2", moving=False)
    assert (setup.page.cards, setup.page.charts) == (3, 3)


def test_what_a_person_does_is_shown_even_if_nothing_else_changes(setup: Setup) -> None:
    setup.draw("paused", moving=False)
    setup.board._act("change", {"name": "lr", "value": -1})
    setup.draw("paused", moving=False)
    assert setup.page.cards == 2


def test_slow_redraws_are_spread_so_that_they_stay_below_two_percent(setup: Setup, monkeypatch) -> None:
    cpu = iter(range(100_000))
    monkeypatch.setattr("time.thread_time", lambda: next(cpu) * 0.01)  # every redraw takes ten milliseconds
    setup.watch(60.0, each=0.05)
    assert setup.board.cost == pytest.approx(0.01 * (setup.page.cards + setup.page.charts))
    assert setup.board.cost <= 0.02 * 60.0 * 1.05


def assert_static(bundle: dict[str, str]) -> None:
    assert set(bundle) == {"text/html", "text/plain", "image/svg+xml"}
    assert sum(len(part.encode()) for part in bundle.values()) < 120_000


def test_the_end_puts_a_picture_in_the_place_of_the_widget_whatever_the_clock_says(setup: Setup) -> None:
    setup.run = fake(20, state="finished")
    setup.board.freeze()
    assert_static(setup.handle.bundles[-1])
    assert "finished" in setup.handle.bundles[-1]["text/html"]
    setup.board.freeze()
    assert len(setup.handle.bundles) == 1


def test_the_widget_keeps_the_last_state_for_a_page_that_was_closed_before_it_was_saved(setup: Setup) -> None:
    setup.run = fake(20, state="finished")
    setup.page.seen = False
    setup.board.freeze()
    assert not setup.page.closed
    assert (setup.page.cards, setup.page.charts) == (1, 1)


def test_every_cell_that_shows_the_run_keeps_its_picture(setup: Setup) -> None:
    other = Handle()
    setup.board._handles.append(other)
    setup.board.freeze()
    assert_static(setup.handle.bundles[-1])
    assert other.bundles == setup.handle.bundles


def test_a_run_that_nobody_watched_leaves_a_picture_and_no_widget_each_time_it_is_asked(setup: Setup) -> None:
    setup.page.watched = setup.page.seen = False
    setup.run = fake(20, state="finished")
    for _ in range(2):
        setup.board.freeze()
    assert setup.page.closed
    assert len(setup.handle.bundles) == 2, "under nbclient only the update of the waiting cell arrives"
    for bundle in setup.handle.bundles:
        assert_static(bundle)
    assert not setup.board.watched
