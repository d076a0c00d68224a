"""Every object that a user meets: one line of text, a card of balanced HTML, and no private value in either."""

from xml.etree import ElementTree as ET

import pytest

import fedlab_nb as fl
from fedlab_nb.cards import core_css
from tests.cards.things import EVIL, NUMBER, SECRET, Reader, frame, page_of, pictures_of, things

# A budget and a threat card are texts of several lines on purpose: they print as paragraphs.
PARAGRAPHS = ("budget", "threats", "answer", "verification", "check", "audit report")


@pytest.fixture(scope="module")
def made() -> dict[str, object]:
    return things()


def test_there_is_an_object_of_every_public_class(made: dict[str, object]) -> None:
    classes = {name for name in fl.__all__ if isinstance(getattr(fl, name), type)}
    assert classes <= {type(thing).__name__ for thing in made.values()}
    assert len(made) > 60


def test_every_text_is_one_short_line(made: dict[str, object]) -> None:
    texts = {
        name: repr(thing) for name, thing in made.items() if not name.endswith(tuple(f": {p}" for p in PARAGRAPHS))
    }
    assert [name for name, text in texts.items() if "\n" in text] == []
    assert [name for name, text in texts.items() if not 5 < len(text) < 700] == []
    assert [name for name, text in texts.items() if " object at 0x" in text] == []


def test_no_name_becomes_an_element_and_every_element_closes(made: dict[str, object]) -> None:
    faults = {name: Reader(page_of(thing)).faults for name, thing in made.items()}
    assert {name: found for name, found in faults.items() if found} == {}
    for thing in made.values():
        page = page_of(thing)
        assert "<img src=x" not in page
        assert "<script" not in page.lower()
        assert "javascript:" not in page.lower()


def test_a_name_is_shown_as_it_was_given(made: dict[str, object]) -> None:
    for name in ("owner", "message", "plain: federation", "sealed part", "history", "account", "schema", "strategy"):
        assert EVIL in "".join(Reader(page_of(made[name])).words), name


def test_pictures_are_whole_drawings_with_a_sentence(made: dict[str, object]) -> None:
    drawn = {name: pictures_of(page_of(thing)) for name, thing in made.items() if name.endswith("federation")}
    assert [len(found) for found in drawn.values()] == [1, 1, 1, 1]
    for (picture,) in drawn.values():
        root = ET.fromstring(picture)
        assert root.get("role") == "img"
        assert len(root.get("aria-label", "")) > 40
        assert {node.tag.rpartition("}")[2] for node in root.iter()} <= {"svg", "g", "rect", "path", "circle", "text"}


@pytest.mark.parametrize("text", ["73191.25", "(-73191.2)", "0.0731912,", "7.3191e+04", "73,191", "in Zanzibar"])
def test_the_search_below_finds_a_secret_however_it_is_written(text: str) -> None:
    assert SECRET.search(text)
    assert NUMBER in frame(0).to_numpy()


def test_no_private_value_is_in_any_text_card_or_picture(made: dict[str, object]) -> None:
    def shown(thing: object) -> str:
        page = page_of(thing)
        return " ".join((repr(thing), str(thing), page, *pictures_of(page)))

    assert [name for name, thing in made.items() if SECRET.search(shown(thing))] == []


def test_a_card_is_small_and_carries_both_themes(made: dict[str, object]) -> None:
    for name, thing in made.items():
        page = page_of(thing)
        assert page.count("<style>") <= 1, name
        if not hasattr(thing, "_repr_mimebundle_"):
            assert core_css() in page, name
            assert len(page) < 60_000, name
