"""Exact answers of a federation are those of pandas on the pooled table, encrypted or not."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import fedlab_nb as fl
from fedlab_nb.analytics import PrivateFrame
from fedlab_nb.analytics.questions.quantiles import averaged
from tests.analytics.common import NUMBERS, exact, owners, pooled, shares, split


@pytest.fixture(scope="module", params=[None, fl.CKKS()], ids=["in the clear", "encrypted"])
def frame(request):
    return exact(encrypt=request.param)


@pytest.mark.parametrize("encrypt", [fl.SecAgg(), fl.BFV(), fl.CKKS(keys="threshold"), fl.CKKS(preset="compact")])
def test_every_encryption_gives_the_same_digits(encrypt):
    frame, column = exact(encrypt=encrypt), pooled()["cholesterol"]
    same(frame["cholesterol"].std(), column.std())
    same(frame["cholesterol"].median(), averaged(np.sort(column.dropna()), [0.5])[0])
    same(frame[NUMBERS].corr(), pooled()[NUMBERS].dropna().corr(), 1e-7)


def same(answer, expected, tolerance=1e-9):
    np.testing.assert_allclose(np.asarray(answer, dtype=float), np.asarray(expected, dtype=float), rtol=tolerance)


@pytest.mark.parametrize("column", NUMBERS)
def test_statistics_of_a_column(frame, column):
    whole = pooled()[column]
    for which in ("mean", "std", "var", "sum", "count"):
        same(getattr(frame[column], which)(), getattr(whole, which)())
    near([frame[column].median()], whole, [0.5])
    same(frame[column].isna().sum() if whole.isna().any() else 0.0, whole.isna().sum())


def test_description_is_that_of_pandas(frame):
    answer = frame.describe()
    same(answer[:3], pooled().describe().loc[answer.index[:3], answer.columns])
    for name in NUMBERS:
        near(answer[name][3:], pooled()[name], [0.25, 0.5, 0.75])
    assert list(answer.columns) == NUMBERS
    assert not {"min", "max"} & set(answer.index)


def test_relations_are_those_of_complete_rows(frame):
    complete = pooled()[NUMBERS].dropna()
    same(frame.corr(), complete.corr(), 1e-7)
    same(frame.cov(), complete.cov(), 1e-7)
    same(frame.vif()["vif"], np.diag(np.linalg.inv(complete.corr())), 1e-7)
    same(frame[NUMBERS[:2]].corr(), pooled()[NUMBERS[:2]].dropna().corr(), 1e-7)


def test_counts_are_those_of_pandas(frame):
    table = pooled()
    assert frame.count() == len(table)
    found = frame.value_counts("chest_pain")["count"]
    assert found.to_dict() == table["chest_pain"].value_counts().to_dict()
    edges = [30, 50, 60, 70]
    assert list(frame["age"].histogram(edges)["count"]) == list(np.histogram(table["age"], edges)[0])
    cross = frame.crosstab("sex", "chest_pain")
    assert cross.equals(pd.crosstab(table["sex"], table["chest_pain"]).loc[cross.index, cross.columns])
    assert (
        frame.groupby(["sex", "smoker"]).size()["size"].to_dict() == table.groupby(["sex", "smoker"]).size().to_dict()
    )


def test_groups_are_those_of_pandas(frame):
    for which in ("mean", "sum", "std", "var", "count"):
        answer = getattr(frame.groupby(["sex", "chest_pain"])["cholesterol"], which)()
        expected = getattr(pooled().groupby(["sex", "chest_pain"])["cholesterol"], which)()
        same(answer[which], expected.reindex(answer.index))


def test_conditions_are_those_of_pandas(frame):
    table = pooled()
    old = table["age"] > 55
    same(frame[frame["age"] > 55]["cholesterol"].mean(), table[old]["cholesterol"].mean())
    assert (frame["age"] > 55).sum() == old.sum()
    same((frame["age"] > 55).mean(), old.mean())
    text = "50 <= age < 70 and sex == 'male' and chest_pain not in ['none']"
    assert frame.query(text).count() == len(table.query("50 <= age < 70 and sex == 'male'").pipe(
        lambda part: part[part["chest_pain"] != "none"]))  # fmt: skip
    both = frame[(frame["sex"] == "male") & ~frame["cholesterol"].isna() | frame["age"].between(60, 65)]
    expected = table[(table["sex"] == "male") & table["cholesterol"].notna() | table["age"].between(60, 65)]
    assert both.count() == len(expected)
    assert frame["cholesterol"][frame["sex"].isin(["male"])].count() == table[table["sex"] == "male"][
        "cholesterol"].count()  # fmt: skip


def test_welchs_test_is_scipys(frame):
    table = pooled()
    ill, healthy = (table["blood_pressure"][table["diagnosis"] == d].dropna() for d in ("ill", "healthy"))
    expected = stats.ttest_ind(ill, healthy, equal_var=False)
    line = frame.ttest("blood_pressure", by="diagnosis", groups=("ill", "healthy")).iloc[0]
    same([line["t"], line["p value"]], [expected.statistic, expected.pvalue], 1e-6)
    same(line["difference"], ill.mean() - healthy.mean())


def test_standardiser_centres_and_scales_a_frame_of_ones_own(frame):
    ready = frame.standardise().transform(pooled())
    same(ready[NUMBERS].mean() + 1.0, np.ones(3), 1e-9)
    same(ready[NUMBERS].std(), np.ones(3), 1e-9)
    assert ready["sex"].equals(pooled()["sex"])


@pytest.mark.parametrize("levels", [[0.01, 0.1, 0.25, 0.5, 0.77, 0.99]])
def test_quantiles_lie_among_their_neighbours(levels):
    table = fl.data.breast_cancer()
    frame = PrivateFrame(split(table, 3, "diagnosis"))
    answer = frame.quantile(None, levels)
    for name in answer:
        near(answer[name], table[name], levels)
    assert "none is a single row's" in answer.attrs["note"]


def near(answer, values, levels):
    """Each quantile lies within the blocks around it, and no further from the true one than five ranks' spread."""
    ordered = np.sort(values.dropna())
    places = np.asarray(levels) * (len(ordered) - 1)
    low, high = (np.clip(places + side, 0, len(ordered) - 1) for side in (-5, 5))
    found = np.asarray(answer, dtype=float)
    assert (found >= ordered[np.floor(low).astype(int)] - 1e-6 * abs(found)).all()
    assert (found <= ordered[np.ceil(high).astype(int)] + 1e-6 * abs(found)).all()


