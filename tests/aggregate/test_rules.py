"""Laws that hold for every rule, and for some of them by their nature."""

import tracemalloc

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
    combine,
    needs_of,
)
from fedlab_nb.errors import RoundError, SettingError
from fedlab_nb.parties.matrix import NEEDS
from tests.aggregate.common import ROOT_ROWS, RULES, called, rounds

MOVED_ALONG = [Krum(2), MultiKrum(2), Median(), TrimmedMean(2), GeometricMedian()]
FEW = settings(max_examples=25, deadline=None)
each_rule = pytest.mark.parametrize("rule", RULES, ids=repr)


@each_rule
@FEW
@given(made=rounds(), seed=st.integers(0, 1000))
def test_any_order_of_owners_gives_the_same_bits(rule, made, seed):
    changes, weights = made
    order = np.random.default_rng(seed).permutation(len(changes))
    root = changes.mean(axis=0)
    straight = combine(rule, changes, weights, root=root)
    assert straight.tobytes() == combine(rule, changes[order], weights[order], root=root).tobytes()


@pytest.mark.parametrize("rule", MOVED_ALONG, ids=repr)
@FEW
@given(made=rounds(), seed=st.integers(0, 1000))
def test_shifting_every_change_shifts_the_aggregate(rule, made, seed):
    changes, weights = made
    shift = np.abs(changes).max() * np.random.default_rng(seed).normal(size=changes.shape[1])
    moved = rule(changes + shift, weights)
    assert moved == pytest.approx(rule(changes, weights) + shift, abs=1e-6 * np.abs(changes).max())


@FEW
@given(made=rounds(), seed=st.integers(0, 1000))
def test_centred_clipping_shifts_with_its_centre(made, seed):
    changes, weights = made
    before, shift = np.random.default_rng(seed).normal(size=(2, changes.shape[1])) * np.abs(changes).max()
    rule = CentredClipping(norm=float(np.abs(changes).max()), iterations=2)
    moved = rule(changes + shift, weights, before + shift)
    assert moved == pytest.approx(rule(changes, weights, before) + shift, abs=1e-9 * np.abs(changes).max())


@each_rule
@FEW
@given(made=rounds(), scale=st.floats(0.1, 10.0))
def test_weights_count_in_proportion_only(rule, made, scale):
    changes, weights = made
    straight = called(rule, changes, weights)
    assert called(rule, changes, scale * weights) == pytest.approx(straight, rel=1e-6, abs=1e-9 * np.abs(changes).max())


@each_rule
def test_equal_changes_and_zeros_give_no_nan(rule):
    same = np.repeat([[0.3, -0.4]], 11, axis=0)
    found = called(rule, same, np.ones(11))
    assert found == pytest.approx([0.3, -0.4])  # of length 0.5, which no rule here clips
    assert called(rule, np.zeros((11, 2)), np.ones(11)).tolist() == [0.0, 0.0]


@each_rule
def test_what_is_given_stays_as_it_is_and_what_is_returned_is_nobodys(rule):
    changes, weights = np.random.default_rng(0).normal(size=(11, 3)), np.arange(1.0, 12.0)
    kept = changes.copy(), weights.copy()
    called(rule, changes, weights)[:] = 99.0
    assert np.array_equal(changes, kept[0])
    assert np.array_equal(weights, kept[1])


@each_rule
def test_needs_are_names_of_the_matrix(rule):
    assert set(needs_of(rule)) <= set(NEEDS)
    assert rule.needs in {("single updates",), ("norm clipping",)}


def test_only_clipping_to_a_given_norm_can_be_left_to_the_owners():
    assert NormClipping(norm=1.0).needs == ("norm clipping",)
    assert NormClipping().needs == ("single updates",)


# Identities: rules that become a mean, and rules of one owner.


