import copy
import pickle
import pprint
import traceback
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedlab_nb.data import clinics
from fedlab_nb.errors import PrivateDataError, RoundError, SettingError
from fedlab_nb.parties.owner import DataOwner

SECRETS = ("918273", "Zanzibar", "564738")


@pytest.fixture
def frame():
    return pd.DataFrame(
        {
            "age": [918273.5, 41.0, None, 33.0, 60.0],
            "place": ["Zanzibar", "Rome", "Rome", None, "Oslo"],
            "visits": [564738, 2, 3, 4, 5],
            "ill": ["no", "yes", "yes", "no", "yes"],
        }
    )


@pytest.fixture
def owner(frame):
    return DataOwner("Clinic A", frame, target="ill")


def assert_silent(text):
    assert not any(secret in str(text) for secret in SECRETS), text


def test_every_way_of_printing_gives_the_same_line_and_no_value(owner):
    line = "DataOwner('Clinic A', 2 numeric and 1 categorical columns, target 'ill', rows private)"
    assert repr(owner) == str(owner) == f"{owner}" == f"{owner:>200}" == format(owner, ".2f") == line
    assert pprint.pformat([owner]) == f"[{line}]"


def test_looking_into_the_object_shows_public_facts_only(owner):
    assert_silent(vars(owner))
    assert_silent([getattr(owner, name) for name in dir(owner) if name != "mock"])
    assert dir(owner) == ["budget", "held_out", "id", "mock", "name", "schema", "target"]
    assert owner._ipython_key_completions_() == []
    assert_silent(vars(type(owner)))
    assert_silent(owner.__dict__)


def test_the_notebooks_own_displays_work_and_show_no_value(owner):
    from IPython.core.formatters import DisplayFormatter

    bundle, _ = DisplayFormatter().format(owner)
    assert "Clinic A" in bundle["text/html"]
    assert_silent(bundle)


def test_the_card_escapes_what_users_named():
    named = DataOwner("<script>x</script>", pd.DataFrame({"a": [1, 2], "b": [True, False]}), target="b")
    assert "<script>x" not in named._repr_html_()


@pytest.mark.parametrize(
    "name",
    [
        "frame",
        "data",
        "rows",
        "df",
        "values",
        "iloc",
        "loc",
        "head",
        "tail",
        "sample",
        "describe",
        "to_numpy",
        "to_csv",
        "to_dict",
        "columns",
        "shape",
        "index",
        "groupby",
        "plot",
        "query",
        "age",
        "place",
        "visits",
        "T",
    ],
)
def test_attributes_of_tables_and_columns_are_refused_and_say_what_may_be_asked(owner, name):
    with pytest.raises(PrivateDataError) as caught:
        getattr(owner, name)
    assert f".{name}" in caught.value.what
    assert ".schema" in caught.value.do
    assert ".mock()" in caught.value.do
    assert "fl.train" in caught.value.do
    assert not hasattr(owner, name)


@pytest.mark.parametrize(
    "ask",
    [
        len,
        list,
        iter,
        reversed,
        sorted,
        sum,
        np.asarray,
        np.mean,
        pd.DataFrame,
        pd.Series,
        pickle.dumps,
        copy.copy,
        copy.deepcopy,
        float,
        abs,
        lambda o: o[0],
        lambda o: o["age"],
        lambda o: o.__setitem__("age", 1),
        lambda o: 41.0 in o,
        lambda o: o + 1,
        lambda o: 1 - o,
        lambda o: o @ o,
        lambda o: o > 40,
        lambda o: o == 41.0,
        lambda o: o != 41.0,
        lambda o: np.add(o, 1),
        lambda o: np.float64(1) * o,
        pd.api.interchange.from_dataframe,
    ],
)
@pytest.mark.filterwarnings("ignore:The DataFrame Interchange Protocol is deprecated")
def test_every_operation_on_the_rows_is_refused(owner, ask):
    with pytest.raises(PrivateDataError):
        ask(owner)


