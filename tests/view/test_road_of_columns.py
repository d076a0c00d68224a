"""The road of a round where owners hold different columns: what crosses is said as it crossed."""

import re
from dataclasses import replace

import pytest

import fedlab_nb as fl
from fedlab_nb.course import Course
from fedlab_nb.records import Hop
from fedlab_nb.view.panels.head import road_panel
from fedlab_nb.view.panels.owners import owners_panel
from fedlab_nb.worker import Worker
from tests.vertical.common import federation, owners


def words(page):
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


def snapshot_of(fed, strategy, rounds=1):
    worker = Worker(Course(fed, strategy, num_rounds=rounds))
    for _ in range(rounds):
        worker.course.keep(worker.course.next())
    worker.refresh()
    return worker.snapshot()


def test_a_linear_model_multiplies_what_is_sealed_and_the_key_holder_opens_random_numbers():
    snapshot = snapshot_of(federation(owners()), fl.vertical.LogisticRegression("bank"))
    told = words(road_panel(snapshot))
    assert "◆ sealed ○ readable" in told
    assert "partial score" in told
    assert "random numbers" in told
    assert "Server" not in told
    assert "contribution" not in owners_panel(snapshot).lower()
    assert "rows were not released" not in owners_panel(snapshot)


def test_owners_with_keys_of_their_own_have_no_key_holder_on_the_road():
    told = words(
        road_panel(snapshot_of(federation(owners()), fl.vertical.LogisticRegression("bank", key_holder=False)))
    )
    assert "Key holder" not in told
    assert "an owner with a key of its own opens sums" in told


def test_nothing_of_a_split_network_is_called_sealed():
    snapshot = snapshot_of(federation(owners(), encrypt=None), fl.vertical.SplitNN("bank", cut=2), rounds=2)
    told = words(road_panel(snapshot))
    assert "○ readable" in told
    assert "activations" in told
    assert "sealed" not in told + words(owners_panel(snapshot))


def test_owners_of_the_same_columns_keep_their_road():
    parts = fl.split_rows(fl.data.breast_cancer(), owners=2)
    snapshot = snapshot_of(fl.Federation(parts), fl.FedAvg(fl.models.logistic()))
    assert snapshot.between is None
    assert "Server" in words(road_panel(snapshot))


@pytest.mark.parametrize("between", [(), (Hop("<b>kind</b>", "bank", "shop", False),)])
def test_kinds_are_shown_as_text(between):
    snapshot = snapshot_of(federation(owners(), encrypt=None), fl.vertical.SplitNN("bank", cut=2))
    page = road_panel(replace(snapshot, between=between))
    assert "<b>kind" not in page
