"""Batches are the same rows in every round: sums over ever other rows could be solved for each row's residual."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedlab_nb.vertical import LogisticRegression
from fedlab_nb.vertical.descent import Descent


def batches(size, rows, number, seed=0):
    return [
        (label, places, count)
        for label, places, count in LogisticRegression("bank", batch_size=size).batches(seed, number, rows)
    ]


@given(st.integers(1, 60), st.integers(5, 200), st.integers(1, 50))
@settings(max_examples=50, deadline=None)
def test_every_row_is_in_one_batch_of_at_least_the_size(size, rows, number):
    found = [np.arange(rows)[places] for _, places, _ in batches(size, rows, number)]
    assert sorted(np.concatenate(found)) == list(range(rows))
    assert all(len(part) >= min(size, rows) for part in found)
    assert [count for *_, count in batches(size, rows, number)] == [len(part) for part in found]
    assert len({label for label, *_ in batches(size, rows, number)}) == len(found)
    again = {tuple(np.arange(rows)[places]) for _, places, _ in batches(size, rows, number + 1)}
    assert again == {tuple(part) for part in found}


def test_their_order_changes_with_round_and_seed_and_their_rows_never_do():
    first, second, other = (
        [tuple(places) for _, places, _ in batches(20, 200, number, seed)] for number, seed in ((1, 0), (2, 0), (1, 1))
    )
    assert first != second
    assert first != other
    assert set(first) == set(second) == set(other)  # runs with ever other seeds tell no other sums
    assert len(batches(None, 200, 1)) == len(batches(200, 200, 1)) == len(batches(150, 200, 1)) == 1


def _attacked(shuffled, rounds=30, rows=240, size=40):
    """How well the shop's gradients of late rounds, solved for residuals, tell them: |correlation| with the truth."""
    rng = np.random.default_rng(0)
    A, B = np.column_stack([rng.normal(size=(rows, 4)), np.ones(rows)]), rng.normal(size=(rows, 16))
    y = (rng.random(rows) < 1 / (1 + np.exp(-2 * A[:, 0] + B[:, 0]))).astype(float)
    descent, sums, told = Descent(1.0, 0.0, 0.01, 0.25, 2), [], []
    (left, turn), (right, other) = descent.ready(A, intercept=True), descent.ready(B, intercept=False)
    a, b = np.zeros(5), np.zeros(16)
    for number in range(1, rounds + 1):
        parts = (
            np.split(rng.permutation(rows), rows // size)
            if shuffled
            else [places for _, places, _ in batches(size, rows, number)]
        )
        for p in parts:
            d = 1 / (1 + np.exp(-A[p] @ a - B[p] @ b)) - y[p]
            mine = right[p].T @ d
            if number > rounds // 2:
                each = np.zeros((16, rows))
                each[:, p] = right[p].T
                sums.append(each)
                told.append(mine)
            a = descent.step(a, left[p].T @ d / size, turn, intercept=True)
            b = descent.step(b, mine / size, other, intercept=False)
    guess = np.linalg.lstsq(np.vstack(sums), np.concatenate(told), rcond=1e-6)[0]
    return np.corrcoef(guess, 1 / (1 + np.exp(-A @ a - B @ b)) - y)[0, 1]


def test_the_attack_that_fixed_batches_are_there_for_works_on_shuffled_ones():
    assert _attacked(shuffled=True) > 0.9
    assert _attacked(shuffled=False) < 0.8


@pytest.mark.parametrize("size", [None, 10_000])
def test_all_rows_at_once_keep_their_order(size):
    (_, places, count), = batches(size, 77, 3)  # fmt: skip
    assert (np.arange(77)[places] == np.arange(77)).all()
    assert count == 77