@FEW
@given(made=rounds(least=3))
def test_rules_that_leave_nothing_out_are_means(made):
    changes, weights = made
    mean, weighted = changes.mean(axis=0), np.average(changes, axis=0, weights=weights)
    close = {"abs": 1e-12 * np.abs(changes).max()}
    assert TrimmedMean(0)(changes, weights) == pytest.approx(mean, **close)
    assert TrimmedMean(0.0)(changes, weights) == pytest.approx(mean, **close)
    assert MultiKrum(0, keep=len(changes))(changes, weights) == pytest.approx(mean, **close)
    assert NormClipping(norm=float("inf"))(changes, weights) == pytest.approx(weighted, **close)
    assert CentredClipping(norm=float("inf"))(changes, weights, changes[0]) == pytest.approx(mean, **close)


@FEW
@given(made=rounds())
def test_multi_krum_that_keeps_one_is_krum(made):
    assert np.array_equal(MultiKrum(2, keep=1)(*made), Krum(2)(*made))


@pytest.mark.parametrize("rule", [Median(), TrimmedMean(0), TrimmedMean(0.4), GeometricMedian(), NormClipping()])
def test_one_owner_alone_is_itself(rule):
    alone = np.array([[0.5, -2.0, 1e-9]])
    assert rule(alone, np.array([3.0])).tolist() == alone[0].tolist()


# Resistance: a minority that sends anything, however large, moves the aggregate by a bounded amount.


@FEW
@given(made=rounds(), far=st.integers(3, 30), seed=st.integers(0, 1000), together=st.booleans())
def test_a_minority_moves_the_aggregate_by_a_bounded_amount(made, far, seed, together):
    honest, _ = made
    n, d = honest.shape
    rng = np.random.default_rng(seed)
    spread = float(np.linalg.norm(honest - honest.mean(axis=0), axis=1).max())
    length = float(np.linalg.norm(honest, axis=1).max())
    lies = rng.normal(size=(1 if together else 2, d)) * 10.0**far * length
    changes, ones = np.vstack([honest, np.resize(lies, (2, d))]), np.ones(n + 2)
    close = 1e-6 * length

    assert any(np.array_equal(Krum(2)(changes, ones), row) for row in honest)
    within = honest.min(axis=0) - close, honest.max(axis=0) + close
    for rule in (Median(), TrimmedMean(2), MultiKrum(2)):
        found = rule(changes, ones)
        assert (found >= within[0]).all()
        assert (found <= within[1]).all()
    # With a share of 2 / (n + 2) of liars, twice (1 - share) / (1 - 2 share) of the spread at most.
    away = GeometricMedian()(changes, ones) - honest.mean(axis=0)
    assert np.linalg.norm(away) <= 2.0 * n / (n - 2) * spread + close
    assert np.linalg.norm(NormClipping()(changes, ones)) <= length + close
    pulled = CentredClipping(norm=length)(changes, ones, honest[0]) - honest[0]
    assert np.linalg.norm(pulled) <= 2.0 * length * (n + 1) / (n + 2) + close


@FEW
@given(made=rounds(), far=st.integers(0, 30), seed=st.integers(0, 1000))
def test_fltrust_is_never_longer_than_the_servers_own_change_whatever_all_others_send(made, far, seed):
    honest, weights = made
    changes = honest * 10.0**far * np.random.default_rng(seed).choice([-1.0, 1.0], (len(honest), 1))
    found = FLTrust(ROOT_ROWS)(changes, weights, root=honest[0])
    assert np.linalg.norm(found) <= np.linalg.norm(honest[0]) * (1 + 1e-9)


# Refusals teach.


@each_rule
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e39])
def test_a_number_that_no_model_can_hold_is_refused_by_its_place(rule, bad):
    changes = np.ones((11, 2))
    changes[4, 1] = bad
    with pytest.raises(RoundError, match="Update 5 of 11 holds a number") as caught:
        combine(rule, changes, np.ones(11), root=np.ones(2))
    assert (caught.value.party, caught.value.stage) == ("server", "update")


