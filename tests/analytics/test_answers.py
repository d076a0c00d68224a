"""Answers are ordinary DataFrames and floats that say how they were made, and draw themselves."""

import copy
import pickle
from html import escape
from xml.etree import ElementTree as ET

import numpy as np
import pandas as pd
import pytest

import fedlab_nb as fl
from fedlab_nb.analytics import Answer, Number
from fedlab_nb.errors import SettingError
from fedlab_nb.view.draw.sketches import ticks
from tests.analytics.common import exact, noisy

ANSWERS = {
    "describe": lambda f: f.describe(),
    "describe one": lambda f: f["age"].describe(),
    "value_counts": lambda f: f.value_counts("chest_pain"),
    "histogram": lambda f: f.histogram("age"),
    "quantile": lambda f: f.quantile(["age", "cholesterol"]),
    "corr": lambda f: f.corr(),
    "cov": lambda f: f.cov(),
    "vif": lambda f: f.vif(),
    "crosstab": lambda f: f.crosstab("sex", "chest_pain"),
    "groupby": lambda f: f.groupby(["sex", "smoker"])["age"].mean(),
    "size": lambda f: f.groupby("sex").size(),
    "missing": lambda f: f.missing(),
    "drift": lambda f: f.drift(),
    "standardise": lambda f: f.standardise().table,
    "woe": lambda f: f.woe("diagnosis", "ill"),
    "ttest": lambda f: f.ttest("age", by="sex"),
    "kaplan_meier": lambda f: f.kaplan_meier("age", "diagnosis", happened="ill"),
    "kaplan_meier by": lambda f: f.kaplan_meier("age", "diagnosis", by="sex", happened="ill"),
}


@pytest.fixture(scope="module")
def frames():
    return {"exact": exact(encrypt=fl.CKKS(), declared=True), "noisy": noisy(3.0, seed=1)}


@pytest.mark.parametrize("mode", ["exact", "noisy"])
@pytest.mark.parametrize("name", ANSWERS)
def test_every_answer_is_a_table_with_a_figure_and_a_card(frames, name, mode):
    answer = ANSWERS[name](frames[mode])
    assert isinstance(answer, Answer)
    assert isinstance(answer, pd.DataFrame)
    assert answer.attrs["mode"] == ("exact" if mode == "exact" else "differential privacy")
    card = answer._repr_html_()
    assert "<script" not in card
    assert "Who read it" in card
    assert escape(answer.attrs["question"]) in card
    figure = answer.plot()
    assert figure.layout.title.text == escape(answer.attrs["question"], quote=False)
    assert figure.data
    assert "text/html" not in figure._repr_mimebundle_()
    noise = [column for column in answer.columns if str(column).startswith("noise se")]
    in_index = [row for row in answer.index if str(row).startswith("noise se")]
    assert bool(noise or in_index or answer.noise_se is not None) == (mode == "noisy")


@pytest.mark.parametrize("name", ["corr", "value_counts", "describe"])
def test_answers_behave_like_the_tables_they_are(frames, name):
    answer = ANSWERS[name](frames["exact"])
    assert pd.DataFrame(answer).equals(answer)
    assert isinstance(answer.iloc[:1], Answer)
    assert answer.iloc[:1].attrs == answer.attrs
    assert pickle.loads(pickle.dumps(answer)).equals(answer)
    assert copy.deepcopy(answer).attrs == answer.attrs
    assert answer.T.shape == answer.shape[::-1]
    joined = pd.concat([answer, answer])
    assert len(joined) == 2 * len(answer)


def test_what_lacks_the_figures_columns_says_so(frames):
    part = frames["exact"].histogram("age")[["left"]]
    with pytest.raises(SettingError, match="no longer in it"):
        part.plot()


def test_a_number_is_a_float_with_its_noise(frames):
    exactly, noisily = frames["exact"]["age"].mean(), frames["noisy"]["age"].mean()
    assert isinstance(exactly, Number)
    assert exactly + 1.0 == float(exactly) + 1.0
    assert exactly.noise_se == 0.0
    assert noisily.noise_se > 0.0
    assert "±" in repr(noisily)
    assert "±" not in repr(exactly)
    for told in (exactly, noisily):
        again = pickle.loads(pickle.dumps(told))
        assert (again, again.noise_se, again.attrs) == (told, told.noise_se, told.attrs)
        assert "The mean of age" in told._repr_html_()


def test_it_is_said_who_read_what(frames):
    assert "key holder" in frames["exact"].count().attrs["read by"]
    assert "has seen small cells" in frames["exact"].value_counts("sex")._repr_html_()
    assert exact().count().attrs["read by"].startswith("the server, which reads every owner's part")
    masked = exact(encrypt=fl.SecAgg()).count()
    assert masked.attrs["read by"] == "the server; of single owners nobody reads anything"
    listed = exact().value_counts("sex")
    assert "values of sex" in listed.attrs["left"]


def test_counts_are_whole_numbers_where_all_are_shown(frames):
    assert frames["exact"].value_counts("sex")["count"].dtype.kind == "i"
    assert frames["exact"].crosstab("sex", "smoker").dtypes.map(lambda d: d.kind).eq("i").all()
    assert frames["noisy"].value_counts("sex")["count"].dtype.kind == "f"


def test_names_are_escaped():
    table = pd.DataFrame({"<b>x": np.arange(40.0), "y": ["<i>a", "b"] * 20})
    federation = fl.Federation([fl.DataOwner(n, t, target="y") for n, t in (("A", table[:20]), ("B", table[20:]))])
    frame = fl_frame(federation)
    for answer in (frame.value_counts("y"), frame.describe(), frame["<b>x"].mean(), frame):
        assert "<b>" not in answer._repr_html_()
        assert "<i>" not in answer._repr_html_()
    assert "<b>" not in frame.describe().plot().to_json()


def fl_frame(federation):
    from fedlab_nb.analytics import PrivateFrame

    return PrivateFrame(federation)


@pytest.mark.parametrize("mode", ["exact", "noisy"])
@pytest.mark.parametrize("name", ["describe", "histogram", "corr", "missing", "woe", "ttest", "kaplan_meier by"])
def test_a_figure_leaves_a_picture_that_needs_no_script(frames, name, mode):
    bundle = ANSWERS[name](frames[mode]).plot()._repr_mimebundle_()
    picture = bundle["image/svg+xml"]
    assert ET.fromstring(picture).tag.endswith("svg")
    assert len(picture) < 20_000
    assert "nan" not in picture
    assert "inf" not in picture.replace("variance inflation", "").replace("information", "")


def test_a_picture_of_nothing_that_may_be_shown_is_empty_rather_than_wrong():
    few = exact(declared=True)
    few = few[few["age"] > 88]
    for answer in (few.describe(), few.value_counts("sex"), few.corr(), few.histogram("age", [88, 90, 95])):
        assert "nan" not in answer.plot()._repr_mimebundle_()["image/svg+xml"]


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.05), (-3e-5, 2e-5), (1e9, 1.3e9), (-0.4, 700.0)])
def test_ticks_are_round_and_within(low, high):
    found = ticks(low, high)
    assert 2 <= len(found) <= 7
    assert all(low <= tick <= high for tick in found)
    assert np.allclose(np.diff(found), found[1] - found[0])
