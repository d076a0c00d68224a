"""What the server's process and a party's process agree on: orders there, values back, and what may be ordered at all.

An order names something of this package and brings data. A party carries out those named here and no others. That
bounds what a server that errs can ask for. It does not bind one that means harm: the data that an order brings is the
server's (which model is scored, how much noise is named), and Flower lets whoever runs the server send other apps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fedlab_nb.crypto import Identity, KeyHolder, Mailbox, Sealed, Sealer
from fedlab_nb.crypto.masks import MaskingOwner, masked_steps
from fedlab_nb.crypto.threshold import JointKey, JointOwner


@dataclass(frozen=True)
class Ref:
    """Something at a party: the number under which it is kept there, and the way from it to one of its parts."""

    number: int
    path: tuple[str, ...] = ()


@dataclass(frozen=True)
class Order:
    """One call at a party, whose result is kept there under ``number``.

    ``what`` is a name of ``MAKES``, a verb of the party's own, or, for a method, where to find it. ``brings`` is what
    it is called with, written down when the order was given: (arguments, named arguments).
    """

    number: int
    what: str | Ref
    brings: bytes


@dataclass(frozen=True)
class Request:
    """What one trip takes to a party: orders, in order; what is wanted back; and what is not needed any more.

    ``serial`` counts the trips to a party: one that comes twice gets the same reply, and nothing is done twice.
    ``known`` is the process that holds what earlier trips made, "" for the first. ``vouched`` are signatures of keys
    that other parties gave out (see ``trust.py``).
    """

    serial: int
    known: str
    orders: tuple[Order, ...]
    wanted: tuple[Ref, ...]
    freed: tuple[int, ...] = ()
    vouched: Mapping[str, tuple[str, bytes]] = field(default_factory=dict)


@dataclass(frozen=True)
class Reply:
    """What comes back: the values that were wanted, or why an order failed; which process it was; its signatures."""

    serial: int
    process: str
    values: tuple[Any, ...] = ()
    error: Exception | None = None
    vouched: Mapping[str, tuple[str, bytes]] = field(default_factory=dict)


@dataclass(frozen=True)
class Elsewhere:
    """In place of numbers that an owner keeps for itself: where they are, and since which order."""

    owner: str
    kind: str
    since: int


# Keys that a party gives out, by what they are asked of: signed when they leave.
KEYS: tuple[tuple[type, str], ...] = ((Mailbox, "public"), (Identity, "public"), (KeyHolder, "public_key"))

# What a party makes and keeps for the protocols of the channels.
MAKES: dict[str, Any] = {
    "Sealer": Sealer,
    "KeyHolder": KeyHolder,
    "KeyHolder.unwrapped": KeyHolder.unwrapped,
    "Identity": Identity,
    "MaskingOwner": MaskingOwner,
    "JointOwner": JointOwner,
    "masked_steps": masked_steps,
}

# What may be asked of it, by the class of what it is asked of; and of these, what stays at the party whatever happens.
ASKS: dict[type, frozenset[str]] = {
    Sealer: frozenset({"mailbox", "take_key", "seal", "tag_seed", "vouch"}),
    Mailbox: frozenset({"public", "meet", "take", "identity"}),
    KeyHolder: frozenset({"public_key", "parameters", "mailbox", "open", "wrapped_for"}),
    Identity: frozenset({"public"}),
    MaskingOwner: frozenset({"advertise", "share", "confirm", "reveal"}),
    JointOwner: frozenset({"commitment", "reveal", "join", "witness", "open"}),
    JointKey: frozenset({"public_key"}),
    Sealed: frozenset({"chunks"}),
}
