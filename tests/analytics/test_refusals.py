"""What is refused, and that each refusal says what to ask instead; nothing private shows anywhere."""

import copy
import pickle
import re
import traceback

import numpy as np
import pandas as pd
import pytest

import fedlab_nb as fl
from fedlab_nb.analytics import PrivateFrame
from fedlab_nb.errors import PrivateDataError, RoundError, RuleError, SettingError
from tests.analytics.common import exact, noisy, owners, pooled
from tests.rounds.common import SECRETS, declared

LOOKING = {
    "head": lambda f: f.head(),
    "sample": lambda f: f.sample(3),
    "values": lambda f: f.values,
    "iloc": lambda f: f.iloc[0],
    "loc": lambda f: f.loc[0],
    "rows": list,
    "iterrows": lambda f: f.iterrows(),
    "csv": lambda f: f.to_csv("x.csv"),
    "len": len,
    "shape": lambda f: f.shape,
    "bool": bool,
    "array": np.asarray,
    "apply": lambda f: f.apply(sum),
    "number of rows": lambda f: f[0:3],
    "column of a column": lambda f: f["age"][0],
    "min": lambda f: f["age"].min(),
    "max": lambda f: f["age"].max(),
    "unique": lambda f: f["sex"].unique(),
    "values of a column": lambda f: f["age"].tolist(),
    "column's rows": lambda f: list(f["age"]),
    "arithmetic": lambda f: f["age"] + 1,
    "mask as bool": lambda f: bool(f["age"] > 50),
    "mask's rows": lambda f: list(f["age"] > 50),
    "mask's array": lambda f: np.asarray(f["age"] > 50),
    "comparison": lambda f: f == 5,
    "copy": copy.copy,
    "deep copy": copy.deepcopy,
    "pickle": pickle.dumps,
    "assignment": lambda f: f.__setitem__("age", 3),
    "plot": lambda f: f.plot,
    "groups without a column": lambda f: f.groupby("sex").mean(),
    "rows of groups": lambda f: list(f.groupby("sex")),
    "other statistics of groups": lambda f: f.groupby("sex")["age"].agg("mean"),
    "mean of a frame": lambda f: f.mean(),
    "isna of a frame": lambda f: f.isna(),
    "any other method": lambda f: f.interpolate(),
}


@pytest.fixture(scope="module")
def frame():
    return exact(declared=True)


@pytest.mark.parametrize("look", LOOKING)
def test_looking_at_rows_is_refused_with_the_question_to_ask(frame, look):
    with pytest.raises(PrivateDataError) as error:
        LOOKING[look](frame)
    assert error.value.do.startswith(("Ask", "Keep", "Name a column", "Owners run"))


@pytest.mark.parametrize(
    ("look", "instead"),
    [("head", "mock"), ("len", "count()"), ("min", "quantile(.01)"), ("shape", "count()"), ("unique", "value_counts")],
)
def test_the_question_to_ask_fits(frame, look, instead):
    with pytest.raises(PrivateDataError, match=re.escape(instead)):
        LOOKING[look](frame)


def test_an_attribute_that_pandas_does_not_have_is_missing_as_usual(frame):
    with pytest.raises(AttributeError, match="no attribute 'nonsense'") as error:
        frame.nonsense  # noqa: B018
    assert not isinstance(error.value, PrivateDataError)
    assert not hasattr(frame, "__wrapped__")


def test_what_is_public_is_shown(frame):
    assert list(frame.columns) == list(pooled().columns)
    assert frame.dtypes["sex"] == str(pooled()["sex"].dtype)
    assert "age" in frame
    assert "height" not in frame
    assert set(frame._ipython_key_completions_()) == set(frame.columns)
    mock = frame.mock(20)
    assert list(mock.columns) == list(frame.columns)
    assert mock["age"].between(20, 100).all()
    for thing in (frame, frame["age"], frame["age"] > 50, frame.groupby("sex"), frame.groupby("sex")["age"]):
        assert "rivate" in repr(thing) or "knows" in repr(thing)
        assert "<script" not in getattr(thing, "_repr_html_", str)()


def settings(frame):
    return {
        "unknown column": lambda: frame["height"],
        "unknown columns": lambda: frame[["age", "height"]],
        "mean of labels": lambda: frame["sex"].mean(epsilon=None),
        "numbers by value": lambda: frame.value_counts("age"),
        "groups of numbers": lambda: frame.groupby("age").size(),
        "smallest value": lambda: frame["age"].quantile(0.0),
        "no quantile": lambda: frame["age"].quantile([]),
        "bins": lambda: frame.histogram("age", 0),
        "edges": lambda: frame.histogram("age", [3, 2]),
        "text as bins": lambda: frame.histogram("age", "many"),
        "three groups": lambda: frame.ttest("age", by="chest_pain"),
        "one column": lambda: frame.vif(["age"]),
        "a number as column": lambda: frame.quantile(0.5),
        "no column": lambda: frame.corr([]),
        "no column to compare": lambda: frame.drift([]),
        "itself": lambda: frame.crosstab("sex", "sex"),
        "drift of one": lambda: PrivateFrame(frame._source.federation, owner="North").drift(),
        "bins of evidence": lambda: frame.woe("diagnosis", "ill", bins=1),
        "no such event": lambda: frame.woe("diagnosis", "dead"),
        "odd mask": lambda: (frame["age"] > 50) & True,
        "unknown owner": lambda: PrivateFrame(frame._source.federation, owner="Nobody"),
        "no federation": lambda: PrivateFrame(pooled()),
        "bounds of labels": lambda: PrivateFrame(frame._source.federation, bounds={"sex": (0, 1)}),
        "bounds upside down": lambda: PrivateFrame(frame._source.federation, bounds={"age": (3, 1)}),
        "bounds of nobody": lambda: PrivateFrame(frame._source.federation, bounds=[1, 2]),
        "values twice": lambda: PrivateFrame(frame._source.federation, categories={"sex": ["a", "a"]}),
        "standardise nothing": lambda: frame.standardise().transform(pd.DataFrame({"z": [1]})),
        "epsilon of exact answers": lambda: frame["age"].mean(epsilon=1.0),
        "epsilon of an exact frame": lambda: PrivateFrame(frame._source.federation, epsilon=1.0),
    }


