"""Checks of your own parts: typed in a cell, tried on made-up data, and what is wrong is said in words.

>>> import numpy as np
>>> def largest(changes, weights):
...     return changes.max(axis=0) + 1.0
>>> print(check_aggregator(largest).faults[0].what)
Where 12 owners sent the same, it gave a change of another direction.
"""

from fedlab_nb.contracts import (
    Fault,
    Report,
    check_aggregator,
    check_attack,
    check_compressor,
    check_strategy,
)

__all__ = ["Fault", "Report", "check_aggregator", "check_attack", "check_compressor", "check_strategy"]
