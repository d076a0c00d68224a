"""Every rule against a slow one, written from the paper in another way."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedlab_nb.aggregate import (
    CentredClipping,
    FLTrust,
    GeometricMedian,
    Krum,
    Median,
    MultiKrum,
    NormClipping,
    TrimmedMean,
)
from tests.aggregate.common import ROOT_ROWS, rounds

FEW = settings(max_examples=25, deadline=None)


def krum_scores(changes, attackers):
    n = len(changes)
    apart = [[math.dist(a, b) ** 2 for b in changes] for a in changes]
    return [sum(sorted(apart[i][j] for j in range(n) if j != i)[: n - attackers - 2]) for i in range(n)]


@FEW
@given(made=rounds(), attackers=st.integers(0, 3))
def test_krum_has_the_lowest_score(made, attackers):
    changes, weights = made
    scores = krum_scores(changes, attackers)
    chosen = [i for i, row in enumerate(changes) if np.array_equal(row, Krum(attackers)(changes, weights))]
    assert min(scores[i] for i in chosen) <= min(scores) * (1 + 1e-9)


@FEW
@given(made=rounds(), attackers=st.integers(0, 3), keep=st.integers(1, 9))
def test_multi_krum_averages_the_lowest_scores(made, attackers, keep):
    changes, weights = made
    scores = krum_scores(changes, attackers)
    ranked = sorted(range(len(changes)), key=scores.__getitem__)
    expected = sum(changes[i] for i in ranked[:keep]) / keep
    cut = scores[ranked[keep]] - scores[ranked[keep - 1]] if keep < len(changes) else 1.0
    if cut > 1e-9 * scores[ranked[0]]:  # no tie at the cut
        assert MultiKrum(attackers, keep=keep)(changes, weights) == pytest.approx(
            expected, abs=1e-9 * scores[-1] ** 0.5
        )


def test_krum_bears_many_ties_in_any_order():
    points = np.array([[0.0], [1.0], [2.0], [3.0], [4.0], [5.0], [6.0]])
    found = {float(Krum(1)(points[list(order)], np.ones(7))[0]) for order in itertools.permutations(range(7), 7)}
    assert len(found) == 1


@FEW
@given(made=rounds(least=1))
def test_the_median_is_numpys(made):
    changes, weights = made
    assert Median()(changes, weights) == pytest.approx(np.median(changes, axis=0), rel=1e-15)


@FEW
@given(made=rounds(least=5), trim=st.integers(0, 2))
def test_the_trimmed_mean_drops_the_largest_and_the_smallest(made, trim):
    changes, weights = made
    expected = []
    for column in changes.T.tolist():
        for _ in range(trim):
            column.remove(max(column))
            column.remove(min(column))
        expected.append(math.fsum(column) / len(column))
    assert TrimmedMean(trim)(changes, weights) == pytest.approx(expected, rel=1e-9, abs=1e-12 * np.abs(changes).max())


@pytest.mark.parametrize(("share", "n", "off"), [(0.29, 100, 29), (0.1, 30, 3), (0.2, 4, 0), (0.49, 7, 3), (0.0, 5, 0)])
def test_a_share_is_so_many_owners_rounded_down(share, n, off):
    changes = np.random.default_rng(n).normal(size=(n, 3))
    assert np.array_equal(TrimmedMean(share)(changes, np.ones(n)), TrimmedMean(off)(changes, np.ones(n)))


def pull(changes, weights, point):
    """The sum of unit vectors from the point, by weights: zero at the geometric median."""
    return sum(w * (row - point) / math.dist(row, point) for row, w in zip(changes, weights, strict=True))


@FEW
@given(made=rounds())
def test_no_small_step_comes_nearer_to_all_changes_than_the_geometric_median(made):
    changes, weights = made
    scale = np.abs(changes).max()
    median = GeometricMedian(smoothing=1e-12 * scale, iterations=20_000)(changes, weights)
    distances = np.linalg.norm(changes - median, axis=1)
    nearest = int(distances.argmin())
    if distances[nearest] > 1e-4 * scale:
        assert np.linalg.norm(pull(changes, weights, median)) <= 1e-4 * weights.sum()
    else:
        # At an owner's change the others may pull with no more than its own weight.
        others = np.arange(len(changes)) != nearest
        assert np.linalg.norm(pull(changes[others], weights[others], median)) <= weights[nearest] * 1.01


@FEW
@given(made=rounds(), seed=st.integers(0, 1000))
def test_turning_space_turns_the_geometric_median(made, seed):
    changes, weights = made
    turn, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(changes.shape[1],) * 2))
    turned = GeometricMedian()(changes @ turn, weights)
    assert turned == pytest.approx(GeometricMedian()(changes, weights) @ turn, abs=1e-6 * np.abs(changes).max())


def test_a_step_towards_the_geometric_median_is_weiszfelds():
    changes, weights = np.random.default_rng(3).normal(size=(6, 4)), np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    point = np.average(changes, axis=0, weights=weights)
    for _ in range(3):
        share = weights / np.maximum(np.linalg.norm(changes - point, axis=1), 1e-6)
        point = (share[:, None] * changes).sum(axis=0) / share.sum()
    assert GeometricMedian(iterations=3)(changes, weights) == pytest.approx(point, rel=1e-9)


def test_in_one_dimension_the_geometric_median_is_the_weighted_median():
    changes, weights = np.array([[1.0], [2.0], [5.0], [9.0]]), np.array([1.0, 1.0, 4.0, 1.0])
    assert GeometricMedian()(changes, weights) == pytest.approx([5.0], abs=1e-5)


@FEW
@given(made=rounds(), norm=st.one_of(st.none(), st.floats(1e-4, 1e4)))
def test_norm_clipping_is_the_weighted_mean_of_shortened_changes(made, norm):
    changes, weights = made
    bound = sorted(math.hypot(*row) for row in changes)
    middle = (bound[(len(bound) - 1) // 2] + bound[len(bound) // 2]) / 2.0 if norm is None else norm
    short = [row * min(1.0, middle / math.hypot(*row)) for row in changes]
    expected = sum(w * row for w, row in zip(weights, short, strict=True)) / sum(weights)
    assert NormClipping(norm)(changes, weights) == pytest.approx(expected, rel=1e-9, abs=1e-12 * np.abs(changes).max())


@FEW
@given(made=rounds(), norm=st.floats(1e-3, 1e3))
def test_owners_that_clip_themselves_give_what_the_server_would(made, norm):
    changes, weights = made
    rule = NormClipping(norm)
    sent = np.array([rule.clip(change) for change in changes])
    assert np.linalg.norm(sent, axis=1).max() <= norm * (1 + 1e-12)
    assert weights @ sent / weights.sum() == pytest.approx(rule(changes, weights), rel=1e-9, abs=1e-15)
    assert np.array_equal(NormClipping().clip(changes[0]), changes[0])


@FEW
@given(made=rounds(), norm=st.floats(1e-3, 1e3), steps=st.integers(1, 4), later=st.booleans())
def test_centred_clipping_walks_from_where_it_was(made, norm, steps, later):
    changes, weights = made
    before = changes[0] + 1.0 if later else None
    point = np.zeros(changes.shape[1]) if before is None else before
    for _ in range(steps):
        short = [(row - point) * min(1.0, norm / max(math.dist(row, point), 1e-300)) for row in changes]
        point = point + sum(short) / len(short)
    found = CentredClipping(norm, iterations=steps)(changes, weights, before)
    assert found == pytest.approx(point, rel=1e-9, abs=1e-12 * np.abs(changes).max())


@FEW
@given(made=rounds(), seed=st.integers(0, 1000))
def test_fltrust_weighs_by_the_cosine(made, seed):
    changes, weights = made
    root = np.random.default_rng(seed).normal(size=changes.shape[1])
    length = math.hypot(*root)
    trust = [max(0.0, float(root @ row) / (length * math.hypot(*row))) for row in changes]
    expected = sum(t * row * length / math.hypot(*row) for t, row in zip(trust, changes, strict=True))
    expected = expected / sum(trust) if sum(trust) else np.zeros_like(root)
    assert FLTrust(ROOT_ROWS)(changes, weights, root=root) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_fltrust_stands_still_where_nobody_points_the_servers_way_and_where_the_server_learned_nothing():
    rule, ones = FLTrust(ROOT_ROWS), np.ones(2)
    assert rule(np.array([[-1.0, 0.0], [0.0, 5.0]]), ones, root=np.array([1.0, 0.0])).tolist() == [0.0, 0.0]
    assert rule(np.ones((2, 2)), ones, root=np.zeros(2)).tolist() == [0.0, 0.0]
    assert rule(np.array([[0.0, 0.0], [5.0, 0.0]]), ones, root=np.array([1.0, 0.0])).tolist() == [1.0, 0.0]


def test_fltrust_says_what_it_lacks():
    rule, changes = FLTrust(ROOT_ROWS), np.ones((2, 2))
    for root, says in (
        (None, "without the"),
        (np.ones(3), "with an unfit"),
        (np.array([1.0, np.nan]), "with an unfit"),
    ):
        with pytest.raises(Exception, match=f"FLTrust was called {says} root change") as caught:
            rule(changes, np.ones(2), root=root)
        assert "2 finite numbers" in caught.value.do


def test_two_fltrusts_are_two_rules_even_if_they_print_alike():
    one, other = FLTrust(ROOT_ROWS), FLTrust(ROOT_ROWS + 1)
    assert one != other
    assert len({one, other}) == 2
