"""Alignment: owners of different columns find the rows that all of them have, by private set intersection.

Who learns what, if all follow the protocol:
    every owner    which of its own ids all owners have, and how many ids each of the others has.
    the server    no id: how many ids each owner has, and how many are common to which of them.
    the key holder    nothing.
Nobody learns an id that it did not have, nor which of its other ids some of the owners have. Beyond that: two of three
owners or more that put together what they saw could tell which ids both have; the server with one owner, which of its
ids each of the others has. An owner that invents ids learns which of them all others have: nothing stops it, since
nobody can check that its ids are true. The server compares the lists, and nobody can check that it names all rows in
common, or none besides: it could choose few, five at least and none twice, and a score would be about these.

Source: Meadows, IEEE S&P 1986, section 3; Huberman, Franklin, Hogg, EC 1999, section 3 (two parties). Lists go round
all owners here, and the server, which has no ids, compares them.
"""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.channel import Opaque
from fedlab_nb.crypto.psi import Blind, joined, points_in
from fedlab_nb.errors import RoundError
from fedlab_nb.parties import Federation, Rows
from fedlab_nb.parties.columns.alignment import Alignment
from fedlab_nb.parties.columns.fitting import check_exact, check_vertical
from fedlab_nb.parties.columns.road import alignment_of, charge, keep_alignment, linkage_of, own, road_of, send
from fedlab_nb.places import NotHere

Floats = NDArray[np.float64]
FEWEST = 5
MASKED, COMMON = "masked ids", "ids in common"
_PATIENCE = 2.0

Progress = Callable[[float], None]
"""Called with the share of the work that is done, from 0 to 1."""


def align(federation: Federation, *, progress: Progress | None = None) -> Alignment:
    """Which rows all owners of a federation have; they look for them once, later calls tell the same.

    ``progress`` is called with the share done; left out, a line of text appears if it takes longer than two seconds.
    Owners in processes of their own who agreed to link rows that are alike do so here (``fl.vertical.link``).

    Raises:
        RuleError: the owners have the same columns and no ids.
        RoundError: fewer than five ids in common, or an owner fails; nobody has learned any id then.
        EncryptionError: naming an owner that sent something else than masked ids.
    """
    check_vertical(federation.schema, "An alignment")
    known = alignment_of(federation)
    if known is not None:
        return known
    agreed = linkage_of(federation)
    if agreed is not None:
        from fedlab_nb.vertical.linkage import link

        return link(federation, threshold=agreed, progress=progress)
    check_exact(federation.schema, "An alignment")
    charge(federation, "which rows are in common", federation.names)
    with federation.ledger.stage("align"):
        alignment = _intersect(federation, federation.turn(), progress or Line())
    keep_alignment(federation, alignment)
    return alignment


def _intersect(federation: Federation, number: int, progress: Progress) -> Alignment:
    """The protocol: every list of ids goes round all owners, the server compares what comes out."""
    names, session = federation.names, bytes.fromhex(road_of(federation).token())
    # Each owner's secret number, which only it knows.
    blinds = {name: own(federation, MASKED, lambda _, name=name: Blind(name, session), at=name) for name in names}  # type: ignore[misc]
    steps = _Steps(progress, len(names))
    trips = {name: _go_round(federation, number, name, blinds, steps) for name in names}
    lists = {name: crossed for name, (_, crossed) in trips.items()}
    # At the server: equal points are equal ids, and it has no way to tell which.
    places = own(federation, COMMON, lambda _: _in_common(lists), at="server")
    counts = [
        send(federation, COMMON, partial(_told, places, name), number=number, sender="server", to=name)
        for name in names
    ]
    alignment = Alignment(names, _rows(counts), secrets.token_hex(8))
    for (name, (order, _)), told in zip(trips.items(), counts, strict=True):
        own(federation, COMMON, partial(_remember, alignment, order, told), at=name)
    return alignment


def _go_round(
    federation: Federation, number: int, name: str, blinds: Mapping[str, Blind], steps: _Steps
) -> tuple[list[int], tuple[Opaque, str]]:
    """An owner masks its ids and sends them round; each of the others masks them too; the server gets the last form.

    Returns:
        The order in which the owner sent its ids, which only it knows; what the server has, in that order, and whose
        mask was the last.
    """
    place = federation.names.index(name)
    others = federation.names[place + 1 :] + federation.names[:place]
    order: list[int] = []

    def begin(rows: Rows) -> Opaque:
        ids = [each for side in rows.ids or () for each in side]
        order.extend(_shuffled(len(ids)))
        points = blinds[name].begin([ids[place] for place in order], steps.of(len(ids)))
        return _sealed(points, 1, len(blinds))

    crossed, sender = send(federation, MASKED, begin, number=number, sender=name, to=others[0]), name
    for masks, (here, there) in enumerate(zip(others, (*others[1:], "server"), strict=True), 2):
        work = partial(_mask, blinds[here], crossed, sender, masks, len(blinds), steps)
        crossed, sender = send(federation, MASKED, work, number=number, sender=here, to=there), here
    return order, (crossed, sender)


