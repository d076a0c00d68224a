"""For one executor an owner's result has the same bits whoever trains beside it, in whatever order and chunks."""

import subprocess
import sys
import weakref

import numpy as np
import pytest
import torch

from fedlab_nb.learn.engine import SGD, Sequential, Stacked, plan
from fedlab_nb.learn.engine.stacked import executor, minibatches, rows
from fedlab_nb.learn.engine.stacked.minibatches import least, width
from tests.engine.common import MODELS, RULES, built, jobs_of

SIZES = (5, 0, 1, 17, 9, 2, 16, 3, 17, 8, 33)


def bits(executor, jobs, rule, batch_size=8) -> dict[int, bytes]:
    """Each owner's result, by its number."""
    trained = executor.run(jobs, rule, epochs=2, batch_size=batch_size)
    return {job.key[2]: t.weights.tobytes() for job, t in zip(jobs, trained, strict=True)}


@pytest.mark.parametrize("rule", ["sgd", "momentum", "offset"])
@pytest.mark.parametrize("model", MODELS)
def test_stacked_bits_depend_on_nobody_else(model, rule):
    module, moved = built(model), RULES[rule](built(model))
    jobs = jobs_of(module, SIZES, offset=rule == "offset")
    usual = bits(Stacked(module, "multiclass"), jobs, moved)
    shuffled = [jobs[i] for i in np.random.default_rng(0).permutation(len(jobs))]
    assert bits(Stacked(module, "multiclass"), shuffled, moved) == usual
    assert bits(Stacked(module, "multiclass", chunk_bytes=1), jobs, moved) == usual
    for some in (jobs[3:4], jobs[10:], jobs[4:7]):
        assert bits(Stacked(module, "multiclass"), some, moved).items() <= usual.items()


@pytest.mark.parametrize("batch_size", [None, 300, 400])
def test_bits_depend_on_nobody_else_for_wide_minibatches(batch_size):
    module = built("mlp")
    jobs = jobs_of(module, (300, 20, 500, 256, 257))
    usual = bits(Stacked(module, "multiclass"), jobs, SGD(0.1), batch_size)
    for job in jobs:
        assert bits(Stacked(module, "multiclass"), [job], SGD(0.1), batch_size).items() <= usual.items()


@pytest.mark.parametrize("model", MODELS)
def test_sequential_bits_depend_on_nobody_else(model):
    module = built(model)
    jobs = jobs_of(module, SIZES)
    usual = bits(Sequential(module, "multiclass"), jobs, SGD(0.1))
    assert bits(Sequential(module, "multiclass"), jobs[::-1], SGD(0.1)) == usual
    assert bits(Sequential(module, "multiclass"), jobs[3:5], SGD(0.1)).items() <= usual.items()


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("engine", [Sequential, Stacked])
def test_weights_that_were_read_belong_to_their_reader(engine, dtype, large, monkeypatch):
    monkeypatch.setattr(executor, "_READ_BYTES", 0 if large else 1 << 40)
    module = built("mlp").to(dtype)
    for trained in [*engine(module, "multiclass").run(jobs_of(module, (5, 9, 17)), SGD(0.1), epochs=1, batch_size=8)]:
        expected = trained.weights.copy()
        read = trained.weights
        read -= 1.0
        assert np.array_equal(trained.weights, expected)


@pytest.mark.parametrize("model", ["mlp", "cnn", "dropout", "layernorm"])
def test_clipped_sums_and_losses_depend_on_nobody_else(model):
    module = built(model)
    jobs = jobs_of(module, (5, 1, 17, 9, 2, 300))
    stacked = Stacked(module, "multiclass")
    sums, losses = list(stacked.clipped(jobs, 0.5)), stacked.losses_of(jobs)
    for i, job in enumerate(jobs):
        assert next(stacked.clipped([job], 0.5)).tobytes() == sums[i].tobytes()
        assert stacked.losses_of([job])[0] == losses[i]
    assert [s.tobytes() for s in stacked.clipped(jobs[::-1], 0.5)] == [s.tobytes() for s in sums[::-1]]


def test_sums_over_many_pieces_depend_on_nobody_else(monkeypatch):
    monkeypatch.setattr(rows, "_ROWS_AT_ONCE", 20)
    module = built("mlp")
    jobs = jobs_of(module, (5, 45, 0, 30))  # the last pieces are narrower than the others, and as wide as a neighbour
    stacked = Stacked(module, "multiclass")
    sums, losses = list(stacked.clipped(jobs, 0.5)), stacked.losses_of(jobs)
    for i in (0, 1, 3):
        assert next(stacked.clipped([jobs[i]], 0.5)).tobytes() == sums[i].tobytes()
        assert stacked.losses_of([jobs[i]])[0] == losses[i]
    assert not sums[2].any()


