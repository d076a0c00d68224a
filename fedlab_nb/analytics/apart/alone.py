"""What one owner of different columns answers alone: it and the server go through it, everybody else passes it by."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, TypeVar, cast

from fedlab_nb.analytics.questions.question import Floats
from fedlab_nb.analytics.source import Source
from fedlab_nb.parties import Rows
from fedlab_nb.parties.columns.fitting import is_vertical
from fedlab_nb.parties.columns.road import road_of, send
from fedlab_nb.places import NotHere
from fedlab_nb.vertical import align

if TYPE_CHECKING:
    from fedlab_nb.records import PrivacyEvent

T = TypeVar("T")


def alone(source: Source, work: Callable[[], T]) -> T:
    """What ``work`` gives at the owner of the source and at the server; it is one inquiry (see ``inquire``).

    Both know all that comes of it: the owner tells the server. Others help to find the rows in common, and count.
    """
    federation = source.federation
    found = road_of(federation).within(work, by=(cast("str", source.owner), "server"))
    if isinstance(found, NotHere):
        with federation.in_use():
            align(federation)
            federation.turn()
    return found


def heard(
    source: Source,
    kind: str,
    work: Callable[[str, Rows], Floats | str],
    *,
    number: int,
    debits: Mapping[str, Sequence[PrivacyEvent]],
    asked: str,
) -> dict[str, Floats | str]:
    """What each owner of a source answers the server by itself, readable; debited before.

    Raises:
        RoundError: naming the owner whose work failed.
    """
    federation = source.federation
    if not is_vertical(federation.schema):
        return federation.hear(kind, work, number=number, debits=debits, to=source.names, asked=asked)
    federation.charge(debits)
    return {
        name: send(federation, kind, partial(work, name), number=number, sender=name, to="server")
        for name in source.names
    }
