"""Invented tables keep to the truth that they state: a fit on many rows finds it again, and so do the best scores."""

import re

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from fedlab_nb.data import credit, hospitals, messages, traffic
from fedlab_nb.errors import SettingError
from tests.rounds.common import assert_teaches

ROWS = 20_000
LABELLED = [credit, hospitals, messages]
# Of the two dozen coefficients of the largest table, one lies beyond four standard errors once in 700 tables.
ERRORS = 4.0


def design(frame):
    """Columns with a coefficient, an offset for each hospital but the first, and a one; the true value of each."""
    truth = frame.attrs["truth"]
    x = frame[list(truth["coefficients"])].astype(float)
    expected = dict(truth["coefficients"])
    offsets = truth.get("offsets", {})
    for name, offset in list(offsets.items())[1:]:
        x[name] = (frame["hospital"] == name).astype(float)
        expected[name] = offset - next(iter(offsets.values()))
    x["one"] = 1.0
    expected["one"] = truth.get("intercept", 0.0) + next(iter(offsets.values()), 0.0)
    return x, pd.Series(expected)


def chance(x, weights):
    return 1 / (1 + np.exp(-(x.to_numpy() @ weights)))


def fitted(x, y):
    """Weights of greatest likelihood by Newton's method, and their standard errors."""
    weights = np.zeros(x.shape[1])
    for _ in range(30):
        p = chance(x, weights)
        information = (x.to_numpy().T * (p * (1 - p))) @ x.to_numpy()
        step = np.linalg.solve(information, x.to_numpy().T @ (y - p))
        weights += step
        if np.abs(step).max() < 1e-10:
            break
    return pd.Series(weights, x.columns), pd.Series(np.sqrt(np.diag(np.linalg.inv(information))), x.columns)


def answers(frame):
    return (frame[frame.attrs["target"]] == "yes").to_numpy(dtype=float)


@pytest.mark.parametrize("make", LABELLED)
def test_a_logistic_regression_finds_the_true_coefficients(make):
    frame = make(rows=ROWS, seed=1)
    x, expected = design(frame)
    found, errors = fitted(x, answers(frame))
    assert (((found - expected[x.columns]) / errors).abs() < ERRORS).all()


@pytest.mark.parametrize("make", LABELLED)
def test_the_best_accuracy_is_what_the_true_chances_reach(make):
    frame = make(rows=ROWS, seed=2)
    x, expected = design(frame)
    true = chance(x, expected[x.columns])
    stated = frame.attrs["truth"]["best_accuracy"]
    assert stated == pytest.approx(np.maximum(true, 1 - true).mean(), abs=1e-9)
    right = ((true > 0.5) == answers(frame)).mean()
    assert right == pytest.approx(stated, abs=4 * np.sqrt(0.25 / ROWS))


@pytest.mark.parametrize("make", LABELLED)
def test_what_the_docstring_promises_of_the_best_accuracy_holds_at_any_seed(make):
    said = re.search(r"rows, (?:about )?([\d.]+\d)(?: to ([\d.]+\d))?\.", " ".join(make.__doc__.split()))
    low, high = float(said.group(1)), float(said.group(2) or said.group(1))
    reached = [make(seed=seed).attrs["truth"]["best_accuracy"] for seed in range(8)]
    assert all(low - 0.01 <= best <= high + 0.01 for best in reached)


def test_the_shop_adds_to_what_the_bank_knows_as_much_as_is_said():
    from sklearn.metrics import roc_auc_score

    frame = credit(rows=ROWS, seed=3)
    y, parties = answers(frame), frame.attrs["parties"]

    def auc(columns):
        x = frame[columns].astype(float).assign(one=1.0)
        return roc_auc_score(y, x.to_numpy() @ fitted(x, y)[0])

    bank, both = auc(parties["bank"][:-1]), auc([*parties["bank"][:-1], *parties["shop"]])
    assert bank == pytest.approx(0.77, abs=0.015)
    assert both == pytest.approx(0.85, abs=0.015)
    assert "AUC of about 0.77" in " ".join(credit.__doc__.split())
    assert sorted([*parties["bank"], *parties["shop"]]) == sorted(frame.columns)


def test_an_owner_of_one_language_knows_nothing_of_the_words_of_the_others():
    frame = messages()
    for language, own in frame.groupby("language"):
        foreign = frame.columns[:30][(frame.loc[own.index, frame.columns[:30]] == 0).all()]
        assert len(foreign) == 20, language
    assert frame.drop(columns=["language", "spam"]).sum(axis=1).mean() == pytest.approx(5.0, abs=0.3)


def test_traffic_carries_over_as_it_says_and_is_as_hard_to_foretell():
    frame = traffic(days=200, junctions=3, seed=5)
    truth = frame.attrs["truth"]
    for junction, rows in frame.groupby("junction"):
        course = np.array(truth["course"][junction]).reshape(2, 24)

        def usual(hour, weekend, course=course):
            return course[weekend.astype(int), hour]

        above = rows["vehicles"].to_numpy() - usual(rows["hour"].to_numpy(), rows["weekend"].to_numpy())
        before, now = above[:-1], above[1:]
        carry = (before @ now) / (before @ before)
        assert carry == pytest.approx(truth["carry"], abs=4 * np.sqrt((1 - 0.7**2) / len(now)))
        rmse = np.sqrt(np.mean((now - truth["carry"] * before) ** 2))
        assert rmse == pytest.approx(truth["best_rmse"][junction], rel=0.05)


def test_the_window_of_traffic_is_the_hours_before():
    frame = traffic(days=7, junctions=2)
    one = frame[frame["junction"] == "Junction B"].reset_index(drop=True)
    for back in range(1, 7):
        assert np.array_equal(one[f"hours_ago_{back}"][back:], one["vehicles"][:-back])
    assert one["day"].is_monotonic_increasing
    assert one.groupby("day")["weekend"].first().tolist() == [False] * 5 + [True] * 2
    assert (one["vehicles"] >= 0).all()
    assert frame.attrs["target"] == "vehicles"


def test_hospitals_differ_in_size_and_each_has_its_offset():
    frame = hospitals(rows=500, sites=5)
    assert frame.groupby("hospital").size().min() >= 10
    assert sorted(frame.attrs["truth"]["offsets"]) == sorted(frame["hospital"].unique())
    assert len(set(frame["hospital"].iloc[:20])) > 1


@pytest.mark.parametrize("make", [*LABELLED, traffic])
def test_equal_seeds_give_equal_tables_and_others_do_not(make):
    assert_frame_equal(make(seed=3), make(seed=3))
    assert not make(seed=3).equals(make(seed=4))
    assert not make().isna().any().any()


@pytest.mark.parametrize(
    ("make", "settings"),
    [
        (credit, {"rows": 49}),
        (credit, {"rows": 1e3}),
        (hospitals, {"sites": 1}),
        (hospitals, {"sites": 27}),
        (hospitals, {"rows": 100}),
        (messages, {"rows": "many"}),
        (traffic, {"days": 6}),
        (traffic, {"junctions": 1}),
        (traffic, {"junctions": None}),
    ],
)
def test_too_little_for_the_story_is_refused(make, settings):
    with pytest.raises(SettingError) as caught:
        make(**settings)
    assert_teaches(caught, f"fl.data.{make.__name__}", *settings)
