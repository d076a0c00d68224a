"""What learning together brings the owner of the labels, and what the protocol costs against pooled columns."""

from fedlab_nb.comparing.gain.measure import Gain, gain

__all__ = ["Gain", "gain"]
