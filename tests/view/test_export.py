"""A run as a file: every ending that is known, and nothing that lacks letters."""

from functools import partial
from io import BytesIO
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import resvg_py
from PIL import Image

from fedlab_nb.errors import SettingError
from fedlab_nb.view.draw.picture import WIDE, snapshot_svg
from fedlab_nb.view.export import png, save
from fedlab_nb.view.panels import report_html
from fedlab_nb.view.words import sentence
from tests.view.fake import evil, fake

RUNS = {
    "exact": fake(),
    "noisy, with a failure": fake(sd=0.02, fail=(5,)),
    "regression in the clear": fake(metric="rmse", encrypted=False, private=False),
    "nothing yet": fake(0),
    "evil names": evil(fake()),
}
PAPER = '<svg xmlns="http://www.w3.org/2000/svg" width="200" height="20"><text x="2" y="14">{}</text></svg>'


def pixels(data: bytes) -> np.ndarray:
    """The numbers in a PNG (height, width, 4)."""
    picture = Image.open(BytesIO(data))
    assert picture.format == "PNG"
    return np.asarray(picture.convert("RGBA"))


@pytest.fixture
def no_fonts(monkeypatch):
    """A machine on which no font is installed."""
    monkeypatch.setattr(resvg_py, "svg_to_bytes", partial(resvg_py.svg_to_bytes, skip_system_fonts=True))


def test_a_page_is_the_report(tmp_path):
    path = save(RUNS["exact"], tmp_path / "run.html", "My run")
    assert path.read_text(encoding="utf-8") == report_html(RUNS["exact"], "My run")


@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
def test_a_drawing_is_a_file_of_its_own_that_says_what_it_shows(run, tmp_path):
    text = save(run, tmp_path / "run.svg", "My run").read_text(encoding="utf-8")
    assert text.startswith('<?xml version="1.0" encoding="UTF-8"?>\n')
    root = ET.fromstring(text.encode())
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert sentence(run) in ["".join(node.itertext()) for node in root.iter("{http://www.w3.org/2000/svg}text")]


@pytest.mark.usefixtures("no_fonts")
@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
def test_a_picture_for_slides_is_sharp_and_on_white_paper_on_a_machine_without_fonts_too(run, tmp_path):
    shown = pixels(save(run, str(tmp_path / "run.PNG"), "My run").read_bytes())
    assert shown.shape[1] == 2 * WIDE
    assert (shown[..., 3] == 255).all()
    assert (shown[0, 0] == 255).all()
    # The headline: ink in the first line, over a good part of its width.
    inked = np.flatnonzero((shown[4:52, :, :3] < 200).any(axis=(0, 2)))
    assert len(inked) > 0
    assert inked.max() - inked.min() > 0.4 * shown.shape[1]


@pytest.mark.usefixtures("no_fonts")
@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
def test_every_text_of_the_picture_is_painted(run):
    for node in ET.fromstring(snapshot_svg(run)).iter("{http://www.w3.org/2000/svg}text"):
        letters = "".join(node.itertext()).replace("&", "&amp;").replace("<", "&lt;")
        assert (pixels(png(PAPER.format(letters), width=200)) < 200).any(), letters


@pytest.mark.usefixtures("no_fonts")
def test_a_picture_that_would_lack_letters_is_refused():
    with pytest.raises(SettingError) as caught:
        png(PAPER.format("accuracy 正确率"), width=200)
    assert set(caught.value.what.split(": ")[1]) == set("正确率")
    assert ".svg" in caught.value.do


@pytest.mark.parametrize("name", ["run.pdf", "run", "run.jpeg", ".png"])
def test_another_ending_is_refused_and_nothing_is_written(name, tmp_path):
    with pytest.raises(SettingError) as caught:
        save(RUNS["exact"], tmp_path / name, "My run")
    assert all(ending in caught.value.why for ending in (".html", ".svg", ".png"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["no/such/folder/run.png", 7], ids=str)
def test_a_file_that_cannot_be_written_is_explained(tmp_path, name):
    with pytest.raises(SettingError):
        save(fake(), tmp_path / name if isinstance(name, str) else name, "A run")
