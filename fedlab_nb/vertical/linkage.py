"""Linkage: two owners without a common id find rows that are alike, by keyed Bloom filters of what tells rows apart.

Each owner sends the server a pseudonym of each row: 1,024 bits, from pairs of letters of names, dates, towns, under a
key that the two owners agree on and the server lacks. The server links those that are most alike. A pseudonym is no
encryption, and a link may be wrong.

Who learns what, if all follow the protocol:
    each owner    which of its own rows the other one has as well, or has one that is alike; not which row that is.
    the server    how many rows each owner has; all pseudonyms, and so which are alike, how often a pattern comes, and
        what is frequent in them. Who knows which names are frequent can guess some of them, without the key.
    the key holder    nothing.
The server with an owner, or who passes keys on and puts in its own, has the key: it can check every guess of a name at
the other owner. An owner that invents rows learns which of them are like one of the other's. The server compares the
filters, and nobody can check that it links those that are most alike: it could link others, five at least and none
twice. The same tables give the same pseudonyms in every run; other tables, or another partner, give others: the half of
the key that an owner sends the other follows from all that it has (a keyed hash), and tells something only to who can
already list all of it.

Source: Schnell, Bachteler, Reiher, BMC Medical Informatics and Decision Making 9:41, 2009 (pairs of letters in Bloom
filters, Dice coefficient); Schnell, Bachteler, Reiher, German Record Linkage Center WP-GRLC-2011-02 (one filter a row).
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.channel import Opaque
from fedlab_nb.crypto.linkage import BITS, MARGIN, Filters, Links, Partner, best_pairs, filters_in
from fedlab_nb.errors import EncryptionError, RoundError, RuleError, SettingError
from fedlab_nb.parties import Federation, Rows
from fedlab_nb.parties.columns.alignment import Alignment, Doubts
from fedlab_nb.parties.columns.fitting import USUAL_THRESHOLD, check_linked_by, check_threshold
from fedlab_nb.parties.columns.ids import lots
from fedlab_nb.parties.columns.road import alignment_of, charge, keep_alignment, own, send
from fedlab_nb.places import here
from fedlab_nb.vertical.align import FEWEST, Line, Progress, check_told

if TYPE_CHECKING:
    from fedlab_nb.crypto.linkage.compare import Bytes

Floats = NDArray[np.float64]
MOST_ROWS = 20_000
FILTERS, HALF, LINKED, ORDER = "filters of rows", "half of the filters' key", "linked rows", "order of linked rows"
_ROOM = 0.2
"""By so much rows of different people can be more alike than filters are full."""


def link(federation: Federation, *, threshold: float = USUAL_THRESHOLD, progress: Progress | None = None) -> Alignment:
    """Rows of two owners that are alike, for owners with ``id=[...]``; everything else uses what is found here.

    Two rows are linked if each is the other's only best, and their filters are alike by ``threshold`` (Dice, 1 for
    equal ones) or more. A higher threshold makes fewer wrong links and misses more. The first column in one owner's id
    is compared with the first in the other's, and so on. The same tables give the same links in every run.

    Which linked rows are held out the first owner draws, from what only it knows, and tells the other. ``progress`` is
    called with the share of comparisons done; left out, a line of text appears if they take longer than two seconds.

    Raises:
        SettingError: a threshold that cannot work, or another one than the rows were linked by before.
        RuleError: owners with an id or of the same columns, or more than 20,000 rows at one of them.
        RoundError: fewer than five links, or filters too full for this threshold, and no owner has been told any; or an
            owner fails, or the server names rows that no comparison gives.
        EncryptionError: an owner sent something else than the protocol says.
    """
    check_linked_by(federation.schema)
    check_threshold(threshold)
    known = alignment_of(federation)
    if known is not None:
        return _known(known, threshold)
    for name in federation.names:
        own(federation, FILTERS, partial(_check_size, name), at=name)
    charge(federation, "which rows are in common", federation.names)
    with federation.ledger.stage("link"):
        alignment = _linked(federation, federation.turn(), threshold, progress or Line())
    keep_alignment(federation, alignment)
    return alignment


@dataclass
class _Side:
    """One owner in the protocol: what it keeps to itself until the end. ``other`` is the one that it links with."""

    partner: Partner
    other: str
    order: list[int] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)

    @classmethod
    def of(cls, name: str, other: str, _: Rows) -> _Side:
        """The owner ``name`` before anything has crossed."""
        return cls(Partner(name), other)

    def public(self, _: Rows) -> bytes:
        """By what the other owner seals for this one."""
        return self.partner.public

    def meet(self, public: object, _: Rows) -> None:
        """Agree with the other owner on how to seal."""
        self.partner.meet(self.other, public if isinstance(public, bytes) else b"")

    def half(self, rows: Rows) -> Opaque:
        """This owner's half of the filters' key."""
        return Opaque(self.partner.half(rows.content), f"half of the filters' key, sealed for {self.other}")

    def agree(self, half: object, _: Rows) -> None:
        """Make the key of both halves."""
        self.partner.agree(_data(half))

    def filters(self, rows: Rows) -> Filters:
        """The filters of all rows, in an order that nobody can foretell: places in a list tell nothing about rows."""
        ids = (rows.ids or ([], []))[0]
        self.order = [int(place) for place in np.random.default_rng(secrets.randbits(128)).permutation(len(ids))]
        return self.partner.filters([ids[place] for place in self.order])

    def take(self, places: Floats, _: Rows) -> None:
        """Which of its own rows are linked: ``places`` (rows,) are those in the list of filters that it sent."""
        listed = isinstance(places, np.ndarray) and places.ndim == 1
        check_told(np.sort(places) if listed else places, len(self.order), "link")
        self.positions = [self.order[int(place)] for place in places]

    def tell(self, alignment: Alignment, share: float, rows: Rows) -> Opaque:
        """The first owner says which linked rows are held out, and in what order all of them lie."""
        trained, held_out = self._drawn(rows, share)
        alignment.link(rows, self.positions, trained, held_out)
        plain = np.array([len(trained), *trained, *held_out], dtype="<u4").tobytes()
        return Opaque(self.partner.seal(plain, "order"), f"the order of linked rows, sealed for {self.other}")

    def follow(self, alignment: Alignment, order: object, rows: Rows) -> None:
        """The second owner lays its linked rows in the order that the first one has told."""
        plain, mine = self.partner.open(_data(order), "order"), self.partner.name
        trained, held_out = _order_in(plain, len(self.positions), sender=self.other, receiver=mine)
        alignment.link(rows, self.positions, trained, held_out)

    def _drawn(self, rows: Rows, share: float) -> tuple[list[int], list[int]]:
        """Which linked rows are trained on and which held out (about a ``share``), in what order: the first owner's."""
        ids = (rows.ids or ([], []))[0]
        # The order would tell the other owner how a name is written here, if it followed from the name alone.
        drawn = lots([ids[place] for place in self.positions], key=rows.content)
        order = [int(place) for place in np.argsort(drawn, kind="stable")]
        return [at for at in order if drawn[at] >= share], [at for at in order if drawn[at] < share]


