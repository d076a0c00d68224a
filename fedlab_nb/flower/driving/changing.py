"""Which settings of a run elsewhere a notebook may change, and which its parties keep to as agreed on."""

from __future__ import annotations

from collections.abc import Mapping

from fedlab_nb.errors import SettingError
from fedlab_nb.parties import Federation
from fedlab_nb.parties.columns.fitting import is_vertical
from fedlab_nb.parties.house import House

# What owners hold the server to, by the agreement: it is never changed while a run goes on.
_AGREED = ("clip", "noise_multiplier")
_SAMPLED = ("sample_rate", "dropout")


def changeable(settings: Mapping[str, float], federation: Federation) -> dict[str, float]:
    """Those of ``settings`` that a notebook may change in a run elsewhere: what parties hold each other to stays."""
    if is_vertical(federation.schema):
        return {}
    kept = _kept(federation.house)
    return {name: value for name, value in settings.items() if name not in kept}


def check_changeable(names: Mapping[str, float], federation: Federation) -> None:
    """Refuse to change what parties have agreed on; owners of different columns keep to all of it.

    Raises:
        SettingError: naming it.
    """
    for name in names:
        if is_vertical(federation.schema):
            raise SettingError(
                f"{name} was to be changed in a run over owners of different columns.",
                "Each party plays the protocol by itself, with the settings agreed on, and takes no others.",
                "Stop the run and export a project with another setting; hold, step and stop work here.",
            )
        if name in _kept(federation.house):
            raise SettingError(
                f"{name} was to be changed, and the parties of this run have agreed on it.",
                "Owners hold the server to the mechanism that protects their rows, whoever asks for another one.",
                "Stop the run and export a project with another setting: all parties then agree on that one.",
            )


def _kept(house: House) -> tuple[str, ...]:
    """With a mechanism also who takes part: how much noise each owner adds, and what is claimed, goes by that."""
    return _AGREED if house.protect is None else (*_AGREED, *_SAMPLED)
