import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedlab_nb.data import breast_cancer, clinics
from fedlab_nb.data.intake import make_schema
from fedlab_nb.data.sums import (
    NUM_BINS,
    OCTAVES,
    category_counts,
    moment_columns,
    moments,
    moments_sensitivity,
    octave_columns,
    octave_counts,
    octave_sensitivity,
    ranges_from_counts,
)
from fedlab_nb.data.table import tidy


def table(values, **more):
    frame = pd.DataFrame({"x": values, "y": np.arange(len(values)) % 2 == 0})
    schema = make_schema(frame, "A", "y", **more)
    return *tidy(frame, schema), schema


def test_octaves_are_the_same_for_all_data_and_twice_as_wide_each():
    assert OCTAVES.size == NUM_BINS + 1
    assert np.array_equal(OCTAVES, -OCTAVES[::-1])
    positive = OCTAVES[OCTAVES > 0]
    assert np.array_equal(positive[1:] / positive[:-1], np.full(positive.size - 1, 2.0))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.none(), st.floats(-1e15, 1e15)), min_size=2, max_size=30))
def test_each_row_adds_one_count_to_each_column(values):
    features, target, schema = table(np.array(values, dtype=float))
    counts = octave_counts(features, target, schema)
    assert counts.shape == (NUM_BINS + 1,)
    assert counts.sum() == len(values)
    assert counts[-1] == values.count(None)
    fewer = octave_counts(features[1:], target[1:], schema)
    assert np.linalg.norm(counts - fewer) == octave_sensitivity(schema)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-(2.0**39), 2.0**39), min_size=2, max_size=30))
def test_exact_counts_give_ranges_that_hold_every_value(values):
    features, target, schema = table(values)
    ranges, missing = ranges_from_counts(octave_counts(features, target, schema), schema, noise_sd=0.0)
    low, high = ranges["x"]
    assert low <= min(values) <= max(values) <= high
    assert not missing["x"]


def test_noise_neither_hides_a_column_nor_invents_an_octave():
    frame = breast_cancer()
    schema = make_schema(frame, "A", "diagnosis")
    counts = octave_counts(*tidy(frame, schema), schema)
    exact, _ = ranges_from_counts(counts, schema, noise_sd=0.0)
    rng = np.random.default_rng(0)
    wider = 0
    for _ in range(50):
        noisy, missing = ranges_from_counts(counts + rng.normal(0, 10, counts.size), schema, noise_sd=10.0)
        wider += any(noisy[name][0] < exact[name][0] or noisy[name][1] > exact[name][1] for name in exact)
        assert not any(missing.values())
        assert noisy["mean_radius"] == (8.0, 32.0) or noisy["mean_radius"] == (8.0, 16.0)
    assert wider <= 3


def test_a_column_without_any_value_gets_a_neutral_range():
    features, target, schema = table([np.nan, np.nan, np.nan])
    ranges, missing = ranges_from_counts(octave_counts(features, target, schema), schema, noise_sd=0.0)
    assert ranges["x"][0] < 0 < ranges["x"][1]
    assert missing["x"]


def test_declared_bounds_need_no_octaves():
    features, target, schema = table([1.0, 2.0, 3.0], bounds={"x": (0, 10)})
    assert octave_columns(schema) == ()
    assert octave_counts(features, target, schema).size == 0
    assert ranges_from_counts(np.zeros(0), schema, noise_sd=3.0) == ({}, {})
    assert moments(features, target, schema, {})[-1] == 3


def test_a_regression_target_is_counted_and_summed_last():
    frame = pd.DataFrame({"x": [1.0, 2.0, 3.0], "y": [10.5, 20.5, 30.5]})
    schema = make_schema(frame, "A", "y")
    assert [column.name for column in moment_columns(schema)] == ["x", "y"]
    assert octave_counts(*tidy(frame, schema), schema).size == 2 * (NUM_BINS + 1)
    assert moments(*tidy(frame, schema), schema, {"x": (0, 4), "y": (0, 64)}).size == 7


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6)), min_size=2, max_size=30))
def test_one_row_moves_the_moments_by_no_more_than_the_stated_sensitivity(values):
    features, target, schema = table(np.array(values, dtype=float))
    ranges = {"x": (-1.0, 3.0)}
    step = moments(features, target, schema, ranges) - moments(features[1:], target[1:], schema, ranges)
    assert np.linalg.norm(step) <= moments_sensitivity(schema) + 1e-9
    assert moments_sensitivity(schema) == math.sqrt(4)


@pytest.mark.parametrize("owners", [2, 7])
def test_vectors_of_owners_add_up_to_the_vector_of_all_rows(owners):
    frame = clinics()
    schema = make_schema(frame, "A", "diagnosis")
    features, target = tidy(frame, schema)
    ranges = {"age": (16.0, 128.0), "blood_pressure": (64.0, 256.0), "cholesterol": (64.0, 512.0)}
    parts = [(features[i::owners], target[i::owners]) for i in range(owners)]
    counts = sum(octave_counts(f, t, schema) for f, t in parts)
    assert np.array_equal(counts, octave_counts(features, target, schema))
    sums = sum(moments(f, t, schema, ranges) for f, t in parts)
    assert np.allclose(sums, moments(features, target, schema, ranges), rtol=0, atol=1e-9)


def test_categories_are_counted_only_where_they_are_not_declared():
    frame = clinics()
    schema = make_schema(frame, "A", "diagnosis", categories={"sex": ["female", "male"]})
    counts = category_counts(*tidy(frame, schema), schema)
    assert list(counts) == ["smoker", "chest_pain", "clinic", "diagnosis"]
    assert counts["chest_pain"] == frame["chest_pain"].value_counts().to_dict()
    assert sum(counts["diagnosis"].values()) == len(frame)
