"""Where the objects of parties live: all of them here, in one process, or each at its party, in a process of its own.

Protocols are written once, for both. What belongs to a party is made with ``places.put(party, ...)`` and used as if it
were here. Where it lives elsewhere, a call gives something that is ``Away``: it may be handed on to other calls at the
same party without ever leaving it, and ``settle`` brings what crosses, of all parties in one go.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
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

    def brought(self, made: Mapping[str, T], needed: int) -> dict[str, T]:
        """What each party has made, brought here in one trip; of those who are not lost, if ``needed`` are left.

        Raises:
            FedLabError: nobody may be missing, or more are needed.
        """


class Here:
    """Every party's objects in this process."""

    def put(self, party: str, make: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:  # noqa: ARG002
        """What ``make`` gives."""
        return make(*args, **kwargs)

    def brought(self, made: Mapping[str, T], needed: int) -> dict[str, T]:  # noqa: ARG002 - nobody is lost here
        """All of it."""
        return dict(made)


@dataclass(frozen=True)
class NotHere:
    """In place of something that only the parties ``at`` have: it can be handed on, and nothing can be made of it."""

    at: tuple[str, ...]


def here(values: Iterable[T], otherwise: T | None = None) -> T:
    """The first of these that is here; ``otherwise`` where none is.

    >>> here([NotHere(("bank",)), 3.0])
    3.0
    """
    return next((value for value in values if not isinstance(value, NotHere)), cast("T", otherwise))


class Road(Protocol):
    """How the lines of a protocol are carried out: each is one party's work, and says where its result goes.

    In a notebook one process carries out all of them. Where every party has a process of its own, each goes through the
    same protocol from top to bottom, carries out its own lines, and passes by those of the others.
    """

    def own(self, work: Callable[[], T], *, at: str) -> T:
        """What ``work`` gives at the party ``at``, for that party alone; elsewhere it is ``NotHere``."""

    def send(self, kind: str, work: Callable[[], T], *, number: int, sender: str, to: str) -> T:
        """What ``work`` gives at ``sender``, as it crosses to ``to``; both have it, elsewhere it is ``NotHere``."""

    def within(self, work: Callable[[], T], *, by: tuple[str, ...]) -> T:
        """What ``work``, a part of the protocol, gives to the parties ``by``, who alone go through it."""

    def token(self) -> str:
        """32 hex characters that all parties know, and that no other time or run has."""

    def check(self, identities: Mapping[str, bytes]) -> None:
        """Refuse identities, passed on by the server, that are not those of the parties; EncryptionError."""


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
