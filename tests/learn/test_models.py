import threading

import numpy as np
import pytest
import torch
from torch import nn

from fedlab_nb.errors import SettingError
from fedlab_nb.learn import build, initial_weights
from fedlab_nb.learn.engine.flat import flat_weights, load_weights, parts
from fedlab_nb.learn.models import logistic, mlp


def test_weights_survive_the_trip_into_a_module_and_back():
    module = build(mlp((5, 3)), 4, 2)
    weights = np.random.default_rng(0).normal(size=flat_weights(module).size).astype(np.float32).astype(np.float64)
    load_weights(module, weights)
    assert flat_weights(module).tobytes() == weights.tobytes()


def test_weights_lie_in_the_modules_own_order():
    module = build(logistic(), 3, 1)
    load_weights(module, np.array([1.0, 2.0, 3.0, 4.0]))
    assert module[0].weight.tolist() == [[1.0, 2.0, 3.0]]
    assert module[0].bias.tolist() == [4.0]


@pytest.mark.parametrize(
    ("hidden", "numbers"), [((), 2 * 7 + 2), ((4,), 4 * 8 + 2 * 5), ((4, 3), 4 * 8 + 3 * 5 + 2 * 4)]
)
def test_an_architecture_has_the_layers_it_names(hidden, numbers):
    assert initial_weights(mlp(hidden) if hidden else logistic(), 7, 2, 0).shape == (numbers,)


def test_equal_seeds_give_equal_starting_weights_and_others_do_not():
    one, same, other = (initial_weights(mlp(), 6, 1, seed).tobytes() for seed in (3, 3, 4))
    assert one == same
    assert one != other


def test_starting_weights_do_not_depend_on_the_notebooks_seed_and_leave_it_alone():
    torch.manual_seed(1)
    first = initial_weights(mlp(), 6, 1, 3)
    after = torch.rand(1)
    torch.manual_seed(2)
    assert initial_weights(mlp(), 6, 1, 3).tobytes() == first.tobytes()
    torch.manual_seed(1)
    assert torch.equal(torch.rand(1), after)


def test_the_generator_is_restored_when_a_model_function_fails():
    def broken(inputs, outputs):
        torch.rand(3)
        raise KeyError

    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    with pytest.raises(KeyError):
        build(broken, 2, 1)
    assert torch.equal(torch.rand(1), expected)


def test_running_statistics_travel_behind_the_parameters_and_other_buffers_stay():
    module = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 1))
    module.register_buffer("constant", torch.ones(5))
    names = [name for name, _ in parts(module)]
    assert names == [*(name for name, _ in module.named_parameters()), "1.running_mean", "1.running_var"]
    weights = flat_weights(module)
    weights[-3:] = -1.0  # as noise may leave them
    load_weights(module, weights)
    assert float(module[1].running_var.min()) == 0.0


def test_layer_normalisation_is_not_refused():
    build(lambda i, o: nn.Sequential(nn.Linear(i, 4), nn.LayerNorm(4), nn.Linear(4, o)), 3, 1)


@pytest.mark.parametrize("returned", [None, 3.5, "a model", nn.ReLU(), nn.Linear])
def test_what_is_not_a_module_with_parameters_is_refused_by_its_type(returned):
    with pytest.raises(SettingError, match=f"returned {type(returned).__name__}, not a torch module"):
        build(lambda i, o: returned, 3, 1)


def test_frozen_parameters_are_refused_because_averages_and_noise_would_move_them():
    module = nn.Linear(3, 1)
    module.bias.requires_grad_(False)
    with pytest.raises(SettingError, match="frozen"):
        build(lambda i, o: module, 3, 1)


@pytest.mark.parametrize(
    "hidden", [(), (0,), (-3,), (2.5,), (8, 0), 0, -1, 2.5, True, (True,), None, "16", ("16",), {8: 4}, {8}]
)
def test_hidden_layers_without_a_width_are_refused(hidden):
    with pytest.raises(SettingError, match="hidden="):
        mlp(hidden)


def test_one_width_is_one_hidden_layer():
    assert mlp(16) == mlp(np.int64(16)) == mlp([16]) == mlp((np.int32(16),)) == mlp((16,))
    assert repr(mlp(np.int64(16))) == "mlp(hidden=(16,))"


def test_a_module_that_cannot_be_copied_is_refused_with_the_reason():
    class Locked(nn.Linear):
        def __init__(self, inputs, outputs):
            super().__init__(inputs, outputs)
            self.lock = threading.Lock()

    with pytest.raises(SettingError, match=r"cannot be copied.*TypeError"):
        build(Locked, 3, 1)


def test_a_module_that_the_user_keeps_is_not_the_one_that_learns():
    kept = nn.Linear(3, 1)
    load_weights(build(lambda i, o: kept, 3, 1), np.full(4, 9.0))
    assert 9.0 not in flat_weights(kept)


def test_architectures_read_as_they_are_written():
    assert repr(mlp((32, 16))) == "mlp(hidden=(32, 16))"
    assert repr(logistic()) == "logistic()"
    assert mlp((8,)) == mlp((8,))
