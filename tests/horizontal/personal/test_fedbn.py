"""FedBN against its paper's algorithm, with torch's own modules and optimiser, and state dictionaries to average."""

import numpy as np
import pytest
import torch
from torch import nn

import fedlab_nb as fl
from fedlab_nb.errors import SettingError
from fedlab_nb.horizontal.personal import FedBN
from fedlab_nb.learn.engine.flat import parts
from tests.horizontal.personal.paper import BATCH, EPOCHS, LR, MODEL, owners, played
from tests.rounds.common import assert_teaches, play


def with_norm(inputs, outputs):
    return nn.Sequential(nn.Linear(inputs, 3), nn.BatchNorm1d(3), nn.ReLU(), nn.Linear(3, outputs))


def module_of(paper, weights):
    module, start = with_norm(paper.inputs, 1), 0
    with torch.no_grad():
        for _, tensor in parts(module):
            tensor.copy_(torch.tensor(weights[start : start + tensor.numel()]).view_as(tensor))
            start += tensor.numel()
    return module


def flat(state, order):
    return np.concatenate([state[name].double().numpy().ravel() for name in order])


def test_fedbn():
    strategy = FedBN(with_norm, LR, EPOCHS, BATCH)
    states, paper = played(strategy, fl.Federation(owners(), sample_rate=0.7), 3)
    common = module_of(paper, paper.w0).state_dict()
    order, own = [name for name, _ in parts(module_of(paper, paper.w0))], {}
    for number in (1, 2, 3):
        taking = [paper.names.index(name) for name in fl.Federation(owners(), sample_rate=0.7).cohort(number, 0)]
        ends = []
        for i in taking:
            module = with_norm(paper.inputs, 1)
            mine = own.get(i, common)
            module.load_state_dict({k: (mine if k.startswith("1.") else common)[k] for k in common})
            optimiser = torch.optim.SGD(module.parameters(), lr=LR)
            for X, y in paper.batches(number, i):
                if len(y) > 1:
                    optimiser.zero_grad()
                    scores = module(torch.tensor(X, dtype=torch.float32))[:, 0]
                    nn.functional.binary_cross_entropy_with_logits(scores, torch.tensor(y).float()).backward()
                    optimiser.step()
            own[i] = {k: v.clone() for k, v in module.state_dict().items()}
            ends.append(own[i])
        for key in [k for k in common if not k.startswith("1.")] if ends else []:
            common[key] = torch.stack([end[key] for end in ends]).mean(0)
    assert states[-1].weights["server"] == pytest.approx(flat(common, order), abs=2e-5)
    models = strategy.personal(states[-1])
    assert set(models) == {paper.names[i] for i in own}
    for i, mine in own.items():
        whole = {k: (mine if k.startswith("1.") else common)[k] for k in common}
        assert models[paper.names[i]] == pytest.approx(flat(whole, order), abs=2e-5)
    norms = strategy.home(strategy._learner(paper.setup))
    assert norms.sum() == 4 * 3
    assert np.array_equal(states[-1].weights["server"][norms], paper.w0[norms])
    assert all(np.abs(model[norms] - paper.w0[norms]).max() > 0.01 for model in models.values())


def test_a_model_without_batch_normalisation_is_refused():
    (record,) = play(fl.Federation(owners()), FedBN(MODEL))
    assert isinstance(record.failed.error, SettingError)
    assert_teaches(record.failed.error, "no layer of batch normalisation", "BatchNorm1d")