@pytest.mark.parametrize("limit", ["_POOLED", "_APART"])
def test_bits_are_the_same_however_rows_are_gathered(limit, monkeypatch):
    module = built("mlp")
    jobs = jobs_of(module, SIZES)
    usual = bits(Stacked(module, "multiclass"), jobs, SGD(0.1))
    monkeypatch.setattr(minibatches, limit, 0)
    assert bits(Stacked(module, "multiclass"), jobs, SGD(0.1)) == usual


SCRIPT = """
import os, torch
torch.set_num_threads(1)
from tests.engine.test_bits import SIZES, bits
from tests.engine.common import built, jobs_of
from fedlab_nb.learn.engine import SGD, Stacked
for model in ("mlp", "activations", "cnn", "batchnorm"):
    module = built(model)
    jobs = jobs_of(module, SIZES)
    usual = bits(Stacked(module, "multiclass"), jobs, SGD(0.1))
    assert bits(Stacked(module, "multiclass", chunk_bytes=1), jobs[::-1], SGD(0.1)) == usual, model
    assert bits(Stacked(module, "multiclass"), jobs[3:4], SGD(0.1)).items() <= usual.items(), model
print("equal", torch.backends.cpu.get_cpu_capability())
"""


def test_bits_depend_on_nobody_else_on_an_older_processor(root):
    import os

    older = {**os.environ, "ATEN_CPU_CAPABILITY": "default", "MKL_ENABLE_INSTRUCTIONS": "SSE4_2"}
    command = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(command, env=older, cwd=root, capture_output=True, text=True, check=False)
    assert done.stdout.startswith("equal"), done.stderr


def test_a_width_follows_from_an_owners_own_rows():
    assert [width(n, 16) for n in (0, 1, 8, 9, 16, 17, 1000)] == [0, 8, 8, 16, 16, 16, 16]
    assert [width(n, 5) for n in (1, 5, 6)] == [5, 5, 5]
    assert [width(n, None) for n in (1, 50, 256, 257)] == [8, 64, 256, 257]
    assert [least(wide) for wide in (8, 256, 257)] == [2, 2, 1]


def test_the_order_of_rows_is_the_same_for_one_owner_and_for_many():
    keys = [(3, 4, i) for i in range(6)]
    lengths = [4, 0, 9, 1, 7, 9]
    together = plan.orders(keys, 2, lengths)
    for key, n, line in zip(keys, lengths, together, strict=True):
        assert sorted(line[:n]) == list(range(n))
        assert np.array_equal(plan.orders([key], 2, [n])[0], line[:n])
    assert not np.array_equal(together[2, :9], together[5, :9])
    assert not np.array_equal(plan.orders(keys, 3, lengths)[2], together[2])


def test_order_of_rows_takes_any_whole_number_as_seed():
    for seed in (-1, 2**63, 2**64 + 5):
        assert sorted(plan.orders([(seed, 1, 0)], 0, [5])[0]) == list(range(5))
    assert np.array_equal(plan.orders([(5, 1, 0)], 0, [9]), plan.orders([(2**64 + 5, 1, 0)], 0, [9]))


def test_results_are_in_the_order_of_the_jobs_and_come_before_all_are_done():
    module = built("mlp")
    jobs = jobs_of(module, (4,) * 30)
    stacked = Stacked(module, "multiclass", chunk_bytes=1)
    seen = []
    for i, trained in enumerate(stacked.run(jobs, SGD(0.1), epochs=1, batch_size=4)):
        seen.append(trained.weights)
        if i == 0:
            break
    (alone,) = stacked.run(jobs[:1], SGD(0.1), epochs=1, batch_size=4)
    assert np.array_equal(seen[0], alone.weights)
    assert torch.is_grad_enabled()


def test_who_holds_a_result_does_not_hold_the_weights_of_its_chunk(monkeypatch):
    made: list[weakref.ref] = []

    class Watched(executor.Weights):
        def __init__(self, *given, **named):
            super().__init__(*given, **named)
            made.append(weakref.ref(self))

    monkeypatch.setattr(executor, "Weights", Watched)
    monkeypatch.setattr(executor, "_READ_BYTES", 0)
    module = built("mlp")
    for trained in Stacked(module, "multiclass", chunk_bytes=1).run(
        jobs_of(module, (4,) * 12), SGD(0.1), epochs=1, batch_size=4
    ):
        held = trained
        assert sum(each() is not None for each in made) <= 1
    assert len(made) == 3
    assert np.array_equal(held.weights, held.weights)
    assert all(each() is None for each in made)
