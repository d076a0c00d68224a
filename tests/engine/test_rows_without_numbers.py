"""A row whose gradient is no number counts as zero, and takes nothing of its owner's other rows with it."""

import numpy as np
import pytest
import torch
from torch import nn

from fedlab_nb.learn import Job, Learner, initial_weights
from fedlab_nb.learn.models import logistic, mlp


class Root(nn.Module):
    """Gives infinity for one kind of row."""

    def forward(self, x):
        return torch.cat([x, torch.log(3.0 - x[:, :1])], 1)


def rooted(inputs, outputs):
    return nn.Sequential(Root(), nn.Linear(inputs + 1, outputs))


@pytest.mark.parametrize("executor", ["sequential", "stacked"])
@pytest.mark.parametrize("architecture", [logistic(), mlp((6,)), rooted], ids=["logistic", "mlp", "rooted"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, 3.0])
def test_one_bad_row_moves_the_sum_by_its_clip_at_most(architecture, executor, bad):
    if architecture is rooted:
        executor = "sequential"
    rng = np.random.default_rng(0)
    X, y = rng.uniform(-2, 2, size=(20, 4)).astype(np.float32), (rng.random(20) < 0.5).astype(np.float32)
    with_bad = X.copy()
    with_bad[7, 0] = bad
    weights = initial_weights(architecture, 4, 1, 0)
    learner = Learner(architecture, 4, 1, "binary", executor)
    whole, fewer = (
        learner.clipped([Job((0, 1, 0), rows, labels, weights)], clip=0.1)[0]
        for rows, labels in ((with_bad, y), (np.delete(with_bad, 7, 0), np.delete(y, 7)))
    )
    assert np.isfinite(whole).all()
    assert np.linalg.norm(whole - fewer) <= 0.1 * (1 + 1e-5)
