"""Steps: turned columns are uncorrelated; many steps lead to the optimum, with a penalty of either kind."""

import numpy as np
import pytest
from sklearn.linear_model import ElasticNet, Ridge

from fedlab_nb.vertical.descent import Descent, whitening
from tests.rounds.common import tumours


def columns():
    """Two owners' standardised, strongly correlated columns of real rows, a column of ones at the first, and labels."""
    X = tumours().drop(columns="diagnosis").to_numpy(dtype=float)
    X = (X - X.mean(0)) / X.std(0)
    y = (tumours()["diagnosis"] == "malignant").to_numpy(float) + 0.3 * X[:, 3]
    return [np.column_stack([X[:, :10], np.ones(len(X))]), X[:, 10:]], y


def descended(descent, blocks, y, steps):
    """Weights after many steps of least squares with momentum, each owner's with its own gradient only."""
    ready = [descent.ready(x, intercept=first) for x, first in zip(blocks, (True, False), strict=True)]
    now = before = [np.zeros(x.shape[1]) for x in blocks]
    for number in range(steps):
        push = number / (number + 3)
        at = [w + push * (w - b) for w, b in zip(now, before, strict=True)]
        d = sum(x @ w for x, w in zip(blocks, at, strict=True)) - y
        before, now = now, [
            descent.step(w, turned.T @ d / len(y), turn, intercept=first)
            for w, (turned, turn), first in zip(at, ready, (True, False), strict=True)
        ]  # fmt: skip
    return now


@pytest.mark.parametrize("ridge", [0.0, 0.1])
def test_turned_columns_are_uncorrelated_with_mean_squares_of_at_most_one(ridge):
    (X, _), _ = columns()
    turn = whitening(X, ridge, intercept=True)
    moments = (X @ turn).T @ (X @ turn) / len(X)
    held = np.diag([*[ridge] * 10, 0.0])
    np.testing.assert_allclose(moments + turn @ held @ turn, np.eye(11), atol=1e-8)
    np.testing.assert_allclose(turn, turn.T, atol=1e-9)
    assert np.linalg.eigvalsh(moments).max() <= 1 + 1e-9


def test_a_straight_turn_mixes_no_columns_and_leaves_no_direction_above_one():
    (_, X), _ = columns()
    turn = whitening(X, 0.01, intercept=False, straight=True)
    assert (turn == np.diag(np.diag(turn))).all()
    assert np.linalg.eigvalsh((X @ turn).T @ (X @ turn) / len(X)).max() <= 1 + 1e-9


def test_columns_that_depend_on_each_other_are_left_alone_along_that_direction():
    (X, _), _ = columns()
    turn = whitening(np.column_stack([X, X[:, 0] + X[:, 1]]), 0.0, intercept=False)
    assert np.linalg.matrix_rank(turn, tol=1e-6) == 11
    assert np.abs(turn @ np.array([1.0, 1.0, *[0.0] * 9, -1.0])).max() < 1e-6


def test_many_steps_are_those_of_a_ridge_that_does_not_hold_the_intercept_back():
    blocks, y = columns()
    found = descended(Descent(1.0, 0.0, 0.05, 1.0, 2), blocks, y + 3.0, 1500)
    X = np.column_stack([blocks[0][:, :-1], blocks[1]])
    oracle = Ridge(alpha=0.05 * len(y)).fit(X, y + 3.0)
    np.testing.assert_allclose(np.append(found[0][:-1], found[1]), oracle.coef_, atol=1e-6)
    assert found[0][-1] == pytest.approx(oracle.intercept_, abs=1e-6)


@pytest.mark.parametrize(("l1", "l2"), [(0.02, 0.0), (0.02, 0.05), (0.2, 0.01)])
def test_many_steps_are_the_elastic_net_of_scikit_learn(l1, l2):
    blocks, y = columns()
    found = descended(Descent(1.0, l1, l2, 1.0, 2), blocks, y, 3000)
    X = np.column_stack([blocks[0][:, :-1], blocks[1]])
    oracle = ElasticNet(alpha=l1 + l2, l1_ratio=l1 / (l1 + l2), max_iter=200_000, tol=1e-12).fit(X, y)
    np.testing.assert_allclose(np.append(found[0][:-1], found[1]), oracle.coef_, atol=1e-4)
    assert (oracle.coef_ == 0).any()
    assert ((np.append(found[0][:-1], found[1]) == 0) == (oracle.coef_ == 0)).all(), "the same columns are left out"


@pytest.mark.parametrize(("l1", "l2"), [(0.0, 0.0), (0.0, 0.01), (0.01, 0.0)])
def test_a_safe_step_never_leads_up(l1, l2):
    blocks, y = columns()
    descent, losses = Descent(1.0, l1, l2, 1.0, 2), []
    now = [np.zeros(x.shape[1]) for x in blocks]
    ready = [descent.ready(x, intercept=first) for x, first in zip(blocks, (True, False), strict=True)]
    for _ in range(30):
        d = sum(x @ w for x, w in zip(blocks, now, strict=True)) - y
        held = np.append(now[0][:-1], now[1])
        losses.append((d @ d) / len(y) / 2 + l1 * np.abs(held).sum() + l2 * (held @ held) / 2)
        now = [
            descent.step(w, turned.T @ d / len(y), turn, intercept=first)
            for w, (turned, turn), first in zip(now, ready, (True, False), strict=True)
        ]
    assert (np.diff(losses) <= 1e-12).all()
