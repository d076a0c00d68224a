"""The bench itself: its verbs do what a person would do, and what should alarm a test does alarm it."""

import re

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.front import Front
from tests.browser.looks import faint_texts, in_window, look_at, scrolls_sideways
from tests.browser.page import Ears

pytestmark = [pytest.mark.browser, pytest.mark.slow]

# A dashboard by the contract and nothing else: a class, marks, real buttons, a drawn line.
BOARD = """
from IPython.display import HTML, display
display(HTML('''<div class="fl-root" style="background:#fff;color:#111">
<style>.fl-root b {{ color: rgb(1, 2, 3) }}</style>
<b data-testid="header-round">{round}</b> <span data-testid="header-state">running</span>
<svg width="200" height="50"><path d="M0 9L1 9" stroke="red" fill="none"/><path d="M0 40L50 20L100 30L150 10"
 stroke="#0072B2" stroke-width="9" fill="none"/></svg>
<button onclick="this.closest('.fl-root').querySelector('b').textContent++">Step</button>
<label>Clip <input type="range" min="0" max="4" step="0.5" oninput="this.nextSibling.textContent = this.value"><i
 data-testid="clip">2</i></label></div>'''))
"""
BAD = "console.error(`said in anger`); setTimeout(() => { throw Error(`of a script`) })"
SECOND = "import time\nkept = [{round}]\nprint('cell', kept[0])"


def cells() -> list[str]:
    """Two dashboards and a printed line."""
    return [BOARD.format(round=3), BOARD.format(round=8), SECOND.format(round=5)]


def test_a_notebook_is_run_looked_at_and_operated(front: Front) -> None:
    page = front.open(front.write(cells()))
    page.run_all()
    page.wait_finished()
    assert page.printed() == "cell 5\n"
    assert page.boards() == 2
    first, last = page.board(0), page.board()
    assert (first.round, last.round, first.state) == (3, 8, "running")
    assert last.points() == 4
    first.press("Step")
    assert (first.round, last.round) == (4, 8)
    assert first.has_button("Step")
    assert not first.has_button("Stop")
    last.slide("Clip", 0.875)
    assert (last.text("clip"), first.text("clip"), last.text("nothing")) == ("3.5", "2", "")
    assert page.ask("print(kept)") == "[5]"
    assert "cell 5" in page.output(2).inner_text()
    look = front.look(page, "bench")
    assert not look.is_blank
    assert look.path.is_file()
    assert look.share_of(["#0072B2"]) > 0.0005
    page.run_cell(2)
    page.wait_finished()
    assert page.printed() == "cell 5\n"


def test_a_notebook_is_saved_loaded_anew_closed_and_left_by_its_kernel(front: Front) -> None:
    page = front.open(front.write(cells()))
    page.run_all()
    page.wait_finished()
    saved = page.save()
    assert "fl-root" in saved.cells[0].outputs[0].data["text/html"]
    assert saved.cells[2].outputs[0].text == "cell 5\n"
    page.reload()
    assert page.board(0).round == 3
    assert page.ask("print(kept)") == "[5]"
    front.leave(page)
    page = front.open(page.file)
    assert page.ask("print(kept)") == "[5]"
    page.restart_kernel()
    assert page.ask("print('kept' in dir())") == "False"
    page.shut_down_kernel()
    assert page.kernel_status() == ""
    assert page.board(1).round == 8


def test_a_reader_without_a_kernel_sees_what_was_saved_and_of_a_strangers_notebook_less(front: Front) -> None:
    page = front.open(front.write(cells()))
    page.run_all()
    page.wait_finished()
    page.save()
    colours = {}
    for trusted in (True, False):
        reader = front.read(page.file, trusted=trusted, name=f"trusted-{trusted}")
        assert reader.kernel_status() == ""
        assert reader.board(0).there
        colours[trusted] = reader.board(0).root.locator("b").first.evaluate("(b) => getComputedStyle(b).color")
        # The mark of a test is among the things that a front end takes from a stranger's output.
        assert reader.board(0).text("header-round") == ("3" if trusted else "")
    assert colours[True] == "rgb(1, 2, 3)"
    assert colours[False] != "rgb(1, 2, 3)"


