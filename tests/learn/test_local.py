"""The oracle is torch itself: plain loops, torch.optim, and one backward pass per row."""

import functools
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from fedlab_nb.learn import SGD, Job, Learner, build, initial_weights
from fedlab_nb.learn.engine.flat import flat_weights, load_weights
from fedlab_nb.learn.engine.plan import orders
from fedlab_nb.learn.models import logistic, mlp

INPUTS = 5


def rows(task, n, seed=0, scale=1.0):
    rng = np.random.default_rng(seed)
    X = (scale * rng.normal(size=(n, INPUTS))).astype(np.float32)
    if task == "multiclass":
        return X, rng.integers(0, 3, n)
    y = rng.normal(size=n) if task == "regression" else rng.integers(0, 2, n)
    return X, y.astype(np.float32)


def outputs_of(task):
    return 3 if task == "multiclass" else 1


def loss_of(task, outputs, target):
    if task == "multiclass":
        return functional.cross_entropy(outputs, target)
    if task == "binary":
        return functional.binary_cross_entropy_with_logits(outputs[:, 0], target)
    return functional.mse_loss(outputs[:, 0], target)


def change_of(learner, weights, X, y, *, lr, epochs, batch_size, seed):
    job = Job((seed, 1, 0), X, y, weights)
    (end,) = learner.train([job], SGD(lr), epochs=epochs, batch_size=batch_size)
    return end.weights - weights.astype(np.float32).astype(np.float64)


def clipped_of(learner, weights, X, y, *, clip, seed=0):
    (total,) = learner.clipped([Job((seed, 1, 0), X, y, weights)], clip=clip)
    return total


class Residual(nn.Module):
    """A module that is no simple chain: one layer is used twice, and there are parameters outside linear layers."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.shared, self.out = nn.Linear(inputs, inputs), nn.Linear(inputs, outputs)
        self.gain = nn.Parameter(torch.full((inputs,), 1.5))

    def forward(self, x):
        return self.out(torch.tanh(self.shared(x + torch.tanh(self.shared(x)))) * self.gain)


class Scaled(nn.Sequential):
    """A chain by its type that computes something else."""

    def forward(self, x):
        return super().forward(3.0 * x)


def twice(inputs, outputs):
    layer = nn.Linear(inputs, inputs)
    return nn.Sequential(layer, nn.Tanh(), layer, nn.Tanh(), nn.Linear(inputs, outputs))


def tied(inputs, outputs):
    one, other = nn.Linear(inputs, inputs), nn.Linear(inputs, inputs)
    other.weight = one.weight
    return nn.Sequential(one, nn.Tanh(), other, nn.Tanh(), nn.Linear(inputs, outputs))


def in_place(inputs, outputs):
    return nn.Sequential(nn.Linear(inputs, 6), nn.ReLU(inplace=True), nn.Linear(6, outputs))


def without_bias(inputs, outputs):
    return nn.Sequential(nn.Linear(inputs, 6, bias=False), nn.GELU(), nn.Linear(6, outputs))


def normed(inputs, outputs):
    return nn.Sequential(nn.Linear(inputs, 6), nn.LayerNorm(6), nn.SiLU(), nn.Linear(6, outputs))


def scaled(inputs, outputs):
    return Scaled(nn.Linear(inputs, outputs))


ARCHITECTURES = [logistic(), mlp((6,)), mlp((6, 4)), without_bias, Residual, twice, tied, in_place, normed, scaled]
TASKS = ["binary", "multiclass", "regression"]


def by_hand(architecture, task, weights, X, y):
    """The gradient of every single row (n, d), by autograd on that row alone."""
    module = build(architecture, INPUTS, outputs_of(task))
    load_weights(module, weights)
    gradients = []
    for i in range(len(X)):
        loss = loss_of(task, module(torch.from_numpy(X[i : i + 1])), torch.from_numpy(y[i : i + 1]))
        parts = torch.autograd.grad(loss, list(module.parameters()))
        gradients.append(torch.cat([p.ravel() for p in parts]).double().numpy())
    return np.array(gradients).reshape(len(X), weights.size)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("clipped", ["no row", "half of the rows", "every row"])
def test_the_clipped_gradient_is_the_sum_of_each_rows_own_clipped_one(architecture, task, clipped):
    X, y = rows(task, 24)
    weights = initial_weights(architecture, INPUTS, outputs_of(task), 1)
    gradients = by_hand(architecture, task, weights, X, y)
    norms = np.linalg.norm(gradients, axis=1)
    clip = {"no row": 2 * norms.max(), "half of the rows": np.median(norms), "every row": norms.min() / 2}[clipped]
    expected = (gradients * np.minimum(1.0, clip / norms)[:, None]).sum(0)
    ours = clipped_of(Learner(architecture, INPUTS, outputs_of(task), task), weights, X, y, clip=float(clip))
    assert ours == pytest.approx(expected, rel=1e-4, abs=1e-5 * float(norms.max()))


def sum_by_loop(architecture, task, weights, X, y, clip):
    """Each row's own gradient, clipped, added up in turn."""
    total = np.zeros(weights.size)
    for gradient in by_hand(architecture, task, weights, X, y):
        total += gradient * min(1.0, clip / max(float(np.linalg.norm(gradient)), 1e-12))
    return total


