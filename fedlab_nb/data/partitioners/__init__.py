"""Ways to divide one table among owners, each a frozen object that is called with the frame.

``partitioner(frame, owners, rng)`` gives for each owner the sorted positions of its rows; every row goes to exactly
one owner. Names and meanings are those of Flower Datasets where it has them.
"""

from fedlab_nb.data.partitioners.columns import Continuous, Natural, TimeSplit
from fedlab_nb.data.partitioners.labels import Dirichlet, Pathological, Shards, skewed
from fedlab_nb.data.partitioners.rules import Partitioner
from fedlab_nb.data.partitioners.sizes import IID, Exponential, Linear, Square

__all__ = [
    "IID",
    "Continuous",
    "Dirichlet",
    "Exponential",
    "Linear",
    "Natural",
    "Partitioner",
    "Pathological",
    "Shards",
    "Square",
    "TimeSplit",
    "skewed",
]
