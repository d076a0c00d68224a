"""Each strategy against its paper's algorithm, written here a second time in numpy, for owners that come and go.

The model is logistic regression, its gradient written by hand. Owners have unequal numbers of rows, train in small
batches, and take part by chance, so that weights, step counts and the part of owners that came all matter.
"""

import numpy as np
import pytest

import fedlab_nb as fl
from fedlab_nb.horizontal.drift import MOON, SCAFFOLD, FedDyn, FedNova, FedProx
from fedlab_nb.horizontal.server import FedAdagrad, FedAdam, FedAvgM, FedSGD, FedYogi
from fedlab_nb.learn.engine import plan
from fedlab_nb.rounds import rounds
from tests.horizontal.strategies.common import HIDDEN, LOGISTIC, begun, rows_of, unequal

ROUNDS, LR, EPOCHS, BATCH = 5, 0.2, 2, 16
LOCAL = {"lr": LR, "local_epochs": EPOCHS, "batch_size": BATCH}


class Papers:
    """The federation, seen from outside: who comes when, whose rows are whose, and local training by hand."""

    def __init__(self):
        self.federation = fl.Federation(unequal(), sample_rate=0.7)
        self.names = self.federation.names

    def play(self, strategy):
        """The weights after each round, as the package has them."""
        self.before = begun(self.federation, strategy)
        self.rows = rows_of(self.federation, self.before)
        self.n = {name: len(X) for name, (X, _) in self.rows.items()}
        history = list(rounds(self.federation, strategy, num_rounds=ROUNDS))
        assert history[-1].failed is None
        self.cohorts = [record.cohort for record in history]
        assert min(map(len, self.cohorts)) < len(self.names), "somebody has to be missing, or much goes untested"
        return [record.state.weights["server"] for record in history]

    def start(self):
        return self.before.weights["server"]

    def share(self, cohort):
        """Each owner's part of a cohort's rows."""
        return {name: self.n[name] / sum(self.n[other] for other in cohort) for name in cohort}

    def batches(self, name, number, batch=BATCH, epochs=EPOCHS):
        X, y = self.rows[name]
        for epoch in range(epochs):
            order = plan.orders([(0, number, self.names.index(name))], epoch, [len(X)])[0]
            for at in range(0, len(X), batch):
                rows = order[at : at + batch]
                yield X[rows].astype(np.float64), y[rows].astype(np.float64)

    def train(self, name, number, w, force=lambda v: 0.0, momentum=0.0, decay=0.0):
        """An owner's model (d,) after its local steps, and how many there were; ``force`` is added to gradients."""
        v, m, steps = w.copy(), np.zeros_like(w), 0
        for X, y in self.batches(name, number):
            m = momentum * m + slope(v, X, y) + decay * v + force(v)
            v, steps = v - LR * m, steps + 1
        return v, steps


def slope(w, X, y):
    """Gradient of the mean logistic loss at weights and bias."""
    wrong = 1.0 / (1.0 + np.exp(-(X @ w[:-1] + w[-1]))) - y
    return np.append(X.T @ wrong, wrong.sum()) / len(X)


def as_sent(w):
    return w.astype(np.float32).astype(np.float64)


def fedsgd(lab, settings):
    w = lab.start()
    for cohort in lab.cohorts:
        rows = [lab.rows[name] for name in cohort]
        X, y = np.concatenate([X for X, _ in rows]), np.concatenate([y for _, y in rows])
        w = w - LR * slope(as_sent(w), X, y) if len(X) else w
        yield w


def averaging(lab, settings, server=lambda w, delta: w + delta):
    """Federated averaging with proximal term, momentum and weight decay of the local steps, and any server."""
    w, mu = lab.start(), settings.get("mu", 0.0)
    local = {"momentum": settings.get("momentum", 0.0), "decay": settings.get("weight_decay", 0.0)}
    for number, cohort in enumerate(lab.cohorts, 1):
        s, share = as_sent(w), lab.share(cohort)
        ends = {name: lab.train(name, number, s, lambda v, s=s: mu * (v - s), **local)[0] for name in cohort}
        w = server(w, sum(share[name] * (end - s) for name, end in ends.items())) if cohort else w
        yield w


def fedavgm(lab, settings):
    kept = {"m": 0.0}

    def server(w, delta):
        kept["m"] = settings["server_momentum"] * kept["m"] + delta
        return w + settings["server_lr"] * kept["m"]

    return averaging(lab, settings, server)


def fedopt(which):
    def paper(lab, settings):
        beta1, beta2, tau = settings["beta1"], settings.get("beta2"), settings["tau"]
        kept = {"m": 0.0, "v": tau**2}

        def server(w, delta):
            kept["m"] = beta1 * kept["m"] + (1 - beta1) * delta
            v, square = kept["v"], delta * delta
            kept["v"] = {
                "adagrad": lambda: v + square,
                "adam": lambda: beta2 * v + (1 - beta2) * square,
                "yogi": lambda: v - (1 - beta2) * square * np.sign(v - square),
            }[which]()
            return w + settings["server_lr"] * kept["m"] / (np.sqrt(kept["v"]) + tau)

        return averaging(lab, settings, server)

    return paper


