"""q-FFL and AFL against their papers' algorithms in plain numpy, their identities, and what they are good for."""

import numpy as np
import pandas as pd
import pytest

import fedlab_nb as fl
from fedlab_nb.channel import HANDSHAKE
from fedlab_nb.compress import TopK
from fedlab_nb.errors import RoundError, RuleError, SettingError
from fedlab_nb.horizontal.fairness import AFL, QFFL
from fedlab_nb.horizontal.fairness.afl import _mixture
from fedlab_nb.records import State
from fedlab_nb.rounds import rounds
from tests.horizontal.personal.paper import BATCH, EPOCHS, LR, MODEL, owners, played
from tests.rounds.common import assert_teaches, declared, play

SETTINGS = {"lr": LR, "local_epochs": EPOCHS, "batch_size": BATCH}
ROUNDS = 3


@pytest.fixture(params=[{}, {"sample_rate": 0.6}], ids=["all", "some"])
def federation(request):
    return fl.Federation(owners(), **request.param)


def taking(federation, number):
    return [federation.names.index(name) for name in federation.cohort(number, 0)]


def loss_of(paper, w, i):
    return paper.loss(w, *map(np.float64, paper.data[i]))


@pytest.mark.parametrize("q", [0.0, 0.5, 2.0, 5.0])
def test_qffl(federation, q):
    states, paper = played(QFFL(MODEL, q=q, **SETTINGS), federation, ROUNDS)
    w = paper.w0
    for number in range(1, ROUNDS + 1):
        steps, weights = [], []
        for i in taking(federation, number):
            far, loss = (w - paper.sgd(w, number, i)) / LR, loss_of(paper, w, i)
            steps.append(paper.shares[i] * loss**q * far)
            weights.append(paper.shares[i] * (q * loss ** (q - 1) * far @ far + loss**q / LR))
        w = w - np.sum(steps, axis=0) / np.sum(weights) if steps else w
    assert states[-1].weights["server"] == pytest.approx(w, abs=5e-5)
    assert np.abs(w - paper.w0).max() > 0.05


def simplex(v):
    """The nearest mixture, by bisection on what is taken off each number."""
    low, high = v.min() - 1, v.max()
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if np.maximum(v - middle, 0).sum() > 1 else (low, middle)
    return np.maximum(v - low, 0)


def test_afl(federation):
    rate, lambda_lr = federation.house.sample_rate, 0.4
    states, paper = played(AFL(MODEL, lambda_lr=lambda_lr, **SETTINGS), federation, ROUNDS)
    w, mixture = paper.w0, np.full(3, 1 / 3)
    for number in range(1, ROUNDS + 1):
        here, losses = taking(federation, number), np.zeros(3)
        for i in here:
            losses[i] = loss_of(paper, w, i) / rate
        if here:
            ends = np.array([paper.sgd(w, number, i) for i in here])
            weights = mixture[here] / mixture[here].sum() if mixture[here].sum() else np.zeros(len(here))
            w, mixture = w + weights @ (ends - w), simplex(mixture + lambda_lr * losses)
    assert states[-1].weights["server"] == pytest.approx(w, abs=5e-5)
    assert _mixture(states[-1]) == pytest.approx(mixture, abs=1e-5)
    assert np.ptp(mixture) > 0.01


def test_afl_with_one_step_on_all_rows_is_the_papers_gradient_step():
    states, paper = played(AFL(MODEL, LR, 1, 10**6), fl.Federation(owners()), 1)
    gradients = [paper.gradient(paper.w0, *map(np.float64, rows)) for rows in paper.data]
    assert states[1].weights["server"] == pytest.approx(paper.w0 - LR * np.mean(gradients, axis=0), abs=1e-6)


