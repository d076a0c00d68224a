import numpy as np
import pandas as pd
from pandas.testing import assert_frame_equal

from fedlab_nb.data import breast_cancer, clinics, digits, iris, wine
from fedlab_nb.data.intake import make_schema
from fedlab_nb.data.samples import invented


def test_breast_cancer_has_exactly_the_numbers_of_scikit_learn():
    from sklearn.datasets import load_breast_cancer

    reference = load_breast_cancer()
    frame = breast_cancer()
    assert list(frame.columns[:-1]) == [name.replace(" ", "_") for name in reference.feature_names]
    assert np.array_equal(frame.iloc[:, :-1].to_numpy(), reference.data)
    assert list(frame["diagnosis"]) == [reference.target_names[t] for t in reference.target]
    assert frame.attrs["target"] == "diagnosis"


def test_clinics_repeats_itself_and_mixes_numbers_categories_and_gaps():
    frame = clinics(seed=3)
    assert_frame_equal(frame, clinics(seed=3))
    assert not frame.equals(clinics(seed=4))
    assert frame.isna().any().to_dict() == {
        name: name in {"blood_pressure", "cholesterol", "chest_pain"} for name in frame.columns
    }
    assert frame.groupby("clinic").size().min() > 40


def test_clinics_carries_a_real_signal():
    frame = clinics()
    ill = frame["diagnosis"] == "ill"
    assert 0.35 < ill.mean() < 0.65
    assert ill[frame["smoker"]].mean() > ill[~frame["smoker"]].mean() + 0.1
    assert ill[frame["age"] > 60].mean() > ill[frame["age"] < 50].mean() + 0.1


def test_invented_rows_fit_the_schema_and_lie_within_its_declarations():
    frame = clinics().drop(columns="clinic")
    schema = make_schema(
        frame,
        "A",
        "diagnosis",
        {"age": (18, 110)},
        {"sex": ["female", "male"], "diagnosis": ["healthy", "ill"]},
    )
    twin = invented(schema, rows=200)
    assert list(twin.columns) == list(frame.columns)
    assert twin["age"].between(18, 110).all()
    assert set(twin["sex"]) == {"female", "male"}
    assert "invented" in twin.attrs
    assert make_schema(twin, "A", "diagnosis").features[1].kind == "category"
    assert twin["smoker"].dtype == frame["smoker"].dtype
    assert isinstance(pd.Series(twin["chest_pain"]).iloc[0], str)


def test_digits_has_exactly_the_numbers_of_scikit_learn():
    from sklearn.datasets import load_digits

    reference, frame = load_digits(), digits()
    assert np.array_equal(frame.iloc[:, :-1].to_numpy(), reference.data)
    assert np.array_equal(frame["digit"], reference.target)
    assert list(frame.columns[[0, 9, 63]]) == ["pixel_0_0", "pixel_1_1", "pixel_7_7"]
    assert frame.attrs["target"] == "digit"


def test_iris_and_wine_have_exactly_the_numbers_of_scikit_learn():
    from sklearn.datasets import load_iris, load_wine

    for frame, reference, target in ((iris(), load_iris(), "species"), (wine(), load_wine(), "cultivar")):
        assert np.array_equal(frame.iloc[:, :-1].to_numpy(), reference.data)
        assert np.array_equal(frame[target].cat.codes, reference.target)
        assert frame.attrs["target"] == target == frame.columns[-1]
    assert list(iris()["species"].cat.categories) == ["setosa", "versicolor", "virginica"]
