"""What Flower cannot run in this version, refused before anything is written."""

from __future__ import annotations

from fedlab_nb.errors import SettingError
from fedlab_nb.horizontal.averaging import Averaging
from fedlab_nb.parties.house import House
from fedlab_nb.parties.rules import check_strategy
from fedlab_nb.vertical.shared import VerticalStrategy


def check_exportable(house: House, strategy: object) -> None:
    """Refuse a strategy, or settings of a federation, that cannot leave the notebook yet.

    Raises:
        SettingError: naming what cannot, why, and what can be done instead.
        RuleError: the strategy needs what these settings do not allow.
    """
    name = type(strategy).__name__
    if isinstance(strategy, VerticalStrategy):
        return
    if not isinstance(strategy, Averaging):
        raise SettingError(
            f"The strategy to export is of type {name}.",
            "A site runs steps that it knows: those of the strategies that average what owners send.",
            "Derive your strategy from fl.FedAvg and give it its own local() and serve(), or export fl.FedAvg(...).",
        )
    check_strategy(strategy, house)
