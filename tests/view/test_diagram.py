"""The picture of a federation: a bar for each owner over the columns that it holds, keys by symbol and word."""

import re
from xml.etree import ElementTree as ET

import pytest

from fedlab_nb.records import Holding
from fedlab_nb.view.diagram import MOST_OWNERS, TARGET_WIDTH, WIDTH, federation_svg, federation_words
from tests.view.fake import EVIL

COLUMNS = tuple(f"c{i}" for i in range(10))
SVG = "{http://www.w3.org/2000/svg}"


def owner(
    name="Clinic A", columns=COLUMNS, target="ill", key="public key", sends="updates, sealed", rows="its own rows"
):
    may = ("seal",) if key == "public key" else ()
    return Holding(name, "owner", rows, columns, target, may, key, key if key != "none" else "no key yet", sends)


def server(*, encrypted=True):
    if not encrypted:
        return Holding("server", "server", may=("read",), material="no keys: no encryption", sends="the model")
    return Holding("server", "server", may=("add",), key="parameters", material="parameters, no key", sends="the model")


KEEPER = Holding(
    "key holder", "key holder", may=("open",), key="secret key", material="secret key ab12", sends="opened sum"
)


def drawn(*holdings):
    return ET.fromstring(federation_svg(holdings))


def bars(root, kind):
    """(left, right) of every bar of a kind, in order."""
    found = [node for node in root.iter(f"{SVG}rect") if node.get("class") == f"fl-d-{kind}"]
    return [(float(n.get("x")), float(n.get("x")) + float(n.get("width"))) for n in found]


def words(root):
    return [node.text for node in root.iter(f"{SVG}text")]


def test_owners_with_the_same_columns_stand_above_each_other():
    root = drawn(*(owner(f"Clinic {i}") for i in range(3)), server(), KEEPER)
    assert bars(root, "owner") == [(0.0, WIDTH - TARGET_WIDTH - 3)] * 3
    assert bars(root, "target") == [(WIDTH - TARGET_WIDTH, WIDTH)] * 3
    tops = [float(n.get("y")) for n in root.iter(f"{SVG}rect") if n.get("class") == "fl-d-owner"]
    assert tops == sorted(set(tops)), "one below the other"
    assert "the same columns, different rows" in words(root)
    assert "10 columns" in words(root)


def test_owners_of_different_columns_have_bars_where_their_columns_are_and_nowhere_else():
    bank = owner("Bank", COLUMNS[:7], rows="the same people")
    shop = owner("Shop", COLUMNS[7:], target=None, rows="the same people")
    root = drawn(bank, shop, server(), KEEPER)
    (_, end), (start, right) = bars(root, "owner")
    assert 0 < start - end < 3, "they meet, and do not overlap"
    assert right == WIDTH - TARGET_WIDTH - 3
    assert end == pytest.approx(0.7 * right, abs=2)
    assert len(bars(root, "target")) == 1, "only the bank holds the target"
    assert "different columns of the same people" in words(root)
    assert "10 columns" in words(root)


def test_columns_with_a_gap_between_them_are_drawn_with_the_gap():
    root = drawn(owner("A"), owner("B", COLUMNS[:2] + COLUMNS[6:8]), server(), KEEPER)
    assert len(bars(root, "owner")) == 1 + 2


def test_many_owners_are_summed_up():
    root = drawn(*(owner(f"Phone {i}") for i in range(50)), server(), KEEPER)
    assert len(bars(root, "owner")) == MOST_OWNERS - 1
    assert "and 45 more, each with its own rows" in words(root)
    exactly = drawn(*(owner(f"Phone {i}") for i in range(MOST_OWNERS)), server(), KEEPER)
    assert len(bars(exactly, "owner")) == MOST_OWNERS
    assert not any(text.startswith("and ") for text in words(exactly))


def test_keys_are_told_in_words_as_well_as_by_symbol():
    root = drawn(owner(), owner("B"), server(), KEEPER)
    for text in ("public key", "parameters, no key", "secret key ab12", "opens sums only", "adds sealed numbers"):
        assert text in words(root)
    without = drawn(owner(key="none"), owner("B", key="none"), server(), KEEPER)
    assert len(list(without.iter(f"{SVG}rect"))) == len(list(root.iter(f"{SVG}rect"))) - 2, "a padlock for each owner"
    assert "public key" not in words(without)


