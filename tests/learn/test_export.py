"""A model that was written to a file says the same as the one in the kernel, wherever it is read."""

import json
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

import fedlab_nb as fl
from fedlab_nb.data.encoding import CategoryCode, Encoding, NumberCode
from fedlab_nb.errors import SettingError
from fedlab_nb.horizontal.trained import trained
from fedlab_nb.learn import build, export, initial_weights
from fedlab_nb.learn.engine.flat import flat_weights
from fedlab_nb.learn.models import cnn, load, logistic, mlp, series, text
from tests.rounds.common import assert_teaches

COLUMNS = (
    NumberCode("age", 50.1, 12.7, 0.0, 120.0, indicator=True),
    CategoryCode("sex", ("f", "m")),
    NumberCode("pulse", 70.0, 9.0, 20.0, 200.0),
    CategoryCode("ward", (1, 2, 3)),
)
TARGETS = {
    "binary": CategoryCode("ill", ("no", "yes")),
    "multiclass": CategoryCode("kind", (1, "two", 3.5, True)),
    "regression": NumberCode("cost", 1000.0, 250.5, 0.0, 5000.0),
}


def mixed(inputs, outputs):
    """A model of a user's own: with running statistics, dropout, and a layer of its own making."""

    class Twice(nn.Module):
        def forward(self, x):
            return 2 * x

    return nn.Sequential(nn.Linear(inputs, 6), nn.BatchNorm1d(6), Twice(), nn.Dropout(0.5), nn.Linear(6, outputs))


ARCHITECTURES = {
    "logistic": logistic(),
    "mlp": mlp((5, 4)),
    "cnn": cnn((1, 2, 4), (3,)),
    "series": series(4, (3,), variables=2),
    "text": text(4, 3),
    "own": mixed,
}


def model_of(name="mlp", task="binary", seed=3):
    encoding = Encoding(COLUMNS, TARGETS[task])
    architecture = ARCHITECTURES[name]
    weights = initial_weights(architecture, encoding.n_inputs, encoding.n_outputs, seed)
    noise = np.random.default_rng(seed).normal(size=weights.size)
    return trained(architecture, np.abs(weights) + 0.1 * np.abs(noise), encoding)


def frame(rows=40):
    rng = np.random.default_rng(0)
    age = np.where(rng.random(rows) < 0.2, np.nan, rng.normal(50, 20, rows))
    sex, ward = rng.choice(["f", "m", "unknown"], rows), rng.integers(1, 5, rows)
    return pd.DataFrame({"pulse": rng.normal(70, 30, rows), "ward": ward, "age": age, "sex": sex})


CASES = [(name, task) for name in ARCHITECTURES for task in TARGETS]


@pytest.mark.parametrize(("name", "task"), CASES)
def test_a_model_that_was_saved_and_loaded_says_the_same(tmp_path, name, task):
    model = model_of(name, task)
    path = model.save(tmp_path / "new" / "model.safetensors")
    again = load(path, mixed if name == "own" else None)
    assert again.predict(frame()).tolist() == model.predict(frame()).tolist()
    assert again.predict_proba(frame()).tobytes() == model.predict_proba(frame()).tobytes()
    assert (again.inputs, again.classes, again.target, again.task) == (
        model.inputs,
        model.classes,
        model.target,
        model.task,
    )
    assert again.reading == model.reading
    assert repr(again) == repr(model)


@pytest.mark.parametrize(("name", "task"), CASES)
def test_torchscript_gives_the_scores_that_predict_is_made_of(tmp_path, name, task):
    model = model_of(name, task)
    path = model.torchscript(tmp_path / "model.pt")
    with pytest.warns(DeprecationWarning, match="torch.jit.load"):  # torch's own word about its reader
        alone = torch.jit.load(path)
    with torch.no_grad():
        scores = alone(torch.from_numpy(model.reading.read(frame()))).double().numpy()
    assert model.reading.say(scores).tolist() == model.predict(frame()).tolist()
    assert scores == pytest.approx(model._scores(frame()), rel=1e-6, abs=1e-6)


def test_the_weights_go_into_a_module_of_torch_by_their_names(tmp_path):
    model = model_of("own")
    module = mixed(len(model.inputs), 1)
    module.load_state_dict(model.state_dict())
    module.eval()
    rows = torch.from_numpy(model.reading.read(frame()))
    assert module(rows).tolist() == model.module()(rows).tolist()
    other = mixed(len(model.inputs), 1)
    other.load_state_dict(load_file(model.save(tmp_path / "m.safetensors")))
    assert flat_weights(other).tobytes() == flat_weights(module).tobytes()


