"""Strategies that give each owner a model of its own, beside the common one or around a common part."""

from fedlab_nb.horizontal.personal.ditto import Ditto
from fedlab_nb.horizontal.personal.fedbn import FedBN
from fedlab_nb.horizontal.personal.fedper import FedPer
from fedlab_nb.horizontal.personal.fedrep import FedRep
from fedlab_nb.horizontal.personal.perfedavg import PerFedAvg
from fedlab_nb.horizontal.personal.pfedme import PFedMe

__all__ = ["Ditto", "FedBN", "FedPer", "FedRep", "PFedMe", "PerFedAvg"]
