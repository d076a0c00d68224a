"""Somebody who chooses each release after seeing the last one reaches no more delta than was agreed: found exactly.

Two neighbouring data sets give each outcome with probabilities p and q. The delta that releases reach at epsilon is the
sum of (p - e^epsilon q)+ over all that can come out; a Gaussian release at the end of a branch has a closed form. The
adversary tries every branch of a small tree and takes the best choice in each, within what the guard still lets pass.
"""

import math
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pytest
from scipy.special import ndtr, ndtri

from fedlab_nb.privacy import Budget, GaussianMeter, RenyiMeter, best_order
from fedlab_nb.privacy.accountant import Total
from fedlab_nb.privacy.meters import GAUSSIAN, gaussian_mu, laplace_renyi, pure_mu_squared
from fedlab_nb.records import PrivacyEvent
from tests.privacy.common import aside

BINS = 24


def event(mechanism, amount, delta=0.0):
    return PrivacyEvent(1, "a release", "training", "row", mechanism, amount, delta)


@dataclass(frozen=True)
class Enforced:
    """What the guard goes by: one cost, and a delta for lists that was fixed at the start."""

    budget: Budget
    total: Total

    def after(self, release):
        """The state after this release; None if the guard refuses it."""
        total = self.total + Total.of(release, 1, self.total.meter)
        return replace(self, total=total) if total.fits(self.budget.epsilon, self.budget.delta) else None

    def gaussian(self, share):
        """The mu of the Gaussian release that takes this share of the rest."""
        room = max(self.total.room(self.budget.epsilon, self.budget.delta), 0.0)
        return 1 / self.total.meter.noise(share * room) if room else 0.0

    def laplace(self, share):
        """The epsilon of the Laplace release that takes this share of the rest."""
        meter, room = self.total.meter, share * self.total.room(self.budget.epsilon, self.budget.delta)
        return _root(lambda eps: meter.cost(event("laplace", 1 / eps)) <= room)

    @property
    def lists(self):
        return self.total.lists_left


@dataclass(frozen=True)
class Former:
    """The rule that this one replaced: epsilon of Laplace releases, and delta of lists, go off what is left of both."""

    budget: Budget
    cost: float = 0.0
    pure: float = 0.0
    used: float = 0.0

    def after(self, release):
        laplace = release.mechanism == "laplace"
        cost, pure = (0.0, 1 / release.amount) if laplace else (release.amount**-2, 0.0)
        state = replace(self, cost=self.cost + cost, pure=self.pure + pure, used=self.used + release.delta)
        open_epsilon, open_delta = self.budget.epsilon - state.pure, self.budget.delta - state.used
        fits = open_epsilon >= 0.0 < open_delta and state.cost <= gaussian_mu(open_epsilon, open_delta) ** 2 * (
            1 + 1e-9
        )
        return state if fits else None

    def gaussian(self, share):
        room = gaussian_mu(self.budget.epsilon - self.pure, self.budget.delta - self.used) ** 2 - self.cost
        return math.sqrt(max(share * room, 0.0))

    def laplace(self, share):
        open_delta = self.budget.delta - self.used
        free = _root(lambda eps: self.cost <= gaussian_mu(self.budget.epsilon - self.pure - eps, open_delta) ** 2)
        return share * free

    @property
    def lists(self):
        return 0.9 * (self.budget.delta - self.used)


def _root(fits):
    low, high = 0.0, 50.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


@cache
def by_gaussian(mu):
    """A Gaussian release sorted into bins: (p, q) of each."""
    edges = np.concatenate([[-np.inf], np.linspace(-4, 4 + mu, BINS), [np.inf]])
    return tuple(zip(np.diff(ndtr(edges - mu)).tolist(), np.diff(ndtr(edges)).tolist(), strict=True))


@cache
def by_laplace(eps):
    """A Laplace release sorted into bins, with the two tails apart, in which its privacy loss is largest."""
    x = np.linspace(0.0, 1.0, 7)

    def below(x):
        return np.where(x < 0, np.exp(np.minimum(eps * x, 0)) / 2, 1 - np.exp(-np.maximum(eps * x, 0)) / 2)

    p, q = (np.diff(np.concatenate([[0.0], below(x - centre), [1.0]])) for centre in (1.0, 0.0))
    return tuple(zip(p.tolist(), q.tolist(), strict=True))


def by_coin(eps):
    """The worst release with this epsilon and no delta: which of two it is, told with the truth's odds e^epsilon."""
    right = 1 / (1 + math.exp(-eps))
    return (right, 1 - right), (1 - right, right)


def by_list(delta, turned):
    """A list names the row's value with probability delta, and never if the row is not there."""
    found = (0.0, delta) if turned else (delta, 0.0)
    return found, (1 - found[0], 1 - found[1])


