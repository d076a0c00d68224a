"""Many updates -> one. A sum is all that encryption allows, and all that the weighted mean needs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import add

import numpy as np

from fedlab_nb.records import Update


def total(updates: Sequence[Update]) -> Update:
    """The sum of ``updates`` in their order; its ``mean`` is the weighted mean. Nothing at all sums to nothing.

    >>> import numpy as np
    >>> total([Update(np.array([2.0]), 1.0), Update(np.array([30.0]), 3.0)]).mean
    array([8.])
    """
    return reduce(add, updates) if updates else Update(np.zeros(0), 0.0)
