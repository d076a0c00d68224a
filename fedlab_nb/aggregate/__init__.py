"""Many updates -> one."""

from fedlab_nb.aggregate.mean import total

__all__ = ["total"]
