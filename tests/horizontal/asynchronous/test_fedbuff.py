"""FedBuff against its paper's algorithm, played event by event with a queue, and its identities."""

import heapq

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fedlab_nb as fl
from fedlab_nb.errors import RuleError, SettingError
from fedlab_nb.horizontal.asynchronous import FedBuff
from fedlab_nb.horizontal.asynchronous.clock import IDLE, Clock, drawn_durations
from fedlab_nb.rounds import rounds
from tests.horizontal.personal.paper import BATCH, EPOCHS, LR, MODEL, owners, played
from tests.rounds.common import assert_teaches, declared, events_of, play

SETTINGS = {"lr": LR, "local_epochs": EPOCHS, "batch_size": BATCH}


def buffers(durations, size, flushes):
    """Who is in each buffer, and how many steps old the model of each is: a queue of who comes when."""
    queue = [(time, i, 0) for i, time in enumerate(durations)]
    heapq.heapify(queue)
    found = []
    for step in range(flushes):
        came = [heapq.heappop(queue) for _ in range(size)]
        found.append({i: step - begun for _, i, begun in came})
        now = max(time for time, _, _ in came)
        for _, i, _ in came:
            heapq.heappush(queue, (now + durations[i], i, step + 1))
    return found


@given(st.lists(st.integers(1, 40), min_size=2, max_size=6), st.data())
@settings(max_examples=40, deadline=None)
def test_the_clock_says_who_comes_as_a_queue_of_events_does(whole, data):
    size = data.draw(st.integers(1, len(whole)))
    durations, everyone = np.array(whole, dtype=float), range(len(whole))
    clock, found = Clock(np.full(len(whole), IDLE), np.zeros(len(whole))), []
    for step in range(12):
        clock, _ = clock.began(durations, everyone)
        came = clock.arrivals(everyone, size)
        found.append({i: step - int(clock.begun[i]) for i in came})
        clock = clock.after(came)
        assert len(clock.in_use) <= len(whole) - size or size == len(whole)
    assert found == buffers(durations, size, 12)


@pytest.mark.parametrize("size", [1, 2])
def test_fedbuff(size):
    durations, server_lr, steps = (1.0, 1.7, 4.1), 0.8, 6
    strategy = FedBuff(MODEL, buffer_size=size, durations=durations, server_lr=server_lr, **SETTINGS)
    states, paper = played(strategy, fl.Federation(owners()), steps)
    models, late = [paper.w0], 0
    for step, buffer in enumerate(buffers(durations, size, steps)):
        changes = []
        for i, s in sorted(buffer.items()):
            start = models[step - s]
            changes.append((paper.sgd(start, step + 1, i) - start) / np.sqrt(1 + s))
            late = max(late, s)
        models.append(models[-1] + server_lr * np.mean(changes, axis=0))
        assert states[step + 1].weights["server"] == pytest.approx(models[-1], abs=5e-5)
    assert late >= 2


def test_with_all_owners_in_the_buffer_it_is_fedavg_bit_for_bit():
    mine = play(fl.Federation(owners()), FedBuff(MODEL, buffer_size=3))
    theirs = play(fl.Federation(owners()), fl.FedAvg(MODEL, weighting="equal"))
    assert [r.state.weights["server"].tobytes() for r in mine] == [r.state.weights["server"].tobytes() for r in theirs]


def test_each_owner_sends_as_often_as_it_is_fast_and_is_told_the_model_when_it_begins():
    federation = fl.Federation(owners())
    history = play(federation, FedBuff(MODEL, buffer_size=1, durations=(1.0, 3.1, 9.7)), num_rounds=13)
    sent = [m for m in federation.ledger.messages if m.kind == "update"]
    count = {name: sum(m.sender == name for m in sent) for name in federation.names}
    assert count == {"Owner 1": 9, "Owner 2": 3, "Owner 3": 1}
    assert [r.traffic["update"].messages for r in history] == [1] * 13
    # Who has sent begins anew one round later; the models for scoring go to all.
    told = [(m.round, m.receiver) for m in federation.ledger.messages if m.kind.startswith("model")]
    extra = [pair for pair in told if told.count(pair) == 2]
    began = {(1, name) for name in federation.names} | {(m.round + 1, m.sender) for m in sent if m.round < 13}
    assert set(extra) == began
    clock = history[-1].state.memory["clock"]
    assert clock.tolist() == pytest.approx([13, 9.7])


def memory(history):
    return [{name: value.tobytes() for name, value in r.state.memory.items()} for r in history]


@pytest.mark.parametrize("house", [{}, {"sample_rate": 0.6, "dropout": 0.2}], ids=["all", "some"])
def test_a_run_that_goes_on_equals_the_uninterrupted_one_bit_for_bit(house):
    strategy = FedBuff(MODEL, buffer_size=2)
    history = play(fl.Federation(owners(5), **house), strategy, num_rounds=8)
    assert history[-1].failed is None
    for after in (2, 5):
        rest = play(fl.Federation(owners(5), **house), strategy, num_rounds=8, after=history[after])
        later = history[after + 1 :]
        assert [r.state.weights["server"].tobytes() for r in rest] == [
            r.state.weights["server"].tobytes() for r in later
        ]
        assert memory(rest) == memory(later)
        assert [r.metrics for r in rest] == [r.metrics for r in later]


def test_the_state_holds_the_models_that_somebody_is_at_work_on_and_no_others():
    history = play(fl.Federation(owners(5)), FedBuff(MODEL, buffer_size=2), num_rounds=8)
    for record in history:
        held = {name for name in record.state.memory if name.startswith("model of step ")}
        begun = record.state.memory["begun"]
        assert held == {f"model of step {int(step)}" for step in begun if step != IDLE}
        assert len(held) <= 3
    assert {"model of step 0"} <= set(history[0].state.memory)


