"""Many owners trained as one model with one more axis."""

from fedlab_nb.learn.engine.stacked.executor import Stacked

__all__ = ["Stacked"]