def test_qffl_with_q_zero_is_fedavg():
    mine, theirs = play(fl.Federation(owners()), QFFL(MODEL, q=0.0)), play(fl.Federation(owners()), fl.FedAvg(MODEL))
    for a, b in zip(mine, theirs, strict=True):
        assert a.state.weights["server"] == pytest.approx(b.state.weights["server"], abs=1e-5)


@pytest.mark.parametrize("unit", [0.01, 0.3, 4.0])
def test_the_unit_of_losses_cancels_in_the_step_and_follows_the_losses(unit):
    strategy, federation = QFFL(MODEL, q=3.0, **SETTINGS), fl.Federation(owners())
    states, paper = played(strategy, federation, 1)
    other = State(states[0].weights, {"unit of losses": np.array([np.float32(unit)], dtype=float)}, states[0].context)
    if unit < 0.1:  # the powers are beyond what may be sent, and the round says so
        with pytest.raises(RoundError, match="beyond the agreed bound"):
            strategy.step(other, federation, 1, federation.names, last=False)
        return
    moved = strategy.step(other, federation, 1, federation.names, last=False)
    assert moved.weights["server"] == pytest.approx(states[1].weights["server"], abs=2e-5)
    assert moved.memory["unit of losses"] == pytest.approx(states[1].memory["unit of losses"], rel=1e-4)
    largest = max(loss_of(paper, paper.w0, i) for i in range(3))
    assert largest * 0.3 < float(moved.memory["unit of losses"][0]) < largest * 3


@pytest.mark.parametrize("strategy", [QFFL(MODEL, q=2.0), AFL(MODEL)], ids=["q-FFL", "AFL"])
def test_a_run_that_goes_on_equals_the_uninterrupted_one_bit_for_bit(strategy):
    settings = {"sample_rate": 0.7, "dropout": 0.1}
    history = play(fl.Federation(owners(), **settings), strategy, num_rounds=4)
    rest = play(fl.Federation(owners(), **settings), strategy, num_rounds=4, after=history[1])
    for a, b in zip(history[2:], rest, strict=True):
        assert a.state.weights["server"].tobytes() == b.state.weights["server"].tobytes()
        assert {k: v.tobytes() for k, v in a.state.memory.items()} == {
            k: v.tobytes() for k, v in b.state.memory.items()
        }
        assert a.metrics == b.metrics
    assert len({r.cohort for r in history}) > 1


def test_qffl_encrypted_and_plain_have_equal_bits_and_no_loss_is_told():
    plain, federation = play(fl.Federation(owners()), QFFL(MODEL, q=2.0)), fl.Federation(owners(), encrypt=fl.CKKS())
    sealed = play(federation, QFFL(MODEL, q=2.0))
    assert [r.state.weights["server"].tobytes() for r in sealed] == [r.state.weights["server"].tobytes() for r in plain]
    sent = [m for m in federation.ledger.messages if m.sender in federation.names and m.kind not in HANDSHAKE]
    assert {m.kind for m in sent if not m.encrypted} <= {"own score", "category list"}


def test_what_each_owner_weighs_and_loses_is_on_the_wire_of_afl_and_nowhere_else():
    federation = fl.Federation(owners())
    history = play(federation, AFL(MODEL), num_rounds=1)
    told = [m.payload for m in federation.ledger.messages if m.kind == "weight in the mixture"]
    assert [float(v[0]) for v in told] == [float(np.float32(1 / 3))] * 3
    losses = [float(m.payload[0]) for m in federation.ledger.messages if m.kind == "loss"]
    _, paper = played(AFL(MODEL), fl.Federation(owners()), 1)
    assert losses == pytest.approx([loss_of(paper, paper.w0, i) for i in range(3)], abs=1e-5)
    assert history[0].traffic["loss"].messages == 3


@pytest.mark.parametrize("house", [{"encrypt": fl.CKKS()}, {"encrypt": fl.SecAgg()}])
def test_afl_is_refused_where_no_loss_may_be_read(house):
    federation = fl.Federation(owners(), **house)
    with pytest.raises(RuleError) as caught:
        rounds(federation, AFL(MODEL))
    assert_teaches(caught, "owner losses", "loss weights")
    assert len(federation.ledger) == 0


