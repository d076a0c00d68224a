"""The settings that a person may move while a run goes on, as the page's sliders need them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fedlab_nb.records import Snapshot
from fedlab_nb.units import SETTING_NAMES


@dataclass(frozen=True)
class Knob:
    """The range of a slider: ``log`` moves by factors, ``whole`` by ones, ``share`` from 0 to 1 in twentieths."""

    low: float
    high: float
    kind: Literal["log", "whole", "share"]
    hint: str


KNOBS = {
    "lr": Knob(0.001, 10.0, "log", "how far each step of training goes"),
    "local_epochs": Knob(1, 10, "whole", "how often an owner passes over its rows in a round"),
    "sample_rate": Knob(0.1, 1.0, "share", "with which probability an owner is chosen for a round"),
    "clip": Knob(0.01, 100.0, "log", "the longest contribution (L2 norm); longer ones are scaled down to it"),
    "noise_multiplier": Knob(0.1, 100.0, "log", "standard deviation of the noise / clip norm; more is more private"),
    "dropout": Knob(0.0, 0.9, "share", "with which probability a chosen owner drops out of a round"),
}


def sliders(snapshot: Snapshot) -> list[dict[str, object]]:
    """One slider for each setting that this run has and that can be moved."""
    made: list[dict[str, object]] = []
    for name, value in snapshot.settings.items():
        knob = KNOBS.get(name)
        if knob is not None:
            low, high = min(knob.low, value) if value > 0 else knob.low, max(knob.high, value)
            facts = {"name": name, "label": SETTING_NAMES[name], "value": value, "hint": knob.hint, "kind": knob.kind}
            made.append({**facts, "low": low, "high": high})
    return made
