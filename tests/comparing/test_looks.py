"""The chart, the card and the line: what is seen is said, names are escaped, nothing is told by colour alone."""

import base64
import math
import re
from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest

import fedlab_nb as fl
from fedlab_nb.comparing.comparison import Comparison, Lane, Reference
from fedlab_nb.comparing.references import Outcome
from fedlab_nb.records import Failure, State
from fedlab_nb.view.compare.chart import COLOURS, GLYPHS
from fedlab_nb.view.compare.picture import chart_svg
from fedlab_nb.view.compare.progress import ProgressLine
from tests.cards.things import EVIL, Reader

SHAPES = {"svg", "g", "path", "circle", "text"}
OWNERS = ("A", "B")


def run(end, shift=0.0, num_rounds=4, **more):
    scores = [end - 0.2 / n + shift for n in range(1, num_rounds + 1)]
    return fl.History(
        fl.Round(n, State({}), OWNERS, {"accuracy": v}, owner_metrics={o: {"accuracy": v} for o in OWNERS}, **more)
        for n, v in enumerate(scores, 1)
    )


def lane(name, end, shifts=(0.0, 0.01), **more):
    runs = tuple(run(end, shift, **more) for shift in shifts)
    return Lane(name, runs, (None,) * len(runs), 4)


def made(*lanes, target=0.85, references=(), **more):
    return Comparison(lanes or (lane("first", 0.9), lane("second", 0.7)), "accuracy", target, references, **more)


ALONE = Reference("each owner alone", (Outcome(0.6, {"A": {"accuracy": 0.5}, "B": {"accuracy": 0.7}}, 1.0),))


def picture_of(page):
    return base64.b64decode(re.search(r'svg\+xml;base64,([^"]+)', page)[1]).decode()


@pytest.mark.parametrize(
    ("lanes", "title"),
    [
        ([], "first ends best: accuracy 0.855, against 0.655 of second"),
        ([lane("a", 0.9), lane("b", 0.89)], "Too close to call: a ends at accuracy 0.855, against 0.845 of b"),
        ([lane("a", 0.9, [0.0]), lane("b", 0.7)], "a ends best in a single run: accuracy 0.850, against 0.655 of b"),
        ([lane("a", 0.9)], "a ends at accuracy 0.855 after 4 rounds"),
        ([Lane("a", (fl.History([fl.Round(1, State({}))]),), (None,))], "Accuracy by round: none has been released"),
    ],
)
def test_the_title_says_what_is_seen_and_no_more_than_that(lanes, title):
    assert made(*lanes).chart.title == title


def test_it_is_told_in_one_line():
    found = made(lane("x\ny", 0.9), references=(ALONE,))
    assert repr(found) == "Comparison(2 runs: accuracy x y 0.855, each owner alone 0.600)"


def test_the_card_has_a_picture_a_table_and_the_way_to_read_them():
    page = made(references=(ALONE,), notes=("A note.",))._repr_html_()
    words = " ".join(Reader(page).words)
    assert "<script" not in page
    assert re.search(r"first\s+0\.855 ± 0\.064\s+4\s+0 B", words)
    assert "not in 4" in words
    assert re.search(r"each owner alone\s+0\.600\s+–\s+–\s+1\.00 s\s+–\s+0\.500\s+0\.1", words)
    assert "half a 95 % t interval" in words
    assert "A note." in words
    assert "single" not in words
    assert "One run each" in " ".join(Reader(made(lane("a", 0.9, [0.0]))._repr_html_()).words)
    root = ET.fromstring(picture_of(page))
    assert {node.tag.rpartition("}")[2] for node in root.iter()} <= SHAPES
    assert root.get("aria-label") == made().chart.title


def test_the_picture_names_lines_at_their_ends_with_a_sign_and_marks_the_target():
    root = ET.fromstring(chart_svg(made(references=(ALONE,)).chart))
    texts = [node.text for node in root.iter() if node.text]
    assert {"● first", "■ second", "each owner alone", "target 0.85", "round"} <= set(texts)
    assert "accuracy on held-out rows, mean of 2 runs with its 95 % t interval" in texts
    assert sum(node.get("fill-opacity") == ".14" for node in root.iter()) == 2, "a band for each line"
    dashes = [node.get("stroke-dasharray") for node in root.iter() if node.get("stroke-dasharray")]
    assert len(set(dashes)) == 2, "the level and the target are told apart"