def test_a_federation_in_the_clear_has_no_key_holder():
    root = drawn(owner(key="none", sends="updates, readable"), owner("B", key="none"), server(encrypted=False))
    assert bars(root, "keeper") == []
    assert bars(root, "server") == [(0.0, WIDTH)]
    assert "reads every update" in words(root)


def test_the_sentence_says_what_the_picture_shows():
    said = federation_words([owner(), owner("B"), server(), KEEPER])
    assert said == (
        "2 data owners: the same columns, different rows. Each holds its own rows (public key), and sends updates, "
        "sealed. The server adds sealed numbers, and sends the model (parameters, no key). The key holder opens sums "
        "only, and sends the opened sum (secret key ab12)."
    )
    root = drawn(owner(), owner("B"), server(), KEEPER)
    assert root.get("role") == "img"
    assert root.get("aria-label") == said


@pytest.mark.parametrize("name", [EVIL, "<script>", "a\x00b\x1fc\ud800", "病院" * 40, "W" * 300, "line\nbreak"])
def test_any_name_gives_a_whole_picture(name):
    code = federation_svg([owner(name, (name, "b"), name, rows=name, sends=name), owner("B"), server(), KEEPER])
    root = ET.fromstring(code.encode())
    assert "<script" not in code
    assert "<img" not in code
    assert root.get("aria-label")


@pytest.mark.parametrize("name", ["病院" * 40, "W" * 300, "Hospital of the university"])
def test_long_names_are_cut_and_stay_inside_the_picture(name):
    root = drawn(owner(name, target=name), owner("B", COLUMNS[:2]), server(), KEEPER)
    for node in root.iter(f"{SVG}text"):
        wide = sum(2 if ord(letter) > 0x2E80 else 1 for letter in node.text)
        assert wide * 0.5 * float(node.get("font-size")) <= WIDTH
    assert any(text.endswith("…") for text in words(root))


def test_it_is_made_of_plain_shapes_small_and_scales_with_the_page():
    code = federation_svg([*(owner(f"Clinic {i}") for i in range(6)), server(), KEEPER])
    tags = {node.tag.removeprefix(SVG) for node in ET.fromstring(code).iter()}
    assert tags <= {"svg", "g", "rect", "path", "circle", "text"}
    assert len(code) < 16_000
    assert re.search(rf'viewBox="0 0 {WIDTH} \d+', code)
    assert "url(" not in code
    sizes = [float(size) for size in re.findall(r'font-size="([\d.]+)"', code)]
    assert min(sizes) * 350 / WIDTH >= 9, "on a card on a page of 400 pixels"


def luminance(colour):
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one, other):
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("kind", ["owner", "target", "server", "keeper"])
def test_white_letters_are_readable_on_every_bar_and_every_bar_on_both_papers(kind):
    root = drawn(owner(), owner("B"), server(), KEEPER)
    colour = next(n.get("fill") for n in root.iter(f"{SVG}rect") if n.get("class") == f"fl-d-{kind}")
    assert contrast(colour, "#ffffff") >= 4.5
    assert contrast(colour, "#111111") >= 3.0


def test_where_the_server_neither_adds_nor_reads_owners_exchange_with_each_other():
    rows, sends = "rows found by ids", "numbers to other parties, readable"
    bank = Holding("Bank", "owner", rows, COLUMNS[:7], "ill", sends=sends)
    shop = Holding("Shop", "owner", rows, COLUMNS[7:], sends=sends)
    passes = Holding("server", "server", sends="which rows are in common, and identities")
    keeper = Holding("key holder", "key holder", key="secret key", material="secret key", sends="opened sums")
    said = " ".join(words(drawn(bank, shop, passes, keeper)))
    assert f"between owners: {sends}" in said
    assert "sends opened sums" in said
    assert not re.search("the model|sealed sum|adds", said)
    told = federation_words([bank, shop, passes])
    assert "different columns of rows found by ids" in told
    assert told.endswith("The server sends which rows are in common, and identities (no key).")
    assert bars(drawn(bank, shop, passes), "server") == [(0.0, WIDTH)]
