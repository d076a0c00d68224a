"""What all cards are made of: escaped, in both themes, without script, read from one style sheet."""

import re
import subprocess
import sys

import pytest

from fedlab_nb.cards import (
    Card,
    Html,
    card,
    code,
    core_css,
    folded,
    framed,
    image,
    marked,
    one_line,
    panel,
    shown,
    table,
)
from tests.cards.things import EVIL, TWO_LINES, Reader

ESCAPED = "&lt;img src=x onerror=&quot;alert(1)&quot;&gt;"


def pages() -> list[str]:
    return [
        card(EVIL, [(EVIL, EVIL), ("rows", 3)], note=EVIL),
        table(EVIL, [EVIL, "n"], [(EVIL, 1)], note=EVIL),
        framed(panel(EVIL, folded(EVIL, code(EVIL)), name=EVIL)),
        framed(panel("Marked", marked(EVIL, EVIL, "fl-good"))),
        framed(panel("A picture", image("<svg/>", EVIL))),
    ]


@pytest.mark.parametrize("page", pages())
def test_no_string_of_a_user_becomes_an_element(page: str) -> None:
    assert "<img src=x" not in page
    assert ESCAPED in page
    assert Reader(page).faults == []


@pytest.mark.parametrize("page", pages())
def test_a_card_is_small_and_runs_and_loads_nothing(page: str) -> None:
    assert len(page.encode()) <= 8_000
    assert "<script" not in page
    assert not re.search(r"(href|src)=(?!x |\"data:)|url\(|@import|http", page)


def test_only_what_says_that_it_is_html_is_left_as_it_is() -> None:
    assert shown(Html("<b>")) == "<b>"
    assert shown("<b>") == "&lt;b&gt;"
    assert shown(3) == "3"


def test_every_colour_has_a_value_for_each_theme_and_follows_the_page() -> None:
    css = core_css()
    light, dark = css.split('[data-jp-theme-light="false"] .fl')[0], css.split('[data-jp-theme-light="false"] .fl')[1]
    accents = {"--fl-blue", "--fl-green", "--fl-red", "--fl-amber", "--fl-purple"}
    for accent in accents:
        assert re.search(rf"{accent}:#[0-9a-f]{{6}}", light)
        assert re.search(rf"{accent}:#[0-9a-f]{{6}}", dark[: dark.index("}")])
    for name in ("ink", "soft", "line", "paper", "wash"):
        assert re.search(rf"--fl-{name}:var\(--jp-[\w-]+,var\(--vscode-[\w-]+,var\(--colab-[\w-]+,#\w+\)\)\)", light), (
            name
        )


def test_columns_of_numbers_stand_right_and_columns_of_words_left() -> None:
    page = table("t", ["name", "bytes"], [("a", "2.1 MB"), ("b", "–")])
    assert '<td class="fl-num">2.1 MB</td>' in page
    assert "<td>a</td>" in page


def test_a_card_prints_as_text_and_shows_as_html() -> None:
    made = Card("words", "<p>page</p>")
    assert repr(made) == str(made) == "words"
    assert made._repr_html_() == "<p>page</p>"


def test_one_line_stays_one_line() -> None:
    assert one_line(TWO_LINES) == "Clinic B </td></table>"
    assert "\n" not in one_line("a\r\nb\x0bc\u2028d")


def test_importing_the_cards_loads_no_heavy_library() -> None:
    heavy = ["torch", "tenseal", "plotly", "ipywidgets", "anywidget", "pandas", "dp_accounting"]
    question = f"import sys, fedlab_nb.cards, fedlab_nb.units; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", question], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
