"""Checks of parameters at construction, with one sentence for all that do not fit."""

from __future__ import annotations

import math
from typing import TypeGuard

import numpy as np

from fedlab_nb.errors import SettingError

# Of a tuple in an error.
MOST_SHOWN = 4


def is_whole(value: object, least: int = 0) -> TypeGuard[int]:
    """True for a whole number of at least ``least``; True and False are none.

    >>> is_whole(2), is_whole(2.0), is_whole(True)
    (True, False, False)
    """
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and int(value) >= least


def is_real(value: object, above: float = -math.inf, most: float = math.inf) -> TypeGuard[float]:
    """True for a number above ``above`` and at most ``most``; True, False and NaN are none.

    >>> is_real(0.5, above=0, most=1), is_real(0, above=0), is_real(float("nan"))
    (True, False, False)
    """
    number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    return number and above < value <= most  # type: ignore[operator]


def check_setting(name: str, setting: str, value: object, *, fits: bool, wanted: str, why: str, example: str) -> None:
    """Refuse a setting of ``name`` that does not fit, saying what is ``wanted``, ``why``, and an ``example`` of it.

    Raises:
        SettingError: when it does not fit.

    >>> check_setting("Krum", "attackers", 1, fits=True, wanted="a whole number", why="It counts.", example="2")
    """
    if not fits:
        raise SettingError(
            f"{name} has {setting}={_given(value)}, not {wanted}.", why, f"Choose a value such as {setting}={example}."
        )


def _given(value: object) -> str:
    """A number, a text, or a short tuple of them as it is written; of anything else its kind."""
    shown = (int, float, str, np.number)
    short = isinstance(value, tuple) and len(value) <= MOST_SHOWN and all(isinstance(each, shown) for each in value)
    return repr(value) if short or isinstance(value, shown) else type(value).__name__
