"""What divisions look like: the counts behind the picture, the picture itself, and its live twin."""

import re
from xml.etree import ElementTree as ET

import numpy as np
import pandas as pd
import pytest

from fedlab_nb.data import clinics, digits, hospitals
from fedlab_nb.errors import SchemaError, SettingError
from fedlab_nb.parties.shown import partition as fl_partition
from fedlab_nb.parties.shown.partition import Continuous, Dirichlet, Exponential, Linear, Natural, Shards, show
from fedlab_nb.parties.split import split_rows
from fedlab_nb.view.draw.partitions import MOST_OWNERS, partitions_svg
from tests.cards.things import EVIL, Reader, pictures_of
from tests.rounds.common import assert_teaches

PARTITIONERS = {name for name in fl_partition.__all__ if name not in ("Partitioner", "Partitions", "show")}


def evil_frame():
    random = np.random.default_rng(0)
    return pd.DataFrame({"x": random.normal(size=60), EVIL: random.choice([EVIL, "a\n&b"], 60)})


@pytest.mark.parametrize("by", [Dirichlet(0.3), Shards(2), Exponential(), Natural("clinic")], ids=repr)
def test_what_is_shown_is_what_split_rows_does(by):
    shown = show(clinics(), by=by, seed=2).frame().groupby("owner", sort=False)["rows"].sum()
    owners = split_rows(clinics(), None if isinstance(by, Natural) else 10, by=by, seed=2)

    def rows(owner):
        return owner._inside(lambda held: len(held.training[0]) + len(held.held_out[0]), stage="look")

    assert shown.to_dict() == {owner.name: rows(owner) for owner in owners}


def test_counts_add_up_to_the_table_for_every_partitioner_side_by_side():
    table = show(digits(), 20).frame()
    assert table.groupby("partitioner")["rows"].sum().tolist() == [1797] * 4
    assert table["partitioner"].nunique() == 4
    by_digit = table[table["partitioner"] == "IID"].groupby("label", sort=False)["rows"].sum()
    assert by_digit.tolist() == digits().groupby("digit").size().tolist()


def test_rows_are_coloured_by_what_divides_them():
    assert show(clinics(), by=Continuous("age")).drawn.column == "age"
    assert len(show(clinics(), by=Continuous("age")).drawn.labels) == 10
    assert show(clinics(), by=[Continuous("age"), Dirichlet(1)]).drawn.column == "diagnosis"
    assert show(clinics(), by=Natural("clinic")).drawn.column == "diagnosis"
    assert show(clinics(), by=Natural("clinic"), label="sex").drawn.labels == ("female", "male")


def test_every_owner_and_label_is_drawn_with_its_height():
    drawn = show(hospitals(rows=900), 6, by=Linear()).drawn
    paths = [node.get("d") for node in ET.fromstring(partitions_svg(drawn)).iter() if node.tag.endswith("path")]
    bars = [re.findall(r"M([\d.]+) ([\d.]+)h[\d.]+V([\d.]+)", path) for path in paths if "V" in path and "h" in path]
    bars = [found for found in bars if found]
    assert len(bars) == 2
    heights = np.array([[float(low) - float(high) for _, high, low in found] for found in bars]).T
    counts = drawn.each[0].counts
    assert heights / heights.sum() == pytest.approx(counts / counts.sum(), abs=2e-3)


@pytest.mark.parametrize("owners", [1, 3, 17, 41, 300])
def test_the_picture_is_a_whole_drawing_for_any_number_of_owners(owners):
    several = show(digits(), owners)
    root = ET.fromstring(partitions_svg(several.drawn))
    assert root.get("role") == "img"
    assert f"among {owners} owners" in root.get("aria-label")
    assert {node.tag.rpartition("}")[2] for node in root.iter()} <= {"svg", "path", "text"}
    words = " ".join(node.text or "" for node in root.iter())
    assert "Dirichlet(alpha=0.1)" in words
    assert "rows" in words
    assert (f"{MOST_OWNERS} of {owners} are shown" in words) == (owners > MOST_OWNERS)


def test_one_panel_does_not_press_the_others_flat():
    assert show(digits(), by=[Linear(), Shards(2)]).drawn.one_scale
    drawn = show(digits(), 100, by=[Exponential(), Shards(2)]).drawn
    assert not drawn.one_scale
    assert drawn.most(drawn.each[1]) < 30


def test_names_become_no_element_and_the_card_tells_the_numbers():
    card = show(evil_frame(), 4, by=[Dirichlet(0.5), Shards(1)])._repr_html_()
    assert Reader(card).faults == []
    assert "<img src=x" not in card
    (picture,) = pictures_of(card)
    ET.fromstring(picture)
    assert "Rows out of place" in card


def test_the_live_figure_has_the_same_numbers_and_an_svg_beside_it():
    shown = show(evil_frame(), 4, by=[Dirichlet(0.5), Shards(1)])
    figure = shown.plot()
    assert len(figure.data) == 4
    drawn = np.array([list(trace.y) for trace in figure.data]).reshape(2, 2, 4)
    assert np.array_equal(drawn[1].T, shown.drawn.each[1].counts)
    assert figure.layout.yaxis.title.text == "rows"
    assert {axis.title.text for axis in figure.select_xaxes()} == {"owner"}
    bundle = figure._repr_mimebundle_()
    assert bundle["image/svg+xml"] == partitions_svg(shown.drawn)
    assert "<img" not in str(bundle["application/vnd.plotly.v1+json"])
    assert "60 rows among 4 owners" in bundle["text/plain"]


def test_it_says_itself_in_one_line():
    line = repr(show(digits(), by=[Shards(2), Linear()]))
    assert re.fullmatch(r"Partitions\(by 'digit'; Shards\(per_owner=2\): \d+% out of place; Linear: \d+% .*\)", line)


@pytest.mark.parametrize(
    "settings", [{"by": []}, {"seed": -1}, {"seed": None}, {"owners": 0}, {"owners": 10**6}, {"owners": "5"}]
)
def test_what_cannot_be_shown_is_refused(settings):
    with pytest.raises(SettingError) as caught:
        show(clinics(), **settings)
    assert_teaches(caught)


def test_private_owners_are_no_table():
    with pytest.raises(SettingError) as caught:
        show(split_rows(clinics()))
    assert_teaches(caught)
    with pytest.raises(SchemaError):
        show(clinics(), label="other")


def test_the_names_are_all_there():
    assert {"IID", "Dirichlet", "Shards", "Pathological", "Natural", "TimeSplit", "Continuous"} <= PARTITIONERS
    assert all(isinstance(getattr(fl_partition, name), type) for name in PARTITIONERS)
