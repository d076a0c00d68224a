"""What a question may carry: plain values only, which run no code of their own beside the rows; the rest is taught."""

from functools import reduce

import numpy as np
import pandas as pd
import pytest

from fedlab_nb.analytics import PrivateFrame
from fedlab_nb.analytics.values import plain_number, plain_value
from fedlab_nb.errors import PrivateDataError, SettingError
from tests.analytics.common import CATEGORIES, exact, noisy, pooled, repeated, split

SEEN = []


class Spy(str):
    """A text that notes whatever it is compared with."""

    __slots__ = ()

    def __eq__(self, other):
        SEEN.append(other)
        return True

    def __hash__(self):
        return hash("male")


class SpyFloat(float):
    def __float__(self):
        SEEN.append("float")
        return 1.0


class SpyInt(int):
    __slots__ = ()


class SpyArray(np.float64):
    def item(self, *_):
        SEEN.append("item")
        return Spy("male")


@pytest.fixture(scope="module")
def frame():
    return exact(declared=True)


FOREIGN = {
    "comparison": lambda f, v: f[f["sex"] == v].count(),
    "number": lambda f, _: f[f["age"] > SpyFloat(3)].count(),
    "numpy's number": lambda f, _: f[f["age"] > SpyArray(3)].count(),
    "one of": lambda f, v: f[f["sex"].isin([v])].count(),
    "between": lambda f, _: f[f["age"].between(SpyFloat(1), SpyInt(90))].count(),
    "query": lambda f, v: f.query(v).count(),
    "categories": lambda f, v: PrivateFrame(f._source.federation, categories={"sex": [v, "b"]}),
    "bounds": lambda f, _: PrivateFrame(f._source.federation, bounds={"age": (SpyFloat(0), 100)}),
    "column of bounds": lambda f, v: PrivateFrame(f._source.federation, bounds={v: (0, 100)}),
    "happened": lambda f, v: f.kaplan_meier("age", "diagnosis", happened=v),
    "event": lambda f, v: f.woe("diagnosis", v),
    "target": lambda f, v: f.woe(v, "ill"),
    "groups": lambda f, v: f.ttest("age", by="sex", groups=(v, "female")),
    "bins": lambda f, _: f.histogram("age", SpyInt(5)),
    "edges": lambda f, _: f.histogram("age", [0, SpyFloat(50), 100]),
    "level": lambda f, _: f["age"].quantile(SpyFloat(0.5)),
    "levels": lambda f, _: f["age"].quantile([SpyFloat(0.5)]),
    "bins of drift": lambda f, _: f.drift(["age"], bins=SpyInt(5)),
    "column": lambda f, v: f[[v]],
    "owner": lambda f, _: PrivateFrame(f._source.federation, owner=Spy("North")).count(),
}


@pytest.mark.parametrize("case", FOREIGN)
def test_no_foreign_code_reaches_the_rows(frame, case):
    SEEN.clear()
    sent = len(frame._source.federation.ledger)
    with pytest.raises(SettingError):
        FOREIGN[case](frame, Spy("male"))
    assert len(frame._source.federation.ledger) == sent
    assert not set(map(str, SEEN)) & {*pooled()["sex"].dropna(), *pooled()["diagnosis"], "float", "item"}


def test_plain_values_are_exactly_of_their_types():
    for value in ("a", 1, 2.5, True):
        assert plain_value(value) is value
    for value, plain in ((np.str_("a"), str), (np.int8(1), int), (np.float32(1), float), (np.bool_(True), bool)):
        assert type(plain_value(value)) is plain
    for value in (None, [1], b"a", 1j, Spy("a"), SpyInt(1), SpyArray(1), np.datetime64("2020-01-01"), np.array(1)):
        assert plain_value(value) is None
    assert plain_number(True) is None
    assert plain_number(np.nan) is None
    with pytest.raises(SettingError, match="1329 bits"):
        plain_value(10**400)


