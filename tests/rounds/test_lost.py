"""Owners that fail in a round: it says so, goes on with the others, and weighs those who came as it should."""

import numpy as np
import pytest
import torch
from torch import nn

import fedlab_nb as fl
from fedlab_nb.errors import SettingError
from fedlab_nb.parties.shown.trust import UPDATE
from fedlab_nb.rounds import rounds
from tests.rounds.common import cells, events_of, play


class Failing(nn.Linear):
    """Fails, or gives no numbers, wherever rows look like those of the owner that was chosen."""

    rows: int | None = None
    how = "fail"

    def forward(self, x):
        if self.training and len(x) == Failing.rows:
            if Failing.how == "fail":
                raise ArithmeticError
            return super().forward(x) * torch.nan
        return super().forward(x)


def model(inputs, outputs):
    return Failing(inputs, outputs)


def rows_of(owner):
    return owner._inside(lambda rows: len(rows.training[0]), stage="test")


@pytest.fixture(params=["fail", "nan"])
def victim(request, monkeypatch):
    owners = cells(4)
    sizes = [rows_of(owner) for owner in owners]
    chosen = next(i for i, size in enumerate(sizes) if sizes.count(size) == 1)
    monkeypatch.setattr(Failing, "rows", sizes[chosen])
    monkeypatch.setattr(Failing, "how", request.param)
    return owners, chosen


def strategy():
    return fl.FedAvg(model, batch_size=10**6, local_epochs=1, weighting="rows")


@pytest.mark.parametrize("encrypt", [None, fl.CKKS(), fl.SecAgg()])
def test_a_round_goes_on_without_who_failed_and_says_so(victim, encrypt):
    owners, chosen = victim
    history = play(fl.Federation(owners, encrypt=encrypt, min_owners=2), strategy(), num_rounds=3)
    assert [record.failed for record in history] == [None] * 3
    for record in history:
        (lost,) = record.lost
        assert (lost.party, lost.stage) == (owners[chosen].name, "update")
        assert 0.0 <= record.metrics["accuracy"] <= 1.0


def test_those_who_came_weigh_what_they_would_without_the_one_who_failed(victim, monkeypatch):
    owners, chosen = victim
    with_loss = play(fl.Federation(owners, min_owners=1), strategy(), num_rounds=1)[0]
    start = strategy().start(fl.Federation(owners), num_rounds=1, seed=0)
    monkeypatch.setattr(Failing, "rows", None)
    fed = fl.Federation(owners)
    fed.round_begins(fed.names)
    others = [owner.name for i, owner in enumerate(owners) if i != chosen]
    expected = strategy().step(start, fed, 1, others, last=False)
    assert with_loss.state.weights["server"].tobytes() == expected.weights["server"].tobytes()


def test_too_few_left_is_a_failed_round_that_names_who_failed_last(victim):
    owners, chosen = victim
    history = play(fl.Federation(owners, min_owners=len(owners)), strategy(), num_rounds=3)
    assert len(history) == 1
    assert owners[chosen].name in str(history[0].failed.error)


def test_without_min_owners_the_first_failure_ends_the_run(victim):
    owners, chosen = victim
    history = play(fl.Federation(owners), strategy(), num_rounds=3)
    assert len(history) == 1
    assert history[0].failed.party == owners[chosen].name
    assert history[0].lost == ()


def test_who_failed_is_not_debited_for_the_update_it_never_sent(victim):
    owners, chosen = victim
    fed = fl.Federation(owners, min_owners=1)
    play(fed, strategy(), num_rounds=1)
    updates = [m for m in fed.ledger.messages if m.kind == "update"]
    assert {m.sender for m in updates} == {o.name for i, o in enumerate(owners) if i != chosen}
    counts = [sum(event.purpose == UPDATE for event in events_of(fed, owner.name)) for owner in owners]
    assert counts == [int(i != chosen) for i in range(len(owners))]


@pytest.mark.parametrize("wrong", [0, -1, 4, 1.5, "two", True])
def test_a_number_of_owners_that_cannot_be_is_refused(wrong):
    with pytest.raises(SettingError, match="min_owners"):
        fl.Federation(cells(), min_owners=wrong)


def test_weights_are_finite_whatever_was_lost(victim):
    owners, _ = victim
    history = play(fl.Federation(owners, min_owners=1), strategy(), num_rounds=2)
    assert np.isfinite(history[-1].state.weights["server"]).all()


def test_who_failed_keeps_nothing_of_that_round_and_can_take_part_in_the_next(victim, monkeypatch):
    owners, chosen = victim
    scaffold = fl.SCAFFOLD(model, batch_size=10**6, local_epochs=1)
    stream = rounds(fl.Federation(owners, min_owners=1), scaffold, num_rounds=3)
    first = next(stream)
    assert [failure.party for failure in first.lost] == [owners[chosen].name]
    assert not [key for key in first.state.memory if key.endswith(owners[chosen].name)]
    monkeypatch.setattr(Failing, "rows", None)
    second = next(stream)
    assert second.lost == ()
    assert all(np.isfinite(array).all() for array in second.state.memory.values())


def test_a_run_says_who_was_left_out_and_how_owners_are_computed(victim):
    owners, chosen = victim
    run = fl.train(fl.Federation(owners, min_owners=1), strategy(), num_rounds=2)
    run.wait()
    words = [note.words for note in run.snapshot().notes]
    assert any(words_.startswith(f"Round 1 went on without {owners[chosen].name}: ") for words_ in words)
    assert any("one after another" in words_ for words_ in words)
