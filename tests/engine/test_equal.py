"""Whichever executor trains the owners of a round, the result is the same."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from fedlab_nb.learn.engine import SGD, Job, Sequential, Stacked
from fedlab_nb.learn.engine.flat import flat_weights
from tests.engine.common import INPUTS, MODELS, RULES, SIZES, built, jobs_of, mean, rows

CLOSE = {torch.float64: 1e-12, torch.float32: 1e-4}


def largest(a, b) -> float:
    """The largest difference of two lists of results, in weights and in what rules kept."""
    assert [t.steps for t in a] == [t.steps for t in b]
    assert [sorted(t.kept) for t in a] == [sorted(t.kept) for t in b]
    kept = [np.abs(t.kept[name] - u.kept[name]).max(initial=0.0) for t, u in zip(a, b, strict=True) for name in t.kept]
    return max([np.abs(t.weights - u.weights).max() for t, u in zip(a, b, strict=True)] + kept)


def rounds(executor, module, rule, number, *, batch_size, **given):
    """Several rounds of averaging; the last round's jobs' results, and the average."""
    weights = flat_weights(module)
    for i in range(1, number + 1):
        jobs = jobs_of(module, number=i, start=weights, **given)
        trained = list(executor.run(jobs, rule, epochs=2, batch_size=batch_size))
        weights = mean(jobs, trained)
    return trained, weights


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("model", MODELS)
def test_both_executors_agree_for_every_model_and_rule(model, rule):
    module, ways = built(model), []
    for way in (Sequential, Stacked):
        executor = way(module, "multiclass", torch.float64)
        ways.append(rounds(executor, module, RULES[rule](module), 3, batch_size=8, offset=rule == "offset"))
    (a, mean_a), (b, mean_b) = ways
    assert largest(a, b) < 1e-12
    assert np.abs(mean_a - mean_b).max() < 1e-12
    assert np.abs(mean_a - flat_weights(module)).max() > 1e-3


@pytest.mark.parametrize("model", MODELS)
def test_twenty_rounds_in_32_bits_stay_within_rounding(model):
    module = built(model)
    sizes = (5, 0, 1, 12, 9)
    ends = [
        rounds(way(module, "multiclass"), module, SGD(0.05, momentum=0.5), 20, batch_size=8, sizes=sizes)[1]
        for way in (Sequential, Stacked)
    ]
    assert np.abs(ends[0] - ends[1]).max() < 1e-4


@pytest.mark.parametrize("model", ["mlp", "cnn", "dropout", "batchnorm"])
@pytest.mark.parametrize("batch_size", [None, 1, 3, 300])
def test_both_agree_for_every_size_of_minibatch(model, batch_size):
    module = built(model)
    sizes = (*SIZES, 300) if model == "mlp" else SIZES
    jobs = jobs_of(module, sizes, apart=True)
    a, b = (
        list(way(module, "multiclass", torch.float64).run(jobs, SGD(0.1), epochs=3, batch_size=batch_size))
        for way in (Sequential, Stacked)
    )
    assert largest(a, b) < 1e-12


@pytest.mark.parametrize("outputs", [1, 2])
@pytest.mark.parametrize("task", ["binary", "regression"])
def test_both_agree_for_two_classes_and_for_numbers(task, outputs):
    module = nn.Sequential(nn.Linear(INPUTS, 5), nn.Tanh(), nn.Linear(5, outputs))
    jobs = jobs_of(module, task=task)
    a, b = (
        list(way(module, task, torch.float64).run(jobs, SGD(0.1), epochs=2, batch_size=4))
        for way in (Sequential, Stacked)
    )
    assert largest(a, b) < 1e-12


@pytest.mark.parametrize("way", [Sequential, Stacked])
@pytest.mark.parametrize("rule", [SGD(0.1), SGD(0.1, momentum=0.9)])
def test_an_owner_without_rows_is_left_as_it_is(way, rule):
    module = built("mlp")
    (job,) = jobs_of(module, (0,))
    (trained,) = way(module, "multiclass", torch.float64).run([job], rule, epochs=2, batch_size=8)
    assert trained.steps == 0
    assert np.array_equal(trained.weights, job.start)
    assert list(way(module, "multiclass").run([], rule, epochs=1, batch_size=8)) == []


@pytest.mark.parametrize("way", [Sequential, Stacked])
def test_an_owner_whose_rows_are_no_numbers_spoils_nobody_else(way):
    module = built("mlp")
    jobs = jobs_of(module, (9, 9, 5, 9))
    X = jobs[1].X.copy()
    X[3] = np.nan
    spoiled = [*jobs[:1], Job(jobs[1].key, X, jobs[1].y, jobs[1].start), *jobs[2:]]
    a, b = (list(way(module, "multiclass").run(j, SGD(0.1), epochs=2, batch_size=4)) for j in (jobs, spoiled))
    assert np.isnan(b[1].weights).all()
    for i in (0, 2, 3):
        assert np.array_equal(a[i].weights, b[i].weights)


layer = st.sampled_from([nn.ReLU, nn.Tanh, nn.Sigmoid, nn.GELU, nn.SiLU, nn.Identity])


@settings(max_examples=25, deadline=None)
@given(
    widths=st.lists(st.integers(1, 9), max_size=3),
    between=layer,
    sizes=st.lists(st.integers(0, 20), min_size=1, max_size=6),
    batch_size=st.one_of(st.none(), st.integers(1, 9)),
    epochs=st.integers(1, 3),
    momentum=st.sampled_from([0.0, 0.5]),
    seed=st.integers(0, 99),
)
def test_both_agree_for_any_shape(widths, between, sizes, batch_size, epochs, momentum, seed):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers, before = [], INPUTS
        for width in widths:
            layers += [nn.Linear(before, width), between()]
            before = width
        module = nn.Sequential(*layers, nn.Linear(before, 3))
    jobs, rule = jobs_of(module, sizes, seed), SGD(0.1, momentum)
    a, b = (
        list(way(module, "multiclass", torch.float64).run(jobs, rule, epochs=epochs, batch_size=batch_size))
        for way in (Sequential, Stacked)
    )
    assert largest(a, b) < 1e-12


@settings(max_examples=25, deadline=None)
@given(
    channels=st.sampled_from([1, 2, 8, 9]),
    out=st.integers(1, 4),
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    padding=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    bias=st.booleans(),
)
def test_convolutions_agree_for_any_kernel_stride_and_padding(channels, out, kernel, stride, padding, bias):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        first = [nn.Unflatten(1, (1, 4, 4)), nn.Conv2d(1, channels, 1)]
        conv = nn.Conv2d(channels, out, kernel, stride, padding, bias=bias)
        features = nn.Sequential(*first, conv, nn.Flatten())(torch.zeros(1, INPUTS)).shape[1]
        module = nn.Sequential(*first, conv, nn.Flatten(), nn.Linear(features, 3))
    jobs = jobs_of(module, (5, 2))
    a, b = (
        list(way(module, "multiclass", torch.float64).run(jobs, SGD(0.1), epochs=1, batch_size=3))
        for way in (Sequential, Stacked)
    )
    assert largest(a, b) < 1e-12


POOLS = [nn.MaxPool2d(3, 1, 1), nn.MaxPool2d(2, ceil_mode=True), nn.AvgPool2d(3, 2, 1, ceil_mode=True)]


@pytest.mark.parametrize("pool", POOLS)
def test_pools_agree_for_their_settings(pool):
    sizes = nn.Sequential(nn.Unflatten(1, (1, 4, 4)), nn.Conv2d(1, 3, 2), pool, nn.Flatten())(torch.zeros(1, INPUTS))
    module = nn.Sequential(
        nn.Unflatten(1, (1, 4, 4)), nn.Conv2d(1, 3, 2), pool, nn.Flatten(), nn.Linear(sizes.shape[1], 3)
    )
    jobs = jobs_of(module, (5, 2))
    a, b = (
        list(way(module, "multiclass", torch.float64).run(jobs, SGD(0.1), epochs=2, batch_size=3))
        for way in (Sequential, Stacked)
    )
    assert largest(a, b) < 1e-12


@pytest.mark.parametrize("way", [Sequential, Stacked])
@pytest.mark.parametrize("model", ["mlp", "cnn"])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_one_owner_is_plain_gradient_descent(way, model, momentum):
    module = built(model).double()
    job = jobs_of(module, (11,))[0]
    by_hand = built(model).double()
    X, y = torch.from_numpy(job.X).double(), torch.from_numpy(job.y)
    speed = [torch.zeros_like(p) for p in by_hand.parameters()]
    for epoch in range(2):
        for batch in np.split(order_of(job, epoch), [4, 8]):
            loss = nn.functional.cross_entropy(by_hand(X[batch]), y[batch])
            by_hand.zero_grad()
            loss.backward()
            with torch.no_grad():
                for p, v in zip(by_hand.parameters(), speed, strict=True):
                    v.mul_(momentum).add_(p.grad)
                    p.sub_(0.1 * v)
    (trained,) = way(module, "multiclass").run([job], SGD(0.1, momentum), epochs=2, batch_size=4)
    assert trained.steps == 6
    assert np.abs(trained.weights - flat_weights(by_hand)).max() < 1e-12


def test_padding_that_a_rule_makes_nothing_of_stays_out():
    class Direction:
        def begin(self, w):
            return {}

        def step(self, w, batch, kept):
            w.sub_(batch.gradient(w, lambda z: z / z.norm(dim=2, keepdim=True)), alpha=0.1)

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = nn.Sequential(nn.Linear(INPUTS, 4, bias=False), nn.Linear(4, 3))
    a, b = (
        list(way(module, "multiclass", torch.float64).run(jobs_of(module), Direction(), epochs=1, batch_size=8))
        for way in (Sequential, Stacked)
    )
    assert largest(a, b) < 1e-12


def order_of(job, epoch):
    """The order of rows as the plan's own words say it: sorted by a hash of (seed, round, owner, epoch, row)."""
    from fedlab_nb.learn.engine.plan import GOLDEN, mixed, seed_of

    head = seed_of(*job.key, epoch)
    words = [(head + row * GOLDEN) % 2**64 for row in range(len(job))]
    with np.errstate(over="ignore"):
        return np.argsort(mixed(np.array(words, dtype=np.uint64)))


