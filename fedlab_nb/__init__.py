"""fedlab_nb: a federated-learning lab for notebooks.

>>> import fedlab_nb as fl
>>> owners = fl.split_rows(fl.data.breast_cancer(), owners=5, skew=0.5)
>>> owners[0]
DataOwner('Owner 1', 30 numeric and 0 categorical columns, target 'diagnosis', rows private)

Nothing heavy is loaded before it is used: torch, TenSEAL and plotly come with the first call that needs them.
"""

from importlib import import_module
from typing import TYPE_CHECKING

# Not lazy: loading the file of that name later would put the module in the place of the function.
from fedlab_nb.rounds import rounds

if TYPE_CHECKING:
    from fedlab_nb import aggregate, checks, compress, data, errors, flower, horizontal, pool, vertical
    from fedlab_nb.analytics import PrivateFrame
    from fedlab_nb.audit import Auditor
    from fedlab_nb.channel.compare import compare_channels
    from fedlab_nb.checkup import doctor
    from fedlab_nb.checkup.whatif import what_if
    from fedlab_nb.comparing import compare
    from fedlab_nb.comparing.gain import gain
    from fedlab_nb.crypto import BFV, CKKS, SecAgg
    from fedlab_nb.handle import Run
    from fedlab_nb.horizontal import (
        SCAFFOLD,
        FedAdagrad,
        FedAdam,
        FedAvg,
        FedAvgM,
        FedNova,
        FedProx,
        FedSGD,
        FedYogi,
    )
    from fedlab_nb.lab import train
    from fedlab_nb.learn import models
    from fedlab_nb.parties import DataOwner, Federation, split_rows
    from fedlab_nb.parties.columns.split import split_columns
    from fedlab_nb.parties.shown import partition
    from fedlab_nb.privacy import Budget, Vault
    from fedlab_nb.protect import AdaptiveClip, OwnerLevelDP, RowLevelDP
    from fedlab_nb.records import History, Round

__version__ = "0.1.0"

# Where each public name lives; the list is the whole public surface.
_PLACES = {
    "AdaptiveClip": "protect",
    "Auditor": "audit",
    "BFV": "crypto",
    "Budget": "privacy",
    "CKKS": "crypto",
    "DataOwner": "parties",
    "FedAdagrad": "horizontal",
    "FedAdam": "horizontal",
    "FedAvg": "horizontal",
    "FedAvgM": "horizontal",
    "FedNova": "horizontal",
    "FedProx": "horizontal",
    "FedSGD": "horizontal",
    "FedYogi": "horizontal",
    "Federation": "parties",
    "History": "records",
    "OwnerLevelDP": "protect",
    "PrivateFrame": "analytics",
    "Round": "records",
    "RowLevelDP": "protect",
    "Run": "handle",
    "SCAFFOLD": "horizontal",
    "SecAgg": "crypto",
    "Vault": "privacy",
    "compare": "comparing",
    "compare_channels": "channel.compare",
    "doctor": "checkup",
    "gain": "comparing.gain",
    "split_columns": "parties.columns.split",
    "split_rows": "parties",
    "train": "lab",
    "what_if": "checkup.whatif",
}
_ROOMS = {
    "aggregate": "aggregate",
    "checks": "checks",
    "compress": "compress",
    "data": "data",
    "errors": "errors",
    "flower": "flower",
    "horizontal": "horizontal",
    "models": "learn.models",
    "partition": "parties.shown.partition",
    "pool": "pool",
    "vertical": "vertical",
}

__all__ = [
    "BFV",
    "CKKS",
    "SCAFFOLD",
    "AdaptiveClip",
    "Auditor",
    "Budget",
    "DataOwner",
    "FedAdagrad",
    "FedAdam",
    "FedAvg",
    "FedAvgM",
    "FedNova",
    "FedProx",
    "FedSGD",
    "FedYogi",
    "Federation",
    "History",
    "OwnerLevelDP",
    "PrivateFrame",
    "Round",
    "RowLevelDP",
    "Run",
    "SecAgg",
    "Vault",
    "aggregate",
    "checks",
    "compare",
    "compare_channels",
    "compress",
    "data",
    "doctor",
    "errors",
    "flower",
    "gain",
    "horizontal",
    "models",
    "partition",
    "pool",
    "rounds",
    "split_columns",
    "split_rows",
    "train",
    "vertical",
    "what_if",
]


def __getattr__(name: str) -> object:
    if name in _ROOMS:
        return import_module(f"fedlab_nb.{_ROOMS[name]}")
    if name in _PLACES:
        found = getattr(import_module(f"fedlab_nb.{_PLACES[name]}"), name)
        globals()[name] = found
        return found
    raise AttributeError(f"module 'fedlab_nb' has no attribute {name!r}; it has: {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
