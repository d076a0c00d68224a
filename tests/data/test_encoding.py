import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedlab_nb.data import breast_cancer, clinics
from fedlab_nb.data.encoding import decode, encode, encode_rows, encode_target, usable
from fedlab_nb.data.intake import make_schema
from fedlab_nb.data.learned import make_encoding
from fedlab_nb.data.sums import category_counts, moments, moments_sensitivity, octave_counts, ranges_from_counts
from fedlab_nb.data.table import tidy
from fedlab_nb.errors import SchemaError


def prepare(parts, schema, noise=None, ranges=None):
    """The encoding that owners who hold ``parts`` arrive at."""
    pairs = [tidy(part, schema) for part in parts]
    learned, missing = ranges_from_counts(sum(octave_counts(*p, schema) for p in pairs), schema, noise_sd=0.0)
    learned = learned if ranges is None else ranges
    total = sum(moments(*p, schema, learned) for p in pairs)
    sd = 0.0
    if noise is not None:
        sd = moments_sensitivity(schema)
        total = total + noise.normal(0, sd, total.size)
    lists = {}
    for pair in pairs:
        for name, counts in category_counts(*pair, schema).items():
            lists.setdefault(name, {}).update(counts)
    return make_encoding(schema, learned, missing, total, lists, noise_sd=sd)


@settings(max_examples=60, deadline=None)
@given(
    values=st.lists(st.one_of(st.none(), st.integers(-5000, 5000).map(lambda v: v / 8)), min_size=4, max_size=40),
    cut=st.integers(1, 3),
)
def test_summed_vectors_give_the_pooled_mean_and_standard_deviation(values, cut):
    values = np.array(values, dtype=float)
    frame = pd.DataFrame({"x": values, "y": np.arange(len(values)) % 2 == 0})
    schema = make_schema(frame, "A", "y")
    code = prepare([frame[:cut], frame[cut:]], schema).inputs[0]
    present = values[~np.isnan(values)]
    half = (code.high - code.low) / 2
    if present.size and present.std() > 1e-3 * half:
        assert code.centre == pytest.approx(present.mean(), abs=1e-9 * half)
        assert code.scale == pytest.approx(present.std(), rel=1e-8)
    assert code.indicator == bool(np.isnan(values).any())


def test_the_encoding_does_not_depend_on_who_holds_which_row():
    frame = clinics()
    schema = make_schema(frame, "A", "diagnosis")
    one = prepare([frame], schema)
    many = prepare([part for _, part in frame.groupby("clinic")], schema)
    assert one.feature_names == many.feature_names
    assert np.allclose(encode(frame, one), encode(frame, many), atol=1e-6)
    assert one.task == "binary"
    assert one.classes == ("healthy", "ill")


def test_encoded_columns_have_mean_zero_and_spread_one_like_scikit_learns():
    from sklearn.preprocessing import StandardScaler

    frame = breast_cancer()
    schema = make_schema(frame, "A", "diagnosis")
    encoding = prepare([frame[:100], frame[100:]], schema)
    X = encode(frame, encoding)
    assert X.dtype == np.float32
    reference = StandardScaler().fit_transform(frame.iloc[:, :-1])
    assert np.allclose(X, np.clip(reference, -8, 8), atol=1e-5)
    assert encoding.n_inputs == 30
    assert encoding.n_outputs == 1


def test_missing_numbers_are_zero_with_an_indicator_and_unknown_categories_all_zeros():
    frame = clinics()
    schema = make_schema(frame, "A", "diagnosis")
    encoding = prepare([frame], schema)
    row = frame.iloc[[0]].assign(cholesterol=np.nan, chest_pain="unheard of", sex=None)
    coded = pd.Series(encode(row, encoding)[0], index=encoding.feature_names)
    assert coded["cholesterol"] == 0.0
    assert coded["cholesterol (missing)"] == 1.0
    assert coded["blood_pressure (missing)"] == float(pd.isna(frame["blood_pressure"][0]))
    assert coded.filter(regex="^(chest_pain|sex)=").abs().sum() == 0.0
    assert "age (missing)" not in encoding.feature_names


def test_gaps_in_a_column_with_declared_bounds_show_in_the_moments():
    frame = pd.DataFrame({"x": [1.0, np.nan, 3.0, 4.0], "z": [1.0, 2.0, 3.0, 4.0], "y": list("abab")})
    schema = make_schema(frame, "A", "y", {"x": (0, 8), "z": (0, 8)})
    x, z = prepare([frame], schema).inputs
    assert x.indicator
    assert not z.indicator


