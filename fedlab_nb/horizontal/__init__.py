"""Same columns, different rows: one paper a file."""

from fedlab_nb.horizontal.fedavg import FedAvg
from fedlab_nb.horizontal.prepare import Setup

__all__ = ["FedAvg", "Setup"]
