"""How two distributions differ: weight of evidence, drift between owners, Welch's t-test."""

from __future__ import annotations

import math

import numpy as np

from fedlab_nb.analytics.questions.question import Floats

# An empty cell counts as half a row, so that its logarithm is finite.
HALF = 0.5


def woe(counts: Floats, noise_sd: Floats | float = 0.0) -> Floats:
    """The weight of evidence (b,) of each bin, ln(share of all events / share of all others), from counts (b, 2).

    ``counts[:, 0]`` are rows with the event. An empty cell counts as half a row, and one below the noise in it
    (standard deviation ``noise_sd``) as that much: a logarithm of noise alone would outweigh all evidence.

    Source: Siddiqi 2006, "Credit risk scorecards", chapter 6.
    """
    p, q = _shares(counts.T, np.asarray(noise_sd).T)
    weights: Floats = np.log(p / q)
    return weights


def information_value(counts: Floats, noise_sd: Floats | float = 0.0) -> float:
    """The information value of a column from its counts (b, 2): sum of (p - q) ln(p / q) over its bins."""
    p, q = _shares(counts.T, np.asarray(noise_sd).T)
    return float(((p - q) * np.log(p / q)).sum())


def stability_index(own: Floats, all_rows: Floats, noise_sd: Floats | float = 0.0) -> Floats:
    """The population stability index (n,) of counts (n, b) against those of all rows (b,): sum of (p - q) ln(p / q).

    Under 0.1 is usually read as no change, over 0.25 as a large one. Empty cells count as in ``woe``.
    """
    p, q = _shares(own, noise_sd), _shares(all_rows, noise_sd)
    index: Floats = ((p - q) * np.log(p / q)).sum(axis=-1)
    return index


def _shares(counts: Floats, noise_sd: Floats | float) -> Floats:
    """Each count's share of its line's total, empty ones filled up."""
    filled = np.maximum(counts, np.maximum(noise_sd, HALF))
    total = np.maximum(np.clip(counts, 0.0, None).sum(axis=-1, keepdims=True), 1.0)
    shares: Floats = filled / total
    return shares


def jensen_shannon(own: Floats, all_rows: Floats) -> Floats:
    """The Jensen-Shannon distance (n,) of counts (n, b) from those of all rows (b,): 0 in proportion, 1 if disjoint.

    The root of the divergence with logarithms to base 2. Source: Lin 1991; Endres and Schindelin 2003.
    """
    lines = [np.clip(counts, 0.0, None) for counts in (own, all_rows)]
    p, q = (line / np.maximum(line.sum(axis=-1, keepdims=True), 1.0) for line in lines)
    middle = (p + q) / 2

    def divergence(a: Floats) -> Floats:
        ratio = np.divide(a, middle, out=np.ones_like(middle), where=a > 0)
        found: Floats = (a * np.log2(ratio)).sum(axis=-1)
        return found

    distance: Floats = np.sqrt(np.clip((divergence(p) + divergence(q)) / 2, 0.0, None))
    return distance


def welch(count: Floats, mean: Floats, var: Floats, noise_var: float = 0.0) -> tuple[float, float, float, float]:
    """Difference of two means, its standard error, Welch's t and the two-sided p-value, from (2,) each.

    ``noise_var`` is the variance that noise for privacy adds to the difference: it widens the error, so that noise is
    not taken for an effect. Degrees of freedom by Welch and Satterthwaite, from the sampling error.

    Source: Welch 1947.
    """
    from scipy.special import stdtr

    each = var / count
    sampling = float(each.sum())
    error = math.sqrt(sampling + noise_var)
    difference = float(mean[0] - mean[1])
    if not error > 0.0:
        return difference, error, math.nan, math.nan
    freedom = sampling**2 / float((each**2 / (count - 1.0)).sum()) if sampling > 0.0 else math.inf
    t = difference / error
    return difference, error, t, 2.0 * float(stdtr(min(freedom, 1e12), -abs(t)))
