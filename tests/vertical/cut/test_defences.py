"""Each defence keeps its own law; what it does to an attack is in test_leak.py."""

import math

import numpy as np
import pytest
from scipy.optimize import minimize

from fedlab_nb.errors import SettingError
from fedlab_nb.vertical.cut import Defence, LabelDP, Marvell, MaxNormNoise
from fedlab_nb.vertical.cut.marvell import Classes, Spread, hardest

RNG = np.random.default_rng(11)


def two_clouds(rows=400, width=6, share=0.2):
    y = (np.arange(rows) < share * rows).astype(float)
    line = np.linspace(1, 2, width)
    return np.where(y[:, None] > 0.5, 1.5, -0.3) * line + RNG.normal(size=(rows, width)) * np.where(y, 0.4, 0.1)[
        :, None
    ], y


@pytest.mark.parametrize("epsilon", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("classes", [2, 4])
def test_labels_change_as_often_as_randomised_response_says_and_no_more(epsilon, classes):
    rows = 200_000
    y = RNG.integers(0, classes, rows).astype(float)
    told = LabelDP(epsilon).labels(y, classes, np.random.default_rng(1))
    kept = math.exp(epsilon) / (math.exp(epsilon) + classes - 1)
    assert np.mean(told == y) == pytest.approx(kept, abs=5 * math.sqrt(kept * (1 - kept) / rows))
    # Whatever is told, the odds of any two true labels differ by e^epsilon at most: the law of the definition.
    table = np.array([[np.mean(told[y == a] == b) for b in range(classes)] for a in range(classes)])
    ratios = table.max(0) / table.min(0)
    assert np.allclose(np.log(ratios), epsilon, atol=0.1)
    assert set(told) <= set(range(classes))
    if classes == 2:
        assert np.mean(told != y) == pytest.approx(1 / (1 + math.exp(epsilon)), abs=0.005)


def test_noise_makes_all_gradients_as_long_in_mean_square_and_leaves_the_longest():
    gradients = RNG.normal(size=(5, 3)) * np.array([0.1, 0.5, 1.0, 3.0, 0.0])[:, None]
    gradients[4] = 0.0
    source = np.random.default_rng(0)
    many = np.stack([MaxNormNoise().gradients(gradients, np.zeros(5), source) for _ in range(40_000)])
    squares, longest = np.sum(many**2, axis=2).mean(0), np.sum(gradients**2, axis=1).max()
    np.testing.assert_allclose(squares[:4], longest, rtol=0.05)
    assert (many[:, 3] == gradients[3]).all()
    assert (many[:, 4] == 0.0).all()
    np.testing.assert_allclose(many.mean(0), gradients, atol=0.05)


@pytest.mark.parametrize("power", [0.1, 1.0, 4.0, 25.0])
@pytest.mark.parametrize(
    "classes",
    [
        Classes(6, 0.2, 3.0, (0.1, 0.5)),
        Classes(6, 0.7, 3.0, (0.5, 0.1)),
        Classes(2, 0.5, 0.01, (0.02, 0.02)),
        Classes(1, 0.1, 2.0, (0.3, 0.05)),
        Classes(16, 0.05, 1.0, (1e-4, 1e-2)),
    ],
)
def test_no_noise_of_the_same_power_makes_classes_more_alike(classes, power):
    found = hardest(classes, power * classes.distance)
    budget = power * classes.distance
    assert classes.power(found) == pytest.approx(budget, rel=1e-9) or classes.power(found) < budget
    assert min(*found[0], *found[1]) >= 0.0
    each = budget / classes.width
    isotropic = (Spread(each, each), Spread(each, each))
    assert classes.power(isotropic) == pytest.approx(budget)
    ours = classes.divergence(found)
    assert ours < classes.divergence(isotropic) or classes.width == 1
    assert ours <= classes.divergence((Spread(0, 0), Spread(0, 0)))

    def other(weights):
        parts = np.exp(weights) / np.exp(weights).sum() * budget
        shares = np.array([1 - classes.share, 1 - classes.share, classes.share, classes.share])
        across = max(classes.width - 1, 1e-9)
        a0, c0, a1, c1 = parts / shares / np.array([1, across, 1, across])
        return classes.divergence((Spread(a0, c0), Spread(a1, c1)))

    best = min(minimize(other, start, method="Nelder-Mead", options={"maxiter": 4000, "xatol": 1e-6, "fatol": 1e-9}).fun
               for start in ([0, 0, 0, 0], [2, -2, 0, -2], [0, -2, 2, -2], [0, 2, 0, 2]))  # fmt: skip
    assert ours <= best * (1 + 1e-3) + 1e-9, "as good as a search of another kind"


def test_divergence_is_that_of_gaussians_computed_directly():
    classes, noise = Classes(3, 0.3, 2.0, (0.4, 0.7)), (Spread(0.5, 0.1), Spread(0.2, 0.6))
    covariances = [
        np.diag([noise[k].along + classes.variances[k]] + [noise[k].across + classes.variances[k]] * 2) for k in (0, 1)
    ]
    apart = np.array([math.sqrt(2.0), 0, 0])

    def divergence(p, q):
        inverse = np.linalg.inv(q)
        return 0.5 * (
            np.trace(inverse @ p) + apart @ inverse @ apart - 3 + math.log(np.linalg.det(q) / np.linalg.det(p))
        )

    direct = divergence(*covariances) + divergence(*covariances[::-1])
    assert classes.divergence(noise) == pytest.approx(direct, rel=1e-12)


def test_marvell_adds_noise_of_its_power_and_of_its_shape():
    gradients, y = two_clouds()
    classes = Classes.of(gradients, y > 0.5)
    assert classes.share == pytest.approx(0.2)
    source = np.random.default_rng(2)
    noise = np.stack([Marvell(power=4.0).gradients(gradients, y, source) - gradients for _ in range(300)])
    assert np.mean(np.sum(noise**2, axis=2)) == pytest.approx(4.0 * classes.distance, rel=0.02)
    line = gradients[y > 0.5].mean(0) - gradients[y < 0.5].mean(0)
    line /= np.linalg.norm(line)
    spreads = hardest(classes, 4.0 * classes.distance)
    for k in (0, 1):
        mine = noise[:, y == k].reshape(-1, 6)
        along = mine @ line
        across = mine - along[:, None] * line
        assert np.var(along) == pytest.approx(spreads[k].along, rel=0.05)
        assert np.mean(np.sum(across**2, axis=1)) / 5 == pytest.approx(spreads[k].across, rel=0.05, abs=1e-12)


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_a_batch_of_one_class_is_not_sent_as_it_is(label):
    gradients = np.full((2000, 4), 0.5)
    noise = Marvell(power=2.0).gradients(gradients, np.full(2000, label), np.random.default_rng(0)) - gradients
    assert np.mean(np.sum(noise**2, axis=1)) == pytest.approx(2.0 * 1.0, rel=0.1)


def test_gradients_of_nothing_stay_numbers():
    zeros, y = np.zeros((4, 3)), np.array([0.0, 1.0, 0.0, 1.0])
    for defence in (MaxNormNoise(), Marvell(), LabelDP(), Defence()):
        assert np.isfinite(defence.gradients(zeros, y, np.random.default_rng(0))).all()
    assert np.isfinite(
        Marvell().gradients(np.array([[1.0], [-1.0]]), np.array([0.0, 1.0]), np.random.default_rng(0))
    ).all()


@pytest.mark.parametrize("make", [lambda v: Marvell(power=v), lambda v: LabelDP(epsilon=v)])
@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf"), "much", True])
def test_powers_and_epsilons_that_cannot_be_are_refused(make, value):
    with pytest.raises(SettingError):
        make(value)


def test_cards_promise_no_more_than_is_true():
    assert "nothing about columns" in LabelDP(1.0)._repr_html_()
    for defence in (MaxNormNoise(), Marvell()):
        assert "none about single rows" in defence._repr_html_()
    assert repr(Marvell(2.0)) == "Marvell(power=2.0)"
