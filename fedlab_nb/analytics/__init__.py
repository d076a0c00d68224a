"""Questions instead of models: a frame over all owners' rows that answers with protected, counted sums."""

from fedlab_nb.analytics.answers import Answer, Number
from fedlab_nb.analytics.frame import PrivateFrame

__all__ = ["Answer", "Number", "PrivateFrame"]
