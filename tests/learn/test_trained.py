import numpy as np
import pandas as pd
import pytest
import torch
from sklearn import metrics as oracle

from fedlab_nb.errors import SchemaError
from fedlab_nb.learn import TrainedModel, initial_weights
from fedlab_nb.learn.models import logistic, mlp

CLASSES = {"binary": ("no", "yes"), "multiclass": ("low", "mid", "high"), "regression": ()}


class Reading:
    """Two columns whose reading and saying is done here, in two lines each."""

    inputs, target = ("a", "b"), "y"

    def __init__(self, task, scale):
        self.task, self.classes, self.scale = task, CLASSES[task], scale
        self.names = {name: number for number, name in enumerate(CLASSES[task])}

    def read(self, frame):
        return frame[["a", "b"]].to_numpy(dtype=np.float32)

    def read_target(self, frame):
        keep = frame["y"].notna().to_numpy()
        known = frame["y"][keep]
        return keep, (known.map(self.names) if self.names else known / self.scale).to_numpy(dtype=np.float64)

    def say(self, scores):
        if not self.names:
            return scores[:, 0] * self.scale
        place = scores.argmax(1) if scores.shape[1] > 1 else (scores[:, 0] > 0).astype(int)
        return np.array(self.classes, dtype=object)[place]


def model_for(task, *, weights=None, scale=1.0):
    outputs = 3 if task == "multiclass" else 1
    begun = initial_weights(logistic(), 2, outputs, 3) if weights is None else weights
    return TrainedModel(logistic(), begun, Reading(task, scale))


def frame_for(task, n=120, *, tied=False):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=n), "b": rng.normal(size=n)})
    if tied:
        frame = frame.round()
    signal = frame["a"] + rng.normal(size=n)
    if task == "regression":
        return frame.assign(y=signal)
    return frame.assign(y=pd.cut(signal, len(CLASSES[task]), labels=list(CLASSES[task])).astype(object))


@pytest.mark.parametrize("tied", [False, True])
def test_the_scores_of_two_classes_are_scikit_learns_also_where_many_rows_tie(tied):
    frame, model = frame_for("binary", tied=tied), model_for("binary")
    truth, chances = frame["y"] == "yes", model.predict_proba(frame)
    found = model.evaluate(frame)
    assert found["auc"] == pytest.approx(oracle.roc_auc_score(truth, chances[:, 1]), abs=1e-12)
    assert found["accuracy"] == oracle.accuracy_score(frame["y"], model.predict(frame))
    assert found["loss"] == pytest.approx(oracle.log_loss(truth, chances[:, 1]))


@pytest.mark.parametrize("tied", [False, True])
def test_the_scores_of_several_classes_are_scikit_learns(tied):
    frame, model = frame_for("multiclass", tied=tied), model_for("multiclass")
    truth = frame["y"].map({name: number for number, name in enumerate(CLASSES["multiclass"])}).astype(int)
    chances = model.predict_proba(frame)
    found = model.evaluate(frame)
    assert found["auc"] == pytest.approx(oracle.roc_auc_score(truth, chances, multi_class="ovr"), abs=1e-12)
    assert found["accuracy"] == oracle.accuracy_score(frame["y"], model.predict(frame))
    assert found["loss"] == pytest.approx(oracle.log_loss(truth, chances))


def test_the_scores_of_numbers_are_scikit_learns_in_the_targets_own_units():
    frame, model = frame_for("regression"), model_for("regression", scale=12.5)
    found = model.evaluate(frame)
    assert found["rmse"] == pytest.approx(oracle.root_mean_squared_error(frame["y"], model.predict(frame)), rel=1e-6)
    assert found["r2"] == pytest.approx(oracle.r2_score(frame["y"], model.predict(frame)), rel=1e-6)


@pytest.mark.parametrize("task", CLASSES)
def test_rows_without_a_target_are_left_out(task):
    frame, model = frame_for(task), model_for(task)
    holes = frame.copy()
    holes.loc[holes.index[::3], "y"] = None
    assert model.evaluate(holes) == model.evaluate(frame.drop(frame.index[::3]))


@pytest.mark.parametrize("task", CLASSES)
def test_without_any_known_target_there_is_an_error_and_no_nan(task):
    frame = frame_for(task)
    for nothing in (frame.iloc[:0], frame.assign(y=None)):
        with pytest.raises(SchemaError, match="known target 'y'"):
            model_for(task).evaluate(nothing)


def test_what_cannot_be_told_is_absent_and_not_nan():
    one_class = frame_for("binary").assign(y="yes")
    assert set(model_for("binary").evaluate(one_class)) == {"accuracy", "loss"}
    constant = frame_for("regression").assign(y=3.0)
    assert set(model_for("regression").evaluate(constant)) == {"rmse"}


def test_probabilities_follow_the_order_of_the_classes_and_numbers_have_none():
    frame = frame_for("multiclass")
    chances = model_for("multiclass").predict_proba(frame)
    assert chances.sum(1) == pytest.approx(np.ones(len(frame)))
    assert (
        np.array(CLASSES["multiclass"])[chances.argmax(1)].tolist() == model_for("multiclass").predict(frame).tolist()
    )
    assert model_for("regression").predict_proba(frame).shape == (len(frame), 0)


def test_the_module_is_a_torch_module_with_these_weights():
    model = model_for("binary", weights=np.array([2.0, -1.0, 0.5]))
    outputs = model.module()(torch.tensor([[1.0, 1.0], [0.0, 0.0]]))
    assert outputs.detach().ravel().tolist() == [1.5, 0.5]


def test_the_text_of_a_model_has_sizes_and_no_weights():
    assert repr(model_for("binary")) == "TrainedModel(logistic(), 3 weights, 2 inputs, predicts 'y')"
    assert repr(mlp()) == "mlp(hidden=(16,))"
