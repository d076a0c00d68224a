"""From one owner to another: what work beside one owner's rows gives, sent to one other party and written down."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar
from weakref import WeakKeyDictionary

from fedlab_nb.channel.products import ProductSession
from fedlab_nb.crypto import CKKS
from fedlab_nb.crypto.seal import KEY_HOLDER
from fedlab_nb.parties.columns.alignment import Alignment
from fedlab_nb.parties.federation import Federation
from fedlab_nb.parties.owner import Rows
from fedlab_nb.payloads import Payload
from fedlab_nb.records import PrivacyEvent

T = TypeVar("T", bound=Payload)
T_ = TypeVar("T_")

# Beside the federation: what its owners found out together stays as long as it does.
_ALIGNED: WeakKeyDictionary[Federation, Alignment] = WeakKeyDictionary()


def send(federation: Federation, kind: str, work: Callable[[Rows], T], *, number: int, sender: str, to: str) -> T:
    """What ``work`` gives beside the rows of ``sender``, as it crosses to the party ``to``.

    ``number`` is the round, or the turn of a question. The cost is charged before: see ``charge``.

    Raises:
        RoundError: naming the owner, if ``work`` fails.
    """
    payload = federation._beside(sender, kind, lambda _, rows: work(rows))  # noqa: SLF001 - one road, two files
    federation.ledger.post(number, sender, to, kind, payload)
    return payload


def keep(federation: Federation, kind: str, work: Callable[[Rows], None], *, at: str) -> None:
    """Run ``work`` beside the rows of one owner; nothing leaves."""
    federation._beside(at, kind, lambda _, rows: work(rows))  # noqa: SLF001 - one road, two files


def own(federation: Federation, kind: str, work: Callable[[Rows], T_], *, at: str) -> T_:
    """What ``work`` gives beside the rows of one owner, for this same owner's part of a run's state; nothing leaves."""
    return federation._beside(at, kind, lambda _, rows: work(rows))  # noqa: SLF001 - one road, two files


def charge(federation: Federation, purpose: str, names: Sequence[str], *, number: int = 0) -> None:
    """Count a release without protection against each of these owners, before anything leaves.

    Raises:
        VaultError: if it cannot be written down.
    """
    event = PrivacyEvent(number, purpose, "all", "row", "none")
    federation.charge({name: [event] for name in names})


def product_session(federation: Federation, scheme: CKKS, number: int, opener: str = KEY_HOLDER) -> ProductSession:
    """The session of sealed products with the keys in force; ``opener``, the key holder or an owner, has the key."""
    return federation._channels.products(scheme, number, opener)  # noqa: SLF001 - one road, two files


def drop_keys(federation: Federation) -> None:
    """Use none of the keys again, as after products that failed."""
    federation._channels.drop()  # noqa: SLF001 - one road, two files


def alignment_of(federation: Federation) -> Alignment | None:
    """The rows that the owners of a federation have found in common; None if they have not looked yet."""
    return _ALIGNED.get(federation)


def keep_alignment(federation: Federation, alignment: Alignment) -> None:
    """From now on this is what the federation's owners have in common."""
    _ALIGNED[federation] = alignment
