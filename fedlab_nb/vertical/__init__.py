"""Vertical federated learning: the same rows, different columns at different owners; one protocol a file.

Read align.py first (which rows are in common), then products.py (sums of products of two owners' columns), then
logistic.py with descent/gradients.py (how each owner gets its own gradient, and nobody a residual), secureboost.py with
trees/ (trees that ask columns of several owners), splitnn.py with cut/ (a network cut in two, and what its cut tells).
"""

from fedlab_nb.parties.columns.alignment import Alignment
from fedlab_nb.parties.columns.keep import keep
from fedlab_nb.vertical.align import align
from fedlab_nb.vertical.cut import Defence, LabelDP, LabelLeak, Marvell, MaxNormNoise, label_leak
from fedlab_nb.vertical.linear import LinearRegression, PoissonRegression
from fedlab_nb.vertical.linkage import link
from fedlab_nb.vertical.logistic import LogisticRegression
from fedlab_nb.vertical.model import JointPrediction, MergedModel, ModelPart, VerticalModel, load_part
from fedlab_nb.vertical.products import Factor, sums_of_products
from fedlab_nb.vertical.scorecard.card import Scorecard, scorecard
from fedlab_nb.vertical.secureboost import SecureBoost
from fedlab_nb.vertical.splitnn import SplitNN
from fedlab_nb.vertical.transfer import Transfer

__all__ = [
    "Alignment",
    "Defence",
    "Factor",
    "JointPrediction",
    "LabelDP",
    "LabelLeak",
    "LinearRegression",
    "LogisticRegression",
    "Marvell",
    "MaxNormNoise",
    "MergedModel",
    "ModelPart",
    "PoissonRegression",
    "Scorecard",
    "SecureBoost",
    "SplitNN",
    "Transfer",
    "VerticalModel",
    "align",
    "keep",
    "label_leak",
    "link",
    "load_part",
    "scorecard",
    "sums_of_products",
]


def __dir__() -> list[str]:
    return sorted(__all__)
