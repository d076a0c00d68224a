"""Same columns, different rows: strategies for owners that hold different people by the same columns."""

from fedlab_nb.horizontal.asynchronous import FedBuff
from fedlab_nb.horizontal.drift import MOON, SCAFFOLD, FedDyn, FedNova, FedProx
from fedlab_nb.horizontal.fairness import AFL, QFFL
from fedlab_nb.horizontal.fedavg import FedAvg
from fedlab_nb.horizontal.personal import Ditto, FedBN, FedPer, FedRep, PerFedAvg, PFedMe
from fedlab_nb.horizontal.server import FedAdagrad, FedAdam, FedAvgM, FedSGD, FedYogi

__all__ = [
    "AFL",
    "MOON",
    "QFFL",
    "SCAFFOLD",
    "Ditto",
    "FedAdagrad",
    "FedAdam",
    "FedAvg",
    "FedAvgM",
    "FedBN",
    "FedBuff",
    "FedDyn",
    "FedNova",
    "FedPer",
    "FedProx",
    "FedRep",
    "FedSGD",
    "FedYogi",
    "PFedMe",
    "PerFedAvg",
]
