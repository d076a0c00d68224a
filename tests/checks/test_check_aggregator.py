"""Every rule of ours passes, and a broken one is told what is wrong with it, in words."""

import numpy as np
import pytest

from fedlab_nb import checks
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
from fedlab_nb.checks import check_aggregator
from fedlab_nb.errors import RoundError, SettingError
from tests.aggregate.common import RULES


@pytest.mark.parametrize("rule", RULES, ids=repr)
@pytest.mark.parametrize("owners", [9, 12, 40])
def test_every_rule_of_ours_keeps_every_law(rule, owners):
    report = check_aggregator(rule, owners=owners)
    assert str(report.faults) == "()"
    assert report.right
    assert not report.untried
    report.raise_if_wrong()


def test_rules_are_many():
    kinds = {Krum, MultiKrum, Median, TrimmedMean, GeometricMedian, NormClipping, CentredClipping, FLTrust}
    assert {type(rule) for rule in RULES} == kinds


def weighted_mean(changes, weights):
    return weights @ changes / weights.sum()


def trimmed_by_hand(changes, weights, **others):
    assert set(others) == {"before", "root"}
    return np.sort(changes, axis=0)[1:-1].mean(axis=0) if len(changes) > 2 else changes.mean(axis=0)


def careful(changes, weights):
    if len(changes) < 5:
        raise RoundError("server", "update", "Too few owners.", "None would be left.", "Bring five.")
    return np.median(changes, axis=0)


class Momentum:
    """A class of one's own, that asks for what was before."""

    needs = ()

    def __call__(self, changes, weights, before):
        mean = changes.mean(axis=0)
        return mean if before is None else 0.9 * before + 0.1 * mean


@pytest.mark.parametrize("rule", [weighted_mean, trimmed_by_hand, careful, Momentum(), lambda c, w: c.mean(0)])
def test_right_rules_of_a_users_own_pass(rule):
    assert str(check_aggregator(rule).faults) == "()"


# Broken ones.


def summed(changes, weights):
    return changes.sum(axis=0)


def unscaled(changes, weights):
    return weights @ changes


def over_columns(changes, weights):
    return changes.mean(axis=1)


def as_list(changes, weights):
    return list(changes.mean(axis=0))


def kept_dimension(changes, weights):
    return changes.mean(axis=0, keepdims=True)