def _mask(blind: Blind, got: Opaque, sender: str, masks: int, owners: int, steps: _Steps, _: Rows) -> Opaque:
    """What an owner passes on: the points that came, in the same order, masked by its own secret number as well."""
    points = points_in(got.data, sender=sender)
    again = blind.mask(points, sender=sender, progress=steps.of(len(points)))
    return _sealed(again, masks, owners)


def _in_common(lists: Mapping[str, tuple[Opaque, str]]) -> dict[str, Floats]:
    """At the server: by owner, the places (rows,) in its list of what is in all lists."""
    points = {name: points_in(crossed.data, sender=sender) for name, (crossed, sender) in lists.items()}
    common = set.intersection(*map(set, points.values()))
    _check_enough(len(common), tuple(lists))
    return {
        name: np.array([place for place, point in enumerate(those) if point in common], dtype=np.float64)
        for name, those in points.items()
    }


def _told(places: Mapping[str, Floats], name: str, _: None) -> Floats:
    return places[name]


def _rows(told: Sequence[Floats | NotHere]) -> int:
    """How many rows are in common, as whoever is here was told; 0 at a party that was not."""
    return max((len(places) for places in told if not isinstance(places, NotHere)), default=0)


def _remember(alignment: Alignment, order: Sequence[int], told: Floats, rows: Rows) -> None:
    """The owner undoes its own shuffling, and keeps its rows in common in the order that all owners agree on."""
    check_told(told, len(order), "align")
    alignment.note(rows, [order[int(place)] for place in told])


def check_told(told: Floats, ids: int, stage: str) -> None:
    """At an owner: refuse places that no comparison of lists gives; of one row again and again a score would tell.

    ``told`` are places (rows,) in a list of ``ids``, in order.

    Raises:
        RoundError: naming the server, and the ``stage``.
    """
    steps = np.diff(told, prepend=-1.0, append=float(ids)) if isinstance(told, np.ndarray) and told.ndim == 1 else None
    if steps is None or not (steps >= 1.0).all() or (steps % 1.0).any() or len(told) < FEWEST:
        raise RoundError(
            "server",
            stage,
            "The server named rows in common that no comparison of lists gives: too few, or one of them twice.",
            "A score over one row again and again would be that of a single person.",
            "Nothing more was done; ask who runs the server which code it runs.",
        )


def _shuffled(count: int) -> list[int]:
    """An order that nobody can foretell, so that places in a list tell nothing about rows."""
    source: NDArray[np.int64] = np.random.default_rng(secrets.randbits(128)).permutation(count)
    return [int(place) for place in source]


def _sealed(points: list[bytes], masks: int, owners: int) -> Opaque:
    note = f"{len(points):,} ids, each masked by {masks} of {owners} owners"
    return Opaque(joined(points), note, plain_nbytes=8 * len(points))


def _check_enough(count: int, names: tuple[str, ...]) -> None:
    if count >= FEWEST:
        return
    found = {0: "no id", 1: "one id"}.get(count, f"{count} ids")
    raise RoundError(
        "server",
        "align",
        f"The owners {', '.join(names)} have {found} in common.",
        f"Nothing is worked out from fewer than {FEWEST} rows: it would be about single people. No owner was told "
        "which ids these are.",
        "Check that the id columns mean the same: leading zeros, prefixes and capital letters make other ids.",
    )


class _Steps:
    """Counts masked points towards the whole work: about as many for every list and owner."""

    def __init__(self, progress: Progress, owners: int) -> None:
        self._progress, self._parts, self._done = progress, owners * owners, 0.0

    def of(self, count: int) -> Callable[[int], None]:
        """The progress of one pass over ``count`` points."""

        def step(points: int) -> None:
            self._done += points / max(count, 1) / self._parts
            self._progress(min(self._done, 1.0))

        return step


class Line:
    """One line of text that counts up, once somebody has waited long enough to wonder."""

    def __init__(self) -> None:
        self._began, self._shown = perf_counter(), -1

    def __call__(self, share: float) -> None:
        """Show the share that is done, in steps of five percent."""
        percent = int(20 * share) * 5
        if perf_counter() - self._began > _PATIENCE and percent != self._shown:
            self._shown = percent
            sys.stdout.write(f"\rAligning the owners' rows: {percent} %" + "\n" * (percent == 100))
            sys.stdout.flush()