def test_an_unknown_attribute_is_an_ordinary_mistake(owner):
    with pytest.raises(AttributeError) as caught:
        owner.fit  # noqa: B018
    assert not isinstance(caught.value, PrivateDataError)


def test_owners_are_true_can_be_found_in_lists_and_keyed_by(owner, frame):
    twin = DataOwner("Clinic A", frame, target="ill")
    assert owner
    assert owner == owner
    assert owner != twin
    assert [twin, owner].index(owner) == 1
    assert {owner: 1}[owner] == 1


def test_public_facts_cannot_be_overwritten(owner):
    with pytest.raises(AttributeError):
        owner.held_out = 0.0


def test_work_inside_sees_the_rows_and_later_changes_to_the_frame_do_not_reach_it(owner, frame):
    frame.loc[:, "age"] = 0.0
    ages = owner._inside(lambda rows: sorted(pd.concat([rows.training[0], rows.held_out[0]])["age"]), stage="look")
    assert 918273.5 in ages
    assert owner._inside(repr, stage="look") == "Rows(private)"


def test_work_inside_finds_what_it_kept_there(owner):
    owner._inside(lambda rows: rows.cache.update(encoded=3), stage="encode")
    assert owner._inside(lambda rows: rows.cache["encoded"], stage="encode") == 3


def failing(kind):
    def work(rows):
        age = rows.training[0]["age"].tolist()
        try:
            raise KeyError(age)  # noqa: TRY301
        except KeyError:
            raise kind(f"bad value {age}")  # noqa: B904

    return work


def test_a_failure_beside_the_rows_names_owner_and_stage_and_quotes_nothing(owner):
    with pytest.raises(RoundError) as caught:
        owner._inside(failing(ZeroDivisionError), stage="training")
    error = caught.value
    assert (error.party, error.stage) == ("Clinic A", "training")
    assert "ZeroDivisionError" in error.what
    assert error.__cause__ is None
    assert error.__context__ is None
    assert_silent(error)
    assert_silent("".join(traceback.TracebackException.from_exception(error, capture_locals=True).format()))


def test_errors_of_this_package_pass_without_what_led_to_them(owner):
    def work(rows):
        try:
            raise KeyError(rows.training[0]["age"].tolist())  # noqa: TRY301
        except KeyError:
            raise SettingError("clip=-1 was given.", "It must be positive.", "Use 1.")  # noqa: B904

    with pytest.raises(SettingError) as caught:
        owner._inside(work, stage="training")
    assert caught.value.__context__ is None
    assert_silent("".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format()))


def test_an_interruption_goes_on_without_the_frames_that_hold_rows(owner):
    with pytest.raises(KeyboardInterrupt) as caught:
        owner._inside(failing(KeyboardInterrupt), stage="training")
    frames = [line.name for line in traceback.extract_tb(caught.tb)]
    assert "work" not in frames


def test_the_verbose_traceback_of_ipython_prints_no_row(owner):
    from IPython.core.ultratb import VerboseTB

    try:
        owner._inside(failing(ValueError), stage="training")
    except RoundError as error:
        shown = VerboseTB(theme_name="nocolor").text(type(error), error, error.__traceback__)
    assert "RoundError" in shown
    assert_silent(shown)


def sides(frame, share=0.2):
    """The values of column "number" that train, and those that are held out; repeated values as often as they occur."""
    look = lambda r: (sorted(r.training[0]["number"]), sorted(r.held_out[0]["number"]))  # noqa: E731
    return DataOwner("A", frame, target="y", held_out=share)._inside(look, stage="look")


def numbered(values):
    return pd.DataFrame({"number": np.asarray(values), "y": np.asarray(values) % 2 == 0})


