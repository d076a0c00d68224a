"""Many updates -> one: a sum, or a rule that bears owners who cheat."""

from fedlab_nb.aggregate.centred import CentredClipping
from fedlab_nb.aggregate.clipping import NormClipping
from fedlab_nb.aggregate.fltrust import FLTrust
from fedlab_nb.aggregate.geometric import GeometricMedian
from fedlab_nb.aggregate.krum import Krum, MultiKrum
from fedlab_nb.aggregate.mean import total
from fedlab_nb.aggregate.median import Median, TrimmedMean
from fedlab_nb.aggregate.rule import Rule, combine, needs_of

__all__ = [
    "CentredClipping",
    "FLTrust",
    "GeometricMedian",
    "Krum",
    "Median",
    "MultiKrum",
    "NormClipping",
    "Rule",
    "TrimmedMean",
    "combine",
    "needs_of",
    "total",
]
