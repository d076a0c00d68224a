"""Which executor runs, why, and that finding out disturbs nothing."""

import numpy as np
import pytest
import torch
from torch import nn

from fedlab_nb.errors import SettingError
from fedlab_nb.learn.engine import SGD, Engine, Sequential, Stacked, choose
from fedlab_nb.learn.engine.programs import Network, compiled, simple
from tests.engine.common import BATCHNORM, INPUTS, MODELS, built, jobs_of


class Own(nn.Module):
    """A module with code of its own."""

    def __init__(self):
        super().__init__()
        self.out = nn.Linear(INPUTS, 3)

    def forward(self, x):
        return self.out(x)


def trained(executor, jobs, rule=SGD(0.1), batch_size=8):  # noqa: B008
    return [t.weights.tobytes() for t in executor.run(jobs, rule, epochs=2, batch_size=batch_size)]


def hooked():
    module = built("mlp")
    module[1].register_forward_hook(lambda *_: None)
    return module


def shared():
    layer = nn.Linear(INPUTS, INPUTS)
    return nn.Sequential(layer, nn.ReLU(), layer, nn.Linear(INPUTS, 3))


def replaced():
    module = built("mlp")
    module[1].forward = torch.tanh
    return module


ODD = {
    "own code": (Own, "Own"),
    "own layer": (lambda: nn.Sequential(nn.Linear(INPUTS, INPUTS), Own()), "Own '1'"),
    "layer without a program": (lambda: nn.Sequential(nn.Linear(INPUTS, 3), nn.Softplus()), "Softplus '1'"),
    "hook": (hooked, "ReLU '1'"),
    "replaced code": (replaced, "ReLU '1'"),
    "shared parameters": (shared, "shared"),
    "dropout used twice": (lambda: nn.Sequential(*(2 * [nn.Dropout()]), nn.Linear(INPUTS, 3)), "twice"),
    "gaps": (
        lambda: nn.Sequential(
            nn.Unflatten(1, (1, 4, 4)), nn.Conv2d(1, 2, 2, dilation=2), nn.Flatten(), nn.Linear(8, 3)
        ),
        "Conv2d '1'",
    ),
    "named padding": (
        lambda: nn.Sequential(nn.Unflatten(1, (1, 16)), nn.Conv1d(1, 2, 3, padding="same"), nn.Flatten()),
        "Conv1d '1'",
    ),
    "statistics of all batches alike": (
        lambda: nn.Sequential(nn.BatchNorm1d(INPUTS, momentum=None), nn.Linear(INPUTS, 3)),
        "BatchNorm1d '0'",
    ),
    "no list of scores": (lambda: nn.Sequential(nn.Linear(INPUTS, 16), nn.Unflatten(1, (4, 4))), "list of scores"),
    "several kinds": (lambda: nn.Sequential(nn.Linear(INPUTS, 4), nn.Linear(4, 3).double()), "several kinds"),
}


@pytest.mark.parametrize("model", MODELS)
def test_usual_models_have_layer_programs(model):
    network = compiled(built(model))
    assert isinstance(network, Network)
    assert sum(np.prod(shape) for shape in network.shapes) == sum(p.numel() for p in built(model).parameters())
    assert bool(network.buffers) == (model in BATCHNORM)


@pytest.mark.parametrize("kind", ODD)
def test_other_models_run_one_by_one_and_say_why(kind):
    build, named = ODD[kind]
    module = build()
    why = compiled(module)
    assert isinstance(why, str)
    assert named in why
    engine = Engine(module, "multiclass")
    assert not engine.stacks
    assert engine.card.name == "sequential"
    assert why in engine.card.reason
    with pytest.raises(SettingError) as error:
        Engine(module, "multiclass", "stacked")
    assert named in str(error.value)
    assert 'executor="sequential"' in error.value.do


@pytest.mark.parametrize("kind", ["own code", "hook", "shared parameters", "statistics of all batches alike"])
def test_other_models_are_trained_all_the_same(kind):
    module = ODD[kind][0]()
    jobs = jobs_of(module)
    engine = Engine(module, "multiclass")
    assert trained(engine, jobs) == trained(Sequential(module, "multiclass"), jobs)
    assert engine.card.faster is None
    assert len(engine.losses_of(jobs)) == len(jobs)


def test_usual_models_are_trained_together_and_the_trial_leaves_nothing_behind():
    module = built("batchnorm")
    engine, jobs = Engine(module, "multiclass"), jobs_of(module)
    assert engine.stacks
    assert engine.card.faster is None
    first = trained(engine, jobs)
    assert first == trained(Stacked(module, "multiclass"), jobs)
    assert trained(engine, jobs) == first
    assert engine.card.name == "stacked"
    assert engine.card.faster > 0
    assert engine.card.chunk >= 4
    assert engine.card.torch == torch.__version__


@pytest.mark.parametrize("way", ["sequential", "stacked"])
def test_an_executor_can_be_asked_for(way):
    module = built("mlp")
    engine, jobs = Engine(module, "multiclass", way), jobs_of(module)
    named = {"sequential": Sequential, "stacked": Stacked}[way]
    assert trained(engine, jobs) == trained(named(module, "multiclass"), jobs)
    assert engine.card.name == way
    assert engine.card.faster is None
    assert engine.stacks == (way == "stacked")


