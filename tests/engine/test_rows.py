"""Each row's gradient, clipped: without writing it out, and owner by owner or together."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from fedlab_nb.errors import SettingError
from fedlab_nb.learn.engine import Engine, Job, Sequential, Stacked
from fedlab_nb.learn.engine.dropout import mask
from fedlab_nb.learn.engine.flat import flat_weights, load_weights
from tests.engine.common import BATCHNORM, INPUTS, MODELS, built, jobs_of

WAYS = [Sequential, Stacked]
APART = sorted(MODELS.keys() - BATCHNORM - {"dropout"})


def by_hand(module, job, clip, loss=nn.functional.cross_entropy):
    """The sum of clipped gradients, one row at a time."""
    module = module.double()
    load_weights(module, job.start)
    total = np.zeros(len(job.start))
    X, y = torch.from_numpy(job.X).double(), torch.from_numpy(job.y)
    for i in range(len(job)):
        gradients = torch.autograd.grad(loss(module(X[i : i + 1]), y[i : i + 1]), list(module.parameters()))
        row = torch.cat([g.ravel() for g in gradients]).numpy()
        total += row * min(1.0, clip / np.linalg.norm(row))
    return total


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("model", APART)
@pytest.mark.parametrize("clip", [1e-3, 1.0, 1e3])
def test_clipped_sums_are_those_of_a_loop_over_rows(way, model, clip):
    module = built(model)
    jobs = jobs_of(module, (5, 0, 1, 9), apart=True)
    found = list(way(module, "multiclass", torch.float64).clipped(jobs, clip))
    for job, total in zip(jobs, found, strict=True):
        known = by_hand(built(model), job, clip)
        assert np.abs(total - known).max() < 1e-12 * max(1.0, np.abs(known).max())
        assert np.linalg.norm(total) <= clip * len(job) * (1 + 1e-12)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("task", ["binary", "regression"])
def test_clipped_sums_for_two_classes_and_for_numbers(way, task):
    def loss(outputs, y):
        if task == "binary":
            return nn.functional.binary_cross_entropy_with_logits(outputs[:, 0], y.double())
        return ((outputs[:, 0] - y) ** 2).mean()

    def build():
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return nn.Sequential(nn.Linear(INPUTS, 4), nn.Tanh(), nn.Linear(4, 1))

    (job,) = jobs_of(build(), (7,), task=task)
    (total,) = way(build(), task, torch.float64).clipped([job], 0.5)
    assert np.abs(total - by_hand(build(), job, 0.5, loss)).max() < 1e-12


@pytest.mark.parametrize("way", WAYS)
def test_dropout_leaves_out_the_same_of_every_row(way):
    module = built("dropout")
    (job,) = jobs_of(module, (6,))
    executor = way(module, "multiclass", torch.float64)
    (total,) = executor.clipped([job], 0.5)
    one_by_one = sum(
        next(executor.clipped([Job(job.key, job.X[i : i + 1], job.y[i : i + 1], job.start)], 0.5)) for i in range(6)
    )
    assert np.abs(total - one_by_one).max() < 1e-12
    # What was left out of the first hidden layer has no gradient.
    dropped = mask(job.key, 0, 0, (1, 12), 0.3, torch.float64)[0].numpy() == 0
    assert dropped.any()
    assert (total[: 12 * INPUTS].reshape(12, INPUTS)[dropped] == 0).all()
    assert (total[: 12 * INPUTS].reshape(12, INPUTS)[~dropped] != 0).any()


def test_dropout_agrees():
    module = built("dropout")
    jobs = jobs_of(module)
    a, b = (list(way(module, "multiclass", torch.float64).clipped(jobs, 0.5)) for way in WAYS)
    assert max(np.abs(x - y).max() for x, y in zip(a, b, strict=True)) < 1e-12


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("model", sorted(BATCHNORM))
def test_batch_normalisation_is_refused(way, model):
    module = built(model)
    with pytest.raises(SettingError, match="mixes the rows"):
        list(way(module, "multiclass").clipped(jobs_of(module), 1.0))


@pytest.mark.parametrize("model", ["mlp", "cnn"])
def test_many_rows_go_through_piece_by_piece(model, monkeypatch):
    from fedlab_nb.learn.engine.sequential import single
    from fedlab_nb.learn.engine.stacked import rows

    module = built(model)
    jobs = jobs_of(module, (21, 3, 8))
    known = list(Stacked(module, "multiclass", torch.float64).clipped(jobs, 0.5))
    losses = Stacked(module, "multiclass", torch.float64).losses_of(jobs)
    monkeypatch.setattr(rows, "_ROWS_AT_ONCE", 4)
    monkeypatch.setattr(rows, "_HELD", 1)
    monkeypatch.setattr(rows, "_AT_ONCE", 1)
    monkeypatch.setattr(single, "_ROWS_AT_ONCE", 4)
    for way in WAYS:
        executor = way(module, "multiclass", torch.float64)
        again = list(executor.clipped(jobs, 0.5))
        assert max(np.abs(x - y).max() for x, y in zip(known, again, strict=True)) < 1e-12
        assert np.abs(executor.losses_of(jobs) - losses).max() < 1e-12


def test_modules_with_code_of_their_own_are_clipped_row_by_row():
    class Counting(nn.Module):
        """Adds what it saw before: a row would change the next one's gradient, were the module kept."""

        def __init__(self):
            super().__init__()
            self.out, self.seen = nn.Linear(INPUTS, 3), 0.0

        def forward(self, x):
            y = self.out(x * (1.0 + self.seen))
            self.seen += 1.0
            return y

    module = Counting()
    (job,) = jobs_of(module, (6,))
    executor = Sequential(module, "multiclass", torch.float64)
    (total,) = executor.clipped([job], 0.5)
    plain = nn.Sequential(nn.Linear(INPUTS, 3))
    assert np.abs(total - by_hand(plain, job, 0.5)).max() < 1e-12
    assert module.seen == 0.0


@settings(max_examples=20, deadline=None)
@given(sizes=st.lists(st.integers(0, 12), min_size=1, max_size=4), clip=st.floats(0.01, 10.0), seed=st.integers(0, 99))
def test_one_row_more_moves_the_sum_by_no_more_than_the_clip(sizes, clip, seed):
    module = built("mlp", seed)
    jobs = jobs_of(module, [n + 1 for n in sizes], seed)
    less = [Job(job.key, job.X[:-1], job.y[:-1], job.start) for job in jobs]
    engine = Engine(module, "multiclass", "stacked", dtype=torch.float64)
    for a, b in zip(engine.clipped(jobs, clip), engine.clipped(less, clip), strict=True):
        assert np.linalg.norm(a - b) <= clip * (1 + 1e-9)


@pytest.mark.parametrize("model", [*APART, "dropout"])
def test_a_row_in_32_bits_is_clipped_to_the_last_bits_of_64(model):
    module = built(model)
    for job in jobs_of(module, (1,) * 8, apart=True):
        (total,) = Stacked(module, "multiclass").clipped([job], 0.01)
        assert abs(np.linalg.norm(total) - 0.01) < 1e-14


def test_sums_are_as_long_as_the_weights():
    module = built("groupnorm")
    for way in WAYS:
        assert [len(total) for total in way(module, "multiclass").clipped(jobs_of(module), 1.0)] == [
            len(flat_weights(module))
        ] * 8
