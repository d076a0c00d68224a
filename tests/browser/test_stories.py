"""What somebody does with a run beyond watching it: change it, go back, fork it, come back to it, break it."""

import time
from pathlib import Path

import pytest

from tests.browser.board import Board
from tests.browser.front import Front
from tests.browser.looks import faint_texts, in_window, scrolls_sideways
from tests.browser.server import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SETUP = """import fedlab_nb as fl
owners = fl.split_rows(fl.data.breast_cancer(), owners=3)
def federation():
    return fl.Federation(owners, encrypt=fl.CKKS())
strategy = fl.FedAvg(fl.models.logistic(), lr=0.01)"""
# Only a button ends this run, on any machine.
ENDLESS = "run = fl.train(federation(), strategy, num_rounds=5000)"


def begun(front: Front, *cells: str, at: int = 4) -> tuple:
    page = front.open(front.write([SETUP, ENDLESS, *cells]))
    page.run_cell(0)
    page.wait_finished()
    page.run_cell(1)
    board = page.board(0)
    wait_until(lambda: board.round >= at, "the run goes")
    return page, board


def paused(board: Board) -> int:
    board.press("Pause")
    wait_until(lambda: board.state == "paused", "the page says paused")
    return board.settled_round()


def test_a_slider_holds_from_the_next_round_on_and_a_rewind_takes_another_course(front: Front) -> None:
    page, board = begun(front, "fork = run.fork(after=3, num_rounds=9, lr=0.5)", at=6)
    held = paused(board)
    board.slide("learning rate", 0.75)
    wait_until(lambda: "learning rate" in board.text("notes"), "the change is told")
    board.press("Step")
    wait_until(lambda: board.round == held + 1, "a step is made")
    asked = page.ask("print(run.history.changes[-1][:2], run.history[-1].settings['lr'] > 0.01)")
    assert asked == f"({held + 1}, 'lr') True"
    assert "settings changed" in board.part("chart").inner_text()

    scrub = board.slider("round to look at")
    scrub.fill("2")
    tip = board.root.locator(".fl-tip")
    assert "Round 2" in tip.inner_text()
    board.press("Rewind to round 2")
    wait_until(lambda: board.round == 2, "the page is at round two again")
    assert board.state == "paused"
    wait_until(lambda: "before rewinding to round 2" in board.text("chart"), "the other course is named")
    front.look(page, "rewound")
    board.press("Resume")
    wait_until(lambda: board.round >= 6, "another course is taken")
    board.press("Stop")
    wait_until(lambda: board.state == "stopped", "the page says stopped")

    page.run_cell(2)
    wait_until(lambda: page.boards() == 2 and page.board(1).state == "finished", "the fork has ended")
    assert page.board(1).round == 9
    assert "the run it was forked from" in page.board(1).text("chart")
    front.look(page, "forked")


def test_two_runs_live_side_by_side_in_one_notebook(front: Front) -> None:
    page, first = begun(front, "other = fl.train(federation(), strategy, num_rounds=5000)")
    page.run_cell(2)
    wait_until(lambda: page.boards() == 2 and page.board(1).round >= 4, "the second run goes")
    second = page.board(1)
    held = paused(first)
    went = second.round
    wait_until(lambda: second.round > went + 3, "the second run goes on")
    assert first.round == held
    second.press("Stop")
    wait_until(lambda: second.state == "stopped", "the second page says stopped")
    assert first.state == "paused"
    first.press("Resume")
    wait_until(lambda: first.round > held, "the first run goes on")
    first.press("Stop")
    wait_until(lambda: first.state == "stopped", "the first page says stopped")


BROKEN = """class Broken:
    def __getattr__(self, name):
        return getattr(strategy, name)
    def step(self, state, federation, number, cohort, *, last):
        if number == 4:
            raise ValueError("shapes (3,) and (4,) do not fit")
        return strategy.step(state, federation, number, cohort, last=last)
run = fl.train(federation(), Broken(), num_rounds=5000)"""


