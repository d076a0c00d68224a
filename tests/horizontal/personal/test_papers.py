"""Each personal strategy against its paper's algorithm, written down once more in plain numpy."""

import numpy as np
import pytest

import fedlab_nb as fl
from fedlab_nb.horizontal.personal import Ditto, FedPer, FedRep, PerFedAvg, PFedMe
from fedlab_nb.horizontal.personal.perfedavg import APART, OneStepAhead
from tests.horizontal.personal.paper import BATCH, EPOCHS, LR, MODEL, owners, played

SETTINGS = {"lr": LR, "local_epochs": EPOCHS, "batch_size": BATCH}
CLOSE = {"abs": 2e-5}
ROUNDS = 3


@pytest.fixture(params=[{}, {"sample_rate": 0.6}], ids=["all", "some"])
def federation(request):
    return fl.Federation(owners(), **request.param)


def cohorts(federation):
    for number in range(1, ROUNDS + 1):
        yield number, [federation.names.index(name) for name in federation.cohort(number, 0)]


def weighted(paper, taking, vectors):
    share = paper.shares[taking]
    return share @ np.array(vectors) / share.sum()


def assert_equal(states, strategy, paper, w, own):
    assert states[-1].weights["server"] == pytest.approx(w, **CLOSE)
    models = strategy.personal(states[-1])
    assert set(models) == {paper.names[i] for i in own}
    for i, model in own.items():
        assert models[paper.names[i]] == pytest.approx(model, **CLOSE)
    assert np.abs(w - paper.w0).max() > 0.05, "nothing was learned: equality would say nothing"


def test_some_rounds_are_not_full(federation):
    if federation.house.sample_rate < 1:
        sizes = {len(taking) for _, taking in cohorts(federation)}
        assert sizes & {1, 2}


def test_fedper(federation):
    strategy = FedPer(MODEL, **SETTINGS)
    states, paper = played(strategy, federation, ROUNDS)
    base, heads = paper.w0, {}
    for number, taking in cohorts(federation):
        ends = [paper.sgd(np.where(paper.head, heads.get(i, paper.w0), base), number, i) for i in taking]
        heads |= dict(zip(taking, ends, strict=True))
        base = np.where(paper.head, paper.w0, weighted(paper, taking, ends)) if taking else base
    assert_equal(states, strategy, paper, base, {i: np.where(paper.head, w, base) for i, w in heads.items()})


def test_fedrep(federation):
    strategy = FedRep(MODEL, head_epochs=4, **SETTINGS)
    states, paper = played(strategy, federation, ROUNDS)
    base, heads = paper.w0, {}
    for number, taking in cohorts(federation):
        ends = []
        for i in taking:
            own = np.where(paper.head, heads.get(i, paper.w0), base)
            own = paper.sgd(own, number, i, epochs=4, only=paper.head)
            ends.append(paper.sgd(own, number, i, only=~paper.head))
        heads |= dict(zip(taking, ends, strict=True))
        base = np.where(paper.head, paper.w0, np.mean(ends, axis=0)) if taking else base
    assert_equal(states, strategy, paper, base, {i: np.where(paper.head, w, base) for i, w in heads.items()})


def test_ditto(federation):
    lam = 0.7
    strategy = Ditto(MODEL, lam=lam, **SETTINGS)
    states, paper = played(strategy, federation, ROUNDS)
    w, own = paper.w0, {}
    for number, taking in cohorts(federation):
        for i in taking:
            v = own.get(i, w)
            for X, y in paper.batches(number, i):
                v = v - LR * (paper.gradient(v, X, y) + lam * (v - w))
            own[i] = v
        w = weighted(paper, taking, [paper.sgd(w, number, i) for i in taking]) if taking else w
    assert_equal(states, strategy, paper, w, own)


def test_pfedme(federation):
    lam, inner, steps, beta, lr = 3.0, 0.1, 4, 0.8, 0.1
    strategy = PFedMe(MODEL, lr, EPOCHS, BATCH, lam=lam, inner_lr=inner, inner_steps=steps, beta=beta)
    states, paper = played(strategy, federation, ROUNDS)
    w, own = paper.w0, {}
    for number, taking in cohorts(federation):
        ends = []
        for i in taking:
            local = w
            for X, y in paper.batches(number, i):
                theta = local
                for _ in range(steps):
                    theta = theta - inner * (paper.gradient(theta, X, y) + lam * (theta - local))
                local = local - lr * lam * (local - theta)
            ends.append(local)
            own[i] = theta
        w = (1 - beta) * w + beta * np.mean(ends, axis=0) if taking else w
    assert_equal(states, strategy, paper, w, own)