def fednova(lab, settings):
    """With a_i of plain, momentum or proximal steps as the paper gives them in closed form."""
    w, rho, mu = lab.start(), settings.get("momentum", 0.0), settings.get("mu", 0.0)
    for number, cohort in enumerate(lab.cohorts, 1):
        s, share, directions, reach = as_sent(w), lab.share(cohort), {}, {}
        for name in cohort:
            v, tau = lab.train(name, number, s, lambda v, s=s: mu * (v - s), momentum=rho)
            reach[name] = (tau - rho * (1 - rho**tau) / (1 - rho)) / (1 - rho)
            if mu:
                reach[name] = (1 - (1 - LR * mu) ** tau) / (LR * mu)
            directions[name] = (v - s) / reach[name]
        if cohort:
            effective = settings.get("steps") or sum(share[name] * reach[name] for name in cohort)
            w = w + effective * sum(share[name] * directions[name] for name in cohort)
        yield w


def scaffold(lab, settings):
    w, common = lab.start(), np.zeros_like(lab.start())
    own = {name: np.zeros_like(w) for name in lab.names}
    for number, cohort in enumerate(lab.cohorts, 1):
        s, c = as_sent(w), as_sent(common)
        changes, controls = [], []
        for name in cohort:
            v, steps = lab.train(name, number, s, lambda v, c=c, name=name: c - own[name])
            changes.append(v - s)
            new = own[name] - c + (s - v) / (steps * LR)
            controls.append(new - own[name])
            own[name] = new
        if cohort:
            w = w + settings.get("server_lr", 1.0) * np.mean(changes, axis=0)
            common = common + np.sum(controls, axis=0) / len(lab.names)
        yield w


def feddyn(lab, settings):
    w, h, alpha = lab.start(), 0.0, settings["alpha"]
    own = {name: np.zeros_like(w) for name in lab.names}
    for number, cohort in enumerate(lab.cohorts, 1):
        s = as_sent(w)
        ends = [lab.train(name, number, s, lambda v, s=s, h=own[name]: alpha * (v - s) - h)[0] for name in cohort]
        own |= {name: own[name] - alpha * (v - s) for name, v in zip(cohort, ends, strict=True)}
        if cohort:
            h = h - alpha * sum(v - s for v in ends) / len(lab.names)
            w = np.mean(ends, axis=0) - h / alpha
        yield w


ADAPTIVE = {"server_lr": 0.05, "beta1": 0.8, "tau": 1e-2}


@pytest.mark.parametrize(
    ("kind", "settings", "paper"),
    [
        (FedAvgM, {"server_lr": 0.7, "server_momentum": 0.6}, fedavgm),
        (FedAvgM, {"server_lr": 0.7, "server_momentum": 0.6, "momentum": 0.5, "weight_decay": 0.1}, fedavgm),
        (FedAdagrad, ADAPTIVE, fedopt("adagrad")),
        (FedAdam, {**ADAPTIVE, "beta2": 0.9}, fedopt("adam")),
        (FedYogi, {**ADAPTIVE, "beta2": 0.9}, fedopt("yogi")),
        (FedProx, {"mu": 0.7}, averaging),
        (FedNova, {}, fednova),
        (FedNova, {"momentum": 0.6}, fednova),
        (FedNova, {"mu": 0.7}, fednova),
        (FedNova, {"steps": 7.0}, fednova),
        (SCAFFOLD, {}, scaffold),
        (SCAFFOLD, {"server_lr": 0.8}, scaffold),
        (FedDyn, {"alpha": 0.5}, feddyn),
    ],
    ids=lambda part: getattr(part, "__name__", ",".join(part) if isinstance(part, dict) else None),
)
def test_every_round_is_that_of_the_paper(kind, settings, paper):
    lab = Papers()
    ours = lab.play(kind(LOGISTIC, **LOCAL, **settings))
    for number, (got, wanted) in enumerate(zip(ours, paper(lab, settings), strict=True), 1):
        assert got == pytest.approx(wanted, abs=5e-6), f"round {number}"


def test_federated_gradient_descent_is_gradient_descent_on_all_rows_of_a_round():
    lab = Papers()
    ours = lab.play(FedSGD(LOGISTIC, lr=LR))
    for got, wanted in zip(ours, fedsgd(lab, {}), strict=True):
        assert got == pytest.approx(wanted, abs=1e-6)


def test_model_contrastive_rounds_are_those_of_the_paper():
    """The loss of the paper's equation 3 as a cross-entropy, its gradient by torch, at 64 bits."""
    import torch
    from torch.nn import functional

    mu, temperature, lab = 2.0, 0.5, Papers()
    ours = lab.play(MOON(HIDDEN, **LOCAL, mu=mu, temperature=temperature))
    w, inputs, previous = lab.start(), 5, {}

    def hidden(v, X):
        first = v[: 4 * inputs].reshape(4, inputs)
        return functional.relu(X @ first.T + v[4 * inputs : 4 * inputs + 4])

    for number, cohort in enumerate(lab.cohorts, 1):
        s, ends = torch.tensor(as_sent(w)), {}
        for name in cohort:
            v, prev = s.clone(), previous.get(name, s)
            for X, y in lab.batches(name, number):
                rows, v = torch.tensor(X), v.requires_grad_()
                z = hidden(v, rows)
                loss = functional.binary_cross_entropy_with_logits(z @ v[-5:-1] + v[-1], torch.tensor(y))
                alike = [functional.cosine_similarity(z, hidden(u, rows).detach(), dim=1) for u in (s, prev)]
                logits = torch.stack(alike, 1) / temperature
                loss = loss + mu * functional.cross_entropy(logits, torch.zeros(len(rows), dtype=torch.long))
                v = (v - LR * torch.autograd.grad(loss, v)[0]).detach()
            ends[name] = previous[name] = v
        share = lab.share(cohort)
        w = w + sum(share[name] * (end - s).numpy() for name, end in ends.items())
        assert ours[number - 1] == pytest.approx(w, abs=5e-6), f"round {number}"
    assert len(previous) > 1
