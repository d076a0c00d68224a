"""The figures: titles that say what is seen, axes with names and units, and every released number in them."""

from dataclasses import replace

import pytest

from fedlab_nb.records import Branch, History, Traffic
from fedlab_nb.view.draw.figures import progress_figure, shown_figure
from fedlab_nb.view.words import chart_title
from tests.view.fake import EVIL, evil, fake, with_traffic

RUNS = [
    fake(),
    fake(20, sd=0.03),
    fake(9, metric="rmse", encrypted=False),
    fake(6, fail=(5, 6)),
    fake(0),
    fake(500, 500),
]


def traces(snapshot):
    return {trace.name: trace for trace in progress_figure(snapshot).data}


@pytest.mark.parametrize("snapshot", RUNS)
def test_every_figure_has_a_title_that_says_what_is_seen_and_named_axes(snapshot) -> None:
    layout = progress_figure(snapshot).layout
    assert layout.title.text == chart_title(snapshot)
    assert layout.xaxis.title.text == "round"
    assert layout.yaxis.title.text.endswith("on held-out rows")
    assert layout.yaxis2.title.text.startswith("bytes a round")


def test_the_axis_of_rounds_stands_still_while_a_run_grows() -> None:
    assert progress_figure(fake(2)).layout.xaxis.range == progress_figure(fake(19)).layout.xaxis.range


def test_noisy_releases_are_dots_with_a_band_and_the_line_is_an_estimate() -> None:
    snapshot = fake(20, sd=0.03)
    drawn = traces(snapshot)
    assert list(drawn["release with noise"].y) == [r.metrics["accuracy"] for r in snapshot.history]
    assert drawn["release with noise"].mode == "markers"
    assert max(drawn["±1 sd of the noise"].y) > max(drawn["accuracy, best estimate"].y)


def test_exact_releases_are_joined_by_the_line_itself() -> None:
    snapshot = fake(20)
    drawn = traces(snapshot)
    assert list(drawn["accuracy, all owners"].y) == [r.metrics["accuracy"] for r in snapshot.history]
    assert "release with noise" not in drawn


def test_each_owner_has_a_line_that_can_be_switched_on_but_not_when_there_are_very_many() -> None:
    snapshot = fake(8)
    line = traces(snapshot)["Owner 3"]
    assert list(line.y) == [r.owner_metrics["Owner 3"]["accuracy"] for r in snapshot.history]
    assert line.visible == "legendonly"
    assert len(traces(fake(8, owners=50))) < 20


def test_other_courses_and_changes_of_settings_are_marked() -> None:
    history = History(replace(r, settings={"lr": 0.1 if r.number < 4 else 0.5}) for r in fake(8).history)
    snapshot = replace(fake(8), history=history, branches=(Branch("before rewinding to round 3", fake(6).history[2:]),))
    figure = progress_figure(snapshot)
    branch = next(t for t in figure.data if t.name == "before rewinding to round 3")
    assert list(branch.x) == [3, 4, 5, 6]
    assert [shape.x0 for shape in figure.layout.shapes] == [3.5]
    assert "learning rate 0.5" in figure.layout.annotations[0].hovertext


def test_a_failed_round_is_marked_with_its_reason() -> None:
    mark = traces(fake(6, fail=(4,)))["failed round"]
    assert list(mark.x) == [4]
    assert "Owner 2 sent a number" in mark.text[0].replace("<br>", " ")


def test_encrypted_bytes_are_told_apart_by_a_pattern_and_absent_without_encryption() -> None:
    assert traces(fake())["bytes as sent, encrypted"].marker.pattern.shape == "/"
    assert set(traces(fake(encrypted=False))) >= {"bytes in the clear"}
    assert "bytes as sent, encrypted" not in traces(fake(encrypted=False))


def test_hidden_ids_are_not_called_encrypted() -> None:
    run = with_traffic(fake(2, encrypted=False), masked_ids=Traffic(4, 46_080, 11_520, encrypted=True))
    assert "bytes as sent, ids hidden" in traces(run)
    assert "bytes as sent, encrypted" not in traces(run)


def test_titles_name_the_direction_in_the_sense_of_the_metric() -> None:
    assert chart_title(fake()).startswith("Accuracy rises from 0.730 to")
    assert chart_title(fake(metric="rmse")).startswith("RMSE falls from")
    assert "(worse)" not in chart_title(fake(metric="rmse"))
    assert chart_title(fake(1)) == "Accuracy 0.730 after the first round"
    assert chart_title(fake(0)) == "Accuracy by round: none has been released yet"


def test_names_are_escaped_and_the_figure_shows_as_a_picture_where_plotly_cannot_run() -> None:
    bundle = shown_figure(evil(fake()))._repr_mimebundle_()
    assert set(bundle) == {"application/vnd.plotly.v1+json", "image/svg+xml", "text/plain"}
    assert EVIL not in str(bundle)
