"""What crosses a cut in which order: names of the messages, and the batches that all owners go through together."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.learn.engine.plan import orders
from fedlab_nb.vertical.shared import Setup

ACTIVATIONS, GRADIENTS = "activations", "activation gradients"


def batch_order(setup: Setup, number: int) -> NDArray[np.intp]:
    """In which order round ``number`` goes through the rows in common (rows,): all owners know it, from the seed."""
    order: NDArray[np.intp] = orders([(setup.seed, number, 0)], 0, [setup.rows])[0]
    return order