@pytest.mark.parametrize("form", ["first-order", "Hessian-free"])
def test_perfedavg(federation, form):
    alpha, epochs = 0.15, 4
    strategy = PerFedAvg(MODEL, LR, epochs, BATCH, inner_lr=alpha, form=form)
    states, paper = played(strategy, federation, ROUNDS)
    w, turns = paper.w0, 2 if form == "first-order" else 3
    for number, taking in cohorts(federation):
        ends = []
        for i in taking:
            local, batches = w, list(paper.batches(number, i, epochs))
            assert len(batches) >= turns
            for k in range(0, len(batches) - turns + 1, turns):
                g = paper.gradient(local - alpha * paper.gradient(local, *batches[k]), *batches[k + 1])
                if form == "Hessian-free":
                    g = g - alpha * paper.curved(local, g, *batches[k + 2], apart=APART / np.linalg.norm(g))
                local = local - LR * g
            ends.append(local)
        w = np.mean(ends, axis=0) if taking else w
    own = {i: w - alpha * paper.gradient(w, *map(np.float64, paper.data[i])) for i in range(3)}
    assert_equal(states, strategy, paper, w, own)


class Bowls:
    """Minibatches whose losses are 1/2 w'Aw - b'w, another one at each step, for owners at different ones."""

    def __init__(self, first):
        rng = np.random.default_rng(2)
        self.number, self.first, self.offset = 0, first, None
        self.a = np.array([m @ m.T for m in rng.normal(size=(9, 4, 4)) / 2])
        self.b = rng.normal(size=(9, 4))

    def at(self, owner):
        """What the owner has at this step."""
        return self.a[self.number + self.first[owner]], self.b[self.number + self.first[owner]]

    def gradient(self, w, pull=None):
        import torch

        rows = [a @ row - b for row, (a, b) in zip(w.numpy(), map(self.at, range(len(w))), strict=True)]
        return torch.tensor(np.array(rows))


@pytest.mark.parametrize("form", ["first-order", "Hessian-free"])
def test_the_step_of_perfedavg_has_the_exact_hessian_where_losses_are_bowls(form):
    import torch

    rule, bowls, alpha, lr = OneStepAhead(0.1, 0.3, form), Bowls([0, 2]), 0.3, 0.1
    w = torch.tensor(np.random.default_rng(0).normal(size=(2, 4)))
    want, kept = w.numpy().copy(), rule.begin(w)
    for step in range(rule.turns):
        bowls.number = step
        rule.step(w, bowls, kept)
    for i, first in enumerate(bowls.first):
        a, b = bowls.a[first : first + 3], bowls.b[first : first + 3]
        v = a[1] @ (want[i] - alpha * (a[0] @ want[i] - b[0])) - b[1]
        want[i] -= lr * (v - (alpha * a[2] @ v if form == "Hessian-free" else 0.0))
    assert w.numpy() == pytest.approx(want, abs=1e-9)


def test_owners_may_be_at_different_turns_of_perfedavg():
    import torch

    rule = OneStepAhead(0.1, 0.3, "Hessian-free")
    together, alone = Bowls([0, 1]), [Bowls([0]), Bowls([1])]
    w = torch.tensor(np.random.default_rng(0).normal(size=(2, 4)))
    single = [w[i : i + 1].clone() for i in range(2)]
    kept, own = rule.begin(w), [rule.begin(row) for row in single]
    own[1]["turn"] += 1.0
    kept["turn"][1] += 1.0
    for step in range(6):
        for bowls in (together, *alone):
            bowls.number = step
        rule.step(w, together, kept)
        for row, bowls, mine in zip(single, alone, own, strict=True):
            rule.step(row, bowls, mine)
    assert w.numpy() == pytest.approx(torch.cat(single).numpy(), abs=1e-12)