def test_the_module_is_ready_to_predict():
    module = model_of("own").module()
    assert not module.training
    rows = torch.ones(3, 8)
    assert module(rows).tolist() == module(rows).tolist(), "dropout is off"


def test_a_file_holds_text_and_numbers_only_and_says_how_columns_are_read(tmp_path):
    data = model_of("mlp").save(tmp_path / "m.safetensors").read_bytes()
    head = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    about = json.loads(head["__metadata__"]["fedlab_nb"])
    assert about["words"] == "mlp(hidden=(5, 4))"
    assert "pulse" in json.dumps(about["reading"])
    assert set(head) == {"__metadata__", *model_of("mlp").state_dict()}


def test_another_process_reads_it_without_any_owner(tmp_path):
    model = model_of("mlp", "multiclass")
    path, rows = model.save(tmp_path / "m.safetensors"), tmp_path / "rows.csv"
    frame().to_csv(rows, index=False)
    code = (
        "import sys, pandas as pd, fedlab_nb as fl\n"
        "print(fl.models.load(sys.argv[1]).predict(pd.read_csv(sys.argv[2])).tolist())"
    )
    done = subprocess.run([sys.executable, "-c", code, path, rows], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(model.predict(pd.read_csv(rows)).tolist())


def test_a_model_of_ones_own_needs_its_function_and_the_right_one(tmp_path):
    path = model_of("own").save(tmp_path / "m.safetensors")
    with pytest.raises(SettingError) as caught:
        load(path)
    assert_teaches(caught, "architecture=", "function mixed")
    assert " at 0x" not in str(caught.value)
    with pytest.raises(SettingError) as caught:
        load(path, mlp())
    assert_teaches(caught, "do not fit")


def test_what_is_no_such_file_is_refused(tmp_path):
    whole = model_of().save(tmp_path / "m.safetensors").read_bytes()
    for name, data in {"cut": whole[:-5], "text": b"no model", "empty": b""}.items():
        (tmp_path / name).write_bytes(data)
    save_file({"w": torch.zeros(2)}, tmp_path / "foreign")
    for name in ("cut", "text", "empty", "foreign", "absent", "."):
        with pytest.raises(SettingError) as caught:
            load(tmp_path / name)
        assert_teaches(caught, "run.model.save")


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    for write in ("save", "torchscript"):
        with pytest.raises(SettingError) as caught:
            getattr(model_of(), write)(tmp_path / "file" / "m")
        assert_teaches(caught, "cannot be written")


def test_what_torch_cannot_translate_is_said(tmp_path):
    class Odd(nn.Module):
        def __init__(self, inputs, outputs):
            super().__init__()
            self.inside = nn.Linear(inputs, outputs)

        def forward(self, x):
            return {"scores": self.inside(x), 3: object()}

    model = trained(Odd, initial_weights(Odd, 8, 1, 0), Encoding(COLUMNS, TARGETS["binary"]))
    with pytest.raises(SettingError) as caught:
        model.torchscript(tmp_path / "m.pt")
    assert_teaches(caught, "TorchScript")
    assert not (tmp_path / "m.pt").exists()


def test_onnx_without_its_package_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(export, "find_spec", lambda _: None)
    with pytest.raises(SettingError) as caught:
        model_of().onnx(tmp_path / "m.onnx")
    assert_teaches(caught, "pip install onnx")
    assert not (tmp_path / "m.onnx").exists()


@pytest.mark.skipif(find_spec("onnx") is None, reason="the package onnx is not installed")
@pytest.mark.parametrize(("name", "task"), CASES)
def test_onnx_gives_the_scores_that_predict_is_made_of(tmp_path, name, task):
    from onnx import load as read_onnx
    from onnx.reference import ReferenceEvaluator

    model = model_of(name, task)
    alone = ReferenceEvaluator(read_onnx(model.onnx(tmp_path / "model.onnx")))
    (scores,) = alone.run(["scores"], {"inputs": model.reading.read(frame())})
    assert scores == pytest.approx(model._scores(frame()), rel=1e-5, abs=1e-5)


def test_a_trained_run_can_be_kept_and_used_elsewhere(tmp_path):
    owners = fl.split_rows(fl.data.breast_cancer().iloc[:200], owners=2)
    run = fl.train(fl.Federation(owners), fl.FedAvg(mlp()), num_rounds=2)
    again = fl.models.load(run.model.save(tmp_path / "m.safetensors"))
    assert again.evaluate(fl.data.breast_cancer()) == run.model.evaluate(fl.data.breast_cancer())
    assert build(again.architecture, len(again.inputs), 1) is not None
