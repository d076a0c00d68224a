"""Federated steps against the same arithmetic on one table, and sealed sums against open ones."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fedlab_nb as fl
from fedlab_nb.data import encoding as enc
from tests.horizontal.test_evaluate import houses
from tests.horizontal.test_prepare import by_clinic, pooled
from tests.rounds.common import EVERY_ROW, bits, cells, declared, logistic, play, tumours

FULL_BATCH = {"local_epochs": 1, "batch_size": EVERY_ROW}


@pytest.mark.parametrize(
    ("make", "model"),
    [
        (lambda: cells(5), fl.models.mlp()),
        (by_clinic, fl.models.logistic()),
        (lambda: houses(classes=["low", "mid", "high"]), fl.models.logistic()),
        (houses, fl.models.mlp((3,))),
    ],
    ids=["binary", "categories and gaps", "three classes", "regression"],
)
@pytest.mark.parametrize("weighting", ["rows", "equal"])
def test_encrypted_runs_equal_plain_runs_bit_for_bit(make, model, weighting):
    owners, strategy = make(), fl.FedAvg(model, lr=0.05, weighting=weighting)
    plain, sealed = (
        play(fl.Federation(owners, encrypt=e, sample_rate=0.8), strategy, num_rounds=4) for e in (None, fl.CKKS())
    )
    assert plain[-1].failed is None
    assert bits(plain) == bits(sealed)


def test_encrypted_rehearsals_keep_the_statistics_of_plain_ones():
    """Sealed noise comes in shares, so the bits differ by design; how much there is in a sum does not."""
    owners = declared(4, 50)
    sums = {}
    for encrypt in (None, fl.CKKS()):
        federation = fl.Federation(owners, encrypt=encrypt, noise_seed=1, protect=fl.RowLevelDP(noise_multiplier=2.0))
        from fedlab_nb.records import Update

        sums[encrypt] = federation.gather(
            "update",
            lambda *_: Update(np.zeros(4000), 1.0),
            number=1,
            cohort=federation.names,
            bound=1.0,
            noise_sd=2.0,
            debits=dict.fromkeys(federation.names, ()),
        ).value.std()
    # Sealed, any three of the four shares carry 2.0; in the clear each of the four owners adds all of it.
    assert sums[fl.CKKS()] == pytest.approx(2.0 * (4 / 3) ** 0.5, rel=0.06)
    assert sums[None] == pytest.approx(4.0, rel=0.06)


def slope(weights, X, y):
    """Gradient (d,) of the mean logistic loss, by hand."""
    scores = X @ weights[:-1] + weights[-1]
    error = 1 / (1 + np.exp(-scores)) - y
    return np.append(X.T @ error, error.sum()) / len(y)


def one_step(owners, strategy, **house):
    federation = fl.Federation(owners, **house)
    start = strategy.start(federation, num_rounds=1, seed=4)
    after = strategy.step(start, federation, 1, federation.names, last=True)
    return start, after.weights["server"]


def test_one_full_batch_step_of_five_owners_is_the_gradient_step_on_all_rows():
    owners = cells(5)
    start, after = one_step(owners, logistic(lr=0.5, **FULL_BATCH), encrypt=fl.CKKS())
    table = pooled(owners)
    X, y = enc.encode_rows(table.drop(columns="diagnosis"), table["diagnosis"], start.context.encoding)
    before = start.weights["server"]
    assert after == pytest.approx(before - 0.5 * slope(before, X.astype(float), y), abs=1e-6)
    assert np.abs(after - before).max() > 0.01


def test_several_rounds_of_full_batch_steps_are_gradient_descent_on_all_rows():
    owners = cells(4)
    history = play(fl.Federation(owners), logistic(lr=0.5, **FULL_BATCH), num_rounds=10, seed=4)
    start, _ = one_step(owners, logistic())
    table = pooled(owners)
    X, y = enc.encode_rows(table.drop(columns="diagnosis"), table["diagnosis"], start.context.encoding)
    weights = start.weights["server"]
    for _ in range(10):
        weights = weights - 0.5 * slope(weights, X.astype(float), y)
    assert history[-1].state.weights["server"] == pytest.approx(weights, abs=1e-5)


def test_row_level_steps_with_hardly_any_noise_and_no_clipping_are_gradient_descent_on_all_rows():
    owners = cells(4)
    loose = fl.RowLevelDP(clip=100.0, noise_multiplier=1e-3)
    start, after = one_step(owners, logistic(lr=0.5), protect=loose, encrypt=fl.CKKS(), noise_seed=0)
    table = pooled(owners)
    X, y = enc.encode_rows(table.drop(columns="diagnosis"), table["diagnosis"], start.context.encoding)
    before = start.weights["server"]
    step = 0.5 * slope(before, X.astype(float), y) * len(y) / start.context.rows
    # Noise of standard deviation .1 on a sum over 455 rows, six times over.
    assert after == pytest.approx(before - step, abs=6 * 0.5 * 0.1 / 455)
    assert start.context.rows == pytest.approx(len(y), abs=1)


def test_a_clip_far_below_every_gradient_makes_every_row_count_the_same():
    owners = cells(4)
    start, after = one_step(owners, logistic(lr=1.0), protect=fl.RowLevelDP(clip=1e-3, noise_multiplier=1e-3))
    table = pooled(owners)
    X, y = enc.encode_rows(table.drop(columns="diagnosis"), table["diagnosis"], start.context.encoding)
    before = start.weights["server"]
    rows = np.stack([slope(before, X[i : i + 1].astype(float), y[i : i + 1]) for i in range(len(y))])
    units = rows / np.linalg.norm(rows, axis=1)[:, None]
    step = 1e-3 * units.sum(0) / start.context.rows
    assert after - before == pytest.approx(-step, abs=6 * 2 * 1e-6 / 455 + 1e-8)


@settings(max_examples=8, deadline=None)
@given(owners=st.integers(2, 9), seed=st.integers(0, 99))
def test_how_the_rows_are_divided_does_not_change_a_full_batch_step(owners, seed):
    table = tumours().iloc[:120, [0, 3, 7, -1]]

    def step(k, divide):
        order = np.random.default_rng(divide).permutation(len(table))
        cuts = np.sort(np.random.default_rng(divide + 1).choice(np.arange(2, 118, 2), k - 1, replace=False))
        parts = [fl.DataOwner(f"O{i}", table.iloc[p], target="diagnosis", held_out=0.0, categories=BOTH)
                 for i, p in enumerate(np.split(order, cuts))]  # fmt: skip
        return one_step(parts, logistic(lr=0.5, **FULL_BATCH))[1]

    assert step(owners, seed) == pytest.approx(step(2, seed + 7), abs=2e-5)


BOTH = {"diagnosis": ["benign", "malignant"]}
