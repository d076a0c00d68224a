"""The table, the figure and the card of what_if(): all released numbers in them, named axes, words beside colours."""

import base64
import re
from itertools import pairwise
from xml.etree import ElementTree as ET

import numpy as np
import pytest

import fedlab_nb as fl
from fedlab_nb.checkup.whatif import Trial, WhatIfTable
from fedlab_nb.view.draw.whatif import Point, Sweep, sweep_figure, sweep_svg
from tests.cards.things import EVIL, Reader

SHAPES = {"svg", "g", "path", "circle", "text"}


def made(encrypt=None, scores=2, metric="accuracy"):
    trials = tuple(
        Trial(e, n, 8.0 / e, tuple(0.8 + 0.01 * e + 0.001 * n + 0.02 * i for i in range(scores)))
        for e in (0.5, 1.0, 8.0)
        for n in (10, 40)
    )
    return WhatIfTable(trials, Trial(None, 40, None, (0.96,) * scores), metric, 5, 1e-3, "row", encrypt)


def test_the_frame_holds_every_trial_as_numbers_and_the_last_is_without_privacy():
    found = made()
    frame = found.frame()
    assert list(frame.columns) == ["epsilon", "rounds", "noise multiplier", "accuracy", "lowest", "highest"]
    assert frame["accuracy"].tolist() == [t.expected for t in (*found.trials, found.without)]
    assert frame.iloc[-1].tolist()[:3] == [np.inf, 40, 0.0]
    assert set(map(str, frame.dtypes)) == {"float64", "int64"}
    assert (frame["lowest"] <= frame["accuracy"]).all()
    assert (frame["accuracy"] <= frame["highest"]).all()


def test_it_is_told_in_one_line():
    text = repr(made())
    assert "\n" not in text
    assert text == (
        "WhatIfTable(6 trials, 5 owners: best accuracy 0.930 at epsilon 8 and 40 rounds, 0.960 without privacy)"
    )


def test_the_figure_has_a_title_named_axes_a_band_a_line_and_a_dashed_one():
    figure = made().figure()
    assert figure.layout.title.text == "What accuracy to expect for each epsilon (5 owners, δ = 0.001, per row)"
    assert figure.layout.xaxis.type == "log"
    assert figure.layout.xaxis.title.text.startswith("epsilon")
    assert "accuracy on rows held apart" in figure.layout.yaxis.title.text
    assert list(figure.layout.xaxis.tickvals) == [0.5, 1.0, 8.0]
    lines = {trace.name: trace for trace in figure.data}
    assert set(lines) == {
        "10 rounds", "10 rounds, lowest to highest", "40 rounds", "40 rounds, lowest to highest", "no privacy",
    }  # fmt: skip
    assert list(lines["40 rounds"].y) == [t.expected for t in made().trials if t.num_rounds == 40]
    assert set(lines["no privacy"].y) == {0.96}
    assert lines["no privacy"].line.dash == "dash"
    band = lines["10 rounds, lowest to highest"].y
    scores = [t.scores for t in made().trials if t.num_rounds == 10]
    assert list(band) == [max(s) for s in scores] + [min(s) for s in reversed(scores)]
    assert lines["10 rounds"].marker.symbol != lines["40 rounds"].marker.symbol, "told apart without colour"


def test_one_rehearsal_has_no_range_to_draw():
    found = made(scores=1)
    assert [trace.name for trace in found.figure().data] == ["10 rounds", "40 rounds", "no privacy"]
    assert "median" not in found.figure().layout.yaxis.title.text
    assert "median" not in found._repr_html_()


def test_where_plotly_cannot_run_the_figure_is_a_picture_and_a_sentence():
    bundle = made().figure()._repr_mimebundle_()
    assert set(bundle) == {"application/vnd.plotly.v1+json", "image/svg+xml", "text/plain"}
    assert ET.fromstring(bundle["image/svg+xml"]).get("aria-label") == bundle["text/plain"]


def test_the_card_marks_the_best_line_and_says_what_the_numbers_are_worth():
    page = made(fl.CKKS())._repr_html_()
    reader = Reader(page)
    words = " ".join(reader.words)
    assert reader.faults == []
    assert "<script" not in page
    assert words.count("best") == 1
    assert re.search(r"8\D+40\D+1\.000\D+0\.930\D+0\.920 to 0\.940.{0,20}best", words)
    assert "no privacy" in words
    assert "Rehearsed on the table that was given" in words
    assert "would cost budget each time" in words
    assert "sums under CKKS, of which each owner adds a share" in words
    assert "each owner adds all of the noise" in " ".join(Reader(made()._repr_html_()).words)
    picture = base64.b64decode(re.search(r'svg\+xml;base64,([^"]+)', page)[1]).decode()
    assert {node.tag.rpartition("}")[2] for node in ET.fromstring(picture).iter()} <= SHAPES


def sweep(lines, without=0.9, **more):
    return Sweep(more.get("title", "Title"), "accuracy", 2, lines, without)


def places(svg):
    """Where the names at the lines' right ends stand."""
    ends = [
        node for node in ET.fromstring(svg).iter() if node.text in ("no privacy", "1 round", "2 rounds", "3 rounds")
    ]
    return sorted(float(node.get("y")) for node in ends)


def test_names_of_lines_never_lie_on_each_other():
    same = (Point(1.0, 0.9, 0.9, 0.9), Point(2.0, 0.9, 0.9, 0.9))
    svg = sweep_svg(sweep(((1, same), (2, same), (3, same))))
    found = places(svg)
    assert len(found) == 4
    assert all(b - a >= 13 for a, b in pairwise(found))
    assert found[-1] < 320 - 46 + 14


@pytest.mark.parametrize(
    "lines",
    [
        ((1, (Point(2.0, 0.9, 0.9, 0.9),)),),
        ((1, (Point(1.0, float("nan"), float("nan"), float("nan")), Point(2.0, 0.8, 0.7, 0.9))),),
        ((1, (Point(1.0, 0.5, 0.5, 0.5), Point(2.0, float("nan"), 0.1, float("nan")))),),
    ],
    ids=["a single point", "a gap", "a gap at the end"],
)
def test_single_points_and_gaps_are_drawn_within_the_picture(lines):
    svg = sweep_svg(sweep(lines))
    assert "nan" not in svg
    assert {node.tag.rpartition("}")[2] for node in ET.fromstring(svg).iter()} <= SHAPES
    assert "no privacy" in svg
    assert len(sweep_figure(sweep(lines)).data) == 3


def test_words_are_escaped():
    svg = sweep_svg(sweep(((1, (Point(1.0, 0.5, 0.5, 0.5),)),), title=EVIL))
    assert ET.fromstring(svg).get("aria-label") == EVIL
    assert "<img" not in svg
