"""Strategies for a model that serves all owners about equally well, not most of them very well."""

from fedlab_nb.horizontal.fairness.afl import AFL
from fedlab_nb.horizontal.fairness.qffl import QFFL

__all__ = ["AFL", "QFFL"]
