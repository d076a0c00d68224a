"""Bounding what one row or one owner can contribute."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.errors import SettingError


def clip_norm(value: NDArray[np.float64], clip: float) -> NDArray[np.float64]:
    """``value`` (d,) scaled down, if needed, to an L2 norm of at most ``clip``.

    >>> import numpy as np
    >>> clip_norm(np.array([3.0, 4.0]), 1.0)
    array([0.6, 0.8])
    """
    norm = float(np.linalg.norm(value))
    return value if norm <= clip else value * (clip / norm)


def is_positive(value: object) -> bool:
    """True for a finite number above zero; True and False are none."""
    number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    return number and 0.0 < value < float("inf")  # type: ignore[operator]


def check_positive(name: str, setting: str, value: object, why: str, example: str) -> None:
    """Refuse a setting of ``name`` that is no finite number above zero.

    Raises:
        SettingError: with ``why`` it matters and an ``example`` of a value.
    """
    if not is_positive(value):
        raise SettingError(
            f"{name} has {setting}={value!r}, not a positive number.",
            why,
            f"Choose a value such as {setting}={example}.",
        )