def test_an_exception_in_a_strategy_turns_the_page_red_and_the_kernel_stays_usable(front: Front) -> None:
    page = front.open(front.write([SETUP, BROKEN]))
    page.run_all()
    board = page.board(0)
    wait_until(lambda: board.state == "failed", "the page says failed")
    told = board.text("header-failed")
    assert "ValueError: shapes (3,) and (4,) do not fit" in told
    assert "Correct the strategy" in told
    assert board.round == 3
    red = board.root.locator(".fl-alarm").evaluate("(node) => getComputedStyle(node).borderLeftColor")
    assert red == "rgb(184, 78, 0)"
    assert page.ask("print(len(run.history), 1 + 1)") == "3 2"
    page.wait_finished()
    front.look(page, "failed")


def test_a_page_that_is_loaded_anew_finds_the_run_and_its_buttons_work(front: Front) -> None:
    page, _ = begun(front)
    page.save()
    page.reload()
    board = page.board(0)
    wait_until(lambda: board.there and board.round > 0, "the page shows the run again", 90)
    went = board.round
    wait_until(lambda: board.round > went + 2, "the run goes on before our eyes")
    assert board.points() > 2
    board.press("Stop")
    wait_until(lambda: board.state == "stopped", "the page says stopped")


def test_a_page_that_was_closed_unsaved_finds_the_run_as_it_ended(front: Front) -> None:
    page, board = begun(front)
    page.save()
    board.press("Stop")
    wait_until(lambda: board.part("chart").locator("img").count() > 0, "the picture takes the widget's place")
    front.leave(page)  # unsaved: the file still holds the live widget
    assert "widget-view" in page.file.read_text()
    again = front.open(page.file)
    board = again.board(0)
    wait_until(lambda: board.there and board.state == "stopped", "the page shows how it ended", 90)
    assert board.button("Pause").is_disabled()
    assert board.points() > 2
    assert "show the run once more" in board.root.inner_text()


def test_a_page_that_hears_nothing_from_the_kernel_says_so_until_it_hears_again(front: Front) -> None:
    page, board = begun(front, "import time; time.sleep(12)")
    page.run_cell(2)
    silence = board.part("silence")
    wait_until(silence.is_visible, "the page says that it hears nothing")
    assert "No word from the kernel" in silence.inner_text()
    wait_until(lambda: not silence.is_visible(), "the page hears again")
    page.shut_down_kernel()
    wait_until(silence.is_visible, "the page says that the kernel is gone")


def test_an_interruption_ends_the_run_and_keeps_what_there_is(front: Front) -> None:
    page, board = begun(front, "history = await run\nprint('kept', run.state, len(history))")
    page.run_cell(2)
    went = board.round
    wait_until(lambda: board.round > went + 1, "the run goes on while the cell waits")
    page.interrupt()
    page.wait_finished()
    wait_until(lambda: board.state == "interrupted", "the page says interrupted")
    assert f"kept interrupted {board.round}" in page.printed()


def test_the_picture_can_be_saved_from_the_page(front: Front) -> None:
    page, board = begun(front, at=6)
    paused(board)
    for name, begins in (("SVG", b"<svg"), ("PNG", b"\x89PNG")):
        with page.page.expect_download() as waiting:
            board.press(name)
        content = Path(waiting.value.path()).read_bytes()
        assert content.startswith(begins)
        assert len(content) > 3000
    board.press("Stop")


def test_whoever_points_at_the_chart_or_presses_an_owner_is_told(front: Front) -> None:
    page, board = begun(front, at=6)
    paused(board)
    picture = board.root.locator(".fl-picture")
    picture.scroll_into_view_if_needed()
    box = picture.bounding_box()
    page.page.mouse.move(box["x"] + box["width"] * 0.12, box["y"] + 80)
    tip = board.root.locator(".fl-tip")
    wait_until(tip.is_visible, "the tip is there")
    for told in ("Round", "accuracy", "Owner 1", "sent"):
        assert told in tip.inner_text()
    assert board.root.locator(".fl-own").count() == 0
    board.root.locator('[data-owner="1"]').click()
    assert board.root.locator(".fl-own").count() == 1
    message = board.part("access").locator("details").first
    message.locator("summary").click()
    assert "sealed" in message.inner_text()
    board.press("Step")
    time.sleep(1)
    assert message.get_attribute("open") is not None, "what was opened stays open when the page is redrawn"
    board.press("Stop")


