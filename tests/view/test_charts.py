"""The figures: titles that say what is seen, axes with names and units, a fixed number of traces."""

import pytest

from fedlab_nb.view.draw.figures import (
    FAILED,
    GLOBAL,
    NOISE,
    PLAIN,
    RELEASES,
    SENT,
    budget_figure,
    chart_title,
    progress_figure,
    progress_traces,
    worth_plotly,
)
from tests.view.fake import fake

RUNS = [
    fake(),
    fake(20, sd=0.03),
    fake(9, metric="rmse", encrypted=False),
    fake(6, fail=(5, 6)),
    fake(0),
    fake(500, 500),
]


@pytest.mark.parametrize("snapshot", RUNS)
def test_every_figure_has_a_title_that_says_what_is_seen_and_named_axes(snapshot) -> None:
    for figure in (progress_figure(snapshot), budget_figure(snapshot)):
        assert figure.layout.title.text
        assert figure.layout.xaxis.title.text == "round"
        assert figure.layout.yaxis.title.text
    assert progress_figure(snapshot).layout.yaxis2.title.text.startswith("bytes a round")


@pytest.mark.parametrize("snapshot", RUNS)
def test_there_are_always_the_same_traces_and_none_is_empty(snapshot) -> None:
    traces = progress_traces(snapshot)
    assert [t["type"] for t in traces] == ["scatter"] * 5 + ["bar"] * 2
    assert all(len(t["x"]) == len(t["y"]) >= 1 for t in traces)


def test_the_axis_of_rounds_stands_still_while_a_run_grows() -> None:
    assert progress_figure(fake(2)).layout.xaxis.range == progress_figure(fake(19)).layout.xaxis.range


def test_noisy_releases_are_dots_with_a_band_and_the_line_is_an_estimate() -> None:
    snapshot = fake(20, sd=0.03)
    data = progress_figure(snapshot).data
    assert list(data[RELEASES].y) == [r.metrics["accuracy"] for r in snapshot.history]
    assert data[RELEASES].mode == "markers"
    assert data[GLOBAL].name == "accuracy, best estimate"
    assert max(data[NOISE].y) > max(data[GLOBAL].y)


def test_exact_releases_are_joined_by_the_line_itself() -> None:
    snapshot = fake(20)
    data = progress_figure(snapshot).data
    assert list(data[GLOBAL].y) == [r.metrics["accuracy"] for r in snapshot.history]
    assert not data[RELEASES].showlegend


def test_a_failed_round_is_marked_with_its_reason() -> None:
    mark = progress_figure(fake(6, fail=(4,))).data[FAILED]
    assert list(mark.x) == [4]
    assert "Owner 2 sent a number" in mark.text[0].replace("<br>", " ")


def test_encrypted_bytes_are_told_apart_by_a_pattern_and_absent_without_encryption() -> None:
    assert progress_figure(fake()).data[SENT].marker.pattern.shape == "/"
    assert not progress_figure(fake(encrypted=False)).data[SENT].showlegend
    assert progress_figure(fake(encrypted=False)).data[PLAIN].showlegend


def test_titles_name_the_direction_in_the_sense_of_the_metric() -> None:
    assert chart_title(fake()).startswith("Accuracy rises from 0.730 to")
    assert chart_title(fake(metric="rmse")).startswith("RMSE falls from")
    assert "(worse)" not in chart_title(fake(metric="rmse"))
    assert chart_title(fake(1)) == "Accuracy 0.730 after the first round"
    assert chart_title(fake(0)) == "Accuracy by round: none has been released yet"


def test_without_a_guarantee_the_budget_figure_is_empty_and_says_so() -> None:
    figure = budget_figure(fake(private=False))
    assert figure.layout.title.text == "No privacy guarantee"
    assert not figure.data[0].x


def test_a_short_run_is_not_slowed_by_loading_plotly() -> None:
    assert not worth_plotly(fake(5, 20))
    assert worth_plotly(fake(5, 5000))
    assert not worth_plotly(fake(0, 5000, state="preparing"))
    assert worth_plotly(fake(5, 20, state="paused"))