def at_last(p, q, mu, eps):
    """What a Gaussian release adds up to at the end of a branch: Balle and Wang 2018, theorem 8, with odds p : q."""
    if mu <= 0.0 or p == 0.0 or q == 0.0:
        return max(p - math.exp(eps) * q, 0.0)
    loss = eps + math.log(q / p)
    return float(p * ndtr(mu / 2 - loss / mu) - math.exp(eps) * q * ndtr(-mu / 2 - loss / mu))


@cache
def choices(state, turned, wide):
    """What may be released next: for each, the state after it and the outcomes."""
    found = []
    for share in (0.3, 1.0):
        eps = state.laplace(share)
        if eps > 0.0:
            after = state.after(event("laplace", 1 / eps * (1 + 1e-12)))
            renyi = (
                isinstance(state, Enforced) and state.total.meter != GAUSSIAN
            )  # counts the law of Laplace noise itself
            found += [(after, told) for told in ([] if renyi else [by_coin(eps)]) + [by_laplace(eps)]]
        if state.lists > 0.0:
            found.append(
                (state.after(event("gaussian", 1e9, share * state.lists)), by_list(share * state.lists, turned))
            )
    for share in (0.1, 0.5) if wide else ():
        mu = state.gaussian(share)
        found += [(state.after(event("gaussian", 1 / mu)), by_gaussian(mu))] if mu > 0.0 else []
    return [(after, outcomes) for after, outcomes in found if after is not None]


def reached(state, depth, p=1.0, q=1.0, turned=False):
    """The largest delta that ``depth`` choices and a last Gaussian release reach from here."""
    best = at_last(p, q, state.gaussian(1.0), state.budget.epsilon)
    if depth == 0 or p == 0.0 or q == 0.0:
        return best
    for after, outcomes in choices(state, turned, depth > 1):
        told = sum(reached(after, depth - 1, p * a, q * b, turned) for a, b in outcomes)
        best = max(best, told)
    return best


BUDGETS = [Budget(0.5, 1e-2), Budget(1.0, 1e-3), Budget(3.0, 1e-5), Budget(8.0, 1e-3)]


@pytest.mark.parametrize("budget", BUDGETS, ids=str)
@pytest.mark.parametrize("turned", [False, True], ids=["added", "removed"])
@pytest.mark.parametrize("kind", [GaussianMeter, RenyiMeter])
def test_no_choice_of_releases_reaches_more_delta_than_was_agreed(kind, turned, budget):
    meter = GAUSSIAN if kind is GaussianMeter else RenyiMeter(best_order(budget.epsilon, budget.delta))
    start = Enforced(budget, Total(delta=aside(budget, lists=1), meter=meter))
    most = reached(start, 3, turned=turned)
    assert most <= budget.delta * (1 + 1e-6)
    if kind is GaussianMeter:
        assert most > 0.85 * budget.delta, "the adversary uses what there is"


@pytest.mark.parametrize("budget", BUDGETS, ids=str)
def test_the_same_adversary_goes_beyond_the_rule_that_splits_epsilon_and_delta_afterwards(budget):
    assert reached(Former(budget), 2) > 1.3 * budget.delta


def test_the_tree_knows_the_exact_delta_of_one_gaussian():
    """Without a choice: a Gaussian in bins and another after it act as one, up to what the bins lose."""
    eps, first, second = 1.0, 0.6, 0.8
    joint = at_last(1.0, 1.0, math.hypot(first, second), eps)
    told = sum(at_last(p, q, second, eps) for p, q in by_gaussian(first))
    assert 0.97 * joint < told <= joint
    assert sum(p for p, _ in by_laplace(0.7)) == sum(q for _, q in by_laplace(0.7)) == pytest.approx(1.0)


@pytest.mark.parametrize("eps", [0.2, 1.0, 4.0])
def test_both_laws_of_a_laplace_release_are_those_of_its_bins(eps):
    """Coarser outcomes cost no more: Renyi divergence of the bins, and their place above the Gaussian's curve."""
    bins = np.array(by_laplace(eps))
    for order in (1.5, 4.0, 16.0):
        found = math.log(np.sum(bins[:, 0] ** order * bins[:, 1] ** (1 - order))) / (order - 1)
        assert 0.9 * laplace_renyi(1 / eps, order) < found <= laplace_renyi(1 / eps, order)
    alarms, hits = np.cumsum(bins[::-1, 1])[:-1], np.cumsum(bins[::-1, 0])[:-1]
    assert np.all(hits <= ndtr(ndtri(alarms) + math.sqrt(pure_mu_squared(eps))))
