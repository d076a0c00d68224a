"""Cards are small, static and escaped, whatever they are handed."""

import re

import pytest

from fedlab_nb.records import Threat
from fedlab_nb.view.cards import threat_card, threat_text
from tests.view.fake import EVIL, THREATS


def pages() -> list[str]:
    return [
        threat_card([Threat(EVIL, EVIL, None)], EVIL),
    ]


@pytest.mark.parametrize("page", pages())
def test_no_string_of_a_user_becomes_an_element(page: str) -> None:
    assert "<img" not in page
    assert "&lt;img src=x onerror=&quot;alert(1)&quot;&gt;" in page


@pytest.mark.parametrize("page", [*pages(), threat_card(THREATS)])
def test_a_card_is_small_and_runs_nothing(page: str) -> None:
    assert len(page.encode()) <= 20_000
    assert "<script" not in page
    assert not re.search(r"(href|src)=|url\(|@import|http", page.replace("&lt;img src=x", ""))


def test_a_threat_is_told_by_symbol_and_word_and_the_exposed_come_first() -> None:
    page, text = threat_card(THREATS, "one process"), threat_text(THREATS, "one process")
    for symbol, word in (("✓", "safe"), ("✕", "exposed"), ("?", "depends")):
        assert re.search(rf"{re.escape(symbol)}</span> {word}", page)
        assert f"{symbol} {word}" in text
    assert page.index("exposed") < page.index("depends") < page.index("safe<")
    assert text.index("exposed") < text.index("depends") < text.index("safe")
    assert text.endswith("one process")
