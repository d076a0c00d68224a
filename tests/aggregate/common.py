"""Rounds to try rules on, and every rule that there is."""

import numpy as np
import pandas as pd
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
)

ROOT_ROWS = pd.DataFrame({"age": [73191.25, 50.0], "ill": [0, 1]})
RULES = [
    Krum(2),
    MultiKrum(2),
    MultiKrum(1, keep=3),
    Median(),
    TrimmedMean(2),
    TrimmedMean(0.2),
    GeometricMedian(),
    NormClipping(),
    NormClipping(norm=0.5),
    CentredClipping(norm=0.5),
    CentredClipping(norm=2.0, iterations=3),
    FLTrust(ROOT_ROWS),
]


@st.composite
def rounds(draw, least=9, most=14):
    """(changes (n, d), weights (n,)): owners around a common point, as a seed says."""
    n, d, seed = draw(st.integers(least, most)), draw(st.integers(1, 6)), draw(st.integers(0, 2**31))
    rng = np.random.default_rng(seed)
    scale = 10.0 ** draw(st.integers(-3, 3))
    return scale * (rng.normal(size=d) + rng.normal(size=(n, d))), rng.uniform(1.0, 50.0, n)


def called(rule, changes, weights, before=None):
    """What the rule gives, with the mean as the server's own change."""
    return combine(rule, changes, weights, before=before, root=changes.mean(axis=0))
