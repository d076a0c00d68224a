"""Survival, weight of evidence and drift against hand-computed and published values."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.spatial.distance import jensenshannon

import fedlab_nb as fl
from fedlab_nb.analytics import PrivateFrame
from fedlab_nb.analytics.questions.contrasts import information_value, jensen_shannon, stability_index, welch, woe
from fedlab_nb.analytics.questions.survival import distances, log_rank, read_curve
from tests.analytics.common import noisy, repeated, split

# Ten times each: event at 1, loss at 2, events at 3 and 4, loss at 5.
TOY = repeated([(1.0, True), (2.0, False), (3.0, True), (4.0, True), (5.0, False)], ["months", "died"], 10)


def survival(frame, **more):
    return PrivateFrame(split(frame, 2, "died", categories={"died": [False, True]})).kaplan_meier(
        "months", "died", **{"bins": [0, 1, 2, 3, 4, 5], **more}
    )


def test_the_curve_is_kaplan_and_meiers_by_hand():
    answer = survival(TOY)
    assert list(answer.index) == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert list(answer["at risk"]) == [50, 40, 30, 20, 10]
    assert list(answer["events"]) == [10, 0, 10, 10, 0]
    # 4/5; times 2/3; times 1/2.
    np.testing.assert_allclose(answer["survival"], [0.8, 0.8, 8 / 15, 4 / 15, 4 / 15])
    terms = np.cumsum([10 / (50 * 40), 0, 10 / (30 * 20), 10 / (20 * 10), 0])
    np.testing.assert_allclose(answer["greenwood se"], answer["survival"] * np.sqrt(terms))


def test_the_curve_is_scipys_for_whole_numbers_of_months():
    rng = np.random.default_rng(1)
    months = rng.integers(1, 7, 400).astype(float)
    died = rng.random(400) < 0.6
    table = pd.DataFrame({"months": months, "died": died})
    answer = survival(table, bins=list(range(7)))
    data = stats.CensoredData(uncensored=months[died], right=months[~died])
    expected = stats.ecdf(data).sf
    np.testing.assert_allclose(answer["survival"], expected.evaluate(np.arange(1.0, 7.0)))


def test_the_log_rank_test_is_scipys():
    rng = np.random.default_rng(2)
    group = np.repeat(["a", "b"], 300)
    months = np.where(group == "a", rng.integers(1, 7, 600), rng.integers(1, 9, 600)).astype(float)
    died = rng.random(600) < 0.8
    table = pd.DataFrame({"months": months, "died": died, "arm": group})
    answer = survival(table, by="arm", bins=list(range(10)))
    x, y = (
        stats.CensoredData(uncensored=months[(group == g) & died], right=months[(group == g) & ~died]) for g in "ab"
    )
    expected = stats.logrank(x, y)
    assert answer.attrs["p value"] == pytest.approx(expected.pvalue, rel=1e-6)
    assert answer.attrs["log-rank"] == pytest.approx(expected.statistic**2, rel=1e-6)


def test_equal_groups_show_no_difference_and_noise_only_widens():
    counts = np.array([[[20.0, 5.0], [10.0, 5.0]]] * 3)
    statistic, p = log_rank(counts)
    assert statistic == pytest.approx(0.0, abs=1e-9)
    assert p == pytest.approx(1.0)
    counts[0, 0, 0] += 10
    assert log_rank(counts, 5.0 * np.eye(2))[1] > log_rank(counts)[1]
    assert distances(counts)[0].shape == (2,)


def test_time_is_coarser_where_cells_are_small():
    table = pd.concat([TOY, pd.DataFrame({"months": [2.0, 2.0], "died": [True, True]})], ignore_index=True)
    answer = survival(table)
    assert list(answer.index) == [1.0, 3.0, 4.0, 5.0]
    assert "put together" in answer.attrs["note"]
    assert answer.loc[3.0, "events"] == 12


def test_who_has_no_known_outcome_or_time_is_left_out():
    table = TOY.astype({"died": object})
    more = pd.DataFrame({"months": [3.0] * 6 + [np.nan] * 6, "died": [None] * 6 + [True] * 6, "y": [0, 1] * 6})
    table["y"] = [0, 1] * 25
    both = pd.concat([table, more], ignore_index=True)
    made = PrivateFrame(split(both, 2, "y")).kaplan_meier("months", "died", bins=[0, 1, 2, 3, 4, 5])
    np.testing.assert_allclose(made["survival"], survival(TOY)["survival"])


def test_the_curve_never_leaves_its_range_under_noise():
    curve = read_curve(np.array([[12.0, -3.0], [-4.0, 1.0], [9.0, -7.0], [-20.0, 3.0]]))
    assert ((curve.survival >= 0) & (curve.survival <= 1)).all()
    assert (np.diff(curve.survival) <= 0).all()
    answer = noisy(0.2, seed=1).kaplan_meier("age", "diagnosis", by="sex", happened="ill")
    assert answer["survival"].between(0, 1).all()
    assert 0 <= answer.attrs["p value"] <= 1


PUBLISHED = {
    "worst_perimeter": 6.3417,
    "worst_radius": 6.0496,
    "worst_area": 6.0312,
    "worst_concave_points": 5.8379,
    "mean_concave_points": 5.5699,
    "smoothness_error": 0.0838,
    "symmetry_error": 0.0903,
    "texture_error": 0.0963,
}


def test_information_values_of_the_breast_cancer_table_are_the_known_ones():
    table = fl.data.breast_cancer()
    for name, value in PUBLISHED.items():
        counts = pd.crosstab(pd.qcut(table[name], 10), table["diagnosis"])[["malignant", "benign"]]
        assert information_value(counts.to_numpy(dtype=float)) == pytest.approx(value, abs=5e-5), name


def test_evidence_of_the_breast_cancer_table_is_no_more_than_the_known_and_tells_strong_from_weak():
    frame = PrivateFrame(split(fl.data.breast_cancer(), 3, "diagnosis"))
    answer = frame.woe("diagnosis", "malignant", bins=10)
    found = answer["iv"].groupby(level="column").first()
    assert len(found) == 30
    for name, value in PUBLISHED.items():
        # Putting bins together never adds evidence (log-sum inequality); an edge that moved by a row may, a little.
        assert found[name] <= 1.05 * value + 0.02, name
    strong, weak = list(PUBLISHED)[:5], list(PUBLISHED)[5:]
    assert found[strong].min() > 3.0
    assert found[weak].max() < 0.2
    counts = answer[["events", "others"]].to_numpy()
    assert not ((counts > 0) & (counts < 5)).any()


def test_weight_of_evidence_by_hand():
    counts = np.array([[30.0, 10.0], [10.0, 30.0], [0.0, 8.0]])
    expected = np.log([(30 / 40) / (10 / 48), (10 / 40) / (30 / 48), (0.5 / 40) / (8 / 48)])
    np.testing.assert_allclose(woe(counts), expected)


def test_categories_and_noise_give_evidence_too():
    frame = noisy(20.0, seed=1)
    answer = frame.woe("diagnosis", "ill", bins=4, names=["age", "chest_pain"])
    assert list(answer.loc["chest_pain"].index) == ["none", "on effort", "at rest"]
    assert len(answer.loc["age"]) <= 4
    assert answer.loc["age", "woe"].is_monotonic_increasing
    assert (answer[["noise se", "noise se of iv"]] > 0).all().all()


def test_an_event_of_fewer_than_five_rows_has_no_evidence():
    frame = PrivateFrame(split(fl.data.breast_cancer().iloc[:, [0, 1, -1]], 2, "diagnosis"))
    few = frame[frame["mean_radius"] > 27.4].woe("diagnosis", "malignant", bins=2)
    assert few[["woe", "iv"]].isna().all().all()


def test_drift_measures_are_their_definitions():
    own, whole = np.array([10.0, 30.0, 60.0]), np.array([40.0, 30.0, 30.0])
    p, q = own / 100, whole / 100
    assert stability_index(own, whole) == pytest.approx(((p - q) * np.log(p / q)).sum())
    assert jensen_shannon(own, whole) == pytest.approx(jensenshannon(p, q, base=2))
    assert stability_index(own, 7 * own) == pytest.approx(0.0)
    assert jensen_shannon(np.array([[1.0, 0.0], [0.0, 3.0]]), np.array([0.0, 1.0])).tolist() == [1.0, 0.0]
    both = np.array([own, whole])
    assert stability_index(both, whole).tolist() == [stability_index(own, whole), 0.0]


def test_an_owner_that_differs_drifts_most():
    rng = np.random.default_rng(0)
    tables = {n: pd.DataFrame({"x": rng.normal(3.0 * (n == "C"), 1, 300), "y": [0, 1] * 150}) for n in "ABC"}
    for settings in ({}, {"protect": fl.RowLevelDP(noise_multiplier=1.0), "noise_seed": 0}):
        made = [
            fl.DataOwner(n, t, target="y", bounds={"x": (-6, 9)}, categories={"y": [0, 1]}) for n, t in tables.items()
        ]
        frame = PrivateFrame(fl.Federation(made, **settings), epsilon=4.0 if settings else None)
        answer = frame.drift("x")
        assert answer["psi"].idxmax() == ("C", "x")
        assert answer.loc[("C", "x"), "psi"] > 0.5
        assert answer["js distance"].between(0, 1).all()


def test_noise_is_part_of_welchs_error():
    facts = np.array([50.0, 50.0]), np.array([1.0, 0.0]), np.array([4.0, 4.0])
    plain, wide = welch(*facts), welch(*facts, noise_var=1.0)
    assert plain[1] == pytest.approx(0.4)
    assert wide[1] == pytest.approx(np.sqrt(0.16 + 1.0))
    assert wide[3] > plain[3]