TAUGHT = {
    "attribute": (lambda f: f.age, r'\["age"\]'),
    "attribute of groups": (lambda f: f.groupby("sex").age, r'\["age"\]'),
    "huge number": (lambda f: f["age"] > 10**400, "smaller number"),
    "huge number in a text": (lambda f: f.query("age > 1" + "0" * 400), "smaller number"),
    "number of too many digits": (lambda f: f.query("age > 1" + "0" * 5000), "could not be read"),
    "huge bounds": (lambda f: PrivateFrame(f._source.federation, bounds={"age": (0, 10**400)}), "smaller number"),
    "absurd bounds": (lambda f: PrivateFrame(f._source.federation, bounds={"age": (-1e308, 1e308)}), "two finite"),
    "endless bounds": (lambda f: PrivateFrame(f._source.federation, bounds={"age": (0, np.inf)}), "two finite"),
    "unhashable constant": (lambda f: f.query("age > {[]:1}"), "could not be read"),
    "null byte": (lambda f: f.query("age > 1\0"), "could not be read"),
    "deep text": (lambda f: f.query("not " * 900 + "age > 1"), "condition"),
    "deep brackets": (lambda f: f.query("(" * 900 + "age > 1" + ")" * 900), "could not be read"),
    "long text": (lambda f: f.query(" or ".join(["age > 1"] * 5000)), "characters"),
    "corr twice": (lambda f: f.corr(["age", "age"]), "every column once"),
    "describe twice": (lambda f: f.describe(["age", "age"]), "every column once"),
    "bins of text": (lambda f: f.histogram("age", ["a", "b"]), "rising edges"),
    "bins of lists": (lambda f: f.histogram("age", [[1, 2], [3, 4]]), "rising edges"),
    "bins by name": (lambda f: f.histogram("age", {"a": 1}), "rising edges"),
    "no bins": (lambda f: f.histogram("age", None), "rising edges"),
    "group by a number": (lambda f: f.groupby(5), "no column 5"),
    "group by nothing": (lambda f: f.groupby([]), "No column was named"),
    "group by None": (lambda f: f.groupby(None), "No column was named"),
    "groups as a number": (lambda f: f.ttest("age", by="sex", groups=5), "Give a list"),
    "groups in lists": (lambda f: f.ttest("age", by="sex", groups=[["female"], ["male"]]), "plain text"),
    "transform a number": (lambda f: f.standardise().transform(5), "DataFrame"),
    "isin of a text": (lambda f: f["sex"].isin("male"), "Give a list"),
    "quantiles in a table": (lambda f: f["age"].quantile(np.array([[0.5]])), "No quantile"),
    "happened never": (lambda f: f.kaplan_meier("age", "diagnosis"), "healthy, ill"),
    "happened of numbers": (lambda f: f.kaplan_meier("age", "cholesterol", happened=1), "60 to 380"),
    "event of numbers": (lambda f: f.woe("cholesterol", "high"), "60 to 380"),
}


@pytest.mark.parametrize("case", TAUGHT)
def test_odd_questions_are_taught_and_never_fail_raw(frame, case):
    ask, hint = TAUGHT[case]
    with pytest.raises((SettingError, PrivateDataError), match=hint):
        ask(frame)


def test_a_column_is_no_attribute(frame):
    assert not hasattr(frame, "age")
    assert not hasattr(frame.groupby("sex"), "age")


def test_chained_filters_have_an_end(frame):
    with pytest.raises(SettingError, match="isin"):
        reduce(lambda asked, _: asked[asked["age"] > 30], range(1500), frame)
    with pytest.raises(SettingError, match="isin"):
        reduce(lambda mask, _: ~mask, range(1500), frame["age"] > 30)


def test_many_values_are_not_nested_deeply(frame):
    assert frame["age"].isin(list(range(300))).sum() == pooled()["age"].notna().sum()
    text = " or ".join(f"age == {n}" for n in range(300))
    assert frame.query(text).count() == pooled()["age"].isin(range(300)).sum()