def test_all_quantiles_together_tell_means_of_five_rows_and_no_row():
    rng = np.random.default_rng(3)
    values = np.round(rng.normal(50, 8, 120), 4)
    federation = split(pd.DataFrame({"x": values, "y": np.arange(120) % 2 == 0}), 2, "y")
    levels = [k / 119 for k in range(6, 114)]
    means = np.sort(values).reshape(24, 5).mean(axis=1)
    expected = np.interp(np.arange(6.0, 114.0), 5 * np.arange(24) + 2, means)
    same(PrivateFrame(federation)["x"].quantile(levels)["x"], expected, 2e-8)
    own = PrivateFrame(federation, owner=federation.names[0])["x"].quantile([0.3, 0.5])["x"]
    rows = np.array_split(np.random.default_rng(0).permutation(120), 2)[0]
    means = np.sort(values[rows]).reshape(12, 5).mean(axis=1)
    same(own, np.interp([0.3 * 59, 0.5 * 59], 5 * np.arange(12) + 2, means))


def test_quantiles_of_values_of_every_sign_and_size():
    rng = np.random.default_rng(0)
    values = np.concatenate([-(10.0 ** rng.uniform(-5, 9, 100)), np.zeros(50), 10.0 ** rng.uniform(-5, 9, 100)])
    table = pd.DataFrame({"x": values, "y": np.arange(250) % 2 == 0})
    levels = [0.05, 0.3, 0.45, 0.5, 0.61, 0.95]
    answer = PrivateFrame(split(table, 2, "y"))["x"].quantile(levels)
    np.testing.assert_allclose(answer["x"], averaged(np.sort(values), levels), rtol=1e-7, atol=2**-20)


def test_declared_bounds_clip_what_lies_beyond():
    table = pooled()
    frame = exact(declared=True, bounds={"cholesterol": (150.0, 250.0)})
    clipped = table["cholesterol"].clip(150, 250)
    same(frame["cholesterol"].mean(), clipped.mean())
    same(frame["cholesterol"].quantile(0.9), averaged(np.sort(clipped.dropna()), [0.9])[0], 1e-8)


def test_training_and_held_out_rows_take_part_alike():
    for share in (0.0, 0.5):
        made = PrivateFrame(fl.Federation(owners(held_out=share)))
        assert made.count() == len(pooled())
        same(made["age"].mean(), pooled()["age"].mean())


def test_one_owner_answers_for_its_own_rows():
    table = shares()["North"]
    frame = exact(encrypt=fl.CKKS(), owner="North")
    answer = frame.describe()
    same(answer[:3], table.describe().loc[["count", "mean", "std"]])
    for name in NUMBERS:
        near(answer[name][3:], table[name], [0.25, 0.5, 0.75])
    assert frame.count() == len(table)
    assert frame.value_counts("sex")["count"].to_dict() == table["sex"].value_counts().to_dict()
    same(frame.corr(), table[NUMBERS].dropna().corr(), 1e-6)
    assert frame.count().attrs["read by"] == "the server"


def test_missing_values_by_owner_and_column():
    answer = exact().missing()
    for name, table in shares().items():
        shown = answer.loc[name].dropna().drop("rows")
        absent = table.isna().sum()[shown.index]
        assert (shown == absent).all()
        hidden = answer.loc[name].isna()
        assert ((table.isna().sum()[hidden.index[hidden]]) < 5).all()
    assert list(answer["rows"]) == [*map(len, shares().values()), len(pooled())]
    whole = answer.loc["all owners", "blood_pressure"]
    assert np.isnan(whole) == answer["blood_pressure"].iloc[:-1].isna().any()


def test_every_exact_answer_counts_as_not_protected():
    frame = exact()
    frame["age"].mean()
    federation = frame._source.federation
    assert not any(federation.account(name).guaranteed("row") for name in federation.names)


def test_a_column_that_does_not_vary_is_only_centred():
    table = pd.DataFrame({"x": [3.0] * 40, "z": np.arange(40.0), "y": [0, 1] * 20})
    ready = PrivateFrame(split(table, 2, "y")).standardise().transform(table)
    assert (ready["x"] == 0.0).all()
    same(ready["z"].std(), 1.0)