def test_the_keyboard_reaches_everything_and_does_not_reach_the_notebook(front: Front) -> None:
    page, board = begun(front)
    board.button("Pause").focus()
    page.page.keyboard.press("Enter")
    wait_until(lambda: board.state == "paused", "Enter presses the button")
    cells = page.page.locator(".jp-Cell").count()
    for key in ("a", "b", "x"):
        page.page.keyboard.press(key)
    assert page.page.locator(".jp-Cell").count() == cells
    board.settled_round()
    dropout = board.slider("drop-out of owners")
    dropout.focus()
    page.page.keyboard.press("PageUp")
    wait_until(lambda: "drop-out" in board.text("notes"), "the slider moves")
    operable = board.root.locator("button, input, summary, [data-owner]")
    tabs = operable.evaluate_all("(all) => all.map((one) => one.tabIndex)")
    assert len(tabs) > 8
    assert min(tabs) >= 0
    board.press("Stop")


THEMES = pytest.mark.parametrize(
    ("front", "theme"), [("lab", "light"), ("lab", "dark"), ("notebook7", "dark")], indirect=["front"]
)


@THEMES
def test_live_it_is_readable_on_a_wide_page_and_on_a_phone(front: Front, theme: str) -> None:
    front.set_theme(theme)
    page, board = begun(front, at=6)
    paused(board)
    page.only_notebook()
    for width in (1400, 400):
        page.resize(width, 1000)
        time.sleep(0.8)  # the picture is drawn anew for the width
        board.root.locator(".fl-head").scroll_into_view_if_needed()
        look = front.look(page, f"{theme}-{width}")
        assert look.is_dark == (theme == "dark")
        assert not look.is_blank
        assert look.colourful() > 0.002
        assert scrolls_sideways(board.root) == []
        svg = board.root.locator(".fl-picture svg").first
        size = svg.evaluate("(svg) => svg.getBoundingClientRect().width / svg.viewBox.baseVal.width")
        assert size > 0.9, "letters of the picture keep their size"
        faint = [text for _, text in faint_texts(board.root) if len(text) > 1]  # symbols have their word beside them
        assert faint == []
    board.press("Stop")


FINISHED = "run = fl.train(federation(), strategy, num_rounds=12)\nawait run"


@THEMES
def test_the_saved_notebook_and_its_export_show_the_final_picture(front: Front, theme: str) -> None:
    front.set_theme(theme)
    page = front.open(front.write([SETUP, FINISHED]))
    page.run_all()
    page.wait_finished()
    wait_until(lambda: page.board(0).state == "finished", "the page says finished")
    saved = page.save()
    assert page.file.stat().st_size < 300_000
    assert "widget-view" not in page.file.read_text()
    assert {"text/html", "image/svg+xml", "text/plain"} <= set(saved.cells[1].outputs[0].data)
    page.shut_down_kernel()
    front.leave(page)
    for width in (1400, 400):
        reader = front.read(page.file, trusted=True, width=width)
        reader.only_notebook()
        board = reader.board(0)
        wait_until(lambda board=board: board.there, "the picture is there")
        assert (board.state, board.round) == ("finished", 12)
        shown = board.part("chart").locator("img:visible")
        assert shown.count() == 1
        assert shown.evaluate("(image) => image.naturalWidth") > 0
        assert scrolls_sideways(board.root) == []
        assert not front.look(reader, f"{theme}-{width}-saved").is_blank
        front.leave(reader)
    stranger = front.read(page.file, trusted=False, name="stranger")
    assert "FedAvg over 3 owners" in stranger.output(1).inner_text()
    assert stranger.output(1).locator("img").first.evaluate("(image) => image.naturalWidth") > 0
    html = front.open_html(front.export(page.file, theme=theme), theme=theme)
    root = html.locator(".fl-root").first
    assert "finished" in root.inner_text()
    assert root.locator("img:visible").count() == 1
    assert in_window(html.locator(".fl-head").first)
    front.look(html, f"{theme}-export")
