"""From one party to another: what its work gives, beside its rows if it is an owner, sent on and written down.

A protocol between owners of different columns is written once, line by line, each one party's work. ``Together`` is how
a notebook goes through it; past one machine each party has a road of its own (``go_by``), on which it carries out its
own lines.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from fedlab_nb.channel.products import ProductSession
from fedlab_nb.crypto import CKKS
from fedlab_nb.crypto.seal import KEY_HOLDER
from fedlab_nb.ledger import Ledger
from fedlab_nb.parties.columns.alignment import Alignment
from fedlab_nb.parties.federation import Federation
from fedlab_nb.places import Road
from fedlab_nb.records import PrivacyEvent

T = TypeVar("T")

# Beside the federation: what its owners found out together stays as long as it does; how lines are carried out; and how
# alike rows must be that its parties agreed to link.
_ALIGNED: WeakKeyDictionary[Federation, Alignment] = WeakKeyDictionary()
_ROADS: WeakKeyDictionary[Federation, Road] = WeakKeyDictionary()
_LINKAGES: WeakKeyDictionary[Federation, float] = WeakKeyDictionary()


class Together:
    """All parties in this process: every line is carried out here, and what crosses is written down."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def own(self, work: Callable[[], T], *, at: str) -> T:  # noqa: ARG002 - every party is here
        """What ``work`` gives."""
        return work()

    def send(self, kind: str, work: Callable[[], T], *, number: int, sender: str, to: str) -> T:
        """What ``work`` gives, written down as a message."""
        payload = work()
        self._ledger.post(number, sender, to, kind, payload)  # type: ignore[arg-type]
        return payload

    def within(self, work: Callable[[], T], *, by: tuple[str, ...]) -> T:  # noqa: ARG002 - every party is here
        """What ``work`` gives."""
        return work()

    def token(self) -> str:
        """A fresh one."""
        return secrets.token_hex(16)

    def check(self, identities: Mapping[str, bytes]) -> None:
        """They come from this process."""


def road_of(federation: Federation) -> Road:
    """How the lines of protocols are carried out here."""
    return _ROADS.get(federation) or Together(federation.ledger)


def go_by(federation: Federation, road: Road) -> None:
    """From now on lines of protocols are carried out so."""
    _ROADS[federation] = road


def send(federation: Federation, kind: str, work: Callable[[Any], T], *, number: int, sender: str, to: str) -> T:
    """What ``work`` gives at ``sender``, as it crosses to the party ``to``; sender and receiver have it.

    ``work`` is given the rows of an owner, and None at the server or the key holder, who have none. ``number`` is the
    round, or the turn of a question. The cost is charged before: see ``charge``.

    Raises:
        RoundError: naming the owner, if ``work`` fails.
    """
    return road_of(federation).send(kind, _at(federation, kind, work, sender), number=number, sender=sender, to=to)


def own(federation: Federation, kind: str, work: Callable[[Any], T], *, at: str) -> T:
    """What ``work`` gives at one party, for this same party's part of a run's state; nothing leaves."""
    return road_of(federation).own(_at(federation, kind, work, at), at=at)


def _at(federation: Federation, kind: str, work: Callable[[Any], T], party: str) -> Callable[[], T]:
    if party in federation.names:
        return lambda: federation._beside(party, kind, lambda _, rows: work(rows))  # noqa: SLF001 - one road, two files
    return lambda: work(None)


def charge(federation: Federation, purpose: str, names: Sequence[str], *, number: int = 0) -> None:
    """Count a release without protection against each of these owners, before anything leaves.

    Raises:
        VaultError: if it cannot be written down.
    """
    event = PrivacyEvent(number, purpose, "all", "row", "none")
    federation.charge({name: [event] for name in names})


def product_session(federation: Federation, scheme: CKKS, number: int, opener: str = KEY_HOLDER) -> ProductSession:
    """The session of sealed products with the keys in force; ``opener``, the key holder or an owner, has the key."""
    return federation._channels.products(scheme, number, opener, road_of(federation))  # noqa: SLF001 - one road, two files


def drop_keys(federation: Federation) -> None:
    """Use none of the keys again, as after products that failed."""
    federation._channels.drop()  # noqa: SLF001 - one road, two files


def alignment_of(federation: Federation) -> Alignment | None:
    """The rows that the owners of a federation have found in common; None if they have not looked yet."""
    return _ALIGNED.get(federation)


def keep_alignment(federation: Federation, alignment: Alignment) -> None:
    """From now on this is what the federation's owners have in common."""
    _ALIGNED[federation] = alignment


def link_by(federation: Federation, threshold: float | None) -> None:
    """From now on owners without a common id link their rows by this threshold when they first need them in common.

    None where they have an id.
    """
    if threshold is not None:
        _LINKAGES[federation] = threshold


def linkage_of(federation: Federation) -> float | None:
    """The threshold that the parties agreed on; None where they have an id, or nobody has said one."""
    return _LINKAGES.get(federation)