@pytest.mark.parametrize("front", ["lab"], indirect=True)
def test_an_export_opens_without_network_light_and_dark(front: Front) -> None:
    page = front.open(front.write(cells()))
    page.run_all()
    page.wait_finished()
    page.save()
    for theme in ("light", "dark"):
        html = front.open_html(front.export(page.file, theme), theme=theme)
        assert html.locator(".fl-root b").first.inner_text() == "3"
        assert front.look(html, f"export-{theme}").is_dark is (theme == "dark")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_front_end_is_as_light_or_dark_as_it_was_asked_to_be(front: Front, theme: str) -> None:
    front.set_theme(theme)
    page = front.open(front.write(["1 + 1"]), width=500, height=700)
    page.only_notebook()
    assert front.look(page, theme).is_dark is (theme == "dark")
    assert page.page.locator("body").get_attribute("data-jp-theme-light") == str(theme == "light").lower()


def test_errors_of_the_page_and_of_cells_are_noticed_and_kernels_end_with_the_test(front: Front) -> None:
    page = front.open(
        front.write(
            [
                f"from IPython.display import HTML\nHTML('<img src=/no-such-picture.png><script>{BAD}</script>')",
                "1 / 0",
            ]
        )
    )
    page.run_all()
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        page.wait_finished()
    page.page.wait_for_load_state("networkidle")
    told = " | ".join(front.close())
    for sign in ("404 GET", "said in anger", "of a script"):
        assert sign in told
    assert front.kernels() == 0
    page.problems.clear()


@pytest.fixture
def plain(browser: Browser) -> Page:
    """A page without any notebook."""
    page = browser.new_page(viewport={"width": 400, "height": 300})
    yield page
    page.close()


def test_pictures_tell_blank_from_drawn_dark_from_light_and_grey_from_colour(plain: Page, tmp_path) -> None:
    def look(body: str):
        plain.set_content(f"<body style='margin:0'>{body}</body>")
        return look_at(plain, tmp_path / "look.png")

    assert look("").is_blank
    assert look("<div style='height:300px;background:#212121'></div>").is_blank
    night = look("<div style='height:300px;background:#212121;color:#eee;font-size:40px'>many words</div>")
    assert (night.is_dark, night.is_blank, night.colourful()) == (True, False, 0.0)
    half = look("<div style='height:150px;background:#0072B2'></div>")
    assert half.share_of(["#0072B2"]) == pytest.approx(0.5)
    assert half.share_of(["#D55E00"]) == 0.0
    assert half.colourful() == pytest.approx(0.5)
    assert not half.is_dark


def test_what_sticks_out_is_found_and_what_fits_is_not(plain: Page) -> None:
    body = "<body style='margin:0'><div id=out style='overflow:auto'><div id=it style='{}'>words</div></div></body>"
    it = plain.locator("#it")
    plain.set_content(body.format("width:390px"))
    assert scrolls_sideways(it) == []
    assert in_window(it)
    plain.set_content(body.format("width:600px"))
    assert scrolls_sideways(it) != []
    assert not in_window(it)


def test_faint_text_is_found_with_its_contrast_through_see_through_layers_and_in_pictures(plain: Page) -> None:
    plain.set_content(
        "<div id=it style='background:#212121'><p style='color:#fff'>clear</p><p style='color:#767676'>dim</p>"
        "<p style='background:rgba(255,255,255,.9);color:#eee'>lost</p>"
        "<p style='color:#777;font-size:30px'>large</p><svg><text y=20 fill='#222'>in the picture</text></svg>"
        "<p style='display:none;color:#212121'>not there</p></div>"
    )
    found = faint_texts(plain.locator("#it"))
    assert [words for _, words in found] == ["in the picture", "lost", "dim"]
    # The contrast of #767676 on white is 4.54, the darkest grey that passes there; on #212121 it is 16.10 / 4.54.
    assert {words: ratio for ratio, words in found}["dim"] == pytest.approx(16.1 / 4.54, rel=0.01)


def test_ears_let_nothing_through_but_what_they_know(plain: Page) -> None:
    ears = Ears(plain)
    plain.set_content(
        "<script>console.error('[anywidget] Failed to initialize model.'); console.warn('a hint')</script>"
    )
    assert ears.problems == []
    plain.set_content("<script>console.error('[anywidget] Failed to draw.')</script>")
    assert re.search("Failed to draw", " ".join(ears.problems))
