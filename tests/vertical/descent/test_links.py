"""Links: what each owner seals adds up to the residual; sines are as near to the sigmoid as they say."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedlab_nb.vertical.descent import Exponential, Identity, Sigmoid, Straight
from fedlab_nb.vertical.descent.links import REACHES, residual_of

LINKS = [Identity(), Straight(), Sigmoid(), Sigmoid().reaching(10.0), Exponential(2.0)]
scores = st.lists(st.floats(-4.9, 4.9), min_size=5, max_size=5).map(np.array)


@pytest.mark.parametrize("link", LINKS, ids=lambda link: type(link).__name__)
@given(a=scores, b=scores, y=st.lists(st.sampled_from([0.0, 1.0]), min_size=5, max_size=5).map(np.array))
@settings(max_examples=25, deadline=None)
def test_pieces_and_terms_of_two_owners_are_the_residual_of_their_sum(link, a, b, y):
    found = residual_of(link, {"bank": a, "shop": b}, y, "bank")
    np.testing.assert_allclose(found, link.residual(a + b, y), rtol=1e-9, atol=1e-9)
    swapped = residual_of(link, {"shop": b, "bank": a}, y, "bank")
    np.testing.assert_allclose(found, swapped, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("link", [Identity(), Straight()], ids=lambda link: type(link).__name__)
@given(a=scores, b=scores, c=scores)
@settings(max_examples=25, deadline=None)
def test_straight_residuals_are_sums_of_any_number_of_pieces(link, a, b, c):
    y = np.array([0.0, 1.0, 1.0, 0.0, 1.0])
    pieces = [link.piece(a, None), link.piece(b, y), link.piece(c, None)]
    np.testing.assert_allclose(sum(pieces), link.residual(a + b + c, y), rtol=1e-12, atol=1e-12)
    assert link.term(a, labels=True).shape == (5, 0)


@pytest.mark.parametrize("reach", REACHES)
def test_sines_are_as_near_to_the_sigmoid_as_they_say_and_their_slope_is_safe(reach):
    link, u = Sigmoid().reaching(reach), np.linspace(-2 * reach, 2 * reach, 20_001)
    away = np.abs(link.residual(u, np.zeros_like(u)) - 1 / (1 + np.exp(-u)))
    assert away.max() < 0.0065
    assert away.max() == pytest.approx(link.error, rel=0.01)
    steepest = np.gradient(link.residual(u, np.zeros_like(u)), u).max()
    assert steepest < 2 * link.curvature, "a step of lr=1 divides by as many owners, two, and does not lead up again"


@given(st.floats(-60, 60), st.floats(-60, 60))
@settings(max_examples=50, deadline=None)
def test_scores_beyond_the_reach_are_cut_off_and_no_piece_is_above_one(a, b):
    link = Sigmoid()
    left, right = link.term(np.array([a]), labels=True), link.term(np.array([b]), labels=False)
    assert (np.abs(left) <= 1).all()
    assert (np.abs(right) <= 1).all()
    inside = np.clip([a, b], -5.0, 5.0).sum()
    assert (left * right).sum() + 0.5 == pytest.approx(1 / (1 + np.exp(-inside)), abs=0.0065)


def test_the_reach_is_the_first_that_all_but_one_score_in_a_thousand_are_within():
    link = Sigmoid()
    for far, told in ((0.0, 2.5), (2.4, 2.5), (2.6, 5), (5.1, 7), (9.9, 10), (33.0, 40), (1e9, 40)):
        assert link.reach_of(np.full(1000, -far)) == told
    assert link.reach_of(np.append(np.zeros(1999), 100.0)) == 2.5, "one row is not told"
    assert [link.reaching(reach).waves for reach in REACHES] == [3, 5, 7, 11, 15, 21, 29, 41]


@given(scores)
@settings(max_examples=25, deadline=None)
def test_a_slope_is_nowhere_steeper_than_the_curvature_that_steps_count_on(u):
    for link in (Identity(), Straight()):
        slope = (link.residual(u + 1e-4, u * 0) - link.residual(u - 1e-4, u * 0)) / 2e-4
        assert (slope <= link.curvature + 1e-6).all()
