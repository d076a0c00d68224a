"""Where two strategies are one: limits, first rounds, equal owners, and what is a sum."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fedlab_nb as fl
from fedlab_nb.horizontal.drift import MOON, SCAFFOLD, FedDyn, FedNova, FedProx
from fedlab_nb.horizontal.drift.moon import contrast_gradient
from fedlab_nb.horizontal.drift.steps import reach_of
from fedlab_nb.horizontal.server import FedAdagrad, FedAdam, FedAvgM, FedSGD, FedYogi
from fedlab_nb.learn.engine import plan
from tests.horizontal.strategies.common import HIDDEN, LOGISTIC, begun, one_round, rows_of, unequal
from tests.rounds.common import EVERY_ROW, bits, play, weights

NEAR = 1e-6  # sums are rounded to a grid of 2^-30, and 32-bit models to 2^-24 of their size


def last_weights(strategy, owners=None, num_rounds=3, **house):
    return weights(play(fl.Federation(owners or unequal(), **house), strategy, num_rounds=num_rounds))


def test_without_a_pull_fedprox_is_federated_averaging_bit_for_bit():
    prox, average = (play(fl.Federation(unequal()), s) for s in (FedProx(HIDDEN, mu=0.0), fl.FedAvg(HIDDEN)))
    assert bits(prox) == bits(average)


def test_a_strong_pull_keeps_the_model_where_it_was():
    strategy = FedProx(LOGISTIC, mu=10.0, lr=0.1)
    pulled = last_weights(strategy, num_rounds=1) - begun(fl.Federation(unequal()), strategy).weights["server"]
    free = (
        last_weights(fl.FedAvg(LOGISTIC, lr=0.1), num_rounds=1)
        - begun(fl.Federation(unequal()), strategy).weights["server"]
    )
    assert 0 < np.linalg.norm(pulled) < 0.3 * np.linalg.norm(free)


def test_without_momentum_at_the_server_fedavgm_is_federated_averaging_bit_for_bit():
    momentum, average = (
        play(fl.Federation(unequal()), s) for s in (FedAvgM(HIDDEN, server_momentum=0.0), fl.FedAvg(HIDDEN))
    )
    assert bits(momentum) == bits(average)


@pytest.mark.parametrize(("kind", "rest"), [(FedAdagrad, {}), (FedAdam, {"beta2": 0.9}), (FedYogi, {"beta2": 0.9})])
def test_where_tau_is_large_adaptive_steps_are_scaled_averaging(kind, rest):
    """v begins at tau^2 and stays there, so that a step is change / (2 tau) times the server's learning rate."""
    tau, average = 1e6, last_weights(fl.FedAvg(LOGISTIC), num_rounds=1)
    adaptive = kind(LOGISTIC, server_lr=2 * tau, tau=tau, beta1=0.0, **rest)
    if kind is FedAdam:  # its v forgets tau^2: beta2 of it is left
        adaptive = kind(LOGISTIC, server_lr=(1 + 0.9**0.5) * tau, tau=tau, beta1=0.0, **rest)
    assert last_weights(adaptive, num_rounds=1) == pytest.approx(average, abs=NEAR)


def test_the_first_step_of_adagrad_has_the_length_of_the_learning_rate_in_every_coordinate():
    strategy = FedAdagrad(LOGISTIC, server_lr=0.1, tau=1e-9)
    start = begun(fl.Federation(unequal()), strategy).weights["server"]
    assert np.abs(last_weights(strategy, num_rounds=1) - start) == pytest.approx(0.1, abs=1e-4)


def test_federated_gradient_descent_is_averaging_of_one_epoch_in_one_batch():
    sgd, average = (
        play(fl.Federation(unequal()), s)
        for s in (FedSGD(HIDDEN), fl.FedAvg(HIDDEN, local_epochs=1, batch_size=EVERY_ROW))
    )
    assert bits(sgd) == bits(average)


@pytest.mark.parametrize("settings", [{}, {"momentum": 0.9}, {"mu": 0.5}])
def test_with_equal_steps_fednova_is_the_averaging_it_corrects(settings):
    average = FedProx(HIDDEN, local_epochs=3, batch_size=EVERY_ROW, **{"mu": 0.0, **settings})
    nova = FedNova(HIDDEN, local_epochs=3, batch_size=EVERY_ROW, **settings)
    assert last_weights(nova) == pytest.approx(last_weights(average), abs=NEAR)


def test_with_unequal_steps_fednova_is_something_else():
    assert np.abs(last_weights(FedNova(LOGISTIC)) - last_weights(fl.FedAvg(LOGISTIC))).max() > 1e-3