def unusual(inputs, outputs):
    return nn.Sequential(nn.Linear(inputs, 4), nn.Softplus(), nn.Linear(4, 4, bias=False), nn.Linear(4, outputs))


@settings(max_examples=60, deadline=None)
@given(
    architecture=st.sampled_from([logistic(), mlp((6, 4)), without_bias, Residual, normed, unusual]),
    task=st.sampled_from(TASKS),
    clip=st.floats(0.01, 1e6),
    scale=st.sampled_from([0.01, 1.0, 30.0]),
    seed=st.integers(0, 99),
    lot=st.lists(st.integers(0, 11), max_size=20),
)
def test_the_sum_over_any_lot_of_rows_is_that_of_a_loop_over_them(architecture, task, clip, scale, seed, lot):
    """A lot may be empty, and a row may be in it twice."""
    X, y = (part[np.array(lot, dtype=int)] for part in rows(task, 12, seed, scale))
    weights = initial_weights(architecture, INPUTS, outputs_of(task), seed)
    ours = clipped_of(Learner(architecture, INPUTS, outputs_of(task), task), weights, X, y, clip=clip)
    expected = sum_by_loop(architecture, task, weights, X, y, clip)
    assert ours == pytest.approx(expected, rel=1e-4, abs=1e-5 * max(1.0, float(np.abs(expected).max())))


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("architecture", [logistic(), mlp((6, 4)), without_bias, Residual])
def test_without_a_limit_it_is_the_plain_gradient_of_all_rows(architecture, task):
    X, y = rows(task, 30)
    weights = initial_weights(architecture, INPUTS, outputs_of(task), 1)
    module = build(architecture, INPUTS, outputs_of(task))
    load_weights(module, weights)
    loss_of(task, module(torch.from_numpy(X)), torch.from_numpy(y)).backward()
    plain = 30 * np.concatenate([p.grad.double().numpy().ravel() for p in module.parameters()])
    learner = Learner(architecture, INPUTS, outputs_of(task), task)
    for clip in (1e30, float("inf")):
        assert clipped_of(learner, weights, X, y, clip=clip) == pytest.approx(plain, rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("architecture", [logistic(), mlp((6, 4))])
def test_the_sum_of_many_rows_is_that_of_their_parts(architecture):
    X, y = rows("multiclass", 5000)
    weights = initial_weights(architecture, INPUTS, 3, 1)
    learner = Learner(architecture, INPUTS, 3, "multiclass")
    whole = clipped_of(learner, weights, X, y, clip=0.3)
    parts = [clipped_of(learner, weights, X[part], y[part], clip=0.3) for part in np.array_split(np.arange(5000), 7)]
    assert whole == pytest.approx(np.sum(parts, axis=0), rel=1e-5, abs=1e-4)


def test_a_thousand_equal_rows_weigh_a_thousand_times_one_to_the_last_digit_that_matters():
    X, y = rows("binary", 1)
    weights = initial_weights(mlp((6,)), INPUTS, 1, 1)
    learner = Learner(mlp((6,)), INPUTS, 1, "binary")
    one = clipped_of(learner, weights, X, y, clip=0.1)
    assert np.linalg.norm(one) == pytest.approx(0.1, rel=1e-6)
    many = clipped_of(learner, weights, np.repeat(X, 1000, 0), np.repeat(y, 1000), clip=0.1)
    assert many / 1000 == pytest.approx(one, abs=1e-7)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("architecture", [logistic(), mlp((6,)), Residual])
def test_an_owner_without_rows_adds_nothing(architecture, task):
    X, y = rows(task, 0)
    weights = initial_weights(architecture, INPUTS, outputs_of(task), 1)
    learner = Learner(architecture, INPUTS, outputs_of(task), task)
    assert clipped_of(learner, weights, X, y, clip=1.0).tolist() == [0.0] * weights.size
    change = change_of(learner, weights, X, y, lr=0.1, epochs=2, batch_size=4, seed=0)
    assert change.tolist() == [0.0] * weights.size
    assert learner.scores(weights, X).shape == (0, outputs_of(task))


@settings(max_examples=60, deadline=None)
@given(
    architecture=st.sampled_from([logistic(), mlp((6,)), without_bias, Residual, in_place]),
    task=st.sampled_from(TASKS),
    clip=st.floats(0.01, 10),
    scale=st.sampled_from([0.01, 1.0, 100.0]),
    seed=st.integers(0, 99),
)
def test_one_more_row_changes_the_sum_by_the_clip_at_most(architecture, task, clip, scale, seed):
    X, y = rows(task, 9, seed, scale)
    weights = initial_weights(architecture, INPUTS, outputs_of(task), seed)
    learner = Learner(architecture, INPUTS, outputs_of(task), task)
    whole = clipped_of(learner, weights, X, y, clip=clip)
    for gone in (0, 8):
        fewer = clipped_of(learner, weights, np.delete(X, gone, 0), np.delete(y, gone), clip=clip)
        # The sums are 32-bit numbers of up to nine clips.
        assert np.linalg.norm(whole - fewer) <= clip * (1 + 1e-5)


@pytest.mark.parametrize("task", TASKS)
def test_one_step_on_all_rows_is_plain_gradient_descent(task):
    X, y = rows(task, 20)
    weights = initial_weights(mlp((6,)), INPUTS, outputs_of(task), 1)
    module = build(mlp((6,)), INPUTS, outputs_of(task))
    load_weights(module, weights)
    loss_of(task, module(torch.from_numpy(X)), torch.from_numpy(y)).backward()
    expected = -0.3 * np.concatenate([p.grad.numpy().ravel() for p in module.parameters()])
    learner = Learner(mlp((6,)), INPUTS, outputs_of(task), task)
    change = change_of(learner, weights, X, y, lr=0.3, epochs=1, batch_size=20, seed=0)
    assert change == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("task", TASKS)
def test_one_full_step_is_what_the_unclipped_gradient_says(task):
    X, y = rows(task, 20)
    weights = initial_weights(mlp((6,)), INPUTS, outputs_of(task), 1)
    learner = Learner(mlp((6,)), INPUTS, outputs_of(task), task)
    change = change_of(learner, weights, X, y, lr=0.3, epochs=1, batch_size=20, seed=0)
    assert change == pytest.approx(-0.3 * clipped_of(learner, weights, X, y, clip=1e6) / 20, abs=1e-6)


@pytest.mark.parametrize("task", TASKS)
def test_local_training_equals_torchs_optimiser_over_the_same_batches(task):
    X, y = rows(task, 23)
    weights = initial_weights(mlp((6,)), INPUTS, outputs_of(task), 1)
    learner = Learner(mlp((6,)), INPUTS, outputs_of(task), task)
    change = change_of(learner, weights, X, y, lr=0.1, epochs=3, batch_size=5, seed=9)

    module = build(mlp((6,)), INPUTS, outputs_of(task))
    load_weights(module, weights)
    optimiser = torch.optim.SGD(module.parameters(), lr=0.1)
    for epoch in range(3):
        order = orders([(9, 1, 0)], epoch, [23])[0]
        for start in range(0, 23, 5):
            batch = order[start : start + 5]
            optimiser.zero_grad()
            loss_of(task, module(torch.from_numpy(X[batch])), torch.from_numpy(y[batch])).backward()
            optimiser.step()
    assert change == pytest.approx(flat_weights(module) - weights, abs=2e-6)


def dropping(inputs, outputs):
    return nn.Sequential(nn.Linear(inputs, 16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, outputs))


def train_once(architecture, seed):
    X, y = rows("binary", 30)
    weights = initial_weights(architecture, INPUTS, 1, 1)
    learner = Learner(architecture, INPUTS, 1, "binary")
    return change_of(learner, weights, X, y, lr=0.1, epochs=2, batch_size=7, seed=seed)


@pytest.mark.parametrize("architecture", [mlp((6,)), dropping])
def test_equal_seeds_give_equal_bits_whatever_the_notebook_seeds_and_uses(architecture):
    threads = torch.get_num_threads()
    try:
        torch.manual_seed(1)
        np.random.seed(1)  # noqa: NPY002
        first = train_once(architecture, 5)
        torch.manual_seed(2)
        np.random.seed(2)  # noqa: NPY002
        torch.set_num_threads(2)
        assert train_once(architecture, 5).tobytes() == first.tobytes()
    finally:
        torch.set_num_threads(threads)
    assert train_once(architecture, 6).tobytes() != first.tobytes()


def test_a_learner_remembers_nothing_between_calls():
    X, y = rows("binary", 30)
    weights = initial_weights(dropping, INPUTS, 1, 1)
    learner = Learner(dropping, INPUTS, 1, "binary")
    before = learner.scores(weights, X).tobytes()
    change_of(learner, weights, X, y, lr=0.5, epochs=2, batch_size=7, seed=0)
    clipped_of(learner, weights, X, y, clip=1.0)
    assert learner.scores(weights, X).tobytes() == before, "scores use no dropout and no leftover weights"


class Keeping(nn.Module):
    """Keeps the last row it saw and adds it to the next: in a buffer that it overwrites or replaces, or elsewhere."""

    def __init__(self, inputs, outputs, place):
        super().__init__()
        self.out, self.place = nn.Linear(inputs, outputs), place
        self.register_buffer("kept", torch.zeros(inputs))
        self.rows = [torch.zeros(inputs)]

    def forward(self, x):
        y = self.out(x + self.kept + self.rows[-1])
        if len(x) and self.place == "overwritten":
            self.kept.copy_(x[-1])
        elif len(x) and self.place == "replaced":
            self.kept = x[-1].clone()
        elif len(x):
            self.rows.append(x[-1].clone())
        return y


class Normalising(nn.Module):
    """Running statistics of rows, in buffers, used when it is scored."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.norm, self.out = nn.InstanceNorm1d(1, track_running_stats=True), nn.Linear(inputs, outputs)

    def forward(self, x):
        return self.out(self.norm(x[:, None])[:, 0])


KEEPING = [
    *(functools.partial(Keeping, place=place) for place in ("overwritten", "replaced", "elsewhere")),
    Normalising,
]


@pytest.mark.parametrize("architecture", KEEPING)
def test_nothing_of_one_owner_reaches_the_next_through_what_a_module_keeps(architecture):
    weights = initial_weights(architecture, INPUTS, 1, 1)
    X, y = rows("binary", 12, seed=1)

    def calls(learner, X, y):
        change = change_of(learner, weights, X, y, lr=0.1, epochs=1, batch_size=4, seed=0)
        return change, clipped_of(learner, weights, X, y, clip=1.0), learner.scores(weights, X)

    alone = calls(Learner(architecture, INPUTS, 1, "binary"), X, y)
    shared = Learner(architecture, INPUTS, 1, "binary")
    calls(shared, *rows("binary", 9, seed=2, scale=100.0))
    assert [a.tobytes() for a in calls(shared, X, y)] == [a.tobytes() for a in alone]


@pytest.mark.parametrize("architecture", KEEPING)
def test_a_learner_holds_no_row_after_a_call(architecture):
    weights = initial_weights(architecture, INPUTS, 1, 1)
    learner = Learner(architecture, INPUTS, 1, "binary")
    before = pickle.dumps({k: v.numpy() for k, v in learner._untouched.state_dict().items()})
    X, y = rows("binary", 9)
    change_of(learner, weights, X, y, lr=0.1, epochs=1, batch_size=4, seed=0)
    clipped_of(learner, weights, X, y, clip=1.0)
    learner.scores(weights, X)
    assert pickle.dumps({k: v.numpy() for k, v in learner._untouched.state_dict().items()}) == before
    assert len(getattr(learner._untouched, "rows", [0])) == 1


@pytest.mark.parametrize("architecture", KEEPING)
def test_a_row_adds_its_own_clipped_gradient_whatever_a_module_keeps_of_the_rows_before(architecture):
    X, y = rows("binary", 8)
    weights = initial_weights(architecture, INPUTS, 1, 1)
    learner = Learner(architecture, INPUTS, 1, "binary")
    together = clipped_of(learner, weights, X, y, clip=0.5)
    alone = [clipped_of(learner, weights, X[i : i + 1], y[i : i + 1], clip=0.5) for i in range(8)]
    assert together == pytest.approx(np.sum(alone, axis=0), abs=1e-6)


def failing(inputs, outputs):
    class Failing(nn.Linear):
        def forward(self, x):
            torch.rand(7)
            raise KeyError

    return Failing(inputs, outputs)


@pytest.mark.parametrize("architecture", [dropping, failing])
def test_the_notebooks_threads_and_random_numbers_are_given_back_also_after_an_error(architecture):
    X, y = rows("binary", 10)
    weights = initial_weights(architecture, INPUTS, 1, 1)
    learner, threads = Learner(architecture, INPUTS, 1, "binary"), torch.get_num_threads()
    calls = [
        lambda: change_of(learner, weights, X, y, lr=0.1, epochs=1, batch_size=4, seed=0),
        lambda: clipped_of(learner, weights, X, y, clip=1.0),
        lambda: learner.scores(weights, X),
    ]
    try:
        torch.set_num_threads(2)
        torch.manual_seed(8)
        expected = torch.rand(1)
        for call in calls:
            torch.manual_seed(8)
            if architecture is failing:
                with pytest.raises(KeyError):
                    call()
            else:
                call()
            assert torch.get_num_threads() == 2
            assert torch.equal(torch.rand(1), expected)
    finally:
        torch.set_num_threads(threads)


def overwriting(inputs, outputs):
    return nn.Sequential(nn.ReLU(inplace=True), nn.Linear(inputs, outputs))


@pytest.mark.parametrize("architecture", [mlp((6,)), overwriting])
def test_the_arrays_that_are_given_stay_as_they_were(architecture):
    X, y = rows("binary", 10)
    weights = initial_weights(architecture, INPUTS, 1, 1)
    copies = X.copy(), y.copy(), weights.copy()
    X.setflags(write=False)
    learner = Learner(architecture, INPUTS, 1, "binary")
    change_of(learner, weights, X, y, lr=0.5, epochs=2, batch_size=4, seed=0)
    clipped_of(learner, weights, X, y, clip=0.1)
    learner.scores(weights, X)
    assert all(now.tobytes() == then.tobytes() for now, then in zip((X, y, weights), copies, strict=True))


@pytest.mark.parametrize("executor", ["sequential", "stacked"])
@pytest.mark.parametrize("hidden", [4, 5000])
def test_results_are_read_in_64_bits_as_often_as_asked_and_may_be_taken_one_by_one(executor, hidden):
    learner = Learner(mlp(hidden), INPUTS, 1, "binary", executor)
    weights = initial_weights(mlp(hidden), INPUTS, 1, seed=0)
    jobs = [Job((0, 1, i), *rows("binary", n, seed=i), weights) for i, n in enumerate((7, 3, 9))]
    ends = learner.train(jobs, SGD(0.1), epochs=1, batch_size=4)
    taken = learner.each(jobs, SGD(0.1), lambda end: end.weights - weights, epochs=1, batch_size=4)
    for end, change in zip(ends, taken, strict=True):
        assert end.weights.dtype == np.float64
        assert np.array_equal(end.weights, end.weights.astype(np.float32))
        assert np.array_equal(end.weights, end.weights)
        assert np.array_equal(end.weights - weights, change)
        assert change.any()
