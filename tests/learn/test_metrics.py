"""scikit-learn is the oracle for scores; the bounds on what one row can change are laws."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as oracle

from fedlab_nb.learn import Scorecard, area_under_curve, probabilities

TASKS = ["binary", "multiclass", "regression"]
DETAILS = ["exact", "round", "verdict"]


def outputs_of(task):
    return 3 if task == "multiclass" else 1


def outcomes(task, n, seed=0, spread=2.0):
    """Model outputs (n, outputs) that know something about the targets (n,)."""
    rng = np.random.default_rng(seed)
    if task == "multiclass":
        y = rng.integers(0, 3, n)
        return spread * (rng.normal(size=(n, 3)) + np.eye(3)[y]), y
    if task == "binary":
        y = rng.integers(0, 2, n)
        return spread * (rng.normal(size=(n, 1)) + y[:, None] - 0.5), y.astype(np.float32)
    y = rng.normal(size=n)
    return (y + 0.5 * spread * rng.normal(size=n))[:, None], y.astype(np.float32)


def released(task, detail, scores, y):
    card = Scorecard(task, detail, outputs_of(task))
    return card.read(card.count(scores, y))


@pytest.mark.parametrize("spread", [0.01, 0.3, 1.0, 3.0, 6.0])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_exact_scores_of_two_classes_are_scikit_learns(spread, seed):
    scores, y = outcomes("binary", 700, seed, spread)
    chances = probabilities(scores)
    found = released("binary", "exact", scores, y)
    assert found["accuracy"] == oracle.accuracy_score(y, scores[:, 0] > 0)
    assert found["loss"] == pytest.approx(oracle.log_loss(y, chances[:, 1]), rel=1e-9)
    assert found["auc"] == pytest.approx(oracle.roc_auc_score(y, scores[:, 0]), abs=2e-3)


@pytest.mark.parametrize("spread", [0.01, 1.0, 6.0])
def test_exact_scores_of_several_classes_are_scikit_learns(spread):
    scores, y = outcomes("multiclass", 700, 0, spread)
    chances = probabilities(scores)
    found = released("multiclass", "exact", scores, y)
    assert found["accuracy"] == oracle.accuracy_score(y, scores.argmax(1))
    assert found["loss"] == pytest.approx(oracle.log_loss(y, chances), rel=1e-9)
    assert found["auc"] == pytest.approx(oracle.roc_auc_score(y, chances, multi_class="ovr"), abs=2e-3)


@pytest.mark.parametrize(("classes", "off"), [(3, 1e-3), (10, 2e-3), (40, 2e-3)])
@pytest.mark.parametrize("spread", [0.003, 0.1, 1.0, 6.0])
def test_the_area_of_many_classes_is_as_exact_as_is_said(classes, off, spread):
    rng = np.random.default_rng(1)
    y = np.concatenate([np.arange(classes), rng.integers(0, classes, 3000)])
    scores = spread * (rng.normal(size=(len(y), classes)) + np.eye(classes)[y])
    card = Scorecard("multiclass", "exact", classes)
    exact = oracle.roc_auc_score(y, probabilities(scores), multi_class="ovr")
    assert card.read(card.count(scores, y))["auc"] == pytest.approx(exact, abs=off)
    assert card.size == 3 + 2 * classes * max(2000 // classes, 200)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("detail", DETAILS)
def test_owners_counted_and_read_together_are_as_one_by_one(task, detail):
    scores, y = outcomes(task, 90)
    card, rows = Scorecard(task, detail, outputs_of(task)), [40, 0, 1, 49]
    ends = np.cumsum(rows)
    together = card.count_each(scores, y, rows)
    alone = [card.count(scores[end - n : end], y[end - n : end]) for n, end in zip(rows, ends, strict=True)]
    assert np.array_equal(together, alone)
    assert card.read_each(together) == [card.read(counts) for counts in alone]


def test_exact_scores_of_numbers_are_scikit_learns():
    scores, y = outcomes("regression", 300)
    found = released("regression", "exact", scores, y)
    assert found["rmse"] == pytest.approx(oracle.root_mean_squared_error(y, scores[:, 0]))
    assert found["r2"] == pytest.approx(oracle.r2_score(y, scores[:, 0]))
    assert found["loss"] == pytest.approx(found["rmse"] ** 2)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=2, max_size=40))
def test_the_area_counts_ties_half_as_scikit_learn_does(pairs):
    scores, y = np.array([s for s, _ in pairs]), np.array([p for _, p in pairs])
    table = np.array([[np.sum((scores == s) & (y == side)) for s in range(5)] for side in (False, True)], dtype=float)
    if y.all() or not y.any():
        assert area_under_curve(table) is None
    else:
        assert area_under_curve(table) == pytest.approx(oracle.roc_auc_score(y, scores))


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("detail", DETAILS)
def test_owners_counts_add_up_to_the_counts_of_all_rows(task, detail):
    scores, y = outcomes(task, 90)
    card = Scorecard(task, detail, outputs_of(task))
    parts = np.array_split(np.random.default_rng(1).permutation(90), [10, 10, 41])
    total = sum(card.count(scores[part], y[part]) for part in parts)
    assert total == pytest.approx(card.count(scores, y), abs=1e-9)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("detail", DETAILS)
def test_an_owner_without_rows_sends_zeros_and_nothing_becomes_nan(task, detail):
    card = Scorecard(task, detail, outputs_of(task))
    empty = card.count(np.zeros((0, outputs_of(task))), np.zeros(0))
    assert empty.tolist() == [0.0] * card.size
    assert card.read(empty) == {}
    assert math.isfinite(card.accuracy_noise(empty, 1.0))


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("detail", DETAILS)
@pytest.mark.parametrize("sign", [-1, 1])
def test_noise_that_drowns_everything_gives_no_nan_and_no_impossible_score(task, detail, sign):
    card = Scorecard(task, detail, outputs_of(task))
    noise = sign * np.abs(np.random.default_rng(0).normal(0, 50, card.size))
    for name, value in card.read(noise).items():
        assert math.isfinite(value), name
        assert name not in ("accuracy", "auc") or 0.0 <= value <= 1.0


OUTPUTS = st.one_of(st.floats(-30, 30), st.just(0.0), st.just(1e4), st.just(-1e4))


@st.composite
def some_rows(draw):
    task = draw(st.sampled_from(TASKS))
    n = draw(st.integers(1, 8))
    scores = draw(
        st.lists(st.lists(OUTPUTS, min_size=outputs_of(task), max_size=outputs_of(task)), min_size=n, max_size=n)
    )
    if task == "regression":
        y = draw(st.lists(st.floats(-50, 50), min_size=n, max_size=n))
    else:
        y = draw(st.lists(st.integers(0, 2 if task == "multiclass" else 1), min_size=n, max_size=n))
    return task, np.array(scores), np.array(y)


@settings(max_examples=300, deadline=None)
@given(some_rows(), st.data())
def test_one_row_changes_a_released_vector_by_its_sensitivity_at_most(given_rows, data):
    task, scores, y = given_rows
    gone = data.draw(st.integers(0, len(y) - 1))
    for detail in ("round", "verdict"):
        card = Scorecard(task, detail, outputs_of(task))
        change = card.count(scores, y) - card.count(np.delete(scores, gone, 0), np.delete(y, gone))
        assert np.linalg.norm(change) <= card.l2 + 1e-9


@settings(max_examples=150, deadline=None)
@given(some_rows())
def test_the_three_details_agree_on_accuracy_without_noise(given_rows):
    task, scores, y = given_rows
    if task != "regression":
        found = [released(task, detail, scores, y)["accuracy"] for detail in DETAILS]
        assert found == pytest.approx([found[0]] * 3)


def test_a_verdict_without_noise_is_close_to_the_exact_scores():
    scores, y = outcomes("binary", 2000)
    exact, verdict = (released("binary", detail, scores, y) for detail in ("exact", "verdict"))
    assert verdict["auc"] == pytest.approx(exact["auc"], abs=0.03)
    assert verdict["loss"] == pytest.approx(exact["loss"], abs=0.05)


@pytest.mark.parametrize("sd", [0.02, 0.1, 0.5, 1.0, 2.0])
def test_a_verdict_without_noise_gives_the_exact_rmse_of_small_and_large_errors_clipped(sd):
    errors = np.random.default_rng(3).normal(0.0, sd, 20_000)
    clipped = np.sqrt(np.mean(np.clip(errors, -3, 3) ** 2))
    verdict = released("regression", "verdict", errors[:, None], np.zeros(len(errors)))
    assert verdict["rmse"] == pytest.approx(clipped, rel=0.01)
    assert verdict["loss"] == pytest.approx(clipped**2, rel=0.01)


def test_private_errors_are_clipped_so_that_one_row_cannot_move_them_without_bound():
    card = Scorecard("regression", "round")
    assert card.count(np.array([[1e9]]), np.zeros(1)).tolist() == [1.0, 1.0]


@pytest.mark.parametrize(("task", "detail"), [(t, d) for t in TASKS for d in ("round", "verdict")])
def test_the_stated_noise_of_a_score_is_the_measured_one(task, detail):
    scores, y = outcomes(task, 2000, spread=1.0)
    card = Scorecard(task, detail, outputs_of(task))
    counts, rng = card.count(scores, y), np.random.default_rng(5)
    sd = (1.3 if detail == "verdict" else 4.0) * card.l2
    name = "rmse" if task == "regression" else "accuracy"

    def noisy():
        return card.read(counts + rng.normal(0, sd, counts.size))[name]

    measured = np.std([noisy() for _ in range(1500)])
    # Empty bins are clipped at zero, which takes some noise away: the statement may err on the careful side.
    assert 0.85 * measured < card.accuracy_noise(counts, sd) < 1.4 * measured


def test_probabilities_are_distributions_even_for_extreme_outputs():
    for scores in (np.array([[-1e9], [0.0], [1e9]]), np.array([[1e9, -1e9, 0.0], [3.0, 3.0, 3.0]])):
        chances = probabilities(scores)
        assert np.isfinite(chances).all()
        assert chances.sum(1) == pytest.approx(np.ones(len(scores)))