def test_other_results_together_are_found_and_not_used(monkeypatch):
    module = built("mlp")
    monkeypatch.setattr(simple.ReLU, "forward", lambda _self, x, _w, _seen: (x.abs(), (x,)))
    engine, jobs = Engine(module, "multiclass"), jobs_of(module)
    assert trained(engine, jobs) == trained(Sequential(module, "multiclass"), jobs)
    assert engine.card.name == "sequential"
    assert "more than rounding explains" in engine.card.reason


def large():
    layers = [nn.Unflatten(1, (1, 4, 4)), nn.Conv2d(1, 40, 3, padding=2), nn.Conv2d(40, 40, 3, padding=1), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(1440, 3))


def test_large_models_are_trained_one_by_one_without_a_trial(monkeypatch):
    monkeypatch.setattr(choose, "_timed", None)
    module = large()
    engine, jobs = Engine(module, "multiclass"), jobs_of(module, (3, 5))
    assert trained(engine, jobs) == trained(Sequential(module, "multiclass"), jobs)
    assert "size" in engine.card.reason
    assert engine.stacks
    module = built("mlp")
    monkeypatch.setattr(choose, "_MANY_WEIGHTS", 200)
    engine, jobs = Engine(module, "multiclass"), jobs_of(module, (3, 5))
    assert trained(engine, jobs) == trained(Sequential(module, "multiclass"), jobs)
    assert engine.card.name == "sequential"


@pytest.mark.parametrize("took", [1e-3, 1e3])
def test_the_choice_does_not_hang_on_the_clock(took, monkeypatch):
    original = choose._timed
    monkeypatch.setattr(choose, "_timed", lambda *given: (original(*given)[0], took ** isinstance(given[0], Stacked)))
    module = built("mlp")
    engine = Engine(module, "multiclass")
    trained(engine, jobs_of(module))
    assert engine.card.name == "stacked"
    assert engine.card.faster == pytest.approx(6 / 2 / took)


def test_one_trial_a_rule_and_size(monkeypatch):
    tried = []
    original = choose._timed
    monkeypatch.setattr(choose, "_timed", lambda *given: (tried.append(1), original(*given))[1])
    module = built("mlp")
    engine, jobs = Engine(module, "multiclass"), jobs_of(module)
    for rule in (SGD(0.1), SGD(0.2), SGD(0.1, momentum=0.9), SGD(0.2)):
        trained(engine, jobs, rule)
    assert len(tried) == 2 * 2
    trained(engine, jobs, SGD(0.1), 4)
    assert len(tried) == 3 * 2


def test_owners_without_rows_need_no_trial():
    module = built("mlp")
    engine, jobs = Engine(module, "multiclass"), jobs_of(module, (0, 0))
    assert [t.steps for t in engine.run(jobs, SGD(0.1), epochs=1, batch_size=8)] == [0, 0]
    assert list(engine.run([], SGD(0.1), epochs=1, batch_size=8)) == []
    assert engine.card.faster is None


def test_weights_that_are_no_numbers_are_no_reason_to_change_the_executor():
    module = built("mlp")
    engine, jobs = Engine(module, "multiclass"), jobs_of(module, (6, 6), start=np.full(255, np.nan))
    assert all(np.isnan(t.weights).all() for t in engine.run(jobs, SGD(0.1), epochs=1, batch_size=8))
    assert engine.card.name == "stacked"


@pytest.mark.parametrize(("setting", "given"), [("executor", "fast"), ("executor", None), ("device", "tpu")])
def test_names_that_are_none_are_refused(setting, given):
    with pytest.raises(SettingError, match=setting):
        Engine(built("mlp"), "multiclass", **{setting: given})


def test_a_card_says_what_was_done_and_why():
    module = built("mlp")
    engine = Engine(module, "multiclass")
    list(engine.run(jobs_of(module), SGD(0.1), epochs=1, batch_size=8))
    assert repr(engine.card).startswith("Chosen('stacked', ")
    assert "\n" not in repr(engine.card)
    page = engine.card._repr_html_()
    assert "together" in page
    assert "times as fast" in page
    assert "<script" not in page


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_there_is_refused():
    with pytest.raises(SettingError, match="no GPU"):
        Engine(built("mlp"), "multiclass", device="cuda")
    assert Engine(built("mlp"), "multiclass").card.device == "cpu"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no GPU here")
@pytest.mark.parametrize("rule", [SGD(0.1), SGD(0.1, momentum=0.9, prox=0.1)])
@pytest.mark.parametrize("model", MODELS)
def test_a_gpu_gives_the_same(model, rule):
    module = built(model)
    jobs = jobs_of(module)
    ends = [
        list(Engine(module, "multiclass", way, device, torch.float64).run(jobs, rule, epochs=2, batch_size=8))
        for way in ("sequential", "stacked")
        for device in ("cpu", "cuda")
    ]
    for other in ends[1:]:
        assert max(np.abs(a.weights - b.weights).max() for a, b in zip(ends[0], other, strict=True)) < 1e-9