@each_rule
def test_shapes_and_weights_that_do_not_fit_are_refused(rule):
    changes = np.ones((11, 2))
    for given_changes, weights in ((np.ones(11), np.ones(11)), (changes, np.ones(10)), (changes, np.ones((11, 1)))):
        with pytest.raises(SettingError, match="was given changes of shape"):
            combine(rule, given_changes, weights, root=np.ones(2))
    for weight in (0.0, -1.0, np.nan, np.inf):
        with pytest.raises(SettingError, match="not a finite number above zero"):
            combine(rule, changes, np.full(11, weight), root=np.ones(2))
    with pytest.raises(SettingError, match=r"an aggregate of shape \(3,\) from before"):
        combine(rule, changes, np.ones(11), before=np.zeros(3), root=np.ones(2))
    with pytest.raises(RoundError, match="and 0 took part"):
        combine(rule, np.ones((0, 2)), np.ones(0), root=np.ones(2))


@pytest.mark.parametrize(
    ("rule", "present", "least"),
    [
        (Krum(2), 6, "7 owners"),
        (Krum(0), 2, "3 owners"),
        (MultiKrum(1), 4, "5 owners"),
        (MultiKrum(1, keep=9), 8, "9 owners"),
        (TrimmedMean(2), 4, "5 owners"),
    ],
)
def test_too_few_owners_are_refused_with_the_number_that_is_needed(rule, present, least):
    with pytest.raises(RoundError, match=f"needs {least} or more, and {present} took part"):
        rule(np.ones((present, 2)), np.ones(present))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Krum(-1), "Krum has attackers=-1, not a whole number from 0 up"),
        (lambda: Krum(1.0), "Krum has attackers=1.0"),
        (lambda: Krum(True), "Krum has attackers=True"),
        (lambda: MultiKrum("2"), "MultiKrum has attackers='2'"),
        (lambda: MultiKrum(1, keep=0), "MultiKrum has keep=0, not a whole number from 1 up"),
        (lambda: TrimmedMean(0.5), "TrimmedMean has trim=0.5, not a whole number of owners"),
        (lambda: TrimmedMean(-1), "TrimmedMean has trim=-1"),
        (lambda: TrimmedMean(float("nan")), "TrimmedMean has trim=nan"),
        (lambda: GeometricMedian(smoothing=0), "GeometricMedian has smoothing=0"),
        (lambda: GeometricMedian(smoothing=float("inf")), "GeometricMedian has smoothing=inf"),
        (lambda: GeometricMedian(iterations=0), "GeometricMedian has iterations=0"),
        (lambda: NormClipping(norm=0.0), "NormClipping has norm=0.0, not a number above zero"),
        (lambda: NormClipping(norm=float("nan")), "NormClipping has norm=nan"),
        (lambda: CentredClipping(norm=None), "CentredClipping has norm=NoneType"),
        (lambda: CentredClipping(norm=1.0, iterations=0), "CentredClipping has iterations=0"),
        (lambda: FLTrust(None), "FLTrust was given a NoneType as root rows"),
        (lambda: FLTrust(ROOT_ROWS[:0]), "FLTrust was given an empty frame"),
    ],
)
def test_a_setting_that_cannot_work_is_refused_at_once(make, says):
    with pytest.raises(SettingError) as caught:
        make()
    assert caught.value.what.startswith(says)
    assert caught.value.why
    assert caught.value.do


@each_rule
def test_a_rule_shows_in_one_line_and_as_a_card_without_root_rows(rule):
    assert "\n" not in repr(rule)
    assert repr(rule).startswith(type(rule).__name__)
    page = rule._repr_html_()
    assert "How owners count" in page
    assert "73191" not in page + repr(rule)


@each_rule
def test_nothing_of_the_size_of_all_pairs_of_owners_is_ever_held(rule):
    changes, weights = np.random.default_rng(0).normal(size=(100, 2_000)), np.ones(100)
    called(rule, changes, weights)
    tracemalloc.start()
    called(rule, changes, weights)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # All differences of two owners would be a hundred times the changes.
    assert most < 6 * changes.nbytes
