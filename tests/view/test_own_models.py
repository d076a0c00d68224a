"""Runs with models of the owners' own: both lines are drawn, named, and told apart without colour."""

import re
from dataclasses import replace

import pytest

from fedlab_nb.records import History
from fedlab_nb.units import LOWER_IS_BETTER, metric_name
from fedlab_nb.view.draw.curves import curve, value_range
from fedlab_nb.view.draw.figures import progress_figure
from fedlab_nb.view.draw.picture import snapshot_svg
from fedlab_nb.view.live.points import points
from fedlab_nb.view.panels.head import chart_head, header_panel
from fedlab_nb.view.panels.owners import owners_panel
from fedlab_nb.view.panels.story import rounds_panel
from fedlab_nb.view.words import sentence, text_progress
from tests.view.fake import fake


def personal(done=8, *, first=1, **more):
    """A run in which the owners' own models are scored from round ``first`` on."""
    plain = fake(done, **more)
    metric = plain.metric
    history = History(
        replace(r, metrics={**r.metrics, f"personal_{metric}": r.metrics[metric] + 0.02}) if r.number >= first else r
        for r in plain.history
    )
    lines = tuple(replace(line, own_score=0.987) for line in plain.lines)
    return replace(plain, history=history, lines=lines)


@pytest.mark.parametrize("snapshot", [personal(), personal(first=4), personal(metric="rmse"), personal(300, total=400)])
def test_both_lines_are_drawn_with_every_number_and_named(snapshot):
    name = metric_name(snapshot.metric)
    drawn = {trace.name: trace for trace in progress_figure(snapshot).data}
    common, own = drawn[f"{name}, global model"], drawn[f"{name}, owners' own models"]
    scores = {r.number: r.metrics.get(f"personal_{snapshot.metric}") for r in snapshot.history}
    assert dict(zip(own.x, own.y, strict=True)) == {n: v for n, v in scores.items() if v is not None}
    assert list(common.y) == [r.metrics[snapshot.metric] for r in snapshot.history]
    assert own.line.dash != common.line.dash
    assert own.line.color != common.line.color


def test_the_range_holds_the_own_models_too():
    snapshot = personal()
    low, high = value_range(curve(snapshot))
    assert low <= min(v for _, v in curve(snapshot).personal)
    assert max(v for _, v in curve(snapshot).personal) <= high


def test_the_picture_and_its_key_tell_the_two_apart():
    svg = snapshot_svg(personal())
    assert "owners' own models" in svg.replace("&#x27;", "'")
    assert "on held-out rows, global model" in svg
    dashed = re.findall(r'<polyline points="([^"]+)"[^>]*stroke-dasharray="8 3 2 3"', svg)
    assert [len(points.split()) for points in dashed] == [8]
    assert len(snapshot_svg(personal(300, total=400)).encode()) < 20_000


def test_head_owners_and_rounds_show_both():
    snapshot = personal()
    last = snapshot.history[-1].metrics
    assert f'data-testid="header-personal">{last["personal_accuracy"]:.3f}<' in header_panel(snapshot)
    assert f'data-testid="header-metric">{last["accuracy"]:.3f}<' in header_panel(snapshot)
    head = chart_head(snapshot)
    assert '<i class="k-line"></i>global model' in head
    assert '<i class="k-own"></i>owners\' own models' in head
    assert "own model</th>" in owners_panel(snapshot)
    assert "0.987" in owners_panel(snapshot)
    assert "own models&#x27; accuracy" in rounds_panel(snapshot)


def test_words_say_both():
    snapshot = personal(done=8)
    last = snapshot.history[-1].metrics
    both = f"accuracy {last['accuracy']:.3f} (owners' own models {last['personal_accuracy']:.3f})"
    assert both in sentence(snapshot)
    assert f"own models' accuracy {last['personal_accuracy']:.3f}" in text_progress(snapshot)
    assert metric_name("personal_auc") == "own models' AUC"
    assert "personal_loss" in LOWER_IS_BETTER


def test_the_page_gets_the_number_under_the_pointer():
    sent = points(personal(first=4))
    assert [p["p"] is None for p in sent] == [True] * 3 + [False] * 5
    assert sent[-1]["p"] == pytest.approx(personal().history[-1].metrics["personal_accuracy"], rel=1e-4)


@pytest.mark.parametrize("snapshot", [fake(), fake(sd=0.05), fake(0)])
def test_a_run_without_own_models_speaks_of_none(snapshot):
    assert curve(snapshot).personal == ()
    shown = [snapshot_svg(snapshot), header_panel(snapshot), chart_head(snapshot), owners_panel(snapshot)]
    shown += [trace.name for trace in progress_figure(snapshot).data]
    assert not any("own model" in text or "global model" in text for text in [*shown, sentence(snapshot)])
