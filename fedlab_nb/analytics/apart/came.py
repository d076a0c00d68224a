"""What came from another party, looked at before anything is made of it: parties may be apart, and send anything."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np

from fedlab_nb.analytics.questions.question import Floats
from fedlab_nb.errors import RoundError

MOST_CATEGORIES = 50


def numbers(sender: str, came: object, shape: tuple[int, ...]) -> Floats:
    """Finite numbers of this shape.

    Raises:
        RoundError: naming the sender of something else.
    """
    if isinstance(came, np.ndarray) and came.dtype == np.float64 and came.shape == shape and np.isfinite(came).all():
        return came
    raise _odd(sender, f"{int(np.prod(shape)):,} finite numbers")


def counts(sender: str, came: object, size: int) -> list[int]:
    """Whole numbers from 1 to a million; RoundError as ``numbers``."""
    found = numbers(sender, came, (size,))
    if ((found < 1) | (found > 10**6) | (found % 1 != 0)).any():
        raise _odd(sender, f"{size:,} whole numbers")
    return [int(each) for each in found]


def places(sender: str, came: object, most: int) -> list[int]:
    """Rising places below ``most``; RoundError as ``numbers``."""
    found = came if isinstance(came, np.ndarray) and came.dtype == np.float64 and came.ndim == 1 else None
    if found is None or not np.isin(found, np.arange(most)).all() or (np.diff(found) <= 0).any():
        raise _odd(sender, f"places of {most:,} columns")
    return [int(each) for each in found]


def lists(sender: str, came: object, columns: Sequence[str]) -> dict[str, list[str | int | float]]:
    """The values that an owner names of each column; RoundError as ``numbers``."""
    try:
        named = json.loads(came) if isinstance(came, str) else None
    except ValueError:
        named = None
    if not isinstance(named, dict) or [*named] != [*columns] or not all(map(_is_list, named.values())):
        raise _odd(sender, "the values of some columns")
    return named


def _is_list(values: object) -> bool:
    if not isinstance(values, list) or len(values) > MOST_CATEGORIES + 1:
        return False
    return all(isinstance(value, str | int | float) for value in values)


def _odd(sender: str, wanted: str) -> RoundError:
    return RoundError(
        sender,
        "answer",
        f"{sender!r} answered with something else than {wanted}.",
        "It would have spoilt the answer, or ended the run without a word of who it was.",
        "Nothing of it is used: ask who runs that site which code it runs.",
    )