def _linked(federation: Federation, number: int, threshold: float, progress: Progress) -> Alignment:
    """The protocol: a key for two, filters to the server, links back, and an order that only the owners know."""
    first, second = names = federation.names
    sides = {
        name: own(federation, HALF, partial(_Side.of, name, other), at=name)
        for name, other in ((first, second), (second, first))
    }
    _agree(federation, number, sides)
    lists = [_received(federation, number, name, side) for name, side in sides.items()]
    # At the server: it sees which filters are alike, and has no key to make one.
    links = own(federation, LINKED, lambda _: _compared(lists, names, threshold, progress), at="server")
    counts = []
    for column, (name, side) in enumerate(sides.items()):
        places = send(federation, LINKED, partial(_told, links, column), number=number, sender="server", to=name)
        own(federation, LINKED, partial(_Side.take, side, places), at=name)
        counts.append(places)
    doubts = own(federation, LINKED, lambda _: _doubts(links, threshold), at="server")
    alignment = Alignment(names, len(here(counts, np.empty(0))), secrets.token_hex(8), doubts)
    tell = partial(_Side.tell, sides[first], alignment, federation.owners[0].held_out)
    order = send(federation, ORDER, tell, number=number, sender=first, to=second)
    own(federation, ORDER, partial(_Side.follow, sides[second], alignment, order), at=second)
    return alignment


def _agree(federation: Federation, number: int, sides: Mapping[str, _Side]) -> None:
    """The two owners get to know each other's public keys, then send each other half of the filters' key, sealed."""
    both = tuple(sides), tuple(sides)[::-1]
    for mine, other in both:
        public = send(federation, "identity", partial(_Side.public, sides[mine]), number=number, sender=mine, to=other)
        own(federation, HALF, partial(_Side.meet, sides[other], public), at=other)
    halves = {
        other: send(federation, HALF, partial(_Side.half, sides[mine]), number=number, sender=mine, to=other)
        for mine, other in both
    }
    for mine, _ in both:
        own(federation, HALF, partial(_Side.agree, sides[mine], halves[mine]), at=mine)


