"""Pieces of a cut network give the outputs and gradients of the network in one piece, by torch's own layers."""

import numpy as np
import pytest
import torch
from torch import nn

from fedlab_nb.learn.split import Piece, descend, lead

RNG = np.random.default_rng(3)


def layers(piece, weights):
    """The same piece of torch's own layers."""
    parts, start = [], 0
    for place, (inputs, outputs) in enumerate(zip(piece.sizes, piece.sizes[1:], strict=False)):
        layer = nn.Linear(inputs, outputs).double()
        matrix = weights[start : start + inputs * outputs].reshape(outputs, inputs)
        start += inputs * outputs
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(matrix.copy()))
            layer.bias.copy_(torch.from_numpy(weights[start : start + outputs].copy()))
        start += outputs
        parts += [nn.ReLU(), layer] if place else [layer]
    return nn.Sequential(*parts, *([nn.Tanh()] if piece.bounded else []))


def flat(module):
    return np.concatenate([p.grad.numpy().ravel() for p in module.parameters()])


@pytest.mark.parametrize("piece", [Piece((5, 16, 2), bounded=True), Piece((3, 4, 6, 2)), Piece((2, 1))])
def test_a_piece_is_what_torch_makes_of_the_same_layers(piece):
    weights, X = piece.start(1), RNG.normal(size=(7, piece.sizes[0]))
    assert weights.shape == (piece.size,)
    module = layers(piece, weights)
    out = module(torch.from_numpy(X))
    np.testing.assert_allclose(piece.forward(weights, X), out.detach().numpy(), rtol=1e-12)
    gradient = RNG.normal(size=(7, piece.sizes[-1]))
    out.backward(torch.from_numpy(gradient))
    np.testing.assert_allclose(descend(piece, weights, X, gradient), flat(module), rtol=1e-10, atol=1e-14)


def test_first_weights_follow_from_the_seed_alone():
    piece = Piece((4, 3, 2))
    torch.rand(1)
    before = torch.random.get_rng_state()
    assert np.array_equal(piece.start(5), piece.start(5))
    assert not np.array_equal(piece.start(5), piece.start(6))
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_the_owner_of_the_labels_gets_the_gradients_of_the_network_in_one_piece(task):
    bottom, top = Piece((4, 5, 3), bounded=True), Piece((3 + 2 + 1, 5, 3 if task == "multiclass" else 1))
    weights = np.concatenate([bottom.start(1), top.start(2)])
    X, others = RNG.normal(size=(9, 4)), [RNG.normal(size=(9, 2)), RNG.normal(size=(9, 1))]
    y = {"binary": RNG.integers(0, 2, 9), "multiclass": RNG.integers(0, 3, 9), "regression": RNG.normal(size=9)}[task]
    step = lead(bottom, top, weights, X, others, y.astype(float), task)

    below, above = layers(bottom, weights[: bottom.size]), layers(top, weights[bottom.size :])
    came = [torch.tensor(each, requires_grad=True) for each in others]
    out = above(torch.cat([below(torch.from_numpy(X)), *came], 1))
    loss = {
        "binary": lambda: nn.BCEWithLogitsLoss()(out[:, 0], torch.from_numpy(y.astype(float))),
        "multiclass": lambda: nn.CrossEntropyLoss()(out, torch.from_numpy(y)),
        "regression": lambda: nn.MSELoss()(out[:, 0], torch.from_numpy(y)),
    }[task]()
    loss.backward()
    assert step.loss == pytest.approx(loss.item(), rel=1e-12)
    np.testing.assert_allclose(step.weights, np.append(flat(below), flat(above)), rtol=1e-10, atol=1e-14)
    for mine, theirs in zip(step.activations, came, strict=True):
        np.testing.assert_allclose(mine, theirs.grad.numpy(), rtol=1e-10, atol=1e-14)
