"""A strategy of this room in words: a line with what was chosen, and a card with every setting and who learns what."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING, Field, fields
from typing import TYPE_CHECKING, Any

from fedlab_nb.cards import card, code, one_line
from fedlab_nb.units import SETTING_NAMES

if TYPE_CHECKING:
    from fedlab_nb.vertical.shared.strategy import VerticalStrategy

# Settings that are typed otherwise than they are called.
NAMES = {**SETTING_NAMES, "goss": "rows of a tree", "reg_lambda": "penalty λ", "woe": "weights of evidence"}
# What it means that a setting is left out.
LEFT_OUT = {
    "batch_size": "all rows at once",
    "cut": "8 numbers a row, or one fewer than an owner has columns",
    "defence": "none: gradients tell labels",
    "goss": "all",
    "patience": "every round grows a tree",
    "sigmoid": "sines for two owners, else a straight line",
    "woe": "none: columns are standardised",
}


def strategy_words(strategy: VerticalStrategy) -> str:
    """Its name, who has the labels, and what was chosen."""
    chosen = [
        f"{field.name}={value!r}"
        for field, value in _settings(strategy)
        if field.default is MISSING or value != field.default
    ]
    return one_line(f"{type(strategy).__name__}({', '.join(chosen)})")


def strategy_card(strategy: VerticalStrategy) -> str:
    """What a round is, every setting, and who learns what, leaks included."""
    rows: list[tuple[str, object]] = [("Labels at", strategy.labels_at)]
    if strategy.formula:
        rows.append(("In a line", code(strategy.formula)))
    for field, value in _settings(strategy):
        if field.name != "labels_at" and (value is not None or field.name in LEFT_OUT):
            rows.append((_name(field.name), LEFT_OUT[field.name] if value is None else _said(value)))
    rows += [(f"What {who} learns", what) for who, what in strategy.learns]
    return card(strategy.title, rows, "Each owner keeps its own part of the model.")


def _settings(strategy: VerticalStrategy) -> Iterator[tuple[Field[Any], object]]:
    return ((field, getattr(strategy, field.name)) for field in fields(strategy))


def _name(setting: str) -> str:
    """The setting in words, and as it is typed where these differ."""
    words = NAMES.get(setting, setting.replace("_", " "))
    return words[:1].upper() + words[1:] + (f" ({setting})" if setting in NAMES else "")


def _said(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return one_line(repr(value))
