"""What an owner does before anything leaves: clip, noise."""

from fedlab_nb.protect.mechanisms import OwnerLevelDP, RowLevelDP, clip_norm
from fedlab_nb.protect.noise import gaussian_share, geometric, geometric_sd, noise_source

__all__ = ["OwnerLevelDP", "RowLevelDP", "clip_norm", "gaussian_share", "geometric", "geometric_sd", "noise_source"]