def test_numpys_levels_and_groups_are_as_good_as_pythons(frame):
    assert frame["age"].quantile(np.float32(0.5)) == frame["age"].median()
    assert frame["age"].quantile(np.array([0.5]))["age"].iloc[0] == frame["age"].median()
    assert frame.quantile("age", np.array([0.5])).shape == (1, 1)
    groups = frame.ttest("age", by="sex", groups=np.array(["female", "male"]))
    assert groups.iloc[0].equals(frame.ttest("age", by="sex", groups=("female", "male")).iloc[0])


@pytest.mark.parametrize("ask", ["kaplan_meier", "woe"])
def test_an_event_that_nothing_declares_has_to_have_happened(ask):
    table = repeated([(t, t % 2, "yn"[t % 2]) for t in range(8)], ["months", "died", "y"], 10)
    frame = PrivateFrame(split(table, 2, "y"))
    ask_for = {
        "kaplan_meier": lambda column, value: frame.kaplan_meier("months", column, bins=2, happened=value),
        "woe": lambda column, value: frame.woe(column, value, bins=2, names=["months"]),
    }[ask]
    for column, value in (("died", 7), ("y", "dead")):
        with pytest.raises(SettingError, match="no declared list"):
            ask_for(column, value)
    assert len(ask_for("died", 1))
    assert len(ask_for("y", "n"))


def test_noise_needs_to_know_what_an_event_can_be():
    with pytest.raises(SettingError, match="Under noise"):
        noisy().woe("cholesterol", 200)


def test_what_noise_drowned_says_so():
    frame = noisy(0.001, seed=3)
    mean = frame[frame["age"] > 97]["cholesterol"].std()
    assert np.isnan(mean)
    answer = frame[frame["age"] > 97].groupby("sex")["cholesterol"].std()
    assert answer["std"].isna().any()
    for shown in (repr(mean), mean._repr_html_(), repr(answer), answer._repr_html_()):
        assert "more epsilon" in shown
        assert "rows in a count" in shown
    assert "more epsilon" not in repr(noisy(50.0, seed=3)["age"].describe())
    few = exact()
    assert "more epsilon" not in repr(few[few["age"] > 97]["age"].mean())


def test_what_a_count_leaves_out_is_hidden_like_a_small_count():
    table = repeated([(float(v % 7), "yn"[v % 2]) for v in range(10)], ["x", "y"], 6)
    table.loc[:2, "x"] = np.nan
    frame = PrivateFrame(split(table, 2, "y"))
    assert frame.count() == 60
    for asked in (frame["x"].count, frame["x"].notna().sum, frame[frame["x"].notna()].count):
        assert np.isnan(asked())
    half = frame[frame["y"] == "y"]
    assert half.count() == 30
    assert np.isnan(half["x"].count())
    assert half[half["x"] > 99].count() == 0
    table.loc[:7, "x"] = np.nan
    more = PrivateFrame(split(table, 2, "y"))["x"].count()
    assert more == 52
    assert more.attrs["rows"] == "rows where not ('x' is missing)"


def test_declared_values_stay_as_they_were():
    frame = PrivateFrame(exact()._source.federation, categories={"sex": np.array(CATEGORIES["sex"])})
    assert list(frame.value_counts("sex").index.sort_values()) == sorted(CATEGORIES["sex"])
    assert isinstance(frame.mock(), pd.DataFrame)


def test_wide_bounds_still_give_finite_answers():
    frame = noisy(1.0, seed=1, bounds={"age": (-1e12, 1e12)})
    asked = (frame["age"].mean, frame["age"].std, frame.describe, frame.corr, frame["age"].histogram)
    assert all(ask() is not None for ask in asked)
    assert np.isfinite(frame["age"].mean())
    wide = exact(bounds={"age": (-1e12, 1e12)})
    assert wide["age"].mean() == pytest.approx(pooled()["age"].mean(), abs=0.05)