@settings(max_examples=60, deadline=None)
@given(values=st.lists(st.integers(0, 30), min_size=2, max_size=60), share=st.floats(0, 0.5), data=st.data())
def test_adding_removing_or_moving_rows_moves_no_other_row_to_the_other_side(values, share, data):
    training, held_out = sides(numbered(values), share)
    assert sorted([*training, *held_out]) == sorted(values)
    assert sides(numbered(data.draw(st.permutations(values))), share) == (training, held_out)
    extra = data.draw(st.integers(0, 40))
    more = sides(numbered([*values, extra]), share)
    assert sorted(more[0] + more[1]) == sorted([*values, extra])
    assert sum(len(b) - len(a) for a, b in zip((training, held_out), more, strict=True)) == 1
    for before, after in zip((training, held_out), more, strict=True):
        assert not Counter(before) - Counter(after)


def test_about_the_asked_share_of_rows_is_held_out_and_a_larger_share_only_adds_to_it():
    frame = numbered(range(5000))
    for share in (0.1, 0.2, 0.5):
        assert abs(len(sides(frame, share)[1]) - 5000 * share) < 150
    assert set(sides(frame, 0.1)[1]) < set(sides(frame, 0.3)[1])
    assert sides(frame, 0.0)[1] == []


def test_identical_rows_are_divided_one_by_one():
    _, held_out = sides(numbered([7] * 1000))
    assert abs(len(held_out) - 200) < 60


def test_a_missing_target_leaves_out_its_own_row_and_moves_no_other():
    y = np.arange(400) % 2 == 0
    frame = pd.DataFrame({"number": np.arange(400), "y": y.astype(object)})
    holes = frame.copy()
    holes.loc[[3, 4, 20], "y"] = None
    for whole, holed in zip(sides(frame), sides(holes), strict=True):
        assert holed == [n for n in whole if n not in (3, 4, 20)]


def fingerprint(frame, name="A", **more):
    return DataOwner(name, frame, **{"target": "ill", **more})._inside(lambda rows: rows.content, stage="look")


def test_the_fingerprint_is_of_the_content_not_of_its_name_order_or_use(frame, tmp_path):
    same = fingerprint(frame)
    assert fingerprint(frame, name="Another name") == same
    assert fingerprint(frame.sample(frac=1, random_state=1)) == same
    assert fingerprint(frame[frame.columns[::-1]]) == same
    assert fingerprint(frame, target="visits", held_out=0.4, bounds={"age": (0, 1)}) == same
    frame.to_parquet(tmp_path / "a.parquet")
    frame.to_csv(tmp_path / "a.csv", index=False)
    assert fingerprint(tmp_path / "a.parquet") == fingerprint(str(tmp_path / "a.csv")) == same
    assert fingerprint(frame.assign(visits=frame["visits"] + 1)) != same
    assert fingerprint(frame.rename(columns={"age": "years"})) != same
    assert fingerprint(frame[:4]) != same


def test_mock_rows_have_the_same_columns_and_no_real_value(owner, frame):
    mock = owner.mock(rows=50, seed=1)
    assert list(mock.columns) == list(frame.columns)
    assert len(mock) == 50
    assert "invented" in mock.attrs
    assert_silent(mock.to_csv())
    assert not set(mock["place"]) & set(frame["place"].dropna())
    assert mock.equals(owner.mock(rows=50, seed=1))
    assert DataOwner("Twin", mock, target="ill").schema.features[0].name == "age"
    with pytest.raises(SettingError):
        owner.mock(rows=0)


def test_equal_content_gives_equal_schemas_whatever_the_file(tmp_path):
    frame = clinics()
    frame.to_csv(tmp_path / "clinics.csv", index=False)
    frame.to_parquet(tmp_path / "clinics.parquet")
    schemas = [DataOwner("A", d, target="diagnosis").schema for d in (frame, tmp_path / "clinics.csv")]
    assert [(c.name, c.kind) for c in schemas[0].features] == [(c.name, c.kind) for c in schemas[1].features]
    parquet = DataOwner("A", tmp_path / "clinics.parquet", target="diagnosis").schema
    assert [(c.name, c.kind) for c in parquet.features] == [(c.name, c.kind) for c in schemas[0].features]
