"""A strategy in words: one line, a card, and those of its settings that are numbers."""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import TYPE_CHECKING

from fedlab_nb.cards import card, code, one_line
from fedlab_nb.units import SETTING_NAMES

if TYPE_CHECKING:
    from fedlab_nb.horizontal.averaging import Averaging

# What every strategy has; of these only the first two can be changed between rounds, where they apply.
SHARED = ("lr", "local_epochs", "model", "batch_size", "weighting", "momentum", "weight_decay", "executor", "groups")
USUAL = {"lr": "0.1 (2.0 under fl.RowLevelDP)", "local_epochs": "2", "batch_size": "16 rows"}


def numbers_of(strategy: Averaging) -> dict[str, float]:
    """The strategy's own settings that are numbers, such as the ``mu`` of FedProx."""
    own = [f.name for f in fields(strategy) if f.name not in SHARED]
    values = {name: getattr(strategy, name) for name in own}
    return {n: v for n, v in values.items() if isinstance(v, int | float) and not isinstance(v, bool)}


def strategy_words(strategy: Averaging) -> str:
    """Its name, its model, and what was chosen."""
    chosen = [
        f", {f.name}={getattr(strategy, f.name)!r}"
        for f in fields(strategy)
        if f.name != "model" and (f.default is MISSING or getattr(strategy, f.name) != f.default)
    ]
    return one_line(f"{type(strategy).__name__}({strategy.model!r}{''.join(chosen)})")


def strategy_card(strategy: Averaging) -> str:
    """The formula and the settings, those that were left out with their default."""
    equal = "1 for every owner" if strategy.weighting == "equal" else "the owner's share of all training rows"
    rows: list[tuple[str, object]] = [
        ("The formula", code(strategy.formula)),
        ("weight", f"{equal} (1 for every owner under fl.OwnerLevelDP)"),
        ("Model", one_line(repr(strategy.model))),
    ]
    for f in fields(strategy):
        value = getattr(strategy, f.name)
        if f.name in ("model", "weighting") or (f.name not in USUAL and value == f.default):
            continue
        name = SETTING_NAMES.get(f.name, f.name.replace("_", " "))
        words = f"{USUAL[f.name]}, by default" if value is None and f.name in USUAL else f"{value!r}, as chosen"
        rows.append((name[:1].upper() + name[1:], words))
    at_row_level = "Under fl.RowLevelDP an owner makes one step a round, no local epochs, no batches. "
    at_owner_level = "Under fl.OwnerLevelDP the sum is divided by the number of owners to be expected in a round."
    return card(strategy.title, rows, (at_row_level if strategy.one_step else "") + at_owner_level)
