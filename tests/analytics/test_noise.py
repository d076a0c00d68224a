"""Noisy answers: how far one row can move each vector, how much noise there is, and what it is charged for."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fedlab_nb as fl
from fedlab_nb.analytics import PrivateFrame
from fedlab_nb.analytics.conditions import compare
from fedlab_nb.analytics.questions.cells import Bins, Categories, Outcome, Split, count_cells, count_missing, count_rows
from fedlab_nb.analytics.questions.moments import sum_powers, sum_products
from fedlab_nb.analytics.questions.quantiles import fine_bins
from fedlab_nb.analytics.questions.question import Total, joined, parts
from fedlab_nb.analytics.questions.survival import count_survival
from fedlab_nb.privacy import gaussian_epsilon, gaussian_mu
from fedlab_nb.records import Column
from tests.analytics.common import BOUNDS, noisy, owners, pooled
from tests.rounds.common import events_of

RANGES = {"x": (-2.0, 5.0), "y": (0.0, 1.0)}
SEX, BINS = Categories("sex", ("f", "m")), Bins("x", (-1.0, 0.0, 3.0))
QUESTIONS = {
    "rows": count_rows(),
    "missing": count_missing(["x", "y", "sex"]),
    "one table": count_cells("counts", [SEX, BINS]),
    "three tables": count_cells("counts", [SEX], [BINS], [BINS, Outcome("sex", "f")]),
    "condition": count_cells("counts", [Split(compare(Column("x", "numeric", "float"), ">", 1.0))]),
    "means": sum_powers(RANGES, 1),
    "spreads": sum_powers(RANGES),
    "groups": sum_powers(RANGES, 2, [SEX]),
    "products": sum_products(RANGES),
    "description": joined(
        "all", sum_powers(RANGES), count_cells("h", [fine_bins("x", (-2.0, 5.0))], [fine_bins("y", None)])
    ),
    "survival": count_survival(Bins("y", (0.0, 0.5, 1.0), right=True), Outcome("sex", "m")),
}
CELL = st.one_of(st.just(np.nan), st.floats(-1e6, 1e6), st.sampled_from([-2.0, 0.0, 1.5, 5.0]))
ROWS = st.lists(st.tuples(CELL, CELL, st.sampled_from(["f", "m", "other", None])), min_size=1, max_size=8)


def table(rows):
    frame = pd.DataFrame(rows, columns=["x", "y", "sex"])
    return frame.astype({"x": float, "y": float, "sex": object})


@pytest.mark.parametrize("name", QUESTIONS)
@settings(max_examples=40, deadline=None)
@given(rows=ROWS, at=st.integers(0, 7))
def test_one_row_moves_the_scaled_vector_by_at_most_one(name, rows, at):
    question = QUESTIONS[name]
    whole = question.vector(table(rows))
    fewer = question.vector(table(rows).drop(index=at % len(rows)))
    assert whole.shape == question.scale.shape
    assert np.linalg.norm((whole - fewer) / question.scale) <= 1.0 + 1e-12


@pytest.mark.parametrize("name", QUESTIONS)
@settings(max_examples=20, deadline=None)
@given(rows=ROWS, at=st.integers(0, 8))
def test_the_vectors_of_two_owners_add_to_that_of_all_rows(name, rows, at):
    question = QUESTIONS[name]
    parts = [question.vector(table(rows[:at])), question.vector(table(rows[at:]))]
    np.testing.assert_allclose(sum(parts), question.vector(table(rows)), atol=1e-9)


@pytest.mark.parametrize("name", ["means", "spreads", "products", "one table", "description"])
def test_the_stated_sensitivity_is_reached(name):
    """Not merely a bound: some row moves the vector that far, so that no noise is wasted."""
    question = QUESTIONS[name]
    moved = question.vector(table([(5.0, 1.0, "f")])) / question.scale
    assert np.linalg.norm(moved) == pytest.approx(1.0 if name != "one table" else 0.0)
    if name == "one table":
        assert np.linalg.norm(question.vector(table([(0.0, 1.0, "f")])) / question.scale) == 1.0


def test_parts_share_the_privacy_equally():
    scale = parts((3, 1.0), (1, 10.0))
    assert np.allclose(scale, [math.sqrt(2)] * 3 + [10 * math.sqrt(2)])


@pytest.mark.parametrize("encrypt", [None, fl.CKKS(), fl.SecAgg()])
def test_the_noise_of_a_sum_has_the_variance_that_is_claimed(encrypt):
    # One histogram of 700 bins is 700 independent draws: their mean square has a relative error of sqrt(2 / 700).
    frame = noisy(1.0, seed=3, encrypt=encrypt)
    edges = list(np.linspace(20, 100, 701))
    answer = frame.histogram("age", edges)
    noise = answer["count"] - np.histogram(pooled()["age"], edges)[0]
    claimed = answer["noise se"].iloc[0]
    assert noise.std() == pytest.approx(claimed, rel=5 * math.sqrt(0.5 / 700))
    assert abs(noise.mean()) < 5 * claimed / math.sqrt(700)
    sigma, names = 1.0 / gaussian_mu(1.0, 1e-5), frame._source.federation.names
    shares = frame._source.federation.house.noise_shares(len(names))
    assert claimed == pytest.approx(sigma * math.sqrt(len(names) / shares))


def test_an_owner_asked_alone_adds_all_of_the_noise_itself():
    frame = noisy(1.0, seed=3, encrypt=fl.CKKS(), owner="North")
    assert frame.count().noise_se == pytest.approx(1.0 / gaussian_mu(1.0, 1e-5))
    by_owner = noisy(1.0, seed=3).missing()
    assert by_owner.noise_se.loc["North", "age"] == pytest.approx(math.sqrt(8) / gaussian_mu(1.0, 1e-5))


QUESTIONS_ASKED = {
    "mean": lambda frame: frame["age"].mean(),
    "std": lambda frame: frame["blood_pressure"].std(),
    "sum": lambda frame: frame["age"].sum(),
    "median": lambda frame: frame["age"].median(),
    "share": lambda frame: (frame["age"] > 55).mean(),
    "difference": lambda frame: told_of(frame.ttest("age", by="sex").iloc[0][["difference", "noise se"]]),
    "group": lambda frame: told_of(frame.groupby("sex")["age"].mean().iloc[0][["mean", "noise se"]]),
    "correlation": lambda frame: cell(frame[["age", "blood_pressure"]].corr(), (0, 1)),
    "survival": lambda frame: told_of(
        frame.kaplan_meier("age", "diagnosis", bins=4, happened="ill").iloc[1][["survival", "noise se"]]
    ),
}


class Told(float):
    noise_se: float


def told_of(pair):
    told = Told(pair.iloc[0])
    told.noise_se = pair.iloc[1]
    return told


def cell(matrix, at):
    return told_of(pd.Series([matrix.iloc[at], matrix.noise_se.iloc[at]]))


@pytest.mark.parametrize("name", QUESTIONS_ASKED)
def test_answers_scatter_as_their_noise_errors_say(name):
    frame = noisy(8.0, seed=1)
    told = [QUESTIONS_ASKED[name](frame) for _ in range(40)]
    stated = np.median([t.noise_se for t in told])
    # A standard deviation from 40 draws has a relative error of 11 %, the stated one of about 4 %.
    assert np.std(told) == pytest.approx(stated, rel=0.6)
    assert stated > 0


@pytest.mark.parametrize(
    "ask",
    [
        lambda frame: frame.describe(),
        lambda frame: frame.corr(),
        lambda frame: frame["age"].quantile([0.1, 0.9]),
        lambda frame: frame.woe("diagnosis", "ill"),
        lambda frame: frame.missing(),
        lambda frame: frame.drift(),
        lambda frame: frame.groupby(["sex", "smoker"])["age"].std(),
        lambda frame: frame[frame["age"] > 50].kaplan_meier("age", "smoker", by="sex"),
    ],
)
def test_every_question_is_one_release_of_the_epsilon_that_it_states(ask):
    frame = noisy(0.7)
    answer = ask(frame)
    federation = frame._source.federation
    for name in federation.names:
        (event,) = events_of(federation, name)
        assert (event.mechanism, event.unit, event.rows) == ("gaussian", "row", "all")
        assert gaussian_epsilon(1.0 / event.amount, federation.delta) == pytest.approx(0.7, rel=1e-6)
    assert answer.attrs["epsilon"] == 0.7


def test_a_question_takes_a_twentieth_of_the_budget_unless_told_otherwise():
    frame = noisy(None, budget=fl.Budget(2.0, 1e-4))
    answer = frame["age"].mean()
    assert answer.attrs["epsilon"] == pytest.approx(0.1)
    assert frame._source.federation.epsilon() == pytest.approx(0.1, rel=1e-6)
    assert frame["age"].std(epsilon=0.3).attrs["epsilon"] == 0.3


def test_an_owners_own_smaller_budget_binds():
    made = owners(declared=True)
    made[0] = owners(declared=True, budget=fl.Budget(1.0, 1e-5))[0]
    frame = PrivateFrame(fl.Federation(made, budget=fl.Budget(4.0, 1e-5)))
    assert frame.count().attrs["epsilon"] == pytest.approx(1.0 / 20)


def test_an_equal_question_gets_the_stored_answer_free():
    frame = noisy(None, budget=fl.Budget(2.0, 1e-5))
    first, spent = frame.describe(), frame._source.federation.epsilon()
    again = frame.describe()
    assert again.equals(first)
    assert frame._source.federation.epsilon() == spent
    other = frame[frame["age"] > 50].describe()
    assert not other.equals(first)
    assert frame._source.federation.epsilon() > spent


def test_the_budget_ends_questions():
    frame = noisy(0.6, budget=fl.Budget(1.0, 1e-5))
    frame["age"].mean()
    frame["age"].std()
    with pytest.raises(fl.errors.BudgetExceededError, match="the sum of age"):
        frame["age"].sum()


def test_noisy_quantiles_of_a_column_without_bounds_come_from_octaves():
    made = [fl.DataOwner(o.name, t, target="diagnosis") for o, t in zip(owners(), _tables(), strict=True)]
    frame = PrivateFrame(fl.Federation(made, protect=fl.RowLevelDP(noise_multiplier=1.0)), epsilon=50.0)
    assert 32 < frame["age"].median() < 64


def _tables():
    from tests.analytics.common import shares

    return shares().values()


def test_a_rehearsal_says_that_it_is_not_private():
    frame = noisy(1.0, seed=1)
    answer = frame.value_counts("sex")
    assert "not private" in repr(answer)
    assert answer.attrs["rehearsal"]
    assert frame._source.federation.epsilon() is None


def test_without_noise_there_is_no_noise_error():
    assert Total(np.ones(3), np.zeros(3)).noise_se(lambda v: v * 2).tolist() == [0.0, 0.0, 0.0]


def test_noise_is_less_where_bounds_are_tight():
    wide = noisy(1.0, seed=1, bounds={"age": (0, 1000)})["age"].mean().noise_se
    tight = noisy(1.0, seed=1)["age"].mean().noise_se
    low, high = BOUNDS["age"]
    assert wide / tight > 0.7 * 1000 / (high - low)


def test_exact_noise_comes_in_whole_steps_of_the_deviation_that_is_claimed():
    protect = fl.RowLevelDP(noise_multiplier=1.0, exact_noise=True)
    federation = fl.Federation(owners(declared=True), protect=protect, noise_seed=5)
    frame = PrivateFrame(federation, epsilon=1.0, owner="North")
    noise = frame.histogram("age", list(np.linspace(200, 300, 401)))
    assert np.array_equal(noise["count"] * 2**10, np.round(noise["count"] * 2**10))
    assert noise["count"].std() == pytest.approx(noise["noise se"].iloc[0], rel=0.2)


def test_what_cannot_be_told_from_noise_is_not_said():
    frame = noisy(0.001, seed=1)
    few = frame[frame["age"] > 85]
    for ask in (few["age"].mean, few["age"].std, few["age"].median, few[few["age"] > 3]["age"].var):
        assert np.isnan(ask())
    assert few.describe().iloc[1:6].isna().all().all()


def test_a_scale_that_noise_left_unknown_stays_unknown():
    frame = noisy(0.001, seed=1)
    standardiser = frame[frame["age"] > 85].standardise("age")
    assert np.isnan(standardiser.table.loc["age", "scale"])
    assert standardiser.transform(pooled())["age"].isna().all()
