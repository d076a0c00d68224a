"""Strategies that differ from federated averaging at the server, or in how little an owner does before it sends."""

from fedlab_nb.horizontal.server.fedavgm import FedAvgM
from fedlab_nb.horizontal.server.fedopt import FedAdagrad, FedAdam, FedYogi
from fedlab_nb.horizontal.server.fedsgd import FedSGD

__all__ = ["FedAdagrad", "FedAdam", "FedAvgM", "FedSGD", "FedYogi"]