@pytest.mark.parametrize("case", list(settings(None)))
def test_questions_that_make_no_sense_are_refused_in_three_sentences(frame, case):
    with pytest.raises(SettingError) as error:
        settings(frame)[case]()
    assert all(part.rstrip(")\"'").endswith(".") or part.endswith(".") for part in (error.value.what, error.value.why))


def test_noise_needs_declared_bounds_and_lists():
    federation = fl.Federation(owners(), protect=fl.RowLevelDP(noise_multiplier=1.0))
    frame = PrivateFrame(federation, epsilon=1.0)
    for ask in (frame["age"].mean, frame.describe, frame.corr, lambda: frame.histogram("age")):
        with pytest.raises(SettingError, match="no declared bounds"):
            ask()
    with pytest.raises(SettingError, match="no declared list"):
        frame.value_counts("sex")
    assert frame["age"].histogram([0, 50, 100]).shape[0] == 2
    assert PrivateFrame(federation, epsilon=1.0, categories={"sex": ["female", "male"]}).value_counts("sex").shape == (
        2,
        2,
    )


def test_noise_needs_an_epsilon_or_a_budget():
    with pytest.raises(SettingError, match="no budget was agreed on"):
        noisy(None).count()
    for epsilon in (0.0, -1.0, np.inf, True, "1"):
        with pytest.raises(SettingError, match="finite number above 0"):
            noisy(1.0).count(epsilon=epsilon)


def test_whole_owners_cannot_be_protected_by_questions_about_rows():
    federation = fl.Federation(declared(), protect=fl.OwnerLevelDP(noise_multiplier=1.0))
    with pytest.raises(RuleError, match="protects whole owners"):
        PrivateFrame(federation, epsilon=1.0).count()


def test_no_question_is_asked_while_a_run_goes_on():
    frame = exact()
    with frame._source.federation.in_use(), pytest.raises(SettingError, match="already"):
        frame.count()


def test_a_failing_question_shows_no_row():
    table = pooled().copy()
    table["note"] = [SECRETS[1]] * len(table)
    made = [fl.DataOwner(n, t, target="diagnosis") for n, t in (("A", table[:300]), ("B", table[300:]))]
    frame = PrivateFrame(fl.Federation(made))
    frame._source.columns["note"]
    broken = frame[frame["age"] > 50]
    object.__setattr__(broken._source.condition, "sign", "nonsense")
    with pytest.raises(RoundError) as error:
        broken.count()
    shown = "".join(traceback.format_exception(error.value))
    assert SECRETS[1] not in shown
    assert "withheld" in str(error.value)


def test_answers_carry_no_rows():
    table = pd.DataFrame({"x": np.r_[np.zeros(40), 918273.0], "y": ["a", "b"] * 20 + ["a"]})
    made = [fl.DataOwner(n, t, target="y") for n, t in (("A", table[:20]), ("B", table[20:]))]
    frame = PrivateFrame(fl.Federation(made))
    for answer in (frame.histogram("x", [0, 10, 1e6]), frame["x"].quantile([0.5]), frame.describe(), frame.missing()):
        for text in (repr(answer), answer._repr_html_(), repr(answer.attrs)):
            assert "918273" not in text


RARE = {
    "value counts": lambda f: f.value_counts("name"),
    "cross table": lambda f: f.crosstab("ill", "name"),
    "groups": lambda f: f.groupby("name").size(),
    "means of groups": lambda f: f.groupby("name")["age"].mean(),
    "test": lambda f: f.ttest("age", by="name"),
    "curves": lambda f: f.kaplan_meier("age", "ill", by="name"),
    "evidence": lambda f: f.woe("ill", True),
    "drift": lambda f: f.drift(),
    "a condition that no row meets": lambda f: f[f["age"] > 1000].value_counts("often"),
}


@pytest.mark.parametrize("case", list(RARE))
def test_a_column_of_rare_values_only_is_named_and_what_to_declare(case):
    table = pd.DataFrame({"name": [f"name {i // 4}" for i in range(40)], "often": ["a", "b"] * 20, "age": range(40)})
    table["ill"] = [True, True, False, False] * 10
    frame = PrivateFrame(fl.Federation(owners(tables={"North": table, "South": table}, target="ill")))
    with pytest.raises(SettingError, match=r"No value of column '\w+' has 5 rows or more at any owner") as caught:
        RARE[case](frame)
    said, column = str(caught.value), "often" if "condition" in case else "name"
    assert f'fl.DataOwner(..., categories={{"{column}": [...]}})' in said
    assert re.search(r"name \d", said) is None
    assert frame.crosstab("often", "ill").shape == (2, 2)
