"""Strategies against client drift: where owners' rows differ, local steps lead their models apart."""

from fedlab_nb.horizontal.drift.feddyn import FedDyn
from fedlab_nb.horizontal.drift.fednova import FedNova
from fedlab_nb.horizontal.drift.fedprox import FedProx
from fedlab_nb.horizontal.drift.moon import MOON
from fedlab_nb.horizontal.drift.scaffold import SCAFFOLD

__all__ = ["MOON", "SCAFFOLD", "FedDyn", "FedNova", "FedProx"]
