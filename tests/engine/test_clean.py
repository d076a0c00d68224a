"""Training leaves nothing behind: no seed, no setting, no number of the user's module, no large import."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from fedlab_nb.learn.engine import SGD, Engine, Sequential, Stacked
from tests.engine.common import INPUTS, MODELS, RULES, built, jobs_of

SCRIPT = """
import sys, torch
torch.set_num_threads(1)
from tests.engine.common import built, jobs_of
from fedlab_nb.learn.engine import SGD, Engine
for model in ("mlp", "cnn", "dropout", "batchnorm"):
    module = built(model)
    jobs = jobs_of(module)
    for way in ("auto", "sequential", "stacked"):
        engine = Engine(module, "multiclass", way)
        for rule in (SGD(0.1), SGD(0.1, momentum=0.9)):
            list(engine.run(jobs, rule, epochs=1, batch_size=8))
        engine.losses_of(jobs)
        if model != "batchnorm":
            list(engine.clipped(jobs, 1.0))
print(sorted(name for name in ("torch._dynamo", "sympy") if name in sys.modules))
"""


def test_a_run_loads_no_compiler(root):
    command = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.stdout == "[]\n", done.stdout + done.stderr


@pytest.mark.parametrize("way", ["sequential", "stacked"])
@pytest.mark.parametrize("model", MODELS)
def test_no_seed_and_no_module_is_touched(model, way):
    module = built(model).eval()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    seeds = torch.get_rng_state(), np.random.get_state()[1].tobytes()  # noqa: NPY002
    jobs = jobs_of(module, offset=True)
    given = [(job.X.tobytes(), job.y.tobytes(), job.start.tobytes()) for job in jobs]
    engine = Engine(module, "multiclass", way)
    for rule in RULES.values():
        list(engine.run(jobs, rule(module), epochs=1, batch_size=8))
    engine.losses_of(jobs)
    assert torch.equal(torch.get_rng_state(), seeds[0])
    assert np.random.get_state()[1].tobytes() == seeds[1]  # noqa: NPY002
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())
    assert not any(m.training or m._forward_hooks or m._forward_pre_hooks for m in module.modules())
    assert [(job.X.tobytes(), job.y.tobytes(), job.start.tobytes()) for job in jobs] == given


@pytest.mark.parametrize("way", [Sequential, Stacked])
def test_arrays_that_may_not_be_written_are_read(way):
    module = built("mlp")
    jobs = jobs_of(module, offset=True)
    for job in jobs:
        for array in (job.X, job.y, job.start, job.anchor, *([] if job.offset is None else [job.offset])):
            array.flags.writeable = False
    for rule in (SGD(0.1), SGD(0.1, prox=0.5)):
        assert len(list(way(module, "multiclass").run(jobs, rule, epochs=1, batch_size=8))) == len(jobs)
    assert len(list(way(module, "multiclass").clipped(jobs, 1.0))) == len(jobs)


class Noisy(nn.Module):
    """Draws from torch's own generator, and keeps what it saw."""

    def __init__(self):
        super().__init__()
        self.out, self.seen = nn.Linear(INPUTS, 3), []

    def forward(self, x):
        self.seen.append(x)
        return self.out(nn.functional.dropout(x, training=self.training))


def test_modules_that_draw_numbers_of_their_own_give_the_same_for_the_same_owner():
    module = Noisy()
    jobs = jobs_of(module)
    state = torch.get_rng_state()
    usual = list(Sequential(module, "multiclass").run(jobs, SGD(0.1), epochs=1, batch_size=4))
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(5)
    again = list(Sequential(module, "multiclass").run(jobs[::-1], SGD(0.1), epochs=1, batch_size=4))[::-1]
    assert all(np.array_equal(a.weights, b.weights) for a, b in zip(usual, again, strict=True))
    torch.set_rng_state(state)
    assert module.seen == []


@pytest.mark.parametrize("way", [Sequential, Stacked])
def test_results_of_a_job_stay_what_they_were_when_others_are_trained(way):
    module = built("mlp")
    executor, (job, other) = way(module, "multiclass"), jobs_of(module, (9, 9))
    (first,) = executor.run([job], SGD(0.1, momentum=0.9), epochs=1, batch_size=4)
    before = first.weights.tobytes(), first.kept["momentum"].tobytes()
    list(executor.run([other], SGD(0.1, momentum=0.9), epochs=1, batch_size=4))
    assert (first.weights.tobytes(), first.kept["momentum"].tobytes()) == before


@pytest.mark.parametrize("way", ["sequential", "stacked"])
def test_starting_weights_that_were_changed_in_place_are_read_anew(way):
    module = built("mlp")
    engine, (job,) = Engine(module, "multiclass", way), jobs_of(module, (9,))
    next(engine.run([job], SGD(0.1), epochs=1, batch_size=4))
    job.start[:] = 0.0
    (changed,) = engine.run([job], SGD(0.0), epochs=1, batch_size=4)
    assert (changed.weights == 0).all()
    assert engine.losses_of([job])[0] == pytest.approx(np.log(3))
