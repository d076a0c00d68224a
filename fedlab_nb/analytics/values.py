"""The values that a question may carry to the rows: plain numbers, text and booleans, of exactly these types."""

from __future__ import annotations

import sys

import numpy as np

from fedlab_nb.errors import SettingError

Value = str | int | float | bool

_PLAIN = (str, int, float, bool)
_NUMPY = frozenset(np.sctypeDict.values())


def plain_value(value: object) -> Value | None:
    """The value in plain Python, or None for anything but a number, a text or a boolean.

    A subclass of ``str`` or ``float`` is none of them: its own ``==`` would run beside the rows and see each of them.

    Raises:
        SettingError: for a whole number beyond what a 64-bit float holds.

    >>> plain_value(np.float32(0.5))
    0.5
    """
    if type(value) in _NUMPY:
        value = value.item()  # type: ignore[attr-defined]
    if type(value) not in _PLAIN:
        return None
    if type(value) is int and abs(value) > sys.float_info.max:
        raise SettingError(
            f"A whole number of {value.bit_length()} bits was given.",
            "Numbers are compared and counted as 64-bit floats, which end at about 1.8e308.",
            "Give a smaller number.",
        )
    return value  # type: ignore[return-value]


def plain_number(value: object) -> int | float | None:
    """The number in plain Python, or None for anything else; a boolean is no number, nor is NaN."""
    found = plain_value(value)
    return found if type(found) in (int, float) and found == found else None  # type: ignore[return-value]


def value_of(value: object, what: str) -> Value:
    """The value in plain Python; ``what`` says what it is for.

    Raises:
        SettingError: for anything but a number, a text or a boolean of exactly these types.
    """
    found = plain_value(value)
    if found is None:
        raise SettingError(
            f"{what} is an object of type {type(value).__name__}.",
            "Owners compare it with each row, and an object of another type could bring code of its own to the rows.",
            "Give a plain text, number, True or False.",
        )
    return found


def values_of(values: object, what: str) -> list[Value]:
    """Several values in plain Python, from a list, a tuple, a set, a range or an array.

    Raises:
        SettingError: if it is none of these, is empty, or holds anything but plain values.
    """
    found = members(values)
    if not found:
        raise SettingError(
            f"{what} are an object of type {type(values).__name__} without values in a row.",
            "Several values are expected here, and they are told apart one by one.",
            'Give a list, such as ["a", "b"] or [1, 2].',
        )
    return [value_of(value, f"One of {what[:1].lower()}{what[1:]}") for value in found]


def members(values: object) -> list[object]:
    """What a list, tuple, set, range or array of one axis holds; nothing for anything else."""
    if isinstance(values, np.ndarray):
        return list(values.tolist()) if values.ndim == 1 else []
    return list(values) if isinstance(values, list | tuple | set | frozenset | range) else []
