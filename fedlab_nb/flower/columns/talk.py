"""What goes between the server and a party of a vertical run in one trip, there and back."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fedlab_nb.errors import FedLabError, SettingError
from fedlab_nb.flower.codec import Allowed, decode, encode
from fedlab_nb.flower.columns.parcel import Parcel, is_parcel
from fedlab_nb.flower.orders.owner import Introduction
from fedlab_nb.records import Schema

Vouched = Mapping[str, tuple[str, bytes]]
# Data alone: nothing in a message names what is run.
_DATA = Allowed(work=frozenset(), helpers=frozenset())


@dataclass(frozen=True)
class Guest:
    """An owner as all parties know it: its name, its columns, and how many of its rows it holds out."""

    name: str
    schema: Schema
    held_out: float


@dataclass(frozen=True)
class Roster:
    """Who takes part: all owners, and the fresh identity of every party, by its name, each signed by its party."""

    guests: tuple[Guest, ...]
    publics: Mapping[str, bytes]


@dataclass(frozen=True)
class Delivery:
    """To a party: what has arrived for it, and up to which round it may go.

    ``serial`` counts the trips to this party: one that comes twice gets the same reply. ``known`` is its process, ""
    the first time. ``identities`` are everybody's lasting ones, ``vouched`` signatures of keys. ``roster`` comes once,
    as bytes: whoever was told another one calls the run by another name (``name_of_run``).
    """

    serial: int
    known: str
    parcels: tuple[Parcel, ...] = ()
    allowed: int = 0
    identities: Mapping[str, bytes] = field(default_factory=dict)
    vouched: Vouched = field(default_factory=dict)
    roster: bytes = b""


@dataclass(frozen=True)
class Return:
    """From a party: what it has sent until it could go no further; the first time who it is, and a fresh identity."""

    serial: int
    process: str
    parcels: tuple[Parcel, ...] = ()
    vouched: Vouched = field(default_factory=dict)
    public: bytes = b""
    introduction: Introduction | None = None
    error: Exception | None = None


def written(value: Delivery | Return | Roster) -> bytes:
    """The bytes that cross."""
    return encode(value, _DATA)


def name_of_run(roster: bytes, occasion: str) -> str:
    """What tells a run between these parties from every other one; ``occasion`` is the digest of their agreement."""
    return hashlib.sha256(f"{occasion}\n".encode() + roster).hexdigest()


def read_delivery(data: bytes) -> Delivery:
    """The delivery in these bytes.

    Raises:
        SettingError: there is none, or a part of it is not what it is called.
    """
    got = decode(data, _DATA)
    known = isinstance(got, Delivery) and _are((got.serial, int), (got.allowed, int), (got.known, str))
    if not known or not _are((got.roster, bytes)) or not _is_post(got.parcels, got.vouched):
        raise _unreadable("a delivery")
    if not _is_table(got.identities, lambda public: isinstance(public, bytes)):
        raise _unreadable("a delivery")
    found: Delivery = got
    return found


def read_return(data: bytes) -> Return:
    """The answer to a delivery; its introduction is not looked at.

    Raises:
        SettingError: as ``read_delivery``.
    """
    got = decode(data, _DATA)
    known = isinstance(got, Return) and _are((got.serial, int), (got.process, str), (got.public, bytes))
    if not known or not _is_post(got.parcels, got.vouched) or not isinstance(got.error, FedLabError | None):
        raise _unreadable("an answer")
    found: Return = got
    return found


def read_roster(data: bytes) -> Roster:
    """Who takes part, as these bytes say.

    Raises:
        SettingError: as ``read_delivery``.
    """
    got = decode(data, _DATA)
    if not isinstance(got, Roster) or not _is_table(got.publics, lambda public: isinstance(public, bytes)):
        raise _unreadable("a roster")
    if not isinstance(got.guests, tuple) or not all(map(_is_guest, got.guests)):
        raise _unreadable("a roster")
    return got


def _are(*facts: tuple[object, type]) -> bool:
    return all(type(value) is kind for value, kind in facts)


def _is_post(parcels: object, vouched: object) -> bool:
    return isinstance(parcels, tuple) and all(map(is_parcel, parcels)) and _is_table(vouched, _is_signed)


def _is_signed(said: Any) -> bool:
    return isinstance(said, tuple) and [*map(type, said)] == [str, bytes]


def _is_table(value: Any, fits: Any) -> bool:
    return isinstance(value, dict) and all(type(key) is str and fits(each) for key, each in value.items())


def _is_guest(value: Any) -> bool:
    known = isinstance(value, Guest) and isinstance(value.schema, Schema) and _are((value.name, str))
    return known and isinstance(value.held_out, int | float) and 0.0 <= value.held_out < 1.0


def _unreadable(what: str) -> SettingError:
    return SettingError(
        f"What came for {what} of a vertical run is none.",
        "What is worked out from it would mean nothing.",
        "Use the same version at all parties, and ask who runs the other side which code it runs.",
    )
