"""Vertical federated learning: the same rows, different columns at different owners; one protocol a file.

Read align.py first (which rows are in common), then products.py (sums of products of two owners' columns), then
logistic.py with descent/gradients.py (how each owner gets its own gradient, and nobody a residual).
"""

from fedlab_nb.parties.columns.alignment import Alignment
from fedlab_nb.vertical.align import align
from fedlab_nb.vertical.linear import LinearRegression, PoissonRegression
from fedlab_nb.vertical.linkage import link
from fedlab_nb.vertical.logistic import LogisticRegression
from fedlab_nb.vertical.products import Factor, sums_of_products

__all__ = [
    "Alignment",
    "Factor",
    "LinearRegression",
    "LogisticRegression",
    "PoissonRegression",
    "align",
    "link",
    "sums_of_products",
]
