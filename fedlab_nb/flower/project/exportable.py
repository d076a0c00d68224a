"""What Flower cannot run in this version, refused before anything is written."""

from __future__ import annotations

from fedlab_nb.aggregate import FLTrust
from fedlab_nb.errors import RuleError, SettingError
from fedlab_nb.horizontal.asynchronous import FedBuff
from fedlab_nb.horizontal.averaging import Averaging
from fedlab_nb.parties.house import House
from fedlab_nb.parties.rules import check_strategy
from fedlab_nb.protect import RowLevelDP

_STAY = "Run it in the notebook, fl.train(federation, strategy)"


def check_exportable(house: House, strategy: object) -> None:
    """Refuse a strategy, or settings of a federation, that cannot leave the notebook yet.

    Raises:
        SettingError: naming what cannot, why, and what can be done instead.
        RuleError: the strategy needs what these settings do not allow.
    """
    name = type(strategy).__name__
    if type(strategy).__module__.startswith("fedlab_nb.vertical"):
        raise SettingError(
            f"{name} is for owners of different columns, and cannot be exported to Flower yet.",
            "Its owners send messages to each other; in this version only what goes between owners and server does.",
            f"{_STAY}, or export a strategy for owners of different rows, such as fl.FedAvg(fl.models.mlp()).",
        )
    if not isinstance(strategy, Averaging):
        raise SettingError(
            f"The strategy to export is of type {name}.",
            "A site runs steps that it knows: those of the strategies that average what owners send.",
            "Derive your strategy from fl.FedAvg and give it its own local() and serve(), or export fl.FedAvg(...).",
        )
    if isinstance(strategy, FedBuff):
        raise SettingError(
            f"{name} cannot be exported to Flower yet.",
            "A clock of its own simulates who is late; real owners are late by themselves, and nothing here waits so.",
            f"{_STAY}, or export fl.FedAvg(...) with min_owners= in the federation: a round goes on without the late.",
        )
    if isinstance(strategy.aggregate, FLTrust):
        raise SettingError(
            "A strategy with the rule FLTrust cannot be exported to Flower yet.",
            "Its root rows are the server's own; what is exported goes to every owner, and the rows would go with it.",
            f"{_STAY}, or export another rule that bears false updates, such as fl.aggregate.Median().",
        )
    if isinstance(house.protect, RowLevelDP) and house.protect.frozen:
        raise RuleError(
            "A federation with RowLevelDP(frozen=True) cannot be exported to Flower yet.",
            "A frozen plan is debited as a whole before the first round; sites debit round by round in this version, "
            "so that the epsilon it promises would not hold.",
            "Leave frozen=True out: the same budget then allows fewer rounds, or needs more noise.",
        )
    check_strategy(strategy, house)
