"""What an owner does before anything leaves: clip, noise."""

from fedlab_nb.protect.adaptive import AdaptiveClip
from fedlab_nb.protect.clip import clip_norm
from fedlab_nb.protect.exact import discrete_gaussian
from fedlab_nb.protect.mechanisms import OwnerLevelDP, RowLevelDP, shares_words
from fedlab_nb.protect.noise import gaussian_share, noise_source, row_lot
from fedlab_nb.protect.shares import with_share

__all__ = [
    "AdaptiveClip",
    "OwnerLevelDP",
    "RowLevelDP",
    "clip_norm",
    "discrete_gaussian",
    "gaussian_share",
    "noise_source",
    "row_lot",
    "shares_words",
    "with_share",
]
