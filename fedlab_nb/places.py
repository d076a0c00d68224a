"""Where the objects of parties live: all of them here, in one process, or each at its party, in a process of its own.

Protocols are written once, for both. What belongs to a party is made with ``places.put(party, ...)`` and used as if it
were here. Where it lives elsewhere, a call gives something that is ``Away``: it may be handed on to other calls at the
same party without ever leaving it, and ``settle`` brings what crosses, of all parties in one go.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ParamSpec, Protocol, TypeVar, cast

T = TypeVar("T")
P = ParamSpec("P")


class Away(ABC):
    """Something at a party's place, of which nothing has been brought here."""

    @abstractmethod
    def bring_(self, all_of: Sequence[Away]) -> list[Any]:
        """The values of ``all_of``, this one among them, brought here from all parties at once."""


class Places(Protocol):
    """Who keeps the objects of parties."""

    def put(self, party: str, make: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What ``make`` gives at ``party``; it stays there."""


class Here:
    """Every party's objects in this process."""

    def put(self, party: str, make: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:  # noqa: ARG002
        """What ``make`` gives."""
        return make(*args, **kwargs)


def settle(value: T) -> T:
    """The value itself, or a list or dictionary of values, with all that is away brought here, in one trip.

    >>> settle({"A": 1.5})
    {'A': 1.5}
    """
    parts: list[Any] = _parts(value)
    away = [part for part in parts if isinstance(part, Away)]
    if not away:
        return value
    brought = dict(zip(map(id, away), away[0].bring_(away), strict=True))
    here = [brought.get(id(part), part) for part in parts]
    if isinstance(value, Mapping):
        return cast("T", dict(zip(value, here, strict=True)))
    return cast("T", here if isinstance(value, list) else here[0])


def _parts(value: object) -> list[Any]:
    if isinstance(value, Mapping):
        return [*value.values()]
    return [*value] if isinstance(value, list) else [value]
