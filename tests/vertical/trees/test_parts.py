"""The parts of a tree: bins, gradients on a grid, gains, leaves, the picture."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedlab_nb.vertical.trees.columns.bins import Candidates, find_candidates
from fedlab_nb.vertical.trees.forest import Forest, part_of_labels, read_labels_part
from fedlab_nb.vertical.trees.labels.gradients import base_scores, goss_weights, gradients
from fedlab_nb.vertical.trees.labels.splits import Penalty, gains, leaf_value
from fedlab_nb.vertical.trees.walking import Walk
from fedlab_nb.view.trees import Leaf, Split, said, tree_svg


@given(st.integers(12, 200), st.integers(2, 40), st.integers(5, 20), st.integers(1, 60), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_between_candidates_of_a_column_and_beside_them_are_rows_enough(rows, bins, least, values, seed):
    rng = np.random.default_rng(seed)
    x = rng.integers(0, values, (rows, 1)).astype(float)
    x[rng.random((rows, 1)) < rng.choice([0, 0.05, 0.5])] = np.nan
    found = find_candidates(x, bins, least, "secret")
    sides = np.column_stack([found.everything(x), np.zeros(rows, dtype=bool), np.ones(rows, dtype=bool)])
    apart = (sides[:, :, None] ^ sides[:, None]).sum(axis=0)
    assert not len(found) or (apart[~np.eye(sides.shape[1], dtype=bool)] >= least).all()
    assert len(set(found.table[:, 1]) - {np.inf}) < bins


def test_edges_lie_half_way_between_values_and_few_different_ones_are_all_told_apart():
    x = np.repeat([1.0, 2.0, 4.0], [5, 90, 5])[:, None]
    assert sorted(find_candidates(x, 4, 5, "").table[:, 1]) == [1.5, 3.0]


def test_equal_questions_of_two_columns_are_asked_once():
    rng = np.random.default_rng(0)
    x = rng.normal(size=64)
    found = find_candidates(np.column_stack([x, 2 * x + 1, -x]), 8, 5, "")
    assert len(found) == 7


def test_sums_are_those_of_the_rows_that_go_left():
    rng = np.random.default_rng(1)
    X, columns = rng.normal(size=(9000, 2)), rng.integers(0, 9, (9000, 3)).astype(float)
    found = find_candidates(X, 8, 5, "")
    expected = [[columns[found.left(X, [c])[:, 0], k].sum() for c in range(len(found))] for k in range(3)]
    assert np.array_equal(found.sums(X, columns), expected)


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_gradients_are_those_of_the_loss_on_a_grid_that_products_can_take(task):
    rng = np.random.default_rng(2)
    y = rng.normal(size=50) * 3 if task == "regression" else rng.integers(0, 3 if task == "multiclass" else 2, 50) * 1.0
    scores, step = rng.normal(size=(50, 3 if task == "multiclass" else 1)), 1e-5

    def loss(s):
        if task == "regression":
            return 0.5 * (s[:, 0] - y) ** 2
        full = s if task == "multiclass" else np.column_stack([np.zeros(50), s])
        return np.log(np.exp(full).sum(axis=1)) - full[np.arange(50), y.astype(int)]

    found = gradients(scores, y, task)
    for output in range(scores.shape[1]):
        aside = np.eye(scores.shape[1])[output] * step
        up, down = loss(scores + aside), loss(scores - aside)
        np.testing.assert_allclose(found.values[0, :, output], (up - down) / (2 * step), atol=1e-5)
    shifts = np.array(found.shifts)[:, None, None]
    steps = np.ldexp(found.values, 20 - shifts)
    assert np.array_equal(steps, np.rint(steps))
    assert (np.mean(np.ldexp(found.values, -shifts) ** 2, axis=1) <= 1.01).all()
    assert (found.values[1] > 0).all()
    assert (found.shifts[0] > 0) == (task == "regression")


def test_drawn_rows_stand_for_all_that_are_left():
    rng, y = np.random.default_rng(3), np.random.default_rng(4).normal(size=1000)
    weights = goss_weights(np.zeros((1000, 1)), y, "regression", (0.2, 0.1), rng)
    largest = np.argsort(-np.abs(y))[:200]
    assert (weights[largest] == 1.0).all()
    assert sorted(set(weights)) == [0.0, 1.0, 8.0]
    assert weights.sum() == pytest.approx(1000)


def test_scores_begin_where_the_labels_are_even_if_a_class_does_not_occur():
    assert base_scores(np.array([1.0, 1, 1, 0]), "binary", 1) == pytest.approx(np.log(3.5 / 1.5))
    three = base_scores(np.array([0.0, 0, 2]), "multiclass", 3)
    assert np.isfinite(three).all()
    assert np.exp(three).sum() == pytest.approx(1.0)
    assert base_scores(np.ones(3), "regression", 1) == 0.0


def test_a_gain_is_what_two_leaves_are_better_than_one():
    left, total, penalty = np.array([[-3.0, 1.0], [2.0, 0.0]]), np.array([1.0, 5.0]), Penalty(0.5, 0.25)

    def loss(sums):
        value = leaf_value(sums, 1.0, penalty)
        return sums[0] * value + 0.5 * (sums[1] + penalty.reg_lambda) * value**2

    found = gains(left, total, penalty)
    assert found[0] == pytest.approx(loss(total) - loss(left[:, 0]) - loss(total - left[:, 0]) - penalty.gamma)
    assert found[1] == -np.inf


def test_a_forest_and_its_questions_are_kept_in_one_row_of_numbers():
    rng = np.random.default_rng(5)
    forest = Forest(2, np.array([0.5, -1.0]), rng.normal(size=(4, 7, 4)))
    own, again = read_labels_part(part_of_labels(Candidates(rng.normal(size=(6, 3))), forest))
    assert len(own) == 6
    assert (again.depth, again.trees, again.rounds) == (2, 4, 2)
    assert np.array_equal(again.nodes, forest.nodes)
    assert again.alike(forest) == 4
    assert again.first(1).alike(forest) == 2
    changed = forest.nodes.copy()
    changed[1, 0, 1] += 1
    assert again.alike(Forest(2, forest.base, changed)) == 1


def test_rows_that_come_to_an_owner_while_it_is_asked_wait_for_the_next_time():
    nodes = np.zeros((2, 7, 4))
    nodes[:, :, 0] = -1
    nodes[0, [0, 1], 0] = 1, 2  # owner 1 divides the root, owner 2 the left child
    nodes[1, 0, :2] = 2, 5  # of the other tree owner 2 divides the root

    rows = SimpleNamespace(frame=pd.DataFrame(index=range(4)), memory={})
    walk = Walk(rows, Forest(2, np.zeros(1), nodes))
    first, second = walk.asks(1), walk.asks(2)
    assert [(ask.handle, ask.places.tolist()) for ask in first + second] == [(0, [0, 1, 2, 3]), (5, [0, 1, 2, 3])]
    walk.move(1, [np.array([True, True, False, False])])
    walk.move(2, [np.array([True, False, False, False])])
    assert [(ask.handle, ask.places.tolist()) for ask in walk.asks(2)] == [(0, [0, 1])]
    walk.move(2, [np.array([False, True])])
    assert not walk.asks(1)
    assert not walk.asks(2)
    assert walk.at.tolist() == [[4, 3, 2, 2], [1, 2, 2, 2]]


def test_a_tree_is_drawn_and_said():
    root = Split(
        0, "age <= 40", "gain 2", Leaf("+0.1"), Split(1, "<b>spent</b> <= 3", "gain 1", Leaf("-0.2"), Leaf("0"))
    )
    svg = tree_svg("A tree", root, ["bank", "shop & co"])
    assert svg.startswith("<svg")
    assert "<b>" not in svg
    assert svg.count("<rect") == 4, "two boxes, two marks of colour"
    assert 'aria-label="A tree. bank asks: age &lt;= 40? If so: +0.1; if not: (shop &amp; co asks' in svg
    assert "script" not in svg
    assert said(Leaf("+1"), []) == "+1"
    deep = Leaf("0")
    for level in range(6):
        deep = Split(level % 2, f"a column with a long name {level} <= 1234.5", "gain 1", deep, Leaf("+0.123"))
    assert "…" in tree_svg("A tree", deep, ["bank", "shop"])