def test_a_constant_column_is_centred_and_keeps_its_scale():
    frame = pd.DataFrame({"x": [7.0] * 6, "y": list("ababab")})
    schema = make_schema(frame, "A", "y")
    encoding = prepare([frame], schema)
    assert encoding.inputs[0].scale == 1.0
    assert np.allclose(encode(frame, encoding), 0.0, atol=1e-6)


def test_noise_never_blows_a_column_up():
    frame = breast_cancer()
    schema = make_schema(frame, "A", "diagnosis")
    exact = prepare([frame], schema)
    for seed in range(20):
        noisy = prepare([frame], schema, noise=np.random.default_rng(seed))
        for one, other in zip(exact.inputs, noisy.inputs, strict=True):
            assert other.scale > 0.5 * one.scale
            assert other.low <= other.centre <= other.high
        assert not any(code.indicator for code in noisy.inputs)


def test_hardly_any_rows_under_noise_leave_the_middle_of_the_range():
    frame = pd.DataFrame({"x": [1.0, 2.0], "y": [True, False]})
    schema = make_schema(frame, "A", "y", {"x": (0, 8)})
    encoding = make_encoding(schema, {}, {}, np.array([-3.0, 9.0, -5.0, 2.0]), {"y": [True, False]}, noise_sd=4.0)
    assert (encoding.inputs[0].centre, encoding.inputs[0].scale) == (4.0, 4.0)


def test_values_beyond_their_bounds_are_clipped_to_them():
    frame = pd.DataFrame({"x": [1.0, 2.0, 3.0, 900.0], "y": list("abab")})
    schema = make_schema(frame, "A", "y", {"x": (0, 4)})
    encoding = prepare([frame], schema)
    X = encode(pd.DataFrame({"x": [4.0, 900.0, np.inf]}), encoding)
    assert X[0] == X[1] == X[2]


def test_a_frame_without_a_needed_column_is_refused_by_name_and_others_are_ignored():
    frame = clinics()
    encoding = prepare([frame], make_schema(frame, "A", "diagnosis"))
    with pytest.raises(SchemaError, match="'age', 'sex'"):
        encode(frame.drop(columns=["age", "sex"]), encoding)
    with pytest.raises(SchemaError, match="'age'"):
        encode(frame.assign(age="old"), encoding)
    assert np.array_equal(encode(frame.assign(more=1), encoding), encode(frame, encoding))
    assert encode(frame[:0], encoding).shape == (0, encoding.n_inputs)


def test_two_classes_become_zero_and_one_and_back():
    frame = clinics()
    encoding = prepare([frame], make_schema(frame, "A", "diagnosis"))
    y = encode_target(frame["diagnosis"], encoding)
    assert y.dtype == np.float32
    assert list(decode(2 * y - 1, encoding)) == list(frame["diagnosis"])


def test_more_classes_become_numbers_and_back_in_canonical_order():
    frame = pd.DataFrame({"x": range(6), "y": [10, 9, 2, 10, 9, 2]})
    encoding = prepare([frame[:3], frame[3:]], make_schema(frame, "A", "y"))
    assert encoding.classes == (2, 9, 10)
    assert encoding.task == "multiclass"
    y = encode_target(frame["y"], encoding)
    assert y.dtype == np.int64
    assert list(decode(np.eye(3)[y], encoding)) == list(frame["y"])


def test_a_regression_target_is_standardised_and_comes_back_in_its_units():
    frame = pd.DataFrame({"x": np.arange(50.0), "y": np.linspace(100, 200, 50)})
    encoding = prepare([frame], make_schema(frame, "A", "y"))
    y = encode_target(frame["y"], encoding)
    assert abs(y.mean()) < 1e-6
    assert y.std() == pytest.approx(1.0, abs=1e-6)
    assert np.allclose(decode(y, encoding), frame["y"], atol=1e-3)
    assert (encoding.task, encoding.n_outputs, encoding.classes) == ("regression", 1, ())


def test_rows_of_an_unknown_class_are_told_apart_and_never_guessed():
    frame = clinics()
    encoding = prepare([frame], make_schema(frame, "A", "diagnosis"))
    strange = pd.Series(["ill", "unheard of", None])
    assert usable(strange, encoding).tolist() == [True, False, False]
    with pytest.raises(SchemaError) as caught:
        encode_target(strange, encoding)
    assert "unheard" not in str(caught.value)
    X, y = encode_rows(frame[:3], strange, encoding)
    assert X.shape == (1, encoding.n_inputs)
    assert y.tolist() == [1.0]


def test_one_class_only_is_refused():
    frame = pd.DataFrame({"x": [1.0, 2.0, 3.0], "y": ["a", "a", "a"]})
    with pytest.raises(SchemaError, match="'y'"):
        prepare([frame], make_schema(frame, "A", "y"))