def test_names_never_lie_on_each_other_and_everything_stays_in_the_picture():
    found = made(*(lane(f"line {i}", 0.9) for i in range(12)))
    root = ET.fromstring(chart_svg(found.chart))
    places = sorted(float(n.get("y")) for n in root.iter() if n.text and "line " in n.text and n.text[0] in GLYPHS)
    assert len(places) == 12
    assert all(b - a >= 13 for a, b in pairwise(places))
    assert max(places) < 320
    lines = [n for n in root.iter() if n.get("stroke") in COLOURS]
    assert len({(n.get("stroke"), n.get("stroke-dasharray")) for n in lines}) == 12
    ys = [float(y) for n in root.iter() if n.get("fill-opacity") for y in re.findall(r" (-?[\d.]+)", n.get("d"))]
    assert min(ys) >= 46
    assert max(ys) <= 320 - 46, "a wide band is cut off at the frame"


def test_names_are_escaped_everywhere():
    failure = Failure(EVIL, EVIL, ValueError(EVIL))
    broken = Lane(EVIL, (fl.History([*run(0.9), fl.Round(5, State({}), failed=failure)]),), (None,), 5)
    found = Comparison((broken, lane(f"{EVIL}2", 0.7)), "accuracy", 0.5, (Reference(EVIL, ALONE.outcomes),), (EVIL,))
    reader = Reader(found._repr_html_())
    assert reader.faults == []
    assert "<img src=x" not in found._repr_html_()
    assert EVIL in "".join(reader.words)
    assert "<img" not in chart_svg(found.chart)
    ET.fromstring(chart_svg(found.chart))
    figure = found.plot()
    assert all("<img" not in str(trace.name) for trace in figure.data)
    assert "<img" not in figure.layout.title.text


def test_the_figure_has_a_band_and_a_line_for_each_and_the_same_numbers():
    found = made(references=(ALONE,))
    figure = found.plot()
    traces = {trace.name: trace for trace in figure.data}
    assert list(traces) == ["first, interval", "first", "second, interval", "second", "each owner alone"]
    assert list(traces["first"].x) == [1, 2, 3, 4]
    assert traces["first"].y[-1] == pytest.approx(found.frame().loc["first", "accuracy"])
    band = traces["first, interval"].y
    assert (min(band[3:5]), max(band[3:5])) == pytest.approx(
        tuple(found.frame().loc["first", ["accuracy_low", "accuracy_high"]])
    )
    assert traces["first"].marker.symbol != traces["second"].marker.symbol
    assert figure.layout.title.text == found.chart.title
    assert figure.layout.xaxis.title.text == "round"
    assert "on held-out rows" in figure.layout.yaxis.title.text
    assert [shape.y0 for shape in figure.layout.shapes] == [0.85]
    bundle = figure._repr_mimebundle_()
    assert ET.fromstring(bundle["image/svg+xml"]).get("aria-label") == bundle["text/plain"]


@pytest.mark.parametrize(
    "found",
    [
        made(lane("a", 0.9, [0.0], num_rounds=1), target=None),
        made(Lane("a", (fl.History([fl.Round(1, State({}))]),), (None,)), target=None),
        made(lane("a", 0.9, num_rounds=300)),
        Comparison((), "accuracy"),
    ],
    ids=["one round", "no score", "many rounds", "nothing"],
)
def test_odd_comparisons_are_drawn_too(found):
    ET.fromstring(chart_svg(found.chart))
    assert "nan" not in chart_svg(found.chart)
    assert Reader(found._repr_html_()).faults == []
    found.plot()


def test_the_frame_says_what_it_holds_in_numbers():
    frame = made(references=(ALONE,)).frame()
    assert frame.index.name == "name"
    assert frame.loc["first", "rounds_to_target"] == 4
    assert frame.loc["second", "rounds_to_target"] == math.inf
    assert math.isnan(frame.loc["each owner alone", "rounds_to_target"])
    assert "rounds_to_target" not in made(target=None).frame()


def test_in_a_kernel_one_output_changes_in_place(monkeypatch):
    shown = []

    class Handle:
        def update(self, bundle, raw):
            shown.append(("update", bundle["text/plain"]))

    def display(bundle, raw, display_id):
        shown.append(("display", bundle["text/plain"]))
        return Handle()

    monkeypatch.setattr("fedlab_nb.view.compare.progress.in_kernel", lambda: True)
    monkeypatch.setattr("IPython.display.display", display)
    line = ProgressLine()
    for words in ("one", "two"):
        line.show(words)
    line.settle("three")
    line.end("four")
    assert shown == [("display", "one"), ("update", "three"), ("update", "four")], "not too often"