def sorts_in_place(changes, weights):
    changes.sort(axis=0)
    return changes[len(changes) // 2]


def scales_weights_in_place(changes, weights):
    weights /= weights.sum()
    return weights @ changes


def drawn_by_chance(changes, weights):
    return changes[np.random.default_rng().integers(len(changes))]


def noisy(changes, weights):
    return changes.mean(axis=0) + np.random.default_rng().normal(size=changes.shape[1])


def first_come(changes, weights):
    return changes[0].copy()


def drops_the_last(changes, weights):
    return changes[:-1].mean(axis=0) if len(changes) > 1 else changes[0]


def standardised(changes, weights):
    far = np.abs(changes - changes.mean(axis=0)) / changes.std(axis=0)
    return np.average(changes, axis=0, weights=1.0 / (1.0 + far))


def of_unit_length(changes, weights):
    return (changes / np.linalg.norm(changes, axis=1, keepdims=True)).mean(axis=0)


def turned_round(changes, weights):
    return -changes.mean(axis=0)


def nothing_at_all(changes, weights):
    return np.zeros(changes.shape[1])


def with_an_offset(changes, weights):
    return changes.mean(axis=0) + 0.01


def whole_numbers(changes, weights):
    return changes.mean(axis=0).round().astype(int)


def needs_five(changes, weights):
    ordered = np.sort(changes, axis=0)
    return (ordered[4] if len(changes) > 1 else ordered[0]) + 0.0 * ordered[-2 if len(changes) > 1 else 0]


def one_argument(changes):
    return changes.mean(axis=0)


def two_needed(changes, weights):
    return np.cov(changes.T, ddof=1)[0] * 0 + changes.mean(axis=0) if len(changes) > 1 else changes[1]


class Remembers:
    """Mixes in what it saw in the call before, without being asked."""

    def __init__(self):
        self.last = None

    def __call__(self, changes, weights):
        mean = changes.mean(axis=0)
        mixed = mean if self.last is None or self.last.shape != mean.shape else 0.5 * (mean + self.last)
        self.last = mean
        return mixed


class Claims:
    """Says that it needs what nobody knows."""

    needs = ("all of it",)

    def __call__(self, changes, weights):
        return changes.mean(axis=0)


class ClaimsText(Claims):
    """Says it as a text and not as a tuple."""

    needs = "single updates"


@pytest.mark.parametrize(
    ("rule", "law", "found", "do"),
    [
        (summed, "all owners send the same", "gave that change times 12.", "Divide a sum"),
        (unscaled, "Weights count in proportion", "With all weights doubled", "weights.sum()"),
        (over_columns, "one for each column", "an array of shape (12,), not an array of shape (7,)", "axis 0"),
        (as_list, "one for each column", "it gave a list, not an array", "axis 0"),
        (kept_dimension, "one for each column", "an array of shape (1, 7)", "axis 0"),
        (whole_numbers, "one for each column", "type int64", "whole-number type"),
        (one_argument, "called as rule(changes, weights)", "raised TypeError: one_argument() takes 1", "by hand"),
        (Krum, "called as rule(changes, weights)", "Krum is a class.", "Pass an object of it: Krum(...)"),
        (None, "called as rule(changes, weights)", "It is a NoneType, which cannot be called.", "__call__"),
        (sorts_in_place, "leaves the changes and weights", "the changes that it was given had other values", "copy()"),
        (scales_weights_in_place, "leaves the changes and weights", "the weights that it was given", "weights.copy()"),
        (drawn_by_chance, "bit for bit", "different aggregates", "Draw nothing by chance"),
        (noisy, "bit for bit", "different aggregates", "Draw nothing by chance"),
        (Remembers(), "in another round does not matter", "gave another aggregate than before", "before"),
        (first_come, "order of the owners", "in another order of owners", "never by their place"),
        (drops_the_last, "order of the owners", "in another order of owners", "never by their place"),
        (standardised, "all owners send the same", "not finite", "division by zero"),
        (of_unit_length, "all owners send zeros", "not finite", "division by zero"),
        (with_an_offset, "all owners send zeros", "gave other numbers", "no owner sent"),
        (turned_round, "One owner alone", "gave that change times -1.", "Divide"),
        (nothing_at_all, "One owner alone", "gave that change times 0.", "Divide"),
        (two_needed, "One owner alone", "raised IndexError", "by hand"),
        (needs_five, "Few owners", "For 2 owners it raised IndexError", "fl.errors.RoundError"),
        (Claims(), "needs are known ones", "needs=('all of it',)", "single updates, "),
        (ClaimsText(), "needs are known ones", "needs='single updates'", 'needs = ("single updates",)'),
        (Krum(9), "one for each column", "It refused: Krum(attackers=9) needs 21 owners", "Bring more owners"),
    ],
)
def test_a_broken_rule_is_told_what_is_wrong(rule, law, found, do):
    report = check_aggregator(rule)
    faults = [fault for fault in report.faults if law in fault.law]
    assert len(faults) == 1, str(report)
    assert found in faults[0].what
    assert do in faults[0].do
    assert not report.right
    with pytest.raises(SettingError) as caught:
        report.raise_if_wrong()
    assert report.faults[0].what in caught.value.what
    assert report.faults[0].law in caught.value.why
    assert report.faults[0].do in caught.value.do


def test_laws_that_rest_on_a_broken_first_one_are_not_tried_and_that_is_said():
    report = check_aggregator(over_columns)
    assert len(report.faults) == 1
    assert len(report.untried) == 10
    assert "– not tried: The order of the owners does not matter." in str(report)


def test_a_rule_that_needs_more_owners_is_checked_with_more():
    assert check_aggregator(Krum(9), owners=21).right
    with pytest.raises(SettingError, match="check_aggregator has owners=4, not a whole number from 5 up"):
        check_aggregator(Median(), owners=4)


def test_checking_draws_nothing_from_the_notebooks_random_numbers():
    np.random.seed(0)  # noqa: NPY002
    before = np.random.get_state()[1].tolist()  # noqa: NPY002
    check_aggregator(Median())
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002


def test_a_report_prints_and_shows_well():
    report = check_aggregator(unscaled)
    assert repr(report) == "Report(the rule unscaled: 3 of 11 laws broken)"
    lines = str(report).splitlines()
    assert lines[0] == "the rule unscaled: 3 of 11 laws broken"
    assert sum(line.startswith("✓ ") for line in lines) == 8
    assert sum(line.startswith("✕ ") for line in lines) == 3
    assert "    Found: With all weights doubled it gave another aggregate." in lines
    assert "    To do: Divide by weights.sum()." in lines
    page = report._repr_html_()
    assert "broken" in page
    assert "holds" in page
    with pytest.raises(SettingError, match="2 more laws are broken; print"):
        report.raise_if_wrong()


def test_what_a_user_named_is_escaped():
    def rule(changes, weights):
        raise ValueError("<script>\nalert(1)")

    rule.__name__ = "<b>\nbold"
    report = check_aggregator(rule)
    for page in (report._repr_html_(), report.faults[0]._repr_html_()):
        assert "<script>" not in page
        assert "<b>" not in page
    assert "\n" not in repr(report) + repr(report.faults[0])
    assert "It raised ValueError: <script> alert(1)." in str(report)


def test_the_public_names_are_all_there():
    kinds = {"check_aggregator", "check_attack", "check_compressor", "check_strategy"}
    assert set(checks.__all__) == {"Fault", "Report", *kinds}