def test_owners_that_cannot_be_reached_send_later():
    federation = fl.Federation(owners(5), sample_rate=0.5)
    history = play(federation, FedBuff(MODEL, buffer_size=2, durations=(1.0, 1.0, 1.0, 1.0, 1.0)), num_rounds=10)
    for record in history:
        senders = {m.sender for m in federation.ledger.messages if m.kind == "update" and m.round == record.number}
        assert senders <= set(record.cohort)
        assert len(senders) == min(2, len(record.cohort))
    assert any(len(r.cohort) < 2 for r in history)


def test_encrypted_and_plain_have_equal_bits():
    strategy = FedBuff(MODEL, buffer_size=2)
    plain = play(fl.Federation(owners(4)), strategy, num_rounds=4)
    sealed = play(fl.Federation(owners(4), encrypt=fl.CKKS()), strategy, num_rounds=4)
    assert [r.state.weights["server"].tobytes() for r in sealed] == [r.state.weights["server"].tobytes() for r in plain]
    assert memory(sealed) == memory(plain)


def test_masks_are_refused():
    federation = fl.Federation(owners(), encrypt=fl.SecAgg())
    with pytest.raises(RuleError) as caught:
        rounds(federation, FedBuff(MODEL))
    assert_teaches(caught, "late arrivals", "fl.CKKS()")
    assert len(federation.ledger) == 0


def test_whole_owners_can_be_hidden_and_pay_when_they_send():
    protect = fl.OwnerLevelDP(clip=0.5, noise_multiplier=0.05)
    fast = tuple(1.0 if i < 4 else 100.0 for i in range(12))
    federation = fl.Federation(declared(), protect=protect, noise_seed=1)
    strategy = FedBuff(fl.models.logistic(), 0.1, buffer_size=4, durations=fast)
    hidden = play(federation, strategy, num_rounds=2)
    assert hidden[-1].failed is None
    plain = play(fl.Federation(declared()), strategy, num_rounds=2)
    assert [m.sender for m in federation.ledger.messages if m.kind == "update"] == [
        "Phone 0",
        "Phone 1",
        "Phone 2",
        "Phone 3",
    ] * 2
    # Divided by the size of the buffer, not by the number of owners: as long a step, for changes within the clip.
    assert np.linalg.norm(hidden[0].state.weights["server"]) == pytest.approx(
        np.linalg.norm(plain[0].state.weights["server"]), rel=0.5
    )
    protect = fl.OwnerLevelDP(noise_multiplier=5.0)
    federation = fl.Federation(declared(seed=9), protect=protect, budget=fl.Budget(8, 0.01))
    play(federation, strategy, num_rounds=2)
    paid = {
        name: sum(e.purpose == "a round's update" for e in events_of(federation, name)) for name in federation.names
    }
    assert [paid[f"Phone {i}"] for i in range(12)] == [2] * 4 + [0] * 8


def test_an_adaptive_clip_norm_and_row_level_privacy_are_refused():
    adaptive = fl.OwnerLevelDP(clip=fl.AdaptiveClip(), noise_multiplier=20.0)
    for federation in (
        fl.Federation(declared(), protect=adaptive, budget=fl.Budget(8, 0.01)),
        fl.Federation(owners(), budget=fl.Budget(8, 1e-3)),
    ):
        with pytest.raises(RuleError) as caught:
            rounds(federation, FedBuff(MODEL))
        assert_teaches(caught, "OwnerLevelDP")
        assert len(federation.ledger) == 0


def test_durations_follow_from_the_seed():
    assert np.array_equal(drawn_durations(5, 1), drawn_durations(5, 1))
    assert not np.array_equal(drawn_durations(5, 1), drawn_durations(5, 2))
    runs = [play(fl.Federation(owners(5)), FedBuff(MODEL, buffer_size=2), num_rounds=2, seed=seed) for seed in (0, 1)]
    begun = [tuple(run[-1].state.memory["begun"]) for run in runs]
    assert begun[0] != begun[1]


def test_the_buffer_can_change_between_rounds():
    run = fl.train(fl.Federation(owners(4)), FedBuff(MODEL, buffer_size=2), num_rounds=2)
    forked = run.fork(after=1, buffer_size=3)
    assert forked.history[-1].traffic["update"].messages == 3


@pytest.mark.parametrize(
    ("setting", "house", "words"),
    [
        ({"buffer_size": 0}, {}, ("buffer_size", "0")),
        ({"buffer_size": 4}, {}, ("buffer_size", "from 1 to 3")),
        ({"buffer_size": 1}, {"encrypt": fl.CKKS()}, ("buffer_size", "from 2 to 3")),
        ({"buffer_size": 1.5}, {}, ("buffer_size",)),
        ({"durations": (1.0, 2.0)}, {}, ("durations", "3 owners")),
        ({"durations": (1.0, 2.0, 0.0)}, {}, ("durations",)),
        ({"durations": 3.0}, {}, ("durations", "float")),
        ({"server_lr": 0.0}, {}, ("server_lr",)),
    ],
    ids=str,
)
def test_settings_that_cannot_work_are_refused_before_anything_leaves(setting, house, words):
    federation = fl.Federation(owners(), **house)
    with pytest.raises(SettingError) as caught:
        rounds(federation, FedBuff(MODEL, **setting))
    assert_teaches(caught, *words)
    assert len(federation.ledger) == 0
