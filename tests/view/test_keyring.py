"""The picture of who holds which key: every key drawn is one that was given, and a message goes from box to box."""

import itertools
import re
from xml.etree import ElementTree as ET

import pytest

from fedlab_nb.view.keyring import NARROW, WIDE, Keys, Route, keyring_svg, keyring_words
from tests.view.fake import EVIL
from tests.view.test_diagram import contrast

SVG = "{http://www.w3.org/2000/svg}"
SERVER = Keys("server", "server")
KEEPER = Keys("key holder", "key holder", ("secret key",))
NOBODY = Keys("nobody", "nobody", ("secret key",))


def owners(number, *holds):
    return [Keys(f"Owner {i + 1}", "owner", holds) for i in range(number)]


def drawn(keys, travels="sealed", route=None):
    return ET.fromstring(keyring_svg(keys, travels, route))


def boxes(root):
    """Every party's box: (left, top, right, bottom), with its colour."""
    found = [
        [float(n.get(k)) for k in ("x", "y", "width", "height")] + [n.get("fill")] for n in root.iter(f"{SVG}rect")
    ]
    return [(x, y, x + w, y + h, fill) for x, y, w, h, fill in found if w > 20]


def words(root):
    return [node.text for node in root.iter(f"{SVG}text")]


def locks(root):
    """Padlocks: their bodies are the only small boxes."""
    return sum(float(n.get("width")) == 11 for n in root.iter(f"{SVG}rect"))


def test_there_is_a_box_for_each_party_side_by_side_inside_the_picture():
    root = drawn([*owners(3, "public key"), SERVER, KEEPER])
    found = boxes(root)
    assert len(found) == 5
    row = [box for box in found if box[1] == found[0][1]]
    assert len(row) == 3
    assert all(a[2] < b[0] for a, b in itertools.pairwise(row)), "owners do not overlap"
    assert max(box[2] for box in found) <= NARROW
    assert max(box[3] for box in found) <= float(root.get("viewBox").split()[3])
    assert min(box[1] for box in found[3:]) > found[0][3], "server and key holder are below the owners"


def test_each_owner_is_drawn_with_what_it_holds_and_nothing_else():
    assert locks(drawn([*owners(3, "public key"), SERVER, KEEPER])) == 3
    assert locks(drawn([*owners(2, "public key", "key share"), SERVER, NOBODY])) == 2
    assert locks(drawn([*owners(3), SERVER])) == 0
    dashes = len(re.findall('stroke-dasharray="2 1.6"', keyring_svg([*owners(2, "key share"), SERVER], "sealed")))
    assert dashes == 2, "a part of a key for each"


def test_owners_that_share_secrets_are_tied_each_with_each():
    code = keyring_svg([*owners(3, "mask secrets"), SERVER], "masked")
    ties = re.search(r'<path d="((?:M[\d. ]+Q[\d. -]+){3})"', code)
    assert ties, "three pairs of three owners"
    assert not re.search(r'<path d="((?:M[\d. ]+Q[\d. -]+){3})"', keyring_svg([*owners(3), SERVER], "readable"))


def test_many_owners_are_summed_up_and_counted():
    root = drawn([*owners(50, "public key"), SERVER, KEEPER])
    assert len(boxes(root)) == 3 + 2
    assert "50 owners" in words(root)
    assert len(list(root.iter(f"{SVG}circle"))) >= 3, "dots between the owners"


@pytest.mark.parametrize("name", ["Owner 1", "Owner 7", "Owner 50"])
def test_the_owner_that_a_message_is_about_is_always_drawn(name):
    root = drawn([*owners(50, "public key"), SERVER, KEEPER], route=Route(name, "server", sealed=True))
    assert name in words(root)
    assert len(boxes(root)) == 4 + 2
    assert float(root.get("viewBox").split()[2]) == WIDE


def arrow(code):
    """Where the arrow of a message starts and where its head ends."""
    found = re.search(
        r'<path d="M([\d.]+) ([\d.]+)[^"]*"[^>]*stroke-width="2.6"[^>]*/><path d="M([\d.]+) ([\d.]+)l', code
    )
    x1, y1, x2, y2 = map(float, found.groups())
    return (x1, y1), (x2, y2)