@pytest.mark.parametrize("protect", [fl.OwnerLevelDP(), fl.RowLevelDP()])
def test_afl_is_refused_where_its_losses_would_leave_without_noise(protect):
    federation = fl.Federation(declared(), protect=protect, budget=fl.Budget(8, 0.01))
    with pytest.raises(RuleError) as caught:
        rounds(federation, AFL(MODEL))
    assert_teaches(caught, "without noise", "fl.QFFL")
    assert len(federation.ledger) == 0


def test_qffl_hides_whole_owners_with_change_and_weight_clipped_together():
    protect = fl.OwnerLevelDP(clip=2.0, noise_multiplier=0.3)
    federation = fl.Federation(declared(12, 15), protect=protect, noise_seed=2, encrypt=fl.CKKS())
    history = play(federation, QFFL(fl.models.logistic(), 1.0, q=1.0), num_rounds=4)
    assert history[-1].failed is None
    assert np.isfinite(history[-1].state.weights["server"]).all()
    assert np.abs(history[-1].state.weights["server"] - history[0].state.weights["server"]).max() > 1e-3
    with pytest.raises(RuleError):
        rounds(fl.Federation(declared(), budget=fl.Budget(8, 1e-3)), QFFL(MODEL))


def test_where_noise_leaves_no_weight_the_model_stays():
    strategy, state = QFFL(MODEL), played(QFFL(MODEL), fl.Federation(owners()), 1)[0][0]
    new, memory = strategy.serve(state, np.append(np.ones(state.weights["server"].size), -0.1), 1.0)
    assert new is state.weights["server"]
    assert memory == {}


def odd_one_out(many=4, rows=80):
    """Owners that agree, and a small one whose rows lie elsewhere and follow another rule."""
    made = []
    for i in range(many):
        rng = np.random.default_rng(i)
        odd = i == many - 1
        x = rng.normal(size=(rows // 2 if odd else rows, 3)) + (2.0 if odd else 0.0)
        ill = (x[:, 1] - x[:, 0] if odd else x[:, 0] + x[:, 2]) > 0
        frame = pd.DataFrame(x, columns=list("abc")).assign(ill=np.where(ill, "yes", "no"))
        made.append(fl.DataOwner(f"Owner {i + 1}", frame, target="ill", held_out=0.3))
    return made


@pytest.mark.parametrize("strategy", [QFFL(MODEL, 0.1, q=5.0), AFL(MODEL, 0.1, lambda_lr=0.5)], ids=["q-FFL", "AFL"])
def test_the_worst_off_owner_fares_better_than_under_fedavg(strategy):
    def worst(strategy):
        states, paper = played(strategy, fl.Federation(odd_one_out()), 15)
        return max(loss_of(paper, states[-1].weights["server"], i) for i in range(4))

    assert worst(strategy) < worst(fl.FedAvg(MODEL, 0.1)) - 0.05


@pytest.mark.parametrize(
    ("strategy", "words"),
    [
        (QFFL(MODEL, q=-1), ("q", "-1")),
        (QFFL(MODEL, q=float("nan")), ("q", "nan")),
        (QFFL(MODEL, compress=TopK(0.1)), ("compress", "divided")),
        (AFL(MODEL, lambda_lr=0), ("lambda_lr", "0")),
        (AFL(MODEL, weighting="rows"), ("weighting",)),
        (AFL(MODEL, groups=5), ("groups", "divided")),
    ],
    ids=str,
)
def test_settings_that_cannot_work_are_refused_before_anything_leaves(strategy, words):
    federation = fl.Federation(owners())
    with pytest.raises(SettingError) as caught:
        rounds(federation, strategy)
    assert_teaches(caught, *words)
    assert len(federation.ledger) == 0