@pytest.mark.parametrize("way", [Sequential, Stacked])
def test_one_step_on_all_rows_of_equal_owners_is_a_step_on_the_pooled_rows(way):
    module = built("mlp")
    jobs = jobs_of(module, (12, 12, 12))
    pooled = Job((7, 1, 0), np.concatenate([j.X for j in jobs]), np.concatenate([j.y for j in jobs]), jobs[0].start)
    executor = way(module, "multiclass", torch.float64)
    apart = mean(jobs, list(executor.run(jobs, SGD(0.1), epochs=1, batch_size=None)))
    (together,) = executor.run([pooled], SGD(0.1), epochs=1, batch_size=None)
    assert np.abs(apart - together.weights).max() < 1e-13


def test_mean_losses_agree_and_are_those_of_torch():
    for model in MODELS:
        module = built(model).double()
        jobs = jobs_of(module, (5, 0, 1, 300))
        a, b = (way(module, "multiclass").losses_of(jobs) for way in (Sequential, Stacked))
        with torch.no_grad():
            scores = module.eval()(torch.from_numpy(jobs[3].X).double())
        known = float(nn.functional.cross_entropy(scores, torch.from_numpy(jobs[3].y)))
        assert np.isnan(a[1])
        assert np.isnan(b[1])
        assert abs(b[3] - known) < 1e-12
        assert np.nanmax(np.abs(a - b)) < 1e-12


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_mean_losses_agree_for_two_classes_and_for_numbers(task):
    module = nn.Sequential(nn.Linear(INPUTS, 4), nn.ReLU(), nn.Linear(4, 1)).double()
    jobs = jobs_of(module, (5, 3, 8), task=task)
    a, b = (way(module, task).losses_of(jobs) for way in (Sequential, Stacked))
    assert np.abs(a - b).max() < 1e-12
    assert (a > 0).all()


def test_owners_of_many_more_rows_than_fit_in_one_piece_are_gathered_row_by_row(monkeypatch):
    from fedlab_nb.learn.engine.stacked import minibatches

    module = built("mlp")
    jobs = jobs_of(module)
    plain = list(Stacked(module, "multiclass").run(jobs, SGD(0.1), epochs=2, batch_size=4))
    monkeypatch.setattr(minibatches, "_POOLED", 0)
    monkeypatch.setattr(minibatches, "_GATHERED", 1)
    again = list(Stacked(module, "multiclass").run(jobs, SGD(0.1), epochs=2, batch_size=4))
    assert all(np.array_equal(a.weights, b.weights) for a, b in zip(plain, again, strict=True))


def test_rows_are_what_they_were():
    X, y = rows(9, 0)
    before = X.tobytes(), y.tobytes()
    module = nn.Sequential(nn.ReLU(inplace=True), nn.Linear(INPUTS, 3))
    job = Job((0, 1, 0), X, y, flat_weights(module))
    for way in (Sequential, Stacked):
        list(way(module, "multiclass").run([job], SGD(0.1), epochs=1, batch_size=None))
    assert (X.tobytes(), y.tobytes()) == before
