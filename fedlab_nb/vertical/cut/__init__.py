"""What a split network tells over its cut: the attack that reads labels from gradients, and defences against it."""

from fedlab_nb.vertical.cut.defences import Defence, LabelDP, Marvell, MaxNormNoise
from fedlab_nb.vertical.cut.leak import LabelLeak, label_leak

__all__ = ["Defence", "LabelDP", "LabelLeak", "Marvell", "MaxNormNoise", "label_leak"]