def test_given_steps_fednova_sends_no_count_and_scales_what_it_would_do():
    federation, counted = fl.Federation(unequal()), FedNova(LOGISTIC)
    start = begun(federation, counted)
    change = one_round(counted, federation, start).weights["server"] - start.weights["server"]
    given = fl.Federation(unequal())
    scaled = one_round(FedNova(LOGISTIC, steps=5.0), given, start).weights["server"] - start.weights["server"]
    sizes = [{m.payload.size for m in f.ledger.messages if m.kind == "update"} for f in (federation, given)]
    assert sizes == [{6 + 1 + 1}, {6 + 1}]  # weights, step count, weight of the owner
    assert scaled / np.linalg.norm(scaled) == pytest.approx(change / np.linalg.norm(change), abs=1e-5)


@given(st.integers(1, 30), st.floats(0.0, 0.95), st.floats(0.0, 0.9))
@settings(max_examples=30, deadline=None)
def test_how_far_steps_reach_is_the_size_of_their_gradients_weights(steps, momentum, pull):
    """Each gradient's weight a_t, found by moving one number: with a gradient of 1 at step t alone."""

    def moved(at):
        w, m = 0.0, 0.0
        for t in range(steps):
            m = momentum * m + (t == at) + pull * w
            w -= m
        return -w

    assert reach_of(steps, momentum, pull) == pytest.approx(sum(abs(moved(t)) for t in range(steps)), rel=1e-9)


def test_scaffold_begins_as_averaging_of_equal_owners():
    """Control variates are zero in the first round."""
    average = fl.FedAvg(HIDDEN, weighting="equal")
    assert last_weights(SCAFFOLD(HIDDEN), num_rounds=1) == pytest.approx(last_weights(average, num_rounds=1), abs=NEAR)
    assert np.abs(last_weights(SCAFFOLD(HIDDEN)) - last_weights(average)).max() > 1e-3


@pytest.mark.parametrize("sample_rate", [1.0, 0.6])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_the_common_control_variate_is_the_mean_of_the_owners(sample_rate, momentum):
    owners = unequal()
    history = play(
        fl.Federation(owners, sample_rate=sample_rate), SCAFFOLD(HIDDEN, momentum=momentum, lr=0.02), num_rounds=5
    )
    for record in history:
        kept = record.state.memory
        own = [kept[f"control of {o.name}"] for o in owners if f"control of {o.name}" in kept]
        if own:
            assert kept["control"] == pytest.approx(np.sum(own, axis=0) / len(owners), abs=1e-8)
    assert np.abs(history[-1].state.memory["control"]).max() > 1e-3


def test_a_control_variate_is_the_mean_gradient_over_the_local_steps():
    """One full-batch step: it is the gradient itself."""
    federation, strategy = fl.Federation(unequal()), SCAFFOLD(LOGISTIC, local_epochs=1, batch_size=EVERY_ROW)
    start = begun(federation, strategy)
    after = one_round(strategy, federation, start)
    w = start.weights["server"].astype(np.float32).astype(np.float64)
    for name, (X, y) in rows_of(federation, start).items():
        wrong = 1.0 / (1.0 + np.exp(-(X @ w[:-1] + w[-1]))) - y
        gradient = np.append(X.T @ wrong, wrong.sum()) / len(X)
        assert after.memory[f"control of {name}"] == pytest.approx(gradient, abs=2e-6)


def test_the_terms_of_feddyn_have_the_mean_that_the_server_keeps():
    owners = unequal()
    history = play(fl.Federation(owners, sample_rate=0.6), FedDyn(LOGISTIC), num_rounds=5)
    kept = history[-1].state.memory
    own = [kept.get(f"h of {o.name}", np.zeros(6)) for o in owners]
    assert kept["h"] == pytest.approx(np.mean(own, axis=0), abs=1e-8)
    assert np.abs(kept["h"]).max() > 1e-3


def test_where_owners_differ_averaging_stops_beside_the_optimum_and_corrected_steps_reach_it():
    """Full batches, several local steps, and a loss with one optimum: only averaging has drifted after 15 rounds."""
    federation, decay = fl.Federation(sorted_owners()), 0.05
    local = {"lr": 1.0, "local_epochs": 10, "batch_size": EVERY_ROW, "weight_decay": decay}
    averaging, corrected = fl.FedAvg(LOGISTIC, weighting="equal", **local), SCAFFOLD(LOGISTIC, **local)
    dynamic = FedDyn(LOGISTIC, alpha=0.1, **local)
    rows = rows_of(federation, begun(federation, averaging))

    def off(strategy):
        """The length of the gradient of the mean over owners of their losses, where the strategy ends."""
        w = weights(play(federation, strategy, num_rounds=15))
        total = decay * w
        for X, y in rows.values():
            wrong = 1.0 / (1.0 + np.exp(-(X @ w[:-1] + w[-1]))) - y
            total = total + np.append(X.T @ wrong, wrong.sum()) / len(X) / len(rows)
        return np.linalg.norm(total)

    assert off(averaging) > 1e-2
    assert off(corrected) < 1e-3
    assert off(dynamic) < 1e-3