def _received(federation: Federation, number: int, name: str, side: _Side) -> Bytes:
    """At the server: the filters of one owner."""
    sent = send(federation, FILTERS, partial(_Side.filters, side), number=number, sender=name, to="server")
    return own(federation, FILTERS, lambda _: filters_in(sent.payload, sender=name), at="server")


def _compared(lists: Sequence[Bytes], names: tuple[str, ...], threshold: float, progress: Progress) -> Links:
    """At the server: which filters are most alike, where there are enough of them, and not too full."""
    for name, filters in zip(names, lists, strict=True):
        _check_count(name, len(filters))
    _check_room(lists, names, threshold)
    links = best_pairs(lists[0], lists[1], threshold, progress)
    _check_enough(len(links.places), names, threshold)
    return links


def _told(links: Links, column: int, _: None) -> Floats:
    return links.places[:, column].astype(np.float64)


def _data(sealed: object) -> bytes:
    """The bytes of what the other owner sealed; of anything else none, which it did not seal."""
    return sealed.data if isinstance(sealed, Opaque) else b""


def _order_in(plain: bytes, rows: int, *, sender: str, receiver: str) -> tuple[Sequence[int], Sequence[int]]:
    count, *order = np.frombuffer(plain, dtype="<u4").tolist() if plain and len(plain) % 4 == 0 else [1]
    if sorted(order) != list(range(len(order))) or count > len(order):
        raise EncryptionError(
            f"What {sender!r} sent as the order of {rows:,} linked rows is no such order.",
            "The two owners would train on different people as if they were the same ones.",
            f"Nothing is used: link again, and find out what {sender!r} sends.",
        )
    if len(order) != rows:
        raise EncryptionError(
            f"{sender!r} sent an order of {len(order):,} linked rows, and the server told {receiver!r} of {rows:,}.",
            "The two owners would train on different people as if they were the same ones.",
            f"Nothing is used: ask who runs the server how many it told each owner of, and find out what {sender!r} "
            "sends.",
        )
    return order[:count], order[count:]


def _doubts(links: Links, threshold: float) -> Doubts:
    return Doubts(threshold, MARGIN, links.near, links.missed, links.tied)


def _known(known: Alignment, threshold: float) -> Alignment:
    if isinstance(known.doubts, Doubts) and known.doubts.threshold != threshold:
        raise SettingError(
            f"A linkage with threshold {threshold:g} was asked for, and these rows are linked by "
            f"{known.doubts.threshold:g} already.",
            "What was worked out since then is about those rows, and owners have one list of rows in common.",
            "Make a new Federation of the same owners to link by another threshold.",
        )
    return known


def _check_size(name: str, rows: Rows) -> None:
    _check_count(name, len((rows.ids or ([], []))[0]))


def _check_count(name: str, count: int) -> None:
    if count > MOST_ROWS:
        raise RuleError(
            f"{name!r} has more than {MOST_ROWS:,} rows to be linked.",
            "Each of its rows is compared with each of the other owner's: twice the rows take four times as long.",
            "Link in blocks that cannot hold the same person, such as one year of birth at a time: owners of each "
            "block, and a federation for each.",
        )


def _check_room(lists: Sequence[Bytes], names: Sequence[str], threshold: float) -> None:
    for name, filters in zip(names, lists, strict=True):
        full = float(np.unpackbits(filters).mean()) if len(filters) else 0.0
        if full + _ROOM > threshold:
            raise RoundError(
                name,
                "link",
                f"The filters of {name!r} have {full:.0%} of their {BITS:,} bits set, and the threshold is "
                f"{threshold:g}.",
                "Filters as full as this are alike whoever the rows are about: many links would be wrong.",
                "Link by fewer or shorter columns, or by a higher threshold.",
            )


def _check_enough(count: int, names: tuple[str, ...], threshold: float) -> None:
    if count >= FEWEST:
        return
    found = {0: "no row", 1: "one row"}.get(count, f"{count} rows")
    raise RoundError(
        "server",
        "link",
        f"The owners {' and '.join(names)} have {found} alike by {threshold:g} or more.",
        f"Nothing is worked out from fewer than {FEWEST} rows: it would be about single people. No owner was told "
        "which rows these are.",
        "Check that the columns of both ids mean the same, in the same order, and are written alike: dates with the "
        "year first, first name before last name.",
    )