@pytest.mark.parametrize(
    ("sender", "receiver"),
    [
        ("Owner 1", "server"),
        ("server", "Owner 3"),
        ("server", "key holder"),
        ("key holder", "server"),
        ("key holder", "Owner 2"),
        ("Owner 1", "Owner 3"),
        ("Owner 3", "Owner 1"),
    ],
)
def test_an_arrow_goes_from_the_box_of_the_sender_to_that_of_the_receiver(sender, receiver):
    code = keyring_svg([*owners(3, "public key"), SERVER, KEEPER], "sealed", Route(sender, receiver, sealed=True))
    root = ET.fromstring(code)
    named = dict(zip([w for w in words(root) if w != "on the wire"], boxes(root), strict=True))
    for party, (x, y) in zip((sender, receiver), arrow(code), strict=True):
        left, top, right, bottom, _ = named[party]
        assert left - 4 <= x <= right + 4, party
        assert top - 4 <= y <= bottom + 4, party
    height = float(root.get("viewBox").split()[3])
    assert all(0 <= float(n.get("y")) <= height for n in root.iter(f"{SVG}text"))
    assert "on the wire" in words(root)


def test_what_travels_is_told_by_shape_and_by_word():
    keys = [*owners(3), SERVER._replace(reads=True)]
    assert "readable" in words(drawn(keys, "readable"))
    assert len([n for n in drawn(keys, "readable").iter(f"{SVG}circle") if n.get("r") == "4.6"]) == 3
    sealed = drawn([*owners(3, "public key"), SERVER, KEEPER], "sealed")
    assert "sealed" in words(sealed)
    assert not [n for n in sealed.iter(f"{SVG}circle") if n.get("r") == "4.6"]


def test_a_server_that_reads_every_update_has_another_colour_and_an_eye():
    quiet = boxes(drawn([*owners(2), SERVER]))[-1][4]
    reading = drawn([*owners(2), SERVER._replace(reads=True)], "readable")
    assert boxes(reading)[-1][4] != quiet
    assert [n for n in reading.iter(f"{SVG}circle") if n.get("r") == "2.7"]


def test_the_sentence_says_what_the_picture_shows():
    said = keyring_words([*owners(2, "public key", "key share"), SERVER, NOBODY], "sealed")
    assert said == (
        "2 owners, each with public key and key share, and what each sends is sealed; the server has no key; nobody "
        "has the whole secret key."
    )
    assert "the server has no key and reads every single update" in keyring_words(
        [*owners(2), SERVER._replace(reads=True)], "readable"
    )
    route = Route("Owner 1", "server", sealed=True)
    keys = [*owners(2, "public key"), SERVER, KEEPER]
    assert "the key holder has secret key; this message goes sealed from Owner 1 to server" in keyring_words(
        keys, "sealed", route
    )
    root = drawn(keys, "sealed", route)
    assert root.get("role") == "img"
    assert root.get("aria-label") == keyring_words(keys, "sealed", route)


@pytest.mark.parametrize("name", [EVIL, "<script>", "a\x00b\x1fc\ud800", "病院" * 40, "W" * 300, "line\nbreak"])
@pytest.mark.parametrize("about", [False, True])
def test_any_name_gives_a_whole_picture(name, about):
    route = Route(name, "server", sealed=True) if about else None
    code = keyring_svg(
        [Keys(name, "owner", ("public key",)), *owners(4, "public key"), SERVER, KEEPER], "sealed", route
    )
    root = ET.fromstring(code.encode())
    assert "<script" not in code
    assert "<img" not in code
    assert {node.tag.removeprefix(SVG) for node in root.iter()} <= {"svg", "g", "rect", "path", "circle", "text"}


def test_white_letters_are_readable_on_every_box_and_every_box_on_both_papers():
    pictures = [
        drawn([*owners(2, "public key"), SERVER, KEEPER]),
        drawn([*owners(2), SERVER._replace(reads=True)], "readable"),
    ]
    for colour in {box[4] for root in pictures for box in boxes(root)}:
        assert contrast(colour, "#ffffff") >= 4.5, colour
        assert contrast(colour, "#111111") >= 3.0, colour


def test_it_is_small_and_its_letters_can_be_read_in_a_column():
    code = keyring_svg([*owners(30, "public key", "key share"), SERVER, NOBODY], "sealed")
    assert len(code) < 6_000
    assert "url(" not in code
    sizes = [float(size) for size in re.findall(r'font-size="([\d.]+)"', code)]
    assert min(sizes) * 150 / NARROW >= 9, "in a column of 150 pixels"