def sorted_owners():
    """Three owners that differ: by the size of the tumours, one of three parts each."""
    from tests.rounds.common import tumours

    frame = tumours()
    frame = frame.iloc[:, [0, 1, 2, -1]].iloc[np.argsort(frame.iloc[:, 1], kind="stable")]
    return [
        fl.DataOwner(f"Owner {i}", frame.iloc[part], target="diagnosis", held_out=0.0)
        for i, part in enumerate(np.array_split(np.arange(len(frame)), 3), 1)
    ]


def test_moon_begins_as_averaging_and_then_looks_at_the_previous_model():
    moon, average = MOON(HIDDEN, mu=5.0), fl.FedAvg(HIDDEN)
    assert last_weights(moon, num_rounds=1) == pytest.approx(last_weights(average, num_rounds=1), abs=NEAR)
    assert np.abs(last_weights(moon) - last_weights(average)).max() > 1e-4
    assert last_weights(MOON(HIDDEN, mu=0.0)) == pytest.approx(last_weights(average), abs=NEAR)


@pytest.mark.parametrize("shape", [(1, 5, 3), (2, 4, 6)])
def test_the_gradient_of_the_contrast_is_that_of_a_cross_entropy_of_cosines(shape):
    import torch
    from torch.nn import functional

    source = torch.Generator().manual_seed(0)
    z, near, away = (torch.randn(shape, generator=source, dtype=torch.float64) for _ in range(3))
    z.requires_grad_()
    logits = torch.stack([functional.cosine_similarity(z, u, dim=-1) for u in (near, away)], -1) / 0.3
    first = torch.zeros(shape[:-1], dtype=torch.long)
    loss = functional.cross_entropy(logits.flatten(0, -2), first.flatten(), reduction="sum")
    (wanted,) = torch.autograd.grad(loss, z)
    assert torch.allclose(contrast_gradient(z.detach(), near, away, 0.3), wanted, atol=1e-10)
    nothing = torch.zeros(shape, dtype=torch.float64)
    for numbers in ((nothing, near, away), (z.detach(), nothing, away), (z.detach(), near, nothing)):
        assert torch.isfinite(contrast_gradient(*numbers, 0.3)).all()


@pytest.mark.parametrize(
    "strategy",
    [
        fl.FedAvg(HIDDEN, momentum=0.9, weight_decay=0.01),
        FedAvgM(HIDDEN, momentum=0.9, weight_decay=0.01),
        FedProx(HIDDEN, mu=0.0, momentum=0.9, weight_decay=0.01),
        FedNova(HIDDEN, momentum=0.9, weight_decay=0.01),
        SCAFFOLD(HIDDEN, momentum=0.9, weight_decay=0.01),
        MOON(HIDDEN, momentum=0.9, weight_decay=0.01),
    ],
    ids=lambda s: type(s).__name__,
)
def test_the_first_round_of_a_single_owner_is_torch_sgd_on_its_rows(strategy):
    import torch
    from torch.nn import functional

    federation = fl.Federation(unequal())
    start = begun(federation, strategy)
    after = one_round(strategy, federation, start, cohort=("Owner 3",))
    X, y = map(torch.tensor, rows_of(federation, start)["Owner 3"])
    module = strategy.model_of(start).module()
    steps = torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9, weight_decay=0.01)
    for epoch in range(2):
        order = torch.tensor(plan.orders([(0, 1, 2)], epoch, [len(X)])[0])
        for rows in order.split(16):
            steps.zero_grad()
            functional.binary_cross_entropy_with_logits(module(X[rows])[:, 0], y[rows]).backward()
            steps.step()
    with torch.no_grad():
        wanted = torch.cat([p.reshape(-1) for p in module.parameters()]).double().numpy()
    assert after.weights["server"] == pytest.approx(wanted, abs=NEAR)


@pytest.mark.parametrize(
    "strategy",
    [
        FedSGD(LOGISTIC, lr=0.3),
        *(
            kind(LOGISTIC, lr=0.3, local_epochs=1, batch_size=EVERY_ROW)
            for kind in (FedAvgM, FedProx, FedNova, SCAFFOLD)
        ),
    ],
    ids=lambda s: type(s).__name__,
)
def test_equal_owners_and_one_step_on_all_rows_are_one_centralised_step(strategy):
    federation = fl.Federation(unequal((50, 50, 50), held_out=0.0))
    start = begun(federation, strategy)
    after = one_round(strategy, federation, start)
    rows = rows_of(federation, start).values()
    X, y = (np.concatenate(part).astype(np.float64) for part in zip(*rows, strict=True))
    w = start.weights["server"].astype(np.float32).astype(np.float64)
    wrong = 1.0 / (1.0 + np.exp(-(X @ w[:-1] + w[-1]))) - y
    wanted = w - 0.3 * np.append(X.T @ wrong, wrong.sum()) / len(X)
    assert after.weights["server"] == pytest.approx(wanted, abs=NEAR)
